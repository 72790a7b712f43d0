"""Rows in memory: bounded, always what the file holds, and never ahead of a commit."""

from __future__ import annotations

from node.core.limits import RECENT_BYTES_MAX
from node.storage.port import Refused
from node.storage.recent import ENTRY_BYTES, RecentRecords
from node.storage.records import Record
from tests.helpers.stores import Scribe, SqliteHandle, write


def test_the_oldest_go_when_it_is_full() -> None:
    """Within its bound, whatever is put in; a row written again counts once, with its new size."""
    recent = RecentRecords(10 * (ENTRY_BYTES + 5 + 100))
    for number in range(100):
        recent.put({b"key%02d" % number: Record(b"r" * 100, None)})
        assert recent.size_bytes <= 10 * (ENTRY_BYTES + 5 + 100)
    assert recent.get(b"key99") is not None
    assert recent.get(b"key00") is None
    recent.clear()
    assert recent.size_bytes == 0
    for size in (100, 50):
        recent.put({b"key99": Record(b"r" * size, None)})
    assert recent.size_bytes == ENTRY_BYTES + 5 + 50
    recent.clear()
    assert recent.size_bytes == 0


def test_a_row_larger_than_all_is_not_kept() -> None:
    """The bound holds for one row, too."""
    recent = RecentRecords(2000)
    recent.put({b"k": Record(b"r" * 100, None), b"j": Record(b"r" * 100, None)})
    recent.put({b"j": Record(b"r" * 101, None)})
    for key in (b"k", b"j"):  # in the young generation, in the old one
        recent.put({key: Record(b"r" * 5000, None)})
        assert recent.get(key) is None, "an older row would be shown in its place"
    assert recent.size_bytes <= 2000


def test_a_row_written_again_is_the_younger_one() -> None:
    """In both generations at once: the younger counts."""
    recent = RecentRecords(2 * (ENTRY_BYTES + 10))
    for value in (b"1", b"2", b"3"):
        recent.put({b"k": Record(value, None)})
        for other in range(3):
            recent.put({b"other%d" % other: Record(b"", None)})
            recent.put({b"k": Record(value, None)})
            found = recent.get(b"k")
            assert found is not None
            assert found.data == value


def test_a_refused_group_leaves_no_trace_in_memory(scribe: Scribe, handle: SqliteHandle) -> None:
    """What was not committed is not read: the group fails, and memory holds what the file holds."""
    scribe.advance(b"k", b"1")
    before = handle.store.fetch(b"k")
    handle.fill()
    (outcome,) = handle.store.apply([write(b"k", b"v" * 500_000, cover=True)])
    assert isinstance(outcome, Refused)
    assert handle.store.fetch(b"k") == before
    handle.store.forget_recent()
    assert handle.store.fetch(b"k") == before


def test_memory_and_file_agree(scribe: Scribe, handle: SqliteHandle) -> None:
    """A read answers the same with and without what is in memory, alone and in a batch."""
    keys = [b"k%d" % number for number in range(50)]
    for key in keys:
        scribe.advance(key, b"1")
    for key in keys[::3]:
        scribe.advance(key, b"2")
    warm = handle.store.fetch_many(keys)
    handle.store.forget_recent()
    assert handle.store.fetch_many(keys) == warm
    assert [handle.store.fetch(key) for key in keys] == warm
    assert RECENT_BYTES_MAX > 0
