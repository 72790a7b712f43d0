"""Screens of values: one value, siblings, and where a key lives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dynamo_cli.render.plain import clock_text, decode, quoted, show, show_lines, sibling_label
from dynamo_cli.render.rows import reading_values, size_text, time_text
from dynamo_cli.render.siblings import Siblings, value_text

Document = Mapping[str, Any]


def reading_screen(document: Document, *, wide: bool = False) -> RenderableType:
    """A dyn.get/v1 document: the value with its story below it, or all siblings in a table."""
    values = document["values"]
    if len(values) != 1:
        return Siblings(document, wide=wide)
    [value], [data] = values, reading_values(document)
    body = Text(show_lines(data) if data else '""', style="value")
    return Group(body, story_line(value, len(data)))


def story_line(value: Document, size: int) -> Text:
    """Clock, writer, time and size of one value, in one line."""
    line = Text(clock_text(value["clock"]), style="clock")
    parts = [f"by {show(value['writer'])}" if value["writer"] else "", time_text(value["written_at"]), size_text(size)]
    return line.append("".join(f"  {part}" for part in parts if part), style="quiet")


CLOCKS_COLUMNS = 32
"""Clocks of one replica that leave room for a note beside them."""
VERDICT_STYLES = {"ok": "good", "conflict": "warn", "stale": "warn", "deleted": "quiet", "absent": "quiet"}


def explain_screen(document: Document, *, wide: bool = False) -> RenderableType:
    """A DYN.EXPLAIN document: where the key lives, what each replica holds, and the verdict."""
    key = decode(document["key"], document["enc"])
    place = f"md5 {show(document['md5'])[:8]}…   partition {document['partition']}   epoch {document['epoch']}"
    head = Text.assemble(("key  ", "label"), quoted(key), (f"   {size_text(len(key))}   {place}", "quiet"))
    table = Table(box=None, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0), header_style="heading")
    clocks = [" ".join(clock_text(v["clock"]) for v in replica["versions"] or []) for replica in document["replicas"]]
    told = wide or max(map(len, clocks), default=0) <= CLOCKS_COLUMNS  # else HOLDS and the list below must do
    for name in ("REPLICA", "ROLE", "STATE", "HOLDS", *(("VERSIONS",) if told else ()), "NOTE"):
        table.add_column(name, no_wrap=name != "NOTE", overflow="ellipsis")
    labels = {repr(version["clock"]): sibling_label(i) for i, version in enumerate(document["merged"])}
    for replica, clock in zip(document["replicas"], clocks, strict=True):
        versions = replica["versions"] or []
        holds = "?" if replica["versions"] is None else " ".join(labels.get(repr(v["clock"]), "old") for v in versions)
        note = f"hint for {replica['hint_for']}" if replica["hint_for"] else replica["note"] or ""
        table.add_row(
            Text(show(replica["node"]), style="label"),
            show(replica["role"]),
            Text(show(replica["state"]), style="good" if replica["state"] == "up" else "bad"),
            holds or "-",
            *((Text(clock or "-", style="clock"),) if told else ()),
            Text(show(note), style="quiet"),
        )
    lines: list[RenderableType] = [head, Text(), table, Text()]
    for index, version in enumerate(document["merged"]):
        value = "deleted" if version["deleted"] else value_text(decode(version["value"], version["enc"]))
        label = Text(f"{sibling_label(index)}  ", style="label", overflow="ellipsis", no_wrap=not wide)
        lines.append(label.append(clock_text(version["clock"]), style="clock").append(f"  {value}", style="value"))
    verdict = Text("verdict  ", style="label")
    verdict.append(show(document["verdict"]).upper(), style=VERDICT_STYLES.get(document["verdict"], "bad"))
    lines.append(verdict.append(f"  {show(document['why'])}"))
    lines += [Text(f"repairs  {show(str(item))}") for item in document["repairs"]]
    lines += [Text(f"survives {show(str(item))}") for item in document["survives"]]
    return Group(*lines)
