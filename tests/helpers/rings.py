"""Rings for tests: grow them, and look at every N successive owners."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from node.core.cluster import Seat
from node.core.ids import NodeId
from node.core.moves import Balance, Preference, balance, ideal_join, plan
from node.core.ring import found, join, preference_lists


class Grown(NamedTuple):
    """A ring, and what the last join cost."""

    seats: tuple[Seat, ...]
    owners: tuple[int, ...]
    lists: Preference
    balance: Balance
    moved: float
    """Replicas moved by the last join over the ideal."""


def seat(i: int, zone: str = "", weight: int = 1) -> Seat:
    """The i-th seat."""
    return Seat(NodeId(f"{i:032x}"), zone, weight)


def grow(partitions: int, n: int, to: int, zones: int = 1, *, first: int = 1) -> Iterator[Grown]:
    """Yield the ring after each join, from `first` seats to `to`; the i-th node is in zone i mod `zones`."""
    seats: tuple[Seat, ...] = (seat(0, "z0"),)
    # Not `found`, which insists on a power of two: the paper's figure 8 has other sizes.
    owners = found(seats[0], partitions) if partitions & (partitions - 1) == 0 else (0,) * partitions
    for i in range(1, first):
        seats, owners = join(seats, owners, seat(i, f"z{i % zones}"), n)
    before = preference_lists(seats, owners, n)
    yield Grown(seats, owners, before, balance(before, n), 0.0)
    for i in range(first, to):
        seats, owners = join(seats, owners, seat(i, f"z{i % zones}"), n)
        lists = preference_lists(seats, owners, n)
        moved = len(plan(before, lists, n)) / ideal_join(partitions, n, len(seats))
        yield Grown(seats, owners, lists, balance(lists, n), moved)
        before = lists


def check_lists(seats: tuple[Seat, ...], owners: tuple[int, ...], n: int) -> None:
    """What holds for every preference list of every ring."""
    zone = {seat.id: seat.zone for seat in seats}
    lists = preference_lists(seats, owners, n)
    assert len(lists) == len(owners)
    everybody = sorted(zone)
    for partition, nodes in enumerate(lists):
        assert sorted(nodes) == everybody, "each node once: N distinct owners, and the rest as stand-ins"
        assert zone[nodes[0]] == seats[owners[partition]].zone
        assert nodes[0] == seats[owners[partition]].id
        first = [zone[node] for node in nodes[:n]]
        assert len(set(first)) == min(n, len(seats), len(set(zone.values()))), "as many zones as there can be"
