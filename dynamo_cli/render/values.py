"""Screens of values: one value, siblings, and where a key lives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from dynamo_cli.render.plain import clock_text, show, show_lines
from dynamo_cli.render.rows import reading_values, size_text, time_text
from dynamo_cli.render.siblings import Siblings

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
