"""A store copied while it is written to, and what becomes of the copy: a moment, whole, known as a copy, or nothing."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from node.core.limits_backup import BACKUP_STEP_PAGES
from node.storage import directory as directories
from node.storage import opening
from node.storage.backup import CutShort, Source, Stamp, write_backup
from node.storage.backup_file import Backup, put_back
from node.storage.directory import LOCK_FILE
from node.storage.errors import StorageError
from node.storage.opening import PAGE_BYTES
from node.storage.port import Adopt
from node.storage.sqlite import FILE
from tests.helpers.stores import Scribe, SqliteHandle, peer_row, undo_m005, write

SOURCE = Source("n1", "ab" * 16, "dyn", "c1", 256, "127.0.0.1:7700", "0.1.0", 1_700_000_000_000)


def back_up(handle: SqliteHandle, target: Path, step: Callable[[int, int], None] = lambda done, total: None) -> Stamp:
    return write_backup(handle.directory / FILE, target, SOURCE, os.urandom, step)


def refused(handle: SqliteHandle, target: Path, words: str) -> None:
    """No backup is made, for that reason, and nothing is left behind."""
    before = sorted(target.parent.iterdir()) if target.parent.is_dir() else []
    with pytest.raises(StorageError, match=words):
        back_up(handle, target)
    assert (sorted(target.parent.iterdir()) if target.parent.is_dir() else []) == before


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "copy.db"


def test_a_copy_is_one_file_of_its_own_that_holds_everything(
    handle: SqliteHandle, scribe: Scribe, target: Path
) -> None:
    scribe.advance(b"k", b"v")
    scribe.advance(b"k", b"w")
    scribe.advance(b"\xff\x00", b"\xfe")
    scribe.advance(b"gone", None, scribe.advance(b"gone", b"x").clock)
    scribe.apply(Adopt(3, 4, 9))
    stamp = back_up(handle, target)
    assert stamp.source == SOURCE
    assert (stamp.keys, stamp.siblings, stamp.tombstones, stamp.quarantined) == (3, 1, 1, 0)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert sorted(path.name for path in target.parent.iterdir()) == ["copy.db", "data"]
    with closing(Backup.open(target)) as backup:
        backup.check()
        assert backup.stamp == stamp
        assert backup.rounds.at(3, 4) == 9
        assert dict(backup.rows()) == dict(handle.store.scan(0, 1, b"", 100).items)
        assert backup.damaged == 0


def test_a_copy_is_of_one_moment_however_much_is_written_meanwhile(
    handle: SqliteHandle, scribe: Scribe, target: Path
) -> None:
    """Commits come between its steps: it neither has any of them, nor begins anew, nor keeps one waiting."""
    size = BACKUP_STEP_PAGES * PAGE_BYTES
    for number in range(8):
        scribe.merge(b"key:%d" % number, peer_row(b"before" * (size // 12)))
    steps = []

    def step(done: int, total: int) -> None:
        steps.append(done)
        scribe.advance(b"key:%d" % (len(steps) % 8), b"meanwhile", cover=True)
        scribe.advance(b"new:%d" % len(steps), b"meanwhile")
        handle.store.checkpoint()

    stamp = back_up(handle, target, step)
    assert len(steps) > 4, "the copy took several steps"
    assert steps[:-1] == sorted(set(steps)), "and did none of them twice"
    assert stamp.keys == 8
    with closing(Backup.open(target)) as backup:
        assert b"meanwhile" not in b"".join(row for _, row in backup.rows())
    assert handle.store.totals().rows > 8


def test_whoever_opens_a_copy_takes_it_for_one(handle: SqliteHandle, scribe: Scribe, target: Path) -> None:
    """Also put in the place of the very file, inode and all, beside the lock of a node that was killed."""
    scribe.advance(b"k", b"v")
    back_up(handle, target)
    handle.abandon()
    with target.open("rb") as source, (handle.directory / FILE).open("wb") as sink:
        shutil.copyfileobj(source, sink)
    for leftover in ("-wal", "-shm"):
        Path(f"{handle.directory / FILE}{leftover}").unlink(missing_ok=True)
    before = handle.store.identity.epochs
    handle.store = handle.open()
    assert "put back from a copy" in handle.store.redrawn
    assert handle.store.identity.epochs[:-1] == before
    scribe.advance(b"k", b"w", cover=True)


def test_a_store_that_is_put_back_mints_no_dot_twice(
    handle: SqliteHandle, scribe: Scribe, target: Path, tmp_path: Path
) -> None:
    scribe.advance(b"k", b"v")
    back_up(handle, target)
    scribe.advance(b"k", b"forgotten", cover=True)
    with closing(Backup.open(target)) as backup:
        put_back(backup, tmp_path / "again", FILE)
    twin = SqliteHandle(tmp_path / "again")
    try:
        assert "copy" in twin.store.redrawn
        scribe.handle = twin
        assert scribe.values(b"k") == [b"v"]
        scribe.advance(b"k", b"other", cover=True)  # the scribe fails if a dot names two values
    finally:
        twin.close()


def test_nothing_is_ever_overwritten(handle: SqliteHandle, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "cut.db.part").write_text("a backup that was killed")
    (tmp_path / "log.db.part-wal").write_text("somebody else's")
    refused(handle, tmp_path / "there", "there exists, and no backup overwrites anything")
    refused(handle, tmp_path / "link", "exists")
    refused(handle, tmp_path / "cut.db", r"cut.db.part exists: a backup under way, or one that was cut off")
    refused(handle, tmp_path / "log.db", r"log.db.part-wal exists")
    assert (tmp_path / "there").read_text() == "mine"


def test_a_file_that_comes_into_being_meanwhile_is_left_alone(handle: SqliteHandle, target: Path) -> None:
    def step(done: int, total: int) -> None:
        if not target.exists():
            target.write_text("mine")

    with pytest.raises(StorageError, match="File exists"):
        back_up(handle, target, step)
    assert target.read_text() == "mine"
    assert sorted(path.name for path in target.parent.iterdir()) == ["copy.db", "data"]


def test_places_where_a_copy_may_not_lie(handle: SqliteHandle, tmp_path: Path) -> None:
    (tmp_path / "way").symlink_to(handle.directory)
    refused(handle, Path("relative.db"), "no absolute path")
    refused(handle, tmp_path / "nowhere" / "x.db", "there is no directory")
    refused(handle, handle.directory / f"{FILE}-journal", "data directory of the node")
    refused(handle, tmp_path / "way" / "x.db", "data directory of the node")


def test_a_copy_that_is_ended_leaves_nothing(handle: SqliteHandle, target: Path) -> None:
    def step(done: int, total: int) -> None:
        raise CutShort

    with pytest.raises(CutShort):
        back_up(handle, target, step)
    assert sorted(path.name for path in target.parent.iterdir()) == ["data"]


@pytest.mark.parametrize(
    ("near_full", "look", "words"),
    [("target", 1, "no room for the backup"), ("target", 2, "no room for the backup"), ("data", 1, "its log cannot")],
)
def test_a_disk_that_is_near_full_ends_it(
    handle: SqliteHandle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, near_full: str, look: int, words: str
) -> None:
    """Before it begins, or between two steps: the log of the store grows as long as it is copied."""
    folder = tmp_path / "target"
    folder.mkdir()
    looked = []

    def space(directory: Path) -> tuple[int, int]:
        looked.append(directory)
        short = directory == (folder if near_full == "target" else handle.directory)
        return (1_000_000, 10**9) if short and looked.count(directory) >= look else (10**9, 10**9)

    monkeypatch.setattr(directories, "space", space)
    refused(handle, folder / "copy.db", words)


def test_the_check_of_a_copy_can_be_ended(
    handle: SqliteHandle, scribe: Scribe, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From another thread, as it has no steps: a node that stops does not wait for it."""
    scribe.apply(*[write(b"key:%d" % number, b"v" * 100) for number in range(2000)])
    over = threading.Event()
    check = opening.check

    def check_for_long(connection: sqlite3.Connection, path: Path) -> None:
        while True:
            check(connection, path)

    monkeypatch.setattr(opening, "check", check_for_long)

    def end(interrupt: Callable[[], None]) -> None:
        while not over.wait(0.0001):
            with suppress(sqlite3.ProgrammingError):
                interrupt()

    def checking(interrupt: Callable[[], None]) -> None:
        threading.Thread(target=end, args=(interrupt,)).start()

    try:
        with pytest.raises(StorageError, match="interrupted"):
            write_backup(handle.directory / FILE, target, SOURCE, os.urandom, lambda done, total: None, checking)
    finally:
        over.set()
    assert sorted(path.name for path in target.parent.iterdir()) == ["data"]


