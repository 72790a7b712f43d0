"""`dyn ring show --by partition`, `--by zone`, `--strip`: owners by letters, zones side by side, primaries alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from dynamo_cli.render.plain import shortened, show
from dynamo_cli.render.ring import checks, color_of, head, held, letters, strip
from dynamo_cli.render.ring_rows import owners_of, zones_of
from dynamo_cli.render.table import NAME_COLUMNS, table_of

Document = Mapping[str, Any]

COLUMNS = 78
SPREADS_SHOWN = 6

STAND_INS_SHOWN = 8
"""… of each partition in the wide screen: of a thousand nodes all others are."""


def partition_screen(document: Document, *, wide: bool = False) -> RenderableType:
    """A cell a partition: its number and its owners, the primary first. `wide`: a row a partition, with all names."""
    letter = letters(document)
    if wide or not letter:
        return Group(*head(document), Text(), _long(document, wide=wide))
    color, owners, moving = color_of(document), owners_of(document), document.get("moving") or {}
    to = {partition: moving["owners"][partition] for partition in moving.get("partitions") or ()}
    digits = len(str(len(owners) - 1))
    breadth = digits + 1 + max(map(len, owners), default=1) + (2 if to else 0) + 2
    a_row = _power(COLUMNS // breadth)
    lines: list[RenderableType] = [*head(document), _legend(document), Text()]
    for begin in range(0, len(owners), a_row):
        line = Text()
        for partition in range(begin, min(begin + a_row, len(owners))):
            cell = Text(f"{partition:{digits}d} ", style="quiet")
            for name in owners[partition]:
                cell.append(letter.get(name, "?"), style=color.get(name, "bad"))
            if partition in to:
                cell.append(f">{letter.get(to[partition], '?')}", style="warn")
            cell.append(" " * (breadth - len(cell)))
            line.append_text(cell)
        lines.append(line)
    if to:
        lines += [Text(), Text(">x  gets another set of owners, with x as its primary", style="warn")]
    return Group(*lines, Text(), *checks(document))


def strip_screen(document: Document, *, wide: bool = False) -> RenderableType:
    """The primary of every partition, 64 a row, and whose letters these are."""
    legend = [_legend(document)] if letters(document) else []
    return Group(*head(document), *legend, Text(), *strip(document, wide=wide))


def _power(number: int) -> int:
    """The greatest power of two that is not more: rows that begin at round numbers."""
    return 1 << (max(1, number).bit_length() - 1)


def _legend(document: Document) -> Text:
    """Which letter is whom, in as many lines as it takes."""
    color, line, width = color_of(document), Text(), 0
    for each in held(document):
        name = shortened(show(each.name), NAME_COLUMNS)
        cell = f"{each.letter}={name}{f' ({each.note})' if each.note else ''}"
        if width and width + len(cell) + 2 > COLUMNS:
            line.append("\n")
            width = 0
        line.append(f"{'  ' if width else ''}")
        line.append(cell[:1], style=color[each.name])
        line.append(cell[1:])
        width += len(cell) + (2 if width else 0)
    return line


def _long(document: Document, *, wide: bool) -> RenderableType:
    moving = document.get("moving") or {}
    to = {partition: moving["owners"][partition] for partition in moving.get("partitions") or ()}
    n = document["n"]
    last = [("STAND-INS", False)] if wide else []
    table = table_of(("PARTITION", True), ("OWNERS", False), *last, *([("MOVES TO", False)] if to else []))
    for partition, (owners, nodes) in enumerate(zip(owners_of(document), document["preference"], strict=True)):
        stand_ins = " ".join(map(show, nodes[n : n + STAND_INS_SHOWN])) + (" …" if nodes[n + STAND_INS_SHOWN :] else "")
        cells = [Text(stand_ins or "-", style="quiet")] if wide else []
        cells += [Text(show(to.get(partition, "")), style="warn")] if to else []
        table.add_row(str(partition), " ".join(map(show, owners)), *cells)
    return table


def _poorest(zones: list[dict[str, Any]]) -> str:
    """The zone that has a copy of the fewest partitions."""
    return shortened(show(min(zones, key=lambda zone: (zone["partitions"], zone["zone"]))["zone"]), NAME_COLUMNS)


def zone_screen(document: Document, *, wide: bool = False) -> RenderableType:
    """A row a zone, and over how many zones the owners of partitions are spread."""
    zones, partitions = zones_of(document), document["partitions"]
    table = table_of(
        ("ZONE OF", False), ("NODES", True), ("PRIMARY", True), ("REPLICAS", True), ("HAS A COPY OF", True),
        ("REQ/S", True),
    )  # fmt: skip
    for zone in zones:
        table.add_row(
            Text(show(zone["zone"]) or "- (none told)", style="label"),
            str(zone["nodes"]),
            f"{zone['primaries']} {zone['primaries'] / max(1, partitions):6.1%}",
            str(zone["replicas"]),
            f"{zone['partitions']} {zone['partitions'] / max(1, partitions):6.1%}",
            "?" if zone["per_s"] is None else f"{zone['per_s']:,.0f}",
        )
    of = {member["name"]: member["zone"] for member in document["members"]}
    spread = Counter(len({of.get(name) for name in nodes}) for nodes in owners_of(document))
    lines = [
        Text(f"{count:5d} of {partitions} partitions have owners in {number} zone{'s' if number != 1 else ''}")
        for number, count in sorted(spread.items())[:SPREADS_SHOWN]
    ]
    most = min(document["n"], len(zones))
    if len(zones) > 1 and any(number < most for number in spread):
        lines.append(Text(f"see what one node more would do: dyn ring simulate --add 1 --zones {_poorest(zones)}"))
    if len(zones) == 1:
        lines.append(Text("all nodes are in one zone: start some with --zone Z to spread copies", style="quiet"))
    return Group(*head(document), Text(), table, Text(), *lines, Text(), *checks(document))
