"""The ring as a file: a picture for a slide (SVG), a graph of who shares what (DOT), a table for a page (Markdown).

All are made from a DYN.RING document and are the same for the same one, so that two exports can be compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from colorsys import hls_to_rgb
from itertools import combinations
from math import cos, pi, sin
from typing import Any, NamedTuple

from dynamo_cli.render.plain import show
from dynamo_cli.render.rows import by_name

Document = Mapping[str, Any]

PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#7f7f7f")
"""Eight colours that most people can tell apart (Okabe and Ito, 2008); with more nodes, hues at equal distances."""

WIDTH, HEIGHT = 960, 600
CENTRE_X, CENTRE_Y, RADIUS = 300.0, 310.0, 240.0
BAND, GAP = 34.0, 4.0
"""Breadth of one owner's ring, and the space between two."""

BANDS_MAX = 5
"""Owners that are drawn; more of them would leave no room for the middle."""

LINES_MAX = 256
"""Partitions that are parted by lines: of more there would be nothing but lines."""

LEGEND_X, LEGEND_Y, LEGEND_ROW = 600, 120, 26
LEGEND_ROWS = 17


class Share(NamedTuple):
    """What one member has of the ring."""

    name: str
    zone: str
    address: str
    weight: int
    primaries: int
    replicas: int


def shares_of(document: Document) -> list[Share]:
    """Every member with its part, in the order of names."""
    n = document["n"]
    primaries: Counter[str] = Counter(document["owners"])
    replicas = Counter(name for nodes in document["preference"] for name in nodes[:n])
    return [
        Share(m["name"], m["zone"], m["address"], m["weight"], primaries[m["name"]], replicas[m["name"]])
        for m in by_name(document["members"])
    ]


def colors_of(names: Sequence[str]) -> dict[str, str]:
    """A colour for each node, all different."""
    if len(names) <= len(PALETTE):
        return dict(zip(names, PALETTE, strict=False))
    colors = {}
    for index, name in enumerate(names):
        parts = hls_to_rgb(index / len(names), (0.42, 0.58, 0.72)[index % 3], 0.65)
        colors[name] = "#" + "".join(f"{round(part * 255):02x}" for part in parts)
    return colors


# SVG ----------------------------------------------------------------------------------------------------------------


def svg(document: Document) -> str:
    """A ring for each place of the preference list, the primary's outermost; beside it, who has how much."""
    shares = shares_of(document)
    colors = colors_of([share.name for share in shares])
    partitions, n = document["partitions"], min(document["n"], BANDS_MAX)
    quorums = f"N={document['n']} R={document['r']} W={document['w']}"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'font-family="Helvetica, Arial, sans-serif">',
        f"<title>ring epoch {document['epoch']}: {partitions} partitions on {len(shares)} nodes</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
    ]
    for place in range(n):
        outer = RADIUS - place * (BAND + GAP)
        lines += _band(document, place, outer, colors)
    lines += [
        _words(CENTRE_X, CENTRE_Y - 14, f"epoch {document['epoch']}", size=26, weight="bold"),
        _words(CENTRE_X, CENTRE_Y + 12, f"{partitions} partitions", size=15),
        _words(CENTRE_X, CENTRE_Y + 34, quorums, size=15),
        _words(CENTRE_X, CENTRE_Y - RADIUS - 14, "0", size=13, fill="#666"),
    ]
    lines += _legend(shares, colors, partitions)
    told = "outermost the primary, then the other owners in the order of the preference list"
    lines.append(_words(WIDTH / 2, HEIGHT - 14, told, size=13, fill="#666"))
    return "\n".join([*lines, "</svg>", ""])


def _band(document: Document, place: int, outer: float, colors: Mapping[str, str]) -> list[str]:
    """One ring of arcs, clockwise from the top; neighbours of one owner are one arc."""
    partitions, preference = document["partitions"], document["preference"]
    owner = [nodes[place] if place < len(nodes) else "" for nodes in preference]
    lines, begin = [f'<g stroke="#fff" stroke-width="{1 if partitions <= LINES_MAX else 0}">'], 0
    for partition in range(1, partitions + 1):
        if partition < partitions and owner[partition] == owner[begin]:
            continue
        if owner[begin]:
            last = partition - 1
            span = f"partition {begin}" if last == begin else f"partitions {begin} to {last}"
            title = f"<title>{_safe(span)}: {_safe(owner[begin])}</title>"
            path = _arc(begin / partitions, partition / partitions, outer, outer - BAND)
            lines.append(f'<path d="{path}" fill="{colors.get(owner[begin], "#ddd")}">{title}</path>')
        begin = partition
    return [*lines, "</g>"]


