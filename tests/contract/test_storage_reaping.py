"""Reap rounds and the dropping of tombstones: what every store does in one transaction, and what it remembers of it."""

from __future__ import annotations

import pytest

from node.core.ids import NodeId, partition_of
from node.core.rounds import STATE_ROUNDS, read_rounds
from node.core.row import EMPTY
from node.core.version import advance, merge
from node.storage.port import (
    Adopt,
    Adopted,
    Forget,
    Merge,
    Merged,
    Outcome,
    Owe,
    Owed,
    Page,
    Reap,
    Reaped,
    Refusal,
    Write,
)
from node.wire.rows import decode_row, encode_row, row_digest
from tests.helpers.stores import EPOCH, PEER, Scribe, peer_row, refusals, write

Q = 16
N2 = NodeId("2" * 32)


def adopt(key: bytes, number: int, *rows: tuple[bytes, bytes]) -> Adopt:
    return Adopt(partition_of(key, Q), Q, number, tuple((k, row_digest(k, row)) for k, row in rows))


def told(outcome: Outcome) -> tuple[bool, int, tuple[bytes, ...]]:
    assert isinstance(outcome, Adopted), outcome
    return outcome.done, outcome.round, outcome.differ


def dead(scribe: Scribe) -> list[bytes]:
    page = scribe.handle.store.tombstones(b"", 100)
    assert page.after is None
    return sorted(key for key, _ in page.items)


def do(scribe: Scribe, one: Write) -> Outcome:
    (outcome,) = scribe.apply(one)
    return outcome


def tombstone() -> bytes:
    """A deleted value, as a peer's row."""
    first = peer_row(b"v")
    row, _ = advance(decode_row(first), decode_row(first).clock, PEER, None, written_at_ms=2, writer="peer")
    return encode_row(row)


def test_a_round_is_adopted_once_durably_and_never_goes_back(scribe: Scribe) -> None:
    assert told(do(scribe, adopt(b"k", 3))) == (True, 3, ())
    assert told(do(scribe, adopt(b"k", 3))) == (False, 3, ())
    assert told(do(scribe, adopt(b"k", 2))) == (False, 3, ())
    scribe.handle.crash()
    assert told(do(scribe, adopt(b"k", 3))) == (False, 3, ())
    assert read_rounds(scribe.handle.store.load_state()[STATE_ROUNDS]).of(b"k") == 3
    assert told(do(scribe, adopt(b"k", 9))) == (True, 9, ())


def test_with_the_round_the_store_says_what_it_holds_otherwise(scribe: Scribe) -> None:
    row, other = tombstone(), peer_row(b"x")
    scribe.apply(Merge(b"same", row, EPOCH), Merge(b"other", other, EPOCH), Merge(b"lost", row, EPOCH))
    scribe.handle.corrupt(b"lost")
    asked = [(key, row) for key in (b"same", b"other", b"absent", b"lost")]
    assert told(do(scribe, adopt(b"k", 1, *asked))) == (True, 1, (b"other", b"lost"))


def test_what_a_round_is_asked_counts_as_of_its_place_in_the_transaction(scribe: Scribe) -> None:
    row = tombstone()
    merged, first, _, second = scribe.apply(
        Merge(b"k", row, EPOCH), adopt(b"k", 1, (b"k", row)), write(b"k", b"new"), adopt(b"k", 2, (b"k", row))
    )
    assert isinstance(merged, Merged)
    assert told(first) == (True, 1, ())
    assert told(second) == (True, 2, (b"k",))


def test_a_row_of_an_older_round_is_refused_whatever_is_held(scribe: Scribe) -> None:
    """Also beside a row: one that was written after the reap does not know what was deleted before it."""
    scribe.apply(adopt(b"k", 2))
    old = Merge(b"k", peer_row(b"old"), EPOCH, round=1)
    assert refusals([do(scribe, old)]) == [Refusal.ROUND]
    assert scribe.handle.store.fetch(b"k") is None
    scribe.advance(b"k", b"new")
    assert refusals([do(scribe, old)]) == [Refusal.ROUND]
    assert scribe.values(b"k") == [b"new"]
    scribe.handle.crash()
    assert refusals([do(scribe, old)]) == [Refusal.ROUND]
    assert isinstance(do(scribe, old._replace(round=2)), Merged)


def test_other_partitions_are_not_concerned(scribe: Scribe) -> None:
    elsewhere = next(k for k in (b"k%d" % i for i in range(99)) if partition_of(k, Q) != partition_of(b"k", Q))
    scribe.apply(adopt(b"k", 2))
    assert isinstance(do(scribe, Merge(elsewhere, peer_row(b"v"), EPOCH)), Merged)


def test_a_refused_row_leaves_no_hint(scribe: Scribe) -> None:
    scribe.apply(adopt(b"k", 2))
    do(scribe, Merge(b"k", peer_row(b"old"), EPOCH, owed=Owed((N2,), 1)))
    assert scribe.handle.store.hint_totals() == ()


