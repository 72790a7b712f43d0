"""`dyn cluster transfers`: how far the change of the ring is that is under way, and what it waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynamo_cli import watching
from dynamo_cli.asking import survey
from dynamo_cli.call import Call, Document, View
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.render.transfers import transfer_rows
from dynamo_cli.watching import Interval, Watch

if TYPE_CHECKING:
    from rich.console import RenderableType


@command(
    "cluster transfers",
    panel="Cluster",
    examples=[
        ("dyn cluster transfers", "a row a node that takes something in, and what waits for what"),
        ("dyn cluster transfers --watch", "again and again, until the ring is settled"),
        ("dyn cluster transfers -o wide", "every partition"),
    ],
    exits=[5, 7],
    see=["cluster plan", "cluster abandon", "ring diff"],
)
def transfers(call: Call, watch: Watch = False, interval: Interval = None) -> ExitStatus:
    """How far the change of the ring is that is under way: who has taken in how much of its part, and what waits.

    With --watch it ends by itself, once the ring is settled.
    """
    view = View(_screen, transfer_rows, lambda d: list(d["takers"]))
    every_s = watching.every(watch, interval)
    if every_s is not None:
        watching.watch(call, lambda wide: survey(wide.client, "TRANSFERS"), view, every_s, until=_settled)
        return ExitStatus.OK
    document = survey(call.client, "TRANSFERS")
    call.emit(document, view)
    if not _settled(document):
        call.suggest("dyn cluster transfers --watch", "dyn ring diff now next")
    return ExitStatus.OK


def _settled(document: Document) -> bool:
    return bool(document["state"] != "moving")


def _screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.transfers import transfers_screen

    return transfers_screen(document, wide=wide)
