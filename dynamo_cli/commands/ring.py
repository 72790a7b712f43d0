"""`dyn ring show`, `dyn ring owner`, `dyn ring export`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli import store, watching
from dynamo_cli.arguments import choice, text
from dynamo_cli.call import Call, Document, View
from dynamo_cli.commands.values import Keys
from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.panel import Panel
from dynamo_cli.rates import lately
from dynamo_cli.render.plain import encode, json_text
from dynamo_cli.render.ring_rows import RING_ROWS
from dynamo_cli.render.rows import owner_rows
from dynamo_cli.watching import Interval, Watch

if TYPE_CHECKING:
    from rich.console import RenderableType


BY = ("node", "partition", "zone")
STRIP = "strip"
LOAD_WAIT_S = 1.0
"""A node that does not tell its load within this time has an unknown one: the ring is shown all the same."""


@command(
    "ring show",
    panel="Ring",
    examples=[
        ("dyn ring show", "who owns what, and how many requests each node gets"),
        ("dyn ring show --by partition", "the owners of each partition, by letters"),
        ("dyn ring show --by zone", "whether the copies of a key lie in different zones"),
        ("dyn ring show --strip", "the primary of each partition, and nothing else"),
        ("dyn ring show --as-of 6", "the ring of that epoch, if a node remembers it; or of a saved file"),
        ("dyn ring show -o plain", "one line a partition"),
    ],
    exits=[3, 5, 7],
    see=["ring owner", "ring diff", "ring simulate", "cluster status"],
    completes={"by": " ".join(BY), "as_of": "files"},
)
def show(
    call: Call,
    by: Annotated[
        str | None,
        typer.Option("--by", metavar="|".join(BY), parser=choice(*BY), help="Rows; default node, plain partition."),
    ] = None,
    strip: Annotated[bool, typer.Option("--strip", help="The letters of the primaries alone.")] = False,
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of", metavar="EPOCH", parser=text, help="The ring of then: an epoch, next, or a file of ring export."
        ),
    ] = None,
    watch: Watch = False,
    interval: Interval = None,
) -> ExitStatus:
    """Draw the ring: the primary of every partition, the nodes' shares, and whether the placement keeps its rules.

    Nodes know the ring of now, and while it moves the ones before and after: others are shown from a saved file.
    """
    if strip and by:
        raise usage("--strip shows nothing by rows", "Leave --by or --strip away")
    every_s = watching.every(watch, interval)
    if every_s is not None and as_of is not None:
        raise usage("the ring of then does not change: --watch and --as-of exclude each other", "Leave one away")
    wanted = STRIP if strip else by or ("node" if call.for_people else "partition")
    view = View(partial(_ring_screen, by=wanted), RING_ROWS[wanted])
    if as_of is not None:
        from dynamo_cli.epochs import ring_of

        call.emit(ring_of(as_of, lambda: store.document(call.client, "RING")), view)
        return ExitStatus.OK
    panel = Panel(call, wait_s=LOAD_WAIT_S)
    loads = wanted not in ("partition", STRIP) or call.format in ("json", "jsonl")
    try:
        if every_s is not None:
            watching.watch(call, lambda wide: _ring(panel, loads=loads), view, every_s)
        else:
            call.emit(_ring(panel, loads=loads), view)
            call.suggest("dyn ring owner KEY", "dyn ring show --by partition", "dyn cluster status")
    finally:
        panel.close()
    return ExitStatus.OK


def _ring(panel: Panel, *, loads: bool) -> Document:
    """The ring; with `loads` how many requests each member served of late, as it tells; null where it does not."""
    panel.refresh(0.0)
    return {**panel.ring, "load": _loads(panel)} if loads else panel.ring


def _loads(panel: Panel) -> list[Document]:
    found: list[Document] = []
    for told in panel.look("STATS"):
        facts = lately(told.document) if told.document else None
        why = told.error.message if told.error else None if facts else "it does not count them"
        load = facts or {"over_s": None, "per_s": None}
        found.append({"node": told.node, **load, "unknown_because": why})
    return found


def _ring_screen(document: Document, wide: bool, by: str) -> RenderableType:
    if by == "node":
        from dynamo_cli.render.ring import ring_screen

        return ring_screen(document, wide=wide)
    from dynamo_cli.render.ring_by import partition_screen, strip_screen, zone_screen

    screens = {"partition": partition_screen, "zone": zone_screen, STRIP: strip_screen}
    return screens[by](document, wide=wide)


@command(
    "ring owner",
    panel="Ring",
    examples=[
        ("dyn ring owner cart:7", "partition, owners and stand-ins of a key, whether it exists or not"),
        ("dyn ring owner cart:7 user:1", "of several, a row each"),
        ("dyn ring owner cart:7 --json", "for programs"),
    ],
    exits=[5, 7],
    see=["ring show", "key explain"],
    completes={"keys": "keys"},
)
def owner(call: Call, keys: Keys) -> ExitStatus:
    """Say where keys live: position, partition, owners, and the stand-ins that write for an owner that is down."""
    if b"" in keys:
        raise usage("the key is empty", "Name one: dyn ring owner KEY")
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
