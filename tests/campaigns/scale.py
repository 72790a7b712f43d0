"""What a cluster costs by its size: gossip, the spreading of an epoch, the computing of a ring.

    python -m tests.campaigns.scale --nodes 10 32 100 316 1000 --partitions 8192

The engines of so many nodes in the simulator's world: a network that loses nothing, no clients, a sealed ring on every
disk. Bytes are what the real codec makes of what the nodes say while nothing happens; the links' own cost (TCP, TLS) is
not in them. Then one node is told another epoch, and one has another address, and it is looked ten times a round
whether all know; and the ring is computed, from nothing and for one more node, on this machine.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence
from statistics import median
from typing import NamedTuple

import msgspec

from node.core import change
from node.core import ring as rings
from node.core.cluster import Before, Change, RingState, Seat
from node.core.ids import NodeId
from node.core.limits import GOSSIP_INTERVAL_S
from node.core.ring import Ring
from node.engine.cluster import Cluster
from node.sim.network import NetworkOptions
from node.sim.seated import ring_of
from tests.campaigns.gossip import rounds_max
from tests.helpers.gossiping import PAPER, GossipWorld, cluster_of, decide, link, move, running, seated, spread

QUIET_S = 3.0
"""From when all are linked until it is counted what they say: what the start made them say is over."""

COUNTED_S = 5.0
TURN_S = 0.02
"""A node takes on together what came within it, as a busy one does; so a thousand of them are simulated in time."""

TIMES = 5
SPREAD_S_MAX = 120.0

PROBES = ("Ping", "Pong")
_encode = msgspec.msgpack.Encoder().encode


class Growth(NamedTuple):
    """What a cluster of so many nodes costs. Bytes are those that one node sends a second, sizes are in bytes.

    `start`: what one node sent until all were linked, and QUIET_S more. `epoch_s`, `record_s`: until all knew a new
    epoch, a changed record; None if that never came. `encoded` is the ring on the wire, `ring` in memory, and `placed`
    what a node derives from it.
    """

    nodes: int
    start: float
    gossip: float
    probes: float
    other: float
    record_s: float | None
    epoch_s: float | None
    scratch_s: float
    join_s: float
    place_s: float
    moving_s: float
    encoded: int
    ring: int
    placed: int
    took_s: float

    @property
    def right(self) -> bool:
        """Whether all came to know what was new within the rounds that they may take."""
        spreads = (self.record_s, self.epoch_s)
        return all(s is not None and s / GOSSIP_INTERVAL_S <= rounds_max(self.nodes) for s in spreads)


def per_node(world: GossipWorld, seconds: float, kinds: Sequence[str]) -> float:
    """Bytes that one node sent a second, of these kinds of messages."""
    return sum(world.sent[kind] for kind in kinds) / len(world.hosts) / seconds


def grown(nodes: int, partitions: int) -> tuple[Ring, float, float]:
    """The ring of so many nodes that join one after another; seconds for that, and for one more (median)."""
    seats = [Seat(NodeId(f"{number:032x}"), "", 1) for number in range(nodes + 1)]
    begun = time.process_time()
    ring: Ring = (seats[0],), (0,) * partitions
    for seat in seats[1:nodes]:
        ring = rings.join(*ring, seat, PAPER.n)
    scratch_s = time.process_time() - begun
    return ring, scratch_s, timed(lambda: rings.join(*ring, seats[nodes], PAPER.n))


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes, the median of some times."""
    took = []
    for _ in range(TIMES):
        begun = time.process_time()
        work()
        took.append(time.process_time() - begun)
    return median(took)


def weigh(make: Callable[[], object]) -> tuple[object, int]:
    """What it makes, and the bytes of memory that are its own."""
    gc.collect()
    tracemalloc.start()
    made = make()
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return made, size


class Sizes(NamedTuple):
    """What a ring weighs and how long a node needs to find out what follows from it: for a settled and a moving one."""

    place_s: float
    moving_s: float
    encoded: int
    ring: int
    placed: int


