"""A disk that a person may fill or break (`--allow-faults`): the writing connection's commits answer as one would.

The store itself decides what follows, on the very paths that a real disk would take it: a full disk rolls back and
refuses until there is space, any other error stops the store for ever. Transactions begin and write as usual; it is
the COMMIT that fails, and the fold of the log, so nothing is ever half told.
"""

from __future__ import annotations

import sqlite3
from typing import Any, Final

_ERRORS: Final = {
    "full": ("database or disk is full (DYN.FAULT DISK full)", sqlite3.SQLITE_FULL),
    "error": ("disk I/O error (DYN.FAULT DISK error)", sqlite3.SQLITE_IOERR_FSYNC),
}
_FAILING: Final = ("COMMIT", "PRAGMA wal_checkpoint(PASSIVE)")
"""The statements after which something would be durable."""


class DiskSwitch:
    """The state of one node's disk: `ok`, `full` or `error`. Set on the loop's thread, read by the disk thread."""

    def __init__(self) -> None:
        self.state = "ok"
        self.connection = _connection(self)


def _connection(switch: DiskSwitch) -> type[sqlite3.Connection]:
    """The class of a writing connection that obeys `switch`."""

    class FaultyConnection(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:  # noqa: ANN401  # sqlite3's own
            if switch.state in _ERRORS and sql in _FAILING:
                message, code = _ERRORS[switch.state]
                error = sqlite3.OperationalError(message)
                error.sqlite_errorcode = code
                raise error
            return super().execute(sql, *parameters)

    return FaultyConnection
