"""Why a dot needs a birth: each way in which a store could name two writes alike, and what would be lost."""

from __future__ import annotations

import pytest

from node.core.row import EMPTY, Actor, Row
from node.core.version import advance, merge
from tests.helpers.causal import NOTHING, Known, Store


def write(row: Row, context: Known, actor: Actor, value: bytes) -> Row:
    return advance(row, context.clock, actor, value, written_at_ms=0, writer="")[0]


def values(store: Store) -> list[bytes | None]:
    return sorted((version.value for version in store.row.versions), key=str)


def stand_in_twice(*, fresh_births: bool) -> Store:
    """A stand-in writes, hands over, drops the row, and stands in again; return the owner that got both."""
    owner, stand_in = Store(1), Store(2)
    stand_in.put(NOTHING, b"first", fresh_births=fresh_births)
    owner.take(stand_in)
    stand_in.drop()
    stand_in.put(NOTHING, b"second", fresh_births=fresh_births)
    owner.take(stand_in)
    return owner


def test_a_stand_in_that_comes_back_under_its_old_birth_loses_a_write() -> None:
    assert values(stand_in_twice(fresh_births=False)) == [b"first"]


def test_a_stand_in_that_comes_back_under_a_new_birth_loses_none() -> None:
    owner = stand_in_twice(fresh_births=True)
    assert values(owner) == [b"first", b"second"]
    owner.agree()


def overwritten_elsewhere(*, fresh_births: bool) -> Store:
    """The same, but meanwhile the first write was replaced: the second one must not look replaced too."""
    owner, stand_in = Store(1), Store(2)
    stand_in.put(NOTHING, b"first", fresh_births=fresh_births)
    owner.take(stand_in)
    owner.put(owner.get(), b"over it")
    stand_in.drop()
    stand_in.put(NOTHING, b"second", fresh_births=fresh_births)
    owner.take(stand_in)
    return owner


@pytest.mark.parametrize(("fresh_births", "kept"), [(False, [b"over it"]), (True, [b"over it", b"second"])])
def test_a_replaced_dot_would_swallow_its_successor(fresh_births: bool, kept: list[bytes]) -> None:
    assert values(overwritten_elsewhere(fresh_births=fresh_births)) == kept


def refilled_by_merge(*, fresh_births: bool) -> Store:
    """A store loses its row (quarantine, disk), gets an old copy back by merge, and writes over that."""
    lost, peer = Store(1), Store(2)
    known = lost.put(NOTHING, b"one", fresh_births=fresh_births)
    peer.take(lost)
    lost.put(known, b"two", fresh_births=fresh_births)  # answered to its writer, not yet replicated …
    replicated = Store(3)
    replicated.take(lost)  # … but for one copy
    lost.drop()
    lost.take(peer)
    lost.put(known, b"three", fresh_births=fresh_births)
    lost.take(replicated)
    return lost


def test_a_row_that_came_back_by_merge_counts_as_new() -> None:
    assert values(refilled_by_merge(fresh_births=False)) == [b"three"], "two was acknowledged, and is gone"
    kept = refilled_by_merge(fresh_births=True)
    assert values(kept) == [b"three", b"two"]
    kept.agree()


def test_a_copied_store_needs_another_epoch() -> None:
    actor, redrawn = Actor(1, 1), Actor(2, 1)
    original = write(EMPTY, NOTHING, actor, b"here")
    assert len(merge(original, write(EMPTY, NOTHING, actor, b"there")).versions) == 1
    assert len(merge(original, write(EMPTY, NOTHING, redrawn, b"there")).versions) == 2


def test_one_counter_for_all_rows_would_let_a_later_write_cover_an_earlier_one() -> None:
    """With n from a store-wide counter, {f:2} covers f:1 although nobody who knows f:2 ever saw f:1."""
    stand_in = Actor(2, 1)
    first, _ = advance(EMPTY, (), stand_in, b"first", written_at_ms=0, writer="")
    # The row was handed over and dropped; the store-wide counter goes on at 2 as if the row had remained.
    gone_on, _ = advance(Row(first.clock, ()), (), stand_in, b"second", written_at_ms=0, writer="")
    owner = merge(first, gone_on)
    assert [version.value for version in owner.versions] == [b"second"], "first was never replaced by anybody"
