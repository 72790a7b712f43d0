"""What only the real store does: damage that a checksum sees, checkpoints, two threads."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading

import pytest

from node.core.limits import VALUE_BYTES_MAX
from node.storage import tables
from node.storage.port import SaveState, StorageStopped, Unreadable
from node.storage.sqlite import FILE
from node.wire.rows import decode_row
from tests.helpers.stores import Scribe, SqliteHandle, write

# Damage ----------------------------------------------------------------------------------------------------


def test_every_flipped_bit_of_a_row_is_seen(scribe: Scribe, handle: SqliteHandle) -> None:
    done = scribe.advance(b"k", b"value")
    ((row, birth, kept),) = handle.execute("SELECT row, birth, checksum FROM rows")
    assert isinstance(row, bytes)
    assert isinstance(birth, int)
    assert isinstance(kept, int)
    damages: list[tuple[str, object]] = [
        *(
            ("row", row[:at] + bytes([row[at] ^ 1 << bit]) + row[at + 1 :])
            for at in range(len(row))
            for bit in range(8)
        ),
        ("row", row[:-1]),
        ("row", b""),
        ("birth", birth + 1),
        ("birth", None),
        *(("checksum", kept ^ 1 << bit) for bit in range(62)),
    ]
    for column, value in damages:
        handle.execute(f"UPDATE rows SET {column} = ?", (value,))
        assert isinstance(handle.store.fetch(b"k"), Unreadable), (column, value)
        assert handle.store.scan(0, 1, b"", 10).items == ()
        handle.execute("UPDATE rows SET row = ?, birth = ?, checksum = ?", (row, birth, kept))
    assert handle.store.fetch(b"k") == done.row


def test_a_row_under_another_key_is_not_that_keys_row(scribe: Scribe, handle: SqliteHandle) -> None:
    scribe.advance(b"a", b"1")
    scribe.advance(b"b", b"2")
    handle.execute("UPDATE rows SET (row, birth, checksum) = (SELECT row, birth, checksum FROM rows WHERE key = x'61')")
    assert isinstance(handle.store.fetch(b"b"), Unreadable)
    assert decode_row(bytes(handle.store.fetch(b"a") or b"")).versions[0].value == b"1"


def test_what_a_reader_found_damaged_is_set_aside_by_the_next_transaction(scribe: Scribe, handle: SqliteHandle) -> None:
    scribe.advance(b"k", b"1")
    handle.corrupt(b"k")
    handle.store.scan(0, 1, b"", 10)
    scribe.apply(SaveState("x", b""))
    assert handle.execute("SELECT count(*) FROM rows") == [(0,)]
    ((key, found_at_ms),) = handle.execute("SELECT key, found_at_ms FROM quarantine")
    assert key == b"k"
    assert isinstance(found_at_ms, int)
    assert 1_600_000_000_000 < found_at_ms < 5_000_000_000_000
    scribe.advance(b"k", b"2")
    assert handle.execute("SELECT count(*) FROM quarantine") == [(0,)]


def test_a_damaged_page_is_unreadable_and_not_absent(scribe: Scribe, handle: SqliteHandle) -> None:
    scribe.apply(*(write(b"k%d" % at, b"v" * 300) for at in range(200)))
    handle.close()
    data = bytearray((handle.directory / FILE).read_bytes())
    page_bytes = int.from_bytes(data[16:18], "big")
    for start in range(page_bytes, len(data), page_bytes):
        if b"v" * 100 in data[start : start + page_bytes]:
            data[start : start + 8] = b"\xff" * 8
    (handle.directory / FILE).write_bytes(data)
    handle.store = handle.open()
    found = [handle.store.fetch(b"k%d" % at) for at in range(200)]
    assert all(isinstance(row, Unreadable) for row in found)
    with pytest.raises(StorageStopped):
        handle.store.scan(0, 1, b"", 10)
    with pytest.raises(StorageStopped):
        handle.store.apply([write(b"k1", b"v")])


def test_a_row_that_comes_back_while_it_is_looked_for_is_found(
    scribe: Scribe, handle: SqliteHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader looks for the row, then in quarantine: between the two the writer may have brought it back."""
    scribe.advance(b"k", b"1")
    handle.corrupt(b"k")
    handle.store.fetch(b"k")
    scribe.apply(SaveState("x", b""))
    is_aside = tables.is_aside

    def late(connection: sqlite3.Connection, key: bytes) -> bool:
        scribe.advance(b"k", b"2")
        return is_aside(connection, key)

    monkeypatch.setattr(tables, "is_aside", late)
    assert isinstance(handle.store.fetch(b"k"), bytes)


