"""What a change of the ring costs and how even a ring is: numbers for plans, screens and tests.

All functions take preference lists (`ring.preference_lists`): replicas, not primaries, are stored and moved.
"""

from __future__ import annotations

from typing import NamedTuple

from node.core.ids import NodeId, PartitionId

Preference = tuple[tuple[NodeId, ...], ...]
"""Per partition its preference list."""


class Move(NamedTuple):
    """`gains` becomes an owner of `partition` and gets its data from the old owners `from_`, in their order.

    `loses` is the old owner whose place it takes; None while the ring has fewer than N nodes and only grows.
    """

    partition: PartitionId
    gains: NodeId
    from_: tuple[NodeId, ...]
    loses: NodeId | None


class Balance(NamedTuple):
    """How even a ring is: primaries and replicas per node, in the order in which nodes first appear as primaries."""

    primaries: dict[NodeId, int]
    replicas: dict[NodeId, int]

    @property
    def efficiency(self) -> float:
        """Mean load over greatest load, 1.0 for a perfectly even ring (paper, section 6.2)."""
        return sum(self.replicas.values()) / len(self.replicas) / max(self.replicas.values())


def plan(old: Preference, new: Preference, n: int) -> tuple[Move, ...]:
    """Return the moves of replicas from the `old` to the `new` preference lists, in the order of partitions."""
    assert len(old) == len(new), "the number of partitions never changes"
    moves: list[Move] = []
    for partition, (before, after) in enumerate(zip(old, new, strict=True)):
        from_ = before[:n]
        owners = after[:n]
        if from_ == owners:
            continue
        gained = [node for node in owners if node not in from_]
        lost = [node for node in from_ if node not in owners]
        for i, node in enumerate(gained):
            moves.append(Move(partition, node, from_, lost[i] if i < len(lost) else None))
    return tuple(moves)


def balance(preference: Preference, n: int) -> Balance:
    """Count what each node holds. Nodes that hold nothing count as such."""
    primaries: dict[NodeId, int] = {}
    for nodes in preference:
        primaries[nodes[0]] = primaries.get(nodes[0], 0) + 1
    for node in preference[0]:
        primaries.setdefault(node, 0)
    replicas = dict.fromkeys(primaries, 0)
    for nodes in preference:
        for node in nodes[:n]:
            replicas[node] += 1
    return Balance(primaries, replicas)


def ideal_join(partitions: int, n: int, seats: int) -> float:
    """The replicas that a ring which now has `seats` equal seats had to move for the last of them, at the least."""
    return partitions * min(n, seats) / seats
