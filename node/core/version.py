"""Versions of one key: a dotted version vector set (Preguiça, Almeida, Gonçalves; `dvvset`).

What dots, clocks and rows are stands in `core.row`; here is what becomes of them.

    put with the context of D1, twice, through one store      {a:1} D1
                                                               ├── {a:2} D2          both follow D1 and neither saw
                                                               └── {a:1, a:3} D3     the other: two siblings

The gap is the point: D3's writer did not see a:2. Its next write replaces D3 and leaves D2 alone, so that writers who
go on from the answers to their own writes neither lose what others wrote nor pile up siblings. As a store ships
whole rows, the clocks of rows have gaps only while a write that was replaced is still on its way to them.

There are two ways to a new row and no third:

* `advance` is an event: a write by this store. It replaces exactly what its context covers.
* `merge` is knowledge: commutative, associative, idempotent, so that rows may be repaired in any order, any number
  of times.

Clock entries are never removed while the row lives: dropping one would revive what a laggard still holds.
"""

from __future__ import annotations

from bisect import bisect
from operator import itemgetter

from node.core.row import Actor, Clock, Dot, Row, Version

_dot = itemgetter(0)


def covers(clock: Clock, dot: Dot) -> bool:
    """Whether a store with this clock has seen the write `dot`."""
    epoch, birth, n = dot
    first = True
    for entry in clock:
        if entry[1] == birth and entry[0] == epoch:
            if entry[2] == n or (first and entry[2] > n):
                return True
            first = False
    return False


def join(a: Clock, b: Clock) -> Clock:
    """The smallest clock that covers what `a` covers and what `b` covers; the very `a` or `b` if that is it."""
    if a is b or not b:
        return a
    if not a:
        return b
    if len(a) != len(b):
        return _join_apart(a, b)
    ahead_a = ahead_b = False
    last = 0
    for mine, theirs in zip(a, b, strict=True):  # most often two stores know the same actors
        birth = mine[1]
        if birth == last or birth != theirs[1] or mine[0] != theirs[0]:
            return _join_apart(a, b)
        last = birth
        if mine[2] > theirs[2]:
            ahead_a = True
        elif mine[2] < theirs[2]:
            ahead_b = True
    if not ahead_b:
        return a
    if not ahead_a:
        return b
    return tuple([mine if mine[2] > theirs[2] else theirs for mine, theirs in zip(a, b, strict=True)])


def _join_apart(a: Clock, b: Clock) -> Clock:
    """`join` of clocks that know different actors."""
    highest: dict[tuple[int, int], int] = {(epoch, birth): n for epoch, birth, n in a}
    if len(highest) < len(a):
        return _join_with_gaps(a, b)
    grown, last = False, None
    for epoch, birth, n in b:
        actor = (epoch, birth)
        if actor == last:
            return _join_with_gaps(a, b)
        last = actor
        if highest.get(actor, 0) < n:
            highest[actor] = n
            grown = True
    if not grown:
        return a
    if len(highest) == len(b) and all(highest[epoch, birth] == n for epoch, birth, n in b):
        return b
    return tuple([Dot(epoch, birth, n) for (epoch, birth), n in sorted(highest.items())])


def _join_with_gaps(a: Clock, b: Clock) -> Clock:
    """`join` where an actor may have several entries."""
    whole: dict[tuple[int, int], int] = {}
    single: dict[tuple[int, int], list[int]] = {}
    for clock in (a, b):
        last = None
        for epoch, birth, n in clock:
            actor = (epoch, birth)
            if actor == last:
                single.setdefault(actor, []).append(n)
            elif whole.get(actor, -1) < n:
                whole[actor] = n
            last = actor
    dots: list[Dot] = []
    for actor in sorted(whole):
        top = whole[actor]
        beyond = sorted({n for n in single.get(actor, ()) if n > top})
        closed = 0
        while closed < len(beyond) and beyond[closed] == top + 1:
            top += 1
            closed += 1
        dots.append(Dot(*actor, top))
        dots += [Dot(*actor, n) for n in beyond[closed:]]
    clock = tuple(dots)
    return a if clock == a else b if clock == b else clock


def add(clock: Clock, dot: Dot) -> Clock:
    """The clock that covers what `clock` covers and this write, and no other."""
    epoch, birth, n = dot
    known = [at for at, entry in enumerate(clock) if entry[1] == birth and entry[0] == epoch]
    if not known and n == 1:
        at = bisect(clock, dot)
        return (*clock[:at], dot, *clock[at:])
    if len(known) == 1:
        at = known[0]
        last = clock[at][2]
        if last == n - 1:
            return (*clock[:at], dot, *clock[at + 1 :])
        if last >= n:
            return clock
    return join(clock, (dot,) if n == 1 else (Dot(epoch, birth, 0), dot))


