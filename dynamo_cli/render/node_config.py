"""The screen and the rows of `dyn node config` and `dyn node start --check-config`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamo_cli.render.plain import exact, show
from dynamo_cli.render.rows import Rows
from dynamo_cli.render.table import table_of

if TYPE_CHECKING:
    from rich.console import RenderableType

Document = Mapping[str, Any]


def config_rows(document: Document) -> Rows:
    """A dyn.node.config/v1 document: a row a setting. Unknown is empty."""
    rows: list[tuple[str, ...]] = [
        tuple(exact(row[name] or "") for name in ("name", "value", "origin")) for row in document["settings"]
    ]
    return ("setting", "value", "origin"), rows


def config_screen(document: Document, *, origin: bool) -> RenderableType:
    """The same for people, in words where nobody knows."""
    from rich.text import Text

    table = table_of(("SETTING", False), ("VALUE", False), *[("FROM", False)] * origin)
    for column in table.columns[1:]:
        column.no_wrap, column.overflow = False, "fold"
    for row in document["settings"]:
        default = (row["origin"] or "default").startswith("default")
        cells = [Text(show(row["name"]), style="label"), Text(show(row["value"] or "-"), "quiet" if default else "")]
        cells += [Text(show(row["origin"] or "?"), "quiet" if default else "")] * origin
        table.add_row(*cells)
    return table
