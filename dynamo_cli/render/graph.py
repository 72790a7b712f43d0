"""A history as a graph in columns of text, oldest first: one lane for each line of descent. Pure.

o            each event stands in its lane; a lane goes on to the event that follows
├─┐          several follow: the lane forks
A │
│ B
├─┘          one follows several: their lanes meet
C
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

UNICODE = {"on": "│", "fork": "┐", "join": "┘", "from": "├", "over": "─", "both": "┬", "under": "┴", "cross": "┼"}
ASCII = {"on": "|", "fork": "\\", "join": "/", "from": "+", "over": "-", "both": "-", "under": "-", "cross": "|"}


class Line(NamedTuple):
    """One line of the graph: `event` is the position of the event that stands on it, None for a line between two.

    `below` is what stands under an event where its text takes another line.
    """

    graph: str
    event: int | None
    below: str = ""


def draw(parents: Sequence[Sequence[int]], marks: Sequence[str], *, ascii_only: bool = False) -> list[Line]:
    """The lines of a graph in which the event at each position follows those at `parents`, all of them before it.

    `marks` stand for the events. Where two cells of a line are spoken for, the mark of the lane that is met wins.
    """
    signs = ASCII if ascii_only else UNICODE
    children: list[list[int]] = [[] for _ in parents]
    for at, above in enumerate(parents):
        for parent in above:
            children[parent].append(at)
    lanes: list[int | None] = []  # the event that each lane leads to
    lines: list[Line] = []
    for at, mark in enumerate(marks):
        mine = [lane for lane, event in enumerate(lanes) if event == at]
        if not mine:
            mine = [lanes.index(None)] if None in lanes else [len(lanes)]
            lanes[mine[0] : mine[0] + 1] = [at]
        if len(mine) > 1:
            lines.append(Line(_across(lanes, mine, "join", signs), None))
        for lane in mine[1:]:
            lanes[lane] = None
        _trim(lanes)
        follow = children[at]
        lanes[mine[0]] = follow[0] if follow else None
        below = [signs["on"] if event is not None else " " for event in lanes]
        lines.append(Line(" ".join([*below[: mine[0]], mark, *below[mine[0] + 1 :]]), at, " ".join(below)))
        forks = [mine[0]]
        for child in follow[1:]:
            free = next((lane for lane in range(mine[0] + 1, len(lanes)) if lanes[lane] is None), len(lanes))
            lanes[free : free + 1] = [child]
            forks.append(free)
        if len(forks) > 1:
            lines.append(Line(_across(lanes, forks, "fork", signs), None))
        _trim(lanes)
    return lines


def _trim(lanes: list[int | None]) -> None:
    while lanes and lanes[-1] is None:
        lanes.pop()


def _across(lanes: Sequence[int | None], ends: Sequence[int], kind: str, signs: dict[str, str]) -> str:
    """The line on which the lanes `ends`, the first one leftmost, part or meet; others go straight through."""
    left, right = ends[0], ends[-1]
    cells = []
    for lane in range(max(len(lanes), right + 1)):
        going = lane < len(lanes) and lanes[lane] is not None
        if lane == left:
            sign = signs["from"]
        elif lane == right:
            sign = signs[kind]
        elif lane in ends:
            sign = signs["both" if kind == "fork" else "under"]
        elif left < lane < right:
            sign = signs["cross"] if going else signs["over"]
        else:
            sign = signs["on"] if going else " "
        cells.append(sign + (signs["over"] if left <= lane < right else " "))
    return "".join(cells).rstrip()
