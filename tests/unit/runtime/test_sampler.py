"""What a node remembers of single requests: right within what it says of itself, bounded, and nothing for nobody."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core import limits_watch
from node.core.limits_watch import (
    HOT_WINDOW_S,
    MONITOR_BUFFER,
    MONITOR_LEASE_S,
    MONITORS_MAX,
    REMEMBERED_S,
    SAMPLE_GAP,
)
from node.core.row import EMPTY, Row
from node.runtime.measures import Measures
from node.runtime.sampler import Sampler, SpaceSaving
from node.wire.replies import ErrorReply
from node.wire.requests import Failed, Found, Get, Inspect, Put, Result, Written
from node.wire.watches import Monitor, parse_hot, parse_monitor
from tests.helpers.causal import version

WRITTEN = Written(b"", (), 1, False, 1)
EMPTY_FOUND = Found(EMPTY, b"")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def row(*values: bytes | None) -> Row:
    return Row((), tuple(version(i + 1, 1, 1)._replace(value=value) for i, value in enumerate(values)))


def measures(clock: Clock, seed: int = 1) -> Measures:
    return Measures(
        clock, totals=lambda: (0, 0, 0, 0, 0), hints=tuple, storage=dict, queues=dict, rng=Random(seed)
    )  # fmt: skip


def test_every_bound_is_a_positive_number() -> None:
    bounds = {name: value for name, value in vars(limits_watch).items() if name.isupper()}
    assert all(isinstance(value, int | float) and value > 0 for value in bounds.values())
    assert limits_watch.HOT_SHOWN <= limits_watch.HOT_KEYS
    assert limits_watch.MONITOR_RATE <= limits_watch.MONITOR_RATE_MAX


# Space-saving -----------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 30), max_size=400), st.integers(1, 8))
def test_counts_are_right_within_their_error_and_no_heavy_key_is_missed(stream: list[int], most: int) -> None:
    saving, true = SpaceSaving(most), Counter(b"%d" % key for key in stream)
    for key in stream:
        saving.add(b"%d" % key, write=key % 2 == 0)
    counts = saving.counts()
    assert len(counts) <= most
    assert saving.total == len(stream)
    for key, (reads, writes, error) in counts.items():
        assert reads + writes <= true[key] <= reads + writes + error
    for key, count in true.items():
        if count > len(stream) / most:
            assert key in counts


# Sampling ---------------------------------------------------------------------------------------------


def test_one_in_so_many_is_looked_at_also_of_a_load_that_goes_round_evenly() -> None:
    """Alternating keys, as a benchmark sends them: each is seen as often as it comes."""
    clock = Clock()
    made = measures(clock)
    for at in range(64_000):
        made.done(Get(b"even" if at % 2 else b"odd"), EMPTY_FOUND, 0.001)
    clock.now += 10
    told: Any = made.sampler.hot(20)
    assert told["sampled"] == pytest.approx(64_000 / SAMPLE_GAP, rel=0.1)
    shares = {each["key"]: (each["share"], each["per_s"]) for each in told["hot"]}
    assert shares["even"] == (pytest.approx(0.5, abs=0.06), pytest.approx(3200, rel=0.2))
    assert shares["odd"][0] == pytest.approx(0.5, abs=0.06)


def test_most_requests_cost_a_count_down_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    take = Sampler.take

    def counted(self: Sampler, *args: Any) -> int:
        taken.append(args)
        return take(self, *args)

    monkeypatch.setattr(Sampler, "take", counted)
    made = measures(Clock())
    for _ in range(6400):
        made.done(Put(b"k", b"v"), WRITTEN, 0.001)
    assert 60 < len(taken) < 150


def sampled(sampler: Sampler, request: Get | Put, result: Result, times: int = 1) -> None:
    """So many requests that are looked at."""
    for _ in range(times):
        sampler.take("get" if isinstance(request, Get) else "put", "ok", request, result, 0.002)


def test_hot_is_of_the_last_windows_big_and_several_of_lately() -> None:
    clock = Clock()
    sampler = Sampler(clock, Random(1))
    sampled(sampler, Get(b"a"), Found(row(b"x" * 10, b"y" * 20), b""), 3)
    sampled(sampler, Put(b"\xff", b"z" * 100), WRITTEN)
    sampled(sampler, Put(b"gone", None), WRITTEN)
    sampled(sampler, Get(b"failed"), Failed("UNAVAILABLE", ""))
    sampler.several(b"a", row(b"1", b"2", b"3"))
    sampler.several(b"buried", row(b"1", None))
    clock.now += 10
    told: Any = sampler.hot(20)
    assert [(each["key"], each["enc"], each["reads"], each["writes"]) for each in told["hot"]][:1] == [
        ("a", "utf8", 3, 0)
    ]
    assert (told["sampled"], told["over_s"], told["hot"][0]["share"]) == (6, 10.0, 0.5)
    assert [(each["key"], each["enc"], each["bytes"]) for each in told["biggest"]] == [
        ("/w==", "base64", 100), ("a", "utf8", 30), ("gone", "utf8", 0),
    ]  # fmt: skip
    assert [(each["key"], each["values"], each["seen_s_ago"]) for each in told["siblings"]] == [("a", 3, 10.0)]
    sampled(sampler, Get(b"a"), Found(row(b"merged"), b""))
    told = sampler.hot(1)
    assert (len(told["hot"]), told["siblings"]) == (1, [])
    clock.now += 70
    sampler.hot(1)
    clock.now += 70
    told = sampler.hot(20)
    assert (told["hot"], told["sampled"], len(told["biggest"])) == ([], 0, 3)
    clock.now += REMEMBERED_S
    assert sampler.hot(20)["biggest"] == []


@given(st.lists(st.floats(0, 100), min_size=1, max_size=40))
def test_rates_are_over_two_windows_at_most_and_of_what_came_in_them(gaps: list[float]) -> None:
    """However long nothing was sampled: what came before the span that is told of is not counted."""
    clock = Clock()
    sampler, came = Sampler(clock, Random(1)), []
    for gap in gaps:
        clock.now += gap
        sampled(sampler, Get(b"k"), EMPTY_FOUND)
        came.append(clock.now)
        told: Any = sampler.hot(1)
        assert told["over_s"] <= 2 * HOT_WINDOW_S
        begun = clock.now - told["over_s"]
        assert told["sampled"] <= sum(at >= begun - 0.1 for at in came)
        assert told["sampled"] >= sum(at >= begun + 0.1 for at in came)


def test_what_is_remembered_is_bounded() -> None:
    clock = Clock()
    sampler = Sampler(clock, Random(1))
    for at in range(2000):
        sampled(sampler, Put(b"%d" % at, b"v" * (at % 700)), WRITTEN)
        sampler.several(b"%d" % at, row(*[b"v"] * (2 + at % 9)))
    told: Any = sampler.hot(256)
    assert len(told["hot"]) == 256
    assert len(told["biggest"]) == len(told["siblings"]) == 64
    assert told["biggest"][0]["bytes"] == 699
    assert {each["values"] for each in told["siblings"]} == {10}


def test_requests_for_no_key_are_not_sampled() -> None:
    made = measures(Clock())
    made.done(Inspect("ring"), EMPTY_FOUND, 0.001)
    assert made.sampler.hot(20)["sampled"] == 0


# Listening --------------------------------------------------------------------------------------------


def listened(made: Measures, order: Monitor = Monitor()) -> Any:  # noqa: B008  # a value
    return made.listen(order, 1_700_000_000.0)


def test_a_listener_hears_every_request_that_it_wants_from_its_first_question_on() -> None:
    clock = Clock()
    made = measures(clock)
    made.done(Get(b"cart:0"), EMPTY_FOUND, 0.001)
    order = Monitor(pattern=b"cart:*", operations=("get",))
    first = listened(made, order)
    assert (first["requests"], first["listener"]) == ([], 1)
    made.done(Get(b"cart:1"), Found(row(b"abc", b"de"), b""), 0.0015)
    made.done(Get(b"user:1"), EMPTY_FOUND, 0.001)
    made.done(Put(b"cart:1", b"v"), WRITTEN, 0.001)
    made.done(Get(b"cart:\xff"), Failed("UNAVAILABLE", ""), 0.5)
    clock.now += 2
    told = listened(made, order._replace(listener=1))
    assert told["requests"] == [
        {"at": "2023-11-14T22:13:18.000Z", "op": "get", "key": "cart:1", "enc": "utf8", "outcome": "ok", "ms": 1.5,
         "values": 2, "bytes": 5},
        {"at": "2023-11-14T22:13:18.000Z", "op": "get", "key": "Y2FydDr/", "enc": "base64", "outcome": "UNAVAILABLE",
         "ms": 500.0, "values": None, "bytes": None},
    ]  # fmt: skip
    assert (told["matched"], told["dropped"]) == (2, 0)
    assert listened(made, order._replace(listener=1))["requests"] == []


def test_what_is_above_the_rate_or_does_not_fit_is_counted() -> None:
    clock = Clock()
    made = measures(clock)
    listened(made, Monitor(rate=10))
    for _ in range(50):
        made.done(Get(b"k"), EMPTY_FOUND, 0.001)
    told = listened(made, Monitor(1, rate=10))
    assert (len(told["requests"]), told["matched"], told["dropped"]) == (10, 50, 40)
    listened(made, Monitor(rate=1000))
    for _ in range(4):
        clock.now += 1
        for _ in range(600):
            made.done(Get(b"k"), EMPTY_FOUND, 0.001)
    assert len(listened(made, Monitor(2, rate=1000))["requests"]) == MONITOR_BUFFER


def test_who_does_not_ask_any_more_is_forgotten_and_costs_nothing() -> None:
    clock = Clock()
    made = measures(clock)
    for _ in range(MONITORS_MAX):
        assert listened(made) is not None
    assert listened(made) is None, "as many as may"
    clock.now += MONITOR_LEASE_S + 1
    for _ in range(3):
        made.done(Get(b"k"), EMPTY_FOUND, 0.001)
    assert made.sampler.listeners == 0
    told = listened(made, Monitor(1))
    assert (told["listener"], told["requests"]) == (MONITORS_MAX + 1, []), "it listens anew"


def test_hot_is_sampled_as_ever_while_somebody_listens() -> None:
    clock = Clock()
    made = measures(clock)
    listened(made)
    for _ in range(6400):
        made.done(Get(b"k"), EMPTY_FOUND, 0.001)
    told: Any = made.sampler.hot(1)
    assert told["sampled"] == pytest.approx(100, abs=30)


# Words ------------------------------------------------------------------------------------------------


def test_words() -> None:
    assert parse_hot([b"DYN.HOT"]) == limits_watch.HOT_SHOWN
    assert parse_hot([b"DYN.HOT", b"count", b"7"]) == 7
    assert parse_monitor([b"DYN.MONITOR"]) == Monitor()
    words = b"DYN.MONITOR LISTENER 3 KEY cart:* OP put,get RATE 5".split()
    assert parse_monitor(words) == Monitor(3, b"cart:*", ("get", "put"), 5)


@pytest.mark.parametrize(
    "words",
    ["COUNT", "COUNT 0", "COUNT 257", "COUNT 1 COUNT 2", "SIZE 3", "LISTENER x", "OP get,get", "OP keys", "OP",
     "RATE 0", "RATE 1001", "RATE 99999999999999999999", "KEY a KEY b"],
)  # fmt: skip
def test_words_that_make_no_sense(words: str) -> None:
    for parse in (parse_hot, parse_monitor):
        assert isinstance(parse([b"DYN.X", *words.encode().split()]), ErrorReply)
