"""A measurement on a screen of 80 columns: a dyn.bench/v1 document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dynamo_cli.render.plain import show
from dynamo_cli.render.table import bare_table

Document = dict[str, Any]

COLUMNS = (
    ("OPS/S", "ops_per_s", ",.0f"),
    ("MEAN MS", "mean_ms", ".2f"),
    ("P50", "p50_ms", ".2f"),
    ("P95", "p95_ms", ".2f"),
    ("P99", "p99_ms", ".2f"),
    ("P99.9", "p999_ms", ".1f"),
    ("MAX MS", "max_ms", ".1f"),
)
BAR = 40
SECONDS_MAX = 30
"""Rows of the table of seconds; of a longer run only those around faults and errors are shown."""
AROUND_S = 3
DIFFERS = 0.05
"""Response and service time are both shown where their p99 differ by more than this share."""


def bench_screen(document: Document) -> RenderableType:
    """What was done, a row an operation, how it was spread, and what went wrong."""
    parts: list[RenderableType] = [_head(document), Text(), _operations(document), Text()]
    parts += [Text(line) for line in _totals(document)]
    bars = document["histogram"]
    if bars:
        parts += [Text(), _bars(bars)]
    facts = _facts(document)
    if facts.row_count:
        parts += [Text(), facts]
    if document["faults"]:
        parts += [Text(), _seconds(document)]
    return Group(*parts)


def _head(document: Document) -> Text:
    plan = document["plan"]
    mix = f" {plan['reads_percent']}/{100 - plan['reads_percent']}" if plan["op"] == "mixed" else ""
    dist = {"zipf": "  zipf 0.99", "hot": "  hot"}.get(plan["dist"], "")
    pipeline = f"  pipeline {plan['pipeline']}" if plan["pipeline"] > 1 else ""
    rate = f"  open loop {plan['rate']:,.0f}/s" if plan["rate"] else ""
    keys = f"{plan['keys']:,} keys x {plan['size_bytes']} B"
    return Text(
        f"{plan['op']}{mix}{dist}{rate}  {plan['clients']} clients{pipeline}  {keys}  "
        f"{document['elapsed_s']:.1f} s  seed {plan['seed']}"
    )


def _operations(document: Document) -> Table:
    table = bare_table()
    table.add_column("OP", no_wrap=True)
    for name, _, _ in COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    for op, figures in document["ops"].items():
        table.add_row(Text(op, style="label"), *_cells(figures))
        service = figures.get("service")
        if service is not None and figures["p99_ms"] > service["p99_ms"] * (1 + DIFFERS):
            table.add_row(Text("  from sending", style="quiet"), *_cells(service))
    return table


def _cells(figures: Document) -> Iterator[str]:
    for _, field, form in COLUMNS:
        figure = figures[field]
        yield "?" if figure is None else format(figure, form)


def _totals(document: Document) -> Iterator[str]:
    total = f"total  {document['ops_per_s'] or 0:,.0f} requests a second"
    if document["slowest_second"] is not None:
        total += f", slowest second {document['slowest_second']:,}"
    if document["stdev_per_second"] is not None:
        total += f", sd {document['stdev_per_second']:,.0f}"
    yield total
    plan = document["plan"]
    if plan["rate"]:
        late = f"{document['unsent']:,} were due and never sent" if document["unsent"] else ""
        yield "       latencies from when a request was due" + (f"; {late}" if late else "")
    if document["errors"]:
        yield "errors " + ", ".join(f"{count:,} {show(prefix)}" for prefix, count in document["errors"].items())


def _bars(bars: list[Document]) -> Table:
    """The histogram, a bar a doubling."""
    table = Table(box=None, show_edge=False, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    most, total = max(bar["count"] for bar in bars), sum(bar["count"] for bar in bars)
    for index, bar in enumerate(bars):
        below = bar["below_ms"]
        edge = f"< {below:g} ms" if below is not None else ">= 8192 ms"
        drawn = "#" * round(bar["count"] / most * BAR) or ("." if bar["count"] else "")
        table.add_row(f"latency  {edge}" if not index else edge, drawn, f"{bar['count'] / total:.2%}")
    return table


def _facts(document: Document) -> Table:
    table = Table(box=None, show_edge=False, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="quiet", no_wrap=True)
    table.add_column(overflow="fold")
    nodes = [f"{show(each['node'] or each['address'])} {each['ops_per_s']:,.0f}" for each in document["by_node"]]
    if len(nodes) > 1:
        table.add_row("answered by", f"{'  '.join(nodes)}  a second")
    if merges := document.get("merges"):
        each = f", {merges['values'] / merges['settled']:.1f} values each" if merges["settled"] else ""
        one = f"; {merges['found_one']:,} reads found one value" if merges["found_one"] else ""
        table.add_row("settled", f"{merges['settled']:,} conflicts{each}{one}")
    if cpu := document.get("nodes_cpu"):
        per = "?" if cpu["us_per_request"] is None else f"{cpu['us_per_request'] / 1000:,.2f}"
        table.add_row("CPU of nodes", f"{per} ms a request ({cpu['s']:,.1f} s, {' '.join(map(show, cpu['of']))})")
    if document.get("effects"):
        table.add_row("effects", _effects(document["effects"]))
    cpu = document["generator_cpu"]
    if cpu is not None:
        table.add_row("generator", f"{cpu:.0%} of a core")
    for judged in document.get("claims") or ():
        found = "unknown" if judged["found"] is None else f"{judged['found']:,.10g}"
        table.add_row("holds" if judged["holds"] else "FAILS", f"{judged['claim']}  found {found}")
    if document.get("compared"):
        table.add_row("compared", _compared(document["compared"]))
    return table


def _effects(effects: Document) -> str:
    def figure(name: str) -> str:
        return "?" if effects[name] is None else f"{effects[name]:,}"

    parts = [
        f"keys with siblings {figure('keys_with_siblings')}",
        f"reads that found several versions {figure('reads_with_siblings')}",
        f"hints held {figure('hints_held')}",
        f"rows delivered by hints {figure('rows_delivered')}",
    ]
    if effects["called_down"]:
        parts.append(f"called down meanwhile: {' '.join(map(show, effects['called_down']))}")
    return ", ".join(parts)


def _compared(compared: Document) -> str:
    parts = [] if compared["ops_percent"] is None else [f"{compared['ops_percent']:+.1f} % requests"]
    parts += [f"{op} p99 {each['p99_ms']:+.1f} ms" for op, each in compared["ops"].items()]
    other = f"; another {', '.join(compared['differing'])} there" if compared["differing"] else ""
    return f"{', '.join(parts)} than {show(compared['with'])}{other}"


def _seconds(document: Document) -> Table:
    """What happened to each second."""
    table = bare_table()
    for name in ("SECOND", "OPS/S", "P99 MS", "ERRORS"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("WHAT HAPPENED", overflow="fold")
    seconds, faults = document["seconds"], document["faults"]
    noted = {int(fault["at_s"]) for fault in faults} | {i for i, second in enumerate(seconds) if second["errors"]}
    gap = False
    for index, second in enumerate(seconds):
        if len(seconds) > SECONDS_MAX and not any(abs(index - other) <= AROUND_S for other in noted):
            gap = True
            continue
        if gap:
            table.add_row("…", "", "", "", "")
        gap = False
        told = [_told(fault) for fault in faults if int(fault["at_s"]) == index]
        p99 = "-" if second["p99_ms"] is None else f"{second['p99_ms']:.1f}"
        table.add_row(f"{index}-{index + 1}", f"{second['ops']:,}", p99, f"{second['errors']:,}", "\n".join(told))
    late = [_told(fault) for fault in faults if int(fault["at_s"]) >= len(seconds)]
    if late:
        table.add_row("after", "", "", "", "\n".join(late))
    return table


def _told(fault: Document) -> str:
    wrong = f": failed, {show(fault['error'])}" if fault["error"] else ""
    return f"{fault['at_s']:.1f} s  {show(fault['fault'])}{wrong}"
