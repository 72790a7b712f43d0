"""The ring: Q equal partitions, each with a primary, and from that every preference list (paper, sections 4.2, 6.2).

Strategy 3 of the paper: the hash space is cut into Q equal partitions for ever, and a node of average weight is the
primary of Q/S of them. Members come and go one at a time; each change is a pure function of the assignment before
it, so that every node computes the same ring from the same decided history. `core.placement` chooses the partitions.

    preference list of p = clockwise from p: each zone's first node, then each zone's second …
                           └── the first N: owners ──┘└── the others: stand-ins, in this order ──┘
"""

from __future__ import annotations

from bisect import bisect_left

from node.core.cluster import Seat
from node.core.ids import NodeId, PartitionId
from node.core.limits import PARTITIONS_MAX
from node.core.placement import Exchange, fresh, shares

Ring = tuple[tuple[Seat, ...], tuple[int, ...]]
"""Seats, and per partition the index of its primary's seat."""


def found(seat: Seat, partitions: int) -> tuple[int, ...]:
    """The owners of a ring of one node, with `partitions` (a power of two) partitions."""
    assert 1 <= partitions <= PARTITIONS_MAX, partitions
    assert partitions & (partitions - 1) == 0, "the number of partitions is a power of two"
    assert seat.weight > 0, "the first seat has weight"
    return (0,) * partitions


def join(seats: tuple[Seat, ...], owners: tuple[int, ...], seat: Seat, n: int) -> Ring:
    """Add `seat`: it takes its share from the others, and nobody else gains anything beyond what N needs."""
    assert all(other.id != seat.id for other in seats), "a node has one seat"
    return _settle((*seats, seat), list(owners), n)


def leave(seats: tuple[Seat, ...], owners: tuple[int, ...], nodes: tuple[NodeId, ...], n: int) -> Ring:
    """Remove `nodes`, all at once: their partitions go to those who have most room. Somebody has to stay."""
    going = sorted(_index(seats, node) for node in nodes)
    rest = tuple([seat for at, seat in enumerate(seats) if at not in going])
    assert rest, "the last seat cannot leave"
    if len(rest) <= n:
        return rest, tuple(fresh(rest, len(owners)))
    # Their seats stay as ones without weight while their partitions are given away, so that distances are seen.
    leaving = tuple([seat._replace(weight=0) if at in going else seat for at, seat in enumerate(seats)])
    left = _settle(leaving, list(owners), n)[1]
    return rest, tuple([owner - bisect_left(going, owner) for owner in left])


def reweigh(seats: tuple[Seat, ...], owners: tuple[int, ...], node: NodeId, weight: int, n: int) -> Ring:
    """Give `node` another weight: it takes or gives the difference."""
    at = _index(seats, node)
    return _settle((*seats[:at], seats[at]._replace(weight=weight), *seats[at + 1 :]), list(owners), n)


def replace(seats: tuple[Seat, ...], owners: tuple[int, ...], node: NodeId, seat: Seat) -> Ring:
    """Give the place of `node`, its weight and all that it owns to another one. Within a zone nothing else moves."""
    assert all(other.id != seat.id for other in seats), "a node has one seat"
    at = _index(seats, node)
    return (*seats[:at], seat._replace(weight=seats[at].weight), *seats[at + 1 :]), owners


def preference_lists(seats: tuple[Seat, ...], owners: tuple[int, ...], n: int) -> tuple[tuple[NodeId, ...], ...]:
    """Per partition all nodes, in the order in which they are to hold it: the first `n` are its owners.

    Clockwise from the partition, and in turns by zone: each zone's first node, then each zone's second, and so on, so
    that the first n are in as many zones as there are. Nodes without a partition of their own come last.
    """
    del n  # the order serves every N
    ids = [seat.id for seat in seats]
    zones = [seat.zone for seat in seats]
    one_zone = len(set(zones)) <= 1
    # Walking anticlockwise, the order of nodes by distance changes by one step: this primary comes to the front.
    order = list(range(len(seats)))
    lists: list[tuple[NodeId, ...]] = []
    for start in (False, True):
        for owner in reversed(owners):
            if order[0] != owner:
                order.remove(owner)
                order.insert(0, owner)
            if start:
                lists.append(tuple([ids[i] for i in (order if one_zone else _by_turns(order, zones))]))
    lists.reverse()
    return tuple(lists)


def owner_lists(seats: tuple[Seat, ...], owners: tuple[int, ...], n: int) -> tuple[tuple[NodeId, ...], ...]:
    """Per partition its owners: the first `n` of its preference list, in O(partitions · n · zones), whatever the seats.

    A node that is moved to the front of an order moves no other out of the first n of its zone but the last of them.
    So of each zone the n nearest are kept, and what is behind them never matters.
    """
    ids = [seat.id for seat in seats]
    zones = [seat.zone for seat in seats]
    one_zone = len(set(zones)) <= 1
    order: list[int] = []
    held: dict[str, int] = {}
    for seat, zone in enumerate(zones):
        if held.get(zone, 0) < n:
            held[zone] = held.get(zone, 0) + 1
            order.append(seat)
    lists: list[tuple[NodeId, ...]] = []
    for start in (False, True):
        for owner in reversed(owners):
            if order[0] != owner:
                if owner in order:
                    order.remove(owner)
                elif held[zones[owner]] == n:
                    del order[_last_of(zones[owner], order, zones)]
                else:
                    held[zones[owner]] += 1
                order.insert(0, owner)
            if start:
                lists.append(tuple([ids[i] for i in (order if one_zone else _by_turns(order, zones))[:n]]))
    lists.reverse()
    return tuple(lists)


def _last_of(zone: str, order: list[int], zones: list[str]) -> int:
    return next(at for at in range(len(order) - 1, -1, -1) if zones[order[at]] == zone)


def preference_list(seats: tuple[Seat, ...], owners: tuple[int, ...], partition: PartitionId) -> tuple[NodeId, ...]:
    """Return the preference list of one partition, as `preference_lists` has it, in O(partitions + seats)."""
    order = list(dict.fromkeys((*owners[partition:], *owners[:partition], *range(len(seats)))))
    zones = [seat.zone for seat in seats]
    return tuple([seats[i].id for i in (order if len(set(zones)) <= 1 else _by_turns(order, zones))])


def _by_turns(order: list[int], zones: list[str]) -> list[int]:
    """Reorder: the nearest node of each zone first, then the second nearest of each, …"""
    turns: list[list[int]] = []
    met: dict[str, int] = {}
    for seat in order:
        zone = zones[seat]
        turn = met.get(zone, 0)
        met[zone] = turn + 1
        if turn == len(turns):
            turns.append([])
        turns[turn].append(seat)
    return [seat for turn in turns for seat in turn]


def _settle(seats: tuple[Seat, ...], owners: list[int], n: int) -> Ring:
    """Give every seat its share, by handing over as little as possible."""
    if len(seats) <= n:
        return seats, tuple(fresh(seats, len(owners)))
    held = [0] * len(seats)
    for owner in owners:
        held[owner] += 1
    return seats, tuple(Exchange(seats, owners, shares(seats, held, len(owners)), n).run())


def _index(seats: tuple[Seat, ...], node: NodeId) -> int:
    found_at = [i for i, seat in enumerate(seats) if seat.id == node]
    assert len(found_at) == 1, f"no seat of {node}"
    return found_at[0]
