"""Laws of `core.version`, held to sets of writes."""

from __future__ import annotations

import itertools

from hypothesis import example, given
from hypothesis import strategies as st

from node.core.row import EMPTY, Actor, Dot, Row
from node.core.version import add, advance, check, check_clock, covers, descends, join, merge
from tests.helpers.causal import (
    NOTHING,
    STORES,
    Store,
    World,
    clock_of,
    dot_sets,
    dots_of,
    reachable_rows,
    steps,
    version,
)


@given(dot_sets, dot_sets)
def test_a_clock_is_a_set_of_dots(a: set[Dot], b: set[Dot]) -> None:
    clock, other = clock_of(a), clock_of(b)
    check_clock(clock)
    assert dots_of(clock) == a
    assert join(clock, other) == join(other, clock) == clock_of(a | b)
    assert join(join(clock, other), other) == join(clock, other)
    assert a | b not in (a, b) or any(join(clock, other) is c for c in (clock, other)), "nothing is made anew in vain"
    assert descends(clock, other) == (a >= b)
    for dot in a | b:
        assert covers(clock, dot) == (dot in a)
        assert add(clock, dot) == clock_of(a | {dot})


@given(dot_sets, dot_sets, dot_sets)
def test_join_is_associative(a: set[Dot], b: set[Dot], c: set[Dot]) -> None:
    x, y, z = clock_of(a), clock_of(b), clock_of(c)
    assert join(join(x, y), z) == join(x, join(y, z))


@given(steps)
def test_stores_show_what_causal_histories_say(script: list[tuple[str, int, int]]) -> None:
    world = World()
    for step in script:
        world.do(step)
        for store in world.stores:
            store.agree()
            check(store.row)
        for known in world.contexts[-1:]:
            assert dots_of(known.clock) == known.dots


@given(steps)
def test_replicas_that_talked_are_equal(script: list[tuple[str, int, int]]) -> None:
    world = World()
    for step in script:
        world.do(step)
    for a, b in itertools.product(world.stores, repeat=2):
        a.take(b)
    for a, b in itertools.product(world.stores, repeat=2):
        a.take(b)
    assert len({store.row for store in world.stores}) == 1


@given(reachable_rows(3))
def test_merge_is_commutative_associative_idempotent(rows: tuple[Row, Row, Row]) -> None:
    a, b, c = rows
    assert merge(a, b) == merge(b, a)
    assert merge(merge(a, b), c) == merge(a, merge(b, c))
    assert merge(a, a) == a
    assert merge(merge(a, b), b) == merge(a, b)
    assert merge(a, EMPTY) == merge(EMPTY, a) == a


def dumb_merge(a: Row, b: Row) -> Row:
    """`merge` as its sentence says it, over sets."""
    versions_a, versions_b = set(a.versions), set(b.versions)
    unseen = {v for v in versions_a if v.dot not in dots_of(b.clock)} | {
        v for v in versions_b if v.dot not in dots_of(a.clock)
    }
    return Row(clock_of(dots_of(a.clock) | dots_of(b.clock)), tuple(sorted(versions_a & versions_b | unseen)))


@given(reachable_rows(2))
def test_merge_equals_the_dumb_one(rows: tuple[Row, Row]) -> None:
    merged = merge(*rows)
    assert merged == dumb_merge(*rows)
    for row in rows:
        if merged == row:
            assert merged is rows[0] or merged is rows[1], "a row that knew all is returned as it is"


@st.composite
def invented_rows(draw: st.DrawFn) -> Row:
    """Well-formed rows that no store need ever hold: a dot still names one value."""
    seen = draw(dot_sets)
    held = sorted(draw(st.sets(st.sampled_from(sorted(seen)))) if seen else [])
    return Row(clock_of(seen), tuple(version(*dot, value=b"%d" % dot.n) for dot in held))


@given(invented_rows(), invented_rows(), invented_rows())
def test_merge_keeps_its_laws_where_stores_went_wrong(a: Row, b: Row, c: Row) -> None:
    assert merge(a, b) == merge(b, a) == dumb_merge(a, b)
    assert merge(merge(a, b), c) == merge(a, merge(b, c))
    assert merge(a, a) == a


BEYOND_A_GAP = Row(clock_of({Dot(1, 1, 2), Dot(2, 1, 1)}), (version(2, 1, 1, past=clock_of({Dot(1, 1, 2)})),))


@example((BEYOND_A_GAP, BEYOND_A_GAP), 1, 1)
@given(reachable_rows(2), st.sampled_from([1, 2, 9]), st.integers(1, 3))
def test_advance_replaces_exactly_what_its_context_covers(rows: tuple[Row, Row], epoch: int, birth: int) -> None:
    row, reader = rows
    after, dot = advance(row, reader.clock, Actor(epoch, birth), b"new", written_at_ms=5, writer="w")
    check(after)
    assert not covers(row.clock, dot)
    assert not covers(reader.clock, dot)
    kept = {v for v in row.versions if v.dot not in dots_of(reader.clock)}
    new = {v for v in after.versions if v.dot == dot}
    assert set(after.versions) == kept | new
    assert [(v.past, v.value, v.written_at_ms, v.writer) for v in new] == [(reader.clock, b"new", 5, "w")]
    assert dots_of(after.clock) == dots_of(row.clock) | dots_of(reader.clock) | {dot}


@given(steps)
def test_siblings_never_outnumber_writes_that_did_not_see_each_other(script: list[tuple[str, int, int]]) -> None:
    world = World()
    for step in script:
        world.do(step)
    for store in world.stores:
        for a, b in itertools.combinations([store.model[v.dot] for v in store.row.versions], 2):
            assert a.dot not in b.saw
            assert b.dot not in a.saw


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, STORES - 1), st.booleans()), min_size=7, max_size=60))
def test_seven_writers_who_go_on_from_their_own_answers_leave_at_most_seven_siblings(
    turns: list[tuple[int, int, bool]],
) -> None:
    stores = [Store(epoch) for epoch in range(1, STORES + 1)]
    contexts = [NOTHING] * 7
    for writer, at, replicate in turns:
        contexts[writer] = stores[at].put(contexts[writer], b"%d" % writer)
        if replicate:
            for other in stores:
                other.take(stores[at])
    for a, b in itertools.product(stores, repeat=2):
        a.take(b)
    values = [version.value for version in stores[-1].row.versions]
    assert sorted(v for v in values if v is not None) == sorted({b"%d" % writer for writer, _, _ in turns})