def _arc(begin: float, end: float, outer: float, inner: float) -> str:
    """A piece of a ring as a path. A whole ring is made of two halves: an arc that ends where it begins is none."""
    if end - begin > 0.999:
        return _arc(0, 0.5, outer, inner) + " " + _arc(0.5, 0.9989, outer, inner)
    (x1, y1), (x2, y2) = _at(begin, outer), _at(end, outer)
    (x3, y3), (x4, y4) = _at(end, inner), _at(begin, inner)
    large = int(end - begin > 0.5)
    return (
        f"M{x1:.2f} {y1:.2f}A{outer:g} {outer:g} 0 {large} 1 {x2:.2f} {y2:.2f}"
        f"L{x3:.2f} {y3:.2f}A{inner:g} {inner:g} 0 {large} 0 {x4:.2f} {y4:.2f}Z"
    )


def _at(turn: float, radius: float) -> tuple[float, float]:
    angle = 2 * pi * turn - pi / 2
    return CENTRE_X + radius * cos(angle), CENTRE_Y + radius * sin(angle)


def _legend(shares: Sequence[Share], colors: Mapping[str, str], partitions: int) -> list[str]:
    zones = len({share.zone for share in shares}) > 1
    lines = [
        _words(LEGEND_X + 190, LEGEND_Y - 24, "primary", size=13, fill="#666", anchor="end"),
        _words(LEGEND_X + 280, LEGEND_Y - 24, "replicas", size=13, fill="#666", anchor="end"),
    ]
    for row, share in enumerate(shares[:LEGEND_ROWS]):
        y = LEGEND_Y + row * LEGEND_ROW
        name = share.name + (f" · {share.zone}" if zones and share.zone else "")
        part = f"{share.primaries / partitions:.1%}"
        lines += [
            f'<rect x="{LEGEND_X}" y="{y - 13}" width="16" height="16" rx="2" fill="{colors[share.name]}"/>',
            _words(LEGEND_X + 26, y, name if len(name) <= 14 else name[:13] + "…", size=16, anchor="start"),
            _words(LEGEND_X + 190, y, part, size=16, anchor="end"),
            _words(LEGEND_X + 280, y, str(share.replicas), size=16, anchor="end"),
        ]
    if len(shares) > LEGEND_ROWS:
        y = LEGEND_Y + LEGEND_ROWS * LEGEND_ROW
        lines.append(_words(LEGEND_X, y, f"and {len(shares) - LEGEND_ROWS} more", size=14, fill="#666", anchor="start"))
    return lines


def _words(
    x: float, y: float, text: str, *, size: int, fill: str = "#222", anchor: str = "middle", weight: str = "normal"
) -> str:
    style = f'font-size="{size}" font-weight="{weight}" fill="{fill}" text-anchor="{anchor}"'
    return f'<text x="{x:g}" y="{y:g}" {style}>{_safe(text)}</text>'


def _safe(text: str) -> str:
    """Text of others within XML: nothing in it is markup."""
    return show(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


# DOT and Markdown ---------------------------------------------------------------------------------------------------


def dot(document: Document) -> str:
    """A graph for Graphviz: an edge for each two nodes that own partitions together, with how many."""
    n, shares = document["n"], shares_of(document)
    colors = colors_of([share.name for share in shares])
    together: Counter[tuple[str, str]] = Counter()
    for nodes in document["preference"]:
        together.update(combinations(sorted(nodes[:n]), 2))
    lines = ["graph ring {", "  layout=circo;", '  node [shape=circle, style=filled, fontname="Helvetica"];']
    for share in shares:
        label = f"{_quoted(share.name)}\\n{share.primaries} primary\\n{share.replicas} replicas"
        lines.append(f'  "{_quoted(share.name)}" [label="{label}", fillcolor="{colors[share.name]}"];')
    for (a, b), count in sorted(together.items()):
        lines.append(f'  "{_quoted(a)}" -- "{_quoted(b)}" [label="{count}"];')
    return "\n".join([*lines, "}", ""])


def _quoted(text: str) -> str:
    return show(text).replace("\\", "\\\\").replace('"', '\\"')


def markdown(document: Document) -> str:
    """A table of the nodes, with one line about the ring above it."""
    quorums = f"N={document['n']} R={document['r']} W={document['w']}"
    lines = [
        f"Ring epoch {document['epoch']}: {document['partitions']} partitions, {quorums}.",
        "",
        "| node | address | zone | weight | primary | share | replicas |",
        "|---|---|---|---:|---:|---:|---:|",
    ]
    for share in shares_of(document):
        cells = (
            share.name,
            share.address,
            share.zone or "-",
            str(share.weight),
            str(share.primaries),
            f"{share.primaries / document['partitions']:.1%}",
            str(share.replicas),
        )
        lines.append("| " + " | ".join(show(cell).replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([*lines, ""])
