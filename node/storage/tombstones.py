"""Which rows of the file are nothing but tombstones: what reaping may look at, found without a scan.

An index beside the rows, changed in the transaction that changes a row, and only if it makes a tombstone of a row or a
row of a tombstone: a write that does neither pays nothing. As hints it has no checksum: a line too many is seen by its
row, and a line too few leaves a tombstone, which costs space and no more.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterable

import msgspec

from node.core.ids import NodeId
from node.storage import hints, tables
from node.storage.records import Record, is_dead, is_dead_record
from node.wire.rows import trusted_row

_ADD = "INSERT OR IGNORE INTO tombstones (position, key) VALUES (?, ?)"
_REMOVE = "DELETE FROM tombstones WHERE position = ? AND key = ?"
_COUNT = "SELECT count(*) FROM tombstones"
_DEAD = (
    "SELECT t.position, t.key, r.row, r.birth, r.checksum FROM tombstones t LEFT JOIN rows r"
    " ON r.position = t.position AND r.key = t.key WHERE t.position >= ? ORDER BY t.position, t.key"
)


class Tombstones:
    """The index. `mark` and `reset` bracket a transaction, as those of `records.Names` do. Belongs to the writer."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.rows: int = connection.execute(_COUNT).fetchone()[0]

    def mark(self) -> int:
        """Return what `reset` needs to come back to this moment."""
        return self.rows

    def reset(self, mark: int) -> None:
        """The transaction was rolled back."""
        self.rows = mark

    def replaced(self, key: bytes, before: Record | None, after: Record | None) -> None:
        """A key's record became another one."""
        dead = is_dead_record(after)
        if dead != is_dead_record(before):
            changed = self._connection.execute(_ADD if dead else _REMOVE, (tables.position_of(key), key)).rowcount
            self.rows += changed if dead else -changed

    def lost(self, keys: Iterable[bytes]) -> None:
        """Rows were set aside, whatever they were."""
        for key in keys:
            self.rows -= self._connection.execute(_REMOVE, (tables.position_of(key), key)).rowcount


def lines_dead(reader: sqlite3.Connection, first: int) -> Generator[tables.Line, None, None]:
    """Return the lines of `rows` that are tombstones, from position `first` (signed) on; empty ones for lost rows."""
    for position, key, row, birth, kept in reader.execute(_DEAD, (first,)):
        yield position, key, b"" if row is None else row, birth, kept or 0


def may_go(reader: sqlite3.Connection, targets: Iterable[NodeId], key: bytes, row: bytes) -> bool:
    """Whether a line of the index is what it says, and nobody waits for the row."""
    return is_dead(trusted_row(row)) and not hints.is_owed(reader, targets, key)


def index_rows(connection: sqlite3.Connection) -> None:
    """Fill the index of a file that had none: once, when it is opened by this version for the first time."""
    for position, key, row in connection.execute("SELECT position, key, row FROM rows"):
        try:
            dead = is_dead(trusted_row(row))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue  # damaged: whoever reads it sets it aside
        if dead:
            connection.execute(_ADD, (position, key))
