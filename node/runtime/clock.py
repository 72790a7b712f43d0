"""The only place where wall time enters. Everything that decides uses the monotonic clock; wall time is for people."""

from __future__ import annotations

import time


def wall_s() -> float:
    """Seconds since 1970-01-01 UTC."""
    return time.time()


def wall_offset_s() -> float:
    """What to add to `time.monotonic()` to get wall time, as of now."""
    return time.time() - time.monotonic()
