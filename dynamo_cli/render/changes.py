"""What differs between two drawings of the same screen: cells that changed, rows that came, rows that went.

Works on the tables of a screen as they are drawn, so every screen can be watched and none knows of it. A row is the
same row if its cells under the headings of IDENTITY are. Marks are reverse video, and what changed is told in words,
too: a terminal without colours shows the words.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

IDENTITY = ("NODE", "FOR", "KEPT BY", "VIEW OF", "REQUESTS", "ZONE OF")
"""Headings whose cells say which row it is."""

ALWAYS_OTHER = ("UP", "OLDEST", "LAST PROGRESS", "")
"""Headings whose cells change by themselves: nothing happened."""

MARK, GONE = "reverse", "strike"

Row = tuple[Text, ...]


class Changes:
    """Remembers the last drawing."""

    def __init__(self) -> None:
        self._states: list[str] = []
        self._figures: list[str] = []
        self._before: dict[int, tuple[list[str], dict[tuple[str, ...], Row]]] = {}

    @property
    def words(self) -> list[str]:
        """What changed between the last two drawings, a short text each: figures behind all else."""
        return self._states + self._figures

    def mark(self, screen: RenderableType) -> RenderableType:
        """The screen with everything marked that is not as it was the last time."""
        self._states, self._figures = [], []
        parts = list(screen.renderables) if isinstance(screen, Group) else [screen]
        tables = 0
        for index, part in enumerate(parts):
            if isinstance(part, Table) and any(column.header in IDENTITY for column in part.columns):
                parts[index] = self._marked(part, tables)
                tables += 1
        return Group(*parts)

    def _marked(self, table: Table, number: int) -> Table:
        names, now = _names(table), dict(_rows(table))
        before = self._before.get(number)
        self._before[number] = names, now
        rows = before[1] if before is not None and before[0] == names else None
        fresh = _like(table)
        for identity, row in now.items():
            fresh.add_row(*self._cells(names, identity, row, rows))
        for identity, row in (rows or {}).items():
            if identity not in now:
                self._states.append(f"{' '.join(identity)} is gone")
                fresh.add_row(*(Text(cell.plain, style=GONE) for cell in row))
        return fresh

    def _cells(
        self, names: list[str], identity: tuple[str, ...], row: Row, rows: dict[tuple[str, ...], Row] | None
    ) -> Iterator[Text]:
        old = None if rows is None else rows.get(identity)
        if rows is not None and old is None:
            self._states.append(f"{' '.join(identity)} is new")
        for at, (name, cell) in enumerate(zip(names, row, strict=True)):
            if rows is None or name in ALWAYS_OTHER or (old is not None and old[at].plain == cell.plain):
                yield cell
                continue
            if old is not None:
                words = self._figures if cell.plain.strip()[:1].isdigit() else self._states
                words.append(f"{' '.join(identity)} {name} {old[at].plain.strip()} -> {cell.plain.strip()}")
            marked = cell.copy()
            marked.stylize(MARK)
            yield marked


def _names(table: Table) -> list[str]:
    return [str(column.header) for column in table.columns]


def _rows(table: Table) -> Iterator[tuple[tuple[str, ...], Row]]:
    """The rows of a table by their identity. Of several with one identity each gets a number."""
    names, seen = _names(table), dict[tuple[str, ...], int]()
    for cells in zip(*(column.cells for column in table.columns), strict=True):
        row = tuple(cell if isinstance(cell, Text) else Text(str(cell)) for cell in cells)
        identity = tuple(cell.plain.strip() for name, cell in zip(names, row, strict=True) if name in IDENTITY)
        seen[identity] = seen.get(identity, 0) + 1
        yield identity if seen[identity] == 1 else (*identity, str(seen[identity])), row


def _like(table: Table) -> Table:
    """An empty table that looks the same."""
    fresh = type(table)(box=table.box, show_edge=False, pad_edge=False, padding=table.padding, header_style="heading")
    for column in table.columns:
        fresh.add_column(
            column.header, justify=column.justify, no_wrap=column.no_wrap, overflow=column.overflow,
            style=column.style, max_width=column.max_width,
        )  # fmt: skip
    return fresh
