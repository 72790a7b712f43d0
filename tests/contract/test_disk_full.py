"""The real store on small file systems that fill up, by its own doing and by others': nothing acknowledged is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.core.limits import DISK_MARGIN_PART
from node.storage import opening
from node.storage.port import Handed, HandOver, Merge, Owed, Refusal, Refused, Saved, SaveState
from node.storage.sqlite import FILE
from tests.helpers.disks import EXT4, MIB, TMPFS, fill, free_bytes, small_disk
from tests.helpers.stores import EPOCH, Scribe, SqliteHandle, peer_row, refusals, write

SIZE = 32 * MIB
MARGIN = SIZE // DISK_MARGIN_PART
N2 = "2" * 32


@pytest.fixture(params=[TMPFS, EXT4])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path, request.param, SIZE) as at:
        yield at


class Desk:
    """A store on that disk, what it acknowledged, and the folding that the storage thread does between groups."""

    def __init__(self, disk: Path) -> None:
        self.disk = disk
        self.handle = SqliteHandle(disk / "data")
        self.scribe = Scribe(self.handle)
        self.known: dict[bytes, bytes] = {}

    def put(self, key: bytes, value: bytes | None) -> Refusal | None:
        """One client's write in a transaction of its own: why it was refused."""
        (outcome,) = self.scribe.apply(write(key, value, cover=True))
        if self.handle.store.checkpoint_due:
            self.handle.store.checkpoint()
        if isinstance(outcome, Refused):
            return outcome.why
        self.known[key] = bytes(outcome.row)  # type: ignore[union-attr]  # an Advance that is taken is Advanced
        return None

    def fill_up(self) -> int:
        """Put until that is refused; how many were taken."""
        taken = 0
        while self.put(b"k%d" % taken, bytes(5000)) is None:
            taken += 1
            assert taken < 10_000
        return taken

    def check(self) -> None:
        """Every acknowledged row is read from the file, as it was."""
        self.handle.store.forget_recent()
        for key, row in self.known.items():
            assert self.handle.store.fetch(key) == row, key


@pytest.fixture
def desk(disk: Path) -> Iterator[Desk]:
    desk = Desk(disk)
    yield desk
    desk.handle.abandon()


@pytest.mark.long
def test_near_full_puts_are_refused_and_what_makes_room_goes_on(desk: Desk) -> None:
    """A good half of the margin is left for it, and it hardly takes any of that."""
    owed = Owed((N2,), 1)
    assert refusals(desk.scribe.apply(Merge(b"hinted", peer_row(bytes(5000)), EPOCH, owed=owed))) == [None]
    taken = desk.fill_up()
    assert taken > 1000
    assert desk.handle.store.figures()["room"] == "little"
    assert free_bytes(desk.disk) > MARGIN // 2, "the first that was refused saw it in time"
    for number in range(400):
        assert desk.put(b"k%d" % number, None) is None, number
    hinted = desk.handle.store.fetch(b"hinted")
    assert isinstance(hinted, bytes)
    assert desk.scribe.apply(HandOver(b"hinted", N2, hinted, keep=False)) == [Handed(done=True, dropped=True)]
    assert desk.scribe.apply(SaveState("members", bytes(10_000))) == [Saved()]
    assert free_bytes(desk.disk) > MARGIN // 4
    desk.check()


@pytest.mark.long
def test_who_filled_the_disk_with_rows_makes_room_by_deleting_them(desk: Desk) -> None:
    taken = desk.fill_up()
    file = desk.disk / "data" / FILE
    size = file.stat().st_size
    for number in range(taken // 2):
        assert desk.put(b"k%d" % number, None) is None
    assert desk.handle.store.figures()["room"] == "own"
    again = 0
    while desk.put(b"again%d" % again, bytes(5000)) is None:
        again += 1
    assert again > taken // 4
    assert file.stat().st_size < size + MARGIN // 2
    desk.check()


def test_rows_of_peers_stop_at_half_of_the_margin(desk: Desk) -> None:
    desk.fill_up()
    taken = 0
    while refusals(desk.scribe.apply(Merge(b"m%d" % taken, peer_row(bytes(5000)), EPOCH))) == [None]:
        taken += 1
        if desk.handle.store.checkpoint_due:
            desk.handle.store.checkpoint()
        assert taken < 1000
    assert taken > 10
    assert desk.handle.store.figures()["room"] == "reserved"
    assert free_bytes(desk.disk) > MARGIN // 4
    assert refusals(desk.scribe.apply(Merge(b"m0", peer_row(None), EPOCH))) == [None], "but a delete is let in"
    for number in range(100, 300):
        assert desk.put(b"k%d" % number, None) is None
    desk.check()


def test_a_disk_that_others_filled_to_the_last_byte(desk: Desk) -> None:
    """Values are refused and nothing is half there; rows are read; deletes go on in the space that the log has."""
    desk.fill_up()
    foreign = fill(desk.disk)
    assert free_bytes(desk.disk) == 0
    assert desk.put(b"k1", b"again") is Refusal.DISK_FULL
    desk.check()
    deleted = sum(desk.put(b"k%d" % number, None) is None for number in range(300))
    assert deleted == 300
    desk.check()
    desk.handle.crash()
    desk.check()
    foreign.unlink()
    assert desk.put(b"after", b"v") is None, "at once, and by itself"
    desk.check()
    desk.handle.reopen()
    opening.check(desk.handle.store._writer, desk.handle.store.path)
    assert desk.handle.store.redrawn == ""
    desk.check()
    assert desk.handle.store.totals().rows == len(desk.known)


def test_a_disk_that_fills_up_in_the_middle_of_a_write(desk: Desk) -> None:
    """ENOSPC comes from write(2) itself: others took the room since the last look."""
    for number in range(20):
        assert desk.put(b"k%d" % number, bytes(5000)) is None
    foreign = fill(desk.disk, leave=50_000)
    desk.handle.store._space.look = lambda: None  # type: ignore[method-assign]  # the last look was before
    full = [desk.put(b"m%d" % number, bytes(100_000)) for number in range(3)]
    assert full == [Refusal.DISK_FULL] * 3
    assert desk.handle.store.figures()["room"] == "none"
    assert desk.handle.store.fetch(b"m0") is None
    desk.check()
    foreign.unlink()
    del desk.handle.store._space.look
    assert desk.put(b"m0", bytes(100_000)) is None
    desk.check()
