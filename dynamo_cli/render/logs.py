"""The screen and the rows of `dyn node logs`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamo_cli.render.plain import show
from dynamo_cli.render.rows import Rows, time_text

if TYPE_CHECKING:
    from rich.console import RenderableType

Document = Mapping[str, Any]

STYLES = {"warn": "warn", "error": "bad"}


def log_rows(document: Document) -> Rows:
    """A dyn.node.logs/v1 document: a row a line."""
    names = ("at", "level", "text")
    return names, [tuple(show(line[name] or "") for name in names) for line in document["lines"]]


def log_screen(document: Document) -> RenderableType:
    """A dyn.node.logs/v1 document, made for 80 columns: lines that follow stand under those before."""
    from rich.table import Table
    from rich.text import Text

    if not document["lines"]:
        return Text(f"nothing of that in {show(document['file'])}")
    table = Table(box=None, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True, min_width=19)
    table.add_column(no_wrap=True, min_width=5)
    table.add_column(overflow="fold", ratio=1)
    for line in document["lines"]:
        level = line["level"] or ""
        at = Text(time_text(line["at"])[:19], style="quiet")
        table.add_row(at, Text(level, style=STYLES.get(level, "quiet")), Text(show(line["text"])))
    return table
