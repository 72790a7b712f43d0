"""When a file must not go on under its dot epoch: each way in which it may have forgotten commits, or have a twin."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from node.storage import identity as identities
from node.storage.born import born_ns
from node.storage.directory import DirectoryLock
from node.storage.errors import BrokenStore, ForeignStore, StorageError
from node.storage.sqlite import FILE, SqliteStorage
from tests.helpers.stores import Scribe, SqliteHandle, undo_m005


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "data"


def minted(handle: SqliteHandle) -> tuple[int, ...]:
    """Write a row, and return the epochs."""
    Scribe(handle).advance(b"k", b"v", cover=True)
    return handle.store.identity.epochs


def check(home: Path, befall: Callable[[SqliteHandle], None], why: str, durability: str = "full") -> None:
    """Let something befall a store between two runs, and expect a new epoch for the reason `why`, or none for ""."""
    handle = SqliteHandle(home, durability)
    before = minted(handle)
    befall(handle)
    assert why in handle.store.redrawn
    assert bool(why) == bool(handle.store.redrawn)
    after = minted(handle)
    assert after[: len(before)] == before
    assert len(after) - len(before) == bool(why)
    handle.close()


@pytest.mark.parametrize("durability", ["full", "normal", "memory"])
def test_a_clean_stop_keeps_the_epoch(home: Path, durability: str) -> None:
    check(home, SqliteHandle.reopen, "", durability)


@pytest.mark.parametrize(("durability", "why"), [("full", ""), ("normal", "unclean"), ("memory", "unclean")])
def test_an_unclean_stop_keeps_it_only_if_everything_was_synced(home: Path, durability: str, why: str) -> None:
    check(home, SqliteHandle.crash, why, durability)


def test_it_is_the_durability_of_the_run_that_ended_uncleanly_which_counts(home: Path) -> None:
    def befall(handle: SqliteHandle) -> None:
        handle.durability = "full"
        handle.crash()

    check(home, befall, "unclean", "normal")


def test_a_copied_directory_is_another_file(home: Path) -> None:
    def befall(handle: SqliteHandle) -> None:
        handle.close()
        shutil.copytree(home, home.with_name("copy"))
        handle.directory = home.with_name("copy")
        handle.store = handle.open()

    check(home, befall, "copy")


def test_a_directory_that_was_put_back_is_seen_where_inodes_are_used_again(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ext4 does so, mostly at once: lock and token are the copy's, and the inode the same number. It is born later."""
    place_of = identities.place_of
    monkeypatch.setattr(identities, "place_of", lambda path: place_of(path)._replace(inode=7))

    def befall(handle: SqliteHandle) -> None:
        handle.close()
        shutil.copytree(home, home.with_name("copy"))
        shutil.rmtree(home)
        shutil.copytree(home.with_name("copy"), home)
        handle.store = handle.open()

    check(home, befall, "copy")


@pytest.mark.parametrize("unknown", ["before", "afterwards"])
def test_a_birth_that_is_not_known_says_nothing(home: Path, monkeypatch: pytest.MonkeyPatch, unknown: str) -> None:
    """A file system that does not tell, or does since a newer kernel, or a file from before dyn wrote it down."""

    def befall(handle: SqliteHandle) -> None:
        handle.close()
        if unknown == "afterwards":
            monkeypatch.setattr(identities, "born_ns", lambda _: 0)
        else:
            monkeypatch.undo()
        handle.store = handle.open()

    if unknown == "before":
        monkeypatch.setattr(identities, "born_ns", lambda _: 0)
    check(home, befall, "")


def test_a_file_moved_within_its_file_system_is_the_same(home: Path) -> None:
    def befall(handle: SqliteHandle) -> None:
        handle.close()
        handle.directory = home.rename(home.with_name("elsewhere"))
        handle.store = handle.open()

    check(home, befall, "")


def test_a_file_that_was_put_back_in_place_is_seen(home: Path) -> None:
    """`cp backup node.db` keeps the inode: only the token beside it tells."""

    def befall(handle: SqliteHandle) -> None:
        handle.close()
        backup = (home / FILE).read_bytes()
        handle.store = handle.open()
        minted(handle)
        handle.close()
        inode = os.stat(home / FILE).st_ino
        (home / FILE).write_bytes(backup)
        assert os.stat(home / FILE).st_ino == inode
        handle.store = handle.open()

    check(home, befall, "put back")


def test_a_copy_of_the_running_file_that_was_put_back_is_seen(home: Path) -> None:
    def befall(handle: SqliteHandle) -> None:
        handle.store.checkpoint()
        backup = (home / FILE).read_bytes()
        minted(handle)
        handle.close()
        (home / FILE).write_bytes(backup)
        handle.store = handle.open()

    check(home, befall, "put back")


@pytest.mark.parametrize("ends", ["while it opens", "while it closes"])
@pytest.mark.parametrize("after", [1, 2])
def test_an_end_while_the_token_changes_is_no_copy(
    home: Path, monkeypatch: pytest.MonkeyPatch, ends: str, after: int
) -> None:
    """The file and the lock beside it change one after the other; whichever came last, neither is a stranger."""

    def befall(handle: SqliteHandle) -> None:
        written: list[str] = []
        write = DirectoryLock.write

        def cut(lock: DirectoryLock, token: str, *, failed: bool = False, coming: str = "") -> None:
            written.append(token)
            if len(written) == after:
                raise OSError("killed")
            write(lock, token, failed=failed, coming=coming)

        if ends == "while it opens":
            handle.close()
        with monkeypatch.context() as patch:
            patch.setattr(DirectoryLock, "write", cut)
            if ends == "while it opens":
                with pytest.raises(StorageError):
                    handle.open()
            else:
                handle.close()
        assert len(written) == after
        handle.store = handle.open()

    check(home, befall, "")


