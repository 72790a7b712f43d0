"""Which version came after which, as far as those that are still there can tell. For people: it decides nothing.

    seen {a:1} ──┬── {a:2} D2           what D2 and D3 were written over is gone: its clock is all that is left of it
                 └── {a:1, a:3} D3      D4 was written by somebody who had read D2 and D3
                       D2, D3 ──── D4

A writer's context is in its version, so that what it had read is known even when all of that was replaced since. Such a
context that no version accounts for is an event of its own here, without a dot: several writes, or one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from node.core.row import Clock, Version
from node.core.version import covers, descends, join, own_clock


class Event(NamedTuple):
    """A version, or, if that is None, what somebody had read and nobody holds any more. `parents` are positions in the
    lineage: the latest events that its writer had seen."""

    version: Version | None
    clock: Clock
    parents: tuple[int, ...]


def lineage(versions: Sequence[Version]) -> tuple[Event, ...]:
    """Return the events that `versions` (of distinct dots) tell of, each after its parents, else by their time."""
    seen: list[Clock] = []  # what each event's writer had seen; of a gone one, it itself
    known = list(versions)
    gone: dict[Clock, None] = {}
    for version in known:
        seen.append(version.past)
        told: Clock = ()
        for other in known:
            if covers(version.past, other.dot):
                told = join(told, own_clock(other))
        if not descends(told, version.past):
            gone[version.past] = None
    clocks = list(gone)
    seen += clocks
    count = len(known)
    before = [_before(at, seen, known, clocks) for at in range(len(seen))]
    order = sorted(range(len(seen)), key=lambda at: (before[at].bit_count(), _written_at(at, known), at))
    place = {at: position for position, at in enumerate(order)}
    events = []
    for at in order:
        beyond = 0
        for earlier in _members(before[at]):
            beyond |= before[earlier]
        latest = [place[earlier] for earlier in _members(before[at] & ~beyond)]
        parents = tuple(sorted(earlier for earlier in latest if earlier < place[at]))
        if at < count:
            events.append(Event(known[at], own_clock(known[at]), parents))
        else:
            events.append(Event(None, seen[at], parents))
    return tuple(events)


def _before(at: int, seen: list[Clock], known: list[Version], gone: list[Clock]) -> int:
    """The events that the writer of `at` had seen, as a set of bits."""
    clock, found = seen[at], 0
    for other, version in enumerate(known):
        if other != at and covers(clock, version.dot):
            found |= 1 << other
    for number, other_clock in enumerate(gone):
        other = len(known) + number
        if other != at and descends(clock, other_clock):
            found |= 1 << other
    return found


def _members(bits: int) -> list[int]:
    return [at for at in range(bits.bit_length()) if bits >> at & 1]


def _written_at(at: int, known: list[Version]) -> int:
    return known[at].written_at_ms if at < len(known) else 0
