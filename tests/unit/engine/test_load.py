"""How many requests a node takes on: as many as it does in time, whatever that is, and it finds out by itself."""

from __future__ import annotations

from collections import deque

import pytest

from node.core.limits import OPERATIONS_MAX, OVERLOADED_S, REQUESTS_MIN
from node.engine.load import FIRST, Load, fair

STEP_S = 0.001


class Queue:
    """A server that does `rate` requests a second, one after the other; clients give up after `timeout_s`."""

    def __init__(self, load: Load, rate: float, timeout_s: float = 3.0) -> None:
        self.load = load
        self.rate = rate
        self.timeout_s = timeout_s
        self.done = self.refused = 0
        self.slowest_s = 0.0
        self._waiting: deque[float] = deque()
        self._debt = self._due = 0.0

    def run(self, seconds: float, offered: float) -> None:
        """Let `offered` requests a second come for a while."""
        for _ in range(round(seconds / STEP_S)):
            self.load.now += STEP_S
            self._debt += offered * STEP_S
            while self._debt >= 1:
                self._debt -= 1
                if self.load.turns_away():
                    self.refused += 1
                else:
                    self._waiting.append(self.load.begin())
            self._due = min(self._due + self.rate * STEP_S, 1 + self.rate * STEP_S)
            while self._waiting and self.load.now - self._waiting[0] >= self.timeout_s:
                self.load.done(self._waiting.popleft(), fair(round(self.timeout_s * 1000)), failed=True)
            while self._waiting and self._due >= 1:
                self._due -= 1
                begun = self._waiting.popleft()
                self.load.done(begun, fair(round(self.timeout_s * 1000)), failed=False)
                self.done += 1
                self.slowest_s = max(self.slowest_s, self.load.now - begun)


@pytest.mark.parametrize("rate", [400, 1000, 5000, 20_000])
def test_under_five_times_the_load_all_of_the_capacity_does_work_in_time(rate: int) -> None:
    """Whatever the capacity is: nobody told the node."""
    load = Load(REQUESTS_MIN)
    queue = Queue(load, rate)
    queue.run(5.0, 5 * rate)
    queue.done, queue.slowest_s = 0, 0.0
    queue.run(5.0, 5 * rate)
    assert queue.done >= 0.95 * 5 * rate
    assert queue.slowest_s < 2 * OVERLOADED_S
    assert queue.refused > 0


def test_clients_of_little_patience_are_served_in_theirs() -> None:
    """Requests that all end at their deadline of 200 ms take less than OVERLOADED_S, and are no success."""
    load = Load(1)
    queue = Queue(load, 500, timeout_s=0.2)
    queue.run(10.0, 2500)
    queue.done = 0
    queue.run(5.0, 2500)
    assert queue.done >= 0.9 * 5 * 500


def test_nobody_is_refused_below_the_capacity() -> None:
    load = Load(REQUESTS_MIN)
    queue = Queue(load, 1000)
    queue.run(20.0, 900)
    assert queue.refused == 0


def test_it_ends_with_the_load() -> None:
    """No state of overload that keeps itself up: at once when less comes, everybody gets in."""
    load = Load(REQUESTS_MIN)
    queue = Queue(load, 1000)
    queue.run(10.0, 5000)
    queue.run(1.0, 500)
    queue.refused = 0
    queue.run(10.0, 500)
    assert queue.refused == 0


def test_a_machine_that_becomes_faster_is_found_out() -> None:
    load = Load(REQUESTS_MIN)
    queue = Queue(load, 500)
    queue.run(10.0, 50_000)
    assert load.bound < 2 * 500 * OVERLOADED_S
    queue.rate = 10_000
    queue.run(10.0, 50_000)
    assert 10_000 * OVERLOADED_S / 2 < load.bound <= 10_000 * OVERLOADED_S * 1.5
    assert load.bound <= OPERATIONS_MAX


def test_few_requests_are_no_overload_however_slow_they_are() -> None:
    """A store that stands still for a while, or a quorum that does not come, must not close the door for all others."""
    load = Load(REQUESTS_MIN)
    queue = Queue(load, 0.0)
    queue.run(20.0, 30)
    assert load.bound >= REQUESTS_MIN
    assert load.bound == FIRST * REQUESTS_MIN, "30 a second for 3 s are fewer than are always taken on"
    queue.run(20.0, 1000)
    assert load.bound == REQUESTS_MIN


@pytest.mark.parametrize("idle", [0, 30])
def test_a_bound_of_an_overload_is_forgotten_when_there_is_no_load(idle: int) -> None:
    """A client's full pipeline is taken on again, though nothing ever reached the bound meanwhile."""
    load = Load(REQUESTS_MIN)
    queue = Queue(load, 100)
    queue.run(10.0, 1000)
    assert load.bound < 2 * REQUESTS_MIN
    queue.rate = 1000
    queue.run(5.0, idle)
    for _ in range(FIRST * REQUESTS_MIN):
        assert not load.turns_away()
        load.begin()


def test_a_bound_at_its_least_that_is_used_up_is_not_forgotten() -> None:
    """A slow disk: that few are in flight is the bound's doing."""
    load = Load(REQUESTS_MIN)
    queue = Queue(load, 100)
    queue.run(10.0, 1000)
    for _ in range(1000):
        queue.run(0.01, 1000)
        assert load.bound < 2 * REQUESTS_MIN
