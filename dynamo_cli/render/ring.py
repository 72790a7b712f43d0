"""The screens of `dyn ring`: the ring as a strip of letters, shares as bars, and the rules of placement, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from string import ascii_lowercase, ascii_uppercase, digits
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dynamo_cli.render.plain import decode, exact, show
from dynamo_cli.render.rows import by_name, newcomers
from dynamo_cli.render.table import change_text

Document = Mapping[str, Any]

LETTERS = ascii_lowercase + ascii_uppercase + digits
COLORS = ("cyan", "yellow", "green", "magenta", "blue", "red")
STRIP_ROW = 64
"""Partitions in one row of the strip: with blanks between 16 and the row's number, 73 columns."""
STRIP_MAX = 1024
"""Partitions the strip shows unless `wide`."""
BAR_COLUMNS = 20
BAR_COLUMNS_MOVING = 10
"""… and while the ring moves, when the table has more to say."""

LOAD_EFFICIENCY = 0.9
"""Mean by worst replica load that placement promises while there are 8 partitions a node."""


def ring_screen(document: Document, *, wide: bool = False) -> RenderableType:
    """A DYN.RING document."""
    partitions, n = document["partitions"], document["n"]
    facts = f"   {partitions} partitions   N={n} R={document['r']} W={document['w']}   {show(document['hash'])}"
    head = Text.assemble(("ring ", "quiet"), (f"epoch {document['epoch']}", "label"), (facts, "quiet"))
    lines: list[RenderableType] = [head]
    if document.get("moving"):
        lines += _moving(document["moving"])
    lines += [Text(), *strip(document, wide=wide), Text(), shares(document), Text()]
    return Group(*lines, *checks(document))


def _moving(moving: Document) -> list[Text]:
    """Which change is under way, how far it is, and what the marks of the strip mean."""
    partitions = len(moving.get("partitions") or ())
    told = f"moving: {show(moving['change'] or '')}, {moving['progress']:.0%} done"
    return [
        Text(f"{told}, {partitions:,} partitions get other owners", style="warn"),
        Text("below them: the letter of another primary, ^ for the same: dyn cluster transfers", style="quiet"),
    ]


def letters(document: Document) -> dict[str, str]:
    """A letter for each member, in the order of the document; none when there are more members than letters."""
    names = [member["name"] for member in by_name(document["members"])]
    return dict(zip(names, LETTERS, strict=False)) if len(names) <= len(LETTERS) else {}


def color_of(document: Document) -> dict[str, str]:
    """A colour for each member. It repeats; the letter says who it is."""
    return {member["name"]: COLORS[i % len(COLORS)] for i, member in enumerate(by_name(document["members"]))}


def strip(document: Document, *, wide: bool = False) -> list[Text]:
    """The primary of every partition as a letter, 64 a row."""
    letter, color, owners = letters(document), color_of(document), document["owners"]
    if not letter:
        return [
            Text(f"{len(document['members'])} members: too many for letters; dyn ring show -o plain", style="quiet")
        ]
    lines, marks = [], _marks(document, letter)
    for begin in range(0, len(owners), STRIP_ROW):
        if begin >= STRIP_MAX and not wide:
            lines.append(Text(f"      … {len(owners) - begin} more: -o wide", style="quiet"))
            break
        line = Text(f"{begin:5d}  ", style="quiet")
        for offset, owner in enumerate(owners[begin : begin + STRIP_ROW]):
            line.append(" " if offset % 16 == 0 and offset else "")
            line.append(letter.get(owner, "?"), style=color.get(owner, "bad"))
        lines.append(line)
        if marks:
            row = marks[begin : begin + STRIP_ROW]
            below = " ".join("".join(row[i : i + 16]) for i in range(0, len(row), 16))
            lines.append(Text(f"{'':7}{below}".rstrip(), style="warn"))
    return lines


def _marks(document: Document, letter: Mapping[str, str]) -> list[str]:
    """What stands below each partition while the ring moves: where it gets another primary that one's letter."""
    moving = document.get("moving")
    if not moving:
        return []
    marks = [" "] * len(document["owners"])
    for partition in moving.get("partitions") or ():
        then = moving["owners"][partition]
        marks[partition] = "^" if then == document["owners"][partition] else letter.get(then, "?")
    return marks


