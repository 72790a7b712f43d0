"""Whether a directory will do for a store, found out without one: for `dyn doctor`."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from pathlib import Path

VERSION = sqlite3.sqlite_version_info
"""Of the SQLite that this Python has."""


def why_no_store(directory: Path) -> str:
    """Why no store can be kept in `directory`, in words; "" if one can.

    Where the directory exists, an empty file is made in it and removed; where it does not, nothing is touched.
    """
    there = next((each for each in (directory, *directory.parents) if each.exists()), None)
    if there is None:
        return "there is no such place"
    if not there.is_dir():
        return f"{there} is no directory"
    if not os.access(there, os.W_OK | os.X_OK):
        return f"{there} is not writable for this user"
    return _why_no_log(there) if there == directory else ""


def _why_no_log(directory: Path) -> str:
    """Why SQLite cannot keep a log (WAL) beside a file in `directory`; "" if it can."""
    try:
        with tempfile.TemporaryDirectory(prefix=".probe-", dir=directory) as place:
            connection = sqlite3.connect(Path(place, "probe.db"), isolation_level=None, timeout=0.5)
            try:
                connection.execute("PRAGMA synchronous = OFF")
                (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
                connection.execute("CREATE TABLE probe (a)")
            finally:
                connection.close()
    except (OSError, sqlite3.Error) as error:
        return " ".join(str(getattr(error, "strerror", None) or error).split())
    return "" if mode == "wal" else "SQLite cannot keep its log on this file system"
