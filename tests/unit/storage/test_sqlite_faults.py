"""Disks without space and disks that fail: what is refused, what goes on, and when the store stops for ever."""

from __future__ import annotations

import resource
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from node.core.limits import MIB
from node.storage import directory as directories
from node.storage import opening
from node.storage.port import Advanced, Merge, Merged, Refusal, Refused, SaveState, StorageStopped
from node.storage.sqlite import FILE, SqliteStorage
from tests.helpers.stores import EPOCH, Scribe, SqliteHandle, refusals, write

# Space -----------------------------------------------------------------------------------------------------


def test_near_full_only_values_of_clients_are_refused(
    scribe: Scribe, handle: SqliteHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = scribe.advance(b"k", b"v")
    free = [100 * MIB]
    monkeypatch.setattr(directories, "space", lambda _: (free[0], 10_000 * MIB))
    handle.store.look()
    row = first.row
    outcomes = scribe.apply(
        write(b"a", b"value"), write(b"k", None, first.clock), Merge(b"m", row, EPOCH), SaveState("x", b"")
    )
    assert isinstance(outcomes[0], Refused)
    assert outcomes[0].why is Refusal.DISK_FULL
    assert isinstance(outcomes[1], Advanced)
    assert isinstance(outcomes[2], Merged)
    free[0] = 50 * MIB
    assert refusals(scribe.apply(Merge(b"o", row, EPOCH), Merge(b"k", outcomes[1].row, EPOCH))) == [
        Refusal.DISK_FULL,
        None,
    ]
    free[0] = 1000 * MIB
    scribe.advance(b"a", b"value")


def test_what_makes_room_is_tried_once_more_when_the_log_was_folded(
    scribe: Scribe, handle: SqliteHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit that the log has no room for: folded, it begins anew in its own space."""
    done = scribe.advance(b"k", b"v")
    folds: list[str] = []

    class NoRoomUntilFolded:
        """The connection of a store whose log cannot grow."""

        def __init__(self, writer: sqlite3.Connection) -> None:
            self._writer = writer

        def __getattr__(self, name: str) -> object:
            return getattr(self._writer, name)

        def execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:
            if "checkpoint" in sql:
                folds.append(sql)
            if sql == "COMMIT" and not folds:
                error = sqlite3.OperationalError("database or disk is full")
                error.sqlite_errorcode = sqlite3.SQLITE_FULL
                raise error
            return self._writer.execute(sql, *parameters)

    writer = handle.store._writer
    monkeypatch.setattr(handle.store, "_writer", NoRoomUntilFolded(writer))
    assert refusals(scribe.apply(write(b"j", b"w"))) == [Refusal.DISK_FULL]
    assert not folds, "nothing in it makes room"
    assert refusals(scribe.apply(write(b"j", b"w"), write(b"k", None, done.clock))) == [Refusal.DISK_FULL, None]
    assert len(folds) == 1
    assert scribe.values(b"k") == [None]


def test_free_space_is_looked_at_as_it_is_used(
    scribe: Scribe, handle: SqliteHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Path] = []

    def space(path: Path) -> tuple[int, int]:
        looks.append(path)
        return 30 * MIB, 32 * MIB

    monkeypatch.setattr(directories, "space", space)
    handle.store.look()
    for at in range(10):
        scribe.advance(b"k%d" % at, b"v" * 50_000)
    assert 4 <= len(looks) <= 7
    assert not handle.store.near_full


@pytest.mark.parametrize(
    ("code", "full"),
    [
        (sqlite3.SQLITE_FULL, True),
        (sqlite3.SQLITE_IOERR_SHMSIZE, True),
        (sqlite3.SQLITE_IOERR_WRITE, False),
        (sqlite3.SQLITE_IOERR_FSYNC, False),
        (sqlite3.SQLITE_CORRUPT, False),
    ],
)
def test_what_counts_as_a_full_disk(code: int, full: bool) -> None:
    error = sqlite3.OperationalError()
    error.sqlite_errorcode = code
    assert opening.is_full(error) is full


def test_a_checkpoint_without_space_waits_for_some(scribe: Scribe, handle: SqliteHandle) -> None:
    scribe.advance(b"k", b"v" * 100_000)

    class Full:
        """The connection, as it answers when the disk is full."""

        def execute(self, sql: str) -> sqlite3.Cursor:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error

    writer = handle.store._writer
    handle.store._writer = Full()  # type: ignore[assignment]  # stands in for one statement
    handle.store.checkpoint()
    handle.store._writer = writer
    assert handle.store.near_full
    handle.store.checkpoint()
    scribe.advance(b"j", b"v")


# Failure ---------------------------------------------------------------------------------------------------

FAILING_DISK = """
import resource, sys
from pathlib import Path
from node.storage.port import *
from node.storage.sqlite import SqliteStorage
store = SqliteStorage.open(Path(sys.argv[1]))
store.apply([SaveState("ring", b"", 1)])
def put(key, size):
    return store.apply([Advance(key, b"v" * size, (), False, 1, 1, "")])[0]
first = put(b"before", 10)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
try:
    print(put(b"large", 400_000))
except StorageStopped as error:
    print("stopped:", error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
try:
    print(put(b"after", 10))
except StorageStopped as error:
    print("still stopped:", error)
assert store.fetch(b"before") == first.row
assert store.fetch(b"large") is None
store.close()
"""


def test_a_failed_write_stops_the_store_for_ever(tmp_path: Path) -> None:
    """The disk takes no more than 200 kB of a file: write(2) fails with EFBIG, once. It is not believed again."""
    home = tmp_path / "data"
    command = [sys.executable, "-c", FAILING_DISK, str(home)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [line.split(": ")[0] for line in done.stdout.splitlines()] == ["stopped", "still stopped"]
    assert "disk I/O error" in done.stdout
    assert (home / "lock").read_text().split("\n")[2] == "failed"
    store = SqliteStorage.open(home)
    assert store.totals()[:4] == (1, len(bytes(store.fetch(b"before") or b"")), 0, 0)
    assert (home / "lock").read_text().split("\n")[2] == ""
    store.close()
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_a_stranger_who_keeps_the_lock_stops_the_store(scribe: Scribe, handle: SqliteHandle) -> None:
    handle.store._writer.execute("PRAGMA busy_timeout = 50")
    stranger = sqlite3.connect(handle.directory / FILE, isolation_level=None)
    stranger.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageStopped, match="locked"):
        scribe.advance(b"k", b"v")
    stranger.close()
    with pytest.raises(StorageStopped, match="locked"):
        scribe.advance(b"k", b"v")
    assert handle.store.figures()["stopped"]


def test_a_defect_in_the_middle_of_a_transaction_leaves_nothing_of_it(
    scribe: Scribe, handle: SqliteHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = scribe.advance(b"k", b"1")
    before = handle.store.totals(), handle.store.identity

    def defective(*_: object) -> None:
        raise AssertionError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr("node.storage.tables.save_counters", defective)
        with pytest.raises(AssertionError, match="a bug"):
            handle.store.apply([write(b"k", b"2"), write(b"j", b"3"), SaveState("x", b"", EPOCH + 1)])
    assert handle.store.fetch(b"k") == first.row
    assert handle.store.fetch(b"j") is None
    assert (handle.store.totals(), handle.store.identity) == before
    assert scribe.advance(b"k", b"4").dot == first.dot._replace(n=2)
