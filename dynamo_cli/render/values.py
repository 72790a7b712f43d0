"""Screens of values: one value, or siblings side by side with the clocks that prove them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dynamo_cli.render.plain import clock_text, decode, quoted, show, show_lines, sibling_label
from dynamo_cli.render.rows import reading_values, size_text, time_text

Document = Mapping[str, Any]


def reading_screen(document: Document, *, wide: bool = False) -> RenderableType:
    """A dyn.get/v1 document: the value with its story below it, or all siblings in a table."""
    values = document["values"]
    if len(values) != 1:
        return Group(*sibling_lines(document, wide=wide))
    [value], [data] = values, reading_values(document)
    body = Text(show_lines(data) if data else '""', style="value")
    return Group(body, story_line(value, len(data)))


def story_line(value: Document, size: int) -> Text:
    """Clock, writer, time and size of one value, in one line."""
    line = Text(clock_text(value["clock"]), style="clock")
    parts = [f"by {show(value['writer'])}" if value["writer"] else "", time_text(value["written_at"]), size_text(size)]
    return line.append("".join(f"  {part}" for part in parts if part), style="quiet")


def sibling_lines(document: Document, *, wide: bool = False) -> list[RenderableType]:
    """The heading, the table and the common past of a key's siblings."""
    values = document["values"]
    heading = Text(f"! {len(values)} siblings: their writers did not see each other", style="warn")
    table = Table(box=None, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0), header_style="heading")
    table.add_column("")
    table.add_column("VALUE", overflow="fold" if wide else "ellipsis", no_wrap=not wide, ratio=None)
    for name in ("CLOCK", "WRITER", "WRITTEN", "SIZE"):
        table.add_column(name, no_wrap=True, justify="right" if name == "SIZE" else "left")
    for index, (value, data) in enumerate(zip(values, reading_values(document), strict=True)):
        table.add_row(
            Text(sibling_label(index), style="label"),
            Text(value_text(data), style="value"),
            Text(clock_text(value["clock"]), style="clock"),
            Text(show(value["writer"] or ""), style="quiet"),
            Text(time_text(value["written_at"]), style="quiet"),
            Text(size_text(len(data)), style="quiet"),
        )
    lines: list[RenderableType] = [heading, table]
    past = common_past(values)
    if past is not None:
        who = "all" if len(values) > 2 else "both"
        follow = f"{who} follow {clock_text(past)}" if past else "they have no common past"
        lines.append(Text(follow + events_text(values), style="quiet"))
    return lines


EVENTS_SHOWN_MAX = 5
"""Siblings whose events fit a line."""


def events_text(values: Sequence[Document]) -> str:
    """Each sibling's own event. Without it, {n3:2} would seem to have seen {n3:1}: two writes through one node."""
    dots = [value.get("dot") for value in values]
    if len(dots) > EVENTS_SHOWN_MAX or not all(isinstance(dot, str) for dot in dots):
        return ""
    return ":  " + ", ".join(f"{sibling_label(i)} is event {show(str(dot))}" for i, dot in enumerate(dots))


def common_past(values: Sequence[Document]) -> dict[str, int] | None:
    """What all writers had seen, as a clock: the smallest count a node has in all pasts. None where it is not told."""
    pasts: list[dict[str, int]] = [value["past"] for value in values if value.get("past") is not None]
    if len(pasts) < len(values):
        return None
    return {node: min(past[node] for past in pasts) for node in pasts[0] if all(node in past for past in pasts)}


def value_text(data: bytes) -> str:
    """A value in a cell: escaped, and in quotes when it is empty or begins or ends with a space."""
    text = show(data)
    return f'"{text}"' if text != text.strip() or not text else text


VERDICT_STYLES = {"ok": "good", "conflict": "warn", "stale": "warn", "deleted": "quiet", "absent": "quiet"}


def explain_screen(document: Document, *, wide: bool = False) -> RenderableType:
    """A DYN.EXPLAIN document: where the key lives, what each replica holds, and the verdict."""
    key = decode(document["key"], document["enc"])
    place = f"md5 {show(document['md5'])[:8]}…   partition {document['partition']}   epoch {document['epoch']}"
    head = Text.assemble(("key  ", "label"), quoted(key), (f"   {size_text(len(key))}   {place}", "quiet"))
    table = Table(box=None, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0), header_style="heading")
    for name in ("REPLICA", "ROLE", "STATE", "HOLDS", "VERSIONS", "NOTE"):
        table.add_column(name, no_wrap=name != "NOTE", overflow="ellipsis")
    labels = {repr(version["clock"]): sibling_label(i) for i, version in enumerate(document["merged"])}
    for replica in document["replicas"]:
        versions = replica["versions"] or []
        holds = "?" if replica["versions"] is None else " ".join(labels.get(repr(v["clock"]), "old") for v in versions)
        note = f"hint for {replica['hint_for']}" if replica["hint_for"] else replica["note"] or ""
        table.add_row(
            Text(show(replica["node"]), style="label"),
            show(replica["role"]),
            Text(show(replica["state"]), style="good" if replica["state"] == "up" else "bad"),
            holds or "-",
            Text(" ".join(clock_text(v["clock"]) for v in versions) or "-", style="clock"),
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