def test_a_copy_is_seen_again_if_its_first_opening_was_cut_short(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def befall(handle: SqliteHandle) -> None:
        handle.close()
        backup = (home / FILE).read_bytes()
        handle.store = handle.open()
        minted(handle)
        handle.close()
        (home / FILE).write_bytes(backup)

        def killed(*_: object) -> None:
            raise OSError("killed")

        with monkeypatch.context() as patch:
            patch.setattr(identities, "save", killed)  # after the lock was told of the token to come
            with pytest.raises(StorageError):
                handle.open()
        handle.store = handle.open()

    check(home, befall, "put back")


def test_another_machine_is_seen(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def befall(handle: SqliteHandle) -> None:
        handle.close()
        monkeypatch.setattr(identities, "_machine_id", lambda: "another")
        handle.store = handle.open()

    check(home, befall, "moved")


def test_a_log_that_was_deleted_is_seen(home: Path) -> None:
    def befall(handle: SqliteHandle) -> None:
        handle.reopen()
        minted(handle)
        kept = (home / FILE).read_bytes()  # nothing was folded into it in this run
        handle.abandon()
        (home / FILE).write_bytes(kept)
        handle.store = handle.open()

    check(home, befall, "put back")


def test_a_redraw_is_durable_before_anything_is_minted_under_it(home: Path) -> None:
    handle = SqliteHandle(home, "normal")
    minted(handle)
    handle.crash()
    epochs = handle.store.identity.epochs
    assert len(epochs) == 2
    copy = home.with_name("image")  # what a power cut leaves at least: what was synced, and so is in the files
    shutil.copytree(home, copy)
    handle.close()
    image = SqliteHandle(copy)
    assert image.store.identity.epochs[:2] == epochs
    image.close()


def test_the_lifetime_of_an_identity(home: Path) -> None:
    store = SqliteStorage.open(home, node_id="a" * 32)
    identity = store.identity
    assert identity.node_id == "a" * 32
    assert len(identity.storage_id) == 32
    store.close()
    store = SqliteStorage.open(home)
    assert store.identity[:3] == identity[:3]
    store.close()
    with pytest.raises(ForeignStore, match=rf"{FILE} belongs to node a{{32}}, and this is node b{{32}}$"):
        SqliteStorage.open(home, node_id="b" * 32)
    SqliteStorage.open(home, node_id="a" * 32).close()


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("identity", "storage_id", "x"),
        ("identity", "epochs", "[5]"),
        ("identity", "clean", 1),
        ("counters", "births", 0),
        ("counters", "ring_epoch", 8),
        ("state", "data", b"other"),
    ],
)
def test_damage_to_what_dots_hang_on_is_not_believed(home: Path, table: str, column: str, value: object) -> None:
    handle = SqliteHandle(home)
    minted(handle)
    handle.execute(f"UPDATE {table} SET {column} = ?", (value,))
    handle.abandon()
    with pytest.raises(BrokenStore, match=r"is damaged: .* not match (its|their) checksum$"):
        handle.open()


def test_only_so_many_epochs_are_remembered(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identities, "EPOCHS_MAX", 3)
    handle = SqliteHandle(home, "memory")
    for _ in range(5):
        handle.crash()
    assert len(handle.store.identity.epochs) == 3
    handle.close()


def test_a_copy_is_one_at_every_start_until_its_owner_has_noted_it(home: Path) -> None:
    """A first start that failed (another name, a full disk) left a store that has forgotten, and does not know."""
    SqliteHandle(home).store.close()
    other = home.with_name("other")
    shutil.copytree(home, other)
    handle = SqliteHandle(other)
    assert handle.store.redrawn
    for end in handle.reopen, handle.crash:
        end()
        assert handle.store.redrawn
    handle.store.own()
    for end in handle.reopen, handle.crash:
        end()
        assert not handle.store.redrawn
    handle.close()


@pytest.mark.parametrize("damaged", ["", "identity", "counters"])
def test_an_older_file_does_not_know_when_it_was_made(home: Path, damaged: str) -> None:
    """m005 and later: it is believed as it was, and what did not match its checksum before does not afterwards."""
    handle = SqliteHandle(home)
    minted(handle)
    handle.store.close()
    with closing(sqlite3.connect(home / FILE)) as connection:
        undo_m005(connection)
        connection.execute(f"UPDATE {damaged or 'identity'} SET checksum = checksum + ?", (bool(damaged),))
        connection.commit()
    if damaged:
        with pytest.raises(BrokenStore, match=f"its {damaged} do(es)? not match"):
            handle.open()
        return
    for _ in range(2):
        handle.store = handle.open()
        assert not handle.store.redrawn
        assert handle.execute("SELECT born_ns FROM identity") == [(born_ns(home / FILE),)]
        handle.store.close()


def test_every_start_is_counted_and_told_from_every_other(home: Path) -> None:
    """On the disk before anything is done in it: also those of a run that was killed before it did anything."""
    handle = SqliteHandle(home)
    seen = [handle.store.identity]
    for end in handle.crash, handle.reopen, handle.crash:
        end()
        seen.append(handle.store.identity)
    assert [identity.starts for identity in seen] == [1, 2, 3, 4]
    assert len({identity.run for identity in seen}) == 4
    handle.store.close()
    handle.directory = Path(shutil.copytree(home, home.with_name("twin")))
    handle.store = handle.open()
    assert handle.store.identity.starts == 5
    handle.close()
