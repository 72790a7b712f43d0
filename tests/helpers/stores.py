"""Stores of both kinds under one handle, so that a contract test need not know which it has before it.

A handle can do to its store what the world does: kill it, damage or drop a row, fill the disk, put an empty one in.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from node.core.ids import scan_position
from node.core.merkle import leaf_of
from node.core.row import EMPTY, Actor, Clock, Dot, Row
from node.core.version import advance
from node.sim.disk import SimStorage
from node.storage.identity import checksum as identity_checksum
from node.storage.port import (
    Advance,
    Advanced,
    Merge,
    Merged,
    Outcome,
    Recount,
    Refusal,
    Refused,
    SaveState,
    Storage,
    Write,
)
from node.storage.sqlite import FILE, SqliteStorage
from node.wire.rows import decode_row, encode_row

EPOCH = 7
"""The ring epoch of tests."""

MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None
"""Where temporary directories cost no fsync."""


class Handle(Protocol):
    """A store, and what may befall it. `store` is another object after `crash` and `wipe`."""

    @property
    def store(self) -> Storage: ...
    def crash(self) -> None: ...
    def wipe(self) -> None: ...
    def corrupt(self, key: bytes) -> None: ...
    def drop(self, key: bytes) -> None: ...
    def fill(self) -> None: ...
    def free(self) -> None: ...
    def close(self) -> None: ...


class SimHandle:
    """The simulated disk."""

    def __init__(self, epoch: int = 0x1111) -> None:
        self.store = SimStorage("a" * 32, "b" * 32, epoch)

    def crash(self) -> None:
        self.store.crash()

    def wipe(self) -> None:
        self.store.wipe()

    def corrupt(self, key: bytes) -> None:
        self.store.corrupt(key)

    def drop(self, key: bytes) -> None:
        self.store.drop(key)

    def fill(self) -> None:
        self.store.full = True

    def free(self) -> None:
        self.store.full = False

    def close(self) -> None:
        self.store.close()


class SqliteHandle:
    """The real store. Damage is done through a connection of its own, as nobody should."""

    def __init__(self, directory: Path, durability: str = "full", entropy: Callable[[int], bytes] = os.urandom) -> None:
        self.directory = directory
        self.durability = durability
        self._entropy = entropy
        self.store = self.open()

    def open(self) -> SqliteStorage:
        return SqliteStorage.open(self.directory, durability=self.durability, entropy=self._entropy)

    def abandon(self) -> None:
        """End as a killed process does: nothing is said to the file, the kernel takes the lock back."""
        self.store._reader.close()
        self.store._writer.close()
        self.store._lock.release()

    def crash(self) -> None:
        self.abandon()
        self.store = self.open()

    def reopen(self) -> None:
        self.store.close()
        self.store = self.open()

    def wipe(self) -> None:
        self.store.close()
        shutil.rmtree(self.directory)
        self.store = self.open()

    def execute(self, sql: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Do something behind the store's back; what it keeps in memory is dropped, so that it sees it."""
        self.store.forget_recent()
        connection = sqlite3.connect(self.directory / FILE, isolation_level=None)
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    def corrupt(self, key: bytes) -> None:
        ((row,),) = self.execute("SELECT row FROM rows WHERE key = ?", (key,))
        assert isinstance(row, bytes)
        flipped = row[:-1] + bytes([row[-1] ^ 1])
        self.execute("UPDATE rows SET row = ? WHERE key = ?", (flipped, key))

    def drop(self, key: bytes) -> None:
        """Behind the back of the trees, too: so their leaf is counted again."""
        self.execute("DELETE FROM rows WHERE key = ?", (key,))
        self.store.apply([Recount(leaf_of(int.from_bytes(scan_position(key), "big")))])

    def fill(self) -> None:
        (pages,) = self.store._writer.execute("PRAGMA page_count").fetchone()
        self.store._writer.execute(f"PRAGMA max_page_count = {pages}")

    def free(self) -> None:
        self.store._writer.execute("PRAGMA max_page_count = 1000000")

    def close(self) -> None:
        self.store.close()


class Scribe:
    """Writes to a handle's store in one line each, and remembers every dot that was ever minted."""

    def __init__(self, handle: Handle) -> None:
        self.handle = handle
        self.minted: dict[tuple[bytes, Dot], bytes | None] = {}
        self.apply(SaveState("ring", b"ring", EPOCH))

    def apply(self, *writes: Write) -> list[Outcome]:
        """One transaction. A dot that names two values fails the test, whichever store of the scribe minted it."""
        outcomes = self.handle.store.apply(writes)
        assert len(outcomes) == len(writes)
        for write, outcome in zip(writes, outcomes, strict=True):
            if isinstance(outcome, Advanced):
                assert isinstance(write, Advance)
                name = write.key, outcome.dot
                assert name not in self.minted, f"{outcome.dot} names {self.minted[name]!r} and {write.value!r}"
                self.minted[name] = write.value
        return outcomes

    def advance(self, key: bytes, value: bytes | None, context: Clock = (), *, cover: bool = False) -> Advanced:
        """A client's write that is taken."""
        (outcome,) = self.apply(write(key, value, context, cover=cover))
        assert isinstance(outcome, Advanced), outcome
        return outcome

    def merge(self, key: bytes, row: bytes) -> Merged:
        """A peer's row."""
        (outcome,) = self.apply(Merge(key, row, EPOCH))
        assert isinstance(outcome, Merged), outcome
        return outcome

    def row(self, key: bytes) -> Row:
        """The row as readers see it."""
        data = self.handle.store.fetch(key)
        assert isinstance(data, bytes), data
        return decode_row(data)

    def values(self, key: bytes) -> list[bytes | None]:
        """The values of the key's versions, sorted, a tombstone first."""
        return sorted((version.value for version in self.row(key).versions), key=lambda value: value or b"")


def write(key: bytes, value: bytes | None, context: Clock = (), *, cover: bool = False, epoch: int = EPOCH) -> Advance:
    return Advance(key, value, context, cover, epoch, 1_700_000_000_000, "test")


PEER = Actor(0x2222, 1)


def peer_row(*values: bytes | None, actor: Actor = PEER) -> bytes:
    """A row as a peer made it: one sibling for each value."""
    row = EMPTY
    for value in values:
        row, _ = advance(row, (), actor, value, written_at_ms=1, writer="peer")
    return encode_row(row)


def refusals(outcomes: Sequence[Outcome]) -> list[Refusal | None]:
    """Why each write was refused, None if it was not."""
    return [outcome.why if isinstance(outcome, Refused) else None for outcome in outcomes]


def undo_m005(connection: sqlite3.Connection) -> None:
    """Make the file one of before that migration and the next two, and have them run again."""
    connection.execute("DELETE FROM _sqlite_migrations WHERE name IN ('m005_born', 'm006_starts', 'm007_changes')")
    identity = "storage_id, node_id, epochs, machine, device, inode, token, clean, durability"
    counters = "births, ring_epoch, rows, bytes, siblings, quarantined"
    for table, added, covered in ("identity", ("born_ns", "starts"), identity), ("counters", ("changes",), counters):
        for column in added:
            connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        values = connection.execute(f"SELECT {covered} FROM {table}").fetchone()
        connection.execute(f"UPDATE {table} SET checksum = ?", (identity_checksum(*values),))
