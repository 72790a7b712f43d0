"""Clocks as people read them."""

from __future__ import annotations

import pytest

from node.core.row import Clock, Dot
from node.wire.clocks import Namer

A, B, C, D = 0xA << 60, 0xB << 60, 0xC << 60, 0xDEADBEEF << 32
NAMES = {A: "n1", B: "n2", C: "n1"}
"""n1 was given a new dot epoch once: C is the later one."""


def clock(*dots: tuple[int, int, int]) -> Clock:
    return tuple(sorted(Dot(*dot) for dot in dots))


@pytest.mark.parametrize(
    ("clocks", "want"),
    [
        ([clock()], [{}]),
        ([clock((A, 1, 3))], [{"n1": 3}]),
        ([clock((B, 9, 2), (A, 4, 1))], [{"n1": 1, "n2": 2}]),
        # several births: the earliest keeps the name, for all clocks of the answer
        ([clock((A, 7, 1), (A, 3, 5))], [{"n1": 5, "n1/2": 1}]),
        ([clock((A, 7, 1)), clock((A, 3, 5)), clock((A, 9, 2))], [{"n1/2": 1}, {"n1": 5}, {"n1/3": 2}]),
        # a later epoch of the same store is later, its births go on
        ([clock((C, 8, 1), (A, 3, 5))], [{"n1": 5, "n1/2": 1}]),
        # the same birth under two epochs: the order of the store's epochs decides
        ([clock((C, 3, 1), (A, 3, 5))], [{"n1": 5, "n1/2": 1}]),
        # nobody knows the epoch
        ([clock((D, 1, 1))], [{"deadbeef": 1}]),
        ([clock((D, 1, 1), (D + 1, 1, 2))], [{"deadbeef": 1, "deadbeef/2": 2}]),
        ([clock((D, 1, 1), (A, 1, 1))], [{"deadbeef": 1, "n1": 1}]),
    ],
)
def test_names(clocks: list[Clock], want: list[dict[str, int]]) -> None:
    namer = Namer(clocks, NAMES)
    assert [namer.clock(clock) for clock in clocks] == want
    assert [list(namer.clock(clock)) for clock in clocks] == [list(names) for names in want]


def test_the_order_of_clocks_does_not_matter() -> None:
    clocks = [clock((A, 3, 1), (C, 3, 1)), clock((B, 2, 2)), clock((D, 1, 1), (D + 1, 1, 9))]
    for order in (clocks, clocks[::-1]):
        namer = Namer(order, NAMES)
        assert [namer.clock(clock) for clock in clocks] == [
            {"n1": 1, "n1/2": 1},
            {"n2": 2},
            {"deadbeef": 1, "deadbeef/2": 9},
        ]


def test_dots() -> None:
    namer = Namer([clock((A, 7, 1), (A, 3, 5))], NAMES)
    assert namer.dot(Dot(A, 7, 1)) == "n1/2:1"
    assert namer.dot(Dot(A, 3, 2)) == "n1:2"
