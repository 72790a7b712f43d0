"""What every store does, the real one and the simulated one alike. Both run every test here."""

from __future__ import annotations

from hashlib import md5

import pytest

from node.core.ids import partition_of, scan_position
from node.core.limits import SIBLINGS_MAX
from node.core.row import Actor, Version
from node.core.version import merge, own_clock
from node.storage import records, tables
from node.storage.port import (
    Advanced,
    Merge,
    Merged,
    Page,
    Refusal,
    Refused,
    Saved,
    SaveState,
    Storage,
    Unreadable,
)
from node.wire.rows import decode_row, encode_row
from tests.helpers.stores import EPOCH, Handle, Scribe, peer_row, refusals, write

PEER = Actor(0x2222, 1)


def test_a_new_store_holds_nothing(handle: Handle) -> None:
    store = handle.store
    assert store.fetch(b"k") is None
    assert store.scan(0, 1, b"", 10) == Page((), None)
    assert store.load_state() == {}
    assert store.totals()[:4] == (0, 0, 0, 0)
    assert len(store.identity.epochs) == 1


def test_a_write_is_read_back_as_it_was_answered(scribe: Scribe) -> None:
    done = scribe.advance(b"k", b"v")
    assert scribe.handle.store.fetch(b"k") == done.row
    row = scribe.row(b"k")
    assert row.clock == done.clock == (done.dot,)
    assert row.versions == (Version(done.dot, (), b"v", 1_700_000_000_000, "test"),)
    assert (done.replaced, done.siblings, done.dot.n) == (0, 1, 1)


def test_blind_writes_become_siblings(scribe: Scribe) -> None:
    first, second = scribe.advance(b"k", b"1"), scribe.advance(b"k", b"2")
    assert (second.replaced, second.siblings) == (0, 2)
    assert first.dot[:2] == second.dot[:2]
    assert second.clock == (second.dot._replace(n=0), second.dot), "its writer did not see the first"
    assert scribe.values(b"k") == [b"1", b"2"]


def test_a_write_replaces_exactly_what_its_context_covers(scribe: Scribe) -> None:
    first = scribe.advance(b"k", b"1")
    scribe.advance(b"k", b"2")
    third = scribe.advance(b"k", b"3", first.clock)
    assert (third.replaced, third.siblings) == (1, 2)
    assert scribe.values(b"k") == [b"2", b"3"]


def test_a_covering_write_replaces_all(scribe: Scribe) -> None:
    scribe.advance(b"k", b"1")
    scribe.advance(b"k", b"2")
    done = scribe.advance(b"k", b"3", cover=True)
    assert (done.replaced, done.siblings) == (2, 1)
    assert scribe.values(b"k") == [b"3"]


def test_a_tombstone_is_kept_and_is_no_live_value(scribe: Scribe) -> None:
    first = scribe.advance(b"k", b"1")
    done = scribe.advance(b"k", None, first.clock)
    assert (done.replaced, done.siblings) == (1, 0)
    assert scribe.values(b"k") == [None]
    assert scribe.handle.store.totals().rows == 1


def test_a_context_may_know_more_than_the_store(scribe: Scribe) -> None:
    elsewhere = decode_row(peer_row(b"there"))
    scribe.advance(b"k", b"here", elsewhere.clock)
    assert scribe.merge(b"k", encode_row(elsewhere)).more
    assert scribe.values(b"k") == [b"here"], "what the writer replaced elsewhere stays replaced"


def test_merges_say_whether_the_store_knew_more(scribe: Scribe) -> None:
    one, two = peer_row(b"1"), peer_row(b"1", b"2")
    assert scribe.merge(b"k", one) == Merged(one, more=False)
    assert scribe.merge(b"k", two) == Merged(two, more=False)
    assert scribe.merge(b"k", two) == Merged(two, more=False)
    assert scribe.merge(b"k", one) == Merged(two, more=True)
    assert scribe.handle.store.fetch(b"k") == two


