"""The tables of a node's file, and how an older file becomes a newer one (sqlite-utils' migrations).

    rows        one line a key, one B-tree in the order of positions: a partition, any range of hashes, is contiguous
    identity    one line: whose file this is, where it lies, which dot epochs it used
    counters    one line: what every transaction moves on
    state       what the node knows of its cluster
    hints       which owners lack a row that this store keeps for them
    tombstones  which rows are nothing but tombstones
    quarantine  rows that failed their checksum: never served, never "not found"
    trees       Merkle leaves as they were saved last, a line for every chunk of 1,024
    dirty       chunks whose rows changed since

`position` is the top 64 bits of the key's MD5 less 2^63, so that SQLite's signed order is the unsigned one. `checksum`
covers everything else in its line. `node/ARCHITECTURE.md` explains every column to people who look inside.
"""

from __future__ import annotations

import sqlite3
from hashlib import blake2b
from pathlib import Path

from sqlite_utils import Database, Migrations

from node.storage import tables
from node.storage.errors import BrokenStore, NewerStore, StorageError
from node.storage.identity import checksum
from node.storage.records import digest_of
from node.storage.tombstones import index_rows

migrations = Migrations("dyn")


@migrations()
def m001_first(db: Database) -> None:
    """Rows, the store's identity and counters, the node's own state, and what failed its checksum."""
    db.execute(
        """
        CREATE TABLE rows (
            position INTEGER NOT NULL,
            key BLOB NOT NULL,
            row BLOB NOT NULL,
            birth INTEGER,
            checksum INTEGER NOT NULL,
            PRIMARY KEY (position, key)
        ) WITHOUT ROWID, STRICT
        """
    )
    db.execute(
        """
        CREATE TABLE identity (
            one INTEGER PRIMARY KEY CHECK (one = 1),
            storage_id TEXT NOT NULL,
            node_id TEXT NOT NULL,
            epochs TEXT NOT NULL,
            machine TEXT NOT NULL,
            device INTEGER NOT NULL,
            inode INTEGER NOT NULL,
            token TEXT NOT NULL,
            clean INTEGER NOT NULL,
            durability TEXT NOT NULL,
            checksum INTEGER NOT NULL
        ) STRICT
        """
    )
    db.execute(
        """
        CREATE TABLE counters (
            one INTEGER PRIMARY KEY CHECK (one = 1),
            births INTEGER NOT NULL,
            ring_epoch INTEGER,
            rows INTEGER NOT NULL,
            bytes INTEGER NOT NULL,
            siblings INTEGER NOT NULL,
            quarantined INTEGER NOT NULL,
            checksum INTEGER NOT NULL
        ) STRICT
        """
    )
    columns = "name TEXT PRIMARY KEY, data BLOB NOT NULL, checksum INTEGER NOT NULL"
    db.execute(f"CREATE TABLE state ({columns}) WITHOUT ROWID, STRICT")
    db.execute(
        """
        CREATE TABLE quarantine (
            position INTEGER NOT NULL,
            key BLOB NOT NULL,
            row BLOB NOT NULL,
            birth INTEGER,
            found_at_ms INTEGER NOT NULL,
            PRIMARY KEY (position, key)
        ) WITHOUT ROWID, STRICT
        """
    )


@migrations()
def m002_hints(db: Database) -> None:
    """Hints, in the order in which their rows lie; the index finds the oldest one of a target."""
    db.execute(
        """
        CREATE TABLE hints (
            target TEXT NOT NULL,
            position INTEGER NOT NULL,
            key BLOB NOT NULL,
            bytes INTEGER NOT NULL,
            made_at_ms INTEGER NOT NULL,
            PRIMARY KEY (target, position, key)
        ) WITHOUT ROWID, STRICT
        """
    )
    db.execute("CREATE INDEX hints_by_age ON hints (target, made_at_ms)")


def _renewed_checksum(key: bytes, row: bytes, birth: int | None, kept: int) -> int:
    """What m003 makes of a row's checksum."""
    head = b"%d %d " % (len(key), -1 if birth is None else birth)
    intact = int.from_bytes(blake2b(head + key + row, digest_size=8).digest(), "big", signed=True) == kept
    renewed = tables.checksum_of(digest_of(key, row), birth)
    return renewed if intact else renewed ^ 1


