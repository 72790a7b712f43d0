"""The reading half of a node's file: a second connection, opened read-only, that never waits behind an fsync.

It leaves no transaction open. What was written lately it finds in memory; every row that comes from the file is held to
its checksum, and one that fails is named to the writer, who sets it aside.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from node.core.ids import NodeId
from node.storage import hints, opening, tables, tombstones
from node.storage.notes import Notes
from node.storage.port import HintTotals, Page, StorageStopped, Unreadable
from node.storage.recent import RecentRecords

SUSPECTS_MAX = 1000
"""Damaged rows that readers found and the writer has not set aside yet."""


class Reader:
    """Reads for one store. `any_aside` is the writer's word that some rows are in quarantine."""

    def __init__(self, path: Path, recent: RecentRecords, notes: Notes) -> None:
        self.path = path
        self._notes = notes
        self.any_aside = False
        self.suspects: deque[bytes] = deque(maxlen=SUSPECTS_MAX)
        self._recent = recent
        self._connection = opening.open_reader(path)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def fetch(self, key: bytes) -> bytes | Unreadable | None:
        """Return the row of `key`."""
        recent = self._recent.get(key)
        if recent is not None:
            return recent.data
        connection = self._connection
        try:
            row, intact = tables.read_one(connection, key)
            if row is None and self.any_aside:
                if tables.is_aside(connection, key):
                    return Unreadable("the row is in quarantine: it did not match its checksum")
                row, intact = tables.read_one(connection, key)  # it may have come back between the two looks
        except sqlite3.Error as error:
            return Unreadable(f"{self.path}: {error}")
        if not intact:
            self.suspects.append(key)
            return Unreadable("the row does not match its checksum")
        return row

    def fetch_many(self, keys: Sequence[bytes]) -> list[bytes | Unreadable | None]:
        """Return the rows of `keys`, in order, as of one moment: cheaper than one by one (locks on the log)."""
        recent = self._recent.get
        found = [None if (record := recent(key)) is None else record.data for key in keys]
        if found.count(None) < 3:
            return [self.fetch(key) if row is None else row for key, row in zip(keys, found, strict=True)]
        execute = self._connection.execute
        try:
            execute("BEGIN")
            try:
                return [self.fetch(key) if row is None else row for key, row in zip(keys, found, strict=True)]
            finally:
                execute("COMMIT")
        except sqlite3.Error as error:
            return [Unreadable(f"{self.path}: {error}")] * len(keys)

    def scan(self, partition: int, partitions: int, after: bytes, limit: int) -> Page:
        """Return a page of the readable rows of one partition. Raises StorageStopped if the file cannot be read."""
        first, last = (partition << 64) // partitions, ((partition + 1) << 64) // partitions - 1
        if after:
            first = max(first, int.from_bytes(after, "big") + 1)
        try:
            with closing(tables.read_range(self._connection, first, last)) as lines:
                return tables.page_of(lines, limit, self.suspects)
        except sqlite3.Error as error:
            raise StorageStopped(f"{self.path}: {error}") from error

    def owed(self, target: NodeId, after: bytes, limit: int) -> Page:
        """Return a page of the rows that `target` lacks. Raises StorageStopped if the file cannot be read."""
        first = int.from_bytes(after, "big") + 1 if after else 0
        try:
            with closing(hints.lines_owed(self._connection, target, first - tables.FLIP)) as lines:
                return tables.page_of(lines, limit, self.suspects, lost=True)
        except sqlite3.Error as error:
            raise StorageStopped(f"{self.path}: {error}") from error

    def tombstones(self, after: bytes, limit: int) -> Page:
        """Return a page of the tombstones that are kept for nobody. StorageStopped if the file cannot be read."""
        first = int.from_bytes(after, "big") + 1 if after else 0
        connection, targets = self._connection, self._notes.hints.targets
        try:
            with closing(tombstones.lines_dead(connection, first - tables.FLIP)) as lines:
                page = tables.page_of(lines, limit, self.suspects)
            items = [(key, row) for key, row in page.items if tombstones.may_go(connection, targets, key, row)]
        except sqlite3.Error as error:
            raise StorageStopped(f"{self.path}: {error}") from error
        return Page(tuple(items), page.after)

    def tombstone_count(self) -> int:
        """Return how many rows are nothing but tombstones."""
        return self._notes.tombstones.rows

    def hint_totals(self) -> tuple[HintTotals, ...]:
        """Return what is owed, by target. Raises StorageStopped if the file cannot be read."""
        try:
            return self._notes.hints.totals(self._connection)
        except sqlite3.Error as error:
            raise StorageStopped(f"{self.path}: {error}") from error

    def load_state(self) -> dict[str, bytes]:
        """Return everything `SaveState` kept, by name."""
        return tables.load_state(self._connection, str(self.path))
