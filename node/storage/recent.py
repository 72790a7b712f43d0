"""Rows that were written lately, kept in memory: neither the next write of a key nor a read need go to the file.

Only the writing thread puts rows in, after their commit and before anybody is told of it, so what is here is always
what the file holds. The reading thread looks up single keys; a look-up and a replacement are each one step of the
interpreter, and a reader sees the row before a commit or the one after it, never an older one after a newer one.

Two generations: rows go into the young one, and when that is half of what may be kept it becomes the old one, whose
rows go all at once. (Looking for the oldest row of one table costs more than everything else here: a table whose
first entries were taken out is searched from its beginning, each time.)
"""

from __future__ import annotations

from collections.abc import Mapping

from node.storage.records import Record

ENTRY_BYTES = 300
"""What an entry takes beside key and row: the objects, and its place in the table."""


class RecentRecords:
    """At most about `bytes_max` of records; who was written first goes first."""

    __slots__ = ("_generation_bytes_max", "_old", "_old_bytes", "_young", "_young_bytes")

    def __init__(self, bytes_max: int) -> None:
        self._generation_bytes_max = bytes_max // 2
        self._young: dict[bytes, Record] = {}
        self._old: dict[bytes, Record] = {}
        self._young_bytes = self._old_bytes = 0

    @property
    def size_bytes(self) -> int:
        """What the records take, about."""
        return self._young_bytes + self._old_bytes

    def get(self, key: bytes) -> Record | None:
        """The record of `key` as it was committed last; None if it was not written lately."""
        return self._young.get(key) or self._old.get(key)

    def clear(self) -> None:
        """Forget everything: the file is asked again."""
        self._young, self._old = {}, {}
        self._young_bytes = self._old_bytes = 0

    def put(self, changed: Mapping[bytes, Record | None]) -> None:
        """Take in what a transaction wrote, or dropped. A row that would fill a generation is left to the file."""
        for key, record in changed.items():
            size = len(key) + len(record.data) + ENTRY_BYTES if record is not None else 0
            if record is None or size > self._generation_bytes_max:
                self._old.pop(key, None)  # first: no reader may find it here after it saw the younger one
                before = self._young.pop(key, None)
            else:
                if self._young_bytes + size > self._generation_bytes_max:
                    self._age()
                before = self._young.get(key)
                self._young[key] = record.bare()
                self._young_bytes += size
            if before is not None:
                self._young_bytes -= len(key) + len(before.data) + ENTRY_BYTES

    def _age(self) -> None:
        """The young generation becomes the old one, before it leaves its place: no reader may find a row in neither."""
        self._old, self._old_bytes = self._young, self._young_bytes
        self._young, self._young_bytes = {}, 0
