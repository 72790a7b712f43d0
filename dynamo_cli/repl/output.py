"""Where results go beside the screen: a file, a command of the system's shell, and the screen once more."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import TYPE_CHECKING, TextIO

from dynamo_cli.call import Call
from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import FORMATS, Options
from dynamo_cli.repl.verbs import verb

if TYPE_CHECKING:
    from dynamo_cli.repl.session import Session


class Pipe:
    """A command of the system's shell that reads what is written. `status` is how it ended."""

    def __init__(self, command: str, screen: TextIO) -> None:
        if not command:
            raise usage("| leads nowhere", "Write: get KEY | COMMAND, or quote what is not a pipe: '|'")
        screen.flush()
        try:
            target: int | None = screen.fileno()
        except OSError:  # no file, as in a test: what it says is carried over
            target = subprocess.PIPE
        # The user's own shell, on the user's own line: what else a pipe is for.
        self._process = subprocess.Popen(["/bin/sh", "-c", command], stdin=subprocess.PIPE, stdout=target)
        assert self._process.stdin is not None, "a pipe"
        self.stdin = TextIOWrapper(self._process.stdin, encoding="utf-8", errors="backslashreplace")
        self._screen = screen
        self.status = 0

    def close(self) -> None:
        """No more comes; wait for the command, which may be a pager: Ctrl-C is its own business."""
        with suppress(BrokenPipeError):
            self.stdin.close()
        while True:
            try:
                if self._process.stdout is not None and not self._process.stdout.closed:
                    self._screen.write(self._process.stdout.read().decode("utf-8", "replace"))
                    self._process.stdout.close()
                self.status = self._process.wait()
                return
            except KeyboardInterrupt:
                continue


@contextmanager
def piped(shell: Session, command: str) -> Iterator[Pipe]:
    """Have results go into a command, not to the screen."""
    pipe = Pipe(command, shell.env.stdout)
    try:
        with shell.env.writing(pipe.stdin):
            yield pipe
    finally:
        pipe.close()


@verb(
    "o", usage="[FILE]", summary="Results go to a file, as they would into a pipe; without one: here again.",
    completes="files", danger=True,
)  # fmt: skip
def output(shell: Session, words: Sequence[str]) -> int:
    """What the file held is gone, as with > in sh."""
    target = None
    if words:
        try:
            target = open(words[0], "w", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115  # until \\o
        except OSError as error:
            raise CliError(ExitStatus.FAILURE, f"cannot write {words[0]}: {error.strerror}") from None
    shell.env.send_to(target)
    shell.note(f"results go to {words[0]}; \\o brings them back" if words else "results are shown here")
    return ExitStatus.OK


@verb(
    "last", usage="[-o] [FORMAT]", summary="Show the last result again, in another format; nothing is asked.",
    completes=" ".join(FORMATS),
)  # fmt: skip
def last(shell: Session, words: Sequence[str]) -> int:
    """The documents of the last command that showed any."""
    chosen = [word for word in words if word != "-o"]
    if chosen and chosen[0] not in FORMATS:
        raise usage(f"no format {chosen[0]!r}", f"There are {', '.join(FORMATS)}")
    shown = shell.env.last
    if not shown:
        raise CliError(ExitStatus.NOT_FOUND, "nothing was shown that could be shown again", "Ask: cluster status")
    for document, view in shown:
        Call(shell.env, Options(output=chosen[0] if chosen else None)).emit(document, view)
    return ExitStatus.OK
