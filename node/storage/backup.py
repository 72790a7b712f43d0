"""A store copied while it serves, into one file. (`storage.backup_file` reads it, and puts it back.)

    node.db ──one read transaction, page by page──► FILE.part ──identity, stamp──► checked, synced ──link──► FILE

The copy is what the store held at one moment, as its last commit before it left it. It has a connection of its own,
opened read-only, so no write and no read waits for it. While it runs, the store's log cannot begin anew: so it ends if
the disk of either gets near full, and leaves nothing behind.

The file is a store like any other, but for two things. Its identity has a token that no `lock` ever has, so whoever
opens it, wherever it was put, takes it for a copy: it draws a new dot epoch and is rebuilt (`storage.identity`). And
the piece of state `backup` says what it is a copy of: it is written last, before everything is checked.

Rows of a backup are knowledge of the reap rounds that the store was in (the piece of state `rounds`, of the same
moment): who merges one elsewhere sends its round along, and whoever has gone on since refuses it (`engine.reaping`).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

import msgspec

from node.core.limits import BUSY_MS_MAX, DISK_MARGIN_BYTES, DISK_MARGIN_PART
from node.core.limits_backup import BACKUP_STEP_PAGES, BACKUP_SYNC_STEPS
from node.storage import directory as directories
from node.storage import identity as identities
from node.storage import opening, tables
from node.storage.errors import StorageError
from node.storage.port import SaveState, Totals

STATE_BACKUP: Final = "backup"
"""The piece of state that only a backup has: what it is a copy of."""

SCHEMA: Final = "dyn.backup/v1"
PART: Final = ".part"
"""What the name of an unfinished backup ends with."""

Step = Callable[[int, int], None]
"""Called between two steps with the pages that are done, and all of them. What it raises ends the copy."""


class Source(msgspec.Struct, frozen=True):
    """What a backup is a copy of, as the node knows it: `address` is where it took clients, `at_ms` Unix time."""

    node: str
    node_id: str
    cluster: str
    cluster_id: str
    partitions: int
    address: str
    version: str
    at_ms: int


class Stamp(msgspec.Struct, frozen=True):
    """What a backup says of itself: where it comes from, the store, and what it holds (`port.Totals`)."""

    source: Source
    storage_id: str
    keys: int
    bytes: int
    siblings: int
    tombstones: int
    quarantined: int


class CutShort(Exception):
    """The copy was told to end."""


def refusal(store: Path, target: Path) -> StorageError | None:
    """Return why no backup of `store` may be written at `target`, or None. Looks at names only."""
    folder = target.parent
    hint = "Choose another file"
    if not target.is_absolute():
        return StorageError(f"{target} is no absolute path: the node has another directory than you", hint)
    if not folder.is_dir():
        return StorageError(f"there is no directory {folder}", hint)
    if folder.resolve() == store.parent.resolve() or store.parent.resolve() in folder.resolve().parents:
        return StorageError(f"{target} lies in the data directory of the node, which is its own", hint)
    if os.path.lexists(target):
        return StorageError(f"{target} exists, and no backup overwrites anything", hint)
    beside = next(filter(os.path.lexists, _parts_of(target)), None)
    if beside is not None:  # a log of somebody else's would be believed
        message = f"{beside} exists: a backup under way, or one that was cut off"
        return StorageError(message, "If none is under way, remove it")
    return None


def write_backup(
    store: Path, target: Path, source: Source, entropy: identities.Entropy, step: Step,
    checking: Callable[[Callable[[], None]], None] = lambda interrupt: None,
) -> Stamp:  # fmt: skip
    """Copy the file of a store that may be in use to `target`, which must not exist, and return its stamp.

    `checking` is called before the copy is checked, which takes long and has no steps, with what ends that from another
    thread. Raises StorageError with a sentence that says why not, and what `step` raises; then nothing is left behind.
    """
    refused = refusal(store, target)
    if refused is not None:
        raise refused
    part = _part_of(target)
    try:
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageError(f"{part} cannot be made: {error.strerror}", "Choose another file") from error
    try:
        with closing(opening.open_reader(store)) as reader:
            _copy(reader, store, target, descriptor, step)
        stamp = _finish(part, source, entropy, step, checking)
        os.fsync(descriptor)
        _publish(part, target)
    except sqlite3.Error as error:
        if opening.is_full(error):
            raise _no_room(target) from error
        raise StorageError(f"{store} cannot be copied to {target}: {error}") from error
    except OSError as error:
        raise StorageError(f"{target} cannot be written: {error.strerror}") from error
    finally:
        os.close(descriptor)  # not before: it would take SQLite's locks of the file with it
        for leftover in _parts_of(target):
            with suppress(OSError):
                leftover.unlink()
    return stamp


def _part_of(target: Path) -> Path:
    return target.with_name(target.name + PART)


def _parts_of(target: Path) -> list[Path]:
    """All names that an unfinished backup may have in its directory."""
    part = _part_of(target)
    return [part, *(Path(f"{part}{suffix}") for suffix in ("-wal", "-shm", "-journal"))]


def _no_room(target: Path) -> StorageError:
    hint = "Free some space, or choose a file on another disk"
    return StorageError(f"there is no room for the backup {target} on its disk", hint)


def has_room(folder: Path, size: int) -> bool:
    """Whether so many bytes more leave the margin that a store wants for itself (`storage.space`)."""
    free, all_of_it = directories.space(folder)
    return free - size >= min(DISK_MARGIN_BYTES, all_of_it // DISK_MARGIN_PART)


def _copy(reader: sqlite3.Connection, store: Path, target: Path, descriptor: int, step: Step) -> None:
    """Copy all pages as they are at this moment."""
    folder, steps = target.parent, 0
    reader.execute("BEGIN")  # one moment: without it a commit meanwhile would begin the copy anew
    reader.execute("SELECT 1 FROM identity").fetchone()
    (pages,), (page_bytes,) = (reader.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size"))
    if not has_room(folder, pages * page_bytes):
        raise _no_room(target)

    def stepped(status: int, left: int, total: int) -> None:
        nonlocal steps
        steps += 1
        if not has_room(folder, 0):
            raise _no_room(target)
        if not has_room(store.parent, 0):
            message = f"the disk that holds {store} gets near full: its log cannot begin anew during a backup"
            raise StorageError(message, "Free some space there first")
        if not steps % BACKUP_SYNC_STEPS:
            os.fdatasync(descriptor)
        step(total - left, total)

    with closing(sqlite3.connect(_part_of(target), isolation_level=None)) as copy:
        copy.execute("PRAGMA journal_mode = OFF")
        copy.execute("PRAGMA synchronous = OFF")
        reader.backup(copy, pages=BACKUP_STEP_PAGES, progress=stepped)
    reader.execute("COMMIT")


def _finish(
    part: Path, source: Source, entropy: identities.Entropy, step: Step,
    checking: Callable[[Callable[[], None]], None],
) -> Stamp:  # fmt: skip
    """Make the copied pages a backup: one file without a log, whose identity is a copy's, with its stamp; check it."""
    with closing(sqlite3.connect(part, isolation_level=None, timeout=BUSY_MS_MAX / 1000)) as copy:
        copy.execute("PRAGMA synchronous = FULL")
        copy.execute("PRAGMA journal_mode = DELETE")
        (pages,) = copy.execute("PRAGMA page_count").fetchone()
        checking(copy.interrupt)
        step(pages, pages)
        opening.check(copy, part)
        identity = identities.load(copy, part)
        assert identity is not None, "a store that serves has an identity"
        _, _, totals = tables.load_counters(copy, str(part))
        stamp = _stamp(copy, source, identity.storage_id, totals)
        states = [SaveState(STATE_BACKUP, msgspec.json.encode(stamp))]
        tables.save_identity(copy, identity._replace(token=entropy(16).hex(), clean=False), states)
    return stamp


def _stamp(copy: sqlite3.Connection, source: Source, storage_id: str, totals: Totals) -> Stamp:
    (tombstones,) = copy.execute("SELECT count(*) FROM tombstones").fetchone()
    return Stamp(source, storage_id, totals.rows, totals.bytes, totals.siblings, tombstones, totals.quarantined)


def _publish(part: Path, target: Path) -> None:
    """Give the finished file its name, durably. OSError if something has that name meanwhile: it is left alone."""
    try:
        os.link(part, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if os.path.lexists(target):
            raise
        part.rename(target)
    directories.sync(target.parent)
