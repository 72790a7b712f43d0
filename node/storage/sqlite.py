"""One node's rows in one SQLite file (design, section 10).

One connection writes, and it alone checkpoints, between groups: SQLite before 3.51.3 may lose pages when a checkpoint
races a commit on another connection. A second connection, opened read-only, serves point reads and short scans, so
that a read never waits behind an fsync. What is acknowledged was committed with `synchronous=FULL` (under `full`
durability).

Every row carries a checksum over key, row and birth, verified whenever it is read. A row that fails is moved to
`quarantine` and counts as lost: a new write draws a new birth, a read says "unreadable", never "not found".
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from node.core.ids import scan_position
from node.core.limits import CHECKPOINT_BYTES
from node.storage import identity as identities
from node.storage.files import DirectoryLock, free_bytes, prepare_directory, sync_directory
from node.storage.identity import SYNCHRONOUS, Place
from node.storage.open import PAGE_BYTES, open_reader, open_writer
from node.storage.port import (
    Advance,
    Identity,
    Merge,
    Outcome,
    Page,
    Refusal,
    Refused,
    Saved,
    SaveState,
    StorageStopped,
    Totals,
    Unreadable,
    Write,
)
from node.storage.records import Counts, Names, Record, advance_record, merge_record

FILE = "node.db"

_SELECT = "SELECT row, birth, checksum FROM rows WHERE position = ? AND key = ?"
_UPSERT = (
    "INSERT INTO rows (position, key, row, birth, checksum) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET row = excluded.row, birth = excluded.birth, checksum = excluded.checksum"
)
_SCAN = "SELECT key, row, birth, checksum FROM rows WHERE position BETWEEN ? AND ? ORDER BY position, key LIMIT ?"
_COUNT = (
    "UPDATE identity SET births = ?, epochs = ?, ring_epoch = ?, rows = ?, bytes = ?, siblings = ?, quarantined = ?"
)
_SAVE = "INSERT INTO state (name, data) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET data = excluded.data"
_QUARANTINE = (
    "INSERT INTO quarantine (position, key, row, birth, found_at_ms)"
    " SELECT position, key, row, birth, CAST(unixepoch('subsec') * 1000 AS INTEGER) FROM rows"
    " WHERE position = ? AND key = ? ON CONFLICT DO UPDATE SET row = excluded.row, birth = excluded.birth"
)


def checksum(key: bytes, row: bytes, birth: int | None) -> int:
    """What a stored row is verified against: 64 bits of BLAKE2b over key, birth and row."""
    head = b"%d,%d:" % (len(key), -1 if birth is None else birth)
    return int.from_bytes(blake2b(head + key + row, digest_size=8).digest(), "big", signed=True)


def position_of(key: bytes) -> int:
    """The key's place in the B-tree: its scan position, moved so that SQLite's signed order is the unsigned one."""
    return int.from_bytes(scan_position(key), "big") - 2**63


class SqliteStorage:
    """The storage port on SQLite. `apply` belongs to the storage thread; `fetch` and `scan` to the readers' one."""

    def __init__(
        self, writer: sqlite3.Connection, reader: sqlite3.Connection, path: Path, lock: DirectoryLock, durability: str,
        entropy: Callable[[int], bytes],
    ) -> None:  # fmt: skip
        self._writer = writer
        self._reader = reader
        self._path = path
        self._lock = lock
        self._durability = durability
        self._stopped = False
        self._wal_pages = 0
        self.margin_bytes = 0
        """Free space below which values are refused; the storage thread looks at the disk and sets `near_full`."""
        self.near_full = False
        self.checkpoints = 0
        self.last_checkpoint_rows: tuple[int, int, int] = (0, 0, 0)
        row = writer.execute(
            "SELECT storage_id, node_id, epochs, births, ring_epoch, rows, bytes, siblings, quarantined FROM identity"
        ).fetchone()
        self._storage_id, self.node_id = row[0], row[1]
        self._names = Names(tuple(json.loads(row[2])), row[3], lambda: identities.draw_epoch(entropy))
        self._ring_epoch: int | None = row[4]
        self._totals = Totals(*row[5:9])

    @classmethod
    def open(
        cls, directory: Path, *, durability: str = identities.FULL, entropy: Callable[[int], bytes],
        node_id: str | None = None,
    ) -> SqliteStorage:  # fmt: skip
        """Open or create the store in `directory`. Raises StorageError, one sentence, when it cannot be had."""
        prepare_directory(directory)
        lock = DirectoryLock.take(directory)
        try:
            path = directory / FILE
            new = not path.exists()
            writer = open_writer(path)
            place = identities.place_of(path)
            identities.create(writer, place, durability, entropy, node_id)
            if new:
                sync_directory(directory)
            _claim(writer, place, durability, entropy)
            return cls(writer, open_reader(path), path, lock, durability, entropy)
        except BaseException:
            lock.release()
            raise

    # The port ----------------------------------------------------------------------------------------------

    @property
    def identity(self) -> Identity:
        """Who this store is."""
        return Identity(self._storage_id, self.node_id, self._names.epochs)

    def apply(self, writes: Sequence[Write]) -> list[Outcome]:
        """Do all writes in one transaction. Raises StorageStopped after an error that leaves nothing to trust."""
        if self._stopped:
            raise StorageStopped("the storage stopped earlier")
        before = self._names.mark(), self._totals, self._ring_epoch
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            outcomes = self._group(writes)
            self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            mark, self._totals, self._ring_epoch = before
            self._names.reset(mark)
            self._roll_back()
            if _is_full(error):
                return [Refused(Refusal.DISK_FULL, f"{self._path}: {error}")] * len(writes)
            self._stopped = True
            raise StorageStopped(f"{self._path}: {error}") from error
        return outcomes

    def fetch(self, key: bytes) -> bytes | Unreadable | None:
        """Return the row of `key`; Unreadable if it fails its checksum, or did and was not replaced since."""
        try:
            found = self._reader.execute(_SELECT, (position_of(key), key)).fetchone()
        except sqlite3.Error as error:
            return Unreadable(str(error))
        if found is None:
            return self._lost(key) if self._totals.quarantined else None
        row: bytes = found[0]
        if checksum(key, row, found[1]) != found[2]:
            return Unreadable("the row does not match its checksum")
        return row

    def _lost(self, key: bytes) -> Unreadable | None:
        query = "SELECT 1 FROM quarantine WHERE position = ? AND key = ?"
        lost = self._reader.execute(query, (position_of(key), key)).fetchone()
        return Unreadable("the row is in quarantine") if lost else None

    def scan(self, partition: int, partitions: int, after: bytes, limit: int) -> Page:
        """Return a page of a partition's readable rows; rows of one position stay together."""
        first = (partition << 64) // partitions
        if after:
            first = max(first, int.from_bytes(after, "big") + 1)
        last = ((partition + 1) << 64) // partitions - 1
        if first > last:
            return Page((), None)
        found = self._reader.execute(_SCAN, (first - 2**63, last - 2**63, limit)).fetchall()
        if len(found) < limit:
            return Page(tuple((key, row) for key, row, birth, kept in found if checksum(key, row, birth) == kept), None)
        end = position_of(found[-1][0])
        found = [row for row in found if position_of(row[0]) < end]
        found += self._reader.execute(_SCAN, (end, end, -1)).fetchall()
        items = tuple((key, row) for key, row, birth, kept in found if checksum(key, row, birth) == kept)
        return Page(items, (end + 2**63).to_bytes(8, "big"))

    def load_state(self) -> dict[str, bytes]:
        """Return everything `SaveState` kept, by name."""
        return dict(self._writer.execute("SELECT name, data FROM state").fetchall())

    def totals(self) -> Totals:
        """Return the store's counts."""
        return self._totals

    def close(self) -> None:
        """Check point, remember that the stop was clean, and release the file."""
        with suppress(sqlite3.Error):
            self._reader.close()
        if not self._stopped:
            with suppress(sqlite3.Error):
                self._writer.execute("UPDATE identity SET clean = 1")
        with suppress(sqlite3.Error):
            self._writer.close()
        self._lock.release()

    # Between groups ----------------------------------------------------------------------------------------

    def checkpoint_is_due(self) -> bool:
        """Whether the write-ahead log has grown to CHECKPOINT_BYTES since the last checkpoint."""
        return self._wal_pages * PAGE_BYTES >= CHECKPOINT_BYTES

    def checkpoint(self) -> None:
        """Copy the write-ahead log into the file. Raises StorageStopped on an I/O error."""
        try:
            self.last_checkpoint_rows = self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            if not _is_full(error):
                self._stopped = True
                raise StorageStopped(f"{self._path}: {error}") from error
        self._wal_pages = 0
        self.checkpoints += 1

    def look_at_disk(self) -> None:
        """Notice that the disk is nearly full, or no longer so: `near_full` refuses values from here on."""
        self.near_full = free_bytes(self._path.parent) < self.margin_bytes

    # One transaction ---------------------------------------------------------------------------------------

    def _group(self, writes: Sequence[Write]) -> list[Outcome]:
        records: dict[bytes, Record | None] = {}
        changed: dict[bytes, Record] = {}
        outcomes: list[Outcome] = []
        counts = Counts(self._totals)
        for write in writes:
            if isinstance(write, SaveState):
                self._writer.execute(_SAVE, (write.name, write.data))
                if write.epoch is not None:
                    self._ring_epoch = write.epoch
                outcomes.append(Saved())
                continue
            refused = self._refusal(write)
            if refused is not None:
                outcomes.append(refused)
                continue
            key = write.key
            if key not in records:
                records[key] = self._read(key, counts)
            record = records[key]
            if isinstance(write, Advance):
                new, outcome = advance_record(record, write, self._names)
            else:
                new, outcome = merge_record(record, write, self._names)
            outcomes.append(outcome)
            if new is not record and new is not None:
                counts.replace(record, new)
                records[key] = changed[key] = new
        self._write(changed, counts)
        return outcomes

    def _refusal(self, write: Advance | Merge) -> Refused | None:
        if write.epoch != self._ring_epoch:
            return Refused(Refusal.EPOCH, f"asked under {write.epoch}, now {self._ring_epoch}")
        if self.near_full and isinstance(write, Advance) and write.value is not None:
            return Refused(Refusal.DISK_FULL, f"less than {self.margin_bytes >> 20} MiB are free")
        return None

    def _read(self, key: bytes, counts: Counts) -> Record | None:
        """The record of `key`. One that fails its checksum is moved to quarantine, and counts as lost."""
        position = position_of(key)
        found = self._writer.execute(_SELECT, (position, key)).fetchone()
        if found is None:
            return None
        row, birth, kept = found
        if checksum(key, row, birth) == kept:
            return Record(row, birth)
        self._writer.execute(_QUARANTINE, (position, key))
        self._writer.execute("DELETE FROM rows WHERE position = ? AND key = ?", (position, key))
        counts.rows -= 1
        counts.bytes -= len(row)
        counts.quarantined += 1
        return None

    def _write(self, changed: dict[bytes, Record], counts: Counts) -> None:
        entries = [(position_of(k), k, r.data, r.birth, checksum(k, r.data, r.birth)) for k, r in changed.items()]
        entries.sort()  # neighbours share pages
        self._writer.executemany(_UPSERT, entries)
        if counts.quarantined:
            before = self._writer.total_changes
            again = [(position, key) for position, key, *_ in entries]
            self._writer.executemany("DELETE FROM quarantine WHERE position = ? AND key = ?", again)
            counts.quarantined -= self._writer.total_changes - before
        epochs = json.dumps(self._names.epochs)
        self._totals = counts.totals()
        self._writer.execute(_COUNT, (self._names.births, epochs, self._ring_epoch, *self._totals))
        self._wal_pages += len(entries) + 2

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")


def _is_full(error: sqlite3.Error) -> bool:
    return bool(getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL)


def _claim(writer: sqlite3.Connection, place: Place, durability: str, entropy: Callable[[int], bytes]) -> None:
    """Note where the file lies and that it is in use, and redraw its epoch if it must not be continued."""
    epochs, machine, device, inode, clean, before = writer.execute(
        "SELECT epochs, machine, device, inode, clean, durability FROM identity"
    ).fetchone()
    recorded = Place(machine, device, inode)
    drawn = json.loads(epochs)
    if identities.must_redraw(place, recorded, clean=bool(clean), durability=before) is not None:
        drawn.append(identities.draw_epoch(entropy))
    writer.execute(
        "UPDATE identity SET epochs = ?, machine = ?, device = ?, inode = ?, clean = 0, durability = ?",
        (json.dumps(drawn), *place, durability),
    )
    writer.execute(f"PRAGMA synchronous = {SYNCHRONOUS[durability]}")
