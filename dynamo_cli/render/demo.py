"""The demos of a machine as people see them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from dynamo_cli.render.plain import show
from dynamo_cli.render.table import bare_table

Document = dict[str, Any]


def demos_screen(document: Document) -> RenderableType:
    """A dyn.demo.list/v1 document."""
    table = bare_table()
    for name in ("DEMO", "STATE", "NODES", "FIRST", "DATA"):
        table.add_column(name, overflow="fold", no_wrap=name in ("NODES", "FIRST"))
    for demo in document["demos"]:
        running = demo["state"] == "running"
        state = f"running ({show(demo['by'])})" if running else demo["state"]
        data = f"{show(demo['folder'])}{' (temporary)' if demo['temporary'] else ''}"
        table.add_row(
            Text(show(demo["name"]), style="label"), Text(state, style="good" if running else "quiet"),
            Text(_nodes(demo)), Text(f":{demo['base_port'] + 1}"), Text(data),
        )  # fmt: skip
    lines = [line for demo in document["demos"] for line in _trouble(demo)]
    return Group(table, *([Text(), *lines] if lines else [])) if document["demos"] else Text("no demos", style="quiet")


def _nodes(demo: Document) -> str:
    nodes = demo["nodes"]
    if nodes is None:
        return "?"
    up = sum(node["state"] == "up" for node in nodes)
    return f"{up}/{len(nodes)} up" if demo["state"] == "running" else str(len(nodes))


def _trouble(demo: Document) -> Iterator[Text]:
    """Nodes that are not up, and what those said last that crashed."""
    for node in demo["nodes"] or ():
        if node["state"] in ("up", "stopped"):
            continue
        yield Text(f"{show(demo['name'])}: {show(node['name'])} {show(node.get('how') or node['state'])}")
        for line in node.get("said") or ():
            yield Text(f"  {show(node['name'])} | {show(line)}", style="quiet")
