"""How much room the disk has left, and who may still use it.

    ample      everything
    own        everything: the margin (DISK_MARGIN_BYTES, or DISK_MARGIN_PART of a small file system) is there if the
               pages count that deleted rows left in the file, and a quarter of it without them
    little     no values of clients: less is left
    reserved   no rows of peers either, unless they are deletes: less than half of it is left
    none       a write was told so: its transaction is rolled back

A file never becomes shorter: if its free pages did not count, a node that filled its disk itself would refuse for ever,
whatever is deleted. What is always let in makes room, or is needed to get some: deletes, hints
that were delivered, reaped rows, the node's own state. They need hardly any: where room is not ample the log is folded
after every group, so that it begins anew within the space that it has, and the file has its pages before others take
the room. A disk that others filled to the last byte still takes what fits there.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from pathlib import Path

from node.core.limits import CHECKPOINT_BYTES, DISK_LOOKS, DISK_MARGIN_BYTES, DISK_MARGIN_PART
from node.storage import directory as directories
from node.storage.port import Advance, Merge, Write
from node.storage.records import is_dead
from node.wire.rows import decode_row


class Room(IntEnum):
    """How much there is. The lower, the fewer may use it."""

    NONE = 0
    RESERVED = 1
    LITTLE = 2
    OWN = 3
    AMPLE = 4


class Space:
    """The room of the disk that holds `directory`. Belongs to the writing thread; others may look at `room`.

    `reusable` tells how many bytes of the file are free.
    """

    def __init__(self, directory: Path, reusable: Callable[[], int]) -> None:
        self._directory = directory
        self._reusable = reusable
        self._unlooked_bytes = 0
        self.look()

    def look(self) -> None:
        """See how much is free."""
        free, size = directories.space(self._directory)
        margin = min(DISK_MARGIN_BYTES, size // DISK_MARGIN_PART)
        self._unlooked_bytes = 0
        self._margin = margin
        self.free_bytes, self.disk_bytes = free, size
        self.room = self._room(free, margin)

    def _room(self, free: int, margin: int) -> Room:
        if free >= margin:
            return Room.AMPLE
        usable = free + (self._reusable() if free >= margin // 4 else 0)
        if usable >= margin:
            return Room.OWN
        return Room.LITTLE if usable >= margin // 2 else Room.RESERVED

    def used(self, size: int) -> None:
        """So many bytes were written: the margin cannot pass unseen by more than a part of it."""
        self._unlooked_bytes += size
        if self._unlooked_bytes >= self._margin // DISK_LOOKS:
            self.look()

    def ran_out(self) -> None:
        """A write was told that there is no room, whatever a look says."""
        self.room = Room.NONE

    def figures(self) -> dict[str, object]:
        """How much there is, JSON-ready: the room, and bytes that are free and in all as of the last look."""
        return {"room": self.room.name.lower(), "free_bytes": self.free_bytes, "disk_bytes": self.disk_bytes}

    @property
    def log_bytes(self) -> int:
        """How long the log may become before it is folded: folding it must fit in the margin."""
        return min(CHECKPOINT_BYTES, self._margin // 2) if self.room is Room.AMPLE else 1

    def refuses(self, write: Write) -> bool:
        """Whether there is too little room for this write. It looks again before it says so, but for `NONE`."""
        room = self.room
        if room >= Room.OWN or not adds(write):
            return False
        if room is Room.NONE:
            return True
        self.look()
        return self.room < (Room.OWN if isinstance(write, Advance) else Room.LITTLE)


def adds(write: Write) -> bool:
    """Whether a write brings a value."""
    if isinstance(write, Advance):
        return write.value is not None
    return isinstance(write, Merge) and not is_dead(write.decoded or decode_row(write.row))
