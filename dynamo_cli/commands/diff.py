"""`dyn ring diff`: which partitions have other owners in one ring than in another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli import store
from dynamo_cli.arguments import text
from dynamo_cli.call import Call, Document, View
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.render.diff import diff_rows

if TYPE_CHECKING:
    from rich.console import RenderableType

    from dynamo_cli.ringdiff import Owned


@command(
    "ring diff",
    panel="Ring",
    examples=[
        ("dyn ring diff now next", "what the move that is under way leads to"),
        ("dyn ring export --format json --file before.json", "keep a ring …"),
        ("dyn ring diff before.json now", "… and compare the one there is with it"),
    ],
    exits=[3, 5, 7],
    see=["ring show", "ring export", "cluster transfers"],
    completes={"a": "files", "b": "files"},
)
def diff(
    call: Call,
    a: Annotated[
        str, typer.Argument(metavar="A", parser=text, help="now, next, an epoch, or a file of dyn ring export.")
    ],
    b: Annotated[str, typer.Argument(metavar="B", parser=text, help="The other one: what A is to become.")],
) -> ExitStatus:
    """Compare two rings: the partitions that have other owners, and how many each node gains and loses.

    now is the ring that owns everything at present, next the one to which a move under way leads.
    """
    from dynamo_cli import epochs, ringdiff

    heard: list[Document] = []

    def ring() -> Document:
        heard[:] = heard or [store.document(call.client, "RING")]  # one answer: between two the ring may change
        return heard[0]

    def owned(name: str) -> Owned:
        if name in (ringdiff.NOW, ringdiff.NEXT):
            return ringdiff.now(ring()) if name == ringdiff.NOW else ringdiff.after(ring())
        return ringdiff.now(epochs.ring_of(name, ring), name) if name.isdigit() else ringdiff.in_file(Path(name))

    document = ringdiff.diff(owned(a), owned(b))
    call.emit(document, View(_screen, diff_rows, lambda d: list(d["partitions"])))
    return ExitStatus.OK


def _screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.diff import diff_screen

    return diff_screen(document, wide=wide)
