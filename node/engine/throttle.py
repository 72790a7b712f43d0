"""What an operator allows this node to take in while the ring moves: nothing for now, or so many bytes a second.

It is said to each node, and kept nowhere: a node that starts again takes in as ever.
"""

from __future__ import annotations

from node.core.ids import Instant

PAUSED = "paused by an operator: dyn cluster transfers resume"
"""Why partitions wait, in words."""

REST_S_MAX = 60.0
"""After one large exchange no longer than this: a move that says nothing for hours looks like one that is stuck."""


class Throttle:
    """Of one node. `limit_bps` None: as fast as clients let it. The limit holds on average, page by page."""

    __slots__ = ("_paused_at", "limit_bps")

    def __init__(self) -> None:
        self._paused_at: Instant | None = None
        self.limit_bps: int | None = None

    @property
    def is_paused(self) -> bool:
        """Whether nothing more shall be taken in."""
        return self._paused_at is not None

    def paused_s(self, now: Instant) -> float | None:
        """For how long it has been paused; None if it is not."""
        return None if self._paused_at is None else now - self._paused_at

    def pause(self, now: Instant) -> None:
        """Take nothing more in. Once more changes nothing."""
        if self._paused_at is None:
            self._paused_at = now

    def resume(self, now: Instant) -> float:
        """Go on; for how many seconds it was paused."""
        paused_s = self.paused_s(now) or 0.0
        self._paused_at = None
        return paused_s

    def rest_s(self, size: int) -> float:
        """How long to rest after so many bytes."""
        return 0.0 if self.limit_bps is None else min(size / self.limit_bps, REST_S_MAX)

    def figures(self, now: Instant) -> dict[str, object]:
        """For surveys: JSON-ready."""
        paused_s = self.paused_s(now)
        return {"paused_s": None if paused_s is None else round(paused_s, 1), "limit_bps": self.limit_bps}
