"""What happened between two looks at the figures of nodes: differences of what they count since their start.

Nodes tell their latencies as histograms, so percentiles of an interval, and of several nodes together, are those of the
requests themselves: they are never made of other percentiles. A node that was started between the looks counts as
unknown for that interval. Pure: documents in, values out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

Document = Mapping[str, Any]

OPERATIONS = ("get", "put", "del")
SHARES = (("p50", 0.5), ("p99", 0.99), ("p999", 0.999))

Bucket = tuple[int, int]
"""Microseconds, from (inclusive) and to (exclusive)."""


class Between(NamedTuple):
    """What one node did between two looks, `seconds` apart."""

    seconds: float
    ops: Counter[str]
    errors: Counter[str]
    histogram: dict[str, Counter[Bucket]]
    versions: Counter[int]
    repairs: int

    @property
    def total(self) -> int:
        """Requests for keys that ended, however they did."""
        return self.ops.total()


def between(before: Document | None, after: Document | None, seconds: float) -> Between | None:
    """The difference of two DYN.STATS documents of one node; None when that is not known."""
    if before is None or after is None or seconds <= 0:
        return None
    if number(after.get("uptime_s"), 0) < number(before.get("uptime_s"), 0):  # another life: it counts from nothing
        return None
    old, new = _counts(before.get("ops")), _counts(after.get("ops"))
    if any(new[name] < old[name] for name in old):
        return None
    histogram = {
        operation: _buckets(after, operation) - _buckets(before, operation)
        for operation in OPERATIONS
    }  # fmt: skip
    repairs = _counts(after.get("repairs")) - _counts(before.get("repairs"))
    versions = _counts(after.get("versions_per_read")) - _counts(before.get("versions_per_read"))
    return Between(
        seconds,
        new - old,
        _counts(after.get("errors")) - _counts(before.get("errors")),
        histogram,
        Counter({int(name): count for name, count in versions.items() if name.isdigit()}),
        repairs.total(),
    )


def since_start(document: Document | None) -> Between | None:
    """What one node did since its start; None if it does not tell for how long."""
    uptime_s = number((document or {}).get("uptime_s"), 0)
    return between({"uptime_s": 0}, document, uptime_s)


def lately(document: Document) -> Document | None:
    """Requests a second that one node served of late, and over how long that is, as it tells itself."""
    recent = document.get("recent")
    if not isinstance(recent, Mapping) or not number(recent.get("over_s"), 0):
        return None
    over_s = number(recent.get("over_s"), 0)
    return {"over_s": over_s, "per_s": _counts(recent.get("ops")).total() / over_s}


def merged(histograms: Iterable[Mapping[str, Counter[Bucket]]], operations: Sequence[str]) -> Counter[Bucket]:
    """The samples of some operations of all these nodes."""
    total: Counter[Bucket] = Counter()
    for histogram in histograms:
        for operation in operations:
            total.update(histogram.get(operation, {}))
    return total


def percentile_ms(samples: Counter[Bucket], share: float) -> float | None:
    """The smallest latency that `share` of the samples do not exceed, in milliseconds; None without samples."""
    total = samples.total()
    if not total:
        return None
    rank, seen = max(1, -int(-share * total // 1)), 0
    for (low, high), count in sorted(samples.items()):
        seen += count
        if seen >= rank:
            return (low + high - 1) / 2 / 1000
    raise AssertionError(f"{seen} samples of {total}")


def percentiles_ms(samples: Counter[Bucket]) -> dict[str, float | None]:
    """p50, p99 and p999 in milliseconds."""
    return {name: percentile_ms(samples, share) for name, share in SHARES}


def share_below(samples: Counter[Bucket], limit_ms: float) -> float | None:
    """The share of samples whose whole bucket is below a limit; None without samples."""
    total = samples.total()
    return sum(count for (_, high), count in samples.items() if high <= limit_ms * 1000) / total if total else None


def number(value: object, otherwise: float) -> float:
    """A figure of a node, which may say what it likes."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else otherwise


def _counts(table: object) -> Counter[str]:
    if not isinstance(table, Mapping):
        return Counter()
    return Counter({str(name): int(number(count, 0)) for name, count in table.items()})


def _buckets(document: Document, operation: str) -> Counter[Bucket]:
    told = document.get("histogram")
    rows = told.get(operation) if isinstance(told, Mapping) else None
    found: Counter[Bucket] = Counter()
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, list) and len(row) == 3 and all(isinstance(cell, int) for cell in row):
            found[row[0], row[1]] += row[2]
    return found
