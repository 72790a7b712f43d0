"""How fast one store takes rows: merges of 100-byte values over 100,000 random keys, one thread, by size of the group.

    python -m tests.campaigns.disk_speed [--durability full] [--page-bytes 4096] [--busy]

Prints rows per second, CPU per row, bytes of log per row and the stall of checkpoints. `--busy` lets another
thread of the process use the interpreter meanwhile, as an event loop does.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path
from random import Random
from typing import NamedTuple

from node.core.row import Actor, Dot, Row, Version
from node.storage import opening
from node.storage.port import Merge, SaveState
from node.storage.sqlite import SqliteStorage
from node.wire.rows import encode_row

EPOCH = 1
FRAME_BYTES = 24
"""Before each page of the log."""

PEER = Actor(0x8000_0000_0000_0001, 12345)


def row(n: int, value_bytes: int) -> bytes:
    """The n-th row that a peer made of a key: each replaces the one before."""
    dot, past = Dot(*PEER, n), (Dot(*PEER, n - 1),) if n > 1 else ()
    version = Version(dot, past, os.urandom(value_bytes), 1_700_000_000_000, "")
    return encode_row(Row((dot,), (version,)))


class Competitor:
    """A thread that computes in pieces of about 100 µs and makes a system call after each."""

    def __init__(self) -> None:
        self._ended = False
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        here, there = socket.socketpair()
        while not self._ended:
            sum(at * at for at in range(1500))
            here.send(b"x")
            there.recv(1)
        here.close()
        there.close()

    def end(self) -> None:
        self._ended = True
        self._thread.join()


class Load(NamedTuple):
    """What is written: values of so many bytes to keys at random among so many, and how many in all."""

    keys: int
    value_bytes: int
    rows: int


def pages_folded(store: SqliteStorage) -> int:
    """How many pages went from the log into the file so far."""
    pages = store.figures()["folded_pages"]
    assert isinstance(pages, int)
    return pages


def measure(store: SqliteStorage, group: int, load: Load, rng: Random, turn: int) -> str:
    """Apply merges in groups; return the figures as a line."""
    rows = load.rows
    groups = []
    for first in range(0, rows, group):
        keys = [b"key:%012d" % rng.randrange(load.keys) for _ in range(group)]
        groups.append([Merge(key, row(turn * rows + first + 2, load.value_bytes), EPOCH) for key in keys])
    taken: list[float] = []
    stalls: list[float] = []
    folded = pages_folded(store)
    began, cpu = time.perf_counter(), time.thread_time()
    for writes in groups:
        at = time.perf_counter()
        store.apply(writes)
        taken.append(time.perf_counter() - at)
        if store.checkpoint_due:
            at = time.perf_counter()
            store.checkpoint()
            stalls.append(time.perf_counter() - at)
    wall, cpu = time.perf_counter() - began, time.thread_time() - cpu
    taken.sort()
    store.checkpoint()
    log_bytes = (pages_folded(store) - folded) * (opening.PAGE_BYTES + FRAME_BYTES)
    return (
        f"{group:5} {rows / wall:9.0f} {cpu / rows * 1e6:8.1f} {taken[len(taken) // 2] * 1e3:8.2f} "
        f"{taken[int(len(taken) * 0.99)] * 1e3:8.2f} {log_bytes / rows:8.0f} {max(stalls, default=0) * 1e3:8.0f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--durability", choices=["full", "normal", "memory"], default="full")
    parser.add_argument("--page-bytes", type=int, default=opening.PAGE_BYTES)
    parser.add_argument("--value-bytes", type=int, default=100)
    parser.add_argument("--groups", type=int, nargs="*", default=[1, 8, 32, 128])
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--keys", type=int, default=100_000)
    options = parser.parse_args()
    opening.PAGE_BYTES = options.page_bytes
    rng = Random(1)
    with tempfile.TemporaryDirectory(prefix="dyn-speed-", dir=Path.cwd()) as directory:
        store = SqliteStorage.open(Path(directory) / "data", durability=options.durability)
        store.apply([SaveState("ring", b"", EPOCH)])
        first = row(1, options.value_bytes)
        for start in range(0, options.keys, 1000):
            store.apply([Merge(b"key:%012d" % at, first, EPOCH) for at in range(start, start + 1000)])
        store.checkpoint()
        sys.stdout.write(f"pages of {options.page_bytes} bytes, file of {store.path.stat().st_size >> 20} MiB\n")
        sys.stdout.write("group    rows/s   cpu us   p50 ms   p99 ms    log B stall ms\n")
        competitor = Competitor() if options.busy else None
        for turn, group in enumerate(options.groups):
            load = Load(options.keys, options.value_bytes, min(options.rows, group * 2000))
            sys.stdout.write(measure(store, group, load, rng, turn) + "\n")
            sys.stdout.flush()
        if competitor is not None:
            competitor.end()
        store.close()


if __name__ == "__main__":
    main()
