"""One figure of a cluster against two thresholds: `dyn check`. Documents in (`doctor.hear`), figures out.

What is wrong in words, and with which command it is mended, is `dyn doctor`'s; a check says one thing, always the same.
What no node tells is unknown, and not fine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from dynamo_cli.arguments import SIZES
from dynamo_cli.doctor.cluster import CLOCKS_S_MAX, FREE_BYTES_MIN, HINT_S_MAX, Heard, clocks_apart, free_bytes, stopped
from dynamo_cli.settling import CONVERGED, lacking
from dynamo_cli.told import items, number, whole, word

OK, WARNING, CRITICAL, UNKNOWN = range(4)
"""Levels, as monitoring plugins end."""

WORDS = ("ok", "warning", "critical", "unknown")


class Figure(NamedTuple):
    """What a check found: its value (None: nobody tells), what that is in words, and the level that it has at least."""

    value: float | None
    text: str
    least: int = OK


class Kind(NamedTuple):
    """A check. Its value is worse the greater it is (`low`: the smaller), in `unit`: s, B, or "" for a count.

    Beyond `warn` it is a warning, beyond `critical` critical; None: never.
    """

    what: str
    figure: Callable[[Heard], Figure]
    unit: str
    warn: float
    critical: float | None
    low: bool = False


def level_of(kind: Kind, figure: Figure, warn: float, critical: float | None) -> int:
    """The level of a figure under these thresholds."""
    if figure.value is None:
        return max(UNKNOWN, figure.least)
    value, sign = figure.value, -1 if kind.low else 1
    if critical is not None and sign * value > sign * critical:
        return CRITICAL
    return max(figure.least, WARNING if sign * value > sign * warn else OK)


def threshold(word: str, unit: str) -> float:
    """A threshold as it is typed: `10G` for bytes, `10m` for seconds, a number for either. Raises ValueError."""
    units = {"B": SIZES, "s": {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}, "": {"": 1}}[unit]
    last = word[-1:] if word[-1:] in units or word[-1:].upper() in units else ""
    digits = word.removesuffix(last) if last else word
    try:
        number = float(digits) if digits.isascii() and "_" not in digits else None
    except ValueError:
        number = None
    if number is None or not -1e15 < number < 1e15:
        raise ValueError(f"{word!r} is no threshold{f' in {unit}' if unit else ''}, such as 5")
    return number * units.get(last, units.get(last.upper(), 1))


def _quorum(heard: Heard) -> Figure:
    """How many owners more may fail, in the partition that is worst off, before R or W owners are missing."""
    ring, status = heard.ring or {}, heard.status
    n, r, w = whole(ring, "n"), whole(ring, "r"), whole(ring, "w")
    lists = ring.get("preference")
    if n is None or r is None or w is None or not isinstance(lists, list):
        return Figure(None, "the ring is not known")
    up = {word(node, "name") for node in items(status, "nodes") if word(node, "state") == "up"}
    new = {word(member, "name") for member in items(ring, "members") if word(member, "state") == "joining"}
    spare = []
    for nodes in lists:
        owners = [name for name in nodes[:n] if name not in new] if isinstance(nodes, list) else []
        spare.append(sum(name in up for name in owners) - min(max(r, w), max(1, len(owners))))
    if not spare:
        return Figure(None, "the ring is not known")
    worst = min(spare)
    lost = sum(each < 0 for each in spare)
    if lost:
        return Figure(worst, f"{lost} of {len(spare)} partitions lack owners for R={r} W={w}: stand-ins serve")
    more = f"{worst} more may fail" if worst else "none may fail"
    return Figure(worst, f"every partition has owners for R={r} W={w}: {more}")


def _disk(heard: Heard) -> Figure:
    """The least free space of a node."""
    free = free_bytes(heard)
    bad = stopped(heard)
    if bad:
        name, why = next(iter(bad.items()))
        return Figure(min(free.values(), default=None), f"{name} stores nothing more: {why}", CRITICAL)
    if not free:
        return Figure(None, "no node tells how much is free")
    worst = min(free, key=lambda name: free[name])
    return Figure(free[worst], f"{free[worst] / (1 << 30):.1f} GiB free at the least, on {worst}{_silent(heard)}",
                  WARNING if heard.silent else OK)  # fmt: skip


def _hints(heard: Heard) -> Figure:
    """How long the oldest hint has waited."""
    if heard.hints is None:
        return Figure(None, "no node tells of hints")
    held = items(heard.hints, "held")
    rows = sum(whole(hint, "keys") or 0 for hint in held)
    oldest = max(held, key=lambda hint: number(hint, "oldest_s") or 0.0, default=None)
    least = WARNING if heard.silent else OK
    if oldest is None:
        return Figure(0.0, f"no hints{_silent(heard)}", least)
    age_s = number(oldest, "oldest_s")
    who = f"the oldest for {word(oldest, 'for')}, kept by {word(oldest, 'by')}"
    return Figure(age_s, f"{rows:,} rows wait, {who}: {word(oldest, 'waits_because')}{_silent(heard)}", least)


def _siblings(heard: Heard) -> Figure:
    """How many keys have siblings."""
    count = whole(heard.status, "siblings")
    if count is None:
        return Figure(None, "no node tells of siblings")
    return Figure(count, f"{count:,} keys have siblings" if count else "no key has siblings")


def _clock(heard: Heard) -> Figure:
    """How far the clocks of nodes are apart."""
    found = clocks_apart(heard)
    if found is None:
        alone = len(heard.nodes) == 1 and not heard.silent
        return Figure(0.0 if alone else None, "one node alone" if alone else "fewer than two nodes tell their time")
    first, last, apart_s = found
    least = WARNING if heard.silent else OK
    return Figure(round(apart_s, 3), f"{last} is {apart_s * 1000:,.0f} ms ahead of {first}{_silent(heard)}", least)


def _convergence(heard: Heard) -> Figure:
    """How much keeps the cluster from being converged (`settling`)."""
    if heard.status is None or heard.transfers is None:
        return Figure(None, "no node tells what moves")
    missing = lacking(CONVERGED, heard.status, heard.transfers)
    return Figure(len(missing), "; ".join(missing) or "all owners hold the same, as far as nodes know")


def _silent(heard: Heard) -> str:
    return f"; {', '.join(heard.silent)} not known" if heard.silent else ""


KINDS: Mapping[str, Kind] = {
    "quorum": Kind("owners that may fail before R or W of a partition are missing", _quorum, "", 1, 0, low=True),
    "disk": Kind("least free space of a node", _disk, "B", FREE_BYTES_MIN, FREE_BYTES_MIN / 8, low=True),
    "hints": Kind("age of the oldest hint", _hints, "s", HINT_S_MAX, 3600),
    "siblings": Kind("keys with siblings", _siblings, "", 0, 1000),
    "clock": Kind("how far clocks are apart", _clock, "s", CLOCKS_S_MAX, 10 * CLOCKS_S_MAX),
    "convergence": Kind("what keeps owners from holding the same", _convergence, "", 0, None),
}
