"""A table that leaves out columns, and says so, where rich would shrink them all until none can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

GAP = 2
"""Between two columns."""
CELLS_MIN = 12
"""As narrow as a column may get: less of it says nothing, so that it is rather left out."""


class Fitting(Table):
    """A table that never squeezes all its columns into nothing: the widest give way, then the last ones are hidden.

    How many are hidden stands below it. Rich alone shrinks every column until none can be read.
    """

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Lay out the columns that have room."""
        room = options.max_width
        widths = [self._natural(column, console, options) for column in self.columns]
        shown = len(widths)
        while shown > 1 and sum(min(width, CELLS_MIN) + GAP for width in widths[:shown]) - GAP > room:
            shown -= 1
        fitted = fit(widths[:shown], room - GAP * (shown - 1))
        all_columns = self.columns
        try:
            self.columns = [*all_columns[:shown]]
            for column, width in zip(self.columns, fitted, strict=True):
                column.width = width
            yield from super().__rich_console__(console, options)
        finally:
            self.columns = all_columns
            for column in all_columns:
                column.width = None
        if hidden := len(widths) - shown:
            yield Text(f"({hidden} column{'s' * (hidden > 1)} hidden: -o wide)", "quiet")

    def _natural(self, column: Column, console: Console, options: ConsoleOptions) -> int:
        """The width at which nothing of a column is cut, or the most that it may have."""
        cells = (*column.cells, column.header)
        width = max((Measurement.get(console, options, cell).maximum for cell in cells), default=0)
        return width if column.max_width is None else min(width, column.max_width)


def fit(widths: list[int], room: int) -> list[int]:
    """Widths that fit into so much room: whoever is widest gives way first."""
    fitted = list(widths)
    while sum(fitted) > room and max(fitted) > 1:
        most = max(fitted)
        second = max((width for width in fitted if width < most), default=1)
        wide = [i for i, width in enumerate(fitted) if width == most]
        cut = min(most - max(second, 1), -(-(sum(fitted) - room) // len(wide)))
        for i in wide:
            fitted[i] = max(1, most - max(1, cut))
    return fitted
