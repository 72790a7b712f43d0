"""What the trees of a store say is what its rows say, whatever happened; both stores run every test here."""

from __future__ import annotations

import pytest

from node.core.ids import scan_position
from node.core.limits import TREE_LEAF_BITS
from node.core.merkle import LEAVES, Trees, leaf_of
from node.storage.port import Recount, SaveState, Storage
from node.wire.rows import row_digest
from tests.helpers.stores import EPOCH, Handle, Scribe, SimHandle, SqliteHandle, peer_row, write

ROOT = (0, 0, 0)


def leaf(key: bytes) -> int:
    return leaf_of(int.from_bytes(scan_position(key), "big"))


def truth(store: Storage) -> bytes:
    """The root, computed from the rows as readers see them."""
    trees = Trees(known=True)
    after = b""
    while True:
        page = store.scan(0, 1, after, 1000)
        trees.toggle([(leaf(key), int.from_bytes(row_digest(key, row), "big")) for key, row in page.items])
        if page.after is None:
            return trees.digests(*ROOT)
        after = page.after


def settle(store: Storage) -> int:
    """Let the store do what waits; return how many slices that took."""
    slices = 0
    while store.work_due:
        store.work()
        slices += 1
        assert slices < 2000, "it never ends"
    return slices


def fill(scribe: Scribe, count: int, value: bytes = b"v") -> None:
    scribe.apply(*(write(b"k%d" % at, value) for at in range(count)))


def test_an_empty_store_knows_that_it_is_empty(handle: Handle) -> None:
    assert not handle.store.work_due
    assert handle.store.digests(*ROOT) == Trees(known=True).digests(*ROOT)


def test_the_trees_follow_every_write(scribe: Scribe) -> None:
    store = scribe.handle.store
    seen = [store.digests(*ROOT)]
    scribe.advance(b"a", b"1")
    seen.append(store.digests(*ROOT))
    scribe.advance(b"a", b"2")
    seen.append(store.digests(*ROOT))
    scribe.merge(b"a", peer_row(b"p"))
    scribe.merge(b"b", peer_row(b"p"))
    seen.append(store.digests(*ROOT))
    scribe.apply(write(b"a", b"3", cover=True), write(b"a", None, cover=True), write(b"c", b"1"))
    seen.append(store.digests(*ROOT))
    assert len(set(seen)) == len(seen)
    assert seen[-1] == truth(store)
    scribe.merge(b"b", peer_row(b"p"))
    scribe.apply(write(b"a", b"4", epoch=EPOCH + 1))
    assert store.digests(*ROOT) == seen[-1], "what stores nothing changes nothing"


def test_a_leaf_is_the_digest_of_its_only_row(scribe: Scribe) -> None:
    done = scribe.advance(b"k", b"v")
    store = scribe.handle.store
    assert store.digests(TREE_LEAF_BITS, leaf(b"k"), 0) == row_digest(b"k", done.row)
    items = store.scan(leaf(b"k"), LEAVES, b"", 10).items
    assert items == ((b"k", done.row),), "a scan of the leaf's own range finds it"


def test_stores_that_hold_the_same_say_the_same(scribe: Scribe, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The birth of a row, and the way in which it came, are the store's own business."""
    fill(scribe, 50)
    others: list[Handle] = [SimHandle(), SqliteHandle(tmp_path_factory.mktemp("other") / "data")]
    for other in others:
        copier = Scribe(other)
        for key, row in scribe.handle.store.scan(0, 1, b"", 100).items:
            copier.merge(key, row)
        assert other.store.digests(0, 0, 5) == scribe.handle.store.digests(0, 0, 5)
        other.close()


def test_after_a_crash_rows_are_scanned_and_until_then_nothing_is_claimed(scribe: Scribe) -> None:
    fill(scribe, 300)
    scribe.handle.crash()
    store = scribe.handle.store
    assert store.work_due
    assert store.digests(*ROOT) == b""
    store.work()
    scribe.advance(b"k0", b"while it scans")
    scribe.advance(b"new", b"while it scans")
    store.work()
    scribe.apply(*(write(b"k%d" % at, b"w", cover=True) for at in range(0, 300, 7)))
    settle(store)
    assert store.digests(*ROOT) == truth(store)


def test_after_a_save_only_what_changed_is_scanned(scribe: Scribe) -> None:
    fill(scribe, 300)
    scribe.handle.store.save()
    scribe.handle.crash()
    assert not scribe.handle.store.work_due
    assert scribe.handle.store.digests(*ROOT) == truth(scribe.handle.store)
    scribe.advance(b"k5", b"more")
    scribe.handle.crash()
    store = scribe.handle.store
    dirty = leaf(b"k5") >> 10
    unknown = [chunk for chunk in range(256) if store.digests(8, chunk, 0) == b""]
    assert unknown == [dirty]
    settle(store)
    assert store.digests(*ROOT) == truth(store)


def test_a_mark_comes_with_the_first_write_and_goes_with_the_next_save(scribe: Scribe) -> None:
    for _ in range(3):
        fill(scribe, 20)
        scribe.handle.store.save()
        scribe.advance(b"k3", b"x")
        scribe.advance(b"k3", b"y")
        scribe.handle.crash()
        store = scribe.handle.store
        assert [chunk for chunk in range(256) if store.digests(8, chunk, 0) == b""] == [leaf(b"k3") >> 10]
        settle(store)
        assert store.digests(*ROOT) == truth(store)


def test_a_quarantined_row_leaves_the_tree_and_comes_back(scribe: Scribe) -> None:
    fill(scribe, 20)
    before = scribe.handle.store.digests(*ROOT)
    row = scribe.handle.store.fetch(b"k7")
    assert isinstance(row, bytes)
    scribe.handle.corrupt(b"k7")
    scribe.handle.store.fetch(b"k7")
    settle(scribe.handle.store)
    store = scribe.handle.store
    assert store.digests(*ROOT) == truth(store) != before
    assert store.digests(TREE_LEAF_BITS, leaf(b"k7"), 0) == bytes(16)
    scribe.merge(b"k7", row)
    settle(store)
    assert store.digests(*ROOT) == before


def test_a_damaged_row_is_found_by_the_scan_after_a_crash(scribe: Scribe) -> None:
    fill(scribe, 20)
    scribe.handle.corrupt(b"k7")
    scribe.handle.crash()
    settle(scribe.handle.store)
    assert scribe.handle.store.digests(*ROOT) == truth(scribe.handle.store)
    assert scribe.handle.store.totals().quarantined == 1


def test_a_leaf_can_be_counted_again(scribe: Scribe) -> None:
    fill(scribe, 20)
    before = scribe.handle.store.digests(*ROOT)
    scribe.apply(Recount(leaf(b"k3")), SaveState("x", b""), Recount(12345))
    settle(scribe.handle.store)
    assert scribe.handle.store.digests(*ROOT) == before


def test_a_refused_batch_changes_no_tree(scribe: Scribe) -> None:
    fill(scribe, 5)
    before = scribe.handle.store.digests(*ROOT)
    scribe.handle.fill()
    for at in range(400):  # until no page has room
        scribe.apply(write(b"full%d" % at, bytes(2000)))
    refused = truth(scribe.handle.store)
    assert scribe.handle.store.digests(*ROOT) == refused
    scribe.handle.free()
    scribe.advance(b"after", b"v")
    assert scribe.handle.store.digests(*ROOT) == truth(scribe.handle.store) != before
