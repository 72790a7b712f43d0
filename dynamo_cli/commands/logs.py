"""`dyn node logs`: the log of a node on this machine, wherever it writes it, by level and time, or as it goes on."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli import running
from dynamo_cli.arguments import count, text
from dynamo_cli.call import Call, Document, View
from dynamo_cli.commands.events import Level, Since
from dynamo_cli.commands.process import ClientOf
from dynamo_cli.doctor.hear import info_of
from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.loglines import Filter, Line, parsed
from dynamo_cli.options import command
from dynamo_cli.render.logs import log_rows
from node.words import LEVELS

if TYPE_CHECKING:
    from rich.console import RenderableType

LAST = 50
"""Lines that are shown without a number or a time."""

BYTES_MAX = 4 << 20
"""As much of the end of a log is looked through."""

FOLLOW_S = 0.5
"""Between two looks of `--follow`."""


@command(
    "node logs",
    panel="Node",
    examples=[
        ("dyn node logs n3", f"its last {LAST} lines"),
        ("dyn node logs n3 --level warn --since 1h", "what went wrong in the last hour"),
        ("dyn node logs -f", "as it goes on, of the node that is asked"),
        ("dyn node logs --file n3.log", "of a node that is not there"),
    ],
    exits=[3, 5, 9],
    see=["cluster events", "node stats", "debug bundle"],
    completes={"node": "names", "file": "files", "level": " ".join(LEVELS)},
)
def node_logs(
    call: Call,
    node: Annotated[
        str | None, typer.Argument(metavar="[NODE]", parser=text, help="A node by its name; default: the one asked.")
    ] = None,
    file: Annotated[
        str | None, typer.Option("--file", metavar="FILE", parser=text, help="Read this; no node is asked.")
    ] = None,
    last: Annotated[
        int | None,
        typer.Option("--last", metavar="N", parser=count, help=f"The last N; default {LAST}, with --since all."),
    ] = None,
    since: Since = None,
    level: Level = LEVELS[0],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on, with what comes, until Ctrl-C.")] = False,
) -> ExitStatus:
    """Show the log of a node of this machine, if it writes it into a file.

    A node writes its log to standard error; this finds out where that leads. A unit of systemd has its in the journal.
    """
    if follow and call.format in ("json", "csv", "value"):
        raise usage("what goes on has no end, which that format needs", "Choose another: -o jsonl or -o plain")
    if file is not None and node is not None:
        raise usage("a log is of a node or in a --file, not both", "Leave one away")
    name, path = (file, Path(file).expanduser()) if file is not None else _found(call, node)
    begin = None if since is None else datetime.now(UTC) - timedelta(seconds=since)
    tail, wanted = Tail(path), Filter(level=level, since=begin)
    lines = list(wanted(map(parsed, tail.more())))
    most = len(lines) if last is None and since is not None else last or LAST
    call.emit(_document(name, path, lines[len(lines) - most if len(lines) > most else 0 :]), VIEW)
    if follow:
        quiet = Call(call.env, call.options._replace(header=False))
        while True:
            time.sleep(FOLLOW_S)
            fresh = list(wanted(map(parsed, tail.more())))
            if fresh:
                quiet.emit(_document(name, path, fresh), VIEW)
    return ExitStatus.OK


def _found(call: Call, node: str | None) -> tuple[str, Path]:
    """The log of a node that answers, and its name. Raises CliError."""
    with ClientOf(call, node) as client:
        info = info_of(client)
        name = info.get("node", node or "?")
        found = running.log_of(client.address, info.get("process_id", ""))
    if isinstance(found, str):
        raise CliError(
            ExitStatus.REFUSED, f"{name} has no log that can be read here: {found}", "What it noted: dyn cluster events"
        )
    return name, found


class Tail:
    """The lines of a file that grows, and may be begun anew."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at: int | None = None
        self._inode = 0
        self._begun = b""

    def more(self) -> Iterator[str]:
        """The complete lines since the last call; at first those at the end of the file. Raises CliError."""
        try:
            with self._path.open("rb") as source:
                status = os.fstat(source.fileno())
                if self._at is None:
                    self._at, self._inode = max(0, status.st_size - BYTES_MAX), status.st_ino
                    source.seek(self._at)
                    self._at += len(source.readline() if self._at else b"")  # cut in its middle
                elif status.st_ino != self._inode or status.st_size < self._at:
                    self._at, self._inode, self._begun = 0, status.st_ino, b""
                source.seek(self._at)
                data = self._begun + source.read(BYTES_MAX)
                self._at = source.tell()
        except OSError as error:
            raise CliError(ExitStatus.NOT_FOUND, f"cannot read the log {self._path}: {error.strerror}") from None
        *complete, self._begun = data.split(b"\n")
        yield from (line.decode(errors="replace") for line in complete)


def _document(name: str, path: Path, lines: list[Line]) -> Document:
    return {"schema": "dyn.node.logs/v1", "node": name, "file": str(path), "lines": [line._asdict() for line in lines]}


def _screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.logs import log_screen

    return log_screen(document)


VIEW = View(_screen, log_rows, lambda d: list(d["lines"]))
