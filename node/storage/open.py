"""Opening the file: the settings that make a commit durable, and the errors that people meet, told truly."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from node.storage.errors import StorageError
from node.storage.schema import migrate

PAGE_BYTES = 4096
CACHE_KIB = 16 * 1024
STATEMENTS = 64


def open_writer(path: Path) -> sqlite3.Connection:
    """Open (or create) the file for writing, in WAL mode, under synchronous=EXTRA; the caller lowers that in the end.

    Created under FULL, a power cut may bring back the journal of the creation and roll the whole file back.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, cached_statements=STATEMENTS, timeout=0.0
        )
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA synchronous = EXTRA")
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        connection.execute("PRAGMA temp_store = MEMORY")
        if mode != "wal":
            raise StorageError(f"{path} cannot be kept in WAL mode on this file system")
        migrate(connection, str(path))
    except sqlite3.Error as error:
        raise _told(path, error) from error
    except OSError as error:
        raise StorageError(f"{path} cannot be opened: {error.strerror}") from error
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Open the file read-only: such a connection never checkpoints."""
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False,
            cached_statements=STATEMENTS, timeout=1.0,
        )  # fmt: skip
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    except sqlite3.Error as error:
        raise _told(path, error) from error
    return connection


def _told(path: Path, error: sqlite3.Error) -> StorageError:
    """An SQLite error in words."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        hint = "Move it away and start again: the node comes back empty, as a new one"
        return StorageError(f"{path} is not an SQLite file, or is damaged ({error})", hint)
    if code == sqlite3.SQLITE_FULL:
        return StorageError(f"the disk of {path} is full", "Free some space, then start again")
    if code == sqlite3.SQLITE_BUSY:
        return StorageError(f"{path} is open in another process", "Stop that one first")
    return StorageError(f"{path} cannot be opened: {error}")
