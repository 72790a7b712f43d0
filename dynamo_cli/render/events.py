"""The screen and the rows of `dyn cluster events`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamo_cli.render.plain import show
from dynamo_cli.render.rows import Rows, time_text

if TYPE_CHECKING:
    from rich.console import RenderableType

Document = Mapping[str, Any]

STYLES = {"warn": "warn", "error": "bad"}
BY_COLUMNS = 8
"""Least width of a node's name: lines that follow stand under those before."""


def event_rows(document: Document) -> Rows:
    """A row an event: when, noted by whom, how bad, what kind, and in words."""
    names = ("at", "by", "level", "kind", "said")
    return names, [tuple(show(str(event[name] or "")) for name in names) for event in document["events"]]


def events_screen(document: Document, *, header: bool = True) -> RenderableType:
    """A dyn.cluster.events/v1 document, made for 80 columns."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=None, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0), header_style="heading", show_header=header
    )
    table.add_column("AT (UTC)", no_wrap=True, min_width=19)
    table.add_column("NOTED BY", no_wrap=True, overflow="ellipsis", min_width=BY_COLUMNS, max_width=20)
    table.add_column("WHAT", overflow="fold", ratio=1)
    for event in document["events"]:
        at, name = time_text(event["at"])[:19] or "?", Text(show(event["by"]), style="label")
        table.add_row(Text(at, style="quiet"), name, Text(show(event["said"]), style=STYLES.get(event["level"], "")))
    silent = [f"{show(each['node'])} tells nothing: {show(each['because'])}" for each in document["silent"]]
    rest = [Text(f"  ! {line}", style="warn") for line in silent]
    if not document["events"]:
        return Group(Text("nothing was noted"), *rest)
    return Group(table, *rest)
