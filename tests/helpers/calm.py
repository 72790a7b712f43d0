"""A simulated cluster without faults but those of the test, which says what happens when: for stories of a ring."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from node.core import change, ring
from node.core.cluster import Change, Quorums, RingState, Seat
from node.core.ids import Instant, partition_of
from node.engine.cluster import Cluster
from node.engine.kept import STATE_RING, TOOK_SEAT, forgetful
from node.engine.node import Node
from node.sim.faults import draw_options
from node.sim.history import Kind, Record
from node.sim.host import Host
from node.sim.network import Arrival, Link, NetworkOptions
from node.sim.world import World
from node.wire.messages import Message
from node.wire.requests import Failed, Found, Get, Inspect, Put, Request, Result, Written

SEED = 1


class Calm:
    """`hosts` of which the first `seated` begin with a seat, in a sealed ring; the rest are off until `join`."""

    def __init__(
        self,
        seated: int,
        nodes: int = 0,
        *,
        quorums: Quorums = Quorums(3, 2, 2),
        partitions: int = 16,
        sync_s_max: float = 0.001,
    ) -> None:
        options = draw_options(SEED)._replace(
            nodes=nodes or seated, seated=seated, quorums=quorums, partitions=partitions, zones=1, formation="ready",
            early=False, network=NetworkOptions(), codec=False, turn_s=0.0, load_s_max=0.0, sync_s_max=sync_s_max,
            told_s_max=0.0, tcp_timeout_s=4.0, surge=0.0, change_every_s=0.0,
        )  # fmt: skip
        self.world = world = World(options)
        self.hosts = world.hosts
        world.form()
        self.wait(3.0)

    def wait(self, seconds: float) -> None:
        self.world.agenda.run(self.world.agenda.now + seconds)

    def until(self, done: Callable[[], bool], seconds: float = 60.0) -> None:
        assert self.world.agenda.run(self.world.agenda.now + seconds, done), "waited in vain"

    # What clients and people do ----------------------------------------------------------------------------

    def begin(self, host: Host, request: Request) -> Record:
        """A client asks `host`; the record has the answer once there is one."""
        now = self.world.agenda.now
        record = Record(f"t.{self.world.agenda.steps}", Kind.GET, host.name, b"", None, begun=now, deadline=now + 30)
        self.world.ask(host, request, lambda result: record.end(result, self.world.agenda.now), record)
        return record

    def ask(self, host: Host, request: Request) -> Result:
        """… and waits for the answer."""
        record = self.begin(host, request)
        self.until(lambda: record.ended is not None)
        assert record.result is not None, "the connection broke"
        return record.result

    def put(self, host: Host, key: bytes, value: bytes | None, **more: object) -> Written:
        """A write that is taken."""
        result = self.ask(host, Put(key, value, **({"cover": True} | more)))  # type: ignore[arg-type]  # whatever the test wants
        assert isinstance(result, Written), result
        return result

    def values(self, host: Host, key: bytes, *, strict: bool = False) -> list[bytes | None]:
        """What a read finds."""
        found = self.ask(host, Get(key, strict=strict))
        assert isinstance(found, Found), found
        return [version.value for version in found.row.live]

    def operate(self, host: Host, *words: str) -> Failed | None:
        """Somebody types DYN.CLUSTER; the refusal, if it is refused."""
        result = self.ask(host, Inspect("cluster", arguments=tuple(word.encode() for word in words), timeout_ms=3000))
        return result if isinstance(result, Failed) else None

    def join(self, host: Host, replaces: str = "") -> None:
        """Somebody starts a new, empty node."""
        seeds = tuple(each.address for each in self.hosts if not each.out)
        host.config = host.config._replace(join=seeds, discover=False, replace=replaces)
        host.out = False
        host.boot()

    def wipe(self, host: Host) -> None:
        """Its disk is lost, and an empty one put in its place, under the old seat."""
        host.crash(silently=False)
        host.storage.wipe()
        host.seeds(tuple(each.address for each in self.hosts if each is not host))
        host.storage.apply(forgetful(TOOK_SEAT))
        host.boot()

    # What goes wrong ---------------------------------------------------------------------------------------

    def cut(self, one: Host, *others: Host) -> None:
        """Nothing gets through between one and the others."""
        for source, target in ((one, other) for other in others):
            for a, b in (source, target), (target, source):
                self.world.network.cut(a.index, b.index)
                self.world.links.cut(a, b)

    def heal(self, one: Host, *others: Host) -> None:
        for other in others:
            for a, b in (one, other), (other, one):
                self.world.deliver(self.world.network.heal(a.index, b.index, self.world.agenda.now))

    def slow_down(self, host: Host, seconds: float) -> None:
        """From here on each commit of its disk takes so long; reads do not."""
        synced = host._synced
        host._synced = lambda life: self.world.agenda.after(seconds, synced, life)  # type: ignore[method-assign]  # the test's disk

    def lose(self, lost: Callable[[Host, Host, Message], bool]) -> None:
        """From here on messages do not arrive of which `lost(source, target, message)` says so."""
        send = self.world.network.send

        def sending(source: int, target: int, now: Instant, link: Link, message: Message) -> list[Arrival]:
            if lost(self.hosts[source], self.hosts[target], message):
                return []
            return send(source, target, now, link, message)

        self.world.network.send = sending  # type: ignore[method-assign]  # the test's network

    # What is the case --------------------------------------------------------------------------------------

    def holders(self, key: bytes) -> list[str]:
        """On whose disks the key has a row."""
        return [host.name for host in self.hosts if key in host.storage.durable_rows()]

    def is_settled(self, seats: int) -> bool:
        """Whether all who run have one settled ring with so many seats."""
        rings = [host.node.cluster.ring for host in self.hosts if host.node is not None]
        first = rings[0]
        return (
            first is not None and (first.before, len(first.seats)) == (None, seats) and rings.count(first) == len(rings)
        )

    def moved_key(self, newcomer: Host) -> tuple[bytes, Host, list[Host]]:
        """A key that a newcomer will own, and that one old owner loses: the first who stays, and the other two."""
        state = cluster_of(self.hosts[0]).state
        moving = change.begin(state, Change(change.JOIN, newcomer.id), Seat(newcomer.id, "", 1))
        old, new = (ring.preference_lists(each.seats, each.owners, state.quorums.n) for each in (state, moving))
        for key in (b"k%d" % number for number in range(10_000)):
            before, after = (lists[partition_of(key, state.partitions)][: state.quorums.n] for lists in (old, new))
            if newcomer.id in after and len([node for node in before if node not in after]) == 1:
                stays = next(node for node in before if node in after)
                return key, self.world.by_id[stays], [self.world.by_id[node] for node in before if node != stays]
        raise AssertionError("it gains nothing")


def node_of(host: Host) -> Node:
    """The process of a host that runs."""
    assert host.node is not None, f"{host.name} is down"
    return host.node


def cluster_of(host: Host) -> Cluster:
    """What it knows of its cluster."""
    return node_of(host).cluster


def epoch_on_disk(host: Host) -> int:
    """The epoch of the ring that its disk has."""
    return msgspec.msgpack.decode(host.storage.load_state()[STATE_RING], type=RingState).epoch
