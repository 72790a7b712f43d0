"""The table of a measurement."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

COLUMNS = (
    ("OPS/S", "ops_per_s", ",.0f"),
    ("MEAN MS", "mean_ms", ".2f"),
    ("P50", "p50_ms", ".2f"),
    ("P99", "p99_ms", ".2f"),
    ("P99.9", "p999_ms", ".2f"),
    ("MAX MS", "max_ms", ".1f"),
)


def bench_screen(document: dict[str, Any]) -> RenderableType:
    """What was done, a row an operation, and what went wrong."""
    plan = document["plan"]
    mix = f" {plan['reads_percent']}/{100 - plan['reads_percent']}" if plan["op"] == "mixed" else ""
    head = (
        f"{plan['op']}{mix}  {plan['clients']} clients  pipeline {plan['pipeline']}  "
        f"{plan['keys']:,} keys x {plan['size_bytes']} B  {document['elapsed_s']:.1f} s  seed {plan['seed']}"
    )
    table = Table(box=None, show_edge=False, pad_edge=False)
    table.add_column("OP")
    for name, _, _ in COLUMNS:
        table.add_column(name, justify="right")
    for op, figures in document["ops"].items():
        table.add_row(op, *(format(figures[field], form) for _, field, form in COLUMNS))
    total = f"total  {document['ops_per_s'] or 0:,.0f} requests a second"
    if document["slowest_second"] is not None:
        total += f", slowest second {document['slowest_second']:,}"
    errors = ", ".join(f"{count:,} {prefix}" for prefix, count in document["errors"].items())
    lines: list[RenderableType] = [Text(head), Text(), table, Text(), Text(total)]
    if errors:
        lines.append(Text(f"errors {errors}", style="bold"))
    return Group(*lines)
