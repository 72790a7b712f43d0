"""A store looked through, and made smaller, by hand: `dyn node data verify` and `dyn node data compact`.

Looking through takes a read-only connection, so a node may use the store meanwhile: it reads short pages, each as the
store is at that moment. What is made smaller nobody may use: the lock of the directory is held.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from node.core.ids import scan_position
from node.core.limits import KEY_BYTES_MAX
from node.storage import directory as directories
from node.storage import identity as identities
from node.storage import opening, schema, tables
from node.storage.backup import has_room
from node.storage.errors import BrokenStore, StorageError, StoreInUse
from node.storage.records import digest_of

PAGE_ROWS = 1024
"""Rows of one read: while it lasts the log of a running node cannot begin anew."""

NAMED_MAX = 10
"""Damaged keys that are told by name."""

FILE = directories.FILE

Step = Callable[[int], None]
"""Told the position, of 2^64, up to which rows were read."""


class Verified(NamedTuple):
    """What was found. `in_use`: a node ran on it. `structure`: what is wrong with the file or what it says of itself,
    "" if nothing; then rows may not have been read. `told`: how many rows the store itself counts, at rest."""

    file: Path
    file_bytes: int
    in_use: bool
    structure: str
    rows: int
    row_bytes: int
    damaged: int
    damaged_keys: tuple[bytes, ...]
    quarantined: int
    told: int | None

    @property
    def sound(self) -> bool:
        """Whether all of it is as it was written."""
        counted = self.told is None or self.told == self.rows + self.damaged
        return not self.structure and not self.damaged and counted


class Compacted(NamedTuple):
    """How large the file was and is, with its log, in bytes."""

    file: Path
    before: int
    after: int


def verify(directory: Path, step: Step) -> Verified:
    """Read a whole store against its checksums. Raises StorageError if it cannot be read at all."""
    path = _file_in(directory)
    try:
        lock: directories.DirectoryLock | None = directories.DirectoryLock.take(directory)
    except StoreInUse:
        lock = None
    try:
        with _reading(path, alone=lock is not None) as connection:
            return _verified(connection, path, step, in_use=lock is None)
    except sqlite3.Error as error:
        raise opening.told(path, error) from error
    finally:
        if lock is not None:
            lock.release()


def _file_in(directory: Path) -> Path:
    path = directory / FILE
    if not path.is_file():
        raise StorageError(f"{directory} is no data directory of a node: there is no {FILE}", "Name another one")
    return path


@contextmanager
def _reading(path: Path, *, alone: bool) -> Iterator[sqlite3.Connection]:
    """A connection that changes nothing; of a store that rests, and left no log, not even a name beside the file."""
    log = path.with_name(path.name + "-wal")
    if alone and not (log.exists() and log.stat().st_size):
        uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None)
    else:
        connection = opening.open_reader(path)
    with closing(connection):
        connection.execute("PRAGMA trusted_schema = OFF")
        yield connection


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    if not schema.is_current(connection, path):
        raise StorageError(f"{path} is no store of a dyn node", "Name another directory")


def _verified(connection: sqlite3.Connection, path: Path, step: Step, *, in_use: bool) -> Verified:
    found = Verified(path, _size(path), in_use, "", 0, 0, 0, (), 0, None)
    try:
        _check_version(connection, path)
        if not in_use:  # it is one long read, and while that lasts the node's log cannot begin anew
            opening.check(connection, path)
        if identities.load(connection, path) is None:
            return found._replace(structure="it does not say whose it is")
        _, _, totals = tables.load_counters(connection, str(path))
        tables.load_state(connection, str(path))
        rows, size, damaged, keys = _read_all(connection, step)
        (aside,) = connection.execute("SELECT count(*) FROM quarantine").fetchone()
    except BrokenStore as error:
        return found._replace(
            structure=" ".join(error.message.removeprefix(f"{path} is damaged").split()).strip(" :()")
        )
    except sqlite3.Error as error:
        if opening.code_of(error) & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise
        return found._replace(structure=" ".join(str(error).split()))
    told = None if in_use else totals.rows
    return found._replace(
        rows=rows, row_bytes=size, damaged=damaged, damaged_keys=tuple(keys), quarantined=int(aside), told=told
    )


def _read_all(connection: sqlite3.Connection, step: Step) -> tuple[int, int, int, list[bytes]]:
    """Rows that are intact, their bytes, how many are damaged, and the keys of the first of those."""
    rows = size = damaged = first = 0
    keys: list[bytes] = []
    while True:
        seen, last = 0, first
        with closing(tables.read_range(connection, first, 2 * tables.FLIP - 1)) as lines:
            for position, key, row, birth, kept in lines:
                if seen >= PAGE_ROWS and position + tables.FLIP != last:
                    break
                seen, last = seen + 1, position + tables.FLIP
                if _is_intact(position, key, row, birth, kept):
                    rows, size = rows + 1, size + len(key) + len(row)
                    continue
                damaged += 1
                if len(keys) < NAMED_MAX and isinstance(key, bytes):
                    keys.append(key[:KEY_BYTES_MAX])
            else:
                return rows, size, damaged, keys
        first = last + 1
        step(first)


def _is_intact(position: int, key: object, row: object, birth: object, kept: object) -> bool:
    if not (isinstance(key, bytes) and isinstance(row, bytes) and (birth is None or isinstance(birth, int))):
        return False
    place = int.from_bytes(scan_position(key), "big") - tables.FLIP
    return position == place and tables.checksum_of(digest_of(key, row), birth) == kept


def compact(directory: Path) -> Compacted:
    """Write a store that nobody uses anew, without what deleted rows left. Raises StorageError; StoreInUse for one.

    It takes room for two more of it meanwhile: for what SQLite writes, and for the log of that. A crash leaves the
    store as it was.
    """
    path = _file_in(directory)
    lock = directories.DirectoryLock.take(directory)
    try:
        before = _size(path)
        with _reading(path, alone=True) as reader:
            _check_version(reader, path)
            opening.check(reader, path)
        if not has_room(directory, 2 * before):
            raise StorageError(
                f"there is no room to write {path} anew: it takes {2 * before:,} bytes more", "Free some"
            )
        os.environ["SQLITE_TMPDIR"] = str(directory)  # there is room, and nobody else reads what is written there
        with closing(opening.open_writer(path)) as writer:
            writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            writer.execute("VACUUM")
            writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        directories.sync(directory)
        return Compacted(path, before, _size(path))
    except sqlite3.Error as error:
        raise opening.told(path, error) from error
    finally:
        lock.release()


def _size(path: Path) -> int:
    """Of a file and its log."""
    log = path.with_name(path.name + "-wal")
    return path.stat().st_size + (log.stat().st_size if log.exists() else 0)
