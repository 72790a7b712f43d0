"""Rows that were written lately, kept in memory: neither the next write of a key nor a read need go to the file.

Only the writing thread puts rows in, after their commit and before anybody is told of it, so what is here is always
what the file holds. The reading thread looks up single keys; a look-up and a replacement are each one step of the
interpreter, and a reader sees the row before a commit or the one after it, never an older one after a newer one.
"""

from __future__ import annotations

from collections.abc import Mapping

from node.storage.records import Record

ENTRY_BYTES = 300
"""What an entry takes beside key and row: the objects, and its place in the table."""


class RecentRecords:
    """At most about `bytes_max` of records; who was written first goes first."""

    __slots__ = ("_bytes", "_bytes_max", "_records")

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._records: dict[bytes, Record] = {}

    @property
    def size_bytes(self) -> int:
        """What the records take, about."""
        return self._bytes

    def get(self, key: bytes) -> Record | None:
        """The record of `key` as it was committed last; None if it was not written lately."""
        return self._records.get(key)

    def clear(self) -> None:
        """Forget everything: the file is asked again."""
        self._records.clear()
        self._bytes = 0

    def put(self, changed: Mapping[bytes, Record]) -> None:
        """Take in what a transaction wrote."""
        records = self._records
        for key, record in changed.items():
            before = records.get(key)
            records[key] = Record(record.data, record.birth)  # without the decoded row, which takes more than the bytes
            if before is None:
                self._bytes += len(key) + len(record.data) + ENTRY_BYTES
            else:
                self._bytes += len(record.data) - len(before.data)
        while self._bytes > self._bytes_max:
            key = next(iter(records))
            self._bytes -= len(key) + len(records.pop(key).data) + ENTRY_BYTES
