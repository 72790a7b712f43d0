"""`dyn ring show`, `dyn ring owner`, `dyn ring export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli import store
from dynamo_cli.arguments import choice
from dynamo_cli.call import Call, Document, View
from dynamo_cli.commands.values import Keys
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.render.plain import encode, json_text
from dynamo_cli.render.rows import owner_rows, ring_rows

if TYPE_CHECKING:
    from rich.console import RenderableType


@command(
    "ring show",
    panel="Ring",
    examples=[("dyn ring show", "who owns what"), ("dyn ring show -o plain", "one line a partition")],
    exits=[5, 7],
    see=["ring owner", "cluster status"],
)
def show(call: Call) -> ExitStatus:
    """Draw the ring: the primary of every partition, the nodes' shares, and whether the placement keeps its rules."""
    document = store.document(call.client, "RING")
    call.emit(document, View(_ring_screen, ring_rows))
    call.remark("Next:  dyn ring owner KEY      dyn cluster status")
    return ExitStatus.OK


def _ring_screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.ring import ring_screen

    return ring_screen(document, wide=wide)


@command(
    "ring owner",
    panel="Ring",
    examples=[("dyn ring owner cart:7 user:1", "partition, owners and stand-ins of keys")],
    exits=[5, 7],
    see=["ring show", "key explain"],
    completes={"keys": "keys"},
)
def owner(call: Call, keys: Keys) -> ExitStatus:
    """Say where keys live: position, partition, owners, and the stand-ins that write for an owner that is down."""
    ring = store.document(call.client, "RING")
    document = {"schema": "dyn.ring.owner/v1", "epoch": ring["epoch"], "keys": [placement(key, ring) for key in keys]}
    call.emit(document, View(_owner_screen, owner_rows, lambda d: list(d["keys"])))
    return ExitStatus.OK


def placement(key: bytes, ring: Document) -> Document:
    """Where a key lives on the ring of a DYN.RING document."""
    from hashlib import md5  # costs a get its start-up time

    digest = md5(key, usedforsecurity=False)
    partition = int.from_bytes(digest.digest(), "big") * ring["partitions"] >> 128
    nodes = ring["preference"][partition]
    name, enc = encode(key)
    story: Document = {"key": name, "enc": enc, "md5": digest.hexdigest(), "partition": partition}
    return {**story, "owners": nodes[: ring["n"]], "stand_ins": nodes[ring["n"] :]}


def _owner_screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.ring import owner_screen

    return owner_screen(document, wide=wide)


FORMATS = ("svg", "dot", "md", "json")


@command(
    "ring export",
    panel="Ring",
    examples=[
        ("dyn ring export --file ring.svg", "a picture for a slide"),
        ("dyn ring export --format dot | dot -Tpng > ring.png", "who shares partitions with whom, by Graphviz"),
        ("dyn ring export --format md", "a table for a page"),
    ],
    exits=[5, 7],
    see=["ring show", "ring simulate"],
    completes={"form": " ".join(FORMATS), "file": "files"},
)
def export(
    call: Call,
    form: Annotated[
        str | None, typer.Option("--format", metavar="|".join(FORMATS), parser=choice(*FORMATS), help="Default svg.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", parser=Path, help="Write it there; default: print it.")
    ] = None,
) -> ExitStatus:
    """Write the ring as a picture, a graph, a table, or as the document itself. The same ring gives the same bytes."""
    from dynamo_cli.render.export import dot, markdown, svg

    document = store.document(call.client, "RING")
    chosen = form or ("json" if call.format in ("json", "jsonl") else FORMATS[0])
    written = {"svg": svg, "dot": dot, "md": markdown, "json": json_text}[chosen](document)
    if file is None:
        call.env.write(written)
        return ExitStatus.OK
    try:
        file.write_text(written, "utf-8")
    except OSError as error:
        raise CliError(ExitStatus.FAILURE, f"cannot write {file}: {error.strerror}", "Name another --file") from None
    call.remark(f"wrote {file}")
    return ExitStatus.OK
