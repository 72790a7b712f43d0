"""`dyn slo`: whether the cluster keeps what the Dynamo paper reports of Dynamo, from what its nodes count."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli import watching
from dynamo_cli.arguments import seconds_long
from dynamo_cli.asking import Told
from dynamo_cli.call import Call, Document, View
from dynamo_cli.errors import usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.objectives import all_met, judged
from dynamo_cli.options import command
from dynamo_cli.panel import Panel
from dynamo_cli.rates import Between, between, since_start
from dynamo_cli.render.slo import slo_rows
from dynamo_cli.watching import Interval, Watch

if TYPE_CHECKING:
    from rich.console import RenderableType


@command(
    "slo",
    panel="Observe",
    examples=[
        ("dyn slo", "latency, divergence, balance and availability since the nodes started"),
        ("dyn slo --for 60 --check", "of one minute from now; exit 8 if one is missed"),
        ("dyn slo --watch", "in place; from when the watch began"),
    ],
    exits=[5, 7, 8],
    see=["stat", "bench", "ring show"],
)
def slo(
    call: Call,
    span: Annotated[
        float | None,
        typer.Option("--for", metavar="S", parser=seconds_long, help="Measure from now; default since the start."),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Exit 8 if one is missed.")] = False,
    watch: Watch = False,
    interval: Interval = None,
) -> ExitStatus:
    """Hold the cluster to the figures that the paper reports: each objective with its value, verdict and section.

    p99.9 under 300 ms (2.2), 99.94 % of reads find one version (6.3), no node more than 15 % off the mean (6.2),
    99.9995 % of requests served (6.6). What there were too few requests to tell is neither kept nor missed.
    """
    every_s = watching.every(watch, interval)
    if every_s is not None and span is not None:
        raise usage("--for measures once, and --watch goes on", "Leave one away")
    panel, view = Panel(call), View(_screen, slo_rows, lambda d: list(d["objectives"]))
    try:
        begun = _Begun(panel) if span is not None or every_s is not None else None
        if begun is not None and every_s is not None:
            watching.pause(every_s)
            document = watching.watch(call, lambda wide: begun.measure(), view, every_s)
        else:
            if begun is not None and span is not None:
                watching.pause(span)
            document = begun.measure() if begun is not None else _document(panel.look(), None, 0.0)
            call.emit(document, view)
    finally:
        panel.close()
    return ExitStatus.UNHEALTHY if check and document["met"] is False else ExitStatus.OK


class _Begun:
    """What the nodes said at the beginning of a measurement."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self._told = {each.node: each for each in panel.look()}
        self._at = time.monotonic()

    def measure(self) -> Document:
        """What they did since."""
        self._panel.refresh()
        told = self._panel.look()
        return _document(told, self._told, time.monotonic() - self._at)


def _document(told: list[Told], before: dict[str, Told] | None, over_s: float) -> Document:
    """dyn.slo/v1, of what the nodes did since `before`, or since their start."""
    nodes: dict[str, Between] = {}
    for each in told:
        began = before.get(each.node) if before is not None else None
        piece = between(began.document, each.document, over_s) if began is not None else None
        if before is None:
            piece = since_start(each.document)
        if piece is not None:
            nodes[each.node] = piece
    objectives = judged(nodes)
    longest_s = max((piece.seconds for piece in nodes.values()), default=None)
    return {
        "schema": "dyn.slo/v1",
        "met": all_met(objectives),
        "since_start": before is None,
        "over_s": None if longest_s is None else round(longest_s, 1),
        "members": len(told),
        "answered": len(nodes),
        "objectives": objectives,
        "silent": [
            {"node": each.node, "because": each.error.message if each.error else "it was started meanwhile"}
            for each in told
            if each.node not in nodes
        ],
    }


def _screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.slo import slo_screen

    return slo_screen(document)
