"""Faults in words: a line a node for people, a row a fault for programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamo_cli.render.plain import show
from dynamo_cli.render.rows import Rows, by_name
from dynamo_cli.render.table import bare_table

if TYPE_CHECKING:
    from rich.console import RenderableType

Document = Mapping[str, Any]

UNITS = {"ms": "ms", "percent": "%", "seconds": "s", "state": ""}
"""What says how much of it there is, by the field's name."""


def fault_screen(document: Document) -> RenderableType:
    """A dyn.fault.nodes/v1 document."""
    from rich.text import Text

    table = bare_table()
    for name in ("NODE", "FAULTS"):
        table.add_column(name)
    for node in _sorted(document):
        if node["faults"] is None:
            told = Text(f"unknown: {show(node['error'] or 'it does not tell')}", style="warn")
        elif node["faults"]:
            told = Text("\n".join(map(fault_text, node["faults"])), style="bad")
        else:
            told = Text("none", style="good")
        table.add_row(Text(show(node["node"]), style="label"), told)
    return table


def fault_text(fault: Document) -> str:
    """One fault in words."""
    a, b = show(fault.get("a") or ""), show(fault.get("b") or "")
    figure = _figure(fault)
    words = {
        "cut": f"cut: {a} and {b} do not hear each other",
        "cut1": f"cut one way: {b} does not hear {a}",
        "delay": f"delay: {a} and {b}, {figure} each way",
        "drop": f"loss: {a} and {b}, {figure} of the messages each way",
        "pause": f"pause: {figure}",
        "skew": f"clock off by {figure}",
        "disk": f"disk {figure}",
    }
    return words.get(fault["kind"], show(fault["kind"]))


def fault_rows(document: Document) -> Rows:
    """A dyn.fault.nodes/v1 document: a row a fault, and one for each node that has none or does not tell."""
    rows: list[tuple[str, ...]] = []
    for node in _sorted(document):
        name = show(node["node"])
        if not node["faults"]:
            rows.append((name, "none" if node["faults"] is not None else "unknown", "", "", ""))
        for fault in node["faults"] or ():
            ends = (show(fault.get("a") or ""), show(fault.get("b") or ""))
            rows.append((name, show(fault["kind"]), *ends, _figure(fault)))
    return ("node", "fault", "a", "b", "amount"), rows


def _figure(fault: Document) -> str:
    """How much: `200 ms`, `200-250 ms` with a jitter of 50, `30 %`, `+3600 s`, `full`."""
    for name, unit in UNITS.items():
        value = fault.get(name)
        if isinstance(value, int | float):
            jitter = fault.get("jitter_ms")
            more = f"-{value + jitter:g}" if isinstance(jitter, int | float) and jitter else ""
            return f"{value:+g} {unit}" if name == "seconds" else f"{value:g}{more} {unit}"
        if value is not None:
            return show(str(value))
    return ""


def _sorted(document: Document) -> list[Document]:
    return by_name([{**node, "name": node["node"]} for node in document["nodes"]])