def own_clock(version: Version) -> Clock:
    """The clock of this version alone: what its writer saw, and itself. Its writer's next context."""
    return add(version.past, version.dot)


def descends(a: Clock, b: Clock) -> bool:
    """Whether `a` has seen everything that `b` has (equal clocks descend from each other)."""
    return join(a, b) == a


def merge(a: Row, b: Row) -> Row:
    """What the two stores know together; the very row `a` or `b` if that knew it already.

    A version survives if both hold it, or if one holds it and the other has not seen it. It never matters which row
    came first, or how often (`tests/laws` holds it to a causal-history oracle).
    """
    versions_a, versions_b = a.versions, b.versions
    clock = join(a.clock, b.clock)
    held_by_a = [version[0] for version in versions_a]
    from_b = [v for v in versions_b if v[0] not in held_by_a and not covers(a.clock, v[0])]
    if clock is b.clock and len(from_b) == len(versions_b):
        return b  # all of it is news, and whoever wrote it had seen all that we hold
    held_by_b = [version[0] for version in versions_b]
    from_a = [v for v in versions_a if v[0] in held_by_b or not covers(b.clock, v[0])]
    if not from_b and clock is a.clock and len(from_a) == len(versions_a):
        return a
    versions = tuple(sorted(from_a + from_b, key=_dot)) if from_a else tuple(from_b)
    return b if clock is b.clock and versions == versions_b else Row(clock, versions)


def advance(
    row: Row, context: Clock, actor: Actor, value: bytes | None, *, written_at_ms: int, writer: str
) -> tuple[Row, Dot]:
    """Write `value` over what `context` covers, and return the new row and the write's dot.

    An empty context replaces nothing: the write becomes one more sibling. `value=None` writes a tombstone.
    The context may cover more than the row holds (its reader asked a store that knew more); the row's clock takes it
    over, so that what the writer replaced stays replaced when it arrives here later.
    """
    seen = join(row.clock, context)
    dot = Dot(*actor, last_n(seen, actor) + 1)
    new = Version(dot, context, value, written_at_ms, writer)
    kept = [version for version in row.versions if not covers(context, version.dot)]
    return Row(add(seen, dot), tuple(sorted([*kept, new], key=_dot) if kept else [new])), dot


def last_n(clock: Clock, actor: Actor) -> int:
    """The number of this actor's last write that the clock has seen; 0 for none."""
    epoch, birth = actor
    last = 0
    for entry in clock:
        if entry[1] == birth and entry[0] == epoch:
            last = entry[2]
    return last


def check(row: Row) -> None:
    """Raise ValueError, saying what is wrong, unless `row` is well formed (a row from outside may not be)."""
    check_clock(row.clock)
    last: Dot | None = None
    for version in row.versions:
        check_clock(version.past)
        if last is not None and last >= version.dot:
            raise ValueError("versions are not sorted by dot")
        last = version.dot
        if not covers(row.clock, last) or last.n < 1:
            raise ValueError("a version is not covered by its row's clock")
    if row.clock and not row.versions:
        raise ValueError("a row has a clock and no version")


def check_clock(clock: Clock) -> None:
    """Raise ValueError, saying what is wrong, unless `clock` is the one way to write what it covers."""
    before = (0, 0, 0)
    for dot in clock:
        epoch, birth, n = dot
        if dot <= before or not (0 < n < 2**63 and 0 < birth < 2**63 and 0 <= epoch < 2**64) or birth == before[1]:
            _check_each(clock)  # seldom: it has a gap, or something is wrong
            return
        before = dot


def _check_each(clock: Clock) -> None:
    """`check_clock`, entry by entry."""
    whole: Dot | None = None
    last: Dot | None = None
    for dot in clock:
        epoch, birth, n = dot
        if not (0 <= epoch < 2**64 and 1 <= birth < 2**63 and 0 <= n < 2**63):
            raise ValueError("clock holds a dot out of range")
        if last is not None and last >= dot:
            raise ValueError("clock is not sorted")
        if whole is None or whole[1] != birth or whole[0] != epoch:
            if whole is last and last is not None and last[2] == 0:
                raise ValueError("clock holds an actor of which nothing was seen")
            whole = dot
        elif n == whole[2] + 1:
            raise ValueError("clock holds a gap that is none")
        last = dot
    if last is not None and last[2] == 0:
        raise ValueError("clock holds an actor of which nothing was seen")
