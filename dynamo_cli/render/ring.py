"""The screens of `dyn ring`: the ring as a strip of letters, shares as bars, and the rules of placement, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from string import ascii_lowercase, ascii_uppercase, digits
from typing import Any, NamedTuple

from rich.console import Group, RenderableType
from rich.text import Text

from dynamo_cli.render.plain import decode, exact, shortened, show
from dynamo_cli.render.ring_rows import REQUESTS_MIN, UNEVEN, owners_of
from dynamo_cli.render.rows import by_name
from dynamo_cli.render.table import NAME_COLUMNS, ROWS_SHOWN, bare_table, change_text, table_of

Document = Mapping[str, Any]

LETTERS = ascii_lowercase + ascii_uppercase + digits + "+/"
"""Of up to 64 members each has one."""
COLORS = ("cyan", "yellow", "green", "magenta", "blue", "red")
STRIP_ROW = 64
"""Partitions in one row of the strip: with blanks between 16 and the row's number, 73 columns."""
STRIP_MAX = 1024
"""Partitions the strip shows unless `wide`."""
BAR_COLUMNS = 10

ZONE_COLUMNS = 8

LOAD_EFFICIENCY = 0.9
"""Mean by worst replica load that placement promises while there are 8 partitions a node."""


def ring_screen(document: Document, *, wide: bool = False) -> RenderableType:
    """A DYN.RING document, with the loads of its members if they are known."""
    lines = head(document)
    if document.get("moving"):
        told = "below them: the letter of another primary, ^ for the same: dyn cluster transfers"
        lines.append(Text(told, style="quiet"))
    lines += [Text(), *strip(document, wide=wide), Text(), *shares(document, wide=wide), Text()]
    return Group(*lines, *checks(document), *load_checks(document))


def head(document: Document) -> list[RenderableType]:
    """Which ring this is, and what is under way."""
    partitions, n = document["partitions"], document["n"]
    facts = f"   {partitions} partitions   N={n} R={document['r']} W={document['w']}   {show(document['hash'])}"
    first = Text.assemble(("ring ", "quiet"), (f"epoch {document['epoch']}", "label"), (facts, "quiet"))
    moving = document.get("moving")
    if not moving:
        return [first]
    told = f"moving: {show(moving['change'] or '')}, {moving['progress']:.0%} done"
    partitions = len(moving.get("partitions") or ())
    return [first, Text(f"{told}, {partitions:,} partitions get other owners", style="warn")]


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


def shares(document: Document, *, wide: bool = False) -> list[RenderableType]:
    """A row a member: what it is primary for, how many replicas it keeps, and the requests that it gets of late.

    Of more than ROWS_SHOWN those that are not up, and those that have most or least to do; the others are counted.
    """
    told = held(document)
    shown = told if wide or len(told) <= ROWS_SHOWN else _remarkable(told)
    zones = len({member["zone"] for member in document["members"]}) > 1
    counted = "load" in document  # a ring of another time has no requests
    loads = [each.per_s for each in told if each.per_s is not None]
    total, most = sum(loads), max(loads, default=0) or 1
    table = table_of(
        ("", False), ("NODE", False), *([("ADDRESS", False)] if wide else []), *([("ZONE", False)] if zones else []),
        ("PRIMARY", True), ("", True), ("REPLICAS", True), *([("REQ/S", True), ("", True)] if counted else []),
        ("", False),
    )  # fmt: skip
    color, off = color_of(document), uneven(document)
    for each in shown:
        bar = Text("#" * round(BAR_COLUMNS * (each.per_s or 0) / most), style=color[each.name])
        note = each.note + (f" ! {off[each.name]:.1f}x mean" if each.name in off else "")
        table.add_row(
            Text(each.letter, style=color[each.name]),
            Text(shortened(show(each.name), NAME_COLUMNS), style="label"),
            *([show(each.address)] if wide else []),
            *([shortened(show(each.zone or "-"), ZONE_COLUMNS)] if zones else []),
            change_text(each.primaries, each.primaries_then),
            f"{each.primaries_then / max(1, document['partitions']):.1%}",
            str(each.replicas),
            *([_per_s_text(each.per_s), _share_text(each.per_s, total)] if counted else []),
            bar.append(f" {note}".rstrip(), style="warn"),
        )
    hidden = [each for each in told if each not in shown]
    if not hidden:
        return [table]
    low, high = (bound(each.replicas for each in hidden) for bound in (min, max))
    span = f"{low}" if low == high else f"{low} to {high}"
    return [table, Text(f"… {len(hidden)} more with {span} replicas each: -o wide", style="quiet")]


