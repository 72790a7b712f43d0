"""`dyn node stats`: what one node did for its clients, how its disk takes it, what waits, and what else it is at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli import store
from dynamo_cli.arguments import text
from dynamo_cli.asking import members
from dynamo_cli.call import Call, Document, View
from dynamo_cli.errors import usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.render.stats import stats_rows

if TYPE_CHECKING:
    from rich.console import RenderableType


@command(
    "node stats",
    panel="Node",
    examples=[
        ("dyn node stats", "of the node that is asked"),
        ("dyn node stats n3", "of another one, by its name"),
        ("dyn node stats n3 -o plain", "a line a figure, for scripts"),
    ],
    exits=[5, 7],
    see=["cluster status", "cluster hints"],
    completes={"node": "names"},
)
def stats(
    call: Call,
    node: Annotated[
        str | None, typer.Argument(metavar="[NODE]", parser=text, help="A node by its name; default: the one asked.")
    ] = None,
) -> ExitStatus:
    """What a node did since its start, how long it took of late, what waits in it, and what it does beside clients."""
    call.emit(_document(call, node), View(_screen, stats_rows))
    return ExitStatus.OK


def _document(call: Call, node: str | None) -> Document:
    if node is None:
        return store.document(call.client, "STATS")
    addresses = members(call.client)
    if node not in addresses:
        raise usage(f"no node {node!r} in the ring", f"There are {', '.join(sorted(addresses))}")
    client = call.env.client_apart((addresses[node],), call.options.timeout_s)
    try:
        return store.document(client, "STATS")
    finally:
        client.close()


def _screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.stats import stats_screen

    return stats_screen(document)
