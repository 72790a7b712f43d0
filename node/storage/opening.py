"""Opening the file: the settings under which a commit is durable, and what goes wrong, told truly."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from node.core.limits import BUSY_MS_MAX
from node.storage.errors import BrokenStore, StorageError, StoreInUse
from node.storage.identity import REBUILD
from node.storage.schema import migrate

PAGE_BYTES = 2048
"""A commit logs whole pages, so small ones are cheap: 1.3, 2.2 and 4.6 kB of log for a 100-byte value at random among
100,000, with pages of 1, 2 and 4 KiB, and the same CPU. With the smallest, rows of over 231 bytes would not fit a leaf.
"""

WRITER_CACHE_KIB = 4 * 1024
READER_CACHE_KIB = 2 * 1024
"""More was not measurably faster: the kernel caches the file, too."""

READ_BUSY_S_MAX = 0.1
SQLITE_MIN = (3, 38)


def open_writer(path: Path, factory: type[sqlite3.Connection] = sqlite3.Connection) -> sqlite3.Connection:
    """Open or create the file for writing, in WAL mode, under synchronous=EXTRA: the caller lowers it when all is set.

    Created under FULL, a power cut may bring back the journal of the creation and roll back the whole file.
    """
    if sqlite3.sqlite_version_info < SQLITE_MIN:
        raise StorageError(f"this Python has SQLite {sqlite3.sqlite_version}, dyn needs 3.38 or later")
    try:
        if not path.exists():
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, cached_statements=32, timeout=BUSY_MS_MAX / 1000,
            factory=factory,
        )  # fmt: skip
    except (OSError, sqlite3.Error) as error:
        raise StorageError(f"{path} cannot be opened: {error}") from error
    try:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA synchronous = EXTRA")
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StorageError(f"{path} cannot be kept in WAL mode on this file system", "Choose another --data-dir")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute(f"PRAGMA cache_size = -{WRITER_CACHE_KIB}")
        connection.execute("PRAGMA trusted_schema = OFF")
        migrate(connection, str(path))
    except sqlite3.Error as error:
        connection.close()
        raise told(path, error) from error
    except (LookupError, TypeError, ValueError) as error:  # a schema of nonsense: names that are none, columns missing
        connection.close()
        raise BrokenStore(f"{path} is damaged ({' '.join(str(error).split())})", REBUILD) from error
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Open the file read-only: such a connection never checkpoints (`query_only` would not stop that)."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=32,
        timeout=READ_BUSY_S_MAX,
    )
    connection.execute(f"PRAGMA cache_size = -{READER_CACHE_KIB}")
    return connection


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Walk the whole file. Raises BrokenStore if its structure is damaged."""
    (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise BrokenStore(f"{path} is damaged ({' '.join(verdict.split())})", REBUILD)


def recover(connection: sqlite3.Connection, path: Path) -> None:
    """After the disk failed: walk the file, and leave nothing to what a failed fsync left of the log.

    The kernel still shows frames that never came to the disk, and would not write them again: what was appended behind
    them would be lost with the power. (Rebello et al., "Can Applications Recover from fsync Failures?", ATC 2020.)
    """
    check(connection, path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def free_bytes(connection: sqlite3.Connection) -> int:
    """How much of the file is free pages: what deleted rows left. 0 for a file too damaged to tell."""
    try:
        (pages,) = connection.execute("PRAGMA freelist_count").fetchone()
    except sqlite3.Error:
        return 0
    return int(pages) * PAGE_BYTES


def is_full(error: Exception) -> bool:
    """Whether the disk had no room: for the file or its log, or for the index of the log, which no data hangs on."""
    return code_of(error) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)


def code_of(error: Exception) -> int:
    """SQLite's (extended) result code of an error, 0 if it is none of SQLite's."""
    return getattr(error, "sqlite_errorcode", 0)


def told(path: Path, error: sqlite3.Error) -> StorageError:
    """Return an SQLite error at open in words."""
    code = code_of(error) & 0xFF
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, 0):  # 0: Python cannot make text of what it finds
        return BrokenStore(f"{path} is damaged, or not an SQLite file ({' '.join(str(error).split())})", REBUILD)
    if code == sqlite3.SQLITE_FULL:
        return StorageError(f"the disk that holds {path} is full", "Free some space and start again")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreInUse(f"{path} is locked by another process", "Close the program that has it open")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return StorageError(f"{path} cannot be written ({error})", "Correct its owner and mode")
    return StorageError(f"{path} cannot be opened: {error}")
