"""The screens and the rows of `dyn node info` and `dyn node ping`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from dynamo_cli.render.plain import show
from dynamo_cli.render.rows import Rows, duration_text, size_text

if TYPE_CHECKING:
    from rich.console import RenderableType

Document = Mapping[str, Any]


def info_rows(document: Document) -> Rows:
    """A dyn.node.info/v1 document: a row a fact, by its path. Unknown is empty."""
    rows: list[tuple[str, ...]] = [("node", show(document["node"] or "")), ("address", show(document["address"]))]
    for part in ("info", "settings", "storage"):
        for name, value in document[part].items():
            text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
            rows.append((f"{part}.{show(name)}", show(text)))
    return ("fact", "value"), rows


def info_screen(document: Document) -> RenderableType:
    """A dyn.node.info/v1 document, made for 80 columns."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    head = Text.assemble(
        ("node ", "quiet"), (show(document["node"] or "?"), "label"), f"  at {show(document['address'])}"
    )
    table = Table(box=None, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="quiet", no_wrap=True)
    table.add_column(overflow="fold")
    for name, told in _facts(document["info"], document["settings"], document["storage"]):
        table.add_row(name, show(told))
    return Group(head, Text(), table)


def _facts(info: Document, settings: Document, storage: Document) -> Iterator[tuple[str, str]]:
    def of(source: Document, name: str) -> str:
        return str(source.get(name) or "?")

    up_s, rss, free = info.get("uptime_in_seconds", ""), info.get("used_memory_rss", ""), storage.get("free_bytes")
    yield "release", f"dyn {of(info, 'dyn_version')}, protocol {of(info, 'wire_oldest')} to {of(info, 'wire_newest')}"
    yield "process", f"{of(info, 'process_id')}, up {duration_text(int(up_s)) if str(up_s).isdigit() else '?'}"
    memory = size_text(int(rss)) if str(rss).isdigit() else "?"
    yield "memory", f"{memory}, {of(info, 'connected_clients')} of at most {of(info, 'maxclients')} clients"
    yield "cluster", f"{of(info, 'cluster')} ({of(info, 'cluster_id')[:8]}), {of(info, 'members')} members"
    yield "node id", of(info, "node_id")
    listen = of(settings, "listen")
    ports = f"{of(settings, 'port')} clients, {of(info, 'peer_port')} nodes, {of(info, 'http_port')} HTTP"
    yield "listens", f"{listen}: {ports}; TLS {'on' if info.get('tls') == '1' else 'off'}"
    place = (
        f"zone {settings.get('zone') or '-'}, weight {of(settings, 'weight')}, {of(settings, 'partitions')} partitions"
    )
    yield "place", place
    yield "data", f"{of(settings, 'data-dir')}, durability {of(settings, 'durability')}"
    room = size_text(free) if isinstance(free, int) else "?"
    yield "disk", f"{room} free, room is {of(storage, 'room')}"


def ping_rows(document: Document) -> Rows:
    """A dyn.node.ping/v1 document: a row a node. The least and the mean time, in ms; empty for one that is silent."""
    rows: list[tuple[str, ...]] = []
    for each in document["nodes"]:
        ms = each["ms"]
        times = ("", "", "") if not ms else (f"{min(ms):.3f}", f"{sum(ms) / len(ms):.3f}", f"{max(ms):.3f}")
        rows.append((show(each["node"]), show(each["address"]), *times, show(each["error"] or "")))
    return ("node", "address", "min_ms", "mean_ms", "max_ms", "error"), rows


def ping_screen(document: Document) -> RenderableType:
    """A dyn.node.ping/v1 document, made for 80 columns."""
    from rich.text import Text

    from dynamo_cli.render.table import NAME_COLUMNS, table_of

    table = table_of(("NODE", False), ("ADDRESS", False), ("MIN", True), ("MEAN", True), ("MAX", True), ("", False))
    table.columns[0].max_width = NAME_COLUMNS
    for each in document["nodes"]:
        ms = each["ms"]
        times = [f"{figure:.2f} ms" for figure in (min(ms), sum(ms) / len(ms), max(ms))] if ms else ["-", "-", "-"]
        silent = Text(show(each["error"] or ""), style="warn")
        table.add_row(Text(show(each["node"]), style="label"), show(each["address"]), *times, silent)
    table.columns[-1].no_wrap, table.columns[-1].overflow = False, "fold"
    return table
