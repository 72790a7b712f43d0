"""`dyn latency`: how long requests take, at every node: those of clients, as served, and the way from here and back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dynamo_cli import watching
from dynamo_cli.arguments import choice
from dynamo_cli.asking import Told
from dynamo_cli.board import now_text
from dynamo_cli.call import Call, Document, View
from dynamo_cli.errors import usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.panel import Panel
from dynamo_cli.pinging import Pings
from dynamo_cli.rates import OPERATIONS, SHARES, Between, between, merged, percentile_ms
from dynamo_cli.render.latency import history_header, history_line, latency_rows, operation_rows, operations_of
from dynamo_cli.render.plain import csv_text, json_text, tsv_text

if TYPE_CHECKING:
    from rich.console import RenderableType

HISTORY_S = 15.0
"""A line of --history, unless told otherwise (as redis-cli's)."""

HEADER_LINES = 20

BY = ("node", "op")


@command(
    "latency",
    panel="Observe",
    examples=[
        ("dyn latency", "of every node, in place; in a pipe: one second, and the end"),
        ("dyn latency --by op", "of all nodes together, a row a kind of request, with the slowest node"),
        ("dyn latency --history --interval 60", "a line a minute, of all nodes together"),
        ("dyn latency -o json | jq .total.get.p99", "for scripts"),
    ],
    exits=[5, 7],
    see=["stat", "slo", "bench"],
    completes={"by": " ".join(BY)},
)
def latency(
    call: Call,
    by: Annotated[
        str | None, typer.Option("--by", metavar="|".join(BY), parser=choice(*BY), help="Rows; default node.")
    ] = None,
    history: Annotated[bool, typer.Option("--history", help="A line an interval, of all nodes together.")] = False,
    interval: Annotated[
        float | None,
        typer.Option("--interval", metavar="S", parser=watching.interval, help="Default 1; with --history 15."),
    ] = None,
) -> ExitStatus:
    """Percentiles of round trips (ping) to every node from here, and of what each served its clients meanwhile.

    get, put and del are the nodes' own figures of real requests: no key of yours is read or written for it.
    """
    if history and call.format in ("json", "value"):
        raise usage("what goes on has no end, which that format needs", "Choose another: -o jsonl or -o plain")
    if history and by:
        raise usage("a line of --history is of all nodes and operations", "Leave --by or --history away")
    view = BY_OPERATION if by == "op" else VIEW
    every_s = interval or (HISTORY_S if history else watching.INTERVAL_S)
    meter = _Meter(call, every_s)
    try:
        if history:
            _history(call, meter, every_s)
        elif watching.in_place(call):
            watching.pause(every_s)
            watching.watch(call, lambda wide: meter.measure(), view, every_s)
        else:
            watching.pause(every_s)
            call.emit(meter.measure(), view)
    finally:
        meter.close()
    return ExitStatus.OK


def _history(call: Call, meter: _Meter, every_s: float) -> None:
    """A line an interval until Ctrl-C."""
    lines = 0
    while True:
        watching.pause(every_s)
        document = meter.measure()
        if call.format == "jsonl":
            call.env.write(json_text(document))
        elif call.for_people:
            call.env.write((history_header() if lines % HEADER_LINES == 0 else "") + history_line(document))
        else:
            names, rows = latency_rows(document)
            text = csv_text if call.format == "csv" else tsv_text
            call.env.write(text(names, rows, header=call.options.header and lines == 0))
        lines += 1


class _Meter:
    """Pings all nodes from its making on, and asks what they served, look by look."""

    def __init__(self, call: Call, every_s: float) -> None:
        self._call = call
        self._panel = Panel(call, wait_s=every_s)
        self._pings = Pings()
        self._follow()
        self._before = {each.node: each for each in self._panel.look()}
        self._at = time.monotonic()

    def _follow(self) -> None:
        timeout_s = self._call.options.timeout_s
        self._pings.follow(
            {
                name: (address, self._call.env.client_apart((address,), timeout_s))
                for name, address in self._panel.addresses.items()
            }
        )

    def close(self) -> None:
        """End."""
        self._pings.stop()
        self._panel.close()

    def measure(self) -> Document:
        """dyn.latency/v1: what came since the last look."""
        self._panel.refresh()
        self._follow()
        told, pings = self._panel.look(), self._pings.take()
        now = time.monotonic()
        over_s, self._at = now - self._at, now
        pieces = {each.node: self._between(each, over_s) for each in told}
        self._before = {each.node: each for each in told}
        rows = [_row(each, pieces[each.node], *pings.get(each.node, ([], "not asked yet"))) for each in told]
        served = [piece for piece in pieces.values() if piece is not None]
        total: Document = {"ping": _of([ms for samples, _ in pings.values() for ms in samples])}
        total |= {operation: _served(served, operation) for operation in OPERATIONS}
        return {"schema": "dyn.latency/v1", "at": now_text(), "over_s": round(over_s, 3), "total": total, "nodes": rows}

    def _between(self, told: Told, over_s: float) -> Between | None:
        before = self._before.get(told.node)
        return between(before.document, told.document, over_s) if before is not None else None


def _row(told: Told, piece: Between | None, pings_ms: list[float], silent: str) -> Document:
    row: Document = {"node": told.node, "ping": _of(pings_ms)}
    for operation in OPERATIONS:
        row[operation] = None if piece is None else _served([piece], operation)
    why = told.error.message if told.error is not None else silent if silent and not pings_ms else None
    return {**row, "unknown_because": why}


def _of(samples_ms: list[float]) -> Document:
    """Percentiles of round trips, each the smallest that so many do not exceed."""
    ordered = sorted(samples_ms)
    found: dict[str, Any] = {"samples": len(ordered)}
    for name, share in (*SHARES, ("max", 1.0)):
        rank = max(1, -int(-share * len(ordered) // 1))
        found[name] = round(ordered[rank - 1], 4) if ordered else None
    return found


def _served(pieces: list[Between], operation: str) -> Document:
    """The same of what nodes served, from their histograms: within the width of a bucket, 6 %."""
    samples = merged([piece.histogram for piece in pieces], (operation,))
    shares = {name: percentile_ms(samples, share) for name, share in (*SHARES, ("max", 1.0))}
    return {"samples": samples.total(), **shares}


def _screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.latency import latency_screen

    return latency_screen(document)


VIEW = View(_screen, latency_rows, lambda d: list(d["nodes"]))


def _operations_screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.latency import operations_screen

    return operations_screen(document)


BY_OPERATION = View(_operations_screen, operation_rows, operations_of)
