"""Which version follows which, from the versions that are left."""

from __future__ import annotations

from itertools import permutations

from node.core.lineage import Event, lineage
from node.core.row import EMPTY, Actor, Clock, Dot, Row, Version
from node.core.version import advance, covers, own_clock

A, B = Actor(1, 1), Actor(2, 1)


def put(row: Row, context: Clock, actor: Actor, value: bytes) -> tuple[Row, Version]:
    after, dot = advance(row, context, actor, value, written_at_ms=0, writer="")
    return after, next(version for version in after.versions if version.dot == dot)


def shape(events: tuple[Event, ...]) -> list[tuple[str, tuple[int, ...]]]:
    return [(event.version.value.decode() if event.version and event.version.value else "gone", event.parents)
            for event in events]  # fmt: skip


def test_nothing_has_no_history() -> None:
    assert lineage(()) == ()


def test_siblings_that_share_a_past_that_is_gone_have_one_parent() -> None:
    row, first = put(EMPTY, (), A, b"old")
    row, one = put(row, own_clock(first), A, b"one")
    _, two = put(EMPTY, own_clock(first), B, b"two")
    events = lineage([one, two])
    assert shape(events) == [("gone", ()), ("one", (0,)), ("two", (0,))]
    assert events[0].clock == (Dot(1, 1, 1),)


def test_what_a_stale_replica_still_holds_is_the_parent_itself() -> None:
    row, first = put(EMPTY, (), A, b"old")
    _, one = put(row, own_clock(first), A, b"one")
    assert shape(lineage([one, first])) == [("old", ()), ("one", (0,))]


def test_a_merge_has_both_its_parents_and_not_their_past() -> None:
    row, first = put(EMPTY, (), A, b"old")
    row_a, one = put(row, own_clock(first), A, b"one")
    row_b, two = put(row, own_clock(first), B, b"two")
    both = (*own_clock(one), *own_clock(two)[1:])
    _, merged = put(row_a, tuple(sorted(both)), A, b"merged")
    assert row_b.versions == (two,)
    assert shape(lineage([merged, two, first, one])) == [("old", ()), ("two", (0,)), ("one", (0,)), ("merged", (1, 2))]


def test_a_writer_who_had_read_more_follows_a_later_past() -> None:
    """One had read a:1, another a:1 and b:3; nobody holds either: the second past includes the first."""
    one = Version(Dot(3, 1, 1), (Dot(1, 1, 1),), b"one", 0, "")
    two = Version(Dot(4, 1, 1), (Dot(1, 1, 1), Dot(2, 1, 3)), b"two", 0, "")
    assert shape(lineage([one, two])) == [("gone", ()), ("one", (0,)), ("gone", (0,)), ("two", (2,))]


def test_a_past_that_is_gone_follows_what_a_stale_replica_still_holds() -> None:
    """a:1 is held by a laggard, a:2 by nobody; b:1 was written over a:2."""
    row, first = put(EMPTY, (), A, b"old")
    row, second = put(row, own_clock(first), A, b"lost")
    _, last = put(row, own_clock(second), B, b"new")
    assert shape(lineage([last, first])) == [("old", ()), ("gone", (0,)), ("new", (1,))]


def test_a_blind_write_follows_nothing_even_through_the_same_node() -> None:
    row, first = put(EMPTY, (), A, b"first")
    _, blind = put(row, (), A, b"blind")
    assert shape(lineage([first, blind])) == [("first", ()), ("blind", ())]


def test_every_order_of_the_versions_tells_the_same_and_parents_come_first() -> None:
    row, one = put(EMPTY, (), A, b"1")
    row, two = put(row, own_clock(one), B, b"2")
    row, three = put(row, own_clock(one), A, b"3")
    _, four = put(row, own_clock(two), B, b"4")
    versions = [one, two, three, four]
    told = set()
    for order in permutations(versions):
        events = lineage(order)
        assert all(parent < at for at, event in enumerate(events) for parent in event.parents)
        told.add(frozenset(
            (event.clock, frozenset(events[parent].clock for parent in event.parents)) for event in events
        ))  # fmt: skip
    assert len(told) == 1


def test_reachable_is_what_clocks_say() -> None:
    row, one = put(EMPTY, (), A, b"1")
    row, two = put(row, own_clock(one), B, b"2")
    row, three = put(row, own_clock(one), A, b"3")
    _, four = put(row, row.clock, B, b"4")
    events = lineage([one, two, three, four])
    above: list[set[int]] = []
    for event in events:
        above.append({at for parent in event.parents for at in (parent, *above[parent])})
    for at, event in enumerate(events):
        for other, earlier in enumerate(events):
            assert event.version is not None
            assert earlier.version is not None
            assert (other in above[at]) == (at != other and covers(event.version.past, earlier.version.dot))
