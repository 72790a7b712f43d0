"""`dyn export`: the keys of a cluster and all their values as JSON lines or csv, page by page."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, NamedTuple

import typer

from dynamo_cli import csvrows, store
from dynamo_cli.arguments import choice, rate, text
from dynamo_cli.call import Call, Document, View
from dynamo_cli.commands.keys import Prefix, one_prefix
from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.jsonl import BadLine, Counts, Entry, Header, lines_of, read_line
from dynamo_cli.options import command
from dynamo_cli.progress import progress
from dynamo_cli.render.carried_rows import export_rows
from dynamo_cli.render.plain import exact, shell_word, show
from dynamo_cli.windows import Pace, get_many, patiently
from node.core.ids import scan_position

if TYPE_CHECKING:
    from rich.console import RenderableType

ALL = 2**64
"""Positions that a cursor may have."""


Format = Annotated[
    str,
    typer.Option("--format", metavar="jsonl|csv", parser=choice("jsonl", "csv"), help="What a file is; default jsonl."),
]
Rate = Annotated[float | None, typer.Option("--rate", metavar="N", parser=rate, help="At most N keys a second.")]


class Manner(NamedTuple):
    """How an export is written, and how many keys a second are read."""

    csv: bool
    per_s: float | None


class Begun(NamedTuple):
    """What an export that was cut off has: up to which key, what its lines come to, and how many bytes they are."""

    last: bytes | None
    counts: Counts
    size_bytes: int
    complete: bool


@command(
    "export",
    panel="Data",
    examples=[
        ("dyn export > all.jsonl", "every key with all its values"),
        ("dyn export cart: --to carts.jsonl", "keys that begin with cart:, with a progress bar"),
        ("dyn export --to all.jsonl --resume", "go on with one that was cut off"),
        ("dyn export cart: --format csv", "key, encoding and value in columns; siblings are rows of one key"),
    ],
    exits=[5, 6, 7, 9],
    see=["import", "node data backup"],
    completes={"prefix": "keys", "begins": "keys", "to": "files", "form": "jsonl csv"},
)
def export(
    call: Call,
    prefix: Annotated[bytes, typer.Argument(metavar="[PREFIX]", parser=os.fsencode, help="Only keys like this.")] = b"",
    to: Annotated[
        str | None, typer.Option("--to", metavar="FILE", parser=text, help="Write a new file; default standard output.")
    ] = None,
    begins: Prefix = b"",
    form: Format = "jsonl",
    with_ctx: Annotated[bool, typer.Option("--with-ctx", help="With the causal context of each key.")] = False,
    per_s: Rate = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the file of --to after its last whole line.")] = (
        False
    ),
) -> ExitStatus:
    """Write keys and all their values (siblings too) as JSON lines: dyn import reads them, in this or another cluster.

    Each key is read as dyn get reads it, one after the other in the order of their hashes: what is written meanwhile
    may be in it or not. Clocks are not. The last line says that it is complete; csv has no such line, so a csv that was
    cut off can be neither told from a whole one nor gone on with.
    """
    if resume and to is None:
        raise usage("--resume needs the file to go on with", "Name it: --to FILE")
    if resume and form == "csv":
        raise usage("a csv does not say how far it is", "Begin anew, or export JSON lines")
    prefix = one_prefix(prefix, begins)
    status = store.document(call.client, "STATUS")
    header = Header(str(status["cluster"]), str(status["cluster_id"]), prefix, with_ctx)
    manner = Manner(form == "csv", per_s)
    if to is None:
        on_screen = call.env.stdout_is_terminal
        counts = _write(call, header, Begun(None, Counts(), 0, False), call.env.write_bytes, manner, bar=not on_screen)
        _say_if_none(call, prefix, counts)
        call.remark(f"{counts.keys:,} keys")
        return ExitStatus.OK
    path = Path(to)
    begun = _begun(path, header) if resume else Begun(None, Counts(), 0, False)
    counts = begun.counts
    if not begun.complete:
        with _opened(path, begun, resume=resume) as file:
            try:
                counts = _write(call, header, begun, file.write, manner)
            except CliError as error:
                if not manner.csv:
                    error.hint = f"Go on: {_again(header, path)}"
                raise
            file.flush()
            os.fsync(file.fileno())
    _say_if_none(call, prefix, counts)
    document: Document = {"schema": "dyn.export.done/v1", "file": str(path), "cluster": header.cluster}
    call.emit(document | counts.told(), View(_screen, export_rows))
    return ExitStatus.OK


def _say_if_none(call: Call, prefix: bytes, counts: Counts) -> None:
    """Who names a file where a prefix stands is to hear of it, in a script, too."""
    if prefix and not counts.keys:
        call.note(f"no key begins with {exact(prefix)}; a file is named by an option: --to {shell_word(prefix)}")


def _again(header: Header, path: Path) -> str:
    words = [*([shell_word(header.prefix)] if header.prefix else []), *(["--with-ctx"] if header.contexts else [])]
    words += ["--to", shell_word(os.fsencode(path)), "--resume"]
    return f"dyn export {' '.join(words)}"


# The file ---------------------------------------------------------------------------------------------


def _opened(path: Path, begun: Begun, *, resume: bool) -> BinaryIO:
    """The file to write to, at the end of what it has that is whole. A new one is for its owner's eyes only."""
    try:
        if not resume:
            return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")
        file = path.open("r+b")
        file.truncate(begun.size_bytes)
        file.seek(begun.size_bytes)
        return file
    except FileExistsError:
        hint = "Go on with it: --resume; or choose another file"
        raise CliError(ExitStatus.REFUSED, f"{show(str(path))} exists", hint) from None
    except OSError as error:
        raise CliError(ExitStatus.FAILURE, f"cannot write {show(str(path))}: {error.strerror}") from None


