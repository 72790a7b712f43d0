"""Opening what is there: damaged, foreign and newer files, each with one true sentence; migrations; settings."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlite_utils

from node.storage import schema
from node.storage.errors import BrokenStore, NewerStore, StorageError, StoreInUse
from node.storage.opening import PAGE_BYTES
from node.storage.schema import NAMES, migrations
from node.storage.sqlite import FILE, SqliteStorage
from tests.helpers.stores import Scribe, SqliteHandle


def made(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def columns(path: Path, table: str) -> list[str]:
    """The columns of a table, none if there is no such table."""
    with closing(sqlite3.connect(path)) as connection:
        return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


def refused(directory: Path, kind: type[StorageError], match: str) -> None:
    with pytest.raises(kind, match=match) as caught:
        SqliteStorage.open(directory)
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_no_database(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"# a text\n" * 1000)
    refused(tmp_path, BrokenStore, rf"{FILE} is damaged, or not an SQLite file \(file is not a database\)$")


def test_a_torn_file(tmp_path: Path) -> None:
    handle = SqliteHandle(tmp_path)
    Scribe(handle).advance(b"k", b"v")
    handle.close()
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:5000])
    refused(tmp_path, BrokenStore, "is damaged")


@pytest.mark.parametrize(("name", "damaged"), [(b"applied_at", b"bpplied_at"), (b"quarantine", b"quarantin\xcc")])
def test_a_schema_of_nonsense(tmp_path: Path, name: bytes, damaged: bytes) -> None:
    """One bit in a name of the schema: what reads schemas stumbled over it, and ended the process with its trace."""
    SqliteStorage.open(tmp_path).close()
    data = (tmp_path / FILE).read_bytes()
    assert name in data
    (tmp_path / FILE).write_bytes(data.replace(name, damaged))
    refused(tmp_path, BrokenStore, rf"{FILE} is damaged")


def test_a_database_of_another_program(tmp_path: Path) -> None:
    made(tmp_path / FILE, "CREATE TABLE photos (id)")
    refused(tmp_path, BrokenStore, rf"{FILE} is an SQLite file of another program$")
    assert columns(tmp_path / FILE, "photos") == ["id"], "it was left alone"
    assert columns(tmp_path / FILE, "rows") == []


def test_a_file_of_a_later_version(tmp_path: Path) -> None:
    SqliteStorage.open(tmp_path).close()
    made(tmp_path / FILE, "INSERT INTO _sqlite_migrations VALUES (99, 'dyn', 'm099_later', 'now')")
    refused(tmp_path, NewerStore, rf"later version of dyn: it has m099_later, and this version ends at {NAMES[-1]}$")


def test_a_file_that_another_program_has_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SqliteStorage.open(tmp_path).close()
    monkeypatch.setattr("node.storage.opening.BUSY_MS_MAX", 50)
    other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    refused(tmp_path, StoreInUse, rf"{FILE} is locked by another process$")
    other.close()
    SqliteStorage.open(tmp_path).close()


def test_an_empty_file_is_a_new_store(tmp_path: Path) -> None:
    (tmp_path / FILE).touch(0o600)
    SqliteStorage.open(tmp_path).close()


def test_every_migration_is_named() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        assert NAMES == tuple(migration.name for migration in migrations.pending(sqlite_utils.Database(connection)))


def test_a_migration_and_its_record_are_one_transaction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed at any point, a file is either as it was or as it shall be; a failed one is tried again."""
    SqliteStorage.open(tmp_path).close()
    later = sqlite_utils.Migrations("dyn")
    fails = [True]

    def applied(db: sqlite_utils.Database) -> None:
        raise AssertionError("it was applied already")

    for name in schema.NAMES:
        later(name=name)(applied)

    @later()
    def m999_next(db: sqlite_utils.Database) -> None:
        db.execute("ALTER TABLE rows ADD COLUMN colour TEXT")
        if fails:
            raise sqlite3.OperationalError("no")

    monkeypatch.setattr(schema, "migrations", later)
    monkeypatch.setattr(schema, "NAMES", (*schema.NAMES, "m999_next"))
    with pytest.raises(StorageError):
        SqliteStorage.open(tmp_path)
    assert "colour" not in columns(tmp_path / FILE, "rows")
    fails.clear()
    SqliteStorage.open(tmp_path).close()
    assert "colour" in columns(tmp_path / FILE, "rows")
    SqliteStorage.open(tmp_path).close()


