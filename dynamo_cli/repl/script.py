"""The shell without a terminal: lines from -e, from a file, or from standard input; no prompt, no colour."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple, TextIO

from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.render.plain import show
from dynamo_cli.repl.session import Session
from dynamo_cli.repl.words import is_open


class Line(NamedTuple):
    """A line to run, and where it stands."""

    text: str
    where: str


def lines_of(texts: Iterable[str]) -> Iterator[Line]:
    """The commands of `-e`, each a line."""
    for number, text in enumerate(texts, 1):
        yield Line(text, f"-e {number}")


def lines_in(stream: TextIO, name: str) -> Iterator[Line]:
    """The lines of a script; one that ends within quotes goes on in the next."""
    begun, number = "", 0
    for count, raw in enumerate(stream, 1):
        number = number if begun else count
        begun += raw
        if not is_open(begun):
            yield Line(begun.rstrip("\n"), f"{name}:{number}")
            begun = ""
    if begun:
        yield Line(begun.rstrip("\n"), f"{name}:{number}")


def run_script(session: Session, lines: Iterable[Line], *, keep_going: bool) -> int:
    """Run the lines until one fails, and return its status; with `keep_going` all of them, and the first failure's."""
    worst: int = ExitStatus.OK
    for line in lines:
        status = session.run(line.text)
        if session.left:
            break
        if status != ExitStatus.OK:
            worst = worst or status
            if not keep_going:
                session.env.write(f"stopped at {line.where}: {line.text.splitlines()[0][:60]}\n", error=True)
                break
    return worst


def run_init(session: Session, name: str) -> None:
    """Run the lines of a file before any other. What goes wrong is told, and the rest runs nevertheless."""
    env = session.env
    try:
        with open_script(name, env.stdin) as script:
            lines = list(lines_in(script, name))
    except CliError as error:
        env.write(f"{env.program}: {show(error.line())}\n", error=True)
        return
    for line in lines:
        status = session.run(line.text)
        if session.left:
            return
        if status != ExitStatus.OK:
            env.write(f"{show(line.where)}: this line failed; the rest runs\n", error=True)


def open_script(name: str, stdin: TextIO) -> AbstractContextManager[TextIO]:
    """Open a script; `-` is standard input, which stays open. Raises CliError."""
    if name == "-":
        return nullcontext(stdin)
    try:
        return open(name, encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise CliError(ExitStatus.FAILURE, f"cannot read the script {name}: {error.strerror}") from None
