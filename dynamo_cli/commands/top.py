"""`dyn top`: the whole cluster on a full screen, as it is now, until somebody presses q."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli import watching
from dynamo_cli.asking import survey
from dynamo_cli.call import Call
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.watching import INTERVAL_S_MAX, INTERVAL_S_MIN

if TYPE_CHECKING:
    from rich.console import ConsoleDimensions

    from dynamo_cli.board import Board, Snapshot
    from dynamo_cli.render.top import Choice

KEY_S = 0.1
"""So long a key is waited for before the screen is looked at again: a resize shows within this time."""


@command(
    "top",
    panel="Observe",
    examples=[
        ("dyn top", "nodes, requests, latencies, the ring, the last events"),
        ("dyn top --interval 5", "every five seconds"),
        ("dyn top -o jsonl", "off a terminal: as cluster status --watch"),
    ],
    exits=[5, 7],
    see=["stat", "cluster status", "ring show"],
)
def top(
    call: Call,
    interval: Annotated[
        float,
        typer.Option("--interval", metavar="S", parser=watching.interval, help="Between two looks; default 1."),
    ] = watching.INTERVAL_S,
) -> ExitStatus:
    """The cluster on a full screen: every node's requests and latencies, what waits, the ring, the last events.

    Keys: q quits, p pauses, s sorts, + and - change the interval, ? explains. Off a terminal: cluster status --watch.
    """
    if not watching.in_place(call):
        from dynamo_cli.commands.cluster import STATUS_VIEW

        watching.watch(call, lambda wide: survey(wide.client, "STATUS"), STATUS_VIEW, interval)
        return ExitStatus.OK
    from dynamo_cli.board import Board

    board = Board(call, interval)
    try:
        board.start()
        _draw(call, board)
    except KeyboardInterrupt:
        pass  # the other way to quit
    finally:
        board.stop()
    return ExitStatus.OK


def _draw(call: Call, board: Board) -> None:
    """Draw what the board shows, and do what the keys say, until q. The terminal is put back, whatever happens."""
    from rich.live import Live

    from dynamo_cli.keyboard import endings, keyboard
    from dynamo_cli.render.top import Choice, Shown, top_screen

    console, choice = watching.live_console(call), Choice(interval_s=board.interval_s)
    live = Live(
        console=console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
    )  # fmt: skip
    with endings(), keyboard(call.env.stdin) as keys, live:
        seen: Snapshot = board.snapshot
        drawn: tuple[int, Choice, ConsoleDimensions] | None = None
        while True:
            if board.failed is not None:
                raise board.failed
            seen = seen if choice.paused else board.snapshot
            state = seen.number, choice, console.size
            if drawn is not None and state[2] != drawn[2]:
                console.clear()
            if state != drawn:
                shown = Shown(seen.stat, seen.ring, seen.status, seen.silent, seen.events)
                live.update(top_screen(shown, choice, console.width, console.height), refresh=True)
                drawn = state
            key = keys.key(KEY_S)
            if key == "q":
                return
            choice = pressed(choice, key)
            board.interval_s = choice.interval_s


def pressed(choice: Choice, key: str) -> Choice:
    """What a key makes of the choice; a key that means nothing changes nothing."""
    from dynamo_cli.render.top import SORTS

    if key == "p":
        return choice._replace(paused=not choice.paused)
    if key == "s":
        return choice._replace(sort=SORTS[(SORTS.index(choice.sort) + 1) % len(SORTS)])
    if key == "?":
        return choice._replace(help=not choice.help)
    if key in ("+", "=", "-"):  # = is + without Shift
        longer = choice.interval_s * (0.5 if key == "-" else 2)
        return choice._replace(interval_s=min(max(longer, INTERVAL_S_MIN), INTERVAL_S_MAX))
    return choice
