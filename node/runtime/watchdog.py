"""The service manager's watchdog (sd_notify(3), WATCHDOG=1): it hears from us twice as often as it asks to.

What it hears is that the event loop turns: clients and peers get answers. A loop that does not for WatchdogSec is one
that only a restart helps, and the manager makes one. A disk that hangs is another matter: a restart would hang on it,
too, and the node says so where it is asked.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Final

from node.runtime.notify import notify

LEAST_S: Final = 0.05
"""No manager wants to hear more often than this, whatever it says."""


def interval_s(environ: Mapping[str, str], pid: int) -> float | None:
    """How often to say that we live; None if nobody waits for it, or waits for another process to."""
    wanted, whose = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not (wanted.isascii() and wanted.isdigit() and int(wanted)) or whose not in ("", str(pid)):
        return None
    return max(LEAST_S, int(wanted) / 2_000_000)


def keep_telling(environ: Mapping[str, str], loop: asyncio.AbstractEventLoop) -> None:
    """Say it now, and as long as the loop turns."""
    every_s = interval_s(environ, os.getpid())
    if every_s is None:
        return

    def tell() -> None:
        notify(environ, "WATCHDOG=1")
        loop.call_later(every_s, tell)

    tell()
