"""What this node knows of its cluster: ring, members, who answers. Operations ask; `seats` and `gossip` tell."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from node.core import change, ring
from node.core.cluster import Before, Member, RingState, Secret
from node.core.ids import Instant, NodeId, PartitionId, partition_of
from node.core.limits import EVENTS_MAX, LIVES_BYTES
from node.core.quorum import Group
from node.engine.config import NodeConfig
from node.engine.events import Stranger
from node.engine.outbox import Outbox
from node.engine.peers import Peers
from node.storage.port import Identity, SaveState
from node.wire.messages import LEAVING, REBUILDING

STATE_RING = "ring"
STATE_MEMBERS = "members"
STATE_REBUILDING = "rebuilding"
"""Not empty while this store may lack what its seat acknowledged: it is new under an old seat, or was put back."""

STATE_BEHIND = "behind"
"""Not empty while such a store has not learned the reap rounds of its cluster (`engine.catchup`)."""

STATE_MUTE = "mute"
"""Two numbers: the last epoch on which this store may have voted before it forgot that, and the one on which it has its
vote back all the same (`engine.voting`)."""

STATE_TICKET = -2
"""The ticket under which is stored what this node knows of the cluster; what the disk will not have is tried again."""

UNKNOWN_EPOCH = 2**62
"""Nobody knows yet how far its former life had come."""

_encoder = msgspec.msgpack.Encoder()
_ring_decoder = msgspec.msgpack.Decoder(RingState | None)
_members_decoder = msgspec.msgpack.Decoder(tuple[Member, ...])

TOOK_SEAT = "a new store under an old seat"
"""Why a store may have forgotten: it is told to take the seat of a member whose data is lost (`--seat`)."""


def forgetful(why: str) -> list[SaveState]:
    """What a store keeps, before anything else, that may have forgotten something, and why that is."""
    return [SaveState(STATE_REBUILDING, why.encode()), SaveState(STATE_BEHIND, why.encode())]


class Moving(NamedTuple):
    """The owners of a partition in the old ring and in the new."""

    old: tuple[NodeId, ...]
    new: tuple[NodeId, ...]


def ring_of(state: Mapping[str, bytes]) -> RingState | None:
    """The ring that a store's state holds; None if its node has no seat."""
    return _ring_decoder.decode(state[STATE_RING]) if STATE_RING in state else None


