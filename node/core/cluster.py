"""What a cluster is made of: its members and its ring, as values that nodes exchange and keep on disk."""

from __future__ import annotations

from typing import NamedTuple

from node.core.ids import NodeId


class Quorums(NamedTuple):
    """The cluster's N, R and W (paper, section 4.5), fixed when it is founded."""

    n: int
    r: int
    w: int


class Member(NamedTuple):
    """One node as it describes itself. The record with the higher incarnation is the newer one.

    `host` with `port` (clients), `peer_port` and `http_port` is where to reach it. `epochs` are the dot epochs its
    store has ever used, the present one last: they give dots their node's name. `incarnation` grows with every
    start, and with all that changes here.

    `starts` counts them in the store, `run` is random, another one at each, and `changes` is how often a row of the
    store has changed. All three are durable before a peer hears of them: others remember the past of a store, and know
    one that was put back (`engine.gossip`).
    """

    id: NodeId
    name: str
    host: str
    port: int
    peer_port: int
    http_port: int
    zone: str
    weight: int
    storage_id: str
    epochs: tuple[int, ...]
    incarnation: int
    starts: int = 0
    run: str = ""
    changes: int = 0


class Seat(NamedTuple):
    """A node's place in the ring: what placement depends on, and nothing else."""

    id: NodeId
    zone: str
    weight: int


class Secret(NamedTuple):
    """A context secret: `key_id` (0 … 255) tells tokens of the previous secret from those of the present one."""

    key_id: int
    secret: bytes


class RingState(NamedTuple):
    """One decided epoch of one cluster: who owns what, and how it came to be.

    `owners[p]` indexes `seats`: the primary of partition p. `sealed` says that a client's write was, or may have
    been, taken under this epoch: from then on `owners` stays as it is (see `engine.seats`). `decider` is the founder:
    until the ring is sealed it alone makes the next epoch.
    """

    cluster_id: str
    cluster: str
    epoch: int
    sealed: bool
    decider: NodeId
    quorums: Quorums
    seats: tuple[Seat, ...]
    owners: tuple[int, ...]
    secrets: tuple[Secret, ...]

    @property
    def partitions(self) -> int:
        """Q, the number of partitions."""
        return len(self.owners)
