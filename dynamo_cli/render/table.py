"""The table of all screens: without lines, made for 80 columns, and on fewer it says what it leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

ROWS_SHOWN = 24
"""Rows of nodes, or of pairs of them, unless `wide`: a screen that scrolls away shows nothing."""

NAME_COLUMNS = 20
"""Width that a node's name gets at most, unless `wide`."""


SPANS_SHOWN = 12
"""Pieces of a list of partitions (`rows.spans_text`), unless `wide`."""


def bare_table() -> Table:
    """An empty table without columns, which says what it leaves out where there is no room for all of them."""
    from dynamo_cli.render.fitting import GAP, Fitting  # rich, which a command that draws nothing does not load

    return Fitting(box=None, show_edge=False, pad_edge=False, padding=(0, GAP, 0, 0), header_style="heading")


def table_of(*columns: tuple[str, bool]) -> Table:
    """An empty table with these headings; True: figures, which stand on the right. What does not fit is cut."""
    table = bare_table()
    for name, right in columns:
        table.add_column(name, justify="right" if right else "left", no_wrap=True, overflow="ellipsis")
    return table


def change_text(before: float, after: float, form: str = ",") -> str:
    """A figure before and after; one of them if nothing changes."""
    return format(after, form) if before == after else f"{before:{form}} -> {after:{form}}"
