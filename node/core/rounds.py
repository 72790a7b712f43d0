"""Reap rounds: per partition a number that only grows, by which a store tells knowledge from before a reap from later.

What they are for stands in `engine.reaping`. A store keeps its own rounds durably and adopts a higher one in the same
transaction in which it says what it holds; a row that travels carries the round under which its sender read it.

Written as lines of text, `partitions partition round`: legible in the file of a node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from node.core.ids import NodeId, partition_of

STATE_ROUNDS: Final = "rounds"
"""The piece of a store's state that holds them. Only the store itself writes it."""


class Rounds:
    """The rounds of one store at one moment: a value, never changed, only replaced.

    A partition is known by its number and by how many there are. One that is not in the table is in round 0.
    """

    __slots__ = ("_by_count",)

    def __init__(self, by_count: Mapping[int, Mapping[int, int]] | None = None) -> None:
        self._by_count: Mapping[int, Mapping[int, int]] = {} if by_count is None else by_count

    def of(self, key: bytes) -> int:
        """The round of the key's partition."""
        found = 0
        for partitions, rounds in self._by_count.items():
            found = max(found, rounds.get(partition_of(key, partitions), 0))
        return found

    def at(self, partition: int, partitions: int) -> int:
        """The round of one of `partitions` partitions."""
        return self._by_count.get(partitions, {}).get(partition, 0)

    def adopted(self, partition: int, partitions: int, number: int) -> Rounds:
        """These rounds with one partition at `number`, or as they are if it is there already, or beyond."""
        if number <= self.at(partition, partitions):
            return self
        rounds = {**self._by_count.get(partitions, {}), partition: number}
        return Rounds({**self._by_count, partitions: rounds})

    def table(self, partitions: int) -> tuple[tuple[int, int], ...]:
        """The partitions that are beyond round 0, of so many, with their rounds."""
        return tuple(sorted(self._by_count.get(partitions, {}).items()))

    def to_bytes(self) -> bytes:
        """The rounds as a piece of state."""
        return b"\n".join(
            b"%d %d %d" % (partitions, partition, number)
            for partitions, rounds in sorted(self._by_count.items())
            for partition, number in sorted(rounds.items())
        )


def read_rounds(data: bytes) -> Rounds:
    """Return what `to_bytes` wrote; ValueError for anything else."""
    by_count: dict[int, dict[int, int]] = {}
    for line in data.splitlines():
        partitions, partition, number = (int(word) for word in line.split(b" "))
        by_count.setdefault(partitions, {})[partition] = number
    return Rounds(by_count)


class Told(NamedTuple):
    """What a member says of its rounds. `whole`: its store has forgotten nothing; `rounds` lacks those that are 0."""

    whole: bool
    rounds: Mapping[int, int]


class Behind(NamedTuple):
    """What a store that may have forgotten missed: `later` are partitions with the round they are in by now, `unclear`
    those of which no owner can tell yet."""

    later: dict[int, int]
    unclear: tuple[int, ...]


def behind(mine: Rounds, owners: Sequence[Sequence[NodeId]], me: NodeId, told: Mapping[NodeId, Told]) -> Behind:
    """Compare the rounds of a store that may have forgotten with what other members say; `owners` by partition.

    One whole owner is enough: it has the rows, and whatever was reaped, every member was in that round before. Of the
    rounds the highest counts; it may be one that a driver has only begun, so that nothing was reaped, and what is
    dropped is knowledge. So where another owner may have forgotten, too, nothing is: what is here may be all that is
    left, and it stays under the round it has.
    """
    partitions = len(owners)
    highest: dict[int, int] = {}
    for answer in told.values():
        if answer.whole:
            for partition, number in answer.rounds.items():
                highest[partition] = max(number, highest.get(partition, 0))
    later: dict[int, int] = {}
    unclear = []
    for partition in range(partitions):
        words = [told.get(owner) for owner in owners[partition] if owner != me]
        if any(word is not None and word.whole for word in words):
            alone = all(word is None or word.whole for word in words)
            if alone and highest.get(partition, 0) > mine.at(partition, partitions):
                later[partition] = highest[partition]
        elif None in words:
            unclear.append(partition)
    return Behind(later, tuple(unclear))
