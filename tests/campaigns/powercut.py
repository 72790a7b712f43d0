"""Power cuts, made from what the real store did to a disk: nothing acknowledged may be missing, nothing half there.

    python -m tests.campaigns.powercut --images 20000

A process opens the real store and writes (`powercut_store`); a preloaded library records every call that reaches its
files (`helpers.recording`). At random calls of that record a disk loses power: what it may hold then
(`helpers.platter`) is put into a directory and opened with the real store, which must find

* a file in order, whose counts are the counted ones and whose trees say what its rows say;
* exactly the rows after some whole batch: none of a later one, all of each earlier one;
* under durability `full`, a batch no earlier than the last one that was acknowledged.

A recording is one of several processes in a row, killed or ended, on a new file, on one of the first version's schema,
or on what an earlier power cut left. Under `normal` acknowledged rows may be lost, and the campaign must see that they
are: one that cannot see it proves nothing.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from node.core.ids import scan_position
from node.core.merkle import Trees, leaf_of
from node.storage import opening
from node.storage.errors import StorageError
from node.storage.port import Advance, Advanced
from node.storage.records import digest_of, is_dead
from node.storage.sqlite import SqliteStorage
from node.wire.rows import decode_row
from tests.campaigns import powercut_store
from tests.campaigns.kill9 import walk
from tests.campaigns.powercut_store import AT, DATA, EPOCH, TOLD
from tests.helpers import recording
from tests.helpers.platter import Names, Platter
from tests.helpers.stores import MEMORY, SqliteHandle
from tests.helpers.tools import need

ROOT = Path(__file__).parents[2]
IMAGES_A_RECORDING = 250
LOOKED_AT_EVERY = 5
"""Of so many images one has its trees compared, and is written, closed and opened again."""

NEW, OLDER, CUT = "new file", "older schema", "after a cut"
"""What a recording begins with."""


class Moment(NamedTuple):
    """The store after a batch: its rows, and what it keeps count of."""

    rows: dict[bytes, bytes]
    counts: list[object] | None


class Report:
    """What the images of one kind came to. `wrong`: the first wrong thing, in words."""

    def __init__(self, durability: str, names: Names) -> None:
        self.durability = durability
        self.names = names
        self.images = self.opened = self.checked = self.redrawn = 0
        self.corrupt = self.lost = self.torn = 0
        self.wrong = ""

    @property
    def right(self) -> bool:
        """Nothing is broken, gone or half there."""
        return not (self.corrupt or self.lost or self.torn)

    def line(self, seed: int) -> str:
        """As a line of the table."""
        counts = (self.images, self.opened, self.checked, self.redrawn, self.corrupt, self.lost, self.torn)
        return f"| {self.durability} | {self.names.value} | {seed} | {' | '.join(f'{count:,}' for count in counts)} |"


COLUMNS = (
    "durability", "names durable", "seed", "images", "opened", "acknowledged rows checked", "dot epoch redrawn",
    "corrupt", "acknowledged rows lost", "torn",
)  # fmt: skip
HEADER = f"| {' | '.join(COLUMNS)} |\n|---|---|{'---:|' * (len(COLUMNS) - 2)}"


class Campaign:
    """Recordings of one durability, and the images made of them."""

    def __init__(self, folder: Path, durability: str, seed: int, *, careless: bool = False) -> None:
        self.folder = folder
        self.durability = durability
        self.seed = seed
        self.careless = careless
        self.rng = Random(f"{seed}/{durability}/cuts")
        self.reports = {names: Report(durability, names) for names in Names}
        self.recordings = 0
        self._library = recording.build(folder)
        self._cut: tuple[Path, Moment, int] | None = None

    def run(self, images: int) -> list[Report]:
        """Make and open so many images."""
        with powercut_store.one_place():
            while (made := sum(report.images for report in self.reports.values())) < images:
                self._recording(min(IMAGES_A_RECORDING, images - made))
        return list(self.reports.values())

    # One recording -------------------------------------------------------------------------------------------

    def _recording(self, images: int) -> None:
        self.recordings += 1
        kind = NEW if self.careless else (NEW, OLDER, CUT)[self.recordings % 3]
        root, log = self.folder / "root", self.folder / "log"
        shutil.rmtree(root, ignore_errors=True)
        log.unlink(missing_ok=True)
        root.mkdir()
        moment, number = self._begin(root, kind)
        platter = Platter(root)
        first = number + 1
        for count, clean in self._processes():
            self._process(root, log, first, count, clean=clean)
            first += count
        history = {number: moment} | told_in(root / TOLD, moment)
        calls = list(recording.calls(log))
        cuts = sorted(self.rng.randint(0, len(calls)) for _ in range(images))
        done, acknowledged = 0, number
        for at in cuts:
            for call in calls[done:at]:
                written = platter.take(call)
                if written is not None and written[0].endswith(TOLD):
                    acknowledged += 1
            done = at
            self._image(platter, root, history, acknowledged, f"{kind}, recording {self.recordings}, call {at}")

    def _processes(self) -> list[tuple[int, bool]]:
        """How many batches each process writes, and whether it ends cleanly."""
        if self.careless:
            return [(2, False)]
        return [(self.rng.randint(1, 30), self.rng.random() < 0.5) for _ in range(self.rng.randint(1, 3))]

    def _begin(self, root: Path, kind: str) -> tuple[Moment, int]:
        """What is there, and durable, before the recording: and the number of its last batch."""
        if kind == CUT and self._cut is not None:
            image, moment, number = self._cut
            shutil.copytree(image, root / DATA)
            return moment, number
        if kind == OLDER:
            rows = powercut_store.make_older(root / DATA, self.rng)
            return Moment({bytes.fromhex(key): bytes.fromhex(row) for key, row in rows.items()}, None), 0
        return Moment({}, None), 0

    def _process(self, root: Path, log: Path, first: int, count: int, *, clean: bool) -> None:
        command = [sys.executable, "-m", "tests.campaigns.powercut_store", str(root), "--durability", self.durability]
        command += ["--seed", str(self.seed * 1000 + self.recordings), "--first", str(first), "--count", str(count)]
        command += ["--clean"] * clean + ["--careless"] * self.careless
        recording.record(self._library, root, log, command, cwd=ROOT)

    # One image -----------------------------------------------------------------------------------------------

    def _image(self, platter: Platter, root: Path, history: dict[int, Moment], acknowledged: int, where: str) -> None:
        names = self.rng.choice(list(Names))
        report = self.reports[names]
        report.images += 1
        image = self.folder / "image"
        shutil.rmtree(image, ignore_errors=True)
        platter.image(root / DATA, image, names, self.rng)
        kept = self.folder / "kept"
        keep = self.rng.random() < 0.05
        if keep and image.exists():
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(image, kept)
        wrong = ""
        try:
            number = self._open(image, history, acknowledged, report)
        except StorageError as error:
            report.corrupt += 1
            wrong = error.message
        except Torn as error:
            report.torn += 1
            wrong = str(error)
        else:
            if keep and kept.exists():
                self._cut = kept, history[number], number
            if number < acknowledged:
                gone = len(history[acknowledged].rows.items() - history[number].rows.items())
                report.lost += max(gone, 1)
                wrong = f"batch {acknowledged} was acknowledged, the file ends with {number}"
        if wrong and not report.wrong:
            report.wrong = f"seed {self.seed}, {where}, names {names.value}: {wrong}"

    def _open(self, image: Path, history: dict[int, Moment], acknowledged: int, report: Report) -> int:
        """Open an image and examine it: the number of its last batch. Raises StorageError, Torn."""
        handle = SqliteHandle(image, self.durability)
        try:
            number = examine(handle.store, history)
            report.opened += 1
            report.checked += len(history[acknowledged].rows)
            report.redrawn += bool(handle.store.redrawn)
            if 0 < number < acknowledged and not handle.store.redrawn:
                raise Torn("it forgot what it acknowledged, and would go on under the same dot epoch")
            if report.images % LOOKED_AT_EVERY == 0:
                examine_trees(handle.store, history[number].rows)
                (outcome,) = handle.store.apply([Advance(b"after", b"", (), True, EPOCH, 1, "")])
                assert isinstance(outcome, Advanced) or number == 0, outcome
                handle.reopen()
                after = isinstance(outcome, Advanced)
                opening.check(handle.store._writer, handle.store.path)
                assert (handle.store.fetch(b"after") is not None) is after
        finally:
            handle.abandon()
        return number


class Torn(Exception):
    """A store holds what no whole number of batches made."""


def told_in(path: Path, before: Moment) -> dict[int, Moment]:
    """The store after every batch that was told of."""
    history: dict[int, Moment] = {}
    rows = dict(before.rows)
    for line in path.read_text().splitlines():
        number, left, counts = json.loads(line)
        for key, row in left.items():
            if row is None:
                rows.pop(bytes.fromhex(key), None)
            else:
                rows[bytes.fromhex(key)] = bytes.fromhex(row)
        history[number] = Moment(dict(rows), counts)
    return history


def examine(store: SqliteStorage, history: dict[int, Moment]) -> int:
    """Find the batch that a store ends with. Raises StorageError for a broken file, Torn for anything else."""
    opening.check(store._writer, store.path)
    number = int(store.load_state().get(AT, b"0"))
    if number not in history:
        raise Torn(f"the file ends with batch {number}, which was never written")
    moment = history[number]
    rows = {key: store.fetch(key) for key, _ in walk(store)}
    if rows != moment.rows:
        different = len(rows.items() ^ moment.rows.items())
        raise Torn(f"{different} rows are not those after batch {number}")
    counts = powercut_store.kept(store)
    if moment.counts is not None and counts != moment.counts:
        raise Torn(f"after batch {number} it kept count of {moment.counts}, now {counts}")
    decoded = [decode_row(row) for row in moment.rows.values()]
    siblings = sum(len(row.live) > 1 for row in decoded)
    counted = (len(decoded), sum(map(len, moment.rows.values())), siblings, 0)
    if store.totals()[:4] != counted or store.tombstone_count() != sum(map(is_dead, decoded)):
        raise Torn(f"it counts {counted}, and keeps {store.totals()}")
    births, most = store._writer.execute(
        "SELECT COALESCE((SELECT births FROM counters), 0), COALESCE((SELECT MAX(birth) FROM rows), 0)"
    ).fetchone()
    if most > births:
        raise Torn(f"birth {most} was drawn, and the counter is at {births}")
    return number


def examine_trees(store: SqliteStorage, rows: dict[bytes, bytes]) -> None:
    """Scan what is not known of the trees, and compare them with the rows. Raises Torn."""
    while store.work_due:
        store.work()
    trees = Trees(known=True)
    trees.toggle(
        [(leaf_of(int.from_bytes(scan_position(key), "big")), digest_of(key, row)) for key, row in rows.items()]
    )
    if store.digests(0, 0, 5) != trees.digests(0, 0, 5):
        raise Torn("the trees do not say what the rows say")


def campaign(images: int, durability: str = "full", seed: int = 1, *, careless: bool = False) -> list[Report]:
    """Make and open so many images: a report for each way in which names become durable."""
    with tempfile.TemporaryDirectory(prefix="dyn-powercut-", dir=MEMORY) as folder:
        return Campaign(Path(folder), durability, seed, careless=careless).run(images)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--images", type=int, default=20_000, help="of full; a tenth as many of normal")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--careless", action="store_true", help="let no directory be synced: the campaign must fail")
    given = parser.parse_args()
    need("cc", package="gcc")
    print(HEADER)
    reports: Sequence[Report] = campaign(given.images, "full", given.seed, careless=given.careless)
    normal = campaign(max(given.images // 10, 100), "normal", given.seed)
    for report in (*reports, *normal):
        print(report.line(given.seed))
        if report.wrong:
            print(report.wrong, file=sys.stderr)
    return 0 if all(report.right for report in reports) else 1


if __name__ == "__main__":
    sys.exit(main())
