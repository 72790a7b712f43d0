"""Percentiles of few samples, exactly."""

from __future__ import annotations

from collections.abc import Sequence


def percentile_ms(sorted_s: Sequence[float], share: float) -> float | None:
    """The latency that `share` of the sorted ones stayed within, in milliseconds; None without any."""
    if not sorted_s:
        return None
    return sorted_s[min(len(sorted_s) - 1, int(len(sorted_s) * share))] * 1000
