"""What a node measures of itself: counts by operation and outcome, and latencies in histograms of fixed size.

A histogram has 16 buckets for each doubling of a microsecond count (as HdrHistogram with one significant digit and a
bit): a percentile is right within 3.2 %, whatever the distribution, in 544 counters, and one sample costs a bit_length
and a list index. Percentiles are over the last one to two windows; counts and sums are since the start.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from random import Random
from typing import Final

from node.core.limits import LATENCY_WINDOW_S
from node.runtime.sampler import Sampler
from node.wire.requests import Failed, Found, Get, Inspect, Keys, Put, Request, Result
from node.wire.watches import Monitor

SUB_BITS: Final = 4
SUB: Final = 1 << SUB_BITS
MICROS_BITS_MAX: Final = 36
"""A latency of 2**36 µs or more, 19 hours, counts as that."""

BUCKETS: Final = SUB * (MICROS_BITS_MAX - SUB_BITS + 1)
PERCENTILES: Final = (("p50", 0.5), ("p99", 0.99), ("p999", 0.999))
LOOKS: Final = 3
"""What clients see now is over so many looks: one alone may have two requests in it."""

PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


def bucket_of(micros: int) -> int:
    """The bucket of a number of microseconds."""
    shift = micros.bit_length() - SUB_BITS - 1
    if shift <= 0:
        return micros
    index = (shift << SUB_BITS) + (micros >> shift)
    return index if index < BUCKETS else BUCKETS - 1


def bounds_of(bucket: int) -> tuple[int, int]:
    """The microseconds from (inclusive) and to (exclusive) which a bucket counts."""
    if bucket < 2 * SUB:
        return bucket, bucket + 1
    shift = (bucket >> SUB_BITS) - 1
    low = (bucket - (shift << SUB_BITS)) << shift
    return low, low + (1 << shift)


class Histogram:
    """Latencies. `add` counts into the present window; `turn` begins a new one."""

    __slots__ = ("_before", "_now", "_older", "sum_s")

    def __init__(self) -> None:
        self._now = [0] * BUCKETS
        self._before = [0] * BUCKETS
        self._older = [0] * BUCKETS
        self.sum_s = 0.0

    def add(self, seconds: float) -> None:
        """Count one sample."""
        micros = int(seconds * 1e6)
        shift = micros.bit_length() - 5  # bucket_of, written out: this runs once a request
        if shift > 0:
            micros = (shift << 4) + (micros >> shift)
            if micros >= BUCKETS:
                micros = BUCKETS - 1
        self._now[micros] += 1
        self.sum_s += seconds

    def turn(self) -> None:
        """Begin a new window; percentiles forget the one before the last."""
        self._older = [older + before for older, before in zip(self._older, self._before, strict=True)]
        self._before = self._now
        self._now = [0] * BUCKETS

    def counts(self) -> list[int]:
        """How many samples each bucket got since the start."""
        return [sum(counts) for counts in zip(self._now, self._before, self._older, strict=True)]

    def percentiles_ms(self) -> dict[str, float | None]:
        """p50, p99 and p999 in milliseconds over the last one to two windows; None without samples."""
        recent = [a + b for a, b in zip(self._now, self._before, strict=True)]
        total = sum(recent)
        return {name: _percentile_ms(recent, total, share) for name, share in PERCENTILES}

    def lately(self) -> int:
        """How many samples the last one to two windows have."""
        return sum(self._now) + sum(self._before)

    def buckets(self) -> list[tuple[int, int, int]]:
        """Since the start: (from, to, samples) in microseconds, `to` exclusive, of the buckets that have any.

        Of two such lists the difference is what came between, and of several nodes the sum is what all of them did.
        """
        return [(*bounds_of(bucket), count) for bucket, count in enumerate(self.counts()) if count]

    def cumulative(self) -> Iterator[tuple[float, int]]:
        """Since the start: (seconds, samples below it) at every doubling from 64 µs to 67 s; the last is (inf, all)."""
        edges = {bucket_of(1 << bits): (1 << bits) / 1e6 for bits in range(6, 27)}
        below = 0
        for bucket, count in enumerate(self.counts()):
            if bucket in edges:
                yield edges[bucket], below
            below += count
        yield float("inf"), below


def _percentile_ms(counts: list[int], total: int, share: float) -> float | None:
    if not total:
        return None
    rank = max(1, -int(-share * total // 1))  # the smallest value that `share` of the samples do not exceed
    seen = 0
    for bucket, count in enumerate(counts):
        seen += count
        if seen >= rank:
            low, high = bounds_of(bucket)
            return (low + high - 1) / 2 / 1000
    raise AssertionError(f"{seen} samples of {total}")


def operation_of(request: Request) -> str:
    """The name under which a request is counted."""
    match request:
        case Get():
            return "get"
        case Put():
            return "del" if request.value is None else "put"
        case Keys():
            return "keys"
        case Inspect():
            return request.what


OK: Final = "ok"
BUSY: Final = "BUSY"
OPERATIONS: Final = ("get", "put", "del")
"""The ones that DYN.STATS names; latencies are kept for these."""


class Measures:
    """The counters of one node. `storage` and `queues` give the figures of others when somebody asks."""

    def __init__(
        self,
        now: Callable[[], float],
        *,
        totals: Callable[[], tuple[int, int, int, int, int]],
        hints: Callable[[], tuple[tuple[str, int, int, int], ...]],
        storage: Callable[[], dict[str, object]],
        queues: Callable[[], dict[str, object]],
        tombstones: Callable[[], int] = lambda: 0,
        rng: Random | None = None,
    ) -> None:
        self.sampler = Sampler(now, rng or Random())
        self._left = 0  # requests that pass by before the sampler looks at one
        self.outcomes: dict[tuple[str, str], int] = {}
        self.latency = {operation: Histogram() for operation in OPERATIONS}
        self.versions_per_read: dict[int, int] = {}
        self._now = now
        self._totals = totals
        self._hints = hints
        self._storage = storage
        self._queues = queues
        self._tombstones = tombstones
        self._started_at = now()
        self._window_began = self._before_began = self._started_at
        self._looks = {operation: deque([histogram.counts()], LOOKS) for operation, histogram in self.latency.items()}

    def done(self, request: Request, result: Result, seconds: float) -> None:
        """A client's request ended."""
        kind = type(request)
        if kind is Get:
            operation = "get"
            if type(result) is Found:
                versions = len(result.row.versions)
                self.versions_per_read[versions] = self.versions_per_read.get(versions, 0) + 1
                if versions > 1:
                    self.sampler.several(request.key, result.row)  # type: ignore[union-attr]  # kind is Get
        elif kind is Put:
            operation = "put" if request.value is not None else "del"  # type: ignore[union-attr]  # kind is Put
        else:
            operation = operation_of(request)
        key = (operation, result.code if type(result) is Failed else OK)
        try:
            self.outcomes[key] += 1
        except KeyError:
            self.outcomes[key] = 1
        histogram = self.latency.get(operation)
        if histogram is not None and key[1] != BUSY:  # being turned away is quick, and nobody is served by it
            histogram.add(seconds)
        self._left -= 1
        if self._left < 0:
            self._left = self.sampler.take(operation, key[1], request, result, seconds)

    def listen(self, order: Monitor, wall_s: float) -> dict[str, object] | None:
        """What DYN.MONITOR tells a listener (`Sampler.listen`): from the next request on, each is looked at."""
        self._left = 0
        return self.sampler.listen(order, wall_s)

    def tick(self) -> None:
        """Turn the windows if it is time: called about once a second."""
        now = self._now()
        if now >= self._window_began + LATENCY_WINDOW_S:
            self._before_began, self._window_began = self._window_began, now
            for histogram in self.latency.values():
                histogram.turn()

    @property
    def uptime_s(self) -> float:
        """Since the start."""
        return self._now() - self._started_at

    def count(self, operation: str) -> int:
        """Requests of this kind that ended, however they did."""
        return sum(number for (name, _), number in self.outcomes.items() if name == operation)

    def slowest_ms(self, percentile: str) -> float | None:
        """A percentile (p50, p99 …) of the slowest kind of request in the window; None if nobody asked."""
        found = (histogram.percentiles_ms()[percentile] for histogram in self.latency.values())
        return max((ms for ms in found if ms is not None), default=None)

    def look_p99_ms(self) -> float | None:
        """The same over the time since the look before the last two: what background work goes by, once a second."""
        p99s = []
        for operation, histogram in self.latency.items():
            looks, counts = self._looks[operation], histogram.counts()
            recent = [now - then for now, then in zip(counts, looks[0], strict=True)]
            p99s.append(_percentile_ms(recent, sum(recent), 0.99))
            looks.append(counts)
        return max((p99 for p99 in p99s if p99 is not None), default=None)

    def changes(self) -> int:
        """How often a row of the store has changed, durably."""
        return self._totals()[4]

    def recent(self) -> dict[str, object]:
        """How many requests were served over the last one to two windows, and how long that was: the load of now."""
        ops = {operation: histogram.lately() for operation, histogram in self.latency.items()}
        return {"over_s": round(self._now() - self._before_began, 1), "ops": ops}

    def figures(self) -> dict[str, object]:
        """Everything, JSON-ready: what a `measure` effect gets, and the HTTP port shows."""
        self.tick()
        rows, size, siblings, quarantined, _ = self._totals()
        latency = {operation: histogram.percentiles_ms() for operation, histogram in self.latency.items()}
        errors = {f"{name} {outcome}": n for (name, outcome), n in sorted(self.outcomes.items()) if outcome != OK}
        return {
            "ops": {operation: self.count(operation) for operation in OPERATIONS},
            "errors": errors,
            "latency_ms": latency,
            "p50_ms": self.slowest_ms("p50"),
            "p99_ms": self.slowest_ms("p99"),
            "recent": self.recent(),
            "histogram": {operation: histogram.buckets() for operation, histogram in self.latency.items()},
            "versions_per_read": {str(n): reads for n, reads in sorted(self.versions_per_read.items())},
            "keys": rows,
            "bytes": size,
            "siblings": siblings,
            "quarantined": quarantined,
            "hints": self._hints(),
            "tombstones": self._tombstones(),
            "uptime_s": round(self.uptime_s, 1),
            "cpu_s": round(time.process_time(), 3),
            "rss_bytes": rss_bytes(),
            "storage": self._storage(),
            "queues": self._queues(),
        }


def rss_bytes() -> int | None:
    """Resident memory of this process; None where the system does not say."""
    try:
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[1]) * PAGE_BYTES
    except OSError:
        return None
