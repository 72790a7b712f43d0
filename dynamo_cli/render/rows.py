"""The plain and csv formats: one document in, column names and rows of safe text out; and the words for figures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from dynamo_cli.render.plain import clock_text, decode, exact, show

Document = Mapping[str, Any]
Rows = tuple[tuple[str, ...], list[tuple[str, ...]]]


def by_name(members: Iterable[Document]) -> list[Document]:
    """Members or nodes in the order of their names, n2 before n10."""
    return sorted(
        members, key=lambda m: [(not part.isdigit(), part.zfill(20)) for part in re.split(r"(\d+)", m["name"])]
    )


def newcomers(document: Document) -> list[str]:
    """Who gets its first seat by the move that is under way in a DYN.RING document: it owns nothing yet."""
    moving = document.get("moving") is not None
    return [m["name"] for m in document["members"] if moving and m["state"] == "joining" and m.get("owns", True)]


def reading_values(document: Document) -> list[bytes]:
    """The values of a dyn.get/v1 document as bytes."""
    return [decode(value["value"], value["enc"]) for value in document["values"]]


def reading_rows(document: Document) -> Rows:
    """One or several dyn.get/v1 documents: a row a value."""
    rows: list[tuple[str, ...]] = []
    for reading in document.get("readings") or [document]:
        key = exact(decode(reading["key"], reading["enc"]))
        for value, data in zip(reading["values"], reading_values(reading), strict=True):
            clock = "" if value["clock"] is None else clock_text(value["clock"])
            rows.append((key, exact(data), clock, show(value["writer"] or ""), value["written_at"] or ""))
    return ("key", "value", "clock", "writer", "written_at"), rows


def status_rows(document: Document) -> Rows:
    """DYN.STATUS: a row a node. Unknown is empty. With the views of all: the epoch and the states that each tells."""
    names = (
        "name",
        "address",
        "zone",
        "state",
        "seen_by",
        "keys",
        "bytes",
        "partitions",
        "hints",
        "p99_ms",
        "uptime_s",
    )
    rows = [tuple(_cell(node.get(name)) for name in names) for node in by_name(document["nodes"])]
    if not document.get("views"):
        return names, rows
    told = {view["of"]: view for view in document["views"]["views"]}
    views = [told.get(node["name"], {}) for node in by_name(document["nodes"])]
    return (*names, "epoch", "sees"), [
        (*row, _cell(view.get("epoch")), _cell([f"{name}={state}" for name, state in view.get("sees", {}).items()]))
        for row, view in zip(rows, views, strict=True)
    ]


def hint_rows(document: Document) -> Rows:
    """DYN.HINTS: a row a pair of nodes."""
    names = ("for", "by", "keys", "bytes", "oldest_s", "waits_because")
    return names, [tuple(_cell(hint[name]) for name in names) for hint in document["held"]]


def delivered_rows(document: Document) -> Rows:
    """dyn.hints.delivered/v1: a row a pair of nodes, with what was delivered and what waits. Unknown is empty."""
    names = ("for", "by", "delivered", "keys", "bytes", "oldest_s", "waits_because")
    rows: dict[tuple[str, str], dict[str, object]] = {}
    for done in document["delivered"]:
        rows[done["for"], done["by"]] = {"for": done["for"], "by": done["by"], "delivered": done["keys"], "keys": 0}
    for hint in document["held"]:
        rows[hint["for"], hint["by"]] = {**rows.get((hint["for"], hint["by"]), {"delivered": 0}), **hint}
    for silent in document["silent"]:
        rows["", silent["node"]] = {"by": silent["node"], "waits_because": silent["because"]}
    return names, [tuple(_cell(row.get(name)) for name in names) for row in rows.values()]


def view_rows(document: Document) -> Rows:
    """DYN.VIEWS: a row a node and a node that it sees."""
    rows: list[tuple[str, ...]] = [
        (_cell(view["of"]), _cell(view["epoch"]), _cell(name), _cell(state))
        for view in by_name([{"name": view["of"], **view} for view in document["views"]])
        for name, state in view["sees"].items()
    ]
    return ("of", "epoch", "sees", "state"), rows


def ring_rows(document: Document) -> Rows:
    """DYN.RING: a row a partition; `moves_to` is the primary-to-be of one that moves, and else empty."""
    n, moving = document["n"], document.get("moving") or {}
    to = {partition: moving["owners"][partition] for partition in moving.get("partitions") or ()}
    rows: list[tuple[str, ...]] = [
        (str(p), show(owner), *(",".join(map(show, part)) for part in (nodes[:n], nodes[n:])), show(to.get(p, "")))
        for p, (owner, nodes) in enumerate(zip(document["owners"], document["preference"], strict=True))
    ]
    return ("partition", "primary", "owners", "stand_ins", "moves_to"), rows


def owner_rows(document: Document) -> Rows:
    """dyn.ring.owner/v1: a row a key."""
    names = ("key", "md5", "partition", "owners", "stand_ins")
    rows = []
    for place in document["keys"]:
        key = exact(decode(place["key"], place["enc"]))
        rows.append((key, *(_cell(place[name]) for name in names[1:])))
    return names, rows


def explain_rows(document: Document) -> Rows:
    """DYN.EXPLAIN: a row a version that a replica holds, and one for a replica that holds none or does not tell."""
    names = ("node", "role", "state", "clock", "bytes", "written_at", "writer", "deleted", "note", "hint_for", "age_s")
    rows: list[tuple[str, ...]] = []
    for replica in document["replicas"]:
        about = (_cell(replica["node"]), _cell(replica["role"]), _cell(replica["state"]))
        for version in replica["versions"] or [{}]:
            clock = clock_text(version["clock"]) if version else ""
            cells = (_cell(version.get(name)) for name in names[4:8])
            more = (_cell(replica["note"]), _cell(replica["hint_for"]), _cell(version.get("age_s")))
            rows.append((*about, clock, *cells, *more))
    return names, rows


def repair_rows(document: Document) -> Rows:
    """dyn.repair/v1 or dyn.repairs/v1: a row a pass."""
    names = ("node", "running", "compared", "total", "differing", "repaired", "failed", "left_out", "took_s")
    rows = []
    for told in document.get("passes") or [document]:
        left_out = [peer["node"] for peer in told["left_out"]]
        rows.append(tuple(_cell(left_out if name == "left_out" else told[name]) for name in names))
    return names, rows


def cancel_rows(document: Document) -> Rows:
    """dyn.repair.cancel/v1, or dyn.repair.cancels/v1: a row a node."""
    nodes = document.get("nodes") or [document]
    return ("node", "cancelled"), [(_cell(each["node"]), _cell(each["cancelled"])) for each in nodes]


def key_repair_rows(document: Document) -> Rows:
    """dyn.repair.key/v1: a row an owner."""
    names = ("node", "found", "repaired", "note")
    return names, [tuple(_cell(owner[name]) for name in names) for owner in document["owners"]]


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(map(_cell, value))
    return exact(str(value))


# Figures in words -------------------------------------------------------------------------------------


def spans_text(numbers: Iterable[int], most: int | None = None) -> str:
    """Numbers in their order with what follows each other drawn together, `0-3, 7`; at most so many such pieces."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and spans[-1][-1] == number - 1:
            spans[-1][1:] = [number]
        else:
            spans.append([number])
    pieces = ["-".join(map(str, span)) for span in spans]
    return ", ".join(pieces if most is None or len(pieces) <= most else [*pieces[:most], "…"])


def time_text(written_at: str | None) -> str:
    """An RFC 3339 time as date and time of day (UTC)."""
    if not written_at:
        return ""
    date, _, clock = show(written_at).partition("T")
    return f"{date} {clock.rstrip('Z')}"


def size_text(size: int) -> str:
    """A number of bytes in at most 10 columns."""
    amount = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            break
        amount /= 1024
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def duration_text(duration_s: float) -> str:
    """A duration by its two largest units: `2h 14m`."""
    seconds = int(duration_s)
    for unit_s, unit, part_s, part in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if seconds >= unit_s:
            return f"{seconds // unit_s}{unit} {seconds % unit_s // part_s}{part}"
    return f"{seconds}s"
