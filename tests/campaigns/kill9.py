"""kill -9 while writing, over and over in one data directory: nothing that was acknowledged may be missing.

    python -m tests.campaigns.kill9 --rounds 500

A child writes through the storage thread and reports each acknowledged row on a pipe; it is killed at a random moment
(also while it opens, commits, folds its log), the store is opened again and examined:

* every acknowledged row is there, or one that knows it (`merge` adds nothing);
* of two writes that were queued together both are there or neither;
* SQLite finds the file in order, and the kept totals are the counted ones;
* no dot ever named two writes, whether they were acknowledged or only found.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from node.core.row import Actor, Dot, Row, Version
from node.core.version import advance, merge
from node.runtime.disk import DiskThread
from node.storage import opening, space
from node.storage.port import Advance, Advanced, Merge, Merged, Outcome, Saved, SaveState, Write
from node.storage.sqlite import Changed, SqliteStorage
from node.wire.rows import decode_row, encode_row

ROOT = Path(__file__).parents[2]
EPOCH = 3
BATCHES_QUEUED_MAX = 12
LIVES_MAX = 50
"""Lives in one directory: the examination reads it all."""

LOG_BYTES = 400_000
"""Small, so that many a kill hits the folding of the log."""


class Report(NamedTuple):
    """What a campaign came to."""

    rounds: int
    acknowledged: int
    unacknowledged: int
    before_first: int

    def __str__(self) -> str:
        return (
            f"{self.rounds} rounds, {self.acknowledged} acknowledged writes, none lost; {self.unacknowledged} rows "
            f"were there before anybody was told; {self.before_first} kills came before the first write"
        )


# The child -------------------------------------------------------------------------------------------------


def batch(rng: Random, life: int, at: int) -> list[tuple[bytes, Write]]:
    """An even number of writes: pairs that belong together, overwrites, siblings, rows of a peer."""
    writes: list[tuple[bytes, Write]] = []
    label = f"{life}/{at}"
    for index in range(rng.randint(1, 10)):
        value = f"{label}/{index}".encode() + bytes(rng.choice((0, 50, 50, 3000)))
        kind = rng.random()
        if kind < 0.4:
            keys = [b"pair %d %d %d %s" % (life, at, index, half) for half in (b"a", b"b")]
            writes += [(key, Advance(key, value, (), False, EPOCH, 1, label)) for key in keys]
        else:
            key = b"hot %d" % rng.randrange(200)
            cover = kind < 0.9
            writes.append((key, Advance(key, value, (), cover, EPOCH, 1, label)))
            key = b"peer %d" % rng.randrange(1000)
            row, _ = advance(
                Row((), ()), (), Actor(1, life * 10**6 + at * 20 + index + 1), value, written_at_ms=1, writer=""
            )
            writes.append((key, Merge(key, encode_row(row), EPOCH)))
    return writes


async def write_for_ever(storage: SqliteStorage, life: int) -> None:
    """Keep the storage thread busy, and report what it acknowledges."""
    rng = Random(f"{life}/writes")
    keys: dict[int, bytes] = {}
    room = asyncio.Semaphore(BATCHES_QUEUED_MAX)

    def persisted(told: list[tuple[int, Outcome]]) -> None:
        lines = []
        for ticket, outcome in told:
            if isinstance(outcome, Advanced | Merged):
                lines.append(f"{keys.pop(ticket).hex()} {outcome.row.hex()}\n")
            else:
                assert outcome == Saved(), outcome
                room.release()
        data = "".join(lines).encode()
        while data:
            data = data[os.write(1, data) :]

    disk = DiskThread(storage, asyncio.get_running_loop(), persisted, sys.exit)
    disk.start()
    ticket = at = 0
    while True:
        await room.acquire()
        at += 1
        submitted: list[tuple[int, Write]] = []
        for key, write in [(b"", SaveState("at", b"%d" % at, EPOCH)), *batch(rng, life, at)]:
            ticket += 1
            keys[ticket] = key
            submitted.append((ticket, write))
        disk.submit(submitted)


def forget_some(storage: SqliteStorage) -> None:
    """Make the store acknowledge what it rolled back, now and then: the campaign must notice."""
    transact, rng = storage._transact, Random(1)

    def forgetful(writes: Sequence[Write]) -> tuple[list[Outcome], Changed]:
        outcomes = transact(writes)
        if rng.random() < 0.1:
            storage._writer.execute("ROLLBACK")
            storage._writer.execute("BEGIN")
        return outcomes

    storage._transact = forgetful  # type: ignore[method-assign]  # sabotage


def child(directory: Path, durability: str, life: int, *, sabotage: bool) -> None:
    """Open and write until killed."""
    space.CHECKPOINT_BYTES = LOG_BYTES  # type: ignore[attr-defined]  # its own name for the limit
    storage = SqliteStorage.open(directory, durability=durability)
    if sabotage:
        forget_some(storage)
    asyncio.run(write_for_ever(storage, life))


# The parent ------------------------------------------------------------------------------------------------


class Campaign:
    """One data directory and everything that was ever acknowledged in it."""

    def __init__(self, directory: Path, durability: str, seed: int, *, sabotage: bool) -> None:
        self.directory = directory
        self.options = ["--directory", str(directory), "--durability", durability] + ["--sabotage"] * sabotage
        self.durability = durability
        self.rng = Random(f"{seed}/kills")
        self.known: dict[bytes, Row] = {}
        self.named: dict[tuple[bytes, Dot], Version] = {}
        self.acknowledged = self.found = self.before_first = 0

    def round(self, life: int) -> None:
        """One life of the child, its end, and what it left."""
        told = self._run(life)
        self.before_first += not told
        for key, row in told:
            self.acknowledged += 1
            self._note(key, row)
            self.known[key] = row
        storage = SqliteStorage.open(self.directory, durability=self.durability)
        try:
            self._examine(storage, life)
        finally:
            storage.close()

    def _run(self, life: int) -> list[tuple[bytes, Row]]:
        command = [sys.executable, "-m", "tests.campaigns.kill9", "--child", str(life)]
        process = subprocess.Popen(command + self.options, cwd=ROOT, stdout=subprocess.PIPE)
        assert process.stdout is not None
        early = self.rng.random() < 0.2
        kill_at = time.monotonic() + (self.rng.uniform(0.1, 0.5) if early else 30)
        lines: list[bytes] = []
        rest = b""
        os.set_blocking(process.stdout.fileno(), False)
        while process.poll() is None:
            data = process.stdout.read() or b""
            *whole, rest = (rest + data).split(b"\n")
            if whole and not lines and not early:
                kill_at = time.monotonic() + self.rng.expovariate(1 / 0.15)
            lines += whole
            if time.monotonic() >= kill_at:
                process.kill()
            time.sleep(0.002)
        data = process.stdout.read() or b""
        process.stdout.close()
        assert process.returncode == -signal.SIGKILL, f"the writer ended by itself: {process.returncode}"
        *whole, _ = (rest + data).split(b"\n")
        return [self._parse(line) for line in lines + whole]

    def _parse(self, line: bytes) -> tuple[bytes, Row]:
        key, row = line.decode().split(" ")
        return bytes.fromhex(key), decode_row(bytes.fromhex(row))

    def _note(self, key: bytes, row: Row) -> None:
        """A dot names one write, for ever."""
        for version in row.versions:
            named = self.named.setdefault((key, version.dot), version)
            assert named == version, f"{version.dot} of {key!r} names {named} and {version}"

    def _examine(self, storage: SqliteStorage, life: int) -> None:
        opening.check(storage._writer, storage.path)
        rows = dict(walk(storage))
        for key, row in rows.items():
            self._note(key, row)
            if key not in self.known or merge(row, self.known[key]) != self.known[key]:
                self.found += 1
        for key, acknowledged in self.known.items():
            assert key in rows, f"life {life}: {key!r} was acknowledged and is gone"
            assert merge(rows[key], acknowledged) == rows[key], f"life {life}: {key!r} forgot what was acknowledged"
        for key in rows:
            if key.startswith(b"pair"):
                other = key[:-1] + (b"b" if key.endswith(b"a") else b"a")
                assert other in rows, f"life {life}: half of a batch is there, {other!r} is not"
        siblings = sum(len(row.live) > 1 for row in rows.values())
        size = sum(len(encode_row(row)) for row in rows.values())
        assert storage.totals()[:4] == (len(rows), size, siblings, 0)
        self.known = rows


def walk(storage: SqliteStorage) -> Iterator[tuple[bytes, Row]]:
    after = b""
    while True:
        page = storage.scan(0, 1, after, 1000)
        for key, row in page.items:
            yield key, decode_row(row)
        if page.after is None:
            return
        after = page.after


def campaign(
    rounds: int, *, durability: str = "full", seed: int = 1, sabotage: bool = False, progress: bool = False
) -> Report:
    """Run `rounds` lives, LIVES_MAX in one directory. Raises AssertionError at the first thing that is wrong."""
    total = Report(0, 0, 0, 0)
    for first in range(1, rounds + 1, LIVES_MAX):
        with tempfile.TemporaryDirectory(prefix="dyn-kill9-") as directory:
            run = Campaign(Path(directory) / "data", durability, seed + first, sabotage=sabotage)
            lives = range(first, min(first + LIVES_MAX, rounds + 1))
            for life in lives:
                run.round(life)
                if progress:
                    sys.stderr.write(f"\r{life} of {rounds} rounds ")
            done = Report(len(lives), run.acknowledged, run.found, run.before_first)
            total = Report(*(a + b for a, b in zip(total, done, strict=True)))
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1, help="of the writes and of the moments of the kills")
    parser.add_argument("--durability", choices=["full", "normal", "memory"], default="full")
    parser.add_argument("--sabotage", action="store_true", help="let the store forget commits: the campaign must fail")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--directory", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        child(options.directory, options.durability, options.child, sabotage=options.sabotage)
        return
    report = campaign(
        options.rounds,
        durability=options.durability,
        seed=options.seed,
        sabotage=options.sabotage,
        progress=sys.stderr.isatty(),
    )
    sys.stdout.write(f"{report}\n")


if __name__ == "__main__":
    main()
