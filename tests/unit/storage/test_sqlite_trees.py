"""What only the real store does with its trees: a clean stop, damage to what was saved, files of earlier versions."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from hashlib import blake2b

import pytest

from node.core.ids import scan_position
from node.storage.port import Unreadable
from node.storage.sqlite import FILE
from tests.helpers.stores import Scribe, SqliteHandle, write


def roots(handle: SqliteHandle) -> list[bytes]:
    """The digest of every chunk; b"" where it is not known."""
    return [handle.store.digests(8, chunk, 0) for chunk in range(256)]


def test_after_a_clean_stop_the_trees_are_believed(scribe: Scribe, handle: SqliteHandle) -> None:
    scribe.apply(*(write(b"k%d" % at, b"v") for at in range(100)))
    before = roots(handle)
    handle.reopen()
    assert not handle.store.work_due
    assert roots(handle) == before


@pytest.mark.parametrize("damage", ["UPDATE trees SET leaves = zeroblob(16384)", "UPDATE trees SET leaves = x'00'",
                                    "UPDATE trees SET checksum = checksum + 1", "DELETE FROM trees"])  # fmt: skip
def test_saved_leaves_that_are_damaged_are_computed_anew(scribe: Scribe, handle: SqliteHandle, damage: str) -> None:
    scribe.apply(*(write(b"k%d" % at, b"v") for at in range(400)))
    before = roots(handle)
    handle.store.save()
    handle.execute(damage)
    handle.crash()
    assert roots(handle).count(b"") > 50
    while handle.store.work_due:
        handle.store.work()
    assert roots(handle) == before


def test_an_older_file_gets_its_trees_and_keeps_its_damage(scribe: Scribe, handle: SqliteHandle) -> None:
    """m003: checksums of another kind become ours; what did not match before does not match afterwards."""
    scribe.apply(*(write(b"k%d" % at, b"v") for at in range(10)))
    before = roots(handle)
    handle.store.close()
    with closing(sqlite3.connect(handle.directory / FILE, isolation_level=None)) as file:
        for key, row, birth in file.execute("SELECT key, row, birth FROM rows").fetchall():
            head = b"%d %d " % (len(key), -1 if birth is None else birth)
            old = int.from_bytes(blake2b(head + key + row, digest_size=8).digest(), "big", signed=True)
            file.execute("UPDATE rows SET checksum = ? WHERE key = ?", (old + (key == b"k4"), key))
        file.execute("DROP TABLE trees")
        file.execute("DROP TABLE dirty")
        file.execute("DELETE FROM _sqlite_migrations WHERE name = 'm003_trees'")
    handle.store = handle.open()
    keys = [b"k%d" % at for at in range(10)]
    assert [key for key in keys if isinstance(handle.store.fetch(key), Unreadable)] == [b"k4"]
    while handle.store.work_due:
        handle.store.work()
    assert [chunk for chunk in range(256) if roots(handle)[chunk] != before[chunk]] == [chunk_of_key(b"k4")]


def chunk_of_key(key: bytes) -> int:
    return scan_position(key)[0]


def test_a_page_that_cannot_be_read_ends_the_scan_and_not_the_store(scribe: Scribe, handle: SqliteHandle) -> None:
    scribe.apply(*(write(b"k%d" % at, b"v" * 300) for at in range(200)))
    handle.store.forget_recent()
    handle.crash()

    def unreadable(first: int, last: int) -> tuple[dict[int, int], int]:
        raise sqlite3.DatabaseError("database disk image is malformed")

    handle.store._trees._scan = unreadable  # type: ignore[method-assign]  # a page that cannot be read
    handle.store.work()
    assert not handle.store.work_due
    assert handle.store.digests(0, 0, 0) == b""
    scribe.advance(b"new", b"v")
