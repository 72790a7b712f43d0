"""How much background work is let in beside the clients' requests (paper, section 6.5).

The controller watches what clients see: the 99th percentile of their latencies over a window. While it is below a
threshold the background may do more and more, above it less and less, and never less than a floor: repair that starves
is repair that fails. It can always say in words what each task is granted, and why.
"""

from __future__ import annotations

from collections.abc import Callable

from node.core.limits import BACKGROUND_ROWS_S_MAX, BACKGROUND_ROWS_S_MIN, FOREGROUND_P99_MS_MAX

HINTS = "hints"
REPAIR = "repair"
SCRUB = "scrub"
TASKS = (HINTS, REPAIR, SCRUB)


class Admission:
    """The controller of one node. `rows_s` is what each task may move, or read, in rows a second, `least` what always.

    `scrubbed` tells how far the scrub is.
    """

    __slots__ = ("least", "p99_ms", "rows_s", "scrubbed")

    def __init__(self, least: int = BACKGROUND_ROWS_S_MIN) -> None:
        self.least = least
        self.rows_s = float(BACKGROUND_ROWS_S_MAX)
        self.p99_ms: float | None = None
        self.scrubbed: Callable[[], dict[str, object]] = dict

    def look(self, p99_ms: float | None) -> None:
        """Once a second: what clients see now; None if there are none. Halve, or go up by half."""
        self.p99_ms = p99_ms
        if p99_ms is not None and p99_ms > FOREGROUND_P99_MS_MAX:
            self.rows_s = max(self.rows_s / 2, self.least)
        else:
            self.rows_s = min(self.rows_s * 1.5, BACKGROUND_ROWS_S_MAX)

    def pause_s(self, rows: int) -> float:
        """How long to rest after so many rows; 0 while nobody is in the way."""
        return 0.0 if self.rows_s >= BACKGROUND_ROWS_S_MAX else rows / self.rows_s

    @property
    def because(self) -> str:
        """Why it is as much as it is, in words."""
        if self.p99_ms is None:
            eager = self.rows_s >= BACKGROUND_ROWS_S_MAX
            return "no client asks" if eager else "clients had to wait a moment ago: faster again every second"
        seen = f"clients' p99 is {self.p99_ms:.0f} ms, the threshold {FOREGROUND_P99_MS_MAX} ms"
        if self.rows_s <= self.least:
            return f"{seen}: at the floor"
        return f"{seen}: slowed down" if self.rows_s < BACKGROUND_ROWS_S_MAX else seen

    def document(self) -> list[dict[str, object]]:
        """What DYN.STATS tells, JSON-ready: rows a second for each task."""
        tasks: list[dict[str, object]] = [
            {"task": task, "granted": round(self.rows_s, 1), "because": self.because} for task in TASKS
        ]
        return [task | self.scrubbed() if task["task"] == SCRUB else task for task in tasks]
