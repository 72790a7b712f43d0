"""The rows of `dyn ring show` for programs: a partition, a node or a zone each. No rich: pipes start quickly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from dynamo_cli.render.plain import exact, show
from dynamo_cli.render.rows import Rows, by_name, newcomers, ring_rows

Document = Mapping[str, Any]

UNEVEN = 0.15
"""A node is out of balance when its requests differ from the mean by more: the paper's own threshold (section 6.2)."""

REQUESTS_MIN = 1000
"""Requests of all nodes together from which on it is said who has too many: of few, the differences are chance."""


def owners_of(document: Document) -> list[list[str]]:
    """The owners of each partition; while the ring moves, those before."""
    new, n = newcomers(document), document["n"]
    return [[name for name in nodes[:n] if name not in new] for nodes in document["preference"]]


def node_rows(document: Document) -> Rows:
    """A DYN.RING document, with loads: a row a member. Unknown is empty."""
    primaries = Counter[str](document["owners"])
    replicas = Counter(name for nodes in owners_of(document) for name in nodes)
    loads = {load["node"]: load["per_s"] for load in document.get("load") or ()}
    rows: list[tuple[str, ...]] = []
    for member in by_name(document["members"]):
        name, load = member["name"], loads.get(member["name"])
        facts = (exact(name), exact(member["address"]), exact(member["zone"]), str(member["weight"]), member["state"])
        figures = (str(primaries[name]), str(replicas[name]), "" if load is None else f"{load:.1f}")
        rows.append((*map(show, facts), *figures))
    return ("node", "address", "zone", "weight", "state", "primaries", "replicas", "requests_s"), rows


def zone_rows(document: Document) -> Rows:
    """The same: a row a zone."""
    rows: list[tuple[str, ...]] = []
    for zone in zones_of(document):
        load = "" if zone["per_s"] is None else f"{zone['per_s']:.1f}"
        figures = [str(zone[name]) for name in ("nodes", "primaries", "replicas", "partitions")]
        rows.append((exact(zone["zone"]), *figures, load))
    return ("zone", "nodes", "primaries", "replicas", "partitions", "requests_s"), rows


def zones_of(document: Document) -> list[dict[str, Any]]:
    """Every zone with what its members have: primaries, replicas, in how many partitions it has a replica, requests."""
    zone = {member["name"]: member["zone"] for member in document["members"]}
    loads = {load["node"]: load["per_s"] for load in document.get("load") or ()}
    owners = owners_of(document)
    found = []
    for name in sorted(dict.fromkeys(zone.values())):
        told = [loads.get(node) for node in zone if zone[node] == name]
        found.append(
            {
                "zone": name,
                "nodes": len(told),
                "primaries": sum(zone.get(owner) == name for owner in document["owners"]),
                "replicas": sum(zone.get(node) == name for nodes in owners for node in nodes),
                "partitions": sum(any(zone.get(node) == name for node in nodes) for nodes in owners),
                "per_s": None if None in told else sum(load for load in told if load is not None),
            }
        )
    return found


def strip_rows(document: Document) -> Rows:
    """The same: a row a partition, with its primary alone."""
    names, rows = ring_rows(document)
    kept = [names.index(name) for name in ("partition", "primary", "moves_to")]
    return tuple(names[at] for at in kept), [tuple(row[at] for at in kept) for row in rows]


RING_ROWS: dict[str, Callable[[Document], Rows]] = {
    "node": node_rows, "partition": ring_rows, "zone": zone_rows, "strip": strip_rows,
}  # fmt: skip