def test_a_file_that_was_made_halfway_is_made_whole(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        migrations.ensure_migrations_table(sqlite_utils.Database(connection))
    SqliteStorage.open(tmp_path).close()
    made(tmp_path / FILE, "DELETE FROM identity", "DELETE FROM counters")
    SqliteStorage.open(tmp_path).close()


@pytest.mark.parametrize(("durability", "synchronous"), [("full", 2), ("normal", 1), ("memory", 0)])
def test_settings_of_the_connections(tmp_path: Path, durability: str, synchronous: int) -> None:
    store = SqliteStorage.open(tmp_path, durability=durability)

    def setting(connection: sqlite3.Connection, name: str) -> object:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]

    assert setting(store._writer, "journal_mode") == "wal"
    assert setting(store._writer, "synchronous") == synchronous
    assert setting(store._writer, "wal_autocheckpoint") == 0
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        store._reader._connection.execute("DELETE FROM rows")
    store.close()


def test_it_is_made_under_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under FULL a power cut may undo the creation: the directory entry of its journal was never synced away."""
    seen: list[int] = []
    migrate = schema.migrate

    def spying(connection: sqlite3.Connection, path: str) -> None:
        seen.append(connection.execute("PRAGMA synchronous").fetchone()[0])
        migrate(connection, path)

    monkeypatch.setattr("node.storage.opening.migrate", spying)
    SqliteStorage.open(tmp_path).close()
    assert seen == [3]


def test_after_a_failed_disk_the_whole_file_is_checked(tmp_path: Path) -> None:
    handle = SqliteHandle(tmp_path)
    scribe = Scribe(handle)
    for at in range(200):
        scribe.advance(b"k%d" % at, b"v" * 100)
    token = handle.store._identity.token
    handle.store._lock.write(token, failed=True)
    handle.store._reader.close()
    handle.store._writer.close()
    handle.store._lock.release()
    data = bytearray((tmp_path / FILE).read_bytes())
    leaf = next(start for start in range(0, len(data), PAGE_BYTES) if b"v" * 50 in data[start : start + PAGE_BYTES])
    data[leaf : leaf + 2] = b"\x00\x00"
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(data)
    refused(tmp_path, BrokenStore, r"is damaged \(")
    (tmp_path / FILE).write_bytes(whole)
    SqliteStorage.open(tmp_path).close()


def test_after_a_failed_disk_nothing_hangs_on_the_log_that_it_left(tmp_path: Path) -> None:
    """Its frames may be in the kernel's memory alone, and what is appended behind a hole goes with the power."""
    handle = SqliteHandle(tmp_path / "data")
    for at in range(50):
        Scribe(handle).advance(b"k%d" % at, b"v" * 100)
    handle.store._lock.write(handle.store._identity.token, failed=True)
    left = tmp_path / "left"
    shutil.copytree(tmp_path / "data", left)  # as a killed process leaves it: whoever closes the file folds the log
    handle.close()
    log = left / f"{FILE}-wal"
    before = log.stat().st_size
    with closing(SqliteStorage.open(left)) as store:
        assert log.stat().st_size < before / 2
        assert isinstance(store.fetch(b"k7"), bytes)


def test_the_tombstones_of_an_older_file_are_indexed_when_it_is_opened(tmp_path: Path) -> None:
    handle = SqliteHandle(tmp_path)
    scribe = Scribe(handle)
    scribe.advance(b"live", b"v")
    scribe.advance(b"dead", None)
    handle.close()
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.execute("DROP TABLE tombstones")
        connection.execute("DELETE FROM _sqlite_migrations WHERE name = 'm004_tombstones'")
        connection.commit()
    with closing(SqliteStorage.open(tmp_path)) as store:
        assert [key for key, _ in store.tombstones(b"", 10).items] == [b"dead"]
        assert store.tombstone_count() == 1
