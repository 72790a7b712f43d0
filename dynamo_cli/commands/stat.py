"""`dyn stat`: what the whole cluster does a second, a line an interval, for as long as one likes to look."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated

import typer

from dynamo_cli import watching
from dynamo_cli.arguments import count as whole
from dynamo_cli.call import Call, Document
from dynamo_cli.errors import usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.meter import Meter
from dynamo_cli.options import command
from dynamo_cli.panel import Panel
from dynamo_cli.render.flow import header, stat_line, stat_rows
from dynamo_cli.render.plain import csv_text, json_text, tsv_text

HEADER_LINES = 20
"""Lines after which the heading stands once more, on a terminal."""


@command(
    "stat",
    panel="Observe",
    examples=[
        ("dyn stat", "a line a second: requests, latencies, siblings, hints, repairs"),
        ("dyn stat --interval 10 --count 6", "one minute, in six lines"),
        ("dyn stat -o jsonl", "each node as well, an object a line, for programs"),
    ],
    exits=[5, 7],
    see=["top", "node stats", "slo"],
)
def stat(
    call: Call,
    interval: Annotated[
        float,
        typer.Option("--interval", metavar="S", parser=watching.interval, help="Seconds a line; default 1."),
    ] = watching.INTERVAL_S,
    count: Annotated[
        int | None, typer.Option("--count", metavar="N", parser=whole, help="End after N lines; default: Ctrl-C.")
    ] = None,
) -> ExitStatus:
    """Requests, latencies, siblings, hints and repairs of all nodes together, a line an interval.

    All from the nodes' own counters: percentiles are of the requests of the interval, of all nodes that answered.
    """
    if call.format == "value" or (call.format == "json" and count != 1):
        raise usage("what goes on has no end, which that format needs", "Choose -o jsonl or -o csv, or add --count 1")
    panel, meter, lines = Panel(call, wait_s=interval), Meter(), 0
    try:
        due = time.monotonic()
        meter.step(panel.look(), due, _now())
        while count is None or lines < count:
            due = max(due + interval, time.monotonic())
            watching.pause(max(0.0, due - time.monotonic()))
            panel.refresh()
            _print(call, meter.step(panel.look(), time.monotonic(), _now()), lines)
            lines += 1
    finally:
        panel.close()
    return ExitStatus.OK


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _print(call: Call, document: Document, lines: int) -> None:
    if call.format in ("json", "jsonl"):
        call.env.write(json_text(document))
    elif call.for_people:
        again = lines % HEADER_LINES == 0 if call.env.stdout_is_terminal else lines == 0
        call.env.write((header() if again else "") + stat_line(document))
    else:
        names, rows = stat_rows(document)
        text = csv_text if call.format == "csv" else tsv_text
        call.env.write(text(names, rows, header=call.options.header and lines == 0))
