"""Deadlines of many operations, cheaply: buckets of a hundredth of a second, in order.

Nearly all operations end long before their deadline, so setting must cost next to nothing and cancelling nothing at
all: a ticket that is no longer pending when its bucket comes is skipped by the owner.
"""

from __future__ import annotations

from heapq import heappop, heappush

from node.core.ids import Instant

TICKS_PER_S = 100


class Timers:
    """Tickets by the time they want to be woken. Never early, at most one tick late, in the order they were set."""

    __slots__ = ("_buckets", "_order")

    def __init__(self) -> None:
        self._buckets: dict[int, list[int]] = {}
        self._order: list[int] = []

    def set(self, at: Instant, ticket: int) -> None:
        """Wake `ticket` at `at`."""
        tick = int(at * TICKS_PER_S) + 1
        bucket = self._buckets.get(tick)
        if bucket is None:
            self._buckets[tick] = [ticket]
            heappush(self._order, tick)
        else:
            bucket.append(ticket)

    def next_deadline(self) -> Instant | None:
        """When the earliest bucket is due; None if there is none."""
        return self._order[0] / TICKS_PER_S if self._order else None

    def due(self, now: Instant) -> list[int]:
        """Take the tickets whose time has come."""
        tickets: list[int] = []
        while self._order and self._order[0] / TICKS_PER_S <= now:
            tickets += self._buckets.pop(heappop(self._order))
        return tickets
