"""The screen and the rows of `dyn ring simulate`: what each step moves, the nodes before and after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamo_cli.render.plain import show
from dynamo_cli.render.rows import Rows, by_name
from dynamo_cli.render.table import table_of

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

Document = Mapping[str, Any]

NODES_SHOWN = 24
"""Rows of nodes unless `wide`: those that change most come first."""


def simulate_rows(document: Document) -> Rows:
    """A dyn.ring.simulate/v1 document: a row a node."""
    names = ("node", "zone", "weight", "primaries_before", "primaries_after", "replicas_before", "replicas_after",
             "gains", "gives")  # fmt: skip
    rows: list[tuple[str, ...]] = []
    for node in by_name(document["nodes"]):
        held = [str(node[what][when]) for what in ("primaries", "replicas") for when in ("before", "after")]
        who = (show(node["name"]), show(node["zone"]), str(node["weight"]))
        rows.append((*who, *held, str(node["gains"]), str(node["gives"])))
    return names, rows


def simulate_screen(document: Document, *, wide: bool = False) -> RenderableType:
    """A dyn.ring.simulate/v1 document, made for 80 columns."""
    from rich.console import Group
    from rich.text import Text

    from dynamo_cli.render.ring import checks

    ring, steps = document["ring"], document["steps"]
    zones = len({member["zone"] for member in ring["members"]})
    within = f" in {zones} zones" if zones > 1 else ""
    facts = f"{ring['partitions']} partitions   N={ring['n']}   {len(ring['members'])} nodes{within}"
    lines: list[RenderableType] = [
        Text.assemble(("ring ", "quiet"), ("simulated", "label"), (f"   {facts}   nothing is changed", "quiet")), Text()
    ]  # fmt: skip
    if steps:
        lines += [_steps(steps), Text()]
    lines += [_nodes(document, wide=wide), *_left_out(document, wide=wide), Text()]
    if steps:
        share = document["moves"] / document["replicas"]
        lines.append(Text(f"moves       {document['moves']:,} of {document['replicas']:,} replicas, {share:.1%}"))
    if document["keys"]:
        moved, total = document["keys"]["rows_moved"], document["keys"]["total"]
        lines.append(Text(f"rows        about {moved:,} copies would move, for {total:,} keys"))
    return Group(*lines, *checks(ring))


def _steps(steps: list[Document]) -> Table:
    """A row a change: what it moves, beside the least that any way would, and the ring after it."""
    table = table_of(
        ("CHANGE", False), *((name, True) for name in ("MOVES", "OF ALL", "LEAST", "WORST/MEAN", "PRIMARIES"))
    )
    for step in steps:
        low, high = step["primaries"]
        table.add_row(
            show(step["change"]),
            f"{step['moves']:,}",
            f"{step['of_all']:.1%}",
            f"{step['least']:,}",
            f"{step['worst_by_mean']:.2f}",
            f"{low} to {high}",
        )
    return table


def _nodes(document: Document, *, wide: bool) -> Table:
    """A row a node: before and after, and what passes through it on the way."""
    from rich.text import Text

    nodes = _shown(document, wide=wide)
    zones = len({node["zone"] for node in document["nodes"]}) > 1
    weights = len({node["weight"] for node in document["nodes"]}) > 1
    some = [("NODE", False), *([("ZONE", False)] if zones else []), *([("WEIGHT", True)] if weights else [])]
    table = table_of(*some, ("PRIMARY", True), ("REPLICAS", True), ("GAINS", True), ("GIVES", True))
    for node in nodes:
        table.add_row(
            Text(show(node["name"]), style="label"),
            *([show(node["zone"] or "-")] if zones else []),
            *([str(node["weight"])] if weights else []),
            _change(node["primaries"]),
            _change(node["replicas"]),
            Text(str(node["gains"] or ""), style="good"),
            Text(str(node["gives"] or ""), style="warn"),
        )
    return table


def _shown(document: Document, *, wide: bool) -> list[Document]:
    nodes = by_name(document["nodes"])
    if wide or len(nodes) <= NODES_SHOWN:
        return nodes
    moved = sorted(nodes, key=lambda node: -(node["gains"] + node["gives"]))[:NODES_SHOWN]
    return by_name(moved)


def _left_out(document: Document, *, wide: bool) -> list[RenderableType]:
    from rich.text import Text

    left = len(document["nodes"]) - len(_shown(document, wide=wide))
    return [Text(f"… {left} more, that change less: -o wide", style="quiet")] if left else []


def _change(held: Document) -> str:
    before, after = held["before"], held["after"]
    return str(after) if before == after else f"{before} -> {after}"
