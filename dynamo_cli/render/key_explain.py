"""The screen of `dyn key explain`: where a key lives, what each node holds, and what that amounts to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dynamo_cli.render.plain import clock_text, decode, quoted, show, sibling_label
from dynamo_cli.render.rows import duration_text, size_text, time_text
from dynamo_cli.render.siblings import value_text
from dynamo_cli.render.table import bare_table

Document = Mapping[str, Any]

CLOCKS_COLUMNS = 24
"""Clocks of one replica that leave room for what stands beside them."""
VERDICT_STYLES = {"ok": "good", "conflict": "warn", "stale": "warn", "deleted": "quiet", "absent": "quiet"}
DELETED = "x"
"""What stands for a tombstone: letters are of what get shows."""


def explain_screen(document: Document, *, wide: bool = False) -> RenderableType:
    """A DYN.EXPLAIN document. What a node of an earlier release does not tell is left out."""
    key = decode(document["key"], document["enc"])
    place = f"md5 {show(document['md5'])[:8]}…   partition {document['partition']}   epoch {document['epoch']}"
    head = Text.assemble(("key     ", "label"), quoted(key), (f"   {size_text(len(key))}   {place}", "quiet"))
    lines: list[RenderableType] = [head, _owners(document), Text(), _replicas(document, wide=wide), Text()]
    labels = labels_of(document)
    for version in document["merged"]:
        line = Text(f"{labels[_name(version)]}  ", style="label", overflow="ellipsis", no_wrap=not wide)
        value = "deleted" if version["deleted"] else value_text(decode(version["value"], version["enc"]))
        line.append(clock_text(version["clock"]), style="clock").append(f"  {value}", style="value")
        by = f"  by {show(version['writer'])}" if version.get("writer") else ""
        lines.append(line.append(f"{by}  {time_text(version.get('written_at'))}".rstrip(), style="quiet"))
    verdict = Text(show(document["verdict"]).upper(), style=VERDICT_STYLES.get(document["verdict"], "bad"))
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(no_wrap=True, style="label")
    facts.add_column(overflow="fold")
    facts.add_row("verdict", verdict.append(f"  {show(document['why'])}", style="default"))
    for name in ("repairs", "survives"):
        for number, item in enumerate(document[name]):
            facts.add_row("" if number else name, Text(show(str(item))))
    return Group(*lines, Text(), facts)


def labels_of(document: Document) -> dict[str, str]:
    """The letter of each version that counts, by its name: those of get, and DELETED for a tombstone."""
    labels: dict[str, str] = {}
    live = 0
    for version in document["merged"]:
        labels[_name(version)] = DELETED if version["deleted"] else sibling_label(live)
        live += not version["deleted"]
    return labels


def _name(version: Document) -> str:
    """What tells versions apart: the dot, or where it is not told the clock."""
    return str(version.get("dot") or version["clock"])


def _owners(document: Document) -> Text:
    """The owners in their order, who is down and since when, and who would stand in."""
    owners = [replica for replica in document["replicas"] if replica["role"] == "owner"]
    line = Text("owners  ", style="label")
    for number, replica in enumerate(owners):
        down_s = replica.get("down_s")
        since = f" {duration_text(down_s)}" if down_s is not None else ""
        state = "" if replica["state"] == "up" else f" ({show(replica['state'])}{since})"
        line.append("  " if number else "", style="default").append(show(replica["node"]), style="default")
        line.append(" (primary)" if not number and not state else state, style="quiet" if not state else "bad")
    fallback = document.get("fallback") or []
    if fallback and any(replica["state"] != "up" for replica in owners):
        line.append(f"   next in line: {' '.join(map(show, fallback))}", style="quiet")
    return line


def _replicas(document: Document, *, wide: bool) -> Table:
    table = bare_table()
    labels = labels_of(document)
    named = [
        {**replica, "versions": _with_names(replica["versions"], document)} for replica in document["replicas"]
    ]  # fmt: skip
    clocks = [" ".join(clock_text(version["clock"]) for version in replica["versions"] or []) for replica in named]
    told = wide or max(map(len, clocks), default=0) <= CLOCKS_COLUMNS  # else HOLDS and the list below must do
    for name in ("REPLICA", "ROLE", "STATE", "HOLDS", *(("VERSIONS",) if told else ()), "AGE", "NOTE"):
        table.add_column(name, no_wrap=name != "NOTE", overflow="ellipsis")
    for replica, clock in zip(named, clocks, strict=True):
        versions = replica["versions"] or []
        holds = "?" if replica["versions"] is None else " ".join(labels.get(_name(v), "old") for v in versions)
        ages = [version["age_s"] for version in versions if version.get("age_s") is not None]
        notes = [f"hint for {replica['hint_for']}"] if replica["hint_for"] else []
        notes += [replica["note"]] if replica["note"] and (replica["role"] == "owner" or not notes) else []
        table.add_row(
            Text(show(replica["node"]), style="label"),
            show(replica["role"]),
            Text(show(replica["state"]), style="good" if replica["state"] == "up" else "bad"),
            holds or "-",
            *((Text(clock or "-", style="clock"),) if told else ()),
            Text(duration_text(max(0.0, min(ages))) if ages else "", style="quiet"),
            Text(show("; ".join(notes)), style="quiet"),
        )
    return table


def _with_names(versions: list[Document] | None, document: Document) -> list[Document] | None:
    """Versions of a replica, named as those that count are: of an earlier release by their clocks."""
    dots = any("dot" in version for version in document["merged"])
    return versions if versions is None or dots else [{**version, "dot": None} for version in versions]