def test_merge_is_the_one_of_core(scribe: Scribe) -> None:
    mine = scribe.advance(b"k", b"mine")
    theirs = peer_row(b"theirs")
    merged = scribe.merge(b"k", theirs)
    assert merged.more
    assert merged.row == encode_row(merge(decode_row(mine.row), decode_row(theirs)))


def test_writes_of_one_batch_stand_on_each_other(scribe: Scribe) -> None:
    outcomes = scribe.apply(
        write(b"k", b"1"), write(b"k", b"2"), Merge(b"k", peer_row(b"p"), EPOCH), write(b"k", b"3", cover=True)
    )
    done = outcomes[-1]
    assert isinstance(done, Advanced)
    assert (done.replaced, done.siblings) == (3, 1)
    assert scribe.values(b"k") == [b"3"]
    assert scribe.handle.store.totals()[:4] == (1, len(done.row), 0, 0)


def test_one_refusal_leaves_the_rest_of_the_batch_alone(scribe: Scribe) -> None:
    outcomes = scribe.apply(write(b"a", b"1"), write(b"b", b"2", epoch=EPOCH + 1), write(b"c", b"3"))
    assert refusals(outcomes) == [None, Refusal.EPOCH, None]
    assert scribe.handle.store.fetch(b"b") is None
    assert scribe.values(b"c") == [b"3"]


def test_without_a_ring_nothing_is_written(handle: Handle) -> None:
    outcomes = handle.store.apply([write(b"k", b"v", epoch=0), Merge(b"k", peer_row(b"v"), 0)])
    assert refusals(outcomes) == [Refusal.EPOCH, Refusal.EPOCH]


def test_the_epoch_changes_between_two_writes_of_a_batch(scribe: Scribe) -> None:
    outcomes = scribe.apply(
        write(b"a", b"1"),
        SaveState("ring", b"new", EPOCH + 1),
        write(b"b", b"2"),
        Merge(b"c", peer_row(b"3"), EPOCH),
        write(b"d", b"4", epoch=EPOCH + 1),
    )
    assert refusals(outcomes) == [None, None, Refusal.EPOCH, Refusal.EPOCH, None]
    assert outcomes[1] == Saved()


def test_the_epoch_survives_a_crash(scribe: Scribe) -> None:
    scribe.handle.crash()
    scribe.advance(b"k", b"v")


def test_state_is_kept_by_name(scribe: Scribe) -> None:
    scribe.apply(SaveState("members", b"1"), SaveState("members", b"2"), SaveState("other", b""))
    assert scribe.handle.store.load_state() == {"ring": b"ring", "members": b"2", "other": b""}
    scribe.advance(b"k", b"v")  # saving without an epoch left the ring's alone


def test_what_was_applied_survives_a_crash(scribe: Scribe) -> None:
    done = scribe.advance(b"k", b"v")
    scribe.merge(b"m", peer_row(b"1", b"2"))
    before = scribe.handle.store.totals()
    identity = scribe.handle.store.identity
    scribe.handle.crash()
    store = scribe.handle.store
    assert (store.fetch(b"k"), store.totals(), store.identity[:3]) == (done.row, before, identity[:3])
    assert store.load_state() == {"ring": b"ring"}
    assert scribe.advance(b"k", b"w").dot == done.dot._replace(n=2), "the row goes on under its birth"


def test_any_bytes_are_keys_and_values(scribe: Scribe) -> None:
    for key in (b"\x00", b"\xff\xfe", b"a\nb", b"'; DROP TABLE rows", bytes(range(256)), b"k" * 4096):
        scribe.advance(key, key[::-1])
        assert scribe.values(key) == [key[::-1]]
    scribe.advance(b"empty", b"")
    assert scribe.values(b"empty") == [b""]


# Limits ----------------------------------------------------------------------------------------------------


