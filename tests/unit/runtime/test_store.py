"""The store as the runtime opens it: whose it is, reads in batches, and a disk that is not believed any more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from node.engine.kept import STATE_BEHIND, STATE_REBUILDING
from node.runtime.config import NodeSettings, StartError
from node.runtime.store import Store
from node.storage.port import Advance, SaveState, StorageStopped, Unreadable
from node.storage.sqlite import SqliteStorage
from tests.helpers.stores import SqliteHandle


@contextmanager
def opened(folder: Path, *, name: str | None = None, cluster: str = "dyn", port: int = 7700) -> Iterator[Store]:
    store = Store.open(NodeSettings(name=name, cluster=cluster, port=port, data_dir=folder))
    try:
        yield store
    finally:
        store.close()


def test_a_new_store_belongs_to_who_opened_it_first(tmp_path: Path) -> None:
    with opened(tmp_path, port=7703) as store:
        assert store.name == "n7703"
        first = store.identity
    with opened(tmp_path, port=7709) as store:
        assert (store.name, store.identity.storage_id) == ("n7703", first.storage_id)
    with opened(tmp_path, name="n7703") as store:
        assert store.identity.node_id == first.node_id


def test_a_store_made_for_a_seat_knows_so_wherever_its_first_start_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file has the seat's id before it is noted whose it is: it would have counted as whole, and is empty."""
    seat = "a" * 32

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("node.runtime.store.claim", killed)
        with pytest.raises(KeyboardInterrupt):
            Store.open(NodeSettings(name="n1", data_dir=tmp_path, seat=seat))
    for _ in range(2):
        with opened(tmp_path, name="n1") as store:
            assert store.identity.node_id == seat
            assert {STATE_REBUILDING, STATE_BEHIND} <= {*store.state}


@pytest.mark.parametrize("durability", ["full", "normal"])
def test_a_new_store_whose_first_start_was_killed_is_a_new_store(tmp_path: Path, durability: str) -> None:
    """It has never served anybody: it may found a cluster, and join one as a new member."""
    SqliteHandle(tmp_path, durability).abandon()
    with opened(tmp_path, name="n1") as store:
        assert not {STATE_REBUILDING, STATE_BEHIND} & {*store.state}
    with opened(tmp_path, name="n1") as store:
        assert not store.redrawn


@pytest.mark.parametrize(("name", "cluster"), [("n2", "dyn"), (None, "shop"), ("n2", "shop")])
def test_another_node_is_refused_and_both_are_named(tmp_path: Path, name: str | None, cluster: str) -> None:
    with opened(tmp_path, name="n1"):
        pass
    with (
        pytest.raises(StartError, match="belongs to node n1 of cluster dyn") as caught,
        opened(tmp_path, name=name, cluster=cluster),
    ):
        pass
    assert f"node {name or 'n1'} of cluster {cluster}" in caught.value.message
    assert "--name n1 --cluster dyn" in caught.value.hint
    with opened(tmp_path, name="n1"):
        pass  # the refusal let go of the directory


def test_a_directory_in_use_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(StartError, match=str(tmp_path)), opened(tmp_path):
        pass


@pytest.mark.parametrize("count", [0, 1, 2, 3, 30])
def test_many_rows_are_read_as_one_by_one(tmp_path: Path, count: int) -> None:
    keys = [b"k%d" % number for number in range(count)]
    storage = SqliteStorage.open(tmp_path)
    try:
        storage.apply([SaveState("ring", b"", 1), *(Advance(key, b"v", (), False, 1, 0, "") for key in keys[::2])])
        if count > 2:
            storage._writer.execute("UPDATE rows SET checksum = checksum + 1 WHERE key = ?", (keys[2],))
            storage.forget_recent()
        found = storage.fetch_many(keys)
        assert found == [storage.fetch(key) for key in keys]
        assert not storage._reader._connection.in_transaction, (
            "a snapshot that stays would keep the log from being folded"
        )
        if count > 2:
            assert isinstance(found[2], Unreadable)
    finally:
        storage.close()


def test_a_disk_that_failed_is_not_believed(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        assert store.fetch_many([b"k"]) == [None]
        store.distrust("EIO")
        with pytest.raises(StorageStopped, match="EIO"):
            store.fetch_many([b"k"])
        with pytest.raises(StorageStopped, match="EIO"):
            store.scan(0, 1, b"", 10)
