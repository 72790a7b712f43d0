"""`dyn import`: what `dyn export` wrote put into a cluster. Nothing that is there already is replaced in silence."""

from __future__ import annotations

import os
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, NamedTuple

import typer

from dynamo_cli import store
from dynamo_cli.arguments import choice, count, text
from dynamo_cli.call import Call, Document, View
from dynamo_cli.commands.export import Format, Rate
from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.incoming import Incoming
from dynamo_cli.jsonl import BadLine, Counts, Entry
from dynamo_cli.options import command
from dynamo_cli.progress import progress
from dynamo_cli.render.carried_rows import import_rows
from dynamo_cli.render.plain import encode, quoted, shell_word, show
from dynamo_cli.store import Reading
from dynamo_cli.windows import Pace, Words, ask_many, get_many, windows
from node.core.limits_backup import RESTORE_ROWS

if TYPE_CHECKING:
    from rich.console import RenderableType

SKIP, REPLACE, BESIDE = POLICIES = ("skip", "replace", "beside")
CONTEXT = "context"
"""What --with-ctx is in place of those."""

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
        ("dyn import more.csv --format csv --rate 200", "columns key and value, at most 200 keys a second"),
        ("dyn -n :7700 export | dyn -n :8700 import -", "from one cluster into another"),
    ],
    exits=[4, 5, 6, 7],
    see=["export", "node data restore"],
    completes={"file": "files", "existing": "skip replace beside", "form": "jsonl csv", "begins": "keys"},
)
def import_keys(
    call: Call,
    file: Annotated[str, typer.Argument(metavar="FILE|-", parser=text, help="What dyn export wrote; - is stdin.")],
    existing: Annotated[
        str | None,
        typer.Option(
            "--existing",
            metavar="|".join(POLICIES),
            parser=choice(*POLICIES),
            help="Keys that have other values: leave them alone (default), replace, or add as siblings.",
        ),
    ] = None,
    form: Format = "jsonl",
    begins: Annotated[
        bytes, typer.Option("--prefix", metavar="PREFIX", parser=os.fsencode, help="Only keys that begin so.")
    ] = b"",
    with_ctx: Annotated[
        bool, typer.Option("--with-ctx", help="Replace what the file's contexts cover, and nothing newer.")
    ] = False,
    per_s: Rate = None,
    resume: Annotated[
        int | None,
        typer.Option("--resume", metavar="LINE", parser=count, help="Go on at this line: the one that an error named."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and compare only; write nothing.")] = False,
) -> ExitStatus:
    """Put the keys of an export. Siblings stay siblings; a key that has exactly these values is not written again.

    A key that exists with other values is left alone and named, unless --existing says what shall become of it: replace
    covers what a read shows now (what others write meanwhile stays, as a sibling), beside adds the values that the key
    lacks. With --with-ctx values replace what the export read, in the cluster that it is of: what was written since
    stays, as a sibling. Every value is a new write, of now and by you. It may be repeated, and cut off at any time.
    """
    if with_ctx and existing is not None:
        raise usage("--with-ctx says what is replaced, and so does --existing", "Choose one of the two")
    order = Order(file, CONTEXT if with_ctx else existing or SKIP, form, begins, per_s, dry_run)
    report, broken = Report(), None
    with ExitStack() as stack:
        source, size = _open(call, file, stack)
        show_done = stack.enter_context(progress(call, "import", size)) if size else lambda done: None
        checked = Incoming(source, resume or 1, show_done, csv=form == "csv")
        try:
            _import_all(call, order, checked, report, near=RESTORE_ROWS if resume else 0)
        except BadLine as error:
            broken = error
    call.emit(_document(order, checked.counts, report), View(_screen, import_rows))
    if broken is not None:
        broken.hint = "What stands before it was imported" if not dry_run else ""
        if form == "jsonl" and checked.header is None:
            broken.hint = "If it is csv: --format csv"
        raise broken
    if not checked.complete:
        message = f"{show(file)} has no last line: its export was cut off" + (
            "" if dry_run else ". What it holds was imported"
        )
        raise CliError(ExitStatus.FAILURE, message, "Finish it: dyn export --to FILE --resume")
    if report.counts["failed"]:
        return ExitStatus.FAILURE
    return ExitStatus.CONFLICT if report.counts["left"] else ExitStatus.OK


class Order(NamedTuple):
    """What is to be imported, and how: `existing` is one of POLICIES, or CONTEXT."""

    file: str
    existing: str
    form: str
    begins: bytes
    per_s: float | None
    dry_run: bool

    def again(self, line: int) -> str:
        """The command that goes on at a line."""
        words = ["dyn import", shell_word(self.file.encode())]
        words += ["--format csv"] if self.form == "csv" else []
        words += ["--with-ctx"] if self.existing == CONTEXT else []
        words += [f"--existing {self.existing}"] if self.existing in (REPLACE, BESIDE) else []
        words += [f"--prefix {shell_word(self.begins)}"] if self.begins else []
        return " ".join([*words, f"--resume {line}"])


def _import_all(call: Call, order: Order, checked: Incoming, report: Report, *, near: int) -> None:
    """Import window by window. Raises BadLine behind what stands before that line."""
    pace = Pace(order.per_s)
    wanted = (entry for entry in checked.entries() if entry.key.startswith(order.begins))
    for window in windows(wanted, lambda entry: entry.size_bytes, lambda entry: entry.key, pace.window):
        if order.existing == CONTEXT and not any(report.counts.values()):
            _check_contexts(call, checked)
        pace.wait(len(window))
        _import(call, order, window, report, near=near)
        near = max(0, near - len(window))


def _check_contexts(call: Call, checked: Incoming) -> None:
    """Raise for a file without contexts, or with those of another cluster, before anything is written."""
    if not checked.contexts:
        raise usage("the file has no contexts", "Write one that has: dyn export --with-ctx")
    if checked.header is not None:
        here = str(store.document(call.client, "STATUS")["cluster_id"])
        if here != checked.header.cluster_id:
            message = f"its contexts are of cluster {show(checked.header.cluster)}, and this is another one"
            raise CliError(ExitStatus.REFUSED, message, "Leave --with-ctx away")


def _open(call: Call, file: str, stack: ExitStack) -> tuple[BinaryIO, int]:
    """The file, and its size for the progress bar (0: unknown)."""
    if file == "-":
        return call.env.stdin.buffer, 0
    try:
        opened = stack.enter_context(closing(Path(file).open("rb")))  # noqa: SIM115  # the stack does
        return opened, os.fstat(opened.fileno()).st_size
    except OSError as error:
        raise CliError(ExitStatus.NOT_FOUND, f"cannot read {show(file)}: {error.strerror}") from None


# One window -------------------------------------------------------------------------------------------


def _import(call: Call, order: Order, window: list[Entry], report: Report, *, near: int) -> None:
    """Import a window. Raises CliError for what ends the import, and says at which line to go on."""
    try:
        _write(call, _decided(call, window, order.existing, report, near=near), report, dry_run=order.dry_run)
    except CliError as error:
        error.message = f"line {window[0].number}: {error.message}"
        error.hint = f"Go on: {order.again(window[0].number)}"
        raise


def _decided(call: Call, window: list[Entry], existing: str, report: Report, *, near: int) -> list[Step]:
    """Read the keys of a window, and decide about each. An import that was cut off may have begun the first `near`."""
    steps = []
    readings = get_many(call.client, [entry.key for entry in window])
    for at, (entry, reading) in enumerate(zip(window, readings, strict=True)):
        if isinstance(reading, CliError):
            _fail(entry, reading, report)
        else:
            steps.append(decide(entry, reading, existing, cut_off=at < near))
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
    if existing == CONTEXT and entry.context == reading.context:
        return Step(entry, "replaced", entry.context, entry.values)
    if existing == CONTEXT:  # what was written since stays; what of it is of the file is not written twice
        return Step(entry, "added" if lacking else "same", entry.context, tuple(lacking))
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


def _document(order: Order, counts: Counts, report: Report) -> Document:
    left = [dict(zip(("key", "enc"), encode(key), strict=True)) for key in report.left]
    failed = [{**dict(zip(("key", "enc"), encode(key), strict=True)), "why": why} for key, why in report.failed]
    return {
        "schema": "dyn.import/v1", "file": order.file, "keys": counts.keys, "existing": order.existing,
        "dry_run": order.dry_run,
        **report.counts, "passed_over": counts.keys - sum(report.counts.values()),
        "left_keys": left, "failed_keys": failed,
    }  # fmt: skip


def _screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.carried import import_screen

    return import_screen(document)
