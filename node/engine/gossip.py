"""How knowledge spreads: every second with a random peer, push and pull (paper, section 4.8.1).

Member records merge by incarnation, rings by (epoch, sealed): the order of messages never matters, and neither does
their number. Two nodes that know the same say nothing more to each other.
"""

from __future__ import annotations

from random import Random

from node.core.cluster import Member, RingState
from node.core.ids import Instant, NodeId
from node.core.limits import GOSSIP_INTERVAL_S, MEMBERS_MAX
from node.core.limits_size import MEMBERS_SAVE_MAX
from node.engine.cluster import Cluster, address_of
from node.engine.events import PeerUp, Stranger
from node.engine.outbox import Outbox
from node.engine.peers import Link
from node.engine.seats import Seats
from node.wire.messages import Gossip, Join

GREW_EVERY_S = 10.0
"""How often a node that writes says how far its store has come: so much of it can be put back unnoticed. Each time all
others take over its record, and write it down."""


class Gossiper:
    """This node's part in spreading members and rings."""

    def __init__(self, cluster: Cluster, seats: Seats, rng: Random) -> None:
        self.cluster = cluster
        self.seats = seats
        self.rng = rng
        self.next_at: Instant = 0.0
        self._grow_at: Instant = 0.0
        self._fell_back = False
        self._unsaved = False

    def start(self, now: Instant, out: Outbox) -> None:
        """Remember this start, and dial everybody we know."""
        self.next_at = now + GOSSIP_INTERVAL_S
        if self.cluster.seated:
            self.cluster.save_members(out)
            self.cluster.save_ring(self.cluster.state, out)
            for member in self.cluster.others():
                out.dial(address_of(member))

    def tick(self, now: Instant, out: Outbox) -> list[NodeId]:
        """One round, if it is time: talk to one, ask everybody whether they are there. Return who has become silent."""
        if now < self.next_at:
            return []
        self.next_at = now + GOSSIP_INTERVAL_S
        cluster = self.cluster
        if self._unsaved:
            self._unsaved = False
            cluster.save_members(out)
        silent = cluster.peers.round(now, out)
        peers = [node for node in cluster.links if node in cluster.members]
        if cluster.seated and peers:
            peer = self.rng.choice(peers)
            out.send(peer, self.seats.gossip(peer, ring=False, reply=True, part=True))
        return silent

    def grew(self, changes: int, now: Instant) -> None:
        """Rows of our store changed; say so, but not at each."""
        if changes > self.cluster.me.changes and now >= self._grow_at:
            self._grow_at = now + GREW_EVERY_S
            self.cluster.grew(changes)

    def peer_up(self, event: PeerUp, now: Instant, out: Outbox) -> None:
        """A link opened: a member gets our news; a node of a cluster is asked for a seat if we have none."""
        cluster = self.cluster
        cluster.peers.linked(event.peer, Link(event.name, event.address, bool(event.cluster_id), now))
        cluster.note(now, out, "peer_up", node=event.name, address=event.address)
        if cluster.seated:
            if event.peer in cluster.members:
                out.send(event.peer, self.seats.gossip(event.peer, ring=False, reply=True, greets=True))
        elif event.cluster_id:
            out.send(event.peer, Join(cluster.me, cluster.took_seat))

    def peer_down(self, peer: NodeId, now: Instant, out: Outbox) -> None:
        """The last link to a peer closed: down for us, at once."""
        link = self.cluster.peers.unlinked(peer)
        if link is not None:
            self.cluster.note(now, out, "peer_down", node=link.name, address=link.address)

    def gossiped(self, peer: NodeId, message: Gossip, now: Instant, out: Outbox) -> None:
        """Take over what is newer, and give back what the sender lacks."""
        cluster, seats, theirs = self.cluster, self.seats, message.ring
        cluster.note_seat(peer, True)
        if not cluster.seated:
            named = any(member.id == cluster.me.id for member in message.members)
            if theirs is None or not named or self._unasked(theirs, now, out):
                return
            seats.adopt(theirs, now, out)
            self._learn(message.members, now, out)
            seats.tell_all(out)
            return
        if message.cluster_id != cluster.cluster_id:
            self._stranger(peer, message, now, out)
            return
        seats.tidings.heard(message.members)
        self._learn(message.members, now, out)
        mine = (cluster.state.epoch, cluster.state.sealed)
        if theirs is not None and (theirs.epoch, theirs.sealed) > mine:
            seats.adopt(theirs, now, out)
            mine = (theirs.epoch, theirs.sealed)
        told = (message.epoch, message.sealed)
        if told <= mine:
            seats.agrees(peer)
        seats.learned(peer, message.epoch)
        lacked = seats.tidings.lacked_by(message.members)
        if told != mine or (message.reply and lacked):
            out.send(peer, seats.gossip(peer, ring=told < mine, reply=told > mine, owed=lacked))

    def _unasked(self, theirs: RingState, now: Instant, out: Outbox) -> bool:
        """Whether a cluster that would have us has another number of partitions than who started us asked for."""
        config = self.cluster.config
        if config.partitions in (None, theirs.partitions):
            return False
        numbers = {"there": theirs.partitions, "here": config.partitions}
        self.cluster.note(now, out, "other_partitions", cluster=theirs.cluster, **numbers)
        return True

    def _stranger(self, peer: NodeId, message: Gossip, now: Instant, out: Outbox) -> None:
        """A link from before either had a seat: the peer sits in another cluster. Nothing it says is taken over."""
        link = self.cluster.links.get(peer)
        if link is not None:
            event = Stranger(peer, link.name, message.cluster_id, link.address, len(message.members), message.sealed)
            self.seats.stranger(event, now, out)

    def compare(self, peer: NodeId, out: Outbox) -> None:
        """A message came under another epoch: whoever is behind shall learn."""
        if self.cluster.seated:
            out.send(peer, self.seats.gossip(peer, ring=True, reply=True))

    def _told_of_me(self, told: Member, now: Instant, out: Outbox) -> bool:
        """Others have a newer word of this seat than we: an earlier life of it, somebody who took it, or this store.

        A store of which others know more than it does fell back, with all that would show it (the snapshot of a whole
        machine does that): its next dots may name something already.
        """
        cluster, me = self.cluster, self.cluster.me
        if has_forgotten(me, told):
            if self._fell_back:
                return False
            self._fell_back = True
            cluster.distrust(out)
            known = f"start {told.starts}, {told.changes} changes of rows"
            cluster.note(now, out, "fell_back", here=f"start {me.starts}, {me.changes} changes", known=known)
            return False
        if told.storage_id != cluster.me.storage_id and not cluster.rebuilding:
            cluster.note(now, out, "seat_taken", storage_id=told.storage_id)
            return False
        cluster.outbid(told.incarnation)
        return True

    def _learn(self, members: tuple[Member, ...], now: Instant, out: Outbox) -> None:
        """Merge member records: per node the higher incarnation wins, unless it has forgotten what the lower one knew.

        What speaks against our own store does so in a record of any age.
        """
        cluster, me = self.cluster, self.cluster.me
        changed = False
        for member in members:
            known = cluster.members.get(member.id)
            if member.id == me.id:
                newer = member.incarnation >= cluster.me.incarnation and member != cluster.me
                if newer or has_forgotten(cluster.me, member):
                    changed = self._told_of_me(member, now, out) or changed
                continue
            if known is not None and known.incarnation >= member.incarnation:
                continue
            if known is not None and (is_former_life(member, known) or has_forgotten(member, known)):
                continue
            if known is None and (len(cluster.members) >= MEMBERS_MAX or member.id in cluster.state.gone):
                continue
            if known is None:
                cluster.note(now, out, "member", node=member.name, address=address_of(member))
            elif address_of(known) != address_of(member):
                out.dial(address_of(known), keep=False)
            cluster.learn(member)
            out.dial(address_of(member))
            changed = True
        if changed and len(cluster.members) > MEMBERS_SAVE_MAX:
            self._unsaved = True
        elif changed:
            cluster.save_members(out)


def has_forgotten(me: Member, told: Member) -> bool:
    """Whether a record is of this store, under its present dot epoch, and tells of what the store knows nothing of: a
    run, or changes."""
    run = told.starts > me.starts or (told.starts == me.starts and told.run != me.run)
    same = told.storage_id == me.storage_id and me.epochs != () and me.epochs[-1] in told.epochs
    return same and (run or told.changes > me.changes)


def is_former_life(told: Member, known: Member) -> bool:
    """Whether a record is of a store before it may have forgotten something, and we know what it is since: its count of
    starts may be the higher one, as the store has forgotten some."""
    return (
        told.storage_id == known.storage_id
        and told.epochs[-1:] != known.epochs[-1:]
        and (told.epochs[-1:] == () or told.epochs[-1] in known.epochs)
    )
