"""The store that a power-cut campaign records: what it does in one process, and an older file for it to begin with.

Every batch is one transaction. When it is durable, and not before, a line in the file `told` says what it came to: that
is the acknowledgement, and as it goes through the same recorder it stands in the log behind the calls that it waited
for.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import blake2b
from pathlib import Path
from random import Random

from node.core.ids import NodeId, scan_position
from node.core.merkle import chunk_of, leaf_of
from node.core.row import EMPTY, Actor
from node.core.version import advance
from node.storage import directory as directories
from node.storage import identity, space
from node.storage.identity import Place
from node.storage.port import (
    Adopt,
    Advance,
    Advanced,
    Handed,
    HandOver,
    Merge,
    Merged,
    Outcome,
    Owe,
    Owed,
    Reap,
    Reaped,
    SaveState,
    Write,
)
from node.storage.records import is_dead
from node.storage.sqlite import FILE, SqliteStorage
from node.wire.rows import decode_row, encode_row, row_digest
from tests.helpers.stores import undo_m005

DATA = "data"
TOLD = "told"
AT = "at"
"""The state in which each transaction leaves its number."""

EPOCH = 3
LOG_BYTES = 100_000
"""Small, so that the log is folded many times in a recording."""

CHUNKS = (0, 77, 255)
"""All keys lie in these chunks of the trees: a saved chunk has 16 KiB, and an image is to be small."""

TARGETS = (NodeId("1" * 32), NodeId("2" * 32))
PARTITIONS = 8
ROUND_LATE = 1_000_000


def keys(rng: Random, label: str) -> Iterator[bytes]:
    """Names of keys, for ever."""
    while True:
        key = b"%s %d" % (label.encode(), rng.randrange(10**9))
        if chunk_of(leaf_of(int.from_bytes(scan_position(key), "big"))) in CHUNKS:
            yield key


HOT = [key for key, _ in zip(keys(Random("hot"), "hot"), range(40), strict=False)]


def batch(rng: Random, number: int, store: SqliteStorage) -> list[Write]:
    """The writes of one transaction: of clients and peers, deletes, hints, hand-overs, reaps."""
    writes: list[Write] = [SaveState(AT, b"%d" % number, EPOCH)]
    fresh = keys(rng, f"new {number}")
    for index in range(rng.randint(1, 8)):
        value = f"{number}/{index}".encode() + bytes(rng.choice((0, 50, 50, 3000)))
        key = rng.choice(HOT)
        owed = Owed((rng.choice(TARGETS),), number) if rng.random() < 0.2 else None
        kind = rng.random()
        if kind < 0.3:
            writes += [Advance(next(fresh), value, (), False, EPOCH, 1, "", owed) for _ in range(2)]
        elif kind < 0.6:
            writes.append(Advance(key, value, (), rng.random() < 0.8, EPOCH, 1, "", owed))
        elif kind < 0.7:
            writes.append(Advance(key, None, (), True, EPOCH, 1, ""))
        elif kind < 0.85:
            row, _ = advance(EMPTY, (), Actor(1, number * 20 + index), value, written_at_ms=1, writer="")
            writes.append(Merge(key, encode_row(row), EPOCH, None, owed, ROUND_LATE))
        elif kind < 0.9:
            writes.append(Owe(key, Owed(TARGETS, number)))
        else:
            writes += finish(key, number, rng, store)
    return writes


def finish(key: bytes, number: int, rng: Random, store: SqliteStorage) -> list[Write]:
    """What makes a row go, or a round go on."""
    row = store.fetch(key)
    if not isinstance(row, bytes):
        return [Adopt(rng.randrange(PARTITIONS), PARTITIONS, number)]
    if is_dead(decode_row(row)):
        return [Reap(key, row_digest(key, row))]
    return [HandOver(key, rng.choice(TARGETS), row, rng.random() < 0.5)]


def changes(writes: list[Write], outcomes: list[Outcome]) -> dict[str, str | None]:
    """The rows that a transaction left, by key, in hex; None: there is none."""
    left: dict[str, str | None] = {}
    for write, outcome in zip(writes, outcomes, strict=True):
        if isinstance(outcome, Advanced | Merged):
            assert isinstance(write, Advance | Merge)
            left[write.key.hex()] = outcome.row.hex()
        elif isinstance(outcome, Handed | Reaped) and outcome.dropped:
            assert isinstance(write, HandOver | Reap)
            left[write.key.hex()] = None
    return left


def kept(store: SqliteStorage) -> list[object]:
    """What a store keeps count of."""
    return [list(store.totals()), [list(hint[:3]) for hint in store.hint_totals()], store.tombstone_count()]


@contextmanager
def one_place() -> Iterator[None]:
    """The image of a disk is the disk: the file is not to be taken for a copy of itself."""
    place_of = identity.place_of
    identity.place_of = lambda path: Place("here", 1, 1, 1)
    try:
        yield
    finally:
        identity.place_of = place_of


def write_batches(root: Path, durability: str, seed: int, first: int, count: int, *, clean: bool) -> None:
    """Open the store and write; end cleanly, or as a killed process does."""
    space.CHECKPOINT_BYTES = LOG_BYTES  # type: ignore[attr-defined]  # its own name for the limit
    rng = Random(f"{seed}/{first}")
    told = os.open(root / TOLD, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    store = SqliteStorage.open(root / DATA, durability=durability)
    for number in range(first, first + count):
        writes = batch(rng, number, store)
        left = changes(writes, store.apply(writes))
        os.write(told, json.dumps([number, left, kept(store)]).encode() + b"\n")
        if store.checkpoint_due:
            store.checkpoint()
        if rng.random() < 0.1:
            store.save()
        while store.work_due and rng.random() < 0.5:
            store.work()
    if clean:
        store.close()
    os._exit(0)


def make_older(folder: Path, rng: Random) -> dict[str, str]:
    """A closed store of the first version's schema; its rows, as `changes` has them."""
    with closing(SqliteStorage.open(folder)) as store:
        writes: list[Write] = [SaveState(AT, b"0", EPOCH)]
        writes += [Advance(key, rng.randbytes(200), (), True, EPOCH, 1, "") for key in HOT[::2]]
        writes += [Advance(key, None, (), True, EPOCH, 1, "") for key in HOT[1::4]]
        left = changes(writes, store.apply(writes))
    with closing(sqlite3.connect(folder / FILE, isolation_level=None)) as connection:
        for table in ("tombstones", "trees", "dirty", "hints"):
            connection.execute(f"DROP TABLE {table}")
        undo_m005(connection)
        connection.execute("DELETE FROM _sqlite_migrations WHERE name <> 'm001_first'")
        for key, row, birth in connection.execute("SELECT key, row, birth FROM rows").fetchall():
            head = b"%d %d " % (len(key), -1 if birth is None else birth)
            old = int.from_bytes(blake2b(head + key + row, digest_size=8).digest(), "big", signed=True)
            connection.execute("UPDATE rows SET checksum = ? WHERE key = ?", (old, key))
    return {key: row for key, row in left.items() if row is not None}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=Path)
    parser.add_argument("--durability", default="full")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--clean", action="store_true")
    parser.add_argument("--careless", action="store_true")
    given = parser.parse_args()
    if given.careless:
        directories.sync = lambda directory: None
    with one_place():
        write_batches(given.root, given.durability, given.seed, given.first, given.count, clean=given.clean)


if __name__ == "__main__":
    main()
