"""Who may use what the disk has left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from node.core.limits import CHECKPOINT_BYTES, DISK_LOOKS, DISK_MARGIN_BYTES, MIB
from node.storage import directory as directories
from node.storage.port import HandOver, Merge, Reap, SaveState, Write
from node.storage.space import Room, Space
from tests.helpers.stores import EPOCH, peer_row, write

GIB = 1024 * MIB
VALUE = write(b"k", b"v")
PEERS_VALUE = Merge(b"k", peer_row(b"v"), EPOCH)
MAKES_ROOM: tuple[Write, ...] = (
    write(b"k", None),
    Merge(b"k", peer_row(None), EPOCH),
    HandOver(b"k", "1" * 32, b"", keep=False),
    Reap(b"k", b""),
    SaveState("ring", b""),
)


class Disk:
    """A disk of a size of which some is free, as statvfs tells it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, free: int, size: int) -> None:
        self.free, self.size = free, size
        self.looks = 0
        monkeypatch.setattr(os, "statvfs", self._statvfs)

    def _statvfs(self, path: Path) -> os.statvfs_result:
        self.looks += 1
        return os.statvfs_result((4096, 4096, self.size // 4096, self.free // 4096, self.free // 4096, 0, 0, 0, 0, 255))


@pytest.mark.parametrize(
    ("free", "size", "room"),
    [
        (200 * MIB, 10 * GIB, Room.AMPLE),
        (100 * MIB, 10 * GIB, Room.LITTLE),
        (60 * MIB, 10 * GIB, Room.RESERVED),
        (2 * MIB, 16 * MIB, Room.AMPLE),
        (1 * MIB, 16 * MIB, Room.LITTLE),
        (MIB // 2, 16 * MIB, Room.RESERVED),
    ],
)
def test_the_margins(monkeypatch: pytest.MonkeyPatch, free: int, size: int, room: Room) -> None:
    """DISK_MARGIN_BYTES and half of it, or a tenth and a twentieth of a small file system."""
    Disk(monkeypatch, free, size)
    space = Space(Path("/"), lambda: 0)
    assert space.room is room
    assert space.refuses(VALUE) is (room < Room.OWN)
    assert space.refuses(PEERS_VALUE) is (room < Room.LITTLE)
    assert not any(map(space.refuses, MAKES_ROOM))


@pytest.mark.parametrize(
    ("free", "reusable", "room"),
    [(100, 27, Room.LITTLE), (100, 28, Room.OWN), (33, 95, Room.OWN), (33, 40, Room.LITTLE), (31, 1000, Room.RESERVED)],
)
def test_free_pages_of_the_file_count_where_the_log_has_room(
    monkeypatch: pytest.MonkeyPatch, free: int, reusable: int, room: Room
) -> None:
    """Else who filled the disk with rows would refuse for ever: a file never becomes shorter."""
    Disk(monkeypatch, free * MIB, 10 * GIB)
    space = Space(Path("/"), lambda: reusable * MIB)
    assert space.room is room
    assert space.refuses(VALUE) is (room < Room.OWN)
    assert space.log_bytes == 1


def test_what_a_write_was_told_counts_more_than_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    Disk(monkeypatch, 200 * MIB, 10 * GIB)
    space = Space(Path("/"), lambda: 0)
    space.ran_out()
    assert space.refuses(VALUE)
    assert space.refuses(PEERS_VALUE)
    assert not any(map(space.refuses, MAKES_ROOM))
    space.look()
    assert not space.refuses(VALUE)


def test_it_looks_again_before_it_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch, 1 * MIB, 10 * GIB)
    space = Space(Path("/"), lambda: 0)
    assert space.refuses(VALUE)
    disk.free = 1 * GIB
    assert not space.refuses(VALUE)
    assert space.room is Room.AMPLE


@pytest.mark.parametrize("size", [16 * MIB, 10 * GIB])
def test_the_margin_cannot_pass_unseen(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    disk = Disk(monkeypatch, size // 2, size)
    space = Space(Path("/"), lambda: 0)
    margin = min(DISK_MARGIN_BYTES, size // 10)
    disk.free = margin - 1
    written = 0
    while space.room is Room.AMPLE:
        space.used(1000)
        written += 1000
    assert written <= margin // DISK_LOOKS + 1000
    assert disk.looks == 2


def test_folding_the_log_fits_in_the_margin_and_comes_early_where_there_is_little(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    disk = Disk(monkeypatch, 10 * GIB, 10 * GIB)
    space = Space(Path("/"), lambda: 0)
    assert space.log_bytes == CHECKPOINT_BYTES == DISK_MARGIN_BYTES // 2
    disk.free = 1 * MIB
    space.look()
    assert space.log_bytes == 1, "after every group"
    disk.free = disk.size = 20 * MIB
    space.look()
    assert space.log_bytes == 1 * MIB


def test_space_is_that_of_the_directory(tmp_path: Path) -> None:
    found = os.statvfs(tmp_path)
    free, size = directories.space(tmp_path)
    assert size == found.f_blocks * found.f_frsize
    assert 0 <= free <= size
