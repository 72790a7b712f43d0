"""A disk that is told to be full, or to fail: the store does what it does about a real one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.core.row import Clock
from node.runtime.config import NodeSettings
from node.runtime.faulty_disk import DiskSwitch
from node.runtime.store import Store
from node.storage.port import Advance, Advanced, Refusal, Refused, SaveState, StorageStopped
from node.storage.sqlite import SqliteStorage
from tests.helpers.stores import EPOCH

NO_CONTEXT: Clock = ()


def write(key: bytes) -> Advance:
    return Advance(key, b"v", NO_CONTEXT, True, EPOCH, 0, "")


@pytest.fixture
def switch() -> DiskSwitch:
    return DiskSwitch()


@pytest.fixture
def storage(tmp_path: Path, switch: DiskSwitch) -> Iterator[SqliteStorage]:
    storage = SqliteStorage.open(tmp_path / "data", connection=switch.connection)
    storage.apply([SaveState("ring", b"", EPOCH)])
    yield storage
    storage.close()


def test_a_full_disk_takes_nothing_and_recovers(storage: SqliteStorage, switch: DiskSwitch) -> None:
    assert isinstance(storage.apply([write(b"before")])[0], Advanced)
    switch.state = "full"
    storage.checkpoint()
    assert storage.near_full, "there is no room to fold the log either"
    for outcome in storage.apply([write(b"a"), SaveState("x", b"")]):
        assert isinstance(outcome, Refused)
        assert outcome.why is Refusal.DISK_FULL
    storage.forget_recent()
    assert storage.fetch(b"before") is not None
    assert storage.fetch(b"a") is None, "nothing was stored"
    switch.state = "ok"
    assert isinstance(storage.apply([write(b"a")])[0], Advanced)
    assert not storage.near_full


def test_an_error_stops_the_store_for_ever(storage: SqliteStorage, switch: DiskSwitch) -> None:
    switch.state = "error"
    with pytest.raises(StorageStopped, match=r"DYN\.FAULT DISK error"):
        storage.apply([SaveState("x", b"")])
    switch.state = "ok"
    with pytest.raises(StorageStopped):
        storage.apply([write(b"a")])
    with pytest.raises(StorageStopped):
        storage.checkpoint()


def test_the_file_is_checked_after_an_error_and_serves_again(tmp_path: Path) -> None:
    switch = DiskSwitch()
    storage = SqliteStorage.open(tmp_path / "data", connection=switch.connection)
    storage.apply([SaveState("ring", b"", EPOCH), write(b"before")])
    switch.state = "error"
    with pytest.raises(StorageStopped):
        storage.apply([write(b"a")])
    storage.close()
    again = SqliteStorage.open(tmp_path / "data")
    assert again.fetch(b"before") is not None
    assert again.fetch(b"a") is None
    again.close()


def test_only_a_node_that_takes_faults_has_a_switch(tmp_path: Path) -> None:
    for allowed in (False, True):
        store = Store.open(NodeSettings(data_dir=tmp_path / str(allowed), allow_faults=allowed))
        assert (store.switch is not None) is allowed
        plain = type(store._storage._writer).__module__ == "sqlite3"
        assert plain is not allowed
        store.close()
