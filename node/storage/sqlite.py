"""One node's rows in one SQLite file (design, section 10).

One connection writes, and it alone checkpoints, between transactions: SQLite before 3.51.3 may lose pages when a
checkpoint races a commit of another connection. A second connection, opened read-only, serves reads, so that they
neither wait behind an fsync nor keep a transaction open.

What can go wrong, and what follows:

    a row fails its checksum     quarantined: lost to us (a new write draws a new birth), "unreadable" to readers
    no space                     the transaction is rolled back; what makes room is tried once more, the rest refused
    little space                 values are refused, those of clients first; deletes and hand-overs go on (`space`)
    anything else on a write     StorageStopped, for ever: after a failed fsync nothing the disk says can be trusted
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from node.core.limits import RECENT_BYTES_MAX
from node.core.rounds import STATE_ROUNDS, read_rounds
from node.storage import directory as directories
from node.storage import identity as identities
from node.storage import opening, tables
from node.storage.errors import StorageError
from node.storage.folding import Log
from node.storage.identity import FULL, SYNCHRONOUS, Entropy, FileIdentity
from node.storage.notes import Notes
from node.storage.port import (
    Adopt,
    Advance,
    Forget,
    HandOver,
    Identity,
    Merge,
    Outcome,
    Owe,
    Reap,
    Recount,
    Refusal,
    Refused,
    Saved,
    SaveState,
    Scrub,
    StorageStopped,
    Totals,
    Write,
)
from node.storage.reader import Reader
from node.storage.recent import RecentRecords
from node.storage.records import Counts, Names, Record, advance_record, keys_of, merge_record, refuse_round
from node.storage.space import Room, Space
from node.storage.trees import StoredTrees

FILE = directories.FILE

Note = SaveState | Owe | HandOver | Adopt | Reap | Forget | Recount | Scrub
"""Writes that make no new row."""

Changed = dict[bytes, Record | None]
"""What a transaction makes of rows; None: the row goes."""


class SqliteStorage:
    """The storage port on SQLite. `apply` and `checkpoint` belong to one thread, `fetch` and `scan` to another.

    `redrawn` says why the dot epoch was redrawn at open, "" if it was not.
    """

    def __init__(
        self, path: Path, lock: directories.DirectoryLock, writer: sqlite3.Connection, entropy: Entropy
    ) -> None:
        self.path = path
        self.redrawn = ""
        self._lock = lock
        self._writer = writer
        self._entropy = entropy
        self._stopped = ""
        self._recent = RecentRecords(RECENT_BYTES_MAX)

    @classmethod
    def open(
        cls, directory: Path, *, node_id: str | None = None, durability: str = FULL, entropy: Entropy = os.urandom,
        connection: type[sqlite3.Connection] = sqlite3.Connection, born_with: Sequence[SaveState] = (),
    ) -> SqliteStorage:  # fmt: skip
        """Open or create the store in `directory`. `node_id` None takes what the file says, or draws one.

        `connection` writes: another class for disks that are told to fail. A new file has the states `born_with` as
        soon as it has its identity. StorageError: a sentence that says why not.
        """
        directories.prepare(directory)
        lock = directories.DirectoryLock.take(directory)
        try:
            writer = opening.open_writer(directory / FILE, connection)
        except BaseException:
            lock.release()
            raise
        store = cls(directory / FILE, lock, writer, entropy)
        try:
            store._start(node_id, durability, born_with)
        except BaseException as error:
            writer.close()
            lock.release()
            if isinstance(error, sqlite3.Error):
                raise opening.told(store.path, error) from error
            if isinstance(error, OSError):
                raise StorageError(f"{store.path} cannot be opened: {error.strerror}") from error
            raise
        return store

    def _start(self, node_id: str | None, durability: str, born_with: Sequence[SaveState]) -> None:
        """Claim the file for this run, durably, before anything is written in it."""
        writer, self._space = self._writer, Space(self.path.parent, partial(opening.free_bytes, self._writer))
        if self._lock.failed:
            opening.recover(writer, self.path)
        found = identities.load(writer, self.path)
        self._lock.recognise(found.token if found is not None else "")
        mine, self.redrawn = identities.claim(found, self.path, node_id, durability, self._lock.token, self._entropy)
        births, ring_epoch, totals = tables.load_counters(writer, str(self.path))
        state = tables.load_state(writer, str(self.path))
        if self.redrawn:  # until our owner has noted what follows from it (`own`), each start shall find it out again
            self._lock.disown()
        self._adopt(mine, born_with if found is None else ())
        directories.sync(self.path.parent)
        writer.execute(f"PRAGMA synchronous = {SYNCHRONOUS[durability]}")
        self._names = Names(mine.epochs, births, lambda: identities.draw_epoch(self._entropy))
        self._ring_epoch, self._counts, self._totals = ring_epoch, Counts(totals), totals
        self._log = Log(int(writer.execute("PRAGMA page_size").fetchone()[0]))
        self._notes = Notes(writer, read_rounds(state.get(STATE_ROUNDS, b"")))
        reader = self._reader = Reader(self.path, self._recent, self._notes)
        reader.any_aside = totals.quarantined > 0
        self.fetch, self.fetch_many, self.scan = reader.fetch, reader.fetch_many, reader.scan
        self.owed, self.hint_totals, self.load_state = reader.owed, reader.hint_totals, reader.load_state
        self.tombstones, self.tombstone_count = reader.tombstones, reader.tombstone_count
        self._trees = StoredTrees(writer, reader.suspects)
        self.digests, self.disown, self.own = self._trees.digests, self._lock.disown, self._lock.own

    def _adopt(self, identity: FileIdentity, born_with: Sequence[SaveState] = ()) -> None:
        """Become `identity`. While the file's token changes the lock knows the one before and the one to come."""
        self._lock.write(self._lock.token, coming=identity.token)
        tables.save_identity(self._writer, identity, born_with)
        self._lock.write(identity.token)
        self._identity = identity

    # The port ------------------------------------------------------------------------------------------------

    @property
    def identity(self) -> Identity:
        """Who this store is."""
        return self._identity.told(self._totals.changes)

    @property
    def near_full(self) -> bool:
        """Whether there is too little room for values of clients, as far as was seen."""
        return self._space.room < Room.OWN

    def apply(self, writes: Sequence[Write]) -> list[Outcome]:
        """Do all writes in one transaction. Raises StorageStopped after an error that leaves nothing to trust."""
        if self._stopped:
            raise StorageStopped(self._stopped)
        if self._space.room is Room.NONE:
            self.look()
        outcomes = self._attempt(writes)
        if outcomes is None and not all(map(self._space.refuses, writes)):
            self.checkpoint()  # so that the log begins anew, in the space that it has: for what makes room
            self._space.ran_out()
            outcomes = self._attempt(writes)
        if outcomes is None:
            outcomes = [Refused(Refusal.DISK_FULL, f"the disk that holds {self.path} is full")] * len(writes)
        return outcomes

    def _attempt(self, writes: Sequence[Write]) -> list[Outcome] | None:
        """One transaction; None if it was rolled back for want of space. Raises StorageStopped."""
        names, totals, ring_epoch, identity = self._names.mark(), self._totals, self._ring_epoch, self._identity
        notes = self._notes.mark()
        self._looked = {write: self._trees.scrub(write) for write in writes if isinstance(write, Scrub)}
        try:
            if any(looked.strange for looked in self._looked.values()):
                opening.check(self._writer, self.path)
            self._writer.execute("BEGIN IMMEDIATE")
            outcomes, changed = self._transact(writes)
            self._writer.execute("COMMIT")
        except BaseException as error:
            with suppress(sqlite3.Error):
                self._writer.execute("ROLLBACK")
            self._names.reset(names)
            self._notes.reset(notes)
            self._trees.forget()
            self._counts, self._ring_epoch, self._identity = Counts(totals), ring_epoch, identity
            if not isinstance(error, sqlite3.Error | StorageError):
                raise
            if opening.is_full(error):
                self._space.ran_out()
                return None
            raise self._stop(error) from error
        self._totals = self._counts.totals()
        self._trees.committed()
        self._recent.put(changed)
        return outcomes

    def totals(self) -> Totals:
        """Return the store's counts, as of the last transaction."""
        return self._totals

    def close(self) -> None:
        """Fold the log into the file, remember that the stop was clean, and let go of everything."""
        self._reader.close()
        with suppress(sqlite3.Error, OSError, StorageStopped):
            if not self._stopped:
                self._writer.execute("PRAGMA synchronous = FULL")
                self._adopt(self._identity._replace(clean=True, token=self._entropy(16).hex()))
                self.save()
                self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with suppress(sqlite3.Error):
            self._writer.close()
        self._lock.release()

    def forget_recent(self) -> None:
        """Drop what is kept in memory, so that the file itself is read again. Belongs to the writing thread."""
        self._recent.clear()

    # Between transactions ------------------------------------------------------------------------------------

    @property
    def checkpoint_due(self) -> bool:
        """Whether the log has grown enough to be folded into the file."""
        return self._log.size_bytes >= self._space.log_bytes

    def checkpoint(self) -> None:
        """Fold the log into the file. Raises StorageStopped; for want of space it is left for later."""
        if self._stopped:
            raise StorageStopped(self._stopped)
        try:
            self._log.fold(self._writer)
        except sqlite3.Error as error:
            if not opening.is_full(error):
                raise self._stop(error) from error
            self._space.ran_out()

    @property
    def work_due(self) -> bool:
        """Whether rows wait to be set aside, or to be scanned for the trees."""
        return not self._stopped and (bool(self._reader.suspects) or self._trees.work_due)

    def work(self) -> None:
        """Do one slice of that. Raises StorageStopped."""
        if self._reader.suspects or self._trees.misplaced:
            self.apply(())
        self._trees.rescan()

    def save(self) -> None:
        """Save the trees, if there is room for them. Raises StorageStopped."""
        self.look()
        try:
            if not self.near_full:
                self._trees.save()
        except sqlite3.Error as error:
            if not opening.is_full(error):
                raise self._stop(error) from error
            self._space.ran_out()

    def look(self) -> None:
        """See how much room there is: for a moment without writes, so that what is shown is true."""
        self._space.look()

    def figures(self) -> dict[str, object]:
        """Return what is worth showing, JSON-ready. From any thread."""
        return {
            "near_full": self.near_full,
            **self._space.figures(),
            "stopped": self._stopped,
            "trees_unknown": self._trees.scanning,
        } | self._log.figures()

    # One transaction -----------------------------------------------------------------------------------------

    def _transact(self, writes: Sequence[Write]) -> tuple[list[Outcome], Changed]:
        """Decide all writes upon what the file holds, and write what came of it: the outcomes, and the new records."""
        names = self._names
        epochs, births, ring_epoch = names.epochs, names.births, self._ring_epoch
        records, changed = self._load(writes)
        outcomes: list[Outcome] = []
        for write in writes:
            if not isinstance(write, Merge | Advance):
                outcomes.append(self._note(write, records, changed))
                continue
            refused = self._refusal(write)
            if refused is not None:
                outcomes.append(refused)
                continue
            key = write.key
            before = records.get(key)
            after: Record | None
            if isinstance(write, Merge):
                after, outcome = merge_record(before, write, names)
            else:
                after, outcome = advance_record(before, write, names)
            outcomes.append(outcome)
            if after is None:
                continue
            if after is not before:
                self._replaced(key, before, after)
                records[key] = changed[key] = after
            if write.owed is not None and not isinstance(outcome, Refused):
                self._notes.hints.add(key, len(after.data), write.owed)
        self._write(changed)
        self._notes.save()
        if names.epochs is not epochs:
            self._identity = self._identity._replace(epochs=names.epochs)
            identities.save(self._writer, self._identity)
        totals = self._counts.totals()
        if changed or totals != self._totals or names.births != births or self._ring_epoch != ring_epoch:
            tables.save_counters(self._writer, names.births, self._ring_epoch, totals)
        self._space.used(self._log.wrote(changed.values()))
        return outcomes, changed

    def _note(self, write: Note, records: dict[bytes, Record], changed: Changed) -> Outcome:
        """Do a write that makes no new row."""
        if isinstance(write, Recount):
            self._trees.recount(write.leaf)
            return Saved()
        if isinstance(write, Scrub):
            looked = self._looked[write]
            for leaf in looked.untrue:
                self._trees.recount(leaf)
            return looked.outcome
        if isinstance(write, SaveState):
            tables.save_state(self._writer, write.name, write.data)
            if write.epoch is not None:
                self._ring_epoch = write.epoch
            return Saved()
        outcome, dropped = self._notes.take(write, records, any_aside=self._counts.quarantined > 0)
        if dropped is not None:
            self._replaced(dropped, records.pop(dropped), None)
            changed[dropped] = None
        return outcome

    def _replaced(self, key: bytes, before: Record | None, after: Record | None) -> None:
        """A key's record became another one (None: there is none)."""
        self._counts.replace(before, after)
        self._notes.tombstones.replaced(key, before, after)
        self._trees.replace(key, before, after)

    def _write(self, changed: Changed) -> None:
        """Bring the rows of the file to what was decided."""
        written = {key: record for key, record in changed.items() if record is not None}
        if len(written) < len(changed):
            tables.drop(self._writer, [key for key, record in changed.items() if record is None])
        if written and self._counts.quarantined:
            self._counts.quarantined -= tables.bring_back(self._writer, written)
        self._trees.stage(tables.write_batch(self._writer, written) if written else [])

    def _load(self, writes: Sequence[Write]) -> tuple[dict[bytes, Record], Changed]:
        """The records that the writes speak of, each verified; damaged ones are set aside, and so not among them.

        And what is to be written of that alone: a line that was found damaged, and is known from memory.
        """
        keys, suspects = dict.fromkeys(keys_of(writes)), self._reader.suspects
        known = {key: record for key in keys if (record := self._recent.get(key)) is not None}
        written: Changed = {}
        while suspects:
            key = suspects.popleft()
            if (record := self._recent.get(key)) is not None:
                known[key] = written[key] = record
            keys[key] = None
        for size in self._trees.drop_misplaced():
            self._counts.lost(size)
        missing = [key for key in keys if key not in known]
        if not missing:
            return known, written
        records, damaged = tables.read_batch(self._writer, missing)
        if damaged:
            self._reader.any_aside = True  # before the commit: no reader may find the row gone and not ask where it is
            tables.set_aside(self._writer, damaged)
            self._notes.tombstones.lost(damaged)
            self._trees.damaged(damaged)
            for record in damaged.values():
                self._counts.set_aside(len(record.data), siblings=tables.seems_in_conflict(record))
        return known | records, written

    def _refusal(self, write: Advance | Merge) -> Refused | None:
        """Why the write may not be tried, or None."""
        if write.epoch != self._ring_epoch:
            return Refused(Refusal.EPOCH, f"the ring's epoch is {self._ring_epoch}, not {write.epoch}")
        if isinstance(write, Merge) and (refused := refuse_round(write, self._notes.rounds)) is not None:
            return refused
        if self._space.refuses(write):
            return Refused(Refusal.DISK_FULL, f"the disk that holds {self.path} is nearly full")
        return None

    def _stop(self, error: sqlite3.Error | StorageError) -> StorageStopped:
        """Never write again; the next run is to check the file before it believes it."""
        self._stopped = f"{self.path}: {error}"
        with suppress(OSError):
            self._lock.write(self._identity.token, failed=True)
        return StorageStopped(self._stopped)
