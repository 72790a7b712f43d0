"""Virtual time: one heap of things to do. Nothing in a simulation happens that does not stand in it."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from heapq import heappop, heappush

from node.core.ids import Instant

TAIL = 400
"""Steps that a run remembers, to be shown when it fails."""


class Agenda:
    """What will happen, by (time, order of asking). `now` moves only here, and only forward."""

    __slots__ = ("now", "steps", "_heap", "_seq")

    def __init__(self) -> None:
        self.now: Instant = 0.0
        self.steps = 0
        self._heap: list[tuple[Instant, int, Callable[..., None], tuple[object, ...]]] = []
        self._seq = 0

    def at(self, when: Instant, do: Callable[..., None], *arguments: object) -> None:
        """Do it at `when`; what is past happens now, after what was asked for before."""
        self._seq += 1
        heappush(self._heap, (when if when > self.now else self.now, self._seq, do, arguments))

    def after(self, delay_s: float, do: Callable[..., None], *arguments: object) -> None:
        """Do it `delay_s` from now."""
        self.at(self.now + delay_s, do, *arguments)

    def run(self, until: Instant, done: Callable[[], bool] | None = None) -> bool:
        """Let things happen until that time, or until `done` says so; return whether it did."""
        heap = self._heap
        while heap and heap[0][0] <= until:
            self.now, _, do, arguments = heappop(heap)
            self.steps += 1
            do(*arguments)
            if done is not None and done():
                return True
        self.now = max(self.now, until)
        return False


class Trace:
    """A running hash over everything that happened, and the last of it in words."""

    def __init__(self) -> None:
        self._hash = blake2b(digest_size=16)
        self.tail: list[tuple[Instant, str, object]] = []

    def add(self, now: Instant, who: str, data: bytes, what: object) -> None:
        """Note that `what` happened to `who`; `data` is what stands for it in the hash."""
        self._hash.update(b"%.9f|%s|%d|" % (now, who.encode(), len(data)))
        self._hash.update(data)
        self.tail.append((now, who, what))
        if len(self.tail) >= 2 * TAIL:
            del self.tail[:TAIL]

    def digest(self) -> str:
        """The hash so far: equal for equal runs."""
        return self._hash.hexdigest()

    def words(self, lines: int) -> list[str]:
        """The last steps, one line each."""
        return [f"{now:9.4f} {who:4} {what}" for now, who, what in self.tail[-lines:]] if lines > 0 else []
