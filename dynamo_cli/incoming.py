"""The entries of a file that is to be imported. What a file says of itself is held to what it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

from dynamo_cli.csvrows import CsvRows
from dynamo_cli.jsonl import BadLine, Counts, Entry, Header, lines_of, read_line


class Incoming:
    """The entries from line `first` on. `counts` are of all lines so far, `complete` once the last one was seen.

    `header` is the first line of JSON lines; `contexts` whether the entries have theirs.
    """

    def __init__(self, source: BinaryIO, first: int, show_done: Callable[[float], None], *, csv: bool) -> None:
        self.counts = Counts()
        self.complete = False
        self.header: Header | None = None
        self.contexts = False
        self._source = source
        self._first = first
        self._show_done = show_done
        self._csv = csv

    def entries(self) -> Iterator[Entry]:
        """Yield them. Raises BadLine."""
        for entry in self._csv_rows() if self._csv else self._json_lines():
            self.counts = self.counts.with_entry(entry)
            if entry.number >= self._first:
                yield entry

    def _csv_rows(self) -> Iterator[Entry]:
        rows = CsvRows(self._source)
        for entry in rows.entries():
            self.contexts = rows.contexts
            self._show_done(rows.size_bytes)
            yield entry
        self.complete = True  # as far as a csv can tell

    def _json_lines(self) -> Iterator[Entry]:
        size_bytes = 0
        for number, line in lines_of(self._source):
            if self.complete:
                raise BadLine(number, "it stands after the end of one")
            found = read_line(number, line)
            if (number == 1) != isinstance(found, Header):
                raise BadLine(number, "the first line says what it is, and no other")
            if isinstance(found, Counts):
                if found != self.counts:
                    raise BadLine(number, f"it counts {found.keys} keys, and {self.counts.keys} were there")
                self.complete = True
            elif isinstance(found, Header):
                self.header, self.contexts = found, found.contexts
            else:
                yield found
            size_bytes += len(line)
            self._show_done(size_bytes)
