"""The screen and the rows of `dyn cluster transfers pause`, `resume` and `limit`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamo_cli.render.plain import exact, show
from dynamo_cli.render.rows import Rows, by_name, size_text

if TYPE_CHECKING:
    from rich.console import RenderableType

Document = Mapping[str, Any]


def pace_rows(document: Document) -> Rows:
    """A dyn.transfers.pace/v1 document: a row a node. Unknown is empty."""
    names = ("node", "paused_s", "limit_bps", "moving", "error")
    rows: list[tuple[str, ...]] = []
    for node in _nodes(document):
        cells = (node["paused_s"], node["limit_bps"], None if node["moving"] is None else str(node["moving"]).lower())
        told = ("" if cell is None else str(cell) for cell in cells)
        rows.append((exact(node["node"]), *told, exact(node["error"] or "")))
    return names, rows


def pace_screen(document: Document) -> RenderableType:
    """The same for people: a line for those to whom the same was said."""
    from rich.console import Group
    from rich.text import Text

    groups: dict[tuple[bool, int | None], list[str]] = {}
    lines = []
    for node in _nodes(document):
        if node["error"] is None:
            groups.setdefault((node["paused_s"] is not None, node["limit_bps"]), []).append(show(node["node"]))
        else:
            lines.append(Text(f"  ! {show(node['node'])} was not told: {show(node['error'])}", style="warn"))
    words = [f"{', '.join(names)}: {pace_text(paused=p, limit_bps=b)}" for (p, b), names in groups.items()]
    return Group(*map(Text, words), *lines)


def pace_text(*, paused: bool, limit_bps: int | None) -> str:
    """What a node is allowed to take in."""
    if paused:
        return "paused, until dyn cluster transfers resume or a restart"
    if limit_bps is None:
        return "taking in as fast as clients let it"
    return f"taking in {size_text(limit_bps)}/s at most, until a restart"


def _nodes(document: Document) -> list[Document]:
    return by_name([{**node, "name": node["node"]} for node in document["nodes"]])
