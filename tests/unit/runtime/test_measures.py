"""Histograms against sorted lists, counters against what was counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core.row import EMPTY
from node.runtime.measures import BUCKETS, OPERATIONS, Histogram, Measures, bounds_of, bucket_of
from node.wire.requests import Failed, Found, Get, Inspect, Put, Written

WRITTEN = Written(b"", (), 1, False, 1)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def measures(clock: Clock) -> Measures:
    return Measures(
        clock, totals=lambda: (7, 700, 1, 0, 9), hints=tuple, storage=lambda: {"commits": 3}, queues=lambda: {"disk": 0}
    )


@given(st.integers(0, 2**40))
def test_a_bucket_holds_its_number_within_a_sixteenth(micros: int) -> None:
    low, high = bounds_of(bucket_of(micros))
    if bucket_of(micros) < BUCKETS - 1:
        assert low <= micros < high
    assert high - low <= max(1, low / 16)


def test_buckets_follow_each_other_without_gap() -> None:
    edges = [bounds_of(bucket) for bucket in range(BUCKETS)]
    assert all(high == low for (_, high), (low, _) in zip(edges, edges[1:], strict=False))


@given(st.lists(st.integers(0, 10**8), min_size=1, max_size=300))
def test_percentiles_are_within_a_thirtieth(micros: list[int]) -> None:
    histogram = Histogram()
    for sample in micros:
        histogram.add((sample + 0.5) / 1e6)
    ordered = sorted(micros)
    for name, share in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999)):
        exact = ordered[min(len(ordered), -int(-share * len(ordered) // 1)) - 1] / 1000
        found = histogram.percentiles_ms()[name]
        assert found == pytest.approx(exact, rel=0.033, abs=0.001)


def test_percentiles_forget_and_totals_do_not() -> None:
    histogram = Histogram()
    histogram.add(1.0)
    histogram.turn()
    histogram.add(0.001)
    assert histogram.percentiles_ms()["p999"] == pytest.approx(1000, rel=0.04)
    histogram.turn()
    assert histogram.percentiles_ms()["p999"] == pytest.approx(1, rel=0.04)
    histogram.turn()
    assert histogram.percentiles_ms()["p999"] is None
    assert list(histogram.cumulative())[-1] == (float("inf"), 2)
    assert histogram.sum_s == pytest.approx(1.001)


@given(st.lists(st.integers(0, 10**8), max_size=100))
def test_cumulative_counts_are_exact_at_their_edges(micros: list[int]) -> None:
    histogram = Histogram()
    for sample in micros:
        histogram.add((sample + 0.5) / 1e6)
    for seconds, below in histogram.cumulative():
        assert below == sum(sample < seconds * 1e6 for sample in micros)


def test_a_sample_never_breaks_the_histogram() -> None:
    histogram = Histogram()
    for seconds in (0.0, 1e-9, 1e9, 1e12):
        histogram.add(seconds)
    assert list(histogram.cumulative())[-1][1] == 4


def test_requests_are_counted_by_operation_and_outcome() -> None:
    clock = Clock()
    counted = measures(clock)
    counted.done(Get(b"k"), Found(EMPTY), 0.001)
    counted.done(Get(b"k"), Failed("UNAVAILABLE", "no"), 0.001)
    counted.done(Put(b"k", b"v"), WRITTEN, 0.002)
    counted.done(Put(b"k", None), WRITTEN, 0.003)
    counted.done(Inspect("status"), Failed("ERR", "no"), 0.001)
    clock.now = 4.0
    figures = counted.figures()
    assert figures["ops"] == {"get": 2, "put": 1, "del": 1}
    assert figures["errors"] == {"get UNAVAILABLE": 1, "status ERR": 1}
    assert figures["versions_per_read"] == {"0": 1}
    assert (figures["keys"], figures["bytes"], figures["siblings"], figures["uptime_s"]) == (7, 700, 1, 4.0)
    assert isinstance(figures["cpu_s"], float)
    assert figures["p99_ms"] == pytest.approx(3, rel=0.04)
    assert figures["p50_ms"] == pytest.approx(3, rel=0.04), "of the slowest kind, as p99_ms"
    assert figures["storage"] == {"commits": 3}


def test_background_work_goes_by_what_clients_have_just_seen() -> None:
    """Not by the percentiles that are shown, which remember twenty seconds: after a load it waited for nobody."""
    clock = Clock()
    counted = measures(clock)
    seen: list[float | None] = []
    for slow_s in (0.3, 0.2, None, 0.001, None, None, None):
        if slow_s is not None:
            counted.done(Get(b"k"), Found(EMPTY), slow_s)
            counted.done(Put(b"k", b"v"), WRITTEN, slow_s / 2)
        clock.now += 1
        counted.tick()
        seen.append(counted.look_p99_ms())
    assert seen == [pytest.approx(ms, rel=0.04) for ms in (300, 300, 300, 200, 1, 1)] + [None]
    assert counted.slowest_ms("p99") == pytest.approx(300, rel=0.04)


def test_windows_turn_with_time() -> None:
    clock = Clock()
    counted = measures(clock)
    counted.done(Get(b"k"), Found(EMPTY), 0.001)
    for _ in range(3):
        clock.now += 60
        counted.tick()
    assert counted.figures()["p99_ms"] is None
    assert counted.count("get") == 1
    assert set(counted.latency) == set(OPERATIONS)


def test_histograms_are_told_so_that_differences_and_sums_are_exact() -> None:
    """Percentiles can be neither subtracted nor added; counts of buckets can, and outlive the windows."""
    histogram = Histogram()
    for micros in (10.5, 10.7, 5000.5):
        histogram.add(micros / 1e6)
        histogram.turn()
    assert histogram.buckets() == [(10, 11, 2), (4864, 5120, 1)]
    assert sum(count for _, _, count in histogram.buckets()) == 3


def test_the_load_of_now_is_over_the_windows_that_it_is_told_for() -> None:
    clock = Clock()
    made = measures(clock)
    assert made.recent() == {"over_s": 0.0, "ops": {"get": 0, "put": 0, "del": 0}}
    for _ in range(30):
        made.done(Get(b"k"), Found(EMPTY, b""), 0.001)
    clock.now = 4.0
    assert made.recent() == {"over_s": 4.0, "ops": {"get": 30, "put": 0, "del": 0}}
    clock.now = 10.0
    made.tick()
    made.done(Get(b"k"), Found(EMPTY, b""), 0.001)
    clock.now = 15.0
    assert made.figures()["recent"] == {"over_s": 15.0, "ops": {"get": 31, "put": 0, "del": 0}}
    clock.now = 20.0
    made.tick()
    assert made.recent() == {"over_s": 10.0, "ops": {"get": 1, "put": 0, "del": 0}}, (
        "the window before the last is forgotten"
    )
