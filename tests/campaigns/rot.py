"""A node's data file damaged in every place: it starts or refuses in a sentence, and never says what was not written.

    python -m tests.campaigns.rot

One bit is flipped in every 64th byte of the file, and of its log; both are cut short after each page; each page becomes
zeros or noise. What is left is opened as a node opens it, read in every way, written to, closed and opened again. Every
row it tells must be one that was acknowledged, byte by byte. A row may be unreadable, or not found, or an older one: a
log that is damaged ends there, for SQLite cannot tell that from a power cut. Those are the other owners' to bring back,
and after a scrub the trees tell of every row that is not found; how many there are is in the table.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import NamedTuple

from node.core.ids import NodeId, scan_position
from node.core.limits import SCRUB_ROWS
from node.core.merkle import Trees, leaf_of
from node.core.row import EMPTY, Actor
from node.core.version import advance
from node.runtime.config import NodeSettings, StartError
from node.runtime.store import Store
from node.storage.opening import PAGE_BYTES
from node.storage.port import (
    Advance,
    Advanced,
    Merge,
    Merged,
    Owe,
    Owed,
    Page,
    Refused,
    SaveState,
    Scrub,
    Scrubbed,
    StorageStopped,
    Unreadable,
    Write,
)
from node.storage.records import digest_of
from node.storage.sqlite import FILE, SqliteStorage
from node.wire.rows import encode_row
from tests.campaigns.powercut_store import keys, one_place
from tests.helpers.stores import MEMORY

EPOCH = 3
EVERY_BYTES = 64
TARGETS = (NodeId("1" * 32), NodeId("2" * 32))
WORK_MAX = 2000
"""Slices of a rescan: more of them would be a loop without an end."""

SCRUBBED_EVERY = 8
"""Of so many files one is scrubbed, too: that takes as long as everything else."""

KINDS = ("bit", "cut", "zeros", "noise")
Damage = tuple[str, str, int]
"""A kind, the file it befalls, and where."""


class Found(NamedTuple):
    """What became of one damaged file, and of its rows."""

    outcome: str
    intact: int = 0
    unreadable: int = 0
    missing: int = 0
    older: int = 0


Rows = dict[bytes, tuple[bytes, ...]]
"""Every row that a key had, the last one last."""


class Wrong(AssertionError):
    """It told something that was never written."""


def build(folder: Path, *, killed: bool) -> Rows:
    """A store with everything in it: its rows. `killed`: with a log that was not folded."""
    rng = Random(1)
    some = keys(rng, "rot")
    store = SqliteStorage.open(folder)
    store.apply([SaveState("ring", bytes(300), EPOCH)])
    names = [next(some) for _ in range(160)]
    rows: Rows = dict.fromkeys(names, ())

    def put(key: bytes, value: bytes | None, *, cover: bool = False) -> None:
        (outcome,) = store.apply([Advance(key, value, (), cover, EPOCH, 1, "writer")])
        assert isinstance(outcome, Advanced), outcome
        rows[key] += (outcome.row,)

    for key in names:
        put(key, rng.randbytes(rng.choice((5, 80, 80, 3000))))
    for key in names[:15]:
        put(key, None, cover=True)
    for key in names[15:30]:
        store.apply([Owe(key, Owed(TARGETS, 1))])
    while store.work_due:
        store.work()
    store.save()
    store._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for key in names[120:]:
        put(key, rng.randbytes(60))
    if not killed:
        store.close()
        return rows
    kept = {path: path.read_bytes() for path in (folder / FILE, folder / f"{FILE}-wal")}
    store._reader.close()
    store._writer.close()  # folds the log: what a killed process leaves was kept
    store._lock.release()
    for path, data in kept.items():
        path.write_bytes(data)
    return rows


def damages(folder: Path) -> Iterator[Damage]:
    """Everything that may befall the files of a store."""
    for name in (FILE, f"{FILE}-wal"):
        if not (folder / name).exists():
            continue
        size = (folder / name).stat().st_size
        yield from (("bit", name, at) for at in range(0, size, EVERY_BYTES))
        for kind in ("cut", "zeros", "noise"):
            yield from ((kind, name, at) for at in range(0, size, PAGE_BYTES))


def befall(folder: Path, damage: Damage) -> None:
    """Do it."""
    kind, name, at = damage
    data = bytearray((folder / name).read_bytes())
    rng = Random(f"{kind}{at}")
    if kind == "bit":
        at = min(at + rng.randrange(EVERY_BYTES), len(data) - 1)
        data[at] ^= 1 << rng.randrange(8)
    elif kind == "cut":
        del data[at:]
    else:
        end = min(at + PAGE_BYTES, len(data))
        data[at:end] = bytes(end - at) if kind == "zeros" else rng.randbytes(end - at)
    (folder / name).write_bytes(data)


def live(folder: Path, rows: Rows, *, scrubbed: bool) -> Found:
    """Open a damaged store and use it. Raises Wrong, or whatever it did not expect."""
    settings = NodeSettings(data_dir=folder, discover="none")
    try:
        store = Store.open(settings)
    except StartError as error:
        told = str(error)
        assert told and "\n" not in told, told
        return Found("refused")
    storage = store._storage
    stopped = ""
    try:
        found = read(storage, rows)
        if scrubbed:
            scrub(storage, rows)
        written = write(storage, rows)
        read(storage, written)
    except StorageStopped as error:
        stopped = str(error)
        found, written = Found("stopped"), None
    finally:
        store.close()
    if written is not None and not stopped:
        with suppress(StartError):
            again = Store.open(settings)
            try:
                with suppress(StorageStopped):
                    read(again._storage, written)
            finally:
                again.close()
    return found


def right(key: bytes, row: object, rows: Rows) -> str:
    """What was read of a key. Raises Wrong."""
    if row is None:
        return "missing"
    if isinstance(row, Unreadable):
        return "unreadable"
    if row not in rows.get(key, ()):
        raise Wrong(f"{key!r} is {row!r}")
    return "intact" if row == rows[key][-1] else "older"


def owed(storage: SqliteStorage, target: NodeId, after: bytes) -> Page:
    """A page of what is kept for one node."""
    return storage.owed(target, after, 10)


def read(storage: SqliteStorage, rows: Rows) -> Found:
    """Read everything in every way there is. Raises Wrong, StorageStopped."""
    storage.forget_recent()
    got = [right(key, storage.fetch(key), rows) for key in rows]
    for key, row in zip(rows, storage.fetch_many(list(rows)), strict=True):
        right(key, row, rows)
    readers: list[Callable[[bytes], Page]] = [lambda after: storage.scan(0, 1, after, 50)]
    readers += [partial(owed, storage, target) for target in TARGETS]
    readers.append(lambda after: storage.tombstones(after, 10))
    for reader in readers:
        after: bytes | None = b""
        while after is not None:
            with suppress(StorageStopped):  # a page that cannot be read says so
                page = reader(after)
                for key, row in page.items:
                    if row:
                        right(key, row, rows)
                assert page.after is None or page.after > after, "it reads in circles"
                after = page.after
                continue
            break
    storage.hint_totals()
    storage.totals()
    for _ in range(WORK_MAX):
        if not storage.work_due:
            break
        storage.work()
    assert not storage.work_due, "there is no end of its work"
    storage.digests(0, 0, 5)
    storage.save()
    return Found("started", got.count("intact"), got.count("unreadable"), got.count("missing"), got.count("older"))


def scrub(storage: SqliteStorage, rows: Rows) -> None:
    """From then on the trees say what reads find: so the other owners see what is missing. Raises Wrong."""
    at, unreadable = 0, False
    for _ in range(WORK_MAX):
        (outcome,) = storage.apply([Scrub(at, SCRUB_ROWS)])
        if not isinstance(outcome, Scrubbed):
            return  # the disk is said to be full
        unreadable = unreadable or bool(outcome.why)
        at = outcome.leaf
        if at == 0:
            break
    assert at == 0, "a pass without an end"
    for _ in range(WORK_MAX):
        if storage.work_due:
            storage.work()
    trees = Trees(known=True)
    for key in rows:
        row = storage.fetch(key)
        if isinstance(row, bytes):
            trees.toggle([(leaf_of(int.from_bytes(scan_position(key), "big")), digest_of(key, row))])
    if not unreadable and storage.digests(0, 0, 5) not in (b"", trees.digests(0, 0, 5)):
        raise Wrong("the trees claim rows that no read finds")


def write(storage: SqliteStorage, rows: Rows) -> Rows:
    """Write over every fifth row; what is to be read now. Raises StorageStopped."""
    written = dict(rows)
    for number, key in enumerate(rows):
        if number % 5:
            continue
        one: Write = Advance(key, b"new", (), True, EPOCH, 1, "")
        if number % 2:
            row, _ = advance(EMPTY, (), Actor(1, number + 1), b"peer", written_at_ms=1, writer="")
            one = Merge(key, encode_row(row), EPOCH, None, Owed(TARGETS, 1), 10**6)
        (outcome,) = storage.apply([one])
        if isinstance(outcome, Advanced | Merged):
            written[key] = (*rows[key], outcome.row)
            if storage.fetch(key) != outcome.row:
                raise Wrong(f"{key!r} is not what was just written")
        else:
            assert isinstance(outcome, Refused), outcome
    storage.checkpoint()
    return written


class Tally:
    """What the damages of one kind came to."""

    def __init__(self) -> None:
        self.outcomes = dict.fromkeys(("refused", "stopped", "started"), 0)
        self.intact = self.unreadable = self.missing = self.older = 0
        self.wrong: list[str] = []

    def took(self, found: Found) -> None:
        """One more."""
        self.outcomes[found.outcome] += 1
        self.intact += found.intact
        self.unreadable += found.unreadable
        self.missing += found.missing
        self.older += found.older


def campaign(sample: int = 1, offset: int = 0) -> dict[str, Tally]:
    """Do every `sample`-th damage, from `offset` on; a tally for each kind."""
    tallies = {kind: Tally() for kind in KINDS}
    with tempfile.TemporaryDirectory(prefix="dyn-rot-", dir=MEMORY) as folder, one_place():
        for state in ("closed", "killed"):
            base = Path(folder) / state
            rows = build(base, killed=state == "killed")
            for number, damage in enumerate(damages(base)):
                if (number + offset) % sample:
                    continue
                home = Path(folder) / "damaged"
                shutil.rmtree(home, ignore_errors=True)
                shutil.copytree(base, home)
                befall(home, damage)
                try:
                    tallies[damage[0]].took(live(home, rows, scrubbed=number // sample % SCRUBBED_EVERY == 0))
                except Exception as error:  # noqa: BLE001  # whatever escapes is what is looked for
                    tallies[damage[0]].wrong.append(f"{state} {damage}: {type(error).__name__}: {error}")
    return tallies


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sample", type=int, default=1, help="do every so manieth damage only")
    given = parser.parse_args()
    tallies = campaign(given.sample)
    print("| damage | files | refused | stopped | started | rows intact | unreadable | not found | older | wrong |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for kind, tally in tallies.items():
        files = sum(tally.outcomes.values()) + len(tally.wrong)
        rows = (tally.intact, tally.unreadable, tally.missing, tally.older)
        counts = (files, *tally.outcomes.values(), *rows, len(tally.wrong))
        print(f"| {kind} | {' | '.join(f'{count:,}' for count in counts)} |")
        for line in tally.wrong[:10]:
            print(f"{kind}: {line[:300]}", file=sys.stderr)
    return 1 if any(tally.wrong for tally in tallies.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
