"""A program on a real pseudo-terminal, and the screen that a person would see: pexpect types, pyte draws."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import pexpect
import pyte

from tests.helpers.cluster import eventually

COLUMNS, ROWS = 80, 24
PROMPT = re.compile(r"\w+ (\d/\d|\?)( [A-Z]+)*( !\d)?>")
EVENT = re.compile(r"\* \d\d:\d\d:\d\d  ")
WHERE_IS_THE_CURSOR = "\x1b[6n"

CTRL_C, CTRL_D, ENTER, TAB = "\x03", "\x04", "\r", "\t"


class Screen:
    """A program and its screen, of 80 by 24. `lines` is what can be seen; `see` waits for something."""

    def __init__(
        self,
        command: Sequence[str],
        cwd: Path,
        environ: Mapping[str, str],
        *,
        columns: int = COLUMNS,
        rows: int = ROWS,
    ) -> None:
        self.columns = columns
        self._screen = pyte.HistoryScreen(columns, rows, history=2000, ratio=1)
        self._stream = pyte.Stream(self._screen)
        self.process = pexpect.spawn(
            command[0], list(command[1:]), cwd=str(cwd), env={**environ, "TERM": "xterm-256color"}, encoding="utf-8",
            codec_errors="replace", dimensions=(rows, columns), timeout=None,
        )  # fmt: skip
        self.process.delaybeforesend = None

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.process.close(force=True)

    def resize(self, rows: int, columns: int) -> None:
        """Make the window another size, and clear it, as terminals do."""
        self._screen.resize(rows, columns)
        self._screen.reset()
        self.process.setwinsize(rows, columns)

    @property
    def awaits_enter(self) -> bool:
        """Whether the tour waits for its reader: at the end of a scene, or at a line that Enter would type."""
        if self.line.startswith("[Enter] goes on"):
            return True
        found = re.match(r"(\$|ada>|bob>) (?=\S)", self.line)
        return found is not None and self._screen.cursor.x == found.end()

    def type(self, keys: str) -> None:
        """Press keys."""
        self.process.send(keys)

    def enter(self, line: str) -> None:
        """Type a line and press Enter."""
        self.type(line + ENTER)

    def read(self) -> None:
        """Draw what has come, and answer where the cursor is when the program asks."""
        while True:
            try:
                text = self.process.read_nonblocking(65536, timeout=0.02)
            except (pexpect.TIMEOUT, pexpect.EOF):
                return
            *parts, rest = text.split(WHERE_IS_THE_CURSOR)
            for part in parts:
                self._stream.feed(part)
                self.process.send(f"\x1b[{self._screen.cursor.y + 1};{self._screen.cursor.x + 1}R")
            self._stream.feed(rest)

    @property
    def lines(self) -> list[str]:
        """The lines on the screen, without the blanks at their ends."""
        return [line.rstrip() for line in self._screen.display]

    @property
    def title(self) -> str:
        """The title of the window."""
        return str(self._screen.title)

    @property
    def scrolled(self) -> list[str]:
        """Everything that was on the screen, from the first line on, as far as it is kept."""
        above = ["".join(row[x].data for x in range(self.columns)).rstrip() for row in self._screen.history.top]
        return above + self.lines

    @property
    def line(self) -> str:
        """The line with the cursor."""
        return self.lines[self._screen.cursor.y]

    def see(self, wanted: str | Callable[[], object], *, seconds: float = 20) -> None:
        """Wait until a pattern is on the screen, or something is true of it."""

        def seen() -> object:
            self.read()
            return re.search(wanted, "\n".join(self.lines), re.MULTILINE) if isinstance(wanted, str) else wanted()

        try:
            eventually(seen, f"{wanted!r}", seconds=seconds)
        except AssertionError as error:
            raise AssertionError(f"{error} on the screen:\n" + "\n".join(self.lines)) from None

    def prompt(self, *, seconds: float = 20) -> None:
        """Wait until the shell waits for a line."""
        self.see(lambda: PROMPT.fullmatch(self.line), seconds=seconds)

    def run(self, line: str, *, seconds: float = 20) -> list[str]:
        """Clear the screen, run a line of the shell, and return what stands between it and the next prompt.

        What the shell tells of its own accord (`* 12:03:11  n2 is down`) is left out.
        """
        self.enter("clear")
        self.see(lambda: self._screen.cursor.y == 0 and self.line.endswith(">"))
        self.enter(line)
        self.see(lambda: self._screen.cursor.y > 0 and PROMPT.fullmatch(self.line), seconds=seconds)
        return [shown for shown in self.lines[1 : self._screen.cursor.y] if not EVENT.match(shown)]

    def end(self, seconds: float = 20) -> int:
        """Wait for the program to end; return its exit status."""

        def ended() -> bool:
            self.read()
            return not self.process.isalive()

        eventually(ended, "the program to end", seconds=seconds)
        self.read()
        assert self.process.exitstatus is not None, f"ended by signal {self.process.signalstatus}"
        return int(self.process.exitstatus)


def environ_of(home: Path, **more: str) -> dict[str, str]:
    """The caller's environment with another home, and none of its settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DYN_", "XDG_"))}
    return {**kept, "HOME": str(home), "USER": "ada", "LANG": "C.UTF-8", **more}
