"""Examples for `core.version`: the paper's, and the shapes that decide."""

from __future__ import annotations

import pytest

from node.core.row import EMPTY, Actor, Clock, Dot, Row, Version
from node.core.version import advance, check, check_clock, covers, last_n, merge, own_clock
from tests.helpers.causal import version

X, Y, Z = Actor(1, 1), Actor(2, 1), Actor(3, 1)


def put(row: Row, context: Clock, actor: Actor, value: bytes | None = b"v") -> Row:
    return advance(row, context, actor, value, written_at_ms=0, writer="")[0]


def clocks(row: Row) -> list[dict[int, int]]:
    return [{dot.epoch: dot.n for dot in own_clock(version)} for version in row.versions]


def test_figure_3_of_the_paper() -> None:
    """D1 … D5: written by Sx, Sx, then Sy and Sz apart, reconciled by Sx (section 4.4)."""
    sx, sy, sz = X.epoch, Y.epoch, Z.epoch
    d1 = put(EMPTY, (), X)
    assert clocks(d1) == [{sx: 1}]
    d2 = put(d1, d1.clock, X)
    assert clocks(d2) == [{sx: 2}]
    d3 = put(d2, d2.clock, Y)
    d4 = put(d2, d2.clock, Z)
    assert clocks(d3) == [{sx: 2, sy: 1}]
    assert clocks(d4) == [{sx: 2, sz: 1}]
    read = merge(d3, d4)
    assert clocks(read) == [{sx: 2, sy: 1}, {sx: 2, sz: 1}]
    assert {dot.epoch: dot.n for dot in read.clock} == {sx: 2, sy: 1, sz: 1}
    d5 = put(read, read.clock, X)
    assert clocks(d5) == [{sx: 3, sy: 1, sz: 1}]
    assert merge(d5, read) is d5


def test_one_context_twice_through_one_store_makes_two_siblings() -> None:
    d1 = put(EMPTY, (), X)
    both = put(put(d1, d1.clock, X, b"D2"), d1.clock, X, b"D3")
    assert [(v.value, v.dot.n, own_clock(v)) for v in both.versions] == [
        (b"D2", 2, (Dot(1, 1, 2),)),
        (b"D3", 3, (Dot(1, 1, 1), Dot(1, 1, 3))),
    ]
    assert both.clock == (Dot(1, 1, 3),)
    assert [v.value for v in put(both, own_clock(both.versions[1]), X, b"D4").versions] == [b"D2", b"D4"]
    assert [v.value for v in put(both, both.clock, X, b"D4").versions] == [b"D4"]


def test_a_blind_write_replaces_nothing() -> None:
    row = put(put(EMPTY, (), X, b"a"), (), Y, b"b")
    assert [v.value for v in row.versions] == [b"a", b"b"]


def test_a_tombstone_is_a_version_that_readers_do_not_see() -> None:
    row = put(EMPTY, (), X)
    gone = put(row, row.clock, X, None)
    assert gone.live == ()
    assert gone.clock == (Dot(1, 1, 2),)
    assert [v.value for v in put(gone, (), Y, b"again").live] == [b"again"]


def test_what_a_reader_of_another_store_replaced_stays_replaced_here() -> None:
    elsewhere = put(EMPTY, (), X, b"old")
    here = put(EMPTY, elsewhere.clock, Y, b"new")
    assert [v.value for v in merge(here, elsewhere).versions] == [b"new"]


def test_the_last_number_of_an_actor_counts_beyond_gaps() -> None:
    clock = (Dot(1, 1, 1), Dot(1, 1, 3), Dot(2, 1, 7))
    assert [last_n(clock, actor) for actor in (X, Y, Z)] == [3, 7, 0]
    assert not covers(clock, Dot(1, 1, 2))
    assert not covers(clock, Dot(1, 1, 4))


def test_a_context_that_knows_more_of_our_own_writes_is_believed() -> None:
    row, dot = advance(EMPTY, (Dot(1, 1, 5),), X, b"v", written_at_ms=0, writer="")
    assert dot == Dot(1, 1, 6)
    assert row.clock == (dot,)


@pytest.mark.parametrize(
    ("clock", "why"),
    [
        ((Dot(1, 1, 1), Dot(1, 1, 2)), "gap that is none"),
        ((Dot(1, 1, 0),), "nothing was seen"),
        ((Dot(1, 1, 0), Dot(2, 1, 1)), "nothing was seen"),
        ((Dot(1, 1, 0), Dot(1, 1, 1)), "gap that is none"),
        ((Dot(2, 1, 1), Dot(1, 1, 1)), "not sorted"),
        ((Dot(1, 1, 1), Dot(1, 1, 1)), "not sorted"),
        ((Dot(1, 1, 3), Dot(1, 1, 2)), "not sorted"),
        ((Dot(-1, 1, 1),), "out of range"),
        ((Dot(2**64, 1, 1),), "out of range"),
        ((Dot(1, 0, 1),), "out of range"),
        ((Dot(1, 2**63, 1),), "out of range"),
        ((Dot(1, 1, -1),), "out of range"),
        ((Dot(1, 1, 2**63),), "out of range"),
    ],
)
def test_a_malformed_clock_is_named(clock: Clock, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        check_clock(clock)
    with pytest.raises(ValueError, match=why):
        check(Row((Dot(1, 1, 1),), (version(1, 1, 1, past=clock),)))


@pytest.mark.parametrize(
    ("clock", "versions", "why"),
    [
        ((Dot(1, 1, 2),), (version(1, 1, 2), version(1, 1, 1)), "not sorted"),
        ((Dot(1, 1, 2),), (version(1, 1, 1), version(1, 1, 1, value=b"w")), "not sorted"),
        ((Dot(1, 1, 2),), (version(1, 1, 3),), "not covered"),
        ((Dot(1, 1, 1), Dot(1, 1, 3)), (version(1, 1, 2),), "not covered"),
        ((Dot(1, 1, 1),), (version(1, 1, 0),), "not covered"),
        ((), (version(1, 1, 1),), "not covered"),
        ((Dot(1, 1, 1),), (), "no version"),
    ],
)
def test_a_malformed_row_is_named(clock: Clock, versions: tuple[Version, ...], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        check(Row(clock, versions))


def test_the_empty_row_is_well_formed() -> None:
    check(EMPTY)
    check_clock(())
