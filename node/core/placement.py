"""Which partitions change hands when the members change: the part of the ring that has to choose.

Theory. Call a ring *spread* if no node owns two of any N successive partitions. In a spread ring the owners of a
partition are the primaries of the N partitions that begin there, so every primary is worth exactly N replicas: equal
primaries are equal load, and a partition that changes hands moves N replicas and no more. Handing a partition to
another node keeps every other distance as it was; so a change of members keeps a ring spread whenever the receiver
has no partition nearby. The choice below is greedy for that, and among equals for distance, so that a node's
neighbours (those who take over when it dies) are many.

The same holds for zones, as far as their number allows.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from node.core.cluster import Seat

SAME_NODE = 4
"""A node near itself costs the load of a whole replica; a zone near itself costs order only."""

SAME_ZONE = 1


def shares(seats: tuple[Seat, ...], held: list[int], partitions: int) -> list[int]:
    """How many partitions each seat shall own: in proportion to its weight, the remainders to the largest fractions.

    Among equal fractions those who hold more keep more, so that nothing moves that need not. With equal weights two
    shares differ by at most one.
    """
    total = sum(seat.weight for seat in seats)
    assert total > 0, "a ring needs a seat with weight"
    floors = [partitions * seat.weight // total for seat in seats]
    order = sorted(
        range(len(seats)),
        key=lambda i: (-(partitions * seats[i].weight % total), floors[i] - held[i], i),
    )
    for i in order[: partitions - sum(floors)]:
        floors[i] += 1
    return floors


def fresh(seats: tuple[Seat, ...], partitions: int) -> list[int]:
    """Lay out a whole ring anew: each partition to the seat that is furthest behind its share (round robin by weight).

    For rings of at most N seats: everybody holds everything, so that laying out anew moves nothing.
    """
    want = shares(seats, [0] * len(seats), partitions)
    given = [0] * len(seats)
    owners = []
    for partition in range(partitions):
        # Behind its share: want·(p+1)/Q − given, in whole numbers; ties to the seat that waits longest, then in order.
        behind = [
            (given[i] * partitions - want[i] * (partition + 1), i) for i in range(len(seats)) if given[i] < want[i]
        ]
        chosen = min(behind)[1]
        given[chosen] += 1
        owners.append(chosen)
    return owners


class _Best(NamedTuple):
    """One candidate: giving `partition` from `donor` to `receiver`. Smaller is better, field by field."""

    clash: int
    need: int
    near: int
    partition: int
    donor: int
    receiver: int


class Exchange:
    """A ring while it changes: who owns what, who has too much, who too little."""

    def __init__(self, seats: tuple[Seat, ...], owners: list[int], want: list[int], n: int) -> None:
        zones = sorted({seat.zone for seat in seats})
        self.owners = owners
        self.surplus = [-share for share in want]
        self._zone = [zones.index(seat.zone) for seat in seats]
        self._node_reach = min(n, len(seats)) - 1
        self._zone_reach = min(n, len(zones)) - 1 if len(zones) > 1 else 0
        self._places: list[list[int]] = [[] for _ in seats]
        for partition, owner in enumerate(owners):
            self.surplus[owner] += 1
            self._places[owner].append(partition)
        self._heaps: dict[tuple[int, int], list[tuple[int, int, int]]] = {}

    def run(self) -> list[int]:
        """Move partitions from seats with too many to seats with too few until all have their share."""
        donors = [i for i, surplus in enumerate(self.surplus) if surplus > 0]
        receivers = [i for i, surplus in enumerate(self.surplus) if surplus < 0]
        for donor in donors:
            for receiver in receivers:
                heap = [(*self._cost(p, receiver), p) for p in self._places[donor]]
                heapify(heap)
                self._heaps[donor, receiver] = heap
        while donors:
            best = min(self._top(donor, receiver) for donor in donors for receiver in receivers)
            self._give(best.partition, best.receiver)
            if self.surplus[best.donor] == 0:
                donors.remove(best.donor)
            if self.surplus[best.receiver] == 0:
                receivers.remove(best.receiver)
        return self.owners

    def _top(self, donor: int, receiver: int) -> _Best:
        """The best partition that `donor` may give to `receiver`. Costs mostly grow, so a stale top is re-priced."""
        heap = self._heaps[donor, receiver]
        while True:
            clash, near, partition = heap[0]
            if self.owners[partition] != donor:
                heappop(heap)
                continue
            cost = self._cost(partition, receiver)
            if cost > (clash, near):
                heappop(heap)
                heappush(heap, (*cost, partition))
                continue
            need = self.surplus[receiver] - self.surplus[donor]
            return _Best(cost[0], need, cost[1], partition, donor, receiver)

    def _give(self, partition: int, receiver: int) -> None:
        donor = self.owners[partition]
        self.owners[partition] = receiver
        self._places[donor].remove(partition)
        insort(self._places[receiver], partition)
        self.surplus[donor] -= 1
        self.surplus[receiver] += 1

    def _cost(self, partition: int, receiver: int) -> tuple[int, int]:
        """(clashes more if `receiver` owns `partition`, minus the distance to the nearest that it owns)."""
        clash = self._clash(partition, receiver) - self._clash(partition, self.owners[partition])
        return clash, -self._gap(partition, receiver)

    def _clash(self, partition: int, seat: int) -> int:
        """What `seat` at `partition` costs: partitions of the same node, or zone, that are too near."""
        owners, zone, size = self.owners, self._zone, len(self.owners)
        cost = 0
        for reach in range(1, self._node_reach + 1):
            cost += SAME_NODE * ((owners[partition - reach] == seat) + (owners[(partition + reach) % size] == seat))
        for reach in range(1, self._zone_reach + 1):
            cost += SAME_ZONE * (
                (zone[owners[partition - reach]] == zone[seat])
                + (zone[owners[(partition + reach) % size]] == zone[seat])
            )
        return cost

    def _gap(self, partition: int, seat: int) -> int:
        """The distance from `partition` to the nearest partition of `seat`."""
        places, size = self._places[seat], len(self.owners)
        if not places:
            return size
        at = bisect_left(places, partition)
        after = places[at % len(places)]
        before = places[at - 1]
        return min((after - partition) % size, (partition - before) % size)
