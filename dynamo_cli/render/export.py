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

from dynamo_cli.render.plain import shortened, show
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

SMALL_COLUMNS, SMALL_ROWS, SMALL_ROW, SMALL_COLUMN = 4, 20, 21, 86
"""… and of more nodes than that: names alone, in columns."""


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
            color = colors.get(owner[begin], "#ddd")
            if partition - begin < partitions:
                path = _arc(begin / partitions, partition / partitions, outer, outer - BAND)
                lines.append(f'<path d="{path}" fill="{color}">{title}</path>')
            else:  # an arc that ends where it begins is none
                circle = f'cx="{CENTRE_X:g}" cy="{CENTRE_Y:g}" r="{outer - BAND / 2:g}"'
                lines.append(f'<circle {circle} fill="none" stroke="{color}" stroke-width="{BAND:g}">{title}</circle>')
        begin = partition
    return [*lines, "</g>"]


def _arc(begin: float, end: float, outer: float, inner: float) -> str:
    """A piece of a ring as a path."""
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
    """Who has which colour, and how much of the ring."""
    return (_few if len(shares) <= LEGEND_ROWS else _many)(shares, colors, partitions)


def _many(shares: Sequence[Share], colors: Mapping[str, str], partitions: int) -> list[str]:
    spans = [
        f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
        for counts in ([share.primaries for share in shares], [share.replicas for share in shares])
    ]
    told = f"{len(shares)} nodes: {spans[0]} primaries, {spans[1]} replicas each"
    lines = [_words(LEGEND_X, LEGEND_Y - 46, told, size=13, fill="#666", anchor="start")]
    for at, share in enumerate(shares[: SMALL_COLUMNS * SMALL_ROWS]):
        x, y = LEGEND_X + at // SMALL_ROWS * SMALL_COLUMN, LEGEND_Y - 18 + at % SMALL_ROWS * SMALL_ROW
        lines += [
            f'<rect x="{x}" y="{y - 11}" width="13" height="13" rx="2" fill="{colors[share.name]}"/>',
            _words(x + 19, y, shortened(share.name, 8), size=13, anchor="start"),
        ]
    if left := len(shares) - SMALL_COLUMNS * SMALL_ROWS:
        y = LEGEND_Y + (SMALL_ROWS - 1) * SMALL_ROW + 8
        lines += [_words(LEGEND_X, y, f"and {left} more", size=13, fill="#666", anchor="start")] if left > 0 else []
    return lines


def _few(shares: Sequence[Share], colors: Mapping[str, str], partitions: int) -> list[str]:
    zones = len({share.zone for share in shares}) > 1
    lines = [
        _words(LEGEND_X + 190, LEGEND_Y - 24, "primary", size=13, fill="#666", anchor="end"),
        _words(LEGEND_X + 280, LEGEND_Y - 24, "replicas", size=13, fill="#666", anchor="end"),
    ]
    for row, share in enumerate(shares):
        y = LEGEND_Y + row * LEGEND_ROW
        name = share.name + (f" · {share.zone}" if zones and share.zone else "")
        part = f"{share.primaries / partitions:.1%}"
        lines += [
            f'<rect x="{LEGEND_X}" y="{y - 13}" width="16" height="16" rx="2" fill="{colors[share.name]}"/>',
            _words(LEGEND_X + 26, y, shortened(name, 14), size=16, anchor="start"),
            _words(LEGEND_X + 190, y, part, size=16, anchor="end"),
            _words(LEGEND_X + 280, y, str(share.replicas), size=16, anchor="end"),
        ]
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
