"""The scrub of a real file: every way in which a line is lost in silence, and what is found of it."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from node.storage.errors import BrokenStore
from node.storage.port import StorageStopped, Unreadable
from node.storage.tables import position_of
from tests.helpers.scrubs import scrub, settle
from tests.helpers.stores import Scribe, SqliteHandle


def test_it_finds_what_nobody_reads(scribe: Scribe, handle: SqliteHandle) -> None:
    scribe.advance(b"k", b"v")
    handle.corrupt(b"k")
    assert scrub(scribe) == (1, 1, 1)
    assert handle.store.totals().quarantined == 1


def test_a_row_that_is_gone_is_missed_by_its_leaf(scribe: Scribe, handle: SqliteHandle) -> None:
    """Its cell is lost: no read finds it, and the trees still claim it."""
    scribe.advance(b"k", b"v")
    before = settle(scribe)
    handle.execute("DELETE FROM rows WHERE key = ?", (b"k",))
    assert settle(scribe) == before
    assert scrub(scribe) == (0, 0, 1)
    assert settle(scribe) != before
    handle.reopen()
    assert settle(scribe) != before, "nor is what was saved believed"


@pytest.mark.parametrize("column", ["position", "key"])
def test_a_line_where_nobody_finds_it_is_dropped(scribe: Scribe, handle: SqliteHandle, column: str) -> None:
    scribe.advance(b"k", b"v")
    scribe.advance(b"other", b"v")
    before = settle(scribe)
    damaged: object = position_of(b"k") ^ 1 << 40 if column == "position" else b"j"
    handle.execute(f"UPDATE rows SET {column} = ? WHERE key = ?", (damaged, b"k"))
    assert handle.store.fetch(b"k") is None
    rows, found, untrue = scrub(scribe)
    assert (rows, found) == (2, 1)
    assert untrue >= 1
    assert settle(scribe) != before
    assert handle.store.totals().rows == 1
    assert handle.execute("SELECT key FROM rows") == [(b"other",)]
    assert scrub(scribe) == (1, 0, 0)


def test_a_row_that_memory_still_has_is_written_again(
    scribe: Scribe, handle: SqliteHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = scribe.advance(b"k", b"v")
    before = settle(scribe)
    with monkeypatch.context() as patch:
        patch.setattr(handle.store, "forget_recent", lambda: None)  # the damage is done behind its back
        handle.corrupt(b"k")
    assert scrub(scribe) == (1, 1, 1)
    handle.store.forget_recent()
    assert handle.store.fetch(b"k") == done.row
    assert handle.store.totals().quarantined == 0
    assert settle(scribe) == before


def test_a_file_whose_structure_is_broken_stops_the_store(scribe: Scribe, handle: SqliteHandle) -> None:
    """Reads would find some rows and not others, and nobody can tell which: it is to be rebuilt."""
    for at in range(300):
        scribe.advance(b"k%d" % at, b"v" * 100)
    handle.store.checkpoint()
    handle.abandon()
    path = handle.store.path
    data = bytearray(path.read_bytes())
    pages = [at for at in range(0, len(data), 2048) if b"v" * 90 in data[at : at + 2048]]
    data[pages[9] : pages[9] + 8] = bytes(8)
    path.write_bytes(data)
    handle.store = handle.open()
    with pytest.raises(StorageStopped, match="is damaged"):
        scrub(scribe)
    with pytest.raises(BrokenStore, match="is damaged"):
        handle.reopen()


@pytest.mark.parametrize("column", ["row", "birth", "checksum"])
def test_a_line_may_hold_anything(scribe: Scribe, handle: SqliteHandle, column: str) -> None:
    """A bit of a line's head makes text or nothing of bytes: neither a read nor a write may stumble over it."""
    done = scribe.advance(b"k", b"v")
    scribe.advance(b"other", b"v")
    handle.store.close()
    with closing(sqlite3.connect(handle.store.path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")  # a table that is not STRICT takes it
        connection.execute("UPDATE sqlite_master SET sql = replace(sql, ', STRICT', '') WHERE name = 'rows'")
        connection.execute("PRAGMA writable_schema = RESET")
        connection.execute(f"UPDATE rows SET {column} = 'text' WHERE key = ?", (b"k",))
    handle.store = handle.open()
    assert isinstance(handle.store.fetch(b"k"), Unreadable)
    assert [key for key, _ in handle.store.scan(0, 1, b"", 10).items] == [b"other"]
    scrub(scribe)
    assert settle(scribe) != b""
    assert isinstance(handle.store.fetch(b"k"), Unreadable | None)
    scribe.merge(b"k", done.row)
    assert handle.store.fetch(b"k") == done.row


def test_a_saved_tree_of_another_type_is_not_believed(scribe: Scribe, handle: SqliteHandle) -> None:
    scribe.advance(b"k", b"v")
    before = settle(scribe)
    handle.store.close()
    with closing(sqlite3.connect(handle.store.path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_master SET sql = replace(sql, 'STRICT', '') WHERE name = 'trees'")
        connection.execute("PRAGMA writable_schema = RESET")
        connection.execute("UPDATE trees SET leaves = 'text'")
    handle.store = handle.open()
    assert settle(scribe) == before, "it was computed from the rows"
