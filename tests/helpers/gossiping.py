"""Worlds of the simulator in which nothing happens but what nodes say to each other of themselves and of the ring."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import count

import msgspec

from node.core import change
from node.core.cluster import Change, Quorums, RingState, Seat
from node.core.ids import Instant, NodeId
from node.engine.cluster import Cluster
from node.engine.events import Received
from node.engine.outbox import Fact
from node.sim.clock import Trace
from node.sim.faults import Options, draw_options
from node.sim.host import Host
from node.sim.network import NetworkOptions
from node.sim.seated import ring_of, write_seats
from node.sim.world import World
from node.wire.framing import HEADER_BYTES
from node.wire.messages import Gossip, Message

PAPER = Quorums(3, 2, 2)
LOOK_S = 0.1
"""How often it is looked whether all know something yet: a tenth of a round."""

LINKED_S_MAX = 60.0
READ_S_MAX = 0.5
"""Disks are slow to read, so that looking through the partitions of others takes few steps of the simulator."""

FRAME_BYTES = HEADER_BYTES + 2
"""What a frame costs beside its messages: its length, its version, and how many they are."""

_encode = msgspec.msgpack.Encoder().encode


class NoTrace(Trace):
    """Nothing is hashed: these runs are held to what comes of them."""

    def add(self, now: Instant, who: str, data: bytes, what: object) -> None:
        """Forget it."""


class GossipWorld(World):
    """A world without clients. `sent` counts bytes by kind of message and `messages` how many, while `counting`.

    `met`: which node took over a record of whom it did not know.
    """

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.trace = NoTrace()
        self.counting = False
        self.sent: Counter[str] = Counter()
        self.messages: Counter[str] = Counter()
        self.met: list[tuple[str, str]] = []

    def send(self, host: Host, peer: NodeId, messages: Sequence[Message]) -> None:
        """As the world does, without its marks; and count what it weighs on the wire."""
        if self.counting:
            self.sent["frames"] += FRAME_BYTES
            for message in messages:
                kind = type(message).__name__
                self.sent[kind] += len(_encode(message))
                self.messages[kind] += 1
        target = self.by_id.get(peer)
        link = self.links.from_host(host, target) if target is not None else None
        if target is not None and link is not None:
            for message in messages:
                self.deliver(self.network.send(host.index, target.index, self.agenda.now, link, message))

    def noted(self, host: Host, fact: Fact) -> None:
        """As the world does; and remember who met whom as a member it did not know."""
        if fact.kind == "member":
            self.met.append((host.name, str(fact.fields["node"])))
        super().noted(host, fact)


def options(nodes: int, seed: int, network: NetworkOptions, partitions: int, turn_s: float) -> Options:
    """So many nodes that hold a sealed ring; no faults but those of the network."""
    return draw_options(1)._replace(
        seed=seed, nodes=nodes, seated=nodes, formation="ready", network=network, quorums=PAPER, codec=False,
        partitions=partitions, zones=1, turn_s=turn_s, sync_s_max=0.01, told_s_max=0.0, load_s_max=READ_S_MAX,
    )  # fmt: skip


def seated(
    nodes: int, seed: int, network: NetworkOptions, partitions: int, owners: tuple[int, ...], *, turn_s: float = 0.0
) -> GossipWorld:
    """A world whose nodes have their seats, and own these partitions; they are started, and not linked yet."""
    world = GossipWorld(options(nodes, seed, network, partitions, turn_s))
    seats = tuple(Seat(host.id, "", 1) for host in world.hosts)
    state = ring_of(world, (seats, owners), world.stream("formation"))
    write_seats(world.hosts, state)
    rng = world.stream("boots")
    for host in world.hosts:
        world.agenda.after(rng.uniform(0, 1.0), host.boot)
    return world


def cluster_of(host: Host) -> Cluster:
    """What the node of a running machine knows of its cluster."""
    assert host.node is not None, f"{host.name} is not up"
    return host.node.cluster


def until(world: GossipWorld, done: Callable[[], bool], within_s: float, *, forgets: bool = False) -> float | None:
    """Let time pass until `done`, which is looked at ten times a round; how long that took, None if it never came.

    `forgets`: nodes know for so long only who is gone, as a safeguard that is switched off.
    """
    begun = world.agenda.now
    for look in count():
        if forgets:
            _forget(world)
        if done():
            return world.agenda.now - begun
        if look * LOOK_S >= within_s:
            return None
        world.agenda.run(begun + (look + 1) * LOOK_S)
    raise AssertionError("count ends")


def _forget(world: GossipWorld) -> None:
    for host in running(world):
        cluster = cluster_of(host)
        cluster.ring = cluster.state._replace(gone=())


def spread(
    world: GossipWorld, hosts: Sequence[Host], knows: Callable[[Host], bool], within_s: float, *, forgets: bool = False
) -> float | None:
    """How long it takes until all these know; who knows once is not asked again. None: not within that time."""
    lacking = list(hosts)

    def done() -> bool:
        lacking[:] = [host for host in lacking if not knows(host)]
        return not lacking

    return until(world, done, within_s, forgets=forgets)


def link(world: GossipWorld) -> None:
    """Let time pass until every node has a link to every other."""
    every = len(world.hosts) - 1

    def linked() -> bool:
        return all(host.node is not None and len(host.node.cluster.links) == every for host in world.hosts)

    took_s = until(world, linked, LINKED_S_MAX)
    assert took_s is not None, "the nodes are not linked"


def running(world: GossipWorld) -> list[Host]:
    """The machines with a process."""
    return [host for host in world.hosts if host.node is not None]


def move(host: Host) -> Callable[[Host], bool]:
    """`host` has another client port from now on, and its record says so; what tells whether a node knows that."""
    cluster = cluster_of(host)
    port = cluster.me.port + 1000
    cluster.me = cluster.me._replace(port=port)
    cluster.outbid(cluster.me.incarnation)
    return lambda other: cluster_of(other).members[host.id].port == port


def decide(host: Host, by: Host, state: RingState) -> Callable[[Host], bool]:
    """`host` is told a ring that was decided; what tells whether a node has it, or a later one."""
    host.give(Received(by.id, Gossip(state.cluster_id, state.epoch, state.sealed, (), state, False)))
    return lambda other: cluster_of(other).epoch >= state.epoch


def removal(told: Host, gone: Host) -> RingState:
    """The ring that `told` has, once `gone` was removed from it."""
    state = cluster_of(told).state
    return change.settle(change.begin(state, Change(change.REMOVE, gone.id, words=f"remove {gone.name}")))
