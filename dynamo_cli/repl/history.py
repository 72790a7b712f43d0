"""What was typed, kept for the next time: owner-only, without secrets, and not what begins with a space."""

from __future__ import annotations

import os
from pathlib import Path

from prompt_toolkit.auto_suggest import AutoSuggest, AutoSuggestFromHistory, Suggestion
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from dynamo_cli.repl.parse import is_dangerous_line, is_private

BYTES_MAX = 4 * 1024 * 1024
"""A longer history file is cut to its last half when the shell starts."""


class ShellHistory(FileHistory):
    """A history file of mode 0600."""

    def store_string(self, string: str) -> None:
        """Write one line, unless it is private."""
        if not is_private(string):
            super().store_string(string)

    def append_string(self, string: str) -> None:
        """Remember one line; a private one is not even recalled by the arrow keys."""
        if not is_private(string):
            super().append_string(string)


def open_history(path: Path | None) -> History:
    """The history in `path`; in memory only where there is none, or where the file cannot be had."""
    if path is None:
        return InMemoryHistory()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            os.fchmod(file.fileno(), 0o600)
            _cut(file.fileno())
    except OSError:
        return InMemoryHistory()
    return ShellHistory(str(path))


def _cut(descriptor: int) -> None:
    size = os.fstat(descriptor).st_size
    if size <= BYTES_MAX:
        return
    kept = os.pread(descriptor, BYTES_MAX // 2, size - BYTES_MAX // 2)
    kept = kept[kept.find(b"\n\n") + 1 :]
    os.pwrite(descriptor, kept, 0)
    os.ftruncate(descriptor, len(kept))


class CarefulSuggest(AutoSuggest):
    """Suggestions from the history, never of a line that may change something."""

    def __init__(self) -> None:
        self._inner = AutoSuggestFromHistory()

    def get_suggestion(self, buffer: Buffer, document: Document) -> Suggestion | None:
        """The end of the newest line that begins like this one."""
        found = self._inner.get_suggestion(buffer, document)
        if found is None:
            return None
        line = document.text + found.text
        return None if is_dangerous_line(line) else found
