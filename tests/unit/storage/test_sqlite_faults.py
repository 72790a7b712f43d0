"""Disks without space and disks that fail: what is refused, what goes on, and when the store stops for ever."""

from __future__ import annotations

import resource
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from node.storage import directory as directories
from node.storage import opening
from node.storage.port import Advanced, Merge, Merged, Refusal, Refused, SaveState, StorageStopped, Totals
from node.storage.sqlite import FILE, SqliteStorage
from tests.helpers.stores import EPOCH, Scribe, SqliteHandle, write

# Space -----------------------------------------------------------------------------------------------------


def test_near_full_only_values_of_clients_are_refused(
    scribe: Scribe, handle: SqliteHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = scribe.advance(b"k", b"v")
    nearly = [True]
    monkeypatch.setattr(directories, "nearly_full", lambda _: nearly[0])
    handle.store.near_full = True
    row = first.row
    outcomes = scribe.apply(
        write(b"a", b"value"), write(b"k", None, first.clock), Merge(b"m", row, EPOCH), SaveState("x", b"")
    )
    assert isinstance(outcomes[0], Refused)
    assert outcomes[0].why is Refusal.DISK_FULL
    assert isinstance(outcomes[1], Advanced)
    assert isinstance(outcomes[2], Merged)
    nearly[0] = False
    scribe.advance(b"a", b"value")


def test_free_space_is_looked_at_as_it_is_used(
    scribe: Scribe, handle: SqliteHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Path] = []
    monkeypatch.setattr(directories, "nearly_full", lambda path: bool(looks.append(path)))
    monkeypatch.setattr("node.storage.sqlite.LOOK_EVERY_BYTES", 100_000)
    for at in range(10):
        scribe.advance(b"k%d" % at, b"v" * 50_000)
    assert 4 <= len(looks) <= 6
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


FULL_DISK = """
import os, sys
from pathlib import Path
from node.storage.port import *
from node.storage.sqlite import SqliteStorage
from node.storage import directory
home = Path(sys.argv[1])
directory.nearly_full = lambda path: False  # as if others had filled the disk since
store = SqliteStorage.open(home / "data")
store.apply([SaveState("ring", b"", 1)])
done, refused, at = {}, 0, 0
def put(value):
    global at
    at += 1
    key = b"k%d" % at
    (outcome,) = store.apply([Advance(key, value, (), False, 1, 1, "")])
    if isinstance(outcome, Refused):
        assert outcome.why is Refusal.DISK_FULL, outcome
        return False
    done[key] = outcome.row
    return True
while put(b"v" * 20000):
    assert at < 1000
refused = sum(not put(b"v" * 20000) for _ in range(20))
store.checkpoint()
assert all(store.fetch(key) == row for key, row in done.items())
(home / "foreign").unlink()
assert put(b"after")
store.checkpoint()
store.close()
store = SqliteStorage.open(home / "data")
assert store.redrawn == "", store.redrawn
assert all(store.fetch(key) == row for key, row in done.items())
assert store.totals().rows == len(done)
store.close()
print("refused", refused, "kept", len(done))
"""


def test_a_really_full_disk(tmp_path: Path) -> None:
    """A tmpfs of 16 MiB, half of it somebody else's file that goes away later."""
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("only Linux gives a test a file system of its own")
    mount = 'mount -t tmpfs -o size=16m none "$1" && head -c 8M /dev/zero > "$1/foreign" && exec "$2" -c "$3" "$1"'
    command = [unshare, "-rm", "sh", "-c", mount, "sh", str(tmp_path), sys.executable, FULL_DISK]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "denied" in done.stderr or "not permitted" in done.stderr:
        pytest.skip("this machine lets tests mount nothing")
    assert done.returncode == 0, done.stderr
    _, refused, _, kept = done.stdout.split()
    assert int(refused) >= 15, "here and there one still finds room in a page"
    assert int(kept) > 50


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
    assert store.totals() == Totals(1, len(bytes(store.fetch(b"before") or b"")), 0, 0)
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
