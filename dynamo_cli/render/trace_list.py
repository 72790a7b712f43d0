"""The traces that nodes keep: a line each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamo_cli.render.plain import decode, quoted, shortened, show
from dynamo_cli.render.rows import Rows
from dynamo_cli.told import items, number, whole, word

if TYPE_CHECKING:
    from rich.console import RenderableType

Document = Mapping[str, Any]

KEY_COLUMNS = 24
OK = "ok"


def key_text(trace: Document) -> str:
    """The key that a trace is of, as it is shown; `?` if a node says what is none."""
    try:
        return quoted(decode(word(trace, "key"), word(trace, "enc", "utf8")))
    except ValueError:
        return "?"


def trace_list_rows(document: Document) -> Rows:
    """A dyn.traces/v1 document: a row a trace."""
    names = ("id", "at", "op", "key", "node", "answered_ms", "steps", "error")
    return names, [
        tuple("" if trace.get(name) is None else show(str(trace[name])) for name in names)
        for trace in items(document, "traces")
    ]


def trace_list_screen(document: Document) -> RenderableType:
    """A dyn.traces/v1 document, made for 80 columns."""
    from rich.text import Text

    from dynamo_cli.render.table import bare_table

    traces = items(document, "traces")
    if not traces:
        return Text("no request was followed lately", style="quiet")
    table = bare_table()
    for name, right in (("ID", False), ("AT", False), ("OP", False), ("KEY", False), ("ANSWERED", True),
                        ("STEPS", True), ("ENDED", False)):  # fmt: skip
        table.add_column(name, justify="right" if right else "left", no_wrap=True, overflow="ellipsis")
    for trace in traces:
        answered, steps, error = number(trace, "answered_ms"), whole(trace, "steps"), word(trace, "error", "")
        key = key_text(trace)
        table.add_row(
            Text(show(word(trace, "id")), style="label"), Text(show(word(trace, "at")[11:19])),
            Text(show(word(trace, "op"))), Text(shortened(key, KEY_COLUMNS)),
            Text("?" if answered is None else f"{answered:.1f} ms"), Text("?" if steps is None else str(steps)),
            Text(show(error) or OK, style="bad" if error else "good"),
        )  # fmt: skip
    return table
