"""Hints in the file: which owners lack a row that this store keeps for them (paper, section 4.6).

A hint is a pointer, target and key, to the one row that the store keeps for the key; the row itself is never copied. It
has no checksum: one that is lost costs time, not data, since anti-entropy finds what it stood for.

Only the writing thread changes hints, inside the store's transaction. What they come to is kept in memory, by target.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterable

from node.core.ids import NodeId
from node.storage import tables
from node.storage.port import HintTotals, Owed

_ADD = "INSERT OR IGNORE INTO hints (target, position, key, bytes, made_at_ms) VALUES (?, ?, ?, ?, ?)"
_REMOVE = "DELETE FROM hints WHERE target = ? AND position = ? AND key = ? RETURNING bytes"
_EXISTS = "SELECT 1 FROM hints WHERE target = ? AND position = ? AND key = ?"
_TOTALS = "SELECT target, count(*), sum(bytes) FROM hints GROUP BY target ORDER BY target"
_OLDEST = "SELECT min(made_at_ms) FROM hints WHERE target = ?"
_OWED = (
    "SELECT h.position, h.key, r.row, r.birth, r.checksum FROM hints h LEFT JOIN rows r"
    " ON r.position = h.position AND r.key = h.key"
    " WHERE h.target = ? AND h.position >= ? ORDER BY h.position, h.key"
)

Mark = dict[NodeId, tuple[int, int]]


class Hints:
    """What is owed to whom. `mark` and `reset` bracket a transaction, as those of `records.Names` do."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._totals: Mark = {NodeId(target): (rows, size) for target, rows, size in connection.execute(_TOTALS)}

    def mark(self) -> Mark:
        """Return what `reset` needs to come back to this moment."""
        return self._totals

    def reset(self, mark: Mark) -> None:
        """The transaction was rolled back."""
        self._totals = mark

    def add(self, key: bytes, size: int, owed: Owed) -> None:
        """Keep hints for a row of so many bytes. One that is there already stays as it is."""
        position = tables.position_of(key)
        for target in owed.targets:
            if self._connection.execute(_ADD, (target, position, key, size, owed.at_ms)).rowcount:
                self._count(target, 1, size)

    def remove(self, key: bytes, target: NodeId) -> None:
        """The target has the row."""
        found = self._connection.execute(_REMOVE, (target, tables.position_of(key), key)).fetchone()
        if found is not None:
            self._count(target, -1, -found[0])

    def kept_for(self, key: bytes) -> bool:
        """Whether anybody lacks the row of `key`."""
        return is_owed(self._connection, self._totals, key)

    @property
    def targets(self) -> Iterable[NodeId]:
        """Who lacks anything. From any thread."""
        return self._totals

    def _count(self, target: NodeId, rows: int, size: int) -> None:
        before = self._totals.get(target, (0, 0))
        after = (before[0] + rows, before[1] + size)
        self._totals = {**self._totals, target: after}  # a new one: the reading thread may be looking at it
        if not after[0]:
            del self._totals[target]

    def totals(self, reader: sqlite3.Connection) -> tuple[HintTotals, ...]:
        """What is owed, by target. Belongs to the reading thread."""
        return tuple(
            HintTotals(target, rows, size, reader.execute(_OLDEST, (target,)).fetchone()[0] or 0)
            for target, (rows, size) in sorted(self._totals.items())
        )


def is_owed(connection: sqlite3.Connection, targets: Iterable[NodeId], key: bytes) -> bool:
    """Whether one of `targets` lacks the row of `key`."""
    position = tables.position_of(key)
    return any(connection.execute(_EXISTS, (target, position, key)).fetchone() is not None for target in targets)


def lines_owed(reader: sqlite3.Connection, target: NodeId, first: int) -> Generator[tables.Line, None, None]:
    """Return the lines of `rows` that the target lacks, from position `first` (signed) on; empty ones for lost rows."""
    for position, key, row, birth, kept in reader.execute(_OWED, (target, first)):
        yield position, key, b"" if row is None else row, birth, kept or 0
