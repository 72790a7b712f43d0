"""Timers wake in order, never early, and cost nothing to forget."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from node.engine.timers import TICKS_PER_S, Timers


def test_nothing_set_nothing_due() -> None:
    """An empty table never wakes anybody."""
    assert Timers().next_deadline() is None
    assert Timers().due(1e9) == []


@given(st.lists(st.floats(0, 100), min_size=1))
def test_everybody_is_woken_once_within_a_tick(times: list[float]) -> None:
    """At the announced deadline somebody is due, nobody before its time, and all within a tick after it."""
    timers = Timers()
    for ticket, at in enumerate(times):
        timers.set(at, ticket)
    woken: list[int] = []
    while (deadline := timers.next_deadline()) is not None:
        due = timers.due(deadline)
        assert due, "the announced deadline woke nobody"
        assert all(times[ticket] <= deadline <= times[ticket] + 1.5 / TICKS_PER_S for ticket in due)
        woken += due
    assert sorted(woken) == list(range(len(times)))


def test_same_time_same_order() -> None:
    """Tickets of one instant are woken in the order they were set."""
    timers = Timers()
    for ticket in (5, 3, 9):
        timers.set(1.0, ticket)
    assert timers.due(1.02) == [5, 3, 9]