def test_the_sibling_limit_binds_clients_and_not_replication(scribe: Scribe) -> None:
    for at in range(SIBLINGS_MAX):
        done = scribe.advance(b"k", b"%d" % at)
    (refused,) = scribe.apply(write(b"k", b"one more"))
    assert isinstance(refused, Refused)
    assert refused.why is Refusal.TOO_MANY_SIBLINGS
    assert scribe.handle.store.fetch(b"k") == done.row
    merged = scribe.merge(b"k", peer_row(b"p", b"q"))
    assert len(decode_row(merged.row).versions) == SIBLINGS_MAX + 2
    context = own_clock(scribe.row(b"k").versions[0])
    assert scribe.advance(b"k", b"no more than before", context).siblings == SIBLINGS_MAX + 2
    assert scribe.advance(b"k", b"the way out", cover=True).siblings == 1


def test_the_row_limit_binds_clients_and_not_replication(scribe: Scribe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "ROW_BYTES_MAX", 1000)
    scribe.advance(b"k", b"x" * 500)
    (refused,) = scribe.apply(write(b"k", b"y" * 500))
    assert isinstance(refused, Refused)
    assert refused.why is Refusal.ROW_TOO_BIG
    scribe.merge(b"k", peer_row(b"z" * 900, b"z" * 900))
    assert len(scribe.values(b"k")) == 3
    own = next(version for version in scribe.row(b"k").versions if version.value == b"x" * 500)
    scribe.advance(b"k", b"smaller than before, if still too big", own_clock(own))
    scribe.advance(b"k", b"the way out", cover=True)
    assert scribe.values(b"k") == [b"the way out"]


def test_a_refused_write_leaves_no_trace(scribe: Scribe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "ROW_BYTES_MAX", 100)
    assert refusals(scribe.apply(write(b"k", b"x" * 500))) == [Refusal.ROW_TOO_BIG]
    assert scribe.handle.store.fetch(b"k") is None
    assert scribe.handle.store.totals()[:4] == (0, 0, 0, 0)
    assert scribe.advance(b"j", b"v").dot.birth == 1


# Scans and totals ------------------------------------------------------------------------------------------


def walk(store: Storage, partition: int, partitions: int, limit: int) -> list[tuple[bytes, bytes]]:
    """All rows of a partition, page by page."""
    items: list[tuple[bytes, bytes]] = []
    after = b""
    while True:
        page = store.scan(partition, partitions, after, limit)
        items += page.items
        if page.after is None:
            return items
        assert page.after > after
        assert page.items
        after = page.after


@pytest.mark.parametrize(("partitions", "limit"), [(1, 1), (1, 1000), (4, 7), (256, 3), (4096, 1)])
def test_scans_visit_every_row_once_in_order(scribe: Scribe, partitions: int, limit: int) -> None:
    keys = [b"key-%d" % at for at in range(300)]
    scribe.apply(*(write(key, b"v") for key in keys))
    visited = []
    for partition in range(partitions):
        items = walk(scribe.handle.store, partition, partitions, limit)
        assert all(partition_of(key, partitions) == partition for key, _ in items)
        visited += items
    assert [key for key, _ in visited] == sorted(keys, key=lambda key: (scan_position(key), key))
    assert all(scribe.handle.store.fetch(key) == row for key, row in visited)


def test_rows_of_one_position_stay_on_one_page(scribe: Scribe, monkeypatch: pytest.MonkeyPatch) -> None:
    def coarse(key: bytes) -> bytes:
        return md5(key).digest()[:1] + bytes(7)

    for module in ("node.storage.tables", "node.sim.disk"):
        monkeypatch.setattr(f"{module}.scan_position", coarse)
    keys = [b"key-%d" % at for at in range(700)]
    scribe.apply(*(write(key, b"v") for key in keys))
    scribe.apply(*(write(key, b"w", cover=True) for key in keys))
    items = walk(scribe.handle.store, 0, 1, 4)
    assert [key for key, _ in items] == sorted(keys, key=lambda key: (coarse(key), key))
    assert {version.value for _, row in items for version in decode_row(row).versions} == {b"w"}


