"""`dyn node stats`: what one node did for its clients, how its disk takes it, what waits, and what else it is at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli import store, watching
from dynamo_cli.arguments import text
from dynamo_cli.call import Call, Document, View
from dynamo_cli.client import Client
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.member import client_of
from dynamo_cli.options import command
from dynamo_cli.render.stats import stats_rows
from dynamo_cli.watching import Interval, Watch

if TYPE_CHECKING:
    from rich.console import RenderableType


@command(
    "node stats",
    panel="Node",
    examples=[
        ("dyn node stats", "of the node that is asked"),
        ("dyn node stats n3", "of another one, by its name"),
        ("dyn node stats n3 -o plain", "a line a figure, for scripts"),
        ("dyn node stats n3 --watch", "in place, with what changes marked"),
    ],
    exits=[3, 5, 7],
    see=["cluster status", "cluster hints"],
    completes={"node": "names"},
)
def stats(
    call: Call,
    node: Annotated[
        str | None, typer.Argument(metavar="[NODE]", parser=text, help="A node by its name; default: the one asked.")
    ] = None,
    watch: Watch = False,
    interval: Interval = None,
) -> ExitStatus:
    """What a node did since its start, how long it took of late, what waits in it, and what it does beside clients."""
    view = View(_screen, stats_rows)
    every_s = watching.every(watch, interval)
    client = _client(call, node)
    try:
        if every_s is not None:  # that very node: no other member is asked for it
            watching.watch(call, lambda wide: store.document(client, "STATS"), view, every_s)
        else:
            call.emit(store.document(client, "STATS"), view)
    finally:
        if node is not None:
            client.close()
    return ExitStatus.OK


def _client(call: Call, node: str | None) -> Client:
    """Who asks a node by its name, on a connection of its own; the one of the line without a name."""
    if node is None:
        return call.client
    return client_of(call, node)


def _screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.stats import stats_screen

    return stats_screen(document)
