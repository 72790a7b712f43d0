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
    one that was put back (`engine.gossip`). `holds` is the moving epoch (`RingState.before`) for which this node has
    taken in all that the new ring wants of it, 0 for none.
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
    holds: int = 0


class Seat(NamedTuple):
    """A node's place in the ring: what placement depends on, and nothing else."""

    id: NodeId
    zone: str
    weight: int


class Secret(NamedTuple):
    """A context secret: `key_id` (0 … 255) tells tokens of the previous secret from those of the present one."""

    key_id: int
    secret: bytes


class Change(NamedTuple):
    """What somebody asked of the ring. `kind`: join, leave, remove, replace, weight, zone (`core.change` has them).

    `node` is whose seat it is about, `by` who takes it (replace). `words` say it with names, for people: of who is gone
    nobody else knows the name.
    """

    kind: str
    node: NodeId
    by: NodeId = NodeId("")
    words: str = ""


class Before(NamedTuple):
    """The ring that a moving one comes from: who owned what. It owns it still, until the new one holds everything."""

    seats: tuple[Seat, ...]
    owners: tuple[int, ...]


class RingState(NamedTuple):
    """One decided epoch of one cluster: who owns what, and how it came to be.

    `owners[p]` indexes `seats`: the primary of partition p. `sealed` says that a client's write was, or may have
    been, taken under this epoch, or an earlier one. `decider` is the founder: until the ring is sealed it alone makes
    the next epoch (`engine.seats`); later ones are decided by a majority of the voters (`engine.voting`).

    An epoch with `before` is *moving*: reads and writes need their quorums in both rings. Without it is *settled*.
    `change` is what it came from, `gone` are nodes that lost their membership, and never come back under that id.
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
    change: Change | None = None
    before: Before | None = None
    gone: tuple[NodeId, ...] = ()

    @property
    def voters(self) -> tuple[NodeId, ...]:
        """Whose majority decides the next epoch: the owners of everything, in the old ring while there is one."""
        return tuple([seat.id for seat in (self.seats if self.before is None else self.before.seats)])

    @property
    def partitions(self) -> int:
        """Q, the number of partitions."""
        return len(self.owners)


class Ballot(NamedTuple):
    """The number of one attempt to decide an epoch: greater ones win, and no two nodes ever use the same."""

    number: int
    node: NodeId


class Vote(NamedTuple):
    """What one voter has said about the one epoch that is to be decided: kept durably before it is told (`core.vote`).

    It takes part in no ballot below `promised`; `ring` is what it accepted, in the ballot `accepted`.
    """

    epoch: int
    promised: Ballot
    accepted: Ballot | None = None
    ring: RingState | None = None
