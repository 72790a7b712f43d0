"""Hints: pointers to rows that others lack. What every store keeps of them, and when a row goes with its last one."""

from __future__ import annotations

import pytest

from node.core.ids import NodeId
from node.storage.port import Advanced, Handed, HandOver, HintTotals, Merge, Merged, Owe, Owed, Page, Refused, Saved
from tests.helpers.stores import EPOCH, Handle, Scribe, peer_row, write

N2, N3 = NodeId("2" * 32), NodeId("3" * 32)
ROW = peer_row(b"p")


def merge_for(key: bytes, *targets: NodeId, at_ms: int = 5, row: bytes = ROW) -> Merge:
    return Merge(key, row, EPOCH, owed=Owed(targets, at_ms))


def owed(handle: Handle, target: NodeId) -> tuple[tuple[bytes, bytes], ...]:
    return handle.store.owed(target, b"", 100).items


def test_a_hint_is_kept_with_its_row_and_survives_a_crash(scribe: Scribe) -> None:
    scribe.apply(merge_for(b"k", N2, N3), write(b"j", b"v")._replace(owed=Owed((N2,), 9)))
    scribe.handle.crash()
    store = scribe.handle.store
    assert dict(owed(scribe.handle, N2)) == {b"k": ROW, b"j": store.fetch(b"j")}
    assert owed(scribe.handle, N3) == ((b"k", ROW),)
    size = len(bytes(store.fetch(b"j") or b""))
    assert store.hint_totals() == (HintTotals(N2, 2, len(ROW) + size, 5), HintTotals(N3, 1, len(ROW), 5))


def test_a_hint_points_to_the_row_as_it_is_now(scribe: Scribe) -> None:
    scribe.apply(merge_for(b"k", N2))
    done = scribe.advance(b"k", b"later", cover=True)
    assert owed(scribe.handle, N2) == ((b"k", done.row),)
    assert [total.rows for total in scribe.handle.store.hint_totals()] == [1], "one hint for one row"
    scribe.apply(merge_for(b"k", N2, at_ms=99))
    assert scribe.handle.store.hint_totals()[0].oldest_ms == 5, "the target lacks the row since then"


def test_a_hint_goes_only_when_the_target_has_this_very_row(scribe: Scribe) -> None:
    scribe.apply(merge_for(b"k", N2))
    newer = scribe.advance(b"k", b"later", cover=True)
    assert scribe.apply(HandOver(b"k", N2, ROW, keep=True)) == [Handed(done=False, dropped=False)]
    assert owed(scribe.handle, N2) == ((b"k", newer.row),)
    assert scribe.apply(HandOver(b"k", N2, newer.row, keep=True)) == [Handed(done=True, dropped=False)]
    assert owed(scribe.handle, N2) == ()
    assert scribe.handle.store.hint_totals() == ()
    assert scribe.handle.store.fetch(b"k") == newer.row


def test_a_row_that_is_not_ours_goes_with_its_last_hint(scribe: Scribe) -> None:
    scribe.apply(merge_for(b"k", N2, N3))
    assert scribe.apply(HandOver(b"k", N2, ROW, keep=False)) == [Handed(done=True, dropped=False)]
    assert scribe.handle.store.fetch(b"k") == ROW, "n3 still lacks it"
    assert scribe.apply(HandOver(b"k", N3, ROW, keep=False)) == [Handed(done=True, dropped=True)]
    for _ in range(2):
        assert scribe.handle.store.fetch(b"k") is None
        assert scribe.handle.store.totals().rows == 0
        scribe.handle.crash()


def test_a_dropped_row_that_comes_again_is_a_new_life(scribe: Scribe) -> None:
    """Also within the transaction that drops it: its dots must be new."""
    (first,) = scribe.apply(write(b"k", b"1")._replace(owed=Owed((N2,), 1)))
    assert isinstance(first, Advanced)
    dropped, second = scribe.apply(HandOver(b"k", N2, first.row, keep=False), write(b"k", b"2"))
    assert dropped == Handed(done=True, dropped=True)
    assert isinstance(second, Advanced)
    assert second.dot.birth > first.dot.birth
    assert scribe.values(b"k") == [b"2"]
    scribe.handle.crash()
    assert scribe.values(b"k") == [b"2"]
    assert scribe.handle.store.totals().rows == 1


def test_a_hint_for_a_lost_row_comes_empty_and_goes(scribe: Scribe) -> None:
    scribe.apply(merge_for(b"k", N2))
    scribe.handle.corrupt(b"k")
    assert owed(scribe.handle, N2) == ((b"k", b""),)
    assert scribe.apply(HandOver(b"k", N2, b"", keep=False)) == [Handed(done=True, dropped=False)]
    assert owed(scribe.handle, N2) == ()


def test_what_is_owed_for_a_row_already_held(scribe: Scribe) -> None:
    done = scribe.advance(b"k", b"v")
    assert scribe.apply(Owe(b"k", Owed((N2,), 3)), Owe(b"absent", Owed((N2,), 3))) == [Saved(), Saved()]
    assert owed(scribe.handle, N2) == ((b"k", done.row),)


def test_a_refused_write_leaves_no_hint(scribe: Scribe) -> None:
    (outcome,) = scribe.apply(merge_for(b"k", N2)._replace(epoch=EPOCH + 1))
    assert isinstance(outcome, Refused)
    scribe.handle.fill()
    scribe.apply(Merge(b"big", peer_row(b"v" * 500_000), EPOCH, owed=Owed((N2,), 1)))
    scribe.handle.free()
    assert owed(scribe.handle, N2) == ()
    assert scribe.handle.store.hint_totals() == ()


@pytest.mark.parametrize("limit", [1, 3, 50])
def test_pages_give_every_owed_row_once(scribe: Scribe, limit: int) -> None:
    keys = [b"k%d" % number for number in range(40)]
    outcomes = scribe.apply(*(merge_for(key, N2) for key in keys), *(merge_for(b"other%d" % n, N3) for n in range(5)))
    assert all(isinstance(outcome, Merged) for outcome in outcomes)
    found: list[bytes] = []
    page = Page((), b"")
    while page.after is not None:
        page = scribe.handle.store.owed(N2, page.after, limit)
        assert len(page.items) <= limit
        found += [key for key, _ in page.items]
    assert sorted(found) == sorted(keys)
    assert len(found) == len(set(found))
