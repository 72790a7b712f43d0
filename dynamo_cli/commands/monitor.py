"""`dyn monitor`: requests as they end, of all nodes, never more of them than one wants to see."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated

import typer

from dynamo_cli import watching
from dynamo_cli.arguments import count as whole
from dynamo_cli.arguments import seconds_long, text
from dynamo_cli.call import Call, Document
from dynamo_cli.ear import Ear
from dynamo_cli.errors import usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.panel import Panel
from dynamo_cli.render.plain import csv_text, json_text, tsv_text
from dynamo_cli.render.requests import request_line, request_rows

LOOK_S = 0.5
"""Between two questions to a node, which keeps what comes meanwhile."""

RATE = 100
RATE_MAX = 1000
OPERATIONS = ("get", "put", "del")


def rate(word: str | int) -> int:
    """So many a second: `100/s`, or `100`."""
    number = whole(str(word).removesuffix("/s"))
    if number > RATE_MAX:
        raise ValueError(f"{word!r} is more than {RATE_MAX}/s, which nobody can read")
    return number


def operations(word: str) -> str:
    """Some of get, put, del, with commas."""
    if wrong := [name for name in word.split(",") if name not in OPERATIONS]:
        raise ValueError(f"{wrong[0]!r} is none of {', '.join(OPERATIONS)}")
    return ",".join(dict.fromkeys(word.split(",")))


@command(
    "monitor",
    panel="Observe",
    examples=[
        ("dyn monitor", f"at most {RATE} requests a second, the others counted"),
        ("dyn monitor --key 'cart:*' --op put,del", "writes of some keys only"),
        ("dyn monitor --for 10 -o jsonl", "ten seconds, an object a line"),
    ],
    exits=[5, 7],
    see=["hot", "stat", "key explain"],
)
def monitor(
    call: Call,
    key: Annotated[
        str, typer.Option("--key", metavar="PATTERN", parser=text, help="Only of keys like it: *, ?, [a-c].")
    ] = "*",
    op: Annotated[
        str, typer.Option("--op", metavar="get,put,del", parser=operations, help="Only these; default all.")
    ] = ",".join(OPERATIONS),
    most: Annotated[
        int, typer.Option("--rate", metavar="N/s", parser=rate, help=f"At most so many; default {RATE}/s.")
    ] = RATE,
    span: Annotated[
        float | None, typer.Option("--for", metavar="S", parser=seconds_long, help="End after S; default: Ctrl-C.")
    ] = None,
) -> ExitStatus:
    """Show clients' requests as they end, at every node: when, where, which key, what came of it, how long it took.

    While nobody listens nothing is kept and it costs nothing; a listener that is gone is forgotten within seconds.
    """
    if call.format in watching.ENDLESS and call.format != "csv":
        raise usage("what goes on has no end, which that format needs", "Choose another: -o jsonl or -o plain")
    panel = Panel(call)
    ear = _Listening(call, Ear(panel, call.note, key, op, rate=most), most)
    ends_at = None if span is None else time.monotonic() + span
    try:
        ear.listen()
        while ends_at is None or time.monotonic() < ends_at:
            left = LOOK_S if ends_at is None else min(LOOK_S, max(0.0, ends_at - time.monotonic()))
            watching.pause(left)
            panel.refresh()
            ear.listen()
    finally:
        panel.close()
    return ExitStatus.OK


class _Listening:
    """Prints what an ear hears."""

    def __init__(self, call: Call, ear: Ear, rate: int) -> None:
        self._call = call
        self._ear = ear
        self._rate = rate
        self._printed = False

    def listen(self) -> None:
        """Ask all nodes once."""
        heard = self._ear.listen()
        self._print(heard.requests)
        if heard.dropped:
            self._call.note(f"… {heard.dropped:,} more, above {self._rate}/s: --rate, --key and --op choose")

    def _print(self, requests: Sequence[Document]) -> None:
        call = self._call
        if call.format == "jsonl":
            call.env.write("".join(json_text({"schema": "dyn.monitor.request/v1", **row}) for row in requests))
        elif call.for_people:
            columns = None if call.format == "wide" else call.env.columns()
            call.env.write("".join(request_line(row, columns) for row in requests))
        else:
            names, rows = request_rows(requests)
            written = csv_text if call.format == "csv" else tsv_text
            call.env.write(written(names, rows, header=call.options.header and not self._printed))
        self._printed = True
