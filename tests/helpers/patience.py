"""How long a test waits for something: in time during which this machine ran at all.

A shared machine may stand still for many seconds (a paused virtual machine, a disk that others fill), and then the
program under test stood still too. So a wait is counted in its own steps: however long one took by the clock, it
counts as a second at most.
"""

from __future__ import annotations

import time
from collections.abc import Callable

STEP_S_MAX = 1.0


class Patience:
    """`seconds` of patience, used up by asking `is_left` once each time round a loop that polls."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._left_s = seconds
        self._clock = clock
        self._asked = clock()

    def is_left(self) -> bool:
        """Whether to go on waiting."""
        asked = self._clock()
        self._left_s -= min(asked - self._asked, STEP_S_MAX)
        self._asked = asked
        return self._left_s > 0