def test_a_damaged_store_gives_no_backup(handle: SqliteHandle, scribe: Scribe, target: Path) -> None:
    scribe.apply(*[write(b"key:%d" % number, b"v" * 100) for number in range(2000)])
    handle.store.checkpoint()
    path = handle.directory / FILE
    with path.open("r+b") as file:
        file.seek(PAGE_BYTES * (path.stat().st_size // PAGE_BYTES // 2))
        file.write(b"\xff" * PAGE_BYTES)
    refused(handle, target, "damaged")


# Files from outside ---------------------------------------------------------------------------------------------


def spoilt(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(sql)


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("UPDATE identity SET node_id = 'x'", "is damaged .its identity does not match"),
        ("UPDATE counters SET rows = 7", "is damaged .its counters do not match"),
        ("UPDATE state SET data = x'00' WHERE name = 'backup'", "is damaged .the state 'backup' does not match"),
        ("DELETE FROM state WHERE name = 'backup'", "is no backup of a dyn node"),
        ("DROP TABLE rows", "is no backup of a dyn node"),
        ("INSERT INTO _sqlite_migrations VALUES (99, 'dyn', 'm999_later', '')", "later version of dyn"),
    ],
)
def test_a_file_that_is_not_what_was_written_is_refused_in_one_sentence(
    handle: SqliteHandle, scribe: Scribe, target: Path, sql: str, words: str
) -> None:
    scribe.advance(b"k", b"v")
    back_up(handle, target)
    spoilt(target, sql)
    with pytest.raises(StorageError, match=words) as caught:
        Backup.open(target)
    assert "\n" not in caught.value.message


def test_a_file_of_before_a_migration_is_refused(handle: SqliteHandle, scribe: Scribe, target: Path) -> None:
    scribe.advance(b"k", b"v")
    back_up(handle, target)
    with closing(sqlite3.connect(target, isolation_level=None)) as connection:
        undo_m005(connection)
    with pytest.raises(StorageError, match="earlier version of dyn"):
        Backup.open(target)


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_store_is_refused(target: Path, content: bytes) -> None:
    target.write_bytes(content)
    with pytest.raises(StorageError, match=r"is no backup|is damaged"):
        Backup.open(target)


def test_a_broken_page_is_found_before_anything_is_taken(handle: SqliteHandle, scribe: Scribe, target: Path) -> None:
    scribe.apply(*[write(b"key:%d" % number, b"v" * 100) for number in range(2000)])
    back_up(handle, target)
    with target.open("r+b") as file:
        file.seek(PAGE_BYTES * (target.stat().st_size // PAGE_BYTES // 2))
        file.write(b"\xff" * PAGE_BYTES)
    with closing(Backup.open(target)) as backup, pytest.raises(StorageError, match=f"{target} is damaged"):
        backup.check()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE rows SET row = x'00' WHERE key = CAST('k' AS BLOB)",
        "UPDATE rows SET birth = birth + 1 WHERE key = CAST('k' AS BLOB)",
        "UPDATE rows SET position = position + 1 WHERE key = CAST('k' AS BLOB)",
    ],
)
def test_a_damaged_row_is_left_out_and_counted(handle: SqliteHandle, scribe: Scribe, target: Path, sql: str) -> None:
    scribe.advance(b"k", b"v")
    scribe.advance(b"other", b"w")
    back_up(handle, target)
    spoilt(target, sql)
    with closing(Backup.open(target)) as backup:
        assert [key for key, _ in backup.rows()] == [b"other"]
        assert backup.damaged == 1


def test_a_journal_beside_a_backup_has_no_say(handle: SqliteHandle, scribe: Scribe, target: Path) -> None:
    scribe.advance(b"k", b"v")
    back_up(handle, target)
    for suffix in ("-journal", "-wal"):
        Path(f"{target}{suffix}").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + b"\0" * 600)
    with closing(Backup.open(target)) as backup:
        backup.check()
        assert [key for key, _ in backup.rows()] == [b"k"]


