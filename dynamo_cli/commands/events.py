"""`dyn cluster events`: what the nodes noted, all of them in one list, the latest last; or as it happens."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli.arguments import choice, count, span
from dynamo_cli.asking import Told, ask, members
from dynamo_cli.call import Call, Document, View
from dynamo_cli.errors import usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.render.events import event_rows
from dynamo_cli.render.plain import show
from dynamo_cli.told import items, word
from node.core.limits import EVENTS_MAX
from node.words import LEVELS, in_words, level_of

if TYPE_CHECKING:
    from rich.console import RenderableType

LAST = 20
"""Events that are shown without a number or a time."""

Since = Annotated[
    float | None, typer.Option("--since", metavar="TIME", parser=span, help="Not older than 90s, 10m, 2h, 1d.")
]
Level = Annotated[
    str, typer.Option("--level", metavar="|".join(LEVELS), parser=choice(*LEVELS), help="This and what is worse.")
]

FOLLOW_S = 1.0
"""Between two looks of `--follow`."""


@command(
    "cluster events",
    panel="Cluster",
    examples=[
        ("dyn cluster events", f"the last {LAST} of all nodes"),
        ("dyn cluster events --since 10m --level warn", "what went wrong in the last ten minutes"),
        ("dyn cluster events -f -o jsonl", "as it happens, an object a line, for programs"),
    ],
    exits=[5, 7],
    see=["cluster status", "cluster views"],
    completes={"level": " ".join(LEVELS)},
)
def events(
    call: Call,
    last: Annotated[
        int | None,
        typer.Option("--last", metavar="N", parser=count, help=f"The last N; default {LAST}, with --since all."),
    ] = None,
    since: Since = None,
    level: Level = LEVELS[0],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on, with what happens, until Ctrl-C.")] = False,
) -> ExitStatus:
    """What the nodes noted: who joined, went silent, came back, was repaired or rebuilt; the latest last.

    Each node remembers its own last events, since it was started; this asks them all. Times are the nodes' clocks'.
    """
    if follow and call.format in ("json", "csv", "value"):
        raise usage("what goes on has no end, which that format needs", "Choose another: -o jsonl or -o plain")
    addresses = members(call.client)
    told = _ask(call, addresses)
    noted = [event for event in _merged(told) if LEVELS.index(event["level"]) >= LEVELS.index(level)]
    if since is not None:
        begin = datetime.now(UTC) - timedelta(seconds=since)
        noted = [event for event in noted if _is_since(event["at"], begin)]
    most = len(noted) if last is None and since is not None else last or LAST
    document = _document(noted[-most:], told)
    call.emit(document, View(_screen, event_rows, lambda d: list(d["events"])))
    if call.format in ("plain", "csv", "jsonl"):  # where the result itself cannot say it
        for silent in document["silent"]:
            call.note(f"{show(silent['node'])} tells nothing: {show(silent['because'])}")
    if follow:
        _follow(call, addresses, told, level)
    call.suggest("dyn cluster status", "dyn cluster events -f")
    return ExitStatus.OK


def _ask(call: Call, addresses: dict[str, str]) -> list[Told]:
    timeout_s = call.options.timeout_s
    return ask(addresses, lambda address: call.env.client_apart((address,), timeout_s), "EVENTS", EVENTS_MAX)


def _merged(told: list[Told]) -> list[Document]:
    """The events of all nodes by time. `by` is who noted it; `node`, where there is one, whom it concerns.

    What a node of another release leaves out is null: an event without a time stands before the others.
    """
    merged = []
    for each in told:
        for event in items(each.document, "events"):
            kind, at = word(event, "kind", "") or None, word(event, "at", "") or None
            facts: Document = {"at": at, "by": each.node, "level": level_of(kind or ""), "kind": kind}
            fields = {name: value for name, value in event.items() if name not in (*facts, "said")}
            merged.append({**facts, "said": in_words(kind or "event", fields), **fields})
    return sorted(merged, key=lambda event: (event["at"] or "", event["by"]))


def _is_since(at: str | None, begin: datetime) -> bool:
    """Whether something was noted since `begin`; what has no time that can be read may have been."""
    try:
        noted = datetime.fromisoformat(at or "")
    except ValueError:
        return True
    return (noted if noted.tzinfo else noted.replace(tzinfo=UTC)) >= begin


def _document(noted: list[Document], told: list[Told]) -> Document:
    silent = [{"node": each.node, "because": each.error.message} for each in told if each.error is not None]
    return {"schema": "dyn.cluster.events/v1", "events": noted, "silent": silent}


def _follow(call: Call, addresses: dict[str, str], told: list[Told], level: str) -> None:
    """Show what comes, look by look; a node that was silent tells later what it noted meanwhile."""
    seen = {_identity(event) for event in _merged(told)}
    deaf = {each.node for each in told if each.error is not None}
    quiet = Call(call.env, call.options._replace(header=False))
    while True:
        time.sleep(FOLLOW_S)
        told = _ask(call, addresses)
        fresh = [event for event in _merged(told) if _identity(event) not in seen]
        seen |= {_identity(event) for event in fresh}
        for each in told:
            if each.error is not None and each.node not in deaf:
                call.note(f"{show(each.node)} does not answer: {show(each.error.message)}")
        deaf = {each.node for each in told if each.error is not None}
        worth = [event for event in fresh if LEVELS.index(event["level"]) >= LEVELS.index(level)]
        if worth:
            quiet.emit(_document(worth, []), View(_more, event_rows, lambda d: list(d["events"])))


def _identity(event: Document) -> str:
    """The same for the same event, however often it is told."""
    return repr(sorted((name, str(value)) for name, value in event.items()))


def _screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.events import events_screen

    return events_screen(document)


def _more(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.events import events_screen

    return events_screen(document, header=False)
