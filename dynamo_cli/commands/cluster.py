"""`dyn cluster status`, `hints` and `views`: how the nodes are, what they keep for each other, who believes what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli import settling, watching
from dynamo_cli.arguments import choice, seconds_long
from dynamo_cli.asking import survey
from dynamo_cli.call import Call, Document, View
from dynamo_cli.errors import usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.render.plain import show
from dynamo_cli.render.rows import delivered_rows, hint_rows, status_rows, view_rows
from dynamo_cli.watching import Interval, Watch

if TYPE_CHECKING:
    from rich.console import RenderableType

WAITS = "|".join(settling.GOALS)
WAIT_S = 60.0
"""How long --wait and --deliver-now go on, if --for says nothing."""


@command(
    "cluster status",
    panel="Cluster",
    examples=[
        ("dyn cluster status", "every node, as every node sees it"),
        ("dyn cluster status --check", "exit 8 unless healthy, for scripts"),
        ("dyn cluster status --wait converged --for 60", "wait until all owners hold the same; exit 8 if they do not"),
        ("dyn cluster status --views", "and who believes what about whom"),
        ("dyn cluster status --watch", "in place, with what changes marked; in a pipe add -o jsonl"),
    ],
    exits=[5, 7, 8],
    see=["cluster hints", "cluster views", "ring show"],
    completes={"wait": " ".join(settling.GOALS)},
)
@command(
    "status",
    panel="Cluster",
    examples=[
        ("dyn status", "the same as dyn cluster status"),
        ("dyn status --check", "exit 8 unless healthy, for scripts"),
        ("dyn status --field health", "one word"),
    ],
    exits=[5, 7, 8],
    see=["cluster status"],
    completes={"wait": " ".join(settling.GOALS)},
)
def status(
    call: Call,
    check: Annotated[bool, typer.Option("--check", help="Exit 8 unless the cluster is healthy.")] = False,
    wait: Annotated[
        str | None,
        typer.Option(
            "--wait", metavar=WAITS, parser=choice(*settling.GOALS), help="Wait until it is so; exit 8 if it is not."
        ),
    ] = None,
    at_most: Annotated[
        float | None, typer.Option("--for", metavar="S", parser=seconds_long, help="Wait this long; default 60.")
    ] = None,
    views: Annotated[
        bool, typer.Option("--views", help="Show below it what each node believes about each other.")
    ] = False,
    watch: Watch = False,
    interval: Interval = None,
) -> ExitStatus:
    """Health, nodes and views of the cluster. A node that does not answer is shown, it never fails the command.

    converged: all members answer and see the same, nothing waits or moves, the last comparison found no difference.
    """
    every_s = watching.every(watch, interval)
    if every_s is not None and wait:
        raise usage("--watch never ends, and --wait waits for an end", "Leave one away")
    if at_most is not None and not wait:
        raise usage("--for says how long to wait, and there is no --wait", f"Wait for one of {WAITS}")

    def look(wide: Call) -> Document:
        told = survey(wide.client, "STATUS")
        return {**told, "views": survey(wide.client, "VIEWS")} if views else told

    if every_s is not None:
        document = watching.watch(call, look, STATUS_VIEW, every_s)
    else:
        document = settling.wait_for(call, wait, at_most or WAIT_S) if wait else look(call)
        if wait and views:
            document["views"] = survey(call.client, "VIEWS")
        call.emit(document, STATUS_VIEW)
        call.suggest(*_next(document))
    if wait and not _waited(call, document["wait"]):
        return ExitStatus.UNHEALTHY
    return ExitStatus.UNHEALTHY if check and document["health"] != "healthy" else ExitStatus.OK


def _waited(call: Call, wait: Document) -> bool:
    """Whether what was waited for came; if it did not, say why."""
    if not wait["reached"]:
        call.note(f"not {wait['for']} after {wait['took_s']:.0f} s: {'; '.join(wait['lacking'])}")
    return bool(wait["reached"])


def _status_screen(document: Document, wide: bool) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    from dynamo_cli.render.cluster import status_screen, views_screen

    screen = status_screen(document, wide=wide)
    return Group(screen, Text(), views_screen(document["views"])) if document.get("views") else screen


STATUS_VIEW = View(_status_screen, status_rows, lambda d: list(d["nodes"]))


def _next(document: Document) -> list[str]:
    """What to type next, by what the status shows."""
    steps = []
    if document.get("siblings"):
        steps.append("dyn keys --siblings")
    steps += [f"dyn node start --name {show(n['name'])} …" for n in document["nodes"] if n["state"] == "down"][:1]
    return [*steps, "dyn ring show", "dyn ring owner KEY"][:3]


@command(
    "cluster hints",
    panel="Cluster",
    examples=[
        ("dyn cluster hints", "who keeps rows for whom, and why they still wait"),
        ("dyn cluster hints -o plain", "a line a pair of nodes, for scripts"),
        ("dyn cluster hints --watch", "see them being delivered"),
        ("dyn cluster hints --deliver-now", "have all nodes try at once; exit 8 if some still wait"),
    ],
    exits=[5, 7, 8],
    risky=["--deliver-now"],
    see=["cluster views", "cluster status"],
)
def hints(
    call: Call,
    deliver_now: Annotated[
        bool, typer.Option("--deliver-now", help="Have all nodes try to hand theirs over at once.")
    ] = False,
    at_most: Annotated[
        float | None,
        typer.Option("--for", metavar="S", parser=seconds_long, help="Deliver for so long at most; default 60."),
    ] = None,
    watch: Watch = False,
    interval: Interval = None,
) -> ExitStatus:
    """Rows that nodes keep for owners who missed them: how many, since when, and why each still waits.

    They are delivered by themselves once the owner answers; --deliver-now waits for no retry, but for clients, as ever.
    """
    view = View(_hints_screen, hint_rows, lambda d: list(d["held"]))
    every_s = watching.every(watch, interval)
    if deliver_now and every_s is not None:
        raise usage("--deliver-now tells how it ended, and --watch has no end", "Leave one away")
    if at_most is not None and not deliver_now:
        raise usage("--for says for how long to deliver", "Add --deliver-now, or leave it away")
    if deliver_now:
        return _deliver(call, at_most or WAIT_S)
    if every_s is not None:
        watching.watch(call, lambda wide: survey(wide.client, "HINTS"), view, every_s)
        return ExitStatus.OK
    document = survey(call.client, "HINTS")
    call.emit(document, view)
    if document["held"]:
        call.suggest("dyn cluster views", "dyn cluster status")
    return ExitStatus.OK


def _deliver(call: Call, at_most_s: float) -> ExitStatus:
    """Have them delivered, and tell what became of it. Exit 8 if some wait, or a node could not be asked."""
    from dynamo_cli.delivering import deliver

    document = deliver(call, at_most_s)
    call.emit(document, View(_delivered_screen, delivered_rows))
    if document["held"]:
        call.suggest("dyn cluster views", "dyn cluster hints --watch")
    return ExitStatus.UNHEALTHY if document["held"] or document["silent"] else ExitStatus.OK


def _delivered_screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.cluster import delivered_screen

    return delivered_screen(document)


def _hints_screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.cluster import hints_screen

    return hints_screen(document)


@command(
    "cluster views",
    panel="Cluster",
    examples=[
        ("dyn cluster views", "a row a node: how it sees each of the others"),
        ("dyn cluster views --watch", "in place, with what changes marked"),
        ("dyn cluster views -o plain", "a line a pair of nodes, for scripts"),
    ],
    exits=[5, 7],
    see=["cluster status", "cluster hints"],
)
def views(call: Call, watch: Watch = False, interval: Interval = None) -> ExitStatus:
    """Who believes what about whom. A node that does not answer another is down for that one, and for nobody else."""
    view = View(_views_screen, view_rows, lambda d: list(d["views"]))
    every_s = watching.every(watch, interval)
    if every_s is not None:
        watching.watch(call, lambda wide: survey(wide.client, "VIEWS"), view, every_s)
        return ExitStatus.OK
    document = survey(call.client, "VIEWS")
    call.emit(document, view)
    if not document["agree"]:
        call.suggest("dyn cluster status", "dyn cluster hints")
    return ExitStatus.OK


def _views_screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.cluster import views_screen

    return views_screen(document)