def test_a_tombstone_goes_only_while_it_is_that_very_row(scribe: Scribe) -> None:
    row = tombstone()
    scribe.apply(Merge(b"k", row, EPOCH))
    reap = Reap(b"k", row_digest(b"k", row))
    assert do(scribe, Reap(b"k", row_digest(b"k", peer_row(b"x")))) == Reaped(dropped=False)
    newer = scribe.advance(b"k", b"again", decode_row(row).clock)
    assert do(scribe, reap) == Reaped(dropped=False)
    assert scribe.handle.store.fetch(b"k") == newer.row
    assert do(scribe, Reap(b"absent", row_digest(b"absent", row))) == Reaped(dropped=False)


def test_a_reaped_row_is_gone_and_its_key_begins_a_new_life(scribe: Scribe) -> None:
    first = scribe.advance(b"k", b"v")
    gone = scribe.advance(b"k", None, first.clock)
    assert do(scribe, Reap(b"k", row_digest(b"k", gone.row))) == Reaped(dropped=True)
    for _ in range(2):
        assert scribe.handle.store.fetch(b"k") is None
        assert scribe.handle.store.totals().rows == 0
        assert scribe.handle.store.tombstone_count() == 0
        scribe.handle.crash()
    again = scribe.advance(b"k", b"v", first.clock)
    assert again.dot.birth > gone.dot.birth
    assert scribe.values(b"k") == [b"v"]


def test_a_row_that_may_be_dead_is_forgotten_whatever_it_is(scribe: Scribe) -> None:
    """Only if it is that very row; and the hint for it that stays behind is told to stand for nothing."""
    empty = scribe.handle.store.digests(0, 0, 0)
    alive = scribe.advance(b"alive", b"v")
    scribe.apply(Owe(b"alive", Owed((N2,), 1)))
    digest = row_digest(b"alive", alive.row)
    assert do(scribe, Forget(b"alive", bytes(16))) == Reaped(dropped=False)
    assert do(scribe, Forget(b"absent", digest)) == Reaped(dropped=False)
    assert do(scribe, Forget(b"alive", digest)) == Reaped(dropped=True)
    for _ in range(2):
        assert scribe.handle.store.fetch(b"alive") is None
        assert scribe.handle.store.totals().rows == 0
        assert scribe.handle.store.owed(N2, b"", 10).items == ((b"alive", b""),)
        assert scribe.handle.store.digests(0, 0, 0) == empty
        scribe.handle.crash()
        while scribe.handle.store.work_due:
            scribe.handle.store.work()
    assert scribe.advance(b"alive", b"v").dot.birth > alive.dot.birth


def test_the_index_holds_exactly_the_rows_that_are_nothing_but_tombstones(scribe: Scribe) -> None:
    scribe.apply(*(write(b"k%d" % i, None) for i in range(3)), write(b"live", b"v"))
    assert dead(scribe) == [b"k0", b"k1", b"k2"]
    scribe.apply(write(b"k0", b"beside"), write(b"k1", b"v", cover=True), write(b"live", None, cover=True))
    for _ in range(2):
        assert dead(scribe) == [b"k2", b"live"]
        assert scribe.handle.store.tombstone_count() == 2
        scribe.handle.crash()
    scribe.handle.corrupt(b"k2")
    scribe.handle.store.fetch(b"k2")
    scribe.apply(write(b"other", b"v"))
    assert dead(scribe) == [b"live"]
    assert scribe.handle.store.tombstone_count() == 1


def test_two_tombstones_side_by_side_are_one_dead_row(scribe: Scribe) -> None:
    one, two = tombstone(), encode_row(advance(EMPTY, (), PEER._replace(epoch=7), None, written_at_ms=1, writer="")[0])
    scribe.apply(Merge(b"k", one, EPOCH), Merge(b"k", two, EPOCH))
    assert scribe.handle.store.fetch(b"k") == encode_row(merge(decode_row(one), decode_row(two)))
    assert dead(scribe) == [b"k"]


def test_a_tombstone_that_somebody_lacks_is_no_candidate(scribe: Scribe) -> None:
    row = tombstone()
    scribe.apply(Merge(b"k", row, EPOCH, owed=Owed((N2,), 1)), Merge(b"j", row, EPOCH))
    assert dead(scribe) == [b"j"]
    assert scribe.handle.store.tombstone_count() == 2, "it is one all the same"


@pytest.mark.parametrize("limit", [1, 3, 50])
def test_pages_give_every_tombstone_once(scribe: Scribe, limit: int) -> None:
    keys = [b"k%d" % number for number in range(20)]
    scribe.apply(*(write(key, None) for key in keys), *(write(b"live%d" % i, b"v") for i in range(20)))
    found: list[bytes] = []
    page = Page((), b"")
    while page.after is not None:
        page = scribe.handle.store.tombstones(page.after, limit)
        assert len(page.items) <= limit
        found += [key for key, _ in page.items]
    assert sorted(found) == sorted(keys)
    assert len(found) == len(set(found))
