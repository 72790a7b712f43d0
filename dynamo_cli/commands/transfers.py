"""`dyn cluster transfers`: how far the change of the ring is that is under way, and what it waits for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli.call import Call, Document, View
from dynamo_cli.errors import usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.following import LOOK_S, Looker
from dynamo_cli.options import command
from dynamo_cli.render.transfers import transfer_rows

if TYPE_CHECKING:
    from rich.console import RenderableType

ENDLESS = ("json", "csv", "value")
"""Formats of one document, which what goes on cannot have."""


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
def transfers(
    call: Call,
    watch: Annotated[bool, typer.Option("--watch", help="Look again every second until the ring is settled.")] = False,
) -> ExitStatus:
    """How far the change of the ring is that is under way: who has taken in how much of its part, and what waits."""
    if watch and call.format in ENDLESS:
        raise usage("what goes on has no end, which that format needs", "Choose another: -o jsonl or -o plain")
    document = _watch(call) if watch else _once(call)
    if document["state"] == "moving":
        call.remark("Next:  dyn cluster transfers --watch      dyn ring diff now next")
    return ExitStatus.OK


def _once(call: Call) -> Document:
    from dynamo_cli import store

    document = store.document(call.client, "TRANSFERS")
    call.emit(document, View(_screen, transfer_rows, lambda d: list(d["takers"])))
    return document


def _watch(call: Call) -> Document:
    """Show it again and again: on a terminal in the same place, elsewhere what has changed. The last document."""
    looker, shown, silent = Looker(call), None, False
    in_place = call.for_people and call.env.stdout_is_terminal
    while True:
        document = looker.look()
        if document is None:
            if not silent:
                call.note("no answer: asking the other members")
        elif in_place or document != shown:
            if in_place:
                call.env.write("\x1b[H\x1b[2J")
            call.emit(document, View(_screen, transfer_rows))
            if shown is None:
                call = Call(call.env, call.options._replace(header=False))
            shown = document
        silent = document is None
        if document is not None and document["state"] != "moving":
            return document
        time.sleep(LOOK_S)


def _screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.transfers import transfers_screen

    return transfers_screen(document, wide=wide)
