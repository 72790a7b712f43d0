"""Keys and values as CSV, for spreadsheets and other stores: a row a value, the siblings of a key one after another.

    key,enc,value,value_enc[,context]
    cart:7,utf8,milk,utf8
    cart:7,utf8,3q0=,base64

`enc` and `value_enc` may be left out of a file that comes from elsewhere: then all of it is UTF-8. There is no line
that says that it is whole, so a file that was cut off at the end of a line cannot be told from one that was not.
"""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple

from dynamo_cli.jsonl import BadLine, Entry, checked_context, checked_key, checked_values, decoded, encoded, lines_of
from node.core.limits_backup import EXPORT_LINE_BYTES_MAX

COLUMNS = ("key", "enc", "value", "value_enc")
CONTEXT = "context"
NEEDED = ("key", "value")


def header(*, contexts: bool) -> bytes:
    """The first row."""
    return _row([*COLUMNS, *([CONTEXT] if contexts else [])])


def rows_of(entry: Entry, *, contexts: bool) -> bytes:
    """One key: a row a value."""
    more = [entry.context.decode("ascii", "replace")] if contexts else []
    return b"".join(_row([*_safe(entry.key), *_safe(value), *more]) for value in entry.values)


def _safe(data: bytes) -> tuple[str, str]:
    """As in JSON lines, and a carriage return is base64, too: readers take it for the end of a line."""
    return (base64.b64encode(data).decode(), "base64") if b"\r" in data else encoded(data)


def _row(cells: Iterable[str]) -> bytes:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerow(cells)
    return written.getvalue().encode()


class _Row(NamedTuple):
    key: bytes
    value: bytes
    context: bytes
    number: int


class CsvRows:
    """The entries of a file. `contexts`: whether it has them, once the first entry was read."""

    def __init__(self, source: BinaryIO) -> None:
        self.contexts = False
        self.size_bytes = 0
        self._source = source

    def entries(self) -> Iterator[Entry]:
        """Yield them, neighbours of one key as one entry. Raises BadLine, behind what stands before that line."""
        rows: list[_Row] = []
        broken: BadLine | None = None
        source = self._rows()
        while broken is None:
            try:
                row = next(source, None)
            except BadLine as error:
                row, broken = None, error
            if rows and (row is None or rows[0].key != row.key):
                yield _entry(rows)
                rows = []
            if row is None:
                break
            rows.append(row)
        if broken is not None:
            raise broken

    def _rows(self) -> Iterator[_Row]:
        before = csv.field_size_limit(EXPORT_LINE_BYTES_MAX)
        reader = csv.reader(self._lines(), strict=True)
        try:
            names = _names(next(reader, []))
            self.contexts = CONTEXT in names
            number = reader.line_num + 1
            for cells in reader:
                if cells:  # an empty line is none
                    yield _read(number, names, cells)
                number = reader.line_num + 1
        except csv.Error as error:
            raise BadLine(reader.line_num, str(error)) from None
        finally:
            csv.field_size_limit(before)

    def _lines(self) -> Iterator[str]:
        for number, line in lines_of(self._source):
            self.size_bytes += len(line)
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError:
                raise BadLine(number, "it is not UTF-8") from None


def _names(cells: list[str]) -> list[str]:
    known = (*COLUMNS, CONTEXT)
    strange = [cell for cell in cells if cell not in known]
    missing = [name for name in NEEDED if name not in cells]
    if strange or missing or len(set(cells)) < len(cells):
        what = f"there is no column {strange[0][:40]!a}" if strange else f"it names {', '.join(cells)!a}"[:80]
        raise BadLine(1, f"the first row names the columns {', '.join(known)}, or at least key and value, and {what}")
    return cells


def _read(number: int, names: list[str], cells: list[str]) -> _Row:
    if len(cells) != len(names):
        raise BadLine(number, f"it has {len(cells)} cells, and the first row {len(names)}")
    row = dict(zip(names, cells, strict=True))
    try:
        key = checked_key(decoded("key", row["key"], row.get("enc", "utf8")))
        value = decoded("value", row["value"], row.get("value_enc", "utf8"))
        return _Row(key, value, checked_context(row.get(CONTEXT, "")), number)
    except ValueError as error:
        raise BadLine(number, str(error)) from None


def _entry(rows: list[_Row]) -> Entry:
    first = rows[0]
    if any(row.context != first.context for row in rows):
        raise BadLine(first.number, "values of one key have several contexts")
    try:
        return Entry(first.key, checked_values([row.value for row in rows]), first.number, first.context)
    except ValueError as error:
        raise BadLine(first.number, str(error)) from None
