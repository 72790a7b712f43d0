"""Latencies in a histogram: a percentile is right within half a per cent, however long a run is."""

from __future__ import annotations

from collections.abc import Sequence

SUB_BITS = 7
"""128 buckets for each doubling (as HdrHistogram with two significant digits): a bucket is 0.8 % wide."""
SUB = 1 << SUB_BITS


def bucket_of(micros: int) -> int:
    """The bucket of a number of microseconds."""
    shift = micros.bit_length() - SUB_BITS - 1
    return micros if shift <= 0 else (shift << SUB_BITS) + (micros >> shift)


def bounds_of(bucket: int) -> tuple[int, int]:
    """The microseconds from (inclusive) and to (exclusive) which a bucket counts."""
    if bucket < 2 * SUB:
        return bucket, bucket + 1
    shift = (bucket >> SUB_BITS) - 1
    low = (bucket - (shift << SUB_BITS)) << shift
    return low, low + (1 << shift)


class Latencies:
    """What `add` was given, in seconds; sums and the largest are exact."""

    __slots__ = ("_counts", "count", "max_s", "sum_s")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self.count = 0
        self.sum_s = 0.0
        self.max_s = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        micros = int(seconds * 1e6)
        shift = micros.bit_length() - 8  # bucket_of, written out: this runs for each request
        bucket = micros if shift <= 0 else (shift << 7) + (micros >> shift)
        counts = self._counts
        counts[bucket] = counts.get(bucket, 0) + 1
        self.count += 1
        self.sum_s += seconds
        if seconds > self.max_s:
            self.max_s = seconds

    def mean_ms(self) -> float | None:
        """Their mean in milliseconds; None if there are none."""
        return self.sum_s / self.count * 1000 if self.count else None

    def percentile_ms(self, share: float) -> float | None:
        """The latency that `share` of them stayed within, in milliseconds; None if there are none."""
        if not self.count:
            return None
        rank = max(1, -int(-share * self.count // 1))
        seen = 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= rank:
                low, high = bounds_of(bucket)
                return min((low + high) / 2000, self.max_s * 1000)
        raise AssertionError(f"{seen} latencies of {self.count}")

    def within_ms(self, edges_ms: Sequence[float]) -> list[int]:
        """How many lie below each edge and not below the one before; one more for those above all."""
        found = [0] * (len(edges_ms) + 1)
        for bucket, count in self._counts.items():
            low, high = bounds_of(bucket)
            middle_ms = (low + high) / 2000
            found[sum(middle_ms >= edge for edge in edges_ms)] += count
        return found
