"""Waiting ends, and a machine that stands still does not end it."""

from __future__ import annotations

from tests.helpers.patience import Patience


def test_it_ends_after_its_seconds() -> None:
    times = iter(range(100))
    patience = Patience(10, lambda: next(times))
    assert sum(iter(patience.is_left, False)) == 9


def test_a_standstill_counts_as_one_step() -> None:
    times = iter([0.0, 0.5, 300.0, 300.5, 301.0, 302.0])
    patience = Patience(3, lambda: next(times))
    assert [patience.is_left() for _ in range(5)] == [True, True, True, True, False]