def _begun(path: Path, header: Header) -> Begun:
    """Read a file that is to be gone on with. Raises CliError if it is another export's, or damaged before its end."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise CliError(ExitStatus.FAILURE, f"cannot read {show(str(path))}: {error.strerror}") from None
    begun = Begun(None, Counts(), 0, False)
    with file:
        for number, line in lines_of(file):
            if not line.endswith(b"\n"):
                break
            found = read_line(number, line)
            size_bytes = begun.size_bytes + len(line)
            if number == 1 or isinstance(found, Header):
                _check_same(path, found, header)
                begun = begun._replace(size_bytes=size_bytes)
            elif isinstance(found, Counts):
                begun = begun._replace(size_bytes=size_bytes, complete=True)
            elif begun.complete:
                raise BadLine(number, "it stands after the end of one")
            else:
                begun = Begun(found.key, begun.counts.with_entry(found), size_bytes, False)
    return begun


def _check_same(path: Path, found: object, header: Header) -> None:
    if found != header:
        of = f"is one of cluster {_cluster(found)}" if isinstance(found, Header) else "has no first line of one"
        prefix = f" with prefix {exact(found.prefix)!a}" if isinstance(found, Header) and found.prefix else ""
        this = _cluster(header) + (f" with prefix {exact(header.prefix)!a}" if header.prefix else "")
        if isinstance(found, Header) and found._replace(contexts=header.contexts) == header:
            of, this = f"was begun {'with' if found.contexts else 'without'} contexts", "the other way"
        message = f"{show(str(path))} {of}{prefix}, and this would be one of cluster {this}"
        raise CliError(ExitStatus.REFUSED, message, "Choose another file, or leave --resume away")


def _cluster(header: Header) -> str:
    return f"{show(header.cluster)} ({show(header.cluster_id)[:8]})"


# What is written --------------------------------------------------------------------------------------


def _write(
    call: Call,
    header: Header,
    begun: Begun,
    write: Callable[[bytes], object],
    manner: Manner,
    *,
    bar: bool = True,
) -> Counts:
    """Write what follows the last line that is there; return what all lines come to."""
    counts, contexts = begun.counts, header.contexts
    if not begun.size_bytes:
        write(csvrows.header(contexts=contexts) if manner.csv else header.line())
    with progress(call, "export", ALL) if bar else nullcontext(lambda done: None) as show_done:
        for entry in _entries(call, header, begun.last, Pace(manner.per_s), show_done):
            write(csvrows.rows_of(entry, contexts=contexts) if manner.csv else entry.line())
            counts = counts.with_entry(entry)
    if not manner.csv:
        write(counts.line())
    return counts


def _entries(
    call: Call, header: Header, last: bytes | None, pace: Pace, done: Callable[[float], None]
) -> Iterator[Entry]:
    """The keys beyond `last` with their values, in order. Keys that are deleted meanwhile are left out."""
    cursor = b"0" if last is None else str(int.from_bytes(scan_position(last), "big")).encode()
    beyond = (b"", b"") if last is None else (scan_position(last), last)
    while True:
        at = cursor

        def page(at: bytes = at) -> tuple[bytes, list[bytes]]:
            return store.key_page(call.client, header.prefix, at)

        cursor, keys = patiently(page)
        keys = [key for key in keys if (scan_position(key), key) > beyond]
        for first in range(0, len(keys), pace.window):
            some = keys[first : first + pace.window]
            pace.wait(len(some))
            for reading in get_many(call.client, some):
                if isinstance(reading, CliError):
                    raise reading
                values = tuple(version.value for version in reading.live if version.value is not None)
                if values:
                    yield Entry(reading.key, values, context=reading.context if header.contexts else b"")
            done(int.from_bytes(scan_position(some[-1]), "big"))
        done(int(cursor) or ALL)
        if cursor == b"0":
            return


def _screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.carried import export_screen

    return export_screen(document)
