"""SIGHUP has two meanings: the terminal is gone, and: read your files again.

A node in a terminal window ends with the window, as any program does; one that was told to outlive it (nohup) or never
had a terminal (a service) reads its secrets again. So does one whose terminal is still there: somebody sent the signal.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable


def has_terminal() -> bool:
    """Whether this process has a controlling terminal."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def on_hangup(loop: asyncio.AbstractEventLoop, read_again: Callable[[], None], end: Callable[[], None]) -> None:
    """Have SIGHUP call `end` if it means that the terminal of now is gone, else `read_again`."""
    ends_with_it = has_terminal() and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    loop.add_signal_handler(signal.SIGHUP, lambda: end() if ends_with_it and not has_terminal() else read_again())
