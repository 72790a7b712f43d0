"""Nodes that begin with their seats: a sealed ring on every disk, as if a cluster had been stopped and started."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, Final

import msgspec

from node.core.cluster import Member, RingState, Seat, Secret
from node.core.ring import Ring, found, join
from node.engine.kept import STATE_MEMBERS, STATE_RING
from node.storage.port import SaveState

if TYPE_CHECKING:
    from node.sim.host import Host
    from node.sim.world import World

CLUSTER: Final = "sim"

_encode = msgspec.msgpack.Encoder().encode


def seat_everybody(world: World, rng: Random) -> None:
    """Write the ring of those that begin with a seat."""
    hosts = world.hosts[: world.options.seated]
    seats = [Seat(host.id, host.config.zone, host.config.weight) for host in hosts]
    ring: Ring = (seats[0],), found(seats[0], world.options.partitions)
    for seat in seats[1:]:
        ring = join(*ring, seat, world.options.quorums.n)
    write_seats(hosts, ring_of(world, ring, rng))


def ring_of(world: World, ring: Ring, rng: Random) -> RingState:
    """A sealed ring of a new cluster; each of its seats has joined in an epoch of its own."""
    seats = ring[0]
    return RingState(
        rng.randbytes(16).hex(), CLUSTER, len(seats), True, seats[0].id, world.options.quorums, *ring,
        (Secret(1, rng.randbytes(32)),),
    )  # fmt: skip


def write_seats(hosts: Sequence[Host], state: RingState) -> None:
    """Write a ring, and each other as its members, on the disks of `hosts`."""
    members = tuple(sorted((_member(host) for host in hosts), key=lambda member: member.id))
    told = [SaveState(STATE_MEMBERS, _encode(members)), SaveState(STATE_RING, _encode(state), state.epoch)]
    for host in hosts:
        host.storage.apply(told)


def _member(host: Host) -> Member:
    config, identity = host.config, host.storage.identity
    return Member(
        config.id, config.name, config.host, config.port, config.peer_port, config.http_port, config.zone,
        config.weight, identity.storage_id, identity.epochs, 1, identity.starts, identity.run, identity.changes,
    )  # fmt: skip
