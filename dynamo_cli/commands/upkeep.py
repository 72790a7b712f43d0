"""`dyn node data path`, `verify` and `compact`: where a node's store is, whether it is sound, and making it smaller."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli import running
from dynamo_cli.arguments import text
from dynamo_cli.call import Call, Document, View
from dynamo_cli.commands.process import ClientOf, NodeName, settings_of
from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.progress import progress
from dynamo_cli.render.plain import encode, show
from dynamo_cli.render.upkeep import compact_rows, path_rows, verify_rows

if TYPE_CHECKING:
    from rich.console import RenderableType

ALL = 2**64
"""Positions of keys: how far it is through a store."""


@command(
    "node data path",
    panel="Node",
    examples=[
        ("dyn node data path", "the file of the node that is asked"),
        ("dyn node data path n3", "of another one, by its name"),
        ("sqlite3 -readonly $(dyn node data path)", "look inside: the page of the architecture has its tables"),
    ],
    exits=[3, 5, 7],
    see=["node data backup", "node data verify"],
    completes={"node": "names"},
)
def data_path(call: Call, node: NodeName = None) -> ExitStatus:
    """Say in which SQLite file a node keeps its store, on its machine. Look inside by all means, but write nothing."""
    document = _where(call, node, here=False)
    if call.format in ("table", "wide", "plain"):
        call.env.write(f"{show(document['file'])}\n")
        if not document["here"]:
            call.remark(f"That is on the machine of {show(document['node'])}.")
    else:
        call.emit(document, View(_no_screen, path_rows, value=lambda d: str(d["file"]).encode()))
    return ExitStatus.OK


def _where(call: Call, node: str | None, *, here: bool) -> Document:
    """Where the store of a node is. `here`: it must be on this machine. Raises CliError."""
    from node.storage.upkeep import FILE

    with ClientOf(call, node) as client:
        settings, address = settings_of(client), client.address
    name, directory = settings.get("name") or node or "?", settings.get("data-dir", "")
    if not directory:
        raise CliError(ExitStatus.FAILURE, f"{show(name)} does not say where its data is", "Name it: --data-dir DIR")
    is_here = running.is_here(address)
    if here and not is_here:
        raise CliError(ExitStatus.REFUSED, f"the store of {show(name)} is not on this machine", "Run it there")
    file = str(Path(directory) / FILE)
    return {"schema": "dyn.node.data.path/v1", "node": name, "data_dir": directory, "file": file, "here": is_here}


@command(
    "node data verify",
    panel="Node",
    examples=[
        ("dyn node data verify", "of the node on this machine that is asked, while it serves"),
        ("dyn node data verify --data-dir ~/.local/share/dyn/dyn/n3", "of one that does not run"),
        ("dyn node data verify n2 --json | jq .damaged", "of another one, for scripts"),
    ],
    exits=[3, 5, 7, 8, 9],
    see=["node data info", "node stats", "cluster repair"],
    completes={"node": "names", "data_dir": "files"},
)
def data_verify(
    call: Call,
    node: NodeName = None,
    data_dir: Annotated[
        str | None, typer.Option("--data-dir", metavar="DIR", parser=text, help="The store in it, used or not.")
    ] = None,
) -> ExitStatus:
    """Read all of a store against its checksums, and the structure of its file: exit 8 if anything is damaged.

    It only reads, and a running node goes on meanwhile. Nodes do the same by themselves once a day (node stats: scrub),
    and a damaged row they find comes back from the other owners.
    """
    from node.storage.upkeep import verify

    if node is not None and data_dir is not None:
        raise usage("a store is named by its node or by --data-dir, not by both", "Leave one away")
    directory = Path(data_dir).expanduser() if data_dir else Path(_where(call, node, here=True)["data_dir"])
    with _told(), progress(call, "verify", ALL) as show_done:
        found = verify(directory, lambda position: show_done(float(position)))
    keys = [dict(zip(("key", "enc"), encode(key), strict=True)) for key in found.damaged_keys]
    document = {
        "schema": "dyn.node.data.verify/v1", "file": str(found.file), "file_bytes": found.file_bytes,
        "in_use": found.in_use, "structure": found.structure or None, "rows": found.rows, "bytes": found.row_bytes,
        "damaged": found.damaged, "damaged_keys": keys, "quarantined": found.quarantined, "counted": found.told,
        "sound": found.sound,
    }  # fmt: skip
    call.emit(document, View(_verify_screen, verify_rows))
    return ExitStatus.OK if found.sound else ExitStatus.UNHEALTHY


@command(
    "node data compact",
    panel="Node",
    examples=[
        ("dyn node stop n3 && dyn node data compact ~/.local/share/dyn/dyn/n3", "after a mass of deletes"),
        ("dyn node data compact ~/.local/share/dyn/dyn/n3 --json", "the sizes before and after, for scripts"),
        ("dyn node data verify --data-dir ~/.local/share/dyn/dyn/n3", "and see that all is there"),
    ],
    exits=[1, 9],
    see=["node stop", "node data verify"],
    completes={"directory": "files"},
    danger="moderate",
)
def data_compact(
    call: Call,
    directory: Annotated[str, typer.Argument(metavar="DIR", parser=text, help="The data directory of the node.")],
) -> ExitStatus:
    """Write the store of a node that does not run anew, without the room that deleted rows left in its file.

    A running node uses that room again by itself: this is for giving it back to the file system. Meanwhile it takes
    twice the size of the file. Nothing of the store changes, and a crash leaves it as it was.
    """
    from node.storage.upkeep import compact

    with _told():
        done = compact(Path(directory).expanduser())
    document = {
        "schema": "dyn.node.data.compact/v1",
        "file": str(done.file),
        "before_bytes": done.before,
        "after_bytes": done.after,
    }
    call.emit(document, View(_compact_screen, compact_rows))
    return ExitStatus.OK


@contextmanager
def _told() -> Iterator[None]:
    """What a store refuses, as an error of the command line: REFUSED if a node uses it."""
    from node.storage.errors import StorageError, StoreInUse

    try:
        yield
    except StoreInUse as error:
        raise CliError(ExitStatus.REFUSED, show(error.message), "Stop that node first: dyn node stop") from None
    except StorageError as error:
        raise CliError(ExitStatus.FAILURE, show(error.message), error.hint) from None


def _verify_screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.upkeep import verify_screen

    return verify_screen(document)


def _compact_screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.upkeep import compact_screen

    return compact_screen(document)


def _no_screen(document: Document, wide: bool) -> RenderableType:
    raise AssertionError("the path is said instead")
