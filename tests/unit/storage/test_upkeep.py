"""A store read through, used or not, and written anew: what is damaged is found, and nothing is changed by looking."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.storage import upkeep
from node.storage.errors import BrokenStore, StorageError, StoreInUse
from node.storage.port import Merge, SaveState
from node.storage.sqlite import FILE, SqliteStorage
from node.wire.rows import encode_row
from tests.helpers.engine import row_of
from tests.helpers.stores import EPOCH, SqliteHandle

KEYS = 3000


def read(directory: Path) -> upkeep.Verified:
    return upkeep.verify(directory, lambda position: None)


def fill(store: SqliteStorage, count: int = KEYS) -> None:
    rows = [row_of(b"value %d" % i) for i in range(count)]
    store.apply([SaveState("ring", b"ring", EPOCH)])
    store.apply([Merge(b"key:%d" % i, encode_row(row), EPOCH, row) for i, row in enumerate(rows)])


@pytest.fixture
def handle(tmp_path: Path) -> Iterator[SqliteHandle]:
    made = SqliteHandle(tmp_path / "n1")
    fill(made.store)
    yield made
    made.close()


def directory_of(handle: SqliteHandle) -> Path:
    return handle.directory


def test_a_store_in_use_is_read_through(handle: SqliteHandle) -> None:
    steps: list[int] = []
    found = upkeep.verify(directory_of(handle), steps.append)
    assert (found.in_use, found.sound, found.rows, found.damaged, found.told) == (True, True, KEYS, 0, None)
    assert steps == sorted(steps)
    assert len(steps) == KEYS // upkeep.PAGE_ROWS
    fill(handle.store, 10)  # nothing holds it up


def test_the_structure_is_read_in_one_go_only_where_no_node_writes(
    handle: SqliteHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While that lasts a node's log could not begin anew."""
    checked: list[Path] = []
    monkeypatch.setattr(upkeep.opening, "check", lambda connection, path: checked.append(path))
    assert read(directory_of(handle)).in_use
    assert not checked
    handle.close()
    read(directory_of(handle))
    assert checked


def test_damaged_rows_are_found_and_named_up_to_a_bound(handle: SqliteHandle) -> None:
    for i in range(upkeep.NAMED_MAX + 3):
        handle.corrupt(b"key:%d" % i)
    found = read(directory_of(handle))
    assert (found.sound, found.damaged, found.rows) == (False, upkeep.NAMED_MAX + 3, KEYS - upkeep.NAMED_MAX - 3)
    assert len(found.damaged_keys) == upkeep.NAMED_MAX
    assert set(found.damaged_keys) <= {b"key:%d" % i for i in range(upkeep.NAMED_MAX + 3)}


def test_a_row_at_a_wrong_place_is_damaged(handle: SqliteHandle) -> None:
    handle.execute("UPDATE rows SET position = position + 1 WHERE key = ?", (b"key:7",))
    assert read(directory_of(handle)).damaged_keys == (b"key:7",)


def test_at_rest_nothing_beside_it_is_touched_and_its_own_count_is_held_to(handle: SqliteHandle) -> None:
    handle.close()
    before = {path.name: path.stat().st_mtime_ns for path in directory_of(handle).iterdir()}
    found = read(directory_of(handle))
    assert (found.in_use, found.sound, found.told) == (False, True, KEYS)
    assert {path.name: path.stat().st_mtime_ns for path in directory_of(handle).iterdir()} == before
    with sqlite3.connect(directory_of(handle) / FILE) as connection:
        connection.execute("DELETE FROM rows WHERE key = ?", (b"key:1",))
    assert not read(directory_of(handle)).sound


def test_what_a_crash_left_in_the_log_is_read_too(handle: SqliteHandle) -> None:
    handle.abandon()
    found = read(directory_of(handle))
    assert (found.in_use, found.sound, found.rows) == (False, True, KEYS)


@pytest.mark.parametrize("table", ["identity", "counters", "state"])
def test_what_a_store_says_of_itself_has_checksums_too(handle: SqliteHandle, table: str) -> None:
    handle.execute(f"UPDATE {table} SET checksum = checksum + 1")
    found = read(directory_of(handle))
    assert "does not match its checksum" in found.structure or "do not match their checksum" in found.structure
    assert not found.sound


def test_a_broken_page_is_told_and_nothing_is_raised(handle: SqliteHandle) -> None:
    handle.close()
    path = directory_of(handle) / FILE
    descriptor = os.open(path, os.O_RDWR)
    for page in range(3, path.stat().st_size // 4096):
        os.pwrite(descriptor, b"\xff" * 64, page * 4096)
    os.close(descriptor)
    found = read(directory_of(handle))
    assert found.structure
    assert not found.sound
    with pytest.raises(BrokenStore):
        upkeep.compact(directory_of(handle))


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    for work in (read, upkeep.compact):
        with pytest.raises(StorageError, match="no data directory"):
            work(tmp_path)
    assert list(tmp_path.iterdir()) == [], "nothing is made in a directory of somebody else's"
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("CREATE TABLE rows (a)")
    with pytest.raises(StorageError, match="no store of a dyn node"):
        read(tmp_path)
    with pytest.raises(StorageError, match="no store of a dyn node"):
        upkeep.compact(tmp_path)


def test_compacting_gives_room_back_and_changes_nothing_else(
    handle: SqliteHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    [(epochs, storage)] = handle.execute("SELECT epochs, storage_id FROM identity")
    handle.close()
    handle.execute("DELETE FROM rows WHERE key > ?", (b"key:1",))
    handle.execute("DELETE FROM trees")
    kept = handle.execute("SELECT * FROM rows ORDER BY position")
    with monkeypatch.context() as patch:
        patch.setenv("SQLITE_TMPDIR", "/proc")  # where nothing can be written: it has the room of its own directory
        done = upkeep.compact(directory_of(handle))
        assert os.environ["SQLITE_TMPDIR"] == str(directory_of(handle))
    assert done.after < done.before / 2
    assert done.after == (directory_of(handle) / FILE).stat().st_size
    again = SqliteHandle(directory_of(handle))
    assert again.execute("SELECT * FROM rows ORDER BY position") == kept
    assert again.execute("SELECT epochs, storage_id FROM identity") == [(epochs, storage)], "it is no copy"
    again.close()


def test_a_store_that_a_node_uses_is_not_compacted(handle: SqliteHandle) -> None:
    before = (directory_of(handle) / FILE).stat().st_size
    with pytest.raises(StoreInUse):
        upkeep.compact(directory_of(handle))
    assert (directory_of(handle) / FILE).stat().st_size == before


def test_without_room_it_is_not_begun(handle: SqliteHandle, monkeypatch: pytest.MonkeyPatch) -> None:
    handle.close()
    asked: list[int] = []

    def no_room(folder: Path, size: int) -> bool:
        asked.append(size)
        return False

    monkeypatch.setattr(upkeep, "has_room", no_room)
    with pytest.raises(StorageError, match="no room"):
        upkeep.compact(directory_of(handle))
    assert asked == [2 * (directory_of(handle) / FILE).stat().st_size]