@migrations()
def m003_trees(db: Database) -> None:
    """The leaves of the Merkle trees (`storage.trees`). Nothing is saved yet: they are computed from the rows first.

    Checksums of rows are made of the digests that the trees use. A row that was damaged before is so afterwards.
    """
    db.register_function(_renewed_checksum, name="renewed_checksum", deterministic=True)
    db.execute("UPDATE rows SET checksum = renewed_checksum(key, row, birth, checksum)")
    columns = "chunk INTEGER PRIMARY KEY, leaves BLOB NOT NULL, checksum INTEGER NOT NULL"
    db.execute(f"CREATE TABLE trees ({columns}) STRICT")
    db.execute("CREATE TABLE dirty (chunk INTEGER PRIMARY KEY) STRICT")


@migrations()
def m004_tombstones(db: Database) -> None:
    """Which rows are nothing but tombstones, in the order in which they lie. (Reap rounds are a piece of `state`.)"""
    db.execute(
        """
        CREATE TABLE tombstones (
            position INTEGER NOT NULL,
            key BLOB NOT NULL,
            PRIMARY KEY (position, key)
        ) WITHOUT ROWID, STRICT
        """
    )
    index_rows(db.conn)


def _widen(db: Database, table: str, column: str, columns: str) -> None:
    """Add a number, 0, to a table of one line. `columns`: those that its checksum covers from now on, in that order.

    The line keeps its checksum's word: a damaged one stays damaged.
    """
    names = columns.split()
    known = [name for name in names if name != column]
    kept = list(db.execute(f"SELECT {', '.join(known)}, checksum FROM {table}"))
    db.execute(f"ALTER TABLE {table} ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0")
    for *values, kept_checksum in kept:
        intact = checksum(*values) == kept_checksum
        values.insert(names.index(column), 0)
        renewed = checksum(*values)
        db.execute(f"UPDATE {table} SET checksum = ?", (renewed if intact else renewed ^ 1,))


@migrations()
def m005_born(db: Database) -> None:
    """When the file's inode was made (`storage.born`); 0, unknown, until it is opened."""
    columns = "storage_id node_id epochs machine device inode born_ns token clean durability"
    _widen(db, "identity", "born_ns", columns)


@migrations()
def m006_starts(db: Database) -> None:
    """How often the file was opened; 0 until it is: nobody knows a run of before by its number."""
    columns = "storage_id node_id epochs machine device inode born_ns token clean durability starts"
    _widen(db, "identity", "starts", columns)


@migrations()
def m007_changes(db: Database) -> None:
    """How often a row changed; counted from here on."""
    _widen(db, "counters", "changes", "births ring_epoch rows bytes siblings quarantined changes")


NAMES = ("m001_first", "m002_hints", "m003_trees", "m004_tombstones", "m005_born", "m006_starts", "m007_changes")
"""Every migration above, in order: what a file of this version has been through."""


def migrate(connection: sqlite3.Connection, path: str) -> None:
    """Bring the file to this version: each migration and the record of it are one transaction.

    Raises NewerStore for a file of a later version, BrokenStore for an SQLite file that is none of ours.
    """
    database = Database(connection)
    applied = [migration.name for migration in migrations.applied(database)]
    if not applied and [name for name in database.table_names() if name != migrations.migrations_table]:
        raise BrokenStore(f"{path} is an SQLite file of another program", "Choose another --data-dir")
    if later := [name for name in applied if name not in NAMES]:
        hint = "Start it with the version that wrote it, or a later one"
        raise NewerStore(
            f"{path} was written by a later version of dyn: it has {later[0]}, and this version ends at {NAMES[-1]}",
            hint,
        )
    migrations.apply(database)


def is_current(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether a file that is only read has the tables of a store, of this version. Raises NewerStore, StorageError."""
    table = migrations.migrations_table
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    if any(name not in names for name in (table, "rows", "identity", "counters", "state")):
        return False
    applied = [str(name) for (name,) in connection.execute(f"SELECT name FROM {table}")]
    if later := [name[:64] for name in applied if name not in NAMES]:
        raise NewerStore(f"{path} was written by a later version of dyn (it has {later[0]})", "Use that version")
    if any(name not in applied for name in NAMES):
        raise StorageError(f"{path} was written by an earlier version of dyn", "Use that version")
    return True