def _per_s_text(per_s: float | None) -> str:
    return "?" if per_s is None else f"{per_s:,.0f}" if per_s >= 10 else f"{per_s:.1f}"


def _share_text(per_s: float | None, total: float) -> str:
    return "" if per_s is None or not total else f"{per_s / total:.1%}"


class Held(NamedTuple):
    """What one member has of the ring, and is primary for once what is under way is done; its requests, if known."""

    letter: str
    name: str
    address: str
    zone: str
    primaries: int
    primaries_then: int
    replicas: int
    per_s: float | None
    note: str


def held(document: Document) -> list[Held]:
    """Every member with its part, in the order of names."""
    letter = letters(document)
    primaries = Counter[str](document["owners"])
    then = Counter[str]((document.get("moving") or document)["owners"])
    replicas = Counter(name for nodes in owners_of(document) for name in nodes)
    loads = {load["node"]: load["per_s"] for load in document.get("load") or ()}
    found = []
    for member in by_name(document["members"]):
        name = member["name"]
        leaves = name in replicas and not member.get("owns", True)
        note = "leaving" if leaves else "" if member["state"] == "up" else show(member["state"])
        if not note and not replicas[name]:
            note = "owns nothing"
        part = (primaries[name], then[name], replicas[name], loads.get(name))
        found.append(Held(letter.get(name, "?"), name, member["address"], member["zone"], *part, note))
    return found


def _remarkable(told: list[Held]) -> list[Held]:
    """Who is not as it should be, then by turns who has most and who has least to do; in the order of names."""
    rest = sorted((each for each in told if not each.note), key=lambda each: (each.per_s or 0, each.replicas))
    turns = [each for pair in zip(reversed(rest), rest, strict=True) for each in pair]
    chosen = dict.fromkeys([*(each for each in told if each.note), *turns])
    kept = list(chosen)[:ROWS_SHOWN]
    return [each for each in told if each in kept]


def uneven(document: Document) -> dict[str, float]:
    """Nodes whose requests differ from the mean by more than UNEVEN, with how many times the mean they have."""
    told = [load for load in document.get("load") or () if load["per_s"] is not None]
    requests = sum(load["per_s"] * load["over_s"] for load in told)
    if len(told) < 2 or requests < REQUESTS_MIN:
        return {}
    mean = sum(load["per_s"] for load in told) / len(told)
    return {load["node"]: load["per_s"] / mean for load in told if abs(load["per_s"] / mean - 1) > UNEVEN}


def load_checks(document: Document) -> list[Text]:
    """Whether clients spread their requests over the nodes, and what that was counted over."""
    told = [load for load in document.get("load") or () if load["per_s"] is not None]
    if len(told) < 2:
        return []
    span = f"client requests, last {min(load['over_s'] for load in told):.0f} s"
    if sum(load["per_s"] * load["over_s"] for load in told) < REQUESTS_MIN:
        return [_check(f"{span}: too few to tell who has too many", True)]
    off = uneven(document)
    told_off = f"{len(off)} of {len(told)} nodes are more than {UNEVEN:.0%} off the mean"
    return [_check(f"{span}: {told_off}", not off)]


def checks(document: Document) -> list[Text]:
    """The rules of placement, counted over all partitions."""
    n, partitions = document["n"], document["partitions"]
    zone = {member["name"]: member["zone"] for member in document["members"]}
    owners = owners_of(document)
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
    table = bare_table()
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
