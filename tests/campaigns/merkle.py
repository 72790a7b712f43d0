"""What it costs two owners to find and mend one key that differs, by how many keys they hold: bytes, and rows read.

    python -m tests.campaigns.merkle --keys 1000 100000 1000000

Two real stores and the engines of two nodes upon them, without sockets (`tests.helpers.owners`): every message is
encoded, and its bytes are counted. Both stores are filled alike, then one key is made another in one of them, and a
pass of anti-entropy is asked for. Wanted: at most 64 KiB on the wire, and of the stores no more read than the rows of
the leaf in which the key is (a million keys: four a leaf) and the key itself. Exit 1 if it costs more.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from node.core.cluster import Quorums
from node.core.limits import KIB
from node.core.merkle import LEAVES
from node.storage.port import Page, Storage, Unreadable
from node.storage.sqlite import SqliteStorage
from tests.helpers.owners import OTHER, Owners, fill, repair
from tests.helpers.stores import MEMORY

WIRE_BYTES_MAX = 64 * KIB
ROWS_MAX = 64
"""Rows read of both stores together: two leaves' (four each, and by chance a few more), and the key's some times."""
BATCH = 5000


class Watched:
    """A store that tells how much is read of it. `widest` is the largest part of the hash space scanned at a time."""

    def __init__(self, store: SqliteStorage) -> None:
        self._store = store
        self.forget()

    def forget(self) -> None:
        """Count anew."""
        self.scanned = self.fetched = 0
        self.widest = 0.0

    def scan(self, partition: int, partitions: int, after: bytes, limit: int) -> Page:
        """As the store does."""
        page = self._store.scan(partition, partitions, after, limit)
        self.scanned += len(page.items)
        self.widest = max(self.widest, 1 / partitions)
        return page

    def fetch(self, key: bytes) -> bytes | Unreadable | None:
        """As the store does."""
        self.fetched += 1
        return self._store.fetch(key)

    def __getattr__(self, name: str) -> Any:
        """Everything else is the store's own."""
        return getattr(self._store, name)


class Cost(NamedTuple):
    """What one key that differs cost. `in_step`: bytes of the pass before, in which nothing differed.

    `fetched` are rows read by key to be sent; what the transaction that merges a row reads of it is not counted.
    """

    keys: int
    wire_bytes: int
    messages: int
    scanned: int
    fetched: int
    widest: float
    in_step: int
    mended: bool

    @property
    def little(self) -> bool:
        """Whether it is as little as wanted."""
        read = self.scanned + self.fetched
        return self.mended and self.wire_bytes <= WIRE_BYTES_MAX and read <= ROWS_MAX and self.widest <= 1 / LEAVES


@contextmanager
def stores() -> Iterator[list[SqliteStorage]]:
    """Two empty stores; their files go with the context."""
    folder = Path(tempfile.mkdtemp(prefix="dyn-merkle-", dir=MEMORY))
    opened = [SqliteStorage.open(folder / str(at), durability="memory") for at in range(2)]
    try:
        yield opened
    finally:
        for store in opened:
            store.close()
        shutil.rmtree(folder)


def measure(sizes: Sequence[int], salt: int = 0) -> Iterator[Cost]:
    """One key that differs in stores of each of these sizes, ascending. `salt` makes other keys."""
    with stores() as opened:
        watched = [Watched(store) for store in opened]
        parts: list[Storage] = [*watched]
        owners = Owners(parts, partitions=256, quorums=Quorums(2, 1, 1))
        held = 0
        for size in sizes:
            for begin in range(held, size, BATCH):
                fill(parts, [b"key:%d:%d" % (salt, at) for at in range(begin, min(begin + BATCH, size))])
            held = size
            owners.forget()
            repair(owners)
            in_step = owners.wire_bytes
            key = b"key:%d:%d" % (salt, size // 2)
            fill([parts[1]], [key], OTHER)
            owners.forget()
            for store in watched:
                store.forget()
            document = repair(owners)
            scanned, fetched = sum(store.scanned for store in watched), sum(store.fetched for store in watched)
            widest = max(store.widest for store in watched)
            rows = [store.fetch(key) for store in opened]
            mended = (document["differing"], document["repaired"]) == (1, 1) and rows[0] == rows[1]
            messages = sum(owners.wire.values())
            yield Cost(size, owners.wire_bytes, messages, scanned, fetched, widest, in_step, mended)


HEAD = (
    "| keys in each store | bytes on the wire | messages | rows scanned | rows read by key | widest scan "
    "| bytes if nothing differs | as wanted |\n"
    "|---:|---:|---:|---:|---:|---|---:|---|"
)


def line(cost: Cost) -> str:
    """A line of the table."""
    widest = f"1/{round(1 / cost.widest):,} of the hash space" if cost.widest else "none"
    return (
        f"| {cost.keys:,} | {cost.wire_bytes:,} | {cost.messages} | {cost.scanned} | {cost.fetched} | {widest} |"
        f" {cost.in_step:,} | {'yes' if cost.little else 'NO'} |"
    )


def main() -> int:
    """Run what the command line says; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--keys", type=int, nargs="+", default=[1000, 100_000, 1_000_000], help="ascending")
    parser.add_argument("--seed", type=int, default=0, help="other keys")
    options = parser.parse_args()
    sys.stdout.write(f"{HEAD}\n")
    wrong = False
    began = time.monotonic()
    for cost in measure(sorted(options.keys), options.seed):
        sys.stdout.write(f"{line(cost)}\n")
        sys.stdout.flush()
        wrong = wrong or not cost.little
        if sys.stderr.isatty():
            sys.stderr.write(f"{time.monotonic() - began:.0f} s\n")
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
