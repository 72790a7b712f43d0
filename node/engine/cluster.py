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
from node.core.limits_size import PREFERENCES_MAX
from node.core.quorum import Group
from node.engine import kept
from node.engine.config import NodeConfig
from node.engine.events import Stranger
from node.engine.outbox import Outbox
from node.engine.peers import Peers
from node.storage.port import Identity, SaveState
from node.wire.messages import LEAVING, REBUILDING

_encoder = msgspec.msgpack.Encoder()
_ring_decoder = msgspec.msgpack.Decoder(RingState | None)
_members_decoder = msgspec.msgpack.Decoder(tuple[Member, ...])


class Moving(NamedTuple):
    """The owners of a partition in the old ring and in the new."""

    old: tuple[NodeId, ...]
    new: tuple[NodeId, ...]


def ring_of(state: Mapping[str, bytes]) -> RingState | None:
    """The ring that a store's state holds; None if its node has no seat."""
    return _ring_decoder.decode(state[kept.STATE_RING]) if kept.STATE_RING in state else None


class Cluster:
    """The cluster as this node sees it. Changed only through `adopt`, `learn` and the link methods.

    `moving` are the partitions that get other owners in the epoch under way; `takers` have to say that they hold what
    they gain, and who leaves that nobody needs it, before it settles.
    `joining` is the last moving epoch in which this node takes a seat, if it was adopted since its start.
    `news` are members of whom something was learned lately, the latest last, and how often each was told (`tidings`).
    While `behind`, `unheard` are members without whose word it stays so. `lives` stands for the present dot epochs of
    all members' stores, as known here: whose word a reap round counts.
    """

    def __init__(self, config: NodeConfig, identity: Identity, state: Mapping[str, bytes]) -> None:
        self.config = config
        self.ring = ring_of(state)
        known = _members_decoder.decode(state[kept.STATE_MEMBERS]) if kept.STATE_MEMBERS in state else ()
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
        self.rebuilding = bool(state.get(kept.STATE_REBUILDING))
        self.took_seat = state.get(kept.STATE_REBUILDING) == kept.TOOK_SEAT.encode()
        self.behind = bool(state.get(kept.STATE_BEHIND))
        self.unheard: tuple[NodeId, ...] = ()
        self.mute_until, self.recalled = map(int, (state.get(kept.STATE_MUTE) or b"0 0").split())
        self.lives = b""
        self.durable_epoch = self.epoch
        self.joining = 0
        self._kept = kept.Kept()
        self.news: dict[NodeId, int] = {}
        self._preference: dict[PartitionId, tuple[NodeId, ...]] = {}
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

    def is_gone(self, node: NodeId) -> bool:
        """Whether `node` lost its membership, and never comes back under its id."""
        return node not in self.members and self.ring is not None and node in self.ring.gone

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
        return self.preference_of(partition_of(key, self.partitions))

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
        """The whole preference list of one partition; found out when it is asked for, as all of a ring are a lot."""
        known = self._preference.get(partition)
        if known is None:
            if len(self._preference) >= PREFERENCES_MAX:
                self._preference.clear()
            known = self._preference[partition] = self._prefer(partition)
        return known

    def preferences(self) -> tuple[tuple[NodeId, ...], ...]:
        """The preference lists of all partitions: worked out at once, that is much less than one by one."""
        state, n = self.state, self.state.quorums.n
        new = ring.preference_lists(state.seats, state.owners, n)
        if state.before is None:
            return new
        old = ring.preference_lists(state.before.seats, state.before.owners, n)
        return tuple([self._both(partition, new[partition], old[partition]) for partition in range(len(new))])

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
        known = self.members.get(member.id)
        self.members[member.id] = member
        self.news.pop(member.id, None)
        self.news[member.id] = 0
        if known is None:
            self.members = dict(sorted(self.members.items()))
        if known is None or (known.name, known.epochs) != (member.name, member.epochs):
            self._name()

    def save_ring(self, ring_state: RingState | None, out: Outbox, ticket: int = kept.STATE_TICKET) -> None:
        """Store a ring; later writes of another epoch are refused by the store."""
        epoch = ring_state.epoch if ring_state is not None else 0
        self._save(SaveState(kept.STATE_RING, _encoder.encode(ring_state), epoch), out, ticket)

    def _save(self, write: SaveState, out: Outbox, ticket: int = kept.STATE_TICKET) -> None:
        self._kept.save(write, out, ticket)

    def stored(self, saved: bool) -> None:
        """The first of what is on its way to our disk is durable; or the disk would not have it (it may be full)."""
        write = self._kept.stored(saved)
        if saved and write.name == kept.STATE_RING:
            self.durable_epoch = write.epoch or 0

    def save_again(self, out: Outbox) -> None:
        """Store what the disk would not have: a store in an older epoch than ours takes no row at all."""
        for write in self._kept.take_refused():
            if write.name == kept.STATE_RING:  # it may be another one by now
                self.save_ring(self.ring, out)
            elif write.name == kept.STATE_MEMBERS:
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

    def save_members(self, out: Outbox, ticket: int = kept.STATE_TICKET) -> None:
        """Store the member table."""
        self._save(SaveState(kept.STATE_MEMBERS, _encoder.encode(tuple(self.members.values()))), out, ticket)

    def outbid(self, incarnation: int) -> None:
        """Others know an earlier life of this seat: what we say of ourselves must be newer."""
        self.me = self.me._replace(incarnation=incarnation + 1)
        self.learn(self.me)

    def rebuilt(self, out: Outbox) -> None:
        """This store holds again what its seat acknowledged; what it has voted on the next epoch it does not know."""
        self.rebuilding = False
        self._be_mute(kept.UNKNOWN_EPOCH, 0, out)
        self._save(SaveState(kept.STATE_REBUILDING, b""), out)

    def speaks_again(self, epoch: int, until: int, out: Outbox) -> None:
        """All other voters have said what they voted on `epoch`: this store votes on it, too, and after `until`."""
        self._be_mute(min(self.mute_until, until), epoch, out)

    def _be_mute(self, until: int, recalled: int, out: Outbox) -> None:
        self.mute_until, self.recalled = until, recalled
        self._save(SaveState(kept.STATE_MUTE, b"%d %d" % (until, recalled)), out)

    def starts_behind(self, out: Outbox) -> None:
        """A newcomer knows of no reap round, and must before it takes a row: an old one may be under way to it."""
        self.behind = True
        self._save(SaveState(kept.STATE_BEHIND, b"a newcomer"), out)

    def distrust(self, out: Outbox) -> None:
        """This store turns out to have forgotten something: from here on it coordinates, confirms and takes nothing."""
        self.rebuilding = self.behind = True
        for state in kept.forgetful("it was put back to an earlier state"):
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
        self._preference.clear()
        if state is None:
            return
        gone = [node for node in state.gone if node in self.members and node != self.config.id]
        if gone:
            for node in gone:
                self.news.pop(node, None)
            self.members = {node: member for node, member in self.members.items() if node not in gone}
            self._name()
        n = state.quorums.n
        self._owners = ring.owner_lists(state.seats, state.owners, n)
        if state.before is not None:
            self._place_moving(state.before, change.leaver(state.change), n)

    def _place_moving(self, before: Before, leaver: NodeId | None, n: int) -> None:
        """Where the owners change, both count: the old ones first."""
        owners = list(self._owners)
        for partition, old in enumerate(ring.owner_lists(before.seats, before.owners, n)):
            new = owners[partition]
            if set(old) != set(new):
                self.moving[partition] = Moving(old, new)
                owners[partition] = (*old, *(node for node in new if node not in old))
        self._owners = tuple(owners)
        takers = {node: None for moving in self.moving.values() for node in change.takers(*moving)}
        if leaver is not None:
            takers[leaver] = None
        self.takers = tuple(takers)

    def _prefer(self, partition: PartitionId) -> tuple[NodeId, ...]:
        """One preference list."""
        state = self.state
        new = ring.preference_list(state.seats, state.owners, partition)
        if state.before is None:
            return new
        return self._both(partition, new, ring.preference_list(state.before.seats, state.before.owners, partition))

    def _both(self, partition: PartitionId, new: tuple[NodeId, ...], old: tuple[NodeId, ...]) -> tuple[NodeId, ...]:
        """While the ring moves, whoever is in one of the two may stand in, behind all owners."""
        return tuple(dict.fromkeys((*self._owners[partition], *new, *old)))


def address_of(member: Member) -> str:
    """Where to dial a member."""
    return f"{member.host}:{member.peer_port}"
