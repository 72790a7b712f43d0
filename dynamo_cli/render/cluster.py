"""The screens of `dyn cluster status`, `hints` and `views`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dynamo_cli.render.plain import show
from dynamo_cli.render.rows import by_name, duration_text, size_text
from dynamo_cli.render.table import bare_table

Document = Mapping[str, Any]

HEALTH_STYLES = {"healthy": "good", "degraded": "warn", "critical": "bad"}
STATE_STYLES = {"up": "good", "suspect": "warn"}


def status_screen(document: Document, *, wide: bool = False) -> RenderableType:
    """A DYN.STATUS document: health and its reasons, a row a node, and what waits or differs."""
    nodes = document["nodes"]
    up = sum(node["state"] == "up" for node in nodes)
    head = Text.assemble(
        ("cluster ", "quiet"), (show(document["cluster"]), "label"), (f"   epoch {document['epoch']}", "quiet")
    )
    if document.get("n"):
        head.append(f"   N={document['n']} R={document['r']} W={document['w']}", style="quiet")
    if document.get("answered_by"):
        head.append(f"   as {show(document['answered_by'])} sees it", style="quiet")
    health = Text(show(document["health"]).upper(), style=HEALTH_STYLES.get(document["health"], "bad"))
    health.append(f"  {up} of {len(nodes)} nodes up", style="default")
    lines: list[RenderableType] = [head, health]
    lines += [Text(f"  ! {show(reason)}", style="warn") for reason in document["reasons"]]
    return Group(*lines, Text(), node_table(document, wide=wide), Text(), *facts(document))


def node_table(document: Document, *, wide: bool = False) -> Table:
    """A row a node, made for 80 columns; `wide` adds zones, partitions and hints and cuts nothing."""
    nodes = document["nodes"]
    total = sum(node["partitions"] or 0 for node in nodes) or 1
    voices = sum(node["uptime_s"] is not None for node in nodes)
    table = bare_table()
    for name in ("STATE", "NODE", "ADDRESS", *(("ZONE",) if wide else ())):
        table.add_column(name, no_wrap=not wide, overflow="fold" if wide else "ellipsis")
    for name in ("OWNS", *(("PARTITIONS", "HINTS") if wide else ()), "KEYS", "DISK", "P99", "UP", "SEEN"):
        table.add_column(name, justify="right", no_wrap=True)
    for node in by_name(nodes):
        owned, size, uptime_s = node["partitions"], node["bytes"], node["uptime_s"]
        table.add_row(
            Text(show(node["state"]), style=STATE_STYLES.get(node["state"], "bad")),
            Text(show(node["name"]), style="label"),
            show(node["address"]),
            *((show(node["zone"] or "-"),) if wide else ()),
            "?" if owned is None else f"{owned / total:.1%}",
            *((_figure(owned, "{}"), _figure(node["hints"], "{:,}")) if wide else ()),
            _figure(node["keys"], "{:,}"),
            "?" if size is None else size_text(size),
            _figure(node["p99_ms"], "{:.1f} ms"),
            "?" if uptime_s is None else duration_text(uptime_s),
            f"{len(node['seen_by'])}/{voices}",
        )
    return table


def facts(document: Document) -> list[Text]:
    """What waits, and whether the nodes agree: one line each, with the command that shows more."""
    lines = []
    if document["siblings"]:
        plural = "keys have" if document["siblings"] > 1 else "key has"
        lines.append(Text(f"conflicts  {document['siblings']} {plural} siblings: dyn keys --siblings", style="warn"))
    elif document["siblings"] == 0:
        lines.append(Text("conflicts  none"))
    if document["hints"]:
        lines.append(
            Text(f"hints      {document['hints']:,} waiting for their owners: dyn cluster hints", style="warn")
        )
    if document["transfers"]:
        lines.append(Text(f"transfers  {document['transfers']} partitions on the move"))
    repair = document["repair"]
    if repair["last_pass_s_ago"] is not None:
        ago = duration_text(repair["last_pass_s_ago"])
        lines.append(Text(f"repair     last full pass {ago} ago, {repair['divergent']} divergent"))
    if document.get("views"):
        return lines  # they stand below, with the same words
    if document["views_agree"]:
        lines.append(Text("views      the nodes that answer agree on members and epoch"))
    else:
        lines.append(Text("views      the nodes DIFFER on members or epoch: dyn cluster views", style="warn"))
    return lines


def hints_screen(document: Document) -> RenderableType:
    """A DYN.HINTS document: a row a pair of nodes, with the reason why the rows still wait."""
    held = document["held"]
    if not held:
        return Text("no hints: every owner has what was written for it")
    rows, size = sum(hint["keys"] for hint in held), sum(hint["bytes"] for hint in held)
    head = Text(
        f"{rows:,} {'rows wait for their owners' if rows != 1 else 'row waits for its owner'}, {size_text(size)}",
        style="warn",
    )
    table = bare_table()
    for name in ("FOR", "KEPT BY"):
        table.add_column(name, no_wrap=True, overflow="ellipsis", max_width=20)
    for name in ("ROWS", "SIZE", "OLDEST"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("WAITS BECAUSE", overflow="fold")
    for hint in held:
        table.add_row(
            Text(show(hint["for"]), style="label"),
            show(hint["by"]),
            f"{hint['keys']:,}",
            size_text(hint["bytes"]),
            duration_text(hint["oldest_s"]),
            show(hint["waits_because"]),
        )
    return Group(head, Text(), table)


def delivered_screen(document: Document) -> RenderableType:
    """A dyn.hints.delivered/v1 document: what got to its owners, what waits, and who could not be asked."""
    total = sum(done["keys"] for done in document["delivered"])
    rows = "row was" if total == 1 else "rows were"
    head = Text(f"{total:,} {rows} delivered" if total else "nothing was delivered", style="good" if total else "")
    head.append(f"   {document['took_s']:.1f} s", style="quiet")
    lines: list[RenderableType] = [head]
    if total:
        table = bare_table()
        for name in ("FOR", "KEPT BY"):
            table.add_column(name, no_wrap=True, overflow="ellipsis", max_width=20)
        table.add_column("DELIVERED", justify="right", no_wrap=True)
        for done in document["delivered"]:
            table.add_row(Text(show(done["for"]), style="label"), show(done["by"]), f"{done['keys']:,}")
        lines += [Text(), table]
    if document["held"] or not document["silent"]:
        lines += [Text(), hints_screen(document)]
    silent = [
        Text(f"  ! what {show(node['node'])} keeps is not known: {show(node['because'])}", style="warn")
        for node in document["silent"]
    ]
    return Group(*lines, *([Text(), *silent] if silent else []))


def views_screen(document: Document) -> RenderableType:
    """A DYN.VIEWS document: a row a node that answered, a column a node that is seen."""
    views = document["views"]
    names = [node["name"] for node in by_name([{"name": name} for name in {n: 0 for v in views for n in v["sees"]}])]
    head = Text("the nodes that answer agree on members and epoch")
    if not document["agree"]:
        head = Text("the nodes DIFFER: who does not answer a node is down for that node", style="warn")
    table = bare_table()
    for name in ("VIEW OF", "EPOCH"):
        table.add_column(name, no_wrap=True, overflow="ellipsis", max_width=20)
    for name in names:
        table.add_column(show(name), overflow="fold")
    for view in by_name([{"name": view["of"], **view} for view in views]):
        states = [view["sees"].get(name, "?") for name in names]
        table.add_row(
            Text(show(view["of"]), style="label"),
            "?" if view["epoch"] is None else str(view["epoch"]),
            *(Text(show(state), style=STATE_STYLES.get(state, "bad")) for state in states),
        )
    return Group(head, Text(), table)


def _figure(value: float | None, form: str) -> str:
    return "?" if value is None else form.format(value)
