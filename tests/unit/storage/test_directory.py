"""The data directory: modes, the lock and the sentence about it, and directories that cannot be used."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from node.storage.errors import StoreInUse, UnwritableDirectory
from node.storage.sqlite import FILE, SqliteStorage
from tests.helpers.stores import Scribe, SqliteHandle

HOLDER = """
import sys, pathlib
from node.storage.sqlite import SqliteStorage
store = SqliteStorage.open(pathlib.Path(sys.argv[1]))
print("open", flush=True)
sys.stdin.read()
"""


def test_only_the_owner_may_look(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        handle = SqliteHandle(tmp_path / "some" / "data")
        Scribe(handle).advance(b"k", b"v")
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in handle.directory.iterdir()}
        assert modes == dict.fromkeys(("lock", FILE, f"{FILE}-wal", f"{FILE}-shm"), 0o600)
        assert stat.S_IMODE(handle.directory.stat().st_mode) == 0o700
        handle.close()
    finally:
        os.umask(before)


def test_an_existing_directory_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    SqliteStorage.open(tmp_path).close()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o750


def test_one_process_at_a_time_and_the_other_is_named(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(StoreInUse) as caught:
            SqliteStorage.open(tmp_path)
        assert caught.value.message == f"the data directory {tmp_path} is in use by process {holder.pid}"
        assert caught.value.hint
        holder.send_signal(signal.SIGKILL)
    SqliteStorage.open(tmp_path).close()  # the kernel let go of the dead process' lock


def test_one_store_at_a_time_in_one_process(tmp_path: Path) -> None:
    store = SqliteStorage.open(tmp_path)
    with pytest.raises(StoreInUse, match=rf"in use by process {os.getpid()}$"):
        SqliteStorage.open(tmp_path)
    store.close()
    SqliteStorage.open(tmp_path).close()


def test_a_failed_open_lets_go_of_the_lock(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database" * 100)
    for _ in range(2):
        with pytest.raises(Exception, match="damaged"):
            SqliteStorage.open(tmp_path)
    (tmp_path / FILE).unlink()
    SqliteStorage.open(tmp_path).close()


@pytest.mark.parametrize("where", ["file", "file/below"])
def test_a_file_in_the_way(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UnwritableDirectory, match=r"is or lies in a file, not a directory$"):
        SqliteStorage.open(tmp_path / where)


def test_a_directory_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o500)
    if os.geteuid() == 0:  # root may write anywhere
        monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UnwritableDirectory, match=r"is not writable for this user$"):
        SqliteStorage.open(tmp_path)


def test_a_file_system_that_takes_no_directory(tmp_path: Path) -> None:
    with pytest.raises(UnwritableDirectory, match=r"the data directory /proc/dyn cannot be made: \w+"):
        SqliteStorage.open(Path("/proc/dyn"))
