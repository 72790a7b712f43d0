"""A ring on the move: n4 joins n1, n2 and n3, and some partitions get it in the place of an old owner."""

from __future__ import annotations

from node.core import change
from node.core.cluster import Change, RingState, Seat
from node.core.ids import NodeId, partition_of
from node.engine.cluster import Cluster
from node.wire.messages import Gossip
from tests.helpers.engine import EPOCH, Engine, member, node_id, sealed_ring

NAMES = ("n1", "n2", "n3", "n4")
SETTLED = sealed_ring(["n1", "n2", "n3"])
MOVING = change.begin(SETTLED, Change(change.JOIN, node_id("n4")), Seat(node_id("n4"), "", 1))
JOINED = change.settle(MOVING)
MOVES = EPOCH + 1


def settled_engine(me: str = "n1") -> Engine:
    """One of four members, of which n1, n2 and n3 own everything."""
    engine = Engine(nodes=4, me=me)
    engine.settle_in(SETTLED)
    return engine


def moving_engine(me: str = "n1") -> Engine:
    """The same while n4 joins."""
    engine = settled_engine(me)
    tell(engine, MOVING)
    engine.clear()
    return engine


def tell(engine: Engine, ring: RingState) -> None:
    """A peer tells of a ring."""
    peer = "n2" if engine.node.config.name != "n2" else "n3"
    members = tuple(engine.node.cluster.members.values())
    engine.receive(peer, Gossip("c1", ring.epoch, True, members, ring, False))


def hold(engine: Engine, name: str, epoch: int = MOVES) -> None:
    """A peer's member record says that it holds all that it is to take in."""
    told = member(name)._replace(holds=epoch, incarnation=50)
    ring = engine.node.cluster.state
    engine.receive(name, Gossip("c1", ring.epoch, True, (told,), None, False))


def moved_key(cluster: Cluster, *, loses: str, first: str | None = None) -> bytes:
    """A key that n4 gets in the place of `loses`; of those that `first` heads the old owners of, if one is named."""
    for key in (b"k%d" % number for number in range(5000)):
        moving = cluster.moving.get(partition_of(key, cluster.partitions))
        if moving is None or first not in (None, name_of(moving.old[0])):
            continue
        if node_id(loses) not in moving.new:
            return key
    raise AssertionError(f"no key moves from {loses}")


def name_of(node: NodeId) -> str:
    """The name of a node's id."""
    return next(name for name in NAMES if node_id(name) == node)