class Cluster:
    """The cluster as this node sees it. Changed only through `adopt`, `learn` and the link methods.

    `moving` are the partitions that get other owners in the epoch under way; `takers` have to say that they hold what
    they gain, and who leaves that nobody needs it, before it settles.
    `joining` is the last moving epoch in which this node takes a seat, if it was adopted since its start.
    While `behind`, `unheard` are members without whose word it stays so. `lives` stands for the present dot epochs of
    all members' stores, as known here: whose word a reap round counts.
    """

    def __init__(self, config: NodeConfig, identity: Identity, state: Mapping[str, bytes]) -> None:
        self.config = config
        self.ring = ring_of(state)
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
        self.mute_until, self.recalled = map(int, (state.get(STATE_MUTE) or b"0 0").split())
        self.lives = b""
        self.durable_epoch = self.epoch
        self.joining = 0
        self._saving: deque[SaveState] = deque()
        self._refused: dict[str, SaveState] = {}
        self._preference: tuple[tuple[NodeId, ...], ...] = ()
        self._owners: tuple[tuple[NodeId, ...], ...] = ()
        self.moving: dict[PartitionId, Moving] = {}
        self.takers: tuple[NodeId, ...] = ()
        self._names: dict[int, str] = {}
        self._place()
        self._name()

    # What operations ask -----------------------------------------------------------------------------------

    @property
    def seated(self) -> bool:
        """Whether this node belongs to a cluster."""
        return self.ring is not None

    @property
    def lacking(self) -> tuple[NodeId, ...]:
        """The takers that have not said yet that they hold what the new ring wants of them."""
        epoch, members = self.epoch, self.members
        return tuple([node for node in self.takers if node not in members or members[node].holds != epoch])

    @property
    def placed(self) -> bool:
        """Whether this node has its seat, and any move that it takes part in is settled."""
        state, me = self.ring, self.config.id
        if state is None:
            return False
        return any(seat.id == me for seat in state.seats) and me not in self.takers

    @property
    def gone(self) -> bool:
        """Whether this node is no member any more: nobody asks it whether something may be reaped."""
        return self.ring is not None and self.config.id in self.ring.gone

    @property
    def gone_nodes(self) -> tuple[NodeId, ...]:
        """Who lost its membership, and never comes back under its id."""
        return self.ring.gone if self.ring is not None else ()

    def is_leaving(self, node: NodeId) -> bool:
        """Whether `node` gives its seat up, or has: what it holds for others may go with it, and counts for nobody."""
        state = self.ring
        if state is None:
            return False
        return node in state.gone or (state.before is not None and node == change.leaver(state.change))

    @property
    def abstains(self) -> str:
        """Why this node coordinates no write; "" if it does."""
        if self.rebuilding:
            return REBUILDING
        return LEAVING if self.is_leaving(self.config.id) and self.me.holds == self.epoch else ""

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
        """The first N of the preference list; while the partition moves, the old owners and then the new ones."""
        return self._owners[partition_of(key, len(self._owners))]

    def groups(self, key: bytes, need: int) -> tuple[Group, ...]:
        """Of whom `need` must agree while the key's partition moves; () if it does not: then of all its owners."""
        moving = self.moving.get(partition_of(key, len(self._owners))) if self.moving else None
        return () if moving is None else change.groups(moving.old, moving.new, need)

    def witnesses(self, key: bytes) -> tuple[NodeId, ...]:
        """The owners whose word that they hold nothing means something."""
        return self.holders_of(partition_of(key, len(self._owners)))

    def coordinators(self, key: bytes, *, strict: bool) -> tuple[NodeId, ...]:
        """Who may coordinate a write, in the order in which they are asked: owners, then (not STRICT) stand-ins."""
        return self.owners(key) if strict else self.preference_list(key)

    def holders_of(self, partition: PartitionId) -> tuple[NodeId, ...]:
        """The owners of one partition; while it moves the old ones: what was written before, they hold."""
        moving = self.moving.get(partition) if self.moving else None
        return self._owners[partition] if moving is None else moving.old

    def owns(self, partition: PartitionId) -> bool:
        """Whether this node is an owner of the partition, in the old ring or in the new."""
        return self.config.id in self._owners[partition]

    def preference_of(self, partition: PartitionId) -> tuple[NodeId, ...]:
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
        if adopted is not None and adopted.before is not None and change.newcomer(adopted.change) == self.config.id:
            self.joining = adopted.epoch
        self._place()

    def learn(self, member: Member) -> None:
        """Take a newer member record."""
        self.members[member.id] = member
        self.members = dict(sorted(self.members.items()))
        self._name()

    def save_ring(self, ring_state: RingState | None, out: Outbox, ticket: int = STATE_TICKET) -> None:
        """Store a ring; later writes of another epoch are refused by the store."""
        epoch = ring_state.epoch if ring_state is not None else 0
        self._save(SaveState(STATE_RING, _encoder.encode(ring_state), epoch), out, ticket)

    def _save(self, write: SaveState, out: Outbox, ticket: int = STATE_TICKET) -> None:
        if ticket == STATE_TICKET:
            self._refused.pop(write.name, None)
            self._saving.append(write)
        out.persist(ticket, write)

    def stored(self, saved: bool) -> None:
        """The first of what is on its way to our disk is durable; or the disk would not have it (it may be full)."""
        write = self._saving.popleft()
        if saved and write.name == STATE_RING:
            self.durable_epoch = write.epoch or 0
        elif not saved and all(later.name != write.name for later in self._saving):
            self._refused[write.name] = write

    def save_again(self, out: Outbox) -> None:
        """Store what the disk would not have: a store in an older epoch than ours takes no row at all."""
        refused, self._refused = self._refused, {}
        for name, write in refused.items():
            if name == STATE_RING:
                self.save_ring(self.ring, out)
            elif name == STATE_MEMBERS:
                self.save_members(out)
            else:
                self._save(write, out)

    @property
    def fenced(self) -> bool:
        """Whether our ring is durable: nothing that was begun under an older one comes to rest here any more.

        Until then what we hold is no evidence of what the older one may still acknowledge: a row may be on its way to
        our disk, and after a crash we would be in the older one again, and take more.
        """
        return self.durable_epoch == self.epoch

    def save_members(self, out: Outbox, ticket: int = STATE_TICKET) -> None:
        """Store the member table."""
        self._save(SaveState(STATE_MEMBERS, _encoder.encode(tuple(self.members.values()))), out, ticket)

    def outbid(self, incarnation: int) -> None:
        """Others know an earlier life of this seat: what we say of ourselves must be newer."""
        self.me = self.me._replace(incarnation=incarnation + 1)
        self.learn(self.me)

    def rebuilt(self, out: Outbox) -> None:
        """This store holds again what its seat acknowledged; what it has voted on the next epoch it does not know."""
        self.rebuilding = False
        self._be_mute(UNKNOWN_EPOCH, 0, out)
        self._save(SaveState(STATE_REBUILDING, b""), out)

    def speaks_again(self, epoch: int, until: int, out: Outbox) -> None:
        """All other voters have said what they voted on `epoch`: this store votes on it, too, and after `until`."""
        self._be_mute(min(self.mute_until, until), epoch, out)

    def _be_mute(self, until: int, recalled: int, out: Outbox) -> None:
        self.mute_until, self.recalled = until, recalled
        self._save(SaveState(STATE_MUTE, b"%d %d" % (until, recalled)), out)

    def starts_behind(self, out: Outbox) -> None:
        """A newcomer knows of no reap round, and must before it takes a row: an old one may be under way to it."""
        self.behind = True
        self._save(SaveState(STATE_BEHIND, b"a newcomer"), out)

    def distrust(self, out: Outbox) -> None:
        """This store turns out to have forgotten something: from here on it coordinates, confirms and takes nothing."""
        self.rebuilding = self.behind = True
        for state in forgetful("it was put back to an earlier state"):
            self._save(state, out)

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

    def took_in(self, epoch: int) -> None:
        """This store holds all that the new ring of a moving epoch wants of it: others shall know."""
        self.me = self.me._replace(holds=epoch, incarnation=self.me.incarnation + 1)
        self.learn(self.me)

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
        """Recompute what follows from the ring: preference lists, who is gone, and what moves."""
        state = self.ring
        self.moving, self.takers = {}, ()
        if state is None:
            return
        gone = [node for node in state.gone if node in self.members and node != self.config.id]
        if gone:
            self.members = {node: member for node, member in self.members.items() if node not in gone}
            self._name()
        n = state.quorums.n
        self._preference = ring.preference_lists(state.seats, state.owners, n)
        self._owners = tuple([nodes[:n] for nodes in self._preference])
        if state.before is not None:
            self._place_moving(state.before, change.leaver(state.change), n)

    def _place_moving(self, before: Before, leaver: NodeId | None, n: int) -> None:
        """Where the owners change, both count: the old ones first. Whoever is in one of the rings may stand in."""
        preference, owners = list(self._preference), list(self._owners)
        for partition, former in enumerate(ring.preference_lists(before.seats, before.owners, n)):
            old, new = former[:n], owners[partition]
            both = new
            if set(old) != set(new):
                self.moving[partition] = Moving(old, new)
                both = owners[partition] = (*old, *(node for node in new if node not in old))
            preference[partition] = tuple(dict.fromkeys((*both, *preference[partition], *former)))
        self._preference, self._owners = tuple(preference), tuple(owners)
        takers = {node: None for moving in self.moving.values() for node in change.takers(*moving)}
        if leaver is not None:
            takers[leaver] = None
        self.takers = tuple(takers)


def address_of(member: Member) -> str:
    """Where to dial a member."""
    return f"{member.host}:{member.peer_port}"
