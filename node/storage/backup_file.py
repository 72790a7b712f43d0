"""A backup file read by whoever puts it back: as a store in an empty data directory, or row by row into a cluster.

It is a file from outside, and may hold anything: its structure, identity, counters and state are checked before it is
used, each row against its checksum and its place when it is read, and by whoever merges it for what it says.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import msgspec

from node.core.ids import scan_position
from node.core.limits import KEY_BYTES_MAX
from node.core.limits_backup import BACKUP_STEP_PAGES
from node.core.rounds import STATE_ROUNDS, Rounds, read_rounds
from node.storage import directory as directories
from node.storage import identity as identities
from node.storage import opening, schema, tables
from node.storage.backup import PART, STATE_BACKUP, Stamp, has_room
from node.storage.errors import BrokenStore, StorageError
from node.storage.records import digest_of


class Backup:
    """A finished backup, open for reading: its stamp, the reap rounds that its rows are of, and the rows."""

    def __init__(self, path: Path, connection: sqlite3.Connection, stamp: Stamp, rounds: Rounds) -> None:
        self.path = path
        self.stamp = stamp
        self.rounds = rounds
        self.file_bytes = path.stat().st_size
        self.damaged = 0
        self._connection = connection

    @classmethod
    def open(cls, path: Path) -> Backup:
        """Open what `write_backup` wrote. Raises StorageError: a sentence that says why it cannot be used."""
        if not path.is_file():
            raise StorageError(f"there is no file {path}", "Name a file that dyn node data backup wrote")
        uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"  # no journal beside it has a say
        try:
            connection = sqlite3.connect(uri, uri=True, isolation_level=None)
        except sqlite3.Error as error:
            raise _told(path, error) from error
        try:
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA cell_size_check = ON")
            if not schema.is_current(connection, path):
                raise _foreign(path)
            stamp, rounds = _read_states(connection, path)
            return cls(path, connection, stamp, rounds)
        except sqlite3.Error as error:
            connection.close()
            raise _told(path, error) from error
        except BaseException:
            connection.close()
            raise

    def check(self) -> None:
        """Walk the structure of the whole file. Raises BrokenStore."""
        try:
            opening.check(self._connection, self.path)
        except sqlite3.Error as error:
            raise _told(self.path, error) from error
        except BrokenStore as error:
            raise _broken(self.path, error.message.partition(" is damaged ")[2].strip("()")) from None

    def rows(self, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, row in canonical bytes) in order of position, from that of `after` on (8 bytes; b"": all).

        A row that fails its checksum is left out, and counted in `damaged`. Raises BrokenStore.
        """
        self.damaged = 0
        first = int.from_bytes(after, "big") if after else 0
        try:
            with closing(tables.read_range(self._connection, first, 2 * tables.FLIP - 1)) as lines:
                for position, key, row, birth, kept in lines:
                    if _is_intact(position, key, row, birth, kept):
                        yield key, row
                    else:
                        self.damaged += 1
        except sqlite3.Error as error:
            raise _told(self.path, error) from error

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


def _is_intact(position: object, key: object, row: object, birth: object, kept: object) -> bool:
    """Whether a line is what was written: its types, its place and its checksum. A damaged one may hold anything."""
    if not (isinstance(key, bytes) and isinstance(row, bytes) and (birth is None or isinstance(birth, int))):
        return False
    place = int.from_bytes(scan_position(key), "big") - tables.FLIP
    return (
        0 < len(key) <= KEY_BYTES_MAX and position == place and tables.checksum_of(digest_of(key, row), birth) == kept
    )


def _read_states(connection: sqlite3.Connection, path: Path) -> tuple[Stamp, Rounds]:
    try:
        identity = identities.load(connection, path)
        tables.load_counters(connection, str(path))
        states = tables.load_state(connection, str(path))
    except BrokenStore as error:
        raise _broken(path, error.message.partition(" is damaged: ")[2]) from None
    if identity is None or STATE_BACKUP not in states:
        raise _foreign(path)
    try:
        return msgspec.json.decode(states[STATE_BACKUP], type=Stamp), read_rounds(states.get(STATE_ROUNDS, b""))
    except (msgspec.MsgspecError, ValueError) as error:
        raise _broken(path, str(error)) from error


def _foreign(path: Path) -> StorageError:
    return BrokenStore(f"{path} is no backup of a dyn node", "Name a file that dyn node data backup wrote")


def _broken(path: Path, why: str) -> BrokenStore:
    return BrokenStore(f"{path} is damaged ({' '.join(why.split())})", "Take another backup of that node")


def _told(path: Path, error: sqlite3.Error) -> StorageError:
    if opening.code_of(error) & 0xFF == sqlite3.SQLITE_NOTADB:
        return _foreign(path)
    if isinstance(opening.told(path, error), BrokenStore):
        return _broken(path, str(error))
    return StorageError(f"{path} cannot be read: {error}")


# Putting one back as a store -------------------------------------------------------------------------------


def put_back(backup: Backup, directory: Path, file: str) -> None:
    """Make an empty data directory that of the store in `backup`, under the name `file`.

    Whoever starts it takes it for a copy, which it is. Raises StorageError; the directory is then as empty as it was.
    """
    _prepare_empty(directory)
    lock = directories.DirectoryLock.take(directory)
    part = directory / (file + PART)
    try:
        strange = sorted(path.name for path in directory.iterdir() if path.name != directories.LOCK_FILE)
        if strange or lock.token:
            raise _not_empty(directory, (strange or [directories.LOCK_FILE])[0])
        if not has_room(directory, backup.file_bytes):
            raise StorageError(f"there is no room for {backup.path} in {directory}", "Choose another --data")
        _copy_file(backup.path, part)
        part.rename(directory / file)
        directories.sync(directory)
    except OSError as error:
        raise StorageError(f"{directory} cannot be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            part.unlink()
        lock.release()


def _prepare_empty(directory: Path) -> None:
    """Make the directory, or find it empty: nothing is made in one that is somebody else's."""
    try:
        names = sorted(path.name for path in directory.iterdir())
    except OSError:
        names = []
    strange = [name for name in names if name != directories.LOCK_FILE]
    if strange:
        raise _not_empty(directory, strange[0])
    directories.prepare(directory)


def _not_empty(directory: Path, name: str) -> StorageError:
    hint = "Name an empty directory, or one that does not exist; to merge into a cluster that runs, leave --data away"
    return StorageError(f"{directory} is not empty: there is {name}", hint)


def _copy_file(path: Path, target: Path) -> None:
    """Copy the bytes of a file that nobody writes to, for its owner's eyes only, durably."""
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with path.open("rb") as source, os.fdopen(descriptor, "wb") as sink:
        while piece := source.read(BACKUP_STEP_PAGES * opening.PAGE_BYTES):
            sink.write(piece)
        sink.flush()
        os.fsync(sink.fileno())
