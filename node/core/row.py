"""What a store knows of one key, as values: dots, clocks, versions, rows. What may be done with them is `core.version`.

A *dot* names one write for ever: (epoch, birth, n). `(epoch, birth)` is the *actor*: one life of one row in one
store; n counts its writes 1, 2, 3. A *clock* is a set of dots, written short: per actor the highest n up to which all
were seen, and after it, seldom, single dots beyond a gap. A *row* is a clock and the versions that no write seen by
that clock has replaced.

They stand apart from what is done with them because they are made from bytes as well (`wire.rows`): a decoder wants
to look at a class as Python made it.
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
"""Sorted. An actor's first entry (e, b, n): all its writes up to n were seen (n = 0: none, a single one follows).
Further entries of the same actor: that write alone, n beyond the gap."""


class Version(NamedTuple):
    """One write: its dot, the clock its writer had seen (`past`), and the value, or None for a tombstone.

    `written_at_ms` (Unix time) and `writer` are for people: nothing is ever decided by them.
    """

    dot: Dot
    past: Clock
    value: bytes | None
    written_at_ms: int
    writer: str


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