# Put back -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [FILE, LOCK_FILE, "notes.txt"])
def test_only_an_empty_directory_becomes_a_store(handle: SqliteHandle, target: Path, tmp_path: Path, name: str) -> None:
    back_up(handle, target)
    directory = tmp_path / "used"
    directory.mkdir()
    (directory / name).write_text("1\ntoken\n\n\n")
    with closing(Backup.open(target)) as backup, pytest.raises(StorageError, match=f"is not empty: there is {name}"):
        put_back(backup, directory, FILE)
    assert [path.name for path in directory.iterdir() if path.name != LOCK_FILE] == [name] * (name != LOCK_FILE)


def test_a_directory_in_use_is_refused(handle: SqliteHandle, target: Path, tmp_path: Path) -> None:
    back_up(handle, target)
    directory = tmp_path / "used"
    directory.mkdir()
    lock = directories.DirectoryLock.take(directory)
    try:
        with closing(Backup.open(target)) as backup, pytest.raises(StorageError, match="in use by process"):
            put_back(backup, directory, FILE)
    finally:
        lock.release()


def test_two_copies_at_once_do_no_harm(handle: SqliteHandle, scribe: Scribe, tmp_path: Path) -> None:
    """(A node makes one at a time; its store does not depend on that.)"""
    scribe.advance(b"k", b"v")
    threads = [threading.Thread(target=back_up, args=(handle, tmp_path / f"{n}.db")) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n in range(2):
        with closing(Backup.open(tmp_path / f"{n}.db")) as backup:
            assert [key for key, _ in backup.rows()] == [b"k"]