def sizes(ring: Ring, world: GossipWorld) -> Sizes:
    """Measure it with a node's own view of the cluster."""
    nodes, host, newcomer = len(world.hosts), world.hosts[0], Seat(NodeId("f" * 32), "", 1)
    settled = ring_of(world, (tuple(Seat(each.id, "", 1) for each in world.hosts), ring[1]), world.stream("sizes"))
    seats, owners = rings.join(settled.seats, settled.owners, newcomer, PAPER.n)  # `begin` has a limit of seats
    joins, before = Change(change.JOIN, newcomer.id), Before(settled.seats, settled.owners)
    moving = settled._replace(epoch=nodes + 1, seats=seats, owners=owners, change=joins, before=before)
    cluster = Cluster(host.config, host.storage.identity, {})
    data = _encode(settled)
    decoder = msgspec.msgpack.Decoder(RingState)
    _, weighs = weigh(lambda: decoder.decode(data))
    _, placed = weigh(lambda: cluster.adopt(settled))
    return Sizes(timed(lambda: cluster.adopt(settled)), timed(lambda: cluster.adopt(moving)), len(data), weighs, placed)


def measure(nodes: int, partitions: int, seed: int = 1) -> Growth:
    """Grow a cluster to this size and look what it costs."""
    begun = time.monotonic()
    ring, scratch_s, join_s = grown(nodes, partitions)
    world = seated(nodes, seed, NetworkOptions(), partitions, ring[1], turn_s=TURN_S)
    found = sizes(ring, world)
    world.counting = True
    link(world)
    world.agenda.run(world.agenda.now + QUIET_S)
    start = sum(world.sent.values()) / nodes
    world.sent.clear()
    world.agenda.run(world.agenda.now + COUNTED_S)
    world.counting = False
    every = set(world.sent)
    gossip = per_node(world, COUNTED_S, ("Gossip",))
    probes = per_node(world, COUNTED_S, PROBES)
    other = per_node(world, COUNTED_S, sorted(every - {"Gossip", *PROBES}))
    record_s = spread(world, running(world), move(world.hosts[0]), SPREAD_S_MAX)
    state = cluster_of(world.hosts[0]).state
    told = decide(world.hosts[0], world.hosts[1], state._replace(epoch=state.epoch + 1))
    epoch_s = spread(world, running(world), told, SPREAD_S_MAX)
    return Growth(
        nodes, start, gossip, probes, other, record_s, epoch_s, scratch_s, join_s, *found, time.monotonic() - begun
    )


HEAD = (
    "| nodes | gossip B/s a node | probes B/s a node | other B/s a node | sent by one until it is quiet "
    "| all know a record | all know an epoch | 10·log2(n) rounds | ring from nothing | one join "
    "| adopt a settled ring | adopt a moving one | ring encoded | ring in memory | what a node derives from it |\n"
    "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
)


def line(growth: Growth) -> str:
    """A line of the table."""
    cells = [
        f"{growth.nodes:,}",
        *(f"{each:,.0f}" for each in (growth.gossip, growth.probes, growth.other)),
        f"{growth.start / 1000:,.0f} kB",
        *(f"{spread:.1f} s" if spread is not None else "NEVER" for spread in (growth.record_s, growth.epoch_s)),
        f"{rounds_max(growth.nodes):.0f}",
        f"{growth.scratch_s:.2f} s",
        *(f"{seconds * 1000:.1f} ms" for seconds in (growth.join_s, growth.place_s, growth.moving_s)),
        *(f"{size / 1000:,.0f} kB" for size in (growth.encoded, growth.ring, growth.placed)),
    ]
    return f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line says; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--nodes", type=int, nargs="+", default=[10, 32, 100, 316, 1000])
    parser.add_argument("--partitions", type=int, default=8192)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    gc.disable()  # a thousand nodes are some millions of objects that stay, and each look for garbage goes through them
    print(HEAD, flush=True)
    wrong = False
    for nodes in options.nodes:
        growth = measure(nodes, options.partitions, options.seed)
        print(line(growth), flush=True)
        print(f"{nodes} nodes: {growth.took_s:.0f} s", file=sys.stderr, flush=True)
        wrong = wrong or not growth.right
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