def test_a_page_is_bounded_in_bytes(scribe: Scribe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.storage.tables.SCAN_PAGE_BYTES", 2000)
    monkeypatch.setattr("node.sim.disk.SCAN_PAGE_BYTES", 2000)
    scribe.apply(*(write(b"key-%d" % at, b"v" * 900) for at in range(20)))
    assert len(scribe.handle.store.scan(0, 1, b"", 1000).items) == 3
    assert len(walk(scribe.handle.store, 0, 1, 1000)) == 20


def test_totals_are_kept(scribe: Scribe) -> None:
    store = scribe.handle.store
    one, two = scribe.advance(b"a", b"1"), scribe.advance(b"b", b"22")
    assert store.totals()[:4] == (2, len(one.row) + len(two.row), 0, 0)
    three = scribe.advance(b"a", b"333")
    assert store.totals()[:4] == (2, len(three.row) + len(two.row), 1, 0)
    four = scribe.advance(b"a", b"4", cover=True)
    assert store.totals()[:4] == (2, len(four.row) + len(two.row), 0, 0)


# Damage ----------------------------------------------------------------------------------------------------


def test_a_damaged_row_is_neither_a_value_nor_absent(scribe: Scribe) -> None:
    scribe.advance(b"k", b"1")
    scribe.advance(b"j", b"1")
    scribe.handle.corrupt(b"k")
    assert isinstance(scribe.handle.store.fetch(b"k"), Unreadable)
    scribe.apply(SaveState("x", b""))  # the writer sets it aside
    assert isinstance(scribe.handle.store.fetch(b"k"), Unreadable)
    assert [key for key, _ in scribe.handle.store.scan(0, 1, b"", 10).items] == [b"j"]
    totals = scribe.handle.store.totals()
    assert (totals.rows, totals.quarantined) == (1, 1)
    scribe.handle.crash()
    assert isinstance(scribe.handle.store.fetch(b"k"), Unreadable)
    assert scribe.handle.store.totals() == totals


def test_a_merge_brings_a_damaged_row_back(scribe: Scribe) -> None:
    first = scribe.advance(b"k", b"1")
    scribe.advance(b"k", b"2", cover=True)
    scribe.handle.corrupt(b"k")
    assert scribe.merge(b"k", first.row) == Merged(first.row, more=False)
    assert scribe.values(b"k") == [b"1"]
    assert scribe.handle.store.totals()[:4] == (1, len(first.row), 0, 0)
    again = scribe.advance(b"k", b"3", cover=True)
    assert again.dot.birth > first.dot.birth, "it was lost: how far its life got is not known"


def test_a_write_brings_a_damaged_row_back_under_a_new_birth(scribe: Scribe) -> None:
    first = scribe.advance(b"k", b"1")
    scribe.handle.corrupt(b"k")
    second = scribe.advance(b"k", b"2")
    assert second.dot.birth > first.dot.birth
    assert scribe.values(b"k") == [b"2"]
    assert scribe.handle.store.totals().quarantined == 0


def test_a_full_disk_refuses_and_recovers(scribe: Scribe) -> None:
    done = scribe.advance(b"k", b"v")
    identity, totals = scribe.handle.store.identity, scribe.handle.store.totals()
    scribe.handle.fill()
    batch = [write(b"k%d" % at, b"v" * 4000) for at in range(20)]
    assert refusals(scribe.apply(*batch)) == [Refusal.DISK_FULL] * 20
    assert scribe.handle.store.fetch(b"k") == done.row
    assert scribe.handle.store.fetch(b"k0") is None
    assert (scribe.handle.store.identity, scribe.handle.store.totals()) == (identity, totals)
    scribe.handle.free()
    assert refusals(scribe.apply(*batch)) == [None] * 20
    assert scribe.handle.store.totals().rows == 21


def test_the_position_is_the_top_of_the_md5() -> None:
    assert tables.position_of(b"k") == int.from_bytes(md5(b"k").digest()[:8], "big") - 2**63