def shares(document: Document) -> Table:
    """A row a member: what it is primary for, and how many replicas it keeps; while the ring moves, what it will be."""
    letter, color = letters(document), color_of(document)
    primaries: Counter[str] = Counter(document["owners"])
    then = Counter((document.get("moving") or document)["owners"])
    replicas = Counter(name for nodes in _owners(document) for name in nodes)
    most, columns = max(replicas.values(), default=1), BAR_COLUMNS_MOVING if document.get("moving") else BAR_COLUMNS
    zones = len({member["zone"] for member in document["members"]}) > 1
    table = Table(box=None, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0), header_style="heading")
    for name in ("", "NODE", "ADDRESS", *(["ZONE"] if zones else []), "PRIMARY", "REPLICAS", "LOAD"):
        right = name in ("PRIMARY", "REPLICAS")
        table.add_column(name, justify="right" if right else "left", no_wrap=True, overflow="ellipsis")
    for member in by_name(document["members"]):
        name = member["name"]
        held = replicas[name]
        leaves = name in replicas and not member.get("owns", True)
        state = "leaving" if leaves else "" if member["state"] == "up" else show(member["state"])
        bar = Text("#" * round(columns * held / most), style=color[name])
        table.add_row(
            Text(letter.get(name, "?"), style=color[name]),
            Text(show(name), style="label"),
            show(member["address"]),
            *([show(member["zone"] or "-")] if zones else []),
            f"{change_text(primaries[name], then[name])} {then[name] / max(1, document['partitions']):6.1%}",
            str(held),
            bar.append(f"  {state or ('' if held else 'owns nothing')}".rstrip(), style="warn"),
        )
    return table


def _owners(document: Document) -> list[list[str]]:
    """The owners of each partition; while the ring moves, those before."""
    new, n = newcomers(document), document["n"]
    return [[name for name in nodes[:n] if name not in new] for nodes in document["preference"]]


def checks(document: Document) -> list[Text]:
    """The rules of placement, counted over all partitions."""
    n, partitions = document["n"], document["partitions"]
    zone = {member["name"]: member["zone"] for member in document["members"]}
    owners = _owners(document)
    seated = {name for nodes in owners for name in nodes}
    possible = min(n, len(seated))
    distinct = sum(len(set(nodes)) == possible for nodes in owners)
    lines = [_check(f"{distinct}/{partitions} partitions have {possible} distinct owners", distinct == partitions)]
    if possible < n:
        lines.append(_check(f"{possible} of N={n} replicas: {n - possible} more nodes are needed", False))
    zones = len({zone.get(name) for name in seated})
    if zones > 1:
        spread = sum(len({zone.get(name) for name in nodes}) == min(possible, zones) for nodes in owners)
        text = f"{spread}/{partitions} partitions have owners in {min(possible, zones)} zones"
        lines.append(_check(text, spread == partitions))
    primaries = Counter(dict.fromkeys(seated, 0))
    primaries.update(document["owners"])
    load = Counter(name for nodes in owners for name in nodes)
    if load:
        gap = max(primaries.values()) - min(primaries.values())
        equal = len({member["weight"] for member in document["members"] if member["name"] in seated}) == 1
        span = f"primaries {min(primaries.values())} to {max(primaries.values())} a node"
        lines.append(_check(span, gap <= 1 or not equal))
        mean = sum(load.values()) / len(load)
        even = zones == 1 and equal  # unequal zones or weights ask for unequal load
        text = f"replica load: worst/mean {max(load.values()) / mean:.2f}"
        lines.append(_check(text, mean / max(load.values()) >= LOAD_EFFICIENCY or not even))
    return lines


def _check(text: str, good: bool) -> Text:
    return Text.assemble(("ok  " if good else " !  ", "good" if good else "warn"), text)


def owner_screen(document: Document, *, wide: bool = False) -> RenderableType:
    """A dyn.ring.owner/v1 document: a row a key."""
    table = Table(box=None, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0), header_style="heading")
    for name in ("KEY", "PARTITION", "MD5", "OWNERS", "STAND-INS"):
        table.add_column(name, overflow="fold" if wide else "ellipsis", no_wrap=not wide)
    for place in document["keys"]:
        md5 = show(place["md5"])
        table.add_row(
            Text(exact(decode(place["key"], place["enc"])), style="label"),
            str(place["partition"]),
            Text(md5 if wide else md5[:8], style="quiet"),
            " ".join(map(show, place["owners"])),
            Text(" ".join(map(show, place["stand_ins"])) or "-", style="quiet"),
        )
    return table
