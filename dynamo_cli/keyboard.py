"""Single keys from a terminal while something is drawn on it, and the terminal as it was, whatever ends the drawing."""

from __future__ import annotations

import os
import re
import select
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TextIO

ENDING = (signal.SIGTERM, signal.SIGHUP)
"""What ends a program from outside: turned into an exception, so that the terminal is put back first."""


SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|.)?", re.DOTALL)
"""What a key sends that is no character: ECMA-48's control sequences, and Escape with what it was held with."""

READ_BYTES = 64
"""Keys that are read at a time; such as come in one go, a paste, are answered one after the other."""


class Keyboard:
    """Reads keys one at a time; without a terminal there are none."""

    def __init__(self, fd: int | None) -> None:
        self._fd = fd
        self._typed = ""

    def key(self, wait_s: float) -> str:
        """The next key within this time, or "". Escape sequences (arrows and the like) are passed over."""
        if not self._typed:
            ready, _, _ = select.select(() if self._fd is None else (self._fd,), (), (), wait_s)
            if not ready or self._fd is None:
                return ""
            data = os.read(self._fd, READ_BYTES)
            if not data:  # nobody is there any more
                raise KeyboardInterrupt
            self._typed = SEQUENCE.sub("", data.decode("ascii", "replace"))
        key, self._typed = self._typed[:1], self._typed[1:]
        return key


@contextmanager
def keyboard(stdin: TextIO) -> Iterator[Keyboard]:
    """Keys without Enter and without echo; Ctrl-C stays what it is, Ctrl-Z does nothing. All is undone at the end."""
    import termios
    import tty

    if not stdin.isatty():
        yield Keyboard(None)
        return
    try:
        fd = stdin.fileno()
        before = termios.tcgetattr(fd)
    except (OSError, ValueError, termios.error):
        yield Keyboard(None)
        return
    try:
        tty.setcbreak(fd)
        changed = termios.tcgetattr(fd)
        changed[6][termios.VSUSP] = b"\0"
        termios.tcsetattr(fd, termios.TCSANOW, changed)
        yield Keyboard(fd)
    finally:
        termios.tcsetattr(fd, termios.TCSAFLUSH, before)


@contextmanager
def endings() -> Iterator[None]:
    """Within: SIGTERM and SIGHUP raise SystemExit with the status that they would have ended the process with."""

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, end) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
