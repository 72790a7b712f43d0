"""What this node knows of its cluster: ring, members, who answers. Operations ask; `seats` and `gossip` tell."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from hashlib import blake2b

import msgspec

from node.core import ring
from node.core.cluster import Member, RingState, Secret
from node.core.ids import Instant, NodeId, partition_of
from node.core.limits import EVENTS_MAX, LIVES_BYTES
from node.engine.config import NodeConfig
from node.engine.events import Stranger
from node.engine.outbox import Outbox
from node.engine.peers import Peers
from node.storage.port import Identity, SaveState

STATE_RING = "ring"
STATE_MEMBERS = "members"
STATE_REBUILDING = "rebuilding"
"""Not empty while this store may lack what its seat acknowledged: it is new under an old seat, or was put back."""

STATE_BEHIND = "behind"
"""Not empty while such a store has not learned the reap rounds of its cluster (`engine.catchup`)."""

_encoder = msgspec.msgpack.Encoder()
_ring_decoder = msgspec.msgpack.Decoder(RingState | None)
_members_decoder = msgspec.msgpack.Decoder(tuple[Member, ...])

TOOK_SEAT = "a new store under an old seat"
"""Why a store may have forgotten: it is told to take the seat of a member whose data is lost (`--seat`)."""


def forgetful(why: str) -> list[SaveState]:
    """What a store keeps, before anything else, that may have forgotten something, and why that is."""
    return [SaveState(STATE_REBUILDING, why.encode()), SaveState(STATE_BEHIND, why.encode())]


class Cluster:
    """The cluster as this node sees it. Changed only through `adopt`, `learn` and the link methods.

    While `behind`, `unheard` are members without whose word it stays so. `lives` stands for the present dot epochs of
    all members' stores, as known here: whose word a reap round counts.
    """

    def __init__(self, config: NodeConfig, identity: Identity, state: Mapping[str, bytes]) -> None:
        self.config = config
        self.ring: RingState | None = _ring_decoder.decode(state[STATE_RING]) if STATE_RING in state else None
        known = _members_decoder.decode(state[STATE_MEMBERS]) if STATE_MEMBERS in state else ()
        before = next((member for member in known if member.id == config.id), None)
        self.me = Member(
            config.id, config.name, config.host, config.port, config.peer_port, config.http_port, config.zone,
            config.weight, identity.storage_id, identity.epochs, before.incarnation + 1 if before else 1,
            identity.starts, identity.run, identity.changes,
        )  # fmt: skip
        members = {member.id: member for member in known} | {config.id: self.me}
        self.members: dict[NodeId, Member] = dict(sorted(members.items()))
        self.peers = Peers()
        self.links = self.peers.links
        self.strangers: dict[str, Stranger] = {}
        self.events: deque[dict[str, object]] = deque(maxlen=EVENTS_MAX)
        self.waiting_because = "looking for a cluster"
        self.rebuilding = bool(state.get(STATE_REBUILDING))
        self.took_seat = state.get(STATE_REBUILDING) == TOOK_SEAT.encode()
        self.behind = bool(state.get(STATE_BEHIND))
        self.unheard: tuple[NodeId, ...] = ()
        self.lives = b""
        self._preference: tuple[tuple[NodeId, ...], ...] = ()
        self._owners: tuple[tuple[NodeId, ...], ...] = ()
        self._names: dict[int, str] = {}
        self._place()
        self._name()

    # What operations ask -----------------------------------------------------------------------------------

    @property
    def seated(self) -> bool:
        """Whether this node belongs to a cluster."""
        return self.ring is not None

    @property
    def state(self) -> RingState:
        """The ring; only for a seated node."""
        assert self.ring is not None, "no seat yet"
        return self.ring

    @property
    def epoch(self) -> int:
        """The ring epoch; 0 without a seat."""
        return self.ring.epoch if self.ring is not None else 0

    @property
    def cluster_id(self) -> str:
        """The cluster's random id; "" without a seat."""
        return self.ring.cluster_id if self.ring is not None else ""

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The cluster's context secrets, the present one first."""
        return self.state.secrets

    @property
    def partitions(self) -> int:
        """Q."""
        return self.state.partitions

    def preference_list(self, key: bytes) -> tuple[NodeId, ...]:
        """The key's whole preference list: owners first, then stand-ins."""
        return self._preference[partition_of(key, self.partitions)]

    def owners(self, key: bytes) -> tuple[NodeId, ...]:
        """The first N of the preference list."""
        return self._owners[partition_of(key, len(self._owners))]

    def coordinators(self, key: bytes, *, strict: bool) -> tuple[NodeId, ...]:
        """Who may coordinate a write, in the order in which they are asked: owners, then (not STRICT) stand-ins."""
        return self.owners(key) if strict else self.preference_list(key)

    def owners_of(self, partition: int) -> tuple[NodeId, ...]:
        """The owners of one partition."""
        return self._owners[partition]

    def preference_of(self, partition: int) -> tuple[NodeId, ...]:
        """The whole preference list of one partition."""
        return self._preference[partition]

    def is_up(self, node: NodeId) -> bool:
        """Whether `node` answers *me*; this node always does."""
        return self.peers.is_up(node) or node == self.config.id

    def name(self, node: NodeId) -> str:
        """The node's name for people."""
        member = self.members.get(node)
        return member.name if member is not None else node[:8]

    def member_at(self, address: str) -> NodeId | None:
        """The member that listens for peers at an address, if one says so."""
        return next((member.id for member in self.members.values() if address_of(member) == address), None)

    def health(self, node: NodeId, now: Instant) -> str:
        """up, suspect or down, as this node sees it."""
        return "up" if node == self.config.id else self.peers.health(node, now)

    @property
    def names_by_epoch(self) -> Mapping[int, str]:
        """Node names by the dot epochs of their stores."""
        return self._names

    def note_seat(self, peer: NodeId, seated: bool) -> None:
        """`peer` showed whether it has a seat."""
        link = self.links.get(peer)
        if link is not None:
            link.seated = seated

    # What seats and gossip tell ----------------------------------------------------------------------------

    def adopt(self, adopted: RingState | None) -> None:
        """Take a decided ring (None: give up the seat). The caller stores it."""
        self.ring = adopted
        self._place()

    def learn(self, member: Member) -> None:
        """Take a newer member record."""
        self.members[member.id] = member
        self.members = dict(sorted(self.members.items()))
        self._name()

    def save_ring(self, ring_state: RingState | None, out: Outbox, ticket: int = 0) -> None:
        """Store a ring; later writes of another epoch are refused by the store."""
        epoch = ring_state.epoch if ring_state is not None else 0
        out.persist(ticket, SaveState(STATE_RING, _encoder.encode(ring_state), epoch))

    def save_members(self, out: Outbox, ticket: int = 0) -> None:
        """Store the member table."""
        out.persist(ticket, SaveState(STATE_MEMBERS, _encoder.encode(tuple(self.members.values()))))

    def outbid(self, incarnation: int) -> None:
        """Others know an earlier life of this seat: what we say of ourselves must be newer."""
        self.me = self.me._replace(incarnation=incarnation + 1)
        self.learn(self.me)

    def rebuilt(self, out: Outbox) -> None:
        """This store holds again what its seat acknowledged."""
        self.rebuilding = False
        out.persist(0, SaveState(STATE_REBUILDING, b""))

    def distrust(self, out: Outbox) -> None:
        """This store turns out to have forgotten something: from here on it coordinates, confirms and takes nothing."""
        self.rebuilding = self.behind = True
        for state in forgetful("it was put back to an earlier state"):
            out.persist(0, state)

    def caught_up(self) -> None:
        """This store is in the reap rounds of its cluster, durably."""
        self.behind = False

    def others(self) -> list[Member]:
        """All members but this node."""
        return [member for member in self.members.values() if member.id != self.config.id]

    def note(self, now: Instant, out: Outbox, kind: str, **fields: object) -> None:
        """A fact that the event list remembers too."""
        out.fact(kind, **fields)
        self.events.append({"at": now, "node": self.config.name, "kind": kind, **fields})

    def grew(self, changes: int) -> None:
        """This store changed, durably: others shall know, to remember it."""
        self.me = self.me._replace(changes=changes, incarnation=self.me.incarnation + 1)
        self.learn(self.me)

    def _name(self) -> None:
        """Recompute what follows from the members: the names of dot epochs, the digest of all stores' lives."""
        self._names = {epoch: member.name for member in self.members.values() for epoch in member.epochs}
        lives = repr([(member.id, member.epochs[-1:]) for member in self.members.values()])
        self.lives = blake2b(lives.encode(), digest_size=LIVES_BYTES).digest()

    def _place(self) -> None:
        """Recompute what follows from the ring: preference lists."""
        if self.ring is not None:
            n = self.ring.quorums.n
            self._preference = ring.preference_lists(self.ring.seats, self.ring.owners, n)
            self._owners = tuple(nodes[:n] for nodes in self._preference)


def address_of(member: Member) -> str:
    """Where to dial a member."""
    return f"{member.host}:{member.peer_port}"
