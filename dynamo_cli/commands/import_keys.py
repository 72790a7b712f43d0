"""`dyn import`: what `dyn export` wrote put into a cluster. Nothing that is there already is replaced in silence."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, NamedTuple

import typer

from dynamo_cli.arguments import choice, count, text
from dynamo_cli.call import Call, Document, View
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.jsonl import BadLine, Counts, Entry, Header, lines_of, read_line
from dynamo_cli.options import command
from dynamo_cli.progress import progress
from dynamo_cli.render.carried_rows import import_rows
from dynamo_cli.render.plain import encode, quoted, shell_word, show
from dynamo_cli.store import Reading
from dynamo_cli.windows import Words, ask_many, get_many, windows
from node.core.limits_backup import RESTORE_ROWS

if TYPE_CHECKING:
    from rich.console import RenderableType

SKIP, REPLACE, BESIDE = POLICIES = ("skip", "replace", "beside")

NAMED_MAX = 10
"""Keys that a report names of each sort."""

ITS_OWN = frozenset(("TOOBIG", "TOOMANYSIBLINGS", "ERR", "BADCONTEXT"))
"""Errors of one key: the others are imported all the same. Any other error ends the import."""


class Report:
    """What became of the keys: counts, and the first names of those that were left alone or could not be written."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(("new", "same", "added", "replaced", "left", "failed"), 0)
        self.left: list[bytes] = []
        self.failed: list[tuple[bytes, str]] = []

    def note(self, what: str) -> None:
        """One key more."""
        self.counts[what] += 1


class Step(NamedTuple):
    """What is to be done about one key: its report's word, and the values to put over `context`."""

    entry: Entry
    what: str
    context: bytes
    values: tuple[bytes, ...]


