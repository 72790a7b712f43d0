"""Single requests, for people who look: hot keys, big values, siblings (DYN.HOT), and all as they come (DYN.MONITOR).

`Measures.done` counts down to the next request that is looked at, and that is all that most requests cost. One in
SAMPLE_GAP is, by a gap that is drawn anew each time; all of them are while somebody listens. What is kept is bounded,
and goes with the process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random

from node.core.limits_watch import (
    BIGGEST_KEPT,
    HOT_KEYS,
    HOT_WINDOW_S,
    MONITOR_BUFFER,
    MONITOR_LEASE_S,
    MONITORS_MAX,
    REMEMBERED_S,
    SAMPLE_GAP,
    SIBLINGS_KEPT,
)
from node.core.row import Row
from node.wire.glob import matcher
from node.wire.requests import Found, Get, Put, Request, Result
from node.wire.text import as_text, as_time
from node.wire.watches import Monitor

Document = dict[str, object]


class SpaceSaving:
    """The most frequent of many keys in a bounded number of counters.

    A key that has none gets the one that counts least, and that count as its error: what a key is counted is at least
    how often it came, and too much by `error` at most; and whatever came more often than the least count has a counter.
    """

    __slots__ = ("_counts", "_most", "_parts", "total")

    def __init__(self, most: int = HOT_KEYS) -> None:
        self._most = most
        self._counts: dict[bytes, int] = {}  # all of a key's parts together
        self._parts: dict[bytes, list[int]] = {}  # reads, writes, error
        self.total = 0

    def add(self, key: bytes, *, write: bool) -> None:
        """Count a request for a key."""
        self.total += 1
        counts, error = self._counts, 0
        if key not in counts:
            if len(counts) >= self._most:
                least = min(counts, key=counts.__getitem__)
                error = counts.pop(least)
                del self._parts[least]
            counts[key] = error
            self._parts[key] = [0, 0, error]
        counts[key] += 1
        self._parts[key][write] += 1

    def counts(self) -> dict[bytes, tuple[int, int, int]]:
        """Reads, writes and error of every key that has a counter."""
        return {key: (reads, writes, error) for key, (reads, writes, error) in self._parts.items()}


class Listener:
    """Who listens: a filter, a rate, and what waits until it asks."""

    def __init__(self, order: Monitor, now: float) -> None:
        self.matches = matcher(order.pattern)
        self.order = order
        self.waiting: deque[tuple[float, str, bytes, str, float, int | None, int | None]] = deque()
        self.matched = 0
        self.dropped = 0
        self.asked_at = now
        self._tokens = float(order.rate)
        self._filled_at = now

    def hear(self, now: float, operation: str, key: bytes, outcome: str, ms: float, result: Result) -> None:
        """A request ended: keep it if it is wanted, and within the rate."""
        if operation not in self.order.operations or not self.matches(key):
            return
        self.matched += 1
        rate = self.order.rate
        self._tokens = min(float(rate), self._tokens + (now - self._filled_at) * rate)
        self._filled_at = now
        if self._tokens < 1 or len(self.waiting) >= MONITOR_BUFFER:
            self.dropped += 1
            return
        self._tokens -= 1
        row = result.row if type(result) is Found else None
        values, size = (None, None) if row is None else (len(row.live), bytes_of(row))
        self.waiting.append((now, operation, key, outcome, ms, values, size))

    def told(self, now: float, wall_s: float) -> Document:
        """What came since it asked last, and how much was left out."""
        requests = []
        for at, operation, key, outcome, ms, values, size in self.waiting:
            text, enc = as_text(key)
            fields: Document = {"op": operation, "key": text, "enc": enc, "outcome": outcome, "ms": round(ms, 3)}
            when = as_time(int((wall_s - (now - at)) * 1000))
            requests.append({"at": when, **fields, "values": values, "bytes": size})
        document: Document = {"requests": requests, "matched": self.matched, "dropped": self.dropped}
        self.waiting.clear()
        self.matched = self.dropped = 0
        self.asked_at = now
        return document


class Sampler:
    """What one node remembers of single requests. `now` is its clock, `rng` draws the gaps."""

    def __init__(self, now: Callable[[], float], rng: Random) -> None:
        self._now = now
        self._rng = rng
        self._recent, self._before = SpaceSaving(), SpaceSaving(0)
        self._began = self._before_began = now()
        self._biggest: dict[bytes, tuple[int, float]] = {}
        self._several: dict[bytes, tuple[int, float]] = {}
        self._listeners: dict[int, Listener] = {}
        self._last_listener = 0
        self._left = 0

    def take(self, operation: str, outcome: str, request: Request, result: Result, seconds: float) -> int:
        """Look at a request that ended; return how many are to pass by before the next one."""
        kind = type(request)
        if kind is not Get and kind is not Put:
            return 0
        assert isinstance(request, Get | Put), "by its type"
        now = self._now()
        if self._listeners:
            self._forget_listeners(now)
            for listener in self._listeners.values():
                listener.hear(now, operation, request.key, outcome, seconds * 1000, result)
            self._left -= 1
            if self._left >= 0:
                return 0
        self._sample(now, request, result)
        gap = self._rng.randrange(2 * SAMPLE_GAP - 1)
        if not self._listeners:
            return gap
        self._left = gap
        return 0

    def _sample(self, now: float, request: Get | Put, result: Result) -> None:
        self._turn(now)
        key, value = request.key, None
        self._recent.add(key, write=type(request) is Put)
        if type(request) is Put:
            value = request.value
            size = 0 if value is None else len(value)
        elif type(result) is Found:
            size = bytes_of(result.row)
            if len(result.row.versions) < 2:
                self._several.pop(key, None)
        else:
            return
        _remember(self._biggest, key, size, now, BIGGEST_KEPT)

    def several(self, key: bytes, row: Row) -> None:
        """A read found several versions: that is rare, and each is looked at."""
        if len(row.live) > 1:
            _remember(self._several, key, len(row.live), self._now(), SIBLINGS_KEPT)

    def _turn(self, now: float) -> None:
        """Begin the window that `now` is in. (Nobody turns it while nothing is sampled: several may have passed.)"""
        passed = int((now - self._began) // HOT_WINDOW_S)
        if passed:
            self._before = self._recent if passed == 1 else SpaceSaving(0)
            self._recent = SpaceSaving()
            self._began += passed * HOT_WINDOW_S
            self._before_began = self._began - HOT_WINDOW_S

    # For people ------------------------------------------------------------------------------------------

    def hot(self, most: int) -> Document:
        """The hot keys of the last one to two windows, and what was seen of big values and siblings lately."""
        now = self._now()
        self._turn(now)
        over_s = now - self._before_began
        total = self._recent.total + self._before.total
        counted = self._recent.counts()
        for key, before in self._before.counts().items():
            recent = counted.get(key, (0, 0, 0))
            counted[key] = (recent[0] + before[0], recent[1] + before[1], recent[2] + before[2])
        keys = sorted(counted, key=lambda key: (-sum(counted[key][:2]), key))[:most]
        return {
            "one_in": SAMPLE_GAP,
            "sampled": total,
            "over_s": round(over_s, 1),
            "hot": [_hot(key, *counted[key], total, over_s) for key in keys],
            "biggest": _listed(self._biggest, "bytes", most, now),
            "siblings": _listed(self._several, "values", most, now),
        }

    def listen(self, order: Monitor, wall_s: float) -> Document | None:
        """What came since this listener asked last; None if there are too many listeners for a new one."""
        now = self._now()
        self._forget_listeners(now)
        listener, number = self._listeners.get(order.listener), order.listener
        if listener is None:
            if len(self._listeners) >= MONITORS_MAX:
                return None
            self._last_listener += 1
            number = self._last_listener
            listener = self._listeners[number] = Listener(order, now)
        elif listener.order[1:] != order[1:]:
            self._listeners[number] = listener = Listener(order, now)
        return {"listener": number, "rate": order.rate, **listener.told(now, wall_s)}

    def _forget_listeners(self, now: float) -> None:
        for number in [n for n, each in self._listeners.items() if now > each.asked_at + MONITOR_LEASE_S]:
            del self._listeners[number]

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)


def bytes_of(row: Row) -> int:
    """Bytes of all values of a row."""
    return sum(len(version.value) for version in row.live if version.value is not None)


def _remember(found: dict[bytes, tuple[int, float]], key: bytes, figure: int, now: float, most: int) -> None:
    """Keep the keys with the greatest figures, as they were seen last."""
    if key not in found and len(found) >= most:
        least = min(found.values())
        if least[0] >= figure and now - least[1] < REMEMBERED_S:
            return
        del found[next(key for key, seen in found.items() if seen == least)]
    found[key] = figure, now


def _hot(key: bytes, reads: int, writes: int, error: int, total: int, over_s: float) -> Document:
    text, enc = as_text(key)
    count = reads + writes
    return {
        "key": text,
        "enc": enc,
        "reads": reads,
        "writes": writes,
        "uncounted_max": error,
        "share": round(count / total, 4),
        "per_s": round(count * SAMPLE_GAP / over_s, 1) if over_s > 0 else None,
    }


def _listed(found: dict[bytes, tuple[int, float]], name: str, most: int, now: float) -> list[Document]:
    young = {key: seen for key, seen in found.items() if now - seen[1] < REMEMBERED_S}
    keys = sorted(young, key=lambda key: (-young[key][0], key))[:most]
    listed: list[Document] = []
    for key in keys:
        text, enc = as_text(key)
        listed.append({"key": text, "enc": enc, name: young[key][0], "seen_s_ago": round(now - young[key][1], 1)})
    return listed
