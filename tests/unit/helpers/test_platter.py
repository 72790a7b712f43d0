"""The model of a disk: what a power cut may leave, and what it may not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

from tests.helpers import recording
from tests.helpers.platter import SECTOR_BYTES, File, Names, Platter, Write
from tests.helpers.recording import Call

OLD, NEW, NEWER = b"o" * SECTOR_BYTES, b"n" * SECTOR_BYTES, b"N" * SECTOR_BYTES


def left(synced: bytes, pending: Sequence[Write], tries: int = 2000) -> set[bytes]:
    """Everything that was found after so many cuts."""
    file = File(synced)
    file.pending = list(pending)
    return {file.after_cut(Random(seed)) for seed in range(tries)}


def test_what_was_synced_is_there_and_nothing_else() -> None:
    file = File(OLD)
    file.pending.append(Write(0, NEW))
    file.sync()
    assert {file.after_cut(Random(seed)) for seed in range(100)} == {NEW}


def test_sectors_come_from_any_moment_since_the_sync_in_any_order() -> None:
    found = left(OLD + OLD, [Write(0, NEW + NEW), Write(SECTOR_BYTES, NEWER)])
    assert found == {OLD + OLD, NEW + OLD, OLD + NEW, NEW + NEW, OLD + NEWER, NEW + NEWER}


def test_a_file_may_have_grown_before_its_bytes_came() -> None:
    found = left(b"", [Write(0, NEW), Write(SECTOR_BYTES, NEWER)])
    assert found == {b"", NEW, bytes(SECTOR_BYTES), NEW + NEWER, bytes(SECTOR_BYTES) + NEWER, NEW + bytes(SECTOR_BYTES),
                     bytes(2 * SECTOR_BYTES)}  # fmt: skip


def test_what_was_cut_off_does_not_come_back_behind_what_was_written_since() -> None:
    found = left(OLD + OLD, [Write(0, None), Write(0, NEW)])
    assert OLD + OLD in found
    assert NEW in found
    assert NEW + OLD not in found


def call(kind: int, path: Path, fd: int = -1, at: int = 0) -> Call:
    return Call(kind, fd, at, str(path).encode())


def images(root: Path, calls: Sequence[Call], model: Names, into: Path) -> set[tuple[str, ...]]:
    """The names that may be in the directory `data` after a cut."""
    platter = Platter(root)
    for one in calls:
        platter.take(one)
    found = set()
    for seed in range(50):
        image = into / f"{model.name}{seed}"
        platter.image(root / "data", image, model, Random(seed))
        found.add(tuple(sorted(path.name for path in image.iterdir())))
    return found


def test_names_wait_for_the_fsync_of_their_directory_or_do_not(tmp_path: Path) -> None:
    root = tmp_path / "root"
    data = root / "data"
    data.mkdir(parents=True)
    (data / "old").write_bytes(b"")
    made = [call(recording.OPEN, data / "new", 3), call(recording.UNLINK, data / "old")]
    assert images(root, made, Names.AT_ONCE, tmp_path) == {("new",)}
    assert images(root, made, Names.SYNCED, tmp_path) == {("old",), ("new",), ("new", "old"), ()}
    synced = [*made, call(recording.OPEN, data, 4), Call(recording.SYNC, 4, 0, b"")]
    for number, path in enumerate(tmp_path.glob("SYNCED*")):
        path.rename(tmp_path / f"before{number}")
    assert images(root, synced, Names.SYNCED, tmp_path) == {("new",)}