@command(
    "import",
    panel="Data",
    danger="mild",
    guarded=True,
    examples=[
        ("dyn import all.jsonl", "keys that exist with other values are left alone, and named (exit 4)"),
        ("dyn import all.jsonl --existing replace", "the file's values in the place of what is there"),
        ("dyn import all.jsonl --dry-run", "what would be done, and nothing is"),
        ("dyn -n :7700 export | dyn -n :8700 import -", "from one cluster into another"),
    ],
    exits=[4, 5, 6, 7],
    see=["export", "node data restore"],
    completes={"file": "files", "existing": "skip replace beside"},
)
def import_keys(
    call: Call,
    file: Annotated[str, typer.Argument(metavar="FILE|-", parser=text, help="What dyn export wrote; - is stdin.")],
    existing: Annotated[
        str,
        typer.Option(
            "--existing",
            metavar="|".join(POLICIES),
            parser=choice(*POLICIES),
            help="Keys that have other values: leave them alone (default), replace, or add as siblings.",
        ),
    ] = SKIP,
    resume: Annotated[
        int | None,
        typer.Option("--resume", metavar="LINE", parser=count, help="Go on at this line: the one that an error named."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and compare only; write nothing.")] = False,
) -> ExitStatus:
    """Put the keys of an export. Siblings stay siblings; a key that has exactly these values is not written again.

    A key that exists with other values is left alone and named, unless --existing says what shall become of it: replace
    covers what a read shows now (what others write meanwhile stays, as a sibling), beside adds the values that the key
    lacks. Every value is a new write, of now and by you. It may be repeated, and cut off at any time.
    """
    report, broken = Report(), None
    with ExitStack() as stack:
        source, size = _open(call, file, stack)
        show_done = stack.enter_context(progress(call, "import", size)) if size else lambda done: None
        checked = _Checked(source, resume or 1, show_done)
        near = resume + RESTORE_ROWS if resume else 0
        try:
            for window in windows(checked.entries(), lambda entry: entry.size_bytes, lambda entry: entry.key):
                _import(call, file, window, existing, report, near=near, dry_run=dry_run)
        except BadLine as error:
            broken = error
    document = _document(file, checked.counts, existing, report, dry_run=dry_run)
    call.emit(document, View(_screen, import_rows))
    if broken is not None:
        broken.hint = "What stands before it was imported" if not dry_run else ""
        raise broken
    if not checked.complete:
        message = f"{show(file)} has no last line: its export was cut off. What it holds was imported"
        raise CliError(ExitStatus.FAILURE, message, "Finish it: dyn export --to FILE --resume")
    if report.counts["failed"]:
        return ExitStatus.FAILURE
    return ExitStatus.CONFLICT if report.counts["left"] else ExitStatus.OK


def _open(call: Call, file: str, stack: ExitStack) -> tuple[BinaryIO, int]:
    """The file, and its size for the progress bar (0: unknown)."""
    if file == "-":
        return call.env.stdin.buffer, 0
    try:
        opened = stack.enter_context(closing(Path(file).open("rb")))  # noqa: SIM115  # the stack does
        return opened, os.fstat(opened.fileno()).st_size
    except OSError as error:
        raise CliError(ExitStatus.NOT_FOUND, f"cannot read {show(file)}: {error.strerror}") from None


class _Checked:
    """The entries of a file from line `first` on. What the file says of itself is held to what it has."""

    def __init__(self, source: BinaryIO, first: int, show_done: Callable[[float], None]) -> None:
        self.counts = Counts()
        self.complete = False
        self._source = source
        self._first = first
        self._show_done = show_done

    def entries(self) -> Iterator[Entry]:
        """Yield them. Raises BadLine."""
        size_bytes = 0
        for number, line in lines_of(self._source):
            if self.complete:
                raise BadLine(number, "it stands after the end of one")
            found = read_line(number, line)
            if (number == 1) != isinstance(found, Header):
                raise BadLine(number, "the first line says what it is, and no other")
            if isinstance(found, Counts):
                if found != self.counts:
                    raise BadLine(number, f"it counts {found.keys} keys, and {self.counts.keys} were there")
                self.complete = True
            elif isinstance(found, Entry):
                self.counts = self.counts.with_entry(found)
                if number >= self._first:
                    yield found
            size_bytes += len(line)
            self._show_done(size_bytes)


# One window -------------------------------------------------------------------------------------------


def _import(
    call: Call, file: str, window: list[Entry], existing: str, report: Report, *, near: int, dry_run: bool
) -> None:
    """Import a window. Raises CliError for what ends the import, and says at which line to go on."""
    try:
        _write(call, _decided(call, window, existing, report, near=near), report, dry_run=dry_run)
    except CliError as error:
        error.message = f"line {window[0].number}: {error.message}"
        error.hint = f"Go on: dyn import {shell_word(file.encode())} --resume {window[0].number}"
        raise


def _decided(call: Call, window: list[Entry], existing: str, report: Report, *, near: int) -> list[Step]:
    """Read the keys of a window, and decide about each."""
    steps = []
    for entry, reading in zip(window, get_many(call.client, [entry.key for entry in window]), strict=True):
        if isinstance(reading, CliError):
            _fail(entry, reading, report)
        else:
            steps.append(decide(entry, reading, existing, cut_off=entry.number < near))
    return steps


def _write(call: Call, steps: list[Step], report: Report, *, dry_run: bool) -> None:
    """Write what was decided, and note what became of it."""
    requests: list[Words] = [
        ("DYN.PUT", step.entry.key, step.context, value, *call.client.timeout_words)
        for step in steps
        for value in step.values
    ]
    replies = iter([] if dry_run else ask_many(call.client, requests, writes=True))
    for step in steps:
        errors = [reply for _, reply in zip(step.values, replies, strict=False) if isinstance(reply, CliError)]
        if errors:
            _fail(step.entry, errors[0], report)
            continue
        report.note(step.what)
        if step.what == "left" and len(report.left) < NAMED_MAX:
            report.left.append(step.entry.key)


def decide(entry: Entry, reading: Reading, existing: str, *, cut_off: bool) -> Step:
    """What becomes of one key. `cut_off`: an import that was cut off may have written some of its values already."""
    held = sorted(version.value for version in reading.live if version.value is not None)
    wanted = sorted(entry.values)
    if held == wanted:
        return Step(entry, "same", b"", ())
    if not held:
        return Step(entry, "new", reading.context, entry.values)
    lacking = list(entry.values)
    for value in held:
        if value in lacking:
            lacking.remove(value)
    ours = len(lacking) == len(wanted) - len(held)  # all that it has is of the file
    if existing == REPLACE:
        return Step(entry, "replaced", reading.context, entry.values)
    if existing == BESIDE or (cut_off and ours):
        return Step(entry, "added" if lacking else "same", b"", tuple(lacking))
    return Step(entry, "left", b"", ())


def _fail(entry: Entry, error: CliError, report: Report) -> None:
    """Note an error that is the key's own; raise any other."""
    if error.code not in ITS_OWN:
        error.message = f"{quoted(entry.key)}: {error.message}"
        raise error
    report.note("failed")
    if len(report.failed) < NAMED_MAX:
        report.failed.append((entry.key, error.message))


def _document(file: str, counts: Counts, existing: str, report: Report, *, dry_run: bool) -> Document:
    left = [dict(zip(("key", "enc"), encode(key), strict=True)) for key in report.left]
    failed = [{**dict(zip(("key", "enc"), encode(key), strict=True)), "why": why} for key, why in report.failed]
    return {
        "schema": "dyn.import/v1", "file": file, "keys": counts.keys, "existing": existing, "dry_run": dry_run,
        **report.counts, "left_keys": left, "failed_keys": failed,
    }  # fmt: skip


def _screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.carried import import_screen

    return import_screen(document)
