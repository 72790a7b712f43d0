"""`dyn cluster transfers pause`, `resume` and `limit`: how fast nodes take in what a change of the ring gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli.arguments import size_or_none
from dynamo_cli.asking import ask, members
from dynamo_cli.call import Call, Document, View
from dynamo_cli.client import Word
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.render.pace import pace_rows
from dynamo_cli.told import number, whole

if TYPE_CHECKING:
    from rich.console import RenderableType

SEE = ["cluster transfers", "cluster plan", "cluster abandon"]


@command(
    "cluster transfers pause",
    panel="Cluster",
    danger="mild",
    examples=[
        ("dyn cluster transfers pause", "until the evening, say"),
        ("dyn cluster transfers", "who is paused, and since when"),
        ("dyn cluster transfers resume", "and on it goes, where it was"),
    ],
    exits=[5, 7],
    see=SEE,
)
def pause(call: Call) -> ExitStatus:
    """Have all nodes take nothing more in: a change of the ring that is under way waits.

    Nothing is lost meanwhile: the former owners go on serving, and writes reach the new ones, too. Each node keeps it
    for itself, and not over a restart: one that starts later, or was not reached, takes in as ever.
    """
    return _say(call, "PAUSE")


@command(
    "cluster transfers resume",
    panel="Cluster",
    danger="mild",
    examples=[
        ("dyn cluster transfers resume", "what was paused goes on where it was"),
        ("dyn cluster transfers --watch", "see it"),
        ("dyn cluster transfers resume -o plain", "a line a node, for scripts"),
    ],
    exits=[5, 7],
    see=SEE,
)
def resume(call: Call) -> ExitStatus:
    """Have all nodes go on taking in, after a pause. A limit stays."""
    return _say(call, "RESUME")


@command(
    "cluster transfers limit",
    panel="Cluster",
    danger="mild",
    examples=[
        ("dyn cluster transfers limit 10M", "10 MiB a second at most, for each node that takes in"),
        ("dyn cluster transfers limit 500K", "a change that nobody shall notice"),
        ("dyn cluster transfers limit none", "as fast as clients let it, as ever"),
    ],
    exits=[5, 7],
    see=SEE,
    completes={"size": "none"},
)
def limit(
    call: Call,
    size: Annotated[
        str,
        typer.Argument(metavar="BYTES", parser=size_or_none, help="A second and node, as 500K or 10M; none: no limit."),
    ],
) -> ExitStatus:
    """Limit how much each node takes in a second, on average, while the ring moves; clients go first in any case.

    Each node keeps it for itself, and not over a restart: one that starts later, or was not reached, has no limit.
    """
    return _say(call, "LIMIT", size)


def _say(call: Call, *words: Word) -> ExitStatus:
    """Say it to every member, and show what each makes of it. Exit 5 if one was not reached."""
    addresses = members(call.client)
    told = ask(addresses, lambda each: call.env.client_apart((each,), call.options.timeout_s), "BACKGROUND", *words)
    errors = [each.error for each in told if each.error is not None]
    if errors and len(errors) == len(told):
        raise errors[0]
    nodes = [
        {
            "node": each.node,
            "paused_s": number(each.document, "paused_s"),
            "limit_bps": whole(each.document, "limit_bps"),
            "moving": None if each.document is None else each.document.get("moving") is True,
            "error": None if each.error is None else each.error.message,
        }
        for each in told
    ]
    document: Document = {"schema": "dyn.transfers.pace/v1", "nodes": nodes}
    call.emit(document, View(_screen, pace_rows, lambda d: list(d["nodes"])))
    if any(node["moving"] for node in nodes):
        call.suggest("dyn cluster transfers", "dyn cluster transfers --watch")
    return ExitStatus.UNREACHABLE if errors else ExitStatus.OK


def _screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.pace import pace_screen

    return pace_screen(document)
