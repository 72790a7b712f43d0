"""The screen of a conflict: siblings side by side with the clocks that prove them.

Labels, clocks and times are never cut: they are what the screen is for. Where it is narrow, the size goes first, then
part of the writer; the value has what is left.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

from dynamo_cli.render.plain import clock_text, show, sibling_label
from dynamo_cli.render.rows import reading_values, size_text, time_text

Document = Mapping[str, Any]

GAP = 2
VALUE_COLUMNS = 28
"""A value that is longer makes room for itself until it has so many."""
VALUE_COLUMNS_MIN = 8
SHORTCUTS = ((64, True), (16, True), (16, False), (8, False))
"""What is tried in turn to make room: columns of the writer's name, and whether the size is shown."""
EVENTS_SHOWN_MAX = 5
"""Siblings whose events fit a line."""


class Siblings:
    """The siblings of a dyn.get/v1 document, drawn for the width that there is; `wide` cuts nothing."""

    def __init__(self, document: Document, *, wide: bool = False) -> None:
        self.values: Sequence[Document] = document["values"]
        self.data = reading_values(document)
        self.wide = wide
        self.times = [time_text(value["written_at"]) for value in self.values]
        dates = {time.partition(" ")[0] for time in self.times}
        self.date = "" if wide or len(dates) > 1 else dates.pop()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Yield the heading, the table and the common past."""
        heading = Text(f"! {len(self.values)} siblings: their writers did not see each other", style="warn")
        yield heading.append(f"   {self.date}" if self.date else "", style="quiet")
        yield self.table(options.max_width)
        past = common_past(self.values)
        if past is not None:
            who = "all" if len(self.values) > 2 else "both"
            follow = f"{who} follow {clock_text(past)}" if past else "they have no common past"
            yield Text(follow + events_text(self.values), style="quiet")

    def table(self, columns: int) -> Table:
        """One row a sibling."""
        rows = [
            (
                sibling_label(index),
                value_text(data),
                clock_text(value["clock"]),
                show(value["writer"] or ""),
                time.partition(" ")[2] if self.date else time,
                size_text(len(data)),
            )
            for index, (value, data, time) in enumerate(zip(self.values, self.data, self.times, strict=True))
        ]
        names = ("", "VALUE", "CLOCK", "WRITER", "WRITTEN", "SIZE")
        needs = [max(map(cell_len, column)) for column in zip(names, *rows, strict=True)]
        value_columns, writer_columns, sized = self._widths(needs, columns)
        table = Table(box=None, show_edge=False, pad_edge=False, padding=(0, GAP, 0, 0), header_style="heading")
        styles = ("label", "value", "clock", "quiet", "quiet", "quiet")
        widths = (None, value_columns, None, writer_columns, None, None)
        for name, width in zip(names, widths, strict=True):
            if sized or name != "SIZE":
                justify = "right" if name == "SIZE" else "left"
                table.add_column(name, no_wrap=True, overflow="ellipsis", width=width, justify=justify)  # type: ignore[arg-type]  # one of two literals
        for row in rows:
            cells = [Text(cell, style=style) for cell, style in zip(row, styles, strict=True)]
            table.add_row(*cells[: 6 if sized else 5])
        return table

    def _widths(self, needs: Sequence[int], columns: int) -> tuple[int, int, bool]:
        """Columns of the value and of the writer, and whether the size has room."""
        label, value, clock, writer, written, size = needs
        if self.wide:
            return value, writer, True
        for writer_max, sized in SHORTCUTS:
            name = min(writer, writer_max)
            others = [label, clock, name, written, *([size] if sized else [])]
            room = columns - sum(others) - GAP * len(others)
            if room >= min(value, VALUE_COLUMNS) or (writer_max, sized) == SHORTCUTS[-1]:
                return min(value, max(VALUE_COLUMNS_MIN, room)), name, sized
        raise AssertionError("the last shortcut returns")


def events_text(values: Sequence[Document]) -> str:
    """Each sibling's own event. Without it, {n3:2} would seem to have seen {n3:1}: two writes through one node."""
    dots = [value.get("dot") for value in values]
    if len(dots) > EVENTS_SHOWN_MAX or not all(isinstance(dot, str) for dot in dots):
        return ""
    return ":  " + ", ".join(f"{sibling_label(i)} is event {show(str(dot))}" for i, dot in enumerate(dots))


def common_past(values: Sequence[Document]) -> dict[str, int] | None:
    """What all writers had seen, as a clock: the smallest count a node has in all pasts. None where it is not told."""
    pasts: list[dict[str, int]] = [value["past"] for value in values if value.get("past") is not None]
    if len(pasts) < len(values):
        return None
    return {node: min(past[node] for past in pasts) for node in pasts[0] if all(node in past for past in pasts)}


def value_text(data: bytes) -> str:
    """A value in a cell: escaped, and in quotes when it is empty or begins or ends with a space."""
    text = show(data)
    return f'"{text}"' if text != text.strip() or not text else text
