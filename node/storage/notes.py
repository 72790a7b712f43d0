"""What a store keeps beside its rows, in the same transactions: hints, the index of tombstones, reap rounds.

Only the writing thread changes any of it. `mark` and `reset` bracket a transaction, as those of `records.Names` do.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from node.core.rounds import STATE_ROUNDS, Rounds
from node.storage import tables
from node.storage.hints import Hints, Mark
from node.storage.port import Adopt, Forget, Handed, HandOver, Outcome, Owe, Reap, Reaped, Saved
from node.storage.records import Record, adopt_round, is_exactly
from node.storage.tombstones import Tombstones


class Notes:
    """The notes of one store. `rounds` are those of the last transaction, or of the one under way."""

    def __init__(self, connection: sqlite3.Connection, rounds: Rounds) -> None:
        self._connection = connection
        self.hints = Hints(connection)
        self.tombstones = Tombstones(connection)
        self.rounds = rounds
        self._saved = rounds

    def mark(self) -> tuple[Mark, int, Rounds]:
        """Return what `reset` needs to come back to this moment."""
        return self.hints.mark(), self.tombstones.mark(), self.rounds

    def reset(self, mark: tuple[Mark, int, Rounds]) -> None:
        """The transaction was rolled back."""
        hints, tombstones, self.rounds = mark
        self._saved = self.rounds
        self.hints.reset(hints)
        self.tombstones.reset(tombstones)

    def take(
        self, write: Owe | HandOver | Adopt | Reap | Forget, records: Mapping[bytes, Record], *, any_aside: bool
    ) -> tuple[Outcome, bytes | None]:
        """Do a write that makes no new row: what came of it, and the key whose row shall go, if any."""
        if isinstance(write, Adopt):
            return self._adopt(write, records, any_aside=any_aside), None
        record = records.get(write.key)
        if isinstance(write, Owe):
            if record is not None:
                self.hints.add(write.key, len(record.data), write.owed)
            return Saved(), None
        if isinstance(write, Reap | Forget):
            dropped = is_exactly(write, record)
            return Reaped(dropped), write.key if dropped else None
        if record is not None and record.data != write.row:
            return Handed(done=False, dropped=False), None
        self.hints.remove(write.key, write.target)
        dropped = record is not None and not write.keep and not self.hints.kept_for(write.key)
        return Handed(done=True, dropped=dropped), write.key if dropped else None

    def save(self) -> None:
        """Write what the transaction changed of the rounds: once, however many partitions went on."""
        if self.rounds is not self._saved:
            tables.save_state(self._connection, STATE_ROUNDS, self.rounds.to_bytes())
            self._saved = self.rounds

    def _adopt(self, write: Adopt, records: Mapping[bytes, Record], *, any_aside: bool) -> Outcome:
        connection = self._connection
        self.rounds, outcome = adopt_round(
            write, self.rounds, records.get, lambda key: any_aside and tables.is_aside(connection, key)
        )
        return outcome
