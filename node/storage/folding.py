"""The write-ahead log's length, and how long it stalls writers when it is folded into the file.

Nobody but a checkpoint tells how long the log really is. Until one does its length is guessed from the rows that were
written, and the next guess is corrected by what the last one was worth.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable

from node.storage.records import Record

GUESS_MAX = 8.0
"""By how much more the log may have grown than is guessed from the rows: inner pages and splits, too."""


class Log:
    """The log of one store, of pages of `page_bytes`. Belongs to the writing thread."""

    def __init__(self, page_bytes: int) -> None:
        self._page_bytes = page_bytes
        self._pages = 0
        self._pages_a_guess = 1.0
        self._checkpoints = 0
        self.folded_pages = 0
        self._stall_ms_last = self._stall_ms_max = 0.0

    @property
    def size_bytes(self) -> float:
        """How long it is, about."""
        return self._pages * self._pages_a_guess * self._page_bytes

    def wrote(self, records: Iterable[Record | None]) -> int:
        """A transaction left these records: how many bytes they came to, about."""
        page_bytes = self._page_bytes
        pages = 2 + sum([1 + (len(record.data) // page_bytes if record else 0) for record in records])
        self._pages += pages
        return pages * page_bytes

    def fold(self, writer: sqlite3.Connection) -> None:
        """Fold the log into the file. Raises sqlite3.Error; for want of space it shall be tried again later."""
        began = time.perf_counter()
        try:
            _, pages, _ = writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error:
            self._pages //= 2
            raise
        else:
            self._pages_a_guess = min(max(pages / max(self._pages, 1), 1.0), GUESS_MAX)
            self._pages = 0
            self.folded_pages += pages
        finally:
            self._checkpoints += 1
            self._stall_ms_last = (time.perf_counter() - began) * 1000
            self._stall_ms_max = max(self._stall_ms_max, self._stall_ms_last)

    def figures(self) -> dict[str, object]:
        """What is worth showing, JSON-ready. From any thread."""
        return {
            "log_pages": self._pages,
            "checkpoints": self._checkpoints,
            "folded_pages": self.folded_pages,
            "checkpoint_ms_last": round(self._stall_ms_last, 3),
            "checkpoint_ms_max": round(self._stall_ms_max, 3),
        }
