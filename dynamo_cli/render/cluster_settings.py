"""The screen and the rows of `dyn cluster settings`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamo_cli.render.plain import exact, show
from dynamo_cli.render.rows import Rows
from dynamo_cli.render.table import table_of

if TYPE_CHECKING:
    from rich.console import RenderableType

Document = Mapping[str, Any]

NODES_SHOWN = 4


def settings_rows(document: Document) -> Rows:
    """A dyn.cluster.settings/v1 document: a row a setting. Where nodes differ, `n1=x,n2=y`; unknown is empty."""
    rows: list[tuple[str, ...]] = []
    for row in document["settings"]:
        each = ",".join(f"{name}={value}" for name, value in (row["nodes"] or {}).items())
        rows.append((row["name"], exact(row["value"] or each), row["changed_by"]))
    return ("setting", "value", "changed_by"), rows


def settings_screen(document: Document, *, wide: bool = False) -> RenderableType:
    """The same for people."""
    from rich.console import Group
    from rich.text import Text

    table = table_of(("SETTING", False), ("VALUE", False), ("WHAT CHANGES IT", False))
    for column in table.columns[1:]:
        column.no_wrap, column.overflow = False, "fold"
    for row in document["settings"]:
        table.add_row(Text(row["name"], style="label"), _value(row, wide=wide), Text(row["changed_by"], style="quiet"))
    silent = [
        Text(f"  ! {show(node['node'])} is not known: {show(node['because'])}", style="warn")
        for node in document["silent"]
    ]
    return Group(table, *([Text(), *silent] if silent else []))


def _value(row: Document, *, wide: bool) -> str:
    """A value; of nodes that differ the first few."""
    if row["nodes"] is None:
        return show(row["value"] or "-")
    if not row["nodes"]:
        return "?"
    told = [f"{show(name)} {show(value or '-')}" for name, value in row["nodes"].items()]
    shown = told if wide else told[:NODES_SHOWN]
    more = len(told) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
