"""The screen, the rows and the lines of `dyn latency`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamo_cli.render.flow import ms_text
from dynamo_cli.render.plain import exact, shortened, show
from dynamo_cli.render.rows import Rows, by_name
from dynamo_cli.render.table import NAME_COLUMNS, table_of

if TYPE_CHECKING:
    from rich.console import RenderableType

Document = Mapping[str, Any]

WHAT = ("ping", "get", "put", "del")
FIGURES = ("p50", "p99", "p999", "max")

WIDTHS = (8, 5, 6, 6, 7, 6, 6, 6, 7, 6, 6)
ABOVE = ("", "ping", "", "", "get", "", "", "", "put", "", "")
BELOW = ("TIME", "p50", "p99", "max", "samples", "p50", "p99", "p99.9", "samples", "p50", "p99")


def latency_rows(document: Document) -> Rows:
    """A dyn.latency/v1 document: a row a node and a kind of request. Unknown is empty."""
    rows: list[tuple[str, ...]] = []
    for node in by_name([{**node, "name": node["node"]} for node in document["nodes"]]):
        for what in WHAT:
            told = node[what] or {}
            figures = ("" if told.get(name) is None else str(told[name]) for name in ("samples", *FIGURES))
            rows.append((document["at"], exact(node["node"]), what, *figures))
    return ("at", "node", "what", "samples", "p50_ms", "p99_ms", "p999_ms", "max_ms"), rows


def latency_screen(document: Document) -> RenderableType:
    """The same for people: a row a node, milliseconds."""
    from rich.console import Group
    from rich.text import Text

    table = table_of(
        ("NODE", False), *((heading, True) for heading in
                           ("PING P50", "P99", "MAX", "GET P50", "P99", "P99.9", "PUT P50", "P99", "P99.9")),
    )  # fmt: skip
    rows = by_name([{**node, "name": node["node"]} for node in document["nodes"]])
    shown = [*rows, {**document["total"], "node": "all"}] if len(rows) > 1 else rows
    for node in shown:
        cells = [shortened(show(node["node"]), min(NAME_COLUMNS, 12))]
        for what, names in (("ping", ("p50", "p99", "max")), ("get", FIGURES[:3]), ("put", FIGURES[:3])):
            told = node[what]
            cells += ["?" if told is None else ms_text(told.get(name)) for name in names]
        table.add_row(Text(cells[0], style="label"), *cells[1:])
    return Group(_head(document), Text(), table, *_silent(document))


def operations_of(document: Document) -> list[dict[str, Any]]:
    """A dyn.latency/v1 document by operation: that of all nodes together, and the node whose p99 is the worst."""
    found = []
    for what in WHAT:
        told = [(node[what]["p99"], node["node"]) for node in document["nodes"] if node[what]]
        slowest = max(((p99, name) for p99, name in told if p99 is not None), default=(None, None))
        found.append({"at": document["at"], "what": what, **document["total"][what],
                      "slowest": {"node": slowest[1], "p99": slowest[0]}})  # fmt: skip
    return found


def operation_rows(document: Document) -> Rows:
    """The same: a row an operation. Unknown is empty."""
    rows: list[tuple[str, ...]] = []
    for each in operations_of(document):
        told = {**each, "node": exact(each["slowest"]["node"] or ""), "slowest": each["slowest"]["p99"]}
        names = ("samples", *FIGURES, "node", "slowest")
        rows.append((document["at"], each["what"], *("" if told[n] is None else str(told[n]) for n in names)))
    return ("at", "what", "samples", "p50_ms", "p99_ms", "p999_ms", "max_ms", "slowest_node", "slowest_p99_ms"), rows


def operations_screen(document: Document) -> RenderableType:
    """The same for people: a row an operation, milliseconds."""
    from rich.console import Group
    from rich.text import Text

    table = table_of(
        ("", False), *((heading, True) for heading in ("SAMPLES", "P50", "P99", "P99.9", "MAX")),
        ("SLOWEST NODE", False), ("ITS P99", True),
    )  # fmt: skip
    for each in operations_of(document):
        slowest = each["slowest"]
        table.add_row(
            Text(each["what"], style="label"),
            f"{each['samples']:,}",
            *(ms_text(each[name]) for name in FIGURES),
            shortened(show(slowest["node"] or "-"), NAME_COLUMNS),
            ms_text(slowest["p99"]),
        )
    return Group(_head(document), Text(), table, *_silent(document))


def _head(document: Document) -> RenderableType:
    from rich.text import Text

    told = f"ms over {document['over_s']:.1f} s; ping from here and back, get and put as the nodes served clients"
    return Text(told, style="quiet")


def _silent(document: Document) -> list[RenderableType]:
    from rich.text import Text

    return [
        Text(f"  ! {show(node['node'])} tells nothing: {show(node['unknown_because'])}", style="warn")
        for node in by_name([{**node, "name": node["node"]} for node in document["nodes"]])
        if node["unknown_because"]
    ]


def history_header() -> str:
    """The two lines above the lines of --history."""
    return _line(ABOVE) + _line(BELOW)


def history_line(document: Document) -> str:
    """All nodes together, a line."""
    total = document["total"]
    get, put = total["get"], total["put"]
    pings = (ms_text(total["ping"][name]) for name in ("p50", "p99", "max"))
    gets = (ms_text(get[name]) for name in FIGURES[:3])
    puts = (ms_text(put[name]) for name in FIGURES[:2])
    return _line((document["at"][11:19], *pings, f"{get['samples']:,}", *gets, f"{put['samples']:,}", *puts))


def _line(cells: tuple[str, ...]) -> str:
    return " ".join(cell.rjust(width) for cell, width in zip(cells, WIDTHS, strict=True)).rstrip() + "\n"
