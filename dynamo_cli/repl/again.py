"""`\\watch`: a line again and again, in place on a terminal until a key is pressed."""

from __future__ import annotations

import os
import re
import select
import termios
import time
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO, TextIOWrapper
from typing import TYPE_CHECKING, NamedTuple, TextIO

from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.render.plain import shortened, show
from dynamo_cli.repl.parse import is_dangerous_line
from dynamo_cli.repl.verbs import parts_of, verb
from dynamo_cli.repl.words import split_pipe

if TYPE_CHECKING:
    from dynamo_cli.environment import Environment
    from dynamo_cli.repl.session import Session

INTERVAL_S = 2.0
INTERVAL_S_MIN, INTERVAL_S_MAX = 0.1, 86_400.0
"""Ten times a second is as fast as eyes are, and a load that a cluster does not feel."""

ROWS = 24
"""Of a terminal that does not say."""

OTHER_SCREEN, THIS_SCREEN = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
HOME, TO_END_OF_LINE, TO_END = "\x1b[H", "\x1b[K", "\x1b[J"

_INTERVAL = re.compile(r"(\d+(?:\.\d+)?)\s+(?=\S)")
_COUNT = re.compile(r"c=(\d{1,9})\s+(?=\S)")


class Wish(NamedTuple):
    """What is to be watched: every `interval_s` seconds, `times` times or without end."""

    interval_s: float
    times: int | None
    line: str


class Captured(TextIOWrapper):
    """A stream that keeps what is written, and is a terminal as far as commands are concerned."""

    def __init__(self, encoding: str) -> None:
        self.bytes = BytesIO()
        super().__init__(self.bytes, encoding=encoding, errors="backslashreplace", write_through=True)

    def isatty(self) -> bool:
        """What is drawn goes to one."""
        return True


def wish_of(text: str) -> Wish:
    """`[S] [c=N] LINE`; raises a usage error."""
    interval_s, count = INTERVAL_S, None
    if found := _INTERVAL.match(text):
        interval_s, text = float(found[1]), text[found.end() :]
    if found := _COUNT.match(text):
        count, text = int(found[1]), text[found.end() :]
    if not INTERVAL_S_MIN <= interval_s <= INTERVAL_S_MAX:
        raise usage(f"every {interval_s:g} s is not between {INTERVAL_S_MIN:g} s and a day", "Write: \\watch 2 LINE")
    if count == 0:
        raise usage("c=0 asks for nothing", "Write: \\watch c=3 LINE")
    return Wish(interval_s, count, text)


def refuse_danger(line: str) -> None:
    """Raise REFUSED for a line that may change something: it would do so every two seconds."""
    text = split_pipe(line)[0].strip()
    dangerous = is_dangerous_line(text) or (text.startswith("\\") and parts_of(text)[0] in ("watch", "w"))
    if dangerous:
        raise CliError(
            ExitStatus.REFUSED, f"\\watch is for what only reads, not for {text.split(maxsplit=1)[0]}",
            "See what is there: help",
        )  # fmt: skip


@verb(
    "watch", usage="[S] [c=N] LINE", summary="A line again every S seconds (2), N times or until a key is pressed.",
    completes="commands", takes_line=True, also=["w"],
)  # fmt: skip
def watch(shell: Session, words: Sequence[str]) -> int:
    """In place on a terminal; else one result under the other."""
    wish = wish_of(words[0])
    if not wish.line.strip():
        raise usage("\\watch takes a line", "Write: \\watch 2 cluster status")
    refuse_danger(wish.line)
    if shell.env.stdout_is_terminal and shell.env.can_ask and shell.env.environ.get("TERM") != "dumb":
        return _in_place(shell, wish)
    left = wish.times
    while True:
        status = shell.run(wish.line)
        left = None if left is None else left - 1
        if left == 0 or status != ExitStatus.OK:
            return status
        time.sleep(wish.interval_s)


def _in_place(shell: Session, wish: Wish) -> int:
    """Frame after frame on the terminal's other screen; the last one stays on this one."""
    env = shell.env
    left, frame = wish.times, ""
    with key_presses(env.stdin) as pressed:
        env.write(OTHER_SCREEN)
        try:
            while True:
                frame, status = _frame(shell, wish.line)
                env.write(drawn(_head(wish, time.strftime("%H:%M:%S"), env.columns()), frame, _rows(env)))
                left = None if left is None else left - 1
                if left == 0 or status == ExitStatus.INTERRUPTED or pressed(wish.interval_s):
                    break
        except KeyboardInterrupt:
            status = ExitStatus.OK
        finally:
            env.write(THIS_SCREEN)
    env.write(frame)
    return ExitStatus.OK if status == ExitStatus.INTERRUPTED else status


def _head(wish: Wish, clock: str, columns: int) -> str:
    """What is watched, since when, and how it ends."""
    end = f"{clock}  any key ends"
    return f"{shortened(f'every {wish.interval_s:g} s: {show(wish.line)}', columns - len(end) - 3)}  {end}"


def _frame(shell: Session, line: str) -> tuple[str, int]:
    sink = Captured(getattr(shell.env.stdout, "encoding", None) or "utf-8")
    with shell.env.writing(sink, sink):
        status = shell.run(line)
    return sink.bytes.getvalue().decode(sink.encoding, "replace"), status


def drawn(head: str, frame: str, rows: int) -> str:
    """A frame over the one before: no flicker, nothing left of it, and no more lines than the screen has."""
    lines = frame.rstrip("\n").split("\n")
    room = rows - 3
    if len(lines) > room:
        lines = [*lines[: room - 1], f"… {len(lines) - room + 1} more lines"]
    body = "".join(f"{line}{TO_END_OF_LINE}\r\n" for line in [head, "", *lines])
    return f"{HOME}{body}{TO_END}"


def _rows(env: Environment) -> int:
    try:
        return os.get_terminal_size(env.stdout.fileno()).lines or ROWS
    except (OSError, ValueError):
        return ROWS


@contextmanager
def key_presses(stdin: TextIO) -> Iterator[Callable[[float], bool]]:
    """Have keys come at once and unseen; the value waits so many seconds for one, and takes it."""
    try:
        descriptor = stdin.fileno()
        before = termios.tcgetattr(descriptor)
    except (OSError, termios.error):  # no terminal, as in a test: there are no keys
        yield _no_key
        return
    tty.setcbreak(descriptor)

    def pressed(seconds: float) -> bool:
        ready, _, _ = select.select([descriptor], [], [], seconds)
        return bool(ready and os.read(descriptor, 1024))

    try:
        yield pressed
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _no_key(seconds: float) -> bool:
    time.sleep(seconds)
    return False
