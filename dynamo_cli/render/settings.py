"""Screens and rows of saved contexts and of settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamo_cli.render.plain import exact, show
from dynamo_cli.render.table import table_of

if TYPE_CHECKING:
    from rich.console import RenderableType

Document = Mapping[str, Any]
Rows = tuple[tuple[str, ...], list[tuple[str, ...]]]

NODES_SHOWN = 2
"""Addresses of a context that a table has room for."""


def _nodes(nodes: list[str], wide: bool) -> str:
    shown = nodes if wide else nodes[:NODES_SHOWN]
    more = len(nodes) - len(shown)
    return " ".join(map(show, shown)) + (f" and {more} more" if more else "")


def contexts_screen(document: Document, *, wide: bool = False) -> RenderableType:
    """All saved contexts, the one in force marked."""
    from rich.text import Text

    if not document["contexts"]:
        return Text("no saved contexts\n\nSave one:  dyn context add NAME -n HOST:PORT")
    table = table_of(("", False), ("NAME", False), ("NODES", False), ("TLS", False), ("PASSWORD", False), ("", False))
    for saved in document["contexts"]:
        words = ["protected"] * saved["protected"] + [show(saved["problem"] or saved["note"] or "")]
        table.add_row(
            "*" if saved["in_force"] else "",
            Text(show(saved["name"]), "bold"),
            _nodes(saved["nodes"], wide),
            "yes" if saved["tls"] else "no",
            "from a file" if saved["password_file"] else "none",
            "  ".join(filter(None, words)),
        )
    return table


def context_rows(document: Document) -> Rows:
    """A row a context."""
    names = ("in_force", "name", "nodes", "tls", "password_file", "protected", "note")
    rows: list[tuple[str, ...]] = [
        ("*" if saved["in_force"] else "", exact(saved["name"]), ",".join(map(exact, saved["nodes"])),
         "yes" if saved["tls"] else "no", exact(saved["password_file"] or ""), "yes" if saved["protected"] else "no",
         exact(saved["note"] or ""))
        for saved in document["contexts"]
    ]  # fmt: skip
    return names, rows


def settings_screen(document: Document, *, origin: bool = False, wide: bool = False) -> RenderableType:
    """Every setting with its value, and what it means; `origin`: with who says so, and what it means if `wide`."""
    from rich.text import Text

    named = [("SETTING", False), ("VALUE", False)]
    meant = wide or not origin
    table = table_of(*named, *[("FROM", False)] * origin, *[("WHAT IT IS", False)] * meant)
    for setting in document["settings"]:
        default = setting["origin"] == "default"
        cells = [Text(setting["name"]), Text(show(setting["value"] or ""), "quiet" if default else "label")]
        cells += [Text(_origin(setting["origin"]), "quiet" if default else "")] * origin
        cells += [Text(setting["meaning"], "quiet")] * meant
        table.add_row(*cells)
    return table


def _origin(origin: str) -> str:
    """A file of ours by its name alone."""
    return show(origin.rpartition("/")[2] if origin.startswith("/") else origin)


def setting_rows(document: Document) -> Rows:
    """A row a setting."""
    rows: list[tuple[str, ...]] = [
        (s["name"], exact(s["value"] or ""), exact(s["origin"])) for s in document["settings"]
    ]
    return ("setting", "value", "origin"), rows


def check_screen(document: Document) -> RenderableType:
    """What each node of a context said."""
    from rich.text import Text

    table = table_of(("", False), ("NODE", False), ("CLUSTER", False), ("MS", True), ("WHY", False))
    for node in document["nodes"]:
        table.add_row(
            "ok" if node["answers"] else "no",
            Text(show(node["address"])),
            Text(show(node["cluster"] or "")),
            "" if node["took_ms"] is None else f"{node['took_ms']:.1f}",
            Text(show(node["why"] or "")),
        )
    return table


def check_rows(document: Document) -> Rows:
    """A row a node."""
    rows: list[tuple[str, ...]] = [
        (exact(n["address"]), "yes" if n["answers"] else "no", exact(n["cluster"] or ""),
         "" if n["took_ms"] is None else f"{n['took_ms']:.3f}", exact(n["why"] or ""))
        for n in document["nodes"]
    ]  # fmt: skip
    return ("node", "answers", "cluster", "took_ms", "why"), rows
