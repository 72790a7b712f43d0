"""Versions of one key: a dotted version vector set (Preguiça, Almeida, Gonçalves; `dvvset`).

A *dot* names one write for ever: (epoch, birth, n). `(epoch, birth)` is the *actor*: one life of one row in one
store; n counts its writes 1, 2, 3. A *clock* holds, per actor, the highest n seen; because a store only ever ships
whole rows, a clock covers every smaller n of that actor too. A *row* is a clock and the versions that no write seen
by that clock has replaced.

    put with the context of D1, twice, through one store      {a:1} D1
                                                               ├── {a:2} D2     both follow D1 and neither saw
                                                               └── {a:3} D3     the other: two siblings

There are two ways to a new row and no third:

* `advance` is an event: a write by this store. It replaces exactly what its context covers.
* `merge` is knowledge: commutative, associative, idempotent, so that rows may be repaired in any order, any number
  of times.

Clock entries are never removed while the row lives: dropping one would revive what a laggard still holds.
"""

from __future__ import annotations

from typing import NamedTuple


class Actor(NamedTuple):
    """One life of one row in one store: the store's dot epoch (64 random bits) and a number from its birth counter."""

    epoch: int
    birth: int


class Dot(NamedTuple):
    """The name of one write: the n-th by this actor, n ≥ 1."""

    epoch: int
    birth: int
    n: int


Clock = tuple[Dot, ...]
"""Sorted, one dot an actor: all its writes up to and including n were seen."""


class Version(NamedTuple):
    """One write: its dot, the clock its writer had seen (`past`), and the value, or None for a tombstone.

    `written_at_ms` (Unix time) and `writer` are for people: nothing is ever decided by them.
    """

    dot: Dot
    past: Clock
    value: bytes | None
    written_at_ms: int
    writer: str

    @property
    def clock(self) -> Clock:
        """The version vector of this version alone: what its writer saw, and itself."""
        return join(self.past, (self.dot,))


class Row(NamedTuple):
    """Everything one store knows of one key. Versions are sorted by dot, each covered by the clock."""

    clock: Clock
    versions: tuple[Version, ...]

    @property
    def live(self) -> tuple[Version, ...]:
        """The versions that are not tombstones: what a reader gets."""
        return tuple(version for version in self.versions if version.value is not None)


EMPTY = Row((), ())
"""The row of a key that nobody wrote."""


def covers(clock: Clock, dot: Dot) -> bool:
    """Whether a store with this clock has seen the write `dot`."""
    epoch, birth, n = dot
    for entry in clock:
        if entry[0] == epoch and entry[1] == birth:
            return entry[2] >= n
    return False


def join(a: Clock, b: Clock) -> Clock:
    """The smallest clock that covers what `a` covers and what `b` covers."""
    if a == b or not b:
        return a
    if not a:
        return b
    highest: dict[tuple[int, int], int] = {(epoch, birth): n for epoch, birth, n in a}
    for epoch, birth, n in b:
        if highest.get((epoch, birth), 0) < n:
            highest[epoch, birth] = n
    return tuple(Dot(epoch, birth, n) for (epoch, birth), n in sorted(highest.items()))


def descends(a: Clock, b: Clock) -> bool:
    """Whether `a` has seen everything that `b` has (equal clocks descend from each other)."""
    return a == b or all(covers(a, dot) for dot in b)


def merge(a: Row, b: Row) -> Row:
    """What the two stores know together.

    A version survives if both hold it, or if one holds it and the other has not seen it. It never matters which row
    came first, or how often (`tests/laws` holds it to a causal-history oracle).
    """
    if a == b:
        return a
    held_by_b = {version.dot for version in b.versions}
    kept = [v for v in a.versions if v.dot in held_by_b or not covers(b.clock, v.dot)]
    held_by_a = {version.dot for version in a.versions}
    kept += [v for v in b.versions if v.dot not in held_by_a and not covers(a.clock, v.dot)]
    kept.sort()
    return Row(join(a.clock, b.clock), tuple(kept))


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
    return Row(join(seen, (dot,)), tuple(sorted([*kept, new]))), dot


def last_n(clock: Clock, actor: Actor) -> int:
    """The number of this actor's last write that the clock has seen; 0 for none."""
    for epoch, birth, n in clock:
        if epoch == actor.epoch and birth == actor.birth:
            return n
    return 0


def check(row: Row) -> None:
    """Raise ValueError, saying what is wrong, unless `row` is well formed (a row from outside may not be)."""
    actors = [dot[:2] for dot in row.clock]
    if any(a >= b for a, b in zip(actors, actors[1:], strict=False)):
        raise ValueError("clock is not sorted by actor")
    if any(not (0 <= dot.epoch < 2**64 and 1 <= dot.birth < 2**63 and 1 <= dot.n < 2**63) for dot in row.clock):
        raise ValueError("clock holds a dot out of range")
    dots = [version.dot for version in row.versions]
    if any(a >= b for a, b in zip(dots, dots[1:], strict=False)):
        raise ValueError("versions are not sorted by dot")
    if not all(covers(row.clock, dot) for dot in dots):
        raise ValueError("a version is not covered by its row's clock")
    if row.clock and not row.versions:
        raise ValueError("a row has a clock and no version")