def test_no_reader_finds_a_row_gone_before_it_is_known_to_be_aside(
    scribe: Scribe, handle: SqliteHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the commit and the moment when the totals tell of it."""
    scribe.advance(b"k", b"1")
    handle.corrupt(b"k")
    handle.store.fetch(b"k")
    seen: list[object] = []

    class Watched:
        """The writing connection, and a reader who looks right after each commit."""

        def __init__(self, connection: sqlite3.Connection) -> None:
            self._connection = connection

        def __getattr__(self, name: str) -> object:
            return getattr(self._connection, name)

        def execute(self, sql: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
            cursor = self._connection.execute(sql, values)
            if sql == "COMMIT":
                seen.append(handle.store.fetch(b"k"))
            return cursor

    monkeypatch.setattr(handle.store, "_writer", Watched(handle.store._writer))
    scribe.apply(SaveState("x", b""))
    assert [type(row) for row in seen] == [Unreadable]


# Reading beside writing ------------------------------------------------------------------------------------


def test_readers_see_whole_transactions_and_never_wait(scribe: Scribe, handle: SqliteHandle) -> None:
    store = handle.store
    scribe.apply(write(b"a", b"0"), write(b"b", b"0"))
    store._writer.execute("BEGIN IMMEDIATE")
    store._writer.execute("DELETE FROM rows")
    assert isinstance(store.fetch(b"a"), bytes), "an open transaction is nobody's business"
    store._writer.execute("ROLLBACK")


def test_fetch_and_scan_leave_no_transaction_open(scribe: Scribe, handle: SqliteHandle) -> None:
    """A reader that stays would keep the log from being written from its beginning again."""
    scribe.apply(*(write(b"k%d" % at, b"v") for at in range(300)))
    handle.store.fetch(b"k1")
    handle.store.fetch(b"absent")
    handle.store.scan(0, 1, b"", 7)
    handle.store.load_state()
    assert handle.store._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0


def test_one_thread_writes_while_another_reads(handle: SqliteHandle) -> None:
    scribe = Scribe(handle)
    scribe.apply(write(b"a", b"0"))
    ended = threading.Event()
    failures: list[object] = []

    def read() -> None:
        last = -1
        while not ended.is_set():
            row = handle.store.fetch(b"a")
            pages = handle.store.scan(0, 1, b"", 100)
            if not isinstance(row, bytes) or not pages.items:
                failures.append(row)
                return
            value = int(decode_row(row).versions[0].value or b"-1")
            if value < last:
                failures.append((value, last))
            last = value

    reader = threading.Thread(target=read)
    reader.start()
    for at in range(1, 300):
        scribe.advance(b"a", b"%d" % at, cover=True)
        if at % 50 == 0:
            handle.store.checkpoint()
    ended.set()
    reader.join()
    assert failures == []


@pytest.mark.parametrize("size", [0, 200, 1000, 5000, 100_000, VALUE_BYTES_MAX])
def test_sizes(scribe: Scribe, handle: SqliteHandle, size: int) -> None:
    value = os.urandom(size)
    scribe.advance(b"k", value)
    handle.reopen()
    assert scribe.values(b"k") == [value]


def test_the_checkpoint_is_due_by_the_size_of_the_log(
    scribe: Scribe, handle: SqliteHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.storage.space.CHECKPOINT_BYTES", 1_000_000)
    log = handle.directory / f"{FILE}-wal"
    for at in range(400):
        scribe.advance(b"k%d" % at, b"v" * 3000)
        if handle.store.checkpoint_due:
            break
    assert 300_000 < log.stat().st_size < 2_000_000
    handle.store.checkpoint()
    assert not handle.store.checkpoint_due
    assert handle.store.figures()["checkpoints"] == 1


def test_what_a_checkpoint_finds_corrects_the_next_guess(
    scribe: Scribe, handle: SqliteHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small rows at random touch more pages than their bytes tell: the log grew to more than twice its bound."""
    monkeypatch.setattr("node.storage.space.CHECKPOINT_BYTES", 2_000_000)
    store, at, found_bytes = handle.store, 0, []
    while len(found_bytes) < 4:
        scribe.apply(*(write(b"key:%d" % (at + number), b"v" * 100) for number in range(20)))
        at += 20
        if store.checkpoint_due:
            before = store._log.folded_pages
            store.checkpoint()
            found_bytes.append((store._log.folded_pages - before) * store._log._page_bytes)
    assert max(found_bytes[2:]) < 1.3 * 2_000_000, found_bytes


def test_a_clean_stop_folds_the_log_away(scribe: Scribe, handle: SqliteHandle) -> None:
    scribe.advance(b"k", b"v")
    handle.store.close()
    assert sorted(path.name for path in handle.directory.iterdir()) == ["lock", FILE]
    handle.store = handle.open()


def test_the_file_can_be_looked_into_while_it_is_in_use(scribe: Scribe, handle: SqliteHandle) -> None:
    scribe.advance(b"k", b"v")
    command = [sys.executable, "-m", "sqlite_utils", "rows", f"{handle.directory / FILE}", "rows", "-c", "birth"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert '"birth": 1' in done.stdout
    scribe.advance(b"k", b"w")
