"""`\\record` writes what is typed, with what came of it, as a script; `\\check` runs one and compares."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from io import BytesIO, TextIOWrapper
from typing import TYPE_CHECKING, NamedTuple

from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.render.plain import shortened, show
from dynamo_cli.repl.expect import Step, difference, recorded, with_expectation
from dynamo_cli.repl.parse import is_dangerous_line, is_private
from dynamo_cli.repl.script import Line, lines_in, open_script
from dynamo_cli.repl.verbs import parts_of, verb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dynamo_cli.repl.session import Session

AGAIN_S = 0.2
"""Between two tries of a command that may take a while to come true."""

ASIDE = ("record", "check", "watch", "w", "e", "edit", "keys", "help", "h", "?", "o", "q")
"""Verbs that are not of the script that is recorded."""

HEADER = """\
# Recorded by the shell of dyn on {date}. It is a script:  dyn shell -f {name}
# … and a test of what it shows:                         dyn shell -f {name} --check
"""


class Outcome(NamedTuple):
    """What a line wrote, and how it ended. `error` is its last remark without the program's name."""

    out: str
    err: str
    status: int

    @property
    def error(self) -> str:
        """How the line failed, in words."""
        lines = [line for line in self.err.splitlines() if line.strip()]
        return show(lines[-1].removeprefix("error: ")) if lines and self.status != ExitStatus.OK else ""


def outcome(shell: Session, line: str) -> Outcome:
    """Run a line as a script would: results are plain, and nobody is asked."""
    out, err = _Sink(), _Sink()
    with shell.env.writing(out, err):
        status = shell.run(line)
    return Outcome(out.text(), err.text(), status)


class _Sink(TextIOWrapper):
    """A stream that is no terminal, and keeps what is written."""

    def __init__(self) -> None:
        self._kept = BytesIO()
        super().__init__(self._kept, encoding="utf-8", errors="surrogateescape", write_through=True)

    def text(self) -> str:
        return self._kept.getvalue().decode("utf-8", "surrogateescape")


class Recorder:
    """Writes a script. While it does, lines run as a script's, so that what is seen is what is expected."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)  # values may be nobody else's
        except OSError as error:
            hint = "Choose another name" if isinstance(error, FileExistsError) else ""
            raise CliError(ExitStatus.FAILURE, f"cannot write {path}: {error.strerror}", hint) from None
        self._file = os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape")
        self.count = 0
        self._write(HEADER.format(date=time.strftime("%Y-%m-%d"), name=path))

    def wants(self, line: str) -> bool:
        """Whether a line is one of the script."""
        if not line.strip() or line.lstrip().startswith("#") or is_private(line):
            return False
        return not (line.lstrip().startswith("\\") and parts_of(line)[0] in ASIDE)

    def run(self, shell: Session, line: str) -> int:
        """Run a line, show what it wrote, and write both down."""
        found = outcome(shell, line)
        shell.env.write(found.out)
        shell.env.write(found.err, error=True)
        if found.status != ExitStatus.INTERRUPTED:
            self._write("\n" + recorded(line.strip(), found.out, found.status, found.error))
            self.count += 1
        return found.status

    def _write(self, text: str) -> None:
        try:
            self._file.write(text)
            self._file.flush()
        except OSError as error:
            raise CliError(ExitStatus.FAILURE, f"cannot write {self.path}: {error.strerror}") from None

    def close(self) -> None:
        """End the script."""
        self._file.close()


@verb("record", usage="[FILE]", summary="Write what is typed and shown as a script that checks itself; again: end it.",
      completes="files")  # fmt: skip
def record(shell: Session, words: Sequence[str]) -> int:
    """Results are shown as a script shows them meanwhile."""
    recorder = shell.recorder
    if recorder is None and not words:
        raise usage("nothing is being recorded", "Write: \\record FILE")
    if recorder is not None:
        if words:
            raise CliError(ExitStatus.REFUSED, f"{recorder.path} is being recorded", "End it first: \\record")
        recorder.close()
        shell.recorder = None
        shell.env.write(f"recorded {counted(recorder.count)}; replay: \\check {recorder.path}\n")
        return ExitStatus.OK
    shell.recorder = Recorder(words[0])
    shell.note(f"recording to {words[0]}; \\record ends it")
    return ExitStatus.OK


def counted(commands: int) -> str:
    """So many commands, in words."""
    return f"{commands} command{'s' * (commands != 1)}"


# Checking ------------------------------------------------------------------------------------------------


def steps_of(lines: Iterable[Line]) -> list[Step]:
    """The commands of a script, each with what the comments under it expect. Raises CliError."""
    steps: list[Step] = []
    for line in lines:
        text = line.text.strip()
        if not text.startswith("#"):
            if text:
                steps.append(Step(line.text, line.where))
        elif steps:
            steps[-1] = with_expectation(steps[-1], line.text.lstrip(), line.where)
    for step in steps:
        if step.within_s and is_dangerous_line(step.command):
            raise usage(f"{step.where}: #? is for what only reads: it runs again and again", "Leave it away")
    return steps


@contextmanager
def _fresh(shell: Session) -> Iterator[None]:
    """Settings as they begin, for a script that must mean the same wherever it is checked; then those of before."""
    before = shell.settings
    shell.settings = type(before)()
    try:
        yield
    finally:
        shell.settings = before


def run_check(shell: Session, lines: Iterable[Line], name: str, *, keep_going: bool) -> int:
    """Run a script and compare: OK if all is as expected, else FAILURE, with the place and the difference."""
    steps = steps_of(lines)
    wrong = done = 0
    with _fresh(shell):
        for step in steps:
            done += 1
            told = _told(shell, step)
            if told is None:
                return ExitStatus.INTERRUPTED
            if told:
                wrong += 1
                head = f"{step.where}: {shortened(show(step.command.strip()), 60)}"
                shell.env.write("".join(f"{line}\n" for line in (head, *(f"  {line}" for line in told))))
                if not keep_going:
                    break
            if shell.left:
                break
    verdict = f"{wrong} of {done} not as expected" if wrong else "all as expected"
    left = f", {len(steps) - done} did not run" if done < len(steps) else ""
    shell.env.write(f"{show(name)}: {counted(done)}, {verdict}{left}\n")
    return ExitStatus.FAILURE if wrong else ExitStatus.OK


def _told(shell: Session, step: Step) -> list[str] | None:
    """What differs after one command; for one that may take a while, when its time is up. None: Ctrl-C."""
    deadline = shell.env.now_s() + step.within_s
    while True:
        found = outcome(shell, step.command)
        if found.status == ExitStatus.INTERRUPTED:
            return None
        told = difference(step, found.out, found.status, found.error)
        if not told or shell.env.now_s() >= deadline:
            return told
        try:
            time.sleep(AGAIN_S)
        except KeyboardInterrupt:
            return None


@verb("check", usage="FILE", summary="Run a script, and compare what it shows with what it expects.",
      completes="files", danger=True)  # fmt: skip
def check(shell: Session, words: Sequence[str]) -> int:
    """As `dyn shell -f FILE --check`, in this session."""
    with open_script(words[0], shell.env.stdin) as script:
        return run_check(shell, lines_in(script, words[0]), words[0], keep_going=True)
