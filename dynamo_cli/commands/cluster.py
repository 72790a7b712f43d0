"""`dyn cluster status`, `hints` and `views`: how the nodes are, what they keep for each other, who believes what."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli import watching
from dynamo_cli.arguments import choice, seconds_long
from dynamo_cli.asking import survey
from dynamo_cli.call import Call, Document, View
from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.render.plain import show
from dynamo_cli.render.rows import hint_rows, status_rows, view_rows
from dynamo_cli.watching import Interval, Watch

if TYPE_CHECKING:
    from rich.console import RenderableType

POLL_S = 0.25
"""Between two looks of `--wait`."""


@command(
    "cluster status",
    panel="Cluster",
    examples=[
        ("dyn cluster status", "every node, as every node sees it"),
        ("dyn cluster status --check", "exit 8 unless healthy, for scripts"),
        ("dyn cluster status --wait healthy --for 60", "wait for it, with the same exit code"),
        ("dyn cluster status --watch", "in place, with what changes marked; in a pipe add -o jsonl"),
    ],
    exits=[5, 7, 8],
    see=["cluster hints", "cluster views", "ring show"],
    completes={"wait": "healthy"},
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
    completes={"wait": "healthy"},
)
def status(
    call: Call,
    check: Annotated[bool, typer.Option("--check", help="Exit 8 unless the cluster is healthy.")] = False,
    wait: Annotated[
        str | None,
        typer.Option("--wait", metavar="healthy", parser=choice("healthy"), help="Wait until it is; exit 8 if not."),
    ] = None,
    at_most: Annotated[
        float, typer.Option("--for", metavar="S", parser=seconds_long, help="Wait this long; default 60.")
    ] = 60.0,
    watch: Watch = False,
    interval: Interval = None,
) -> ExitStatus:
    """Health, nodes and views of the cluster. A node that does not answer is shown, it never fails the command."""
    every_s = watching.every(watch, interval)
    if every_s is not None and wait:
        raise usage("--watch never ends, and --wait waits for an end", "Leave one away")
    if every_s is not None:
        document = watching.watch(call, lambda wide: survey(wide.client, "STATUS"), STATUS_VIEW, every_s)
    else:
        document = _await_health(call, at_most) if wait else survey(call.client, "STATUS")
        call.emit(document, STATUS_VIEW)
        call.suggest(*_next(document))
    unhealthy = document["health"] != "healthy"
    return ExitStatus.UNHEALTHY if unhealthy and (check or wait) else ExitStatus.OK


def _await_health(call: Call, at_most_s: float) -> Document:
    """Ask until the cluster is healthy or time is up; the last answer. An unreachable node is asked again too."""
    deadline = time.monotonic() + at_most_s
    while True:
        try:
            document = survey(call.client, "STATUS")
            if document["health"] == "healthy" or time.monotonic() >= deadline:
                return document
        except CliError as error:
            if error.status not in (ExitStatus.UNREACHABLE, ExitStatus.UNKNOWN) or time.monotonic() >= deadline:
                raise
        time.sleep(POLL_S)


def _status_screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.cluster import status_screen

    return status_screen(document, wide=wide)


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
    ],
    exits=[5, 7],
    see=["cluster views", "cluster status"],
)
def hints(call: Call, watch: Watch = False, interval: Interval = None) -> ExitStatus:
    """Rows that nodes keep for owners who missed them: how many, since when, and why each still waits."""
    view = View(_hints_screen, hint_rows, lambda d: list(d["held"]))
    every_s = watching.every(watch, interval)
    if every_s is not None:
        watching.watch(call, lambda wide: survey(wide.client, "HINTS"), view, every_s)
        return ExitStatus.OK
    document = survey(call.client, "HINTS")
    call.emit(document, view)
    if document["held"]:
        call.suggest("dyn cluster views", "dyn cluster status")
    return ExitStatus.OK


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
