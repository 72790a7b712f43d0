"""Getting and giving seats: founding, joining, sealing, yielding (design, section 7, in its simplest safe form).

    unseated ──found──► seated, alone ──Join of others──► seated ──first client write──► sealed
        ▲  └──Join, answered by a Gossip that names us───────┘
        └──yield: alone, never written, and a better cluster of our name and key shows itself

While no client has ever written the founder (`decider`) makes each new epoch, alone, and stores it before it tells
anybody; the first write anywhere asks it to *seal* the ring. From then on a majority decides, and data moves
(`engine.changes`): a later joiner is a member at first, which learns the reap rounds (`engine.catchup`) and then asks
for its seat itself. So no epoch is ever decided twice, and a join never makes an acknowledged write unreadable. A ring
is stored before any write under it: the storage queue keeps that order. What a node says of its rows and votes waits
until the ring is durable (`Cluster.fenced`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from node.core import change, ring
from node.core.cluster import Member, RingState, Seat, Secret
from node.core.ids import Instant, NodeId
from node.core.limits import CANDIDATES_MAX, FOUND_AFTER_S, JOIN_RETRY_S, OPERATIONS_MAX, PARTITIONS
from node.engine.admittance import why_not
from node.engine.cluster import Cluster, address_of
from node.engine.events import Candidate, Stranger, Withdrawn
from node.engine.outbox import Outbox
from node.engine.tidings import Tidings
from node.wire.messages import Gossip, Join, Seal, Wait

DECISION_TICKET = -1
"""The ticket under which the decider stores its decision."""

SECRET_BYTES = 32
CLUSTER_ID_BYTES = 16

FOUNDING_DEFERRALS = 2
"""How often an unseated node leaves the founding to one with a lower id: that one may be waiting for us (--join)."""


FORGOTTEN = "its store may have forgotten its cluster, and founds none; if there is none, give it an empty --data-dir"
"""Why a node without a seat only waits for others."""


class Parked(NamedTuple):
    """A first write that waits for the seal: `go` when it is there, `give_up(why)` at the deadline."""

    deadline: Instant
    go: Callable[[Instant, Outbox], None]
    give_up: Callable[[str, Outbox], None]


class Seats:
    """This node's way to its seat, and, where it founded the cluster, the seats it gives."""

    def __init__(self, cluster: Cluster, entropy: Callable[[int], bytes]) -> None:
        self.cluster = cluster
        self.tidings = Tidings(cluster)
        self.config = cluster.config
        self.entropy = entropy
        self.candidates: list[str] = []
        self.found: list[str] = []
        self.parked: list[Parked] = []
        self._deciding: RingState | None = None
        self._seal_wanted = False
        self._found_at: Instant | None = None
        self._retry_at: Instant = 0.0
        self._deferred = 0
        self._turn = 0
        self._agreed: dict[NodeId, None] = {}
        self.learned: Callable[[NodeId, int], None] = lambda peer, epoch: None
        self._looks_until: Instant | None = None

    # Time --------------------------------------------------------------------------------------------------

    def start(self, now: Instant, out: Outbox) -> None:
        """Begin without a seat: dial the seeds; without seeds, found after having looked around."""
        if self.cluster.seated:
            if self.cluster.rebuilding and not self.cluster.state.sealed:  # `doubt`
                self._looks_until = now + FOUND_AFTER_S
                for address in self.config.join:
                    self.candidate(address, out)
            return
        self._retry_at = now
        for address in self.config.join:
            self.candidate(address, out)
        if self.cluster.rebuilding:  # there is a cluster, which it has forgotten
            self.cluster.waiting_because = FORGOTTEN
        elif not self.config.join and not self.config.replace:
            self._found_at = now + (FOUND_AFTER_S if self.config.discover else 0.0)
        self.tick(now, out)

    def next_deadline(self) -> Instant | None:
        """When `tick` wants to run next."""
        if self.cluster.seated:
            parked = min(self._retry_at, *(each.deadline for each in self.parked)) if self.parked else None
            return parked if self._looks_until is None else min(self._looks_until, parked or self._looks_until)
        return self._retry_at if self._found_at is None else min(self._retry_at, self._found_at)

    def tick(self, now: Instant, out: Outbox) -> None:
        """Found, ask for a seat again, or ask for the seal again: whatever is due."""
        if self._looks_until is not None and now >= self._looks_until:
            self._looks_until = None
        if not self.cluster.seated:
            if self._found_at is not None and now >= self._found_at:
                self._found_or_wait(now, out)
            elif now >= self._retry_at:
                self._retry_at = now + JOIN_RETRY_S
                self._ask_for_seat(out)
        elif self.parked:
            self._give_up_late(now, out)
            if self.parked and now >= self._retry_at:
                self._retry_at = now + JOIN_RETRY_S
                self.seal_asked(out)

    # Finding and founding ----------------------------------------------------------------------------------

    def candidate(self, address: str, out: Outbox) -> None:
        """An address to try that somebody told us who may: the command line, or a node that has proven the key."""
        if address not in self.candidates and len(self.candidates) < CANDIDATES_MAX:
            self.candidates.append(address)
            out.dial(address)

    def discovered(self, event: Candidate, now: Instant, out: Outbox) -> None:
        """An address that anybody may have announced. A list of its own: that one is full must not fill the other."""
        if event.address not in self.found and len(self.found) < CANDIDATES_MAX:
            self.found.append(event.address)
            out.dial(event.address)

    def withdrawn(self, event: Withdrawn, now: Instant, out: Outbox) -> None:
        """Such an address is to be tried no longer, unless we know it otherwise. A link that stands stays."""
        address = event.address
        if address not in self.found:
            return
        self.found.remove(address)
        known = any(address_of(member) == address for member in self.cluster.others())
        if address not in self.candidates and not known:
            out.dial(address, keep=False)

    def _found_or_wait(self, now: Instant, out: Outbox) -> None:
        """The lowest node id among the unseated founds; whoever sees a cluster joins it instead."""
        links = self.cluster.links
        lower = any(node < self.config.id for node in links) and self._deferred < FOUNDING_DEFERRALS
        if lower or any(link.seated for link in links.values()):
            self._deferred += 1
            self._found_at = now + FOUND_AFTER_S
            return
        seat = _seat(self.cluster.me)
        founded = RingState(
            cluster_id=self.entropy(CLUSTER_ID_BYTES).hex(),
            cluster=self.config.cluster,
            epoch=1,
            sealed=False,
            decider=self.config.id,
            quorums=self.config.quorums,
            seats=(seat,),
            owners=ring.found(seat, self.config.partitions or PARTITIONS),
            secrets=(Secret(1, self.entropy(SECRET_BYTES)),),
        )
        self._found_at = None
        self.cluster.save_members(out)
        self._decide(founded, out)  # durable before it is told: else a crash leaves members of no cluster

    def _ask_for_seat(self, out: Outbox) -> None:
        """Ask one linked peer after the other: who had no seat when the link opened may have one by now."""
        peers = list(self.cluster.links)
        if peers:
            self._turn += 1
            out.send(peers[self._turn % len(peers)], Join(self.cluster.me, self.cluster.took_seat))

    def told_to_wait(self, peer: NodeId, message: Wait, now: Instant, out: Outbox) -> None:
        """No seat yet, and why; perhaps others to ask."""
        cluster = self.cluster
        cluster.note_seat(peer, message.seated)
        if cluster.seated:
            return
        if message.why != cluster.waiting_because:
            cluster.waiting_because = message.why
            cluster.note(now, out, "waiting", because=message.why)
        for address in message.candidates[:CANDIDATES_MAX]:
            self.candidate(address, out)

    def stranger(self, event: Stranger, now: Instant, out: Outbox) -> None:
        """Another cluster of our name and key. Alone and never written, we yield to the better one; else both go on."""
        cluster = self.cluster
        mine = cluster.ring
        if mine is None:
            return
        idle = self._deciding is None and not self.parked and not self.doubt()
        alone = len(cluster.members) == 1 and not mine.sealed and idle
        better = event.sealed or event.members > 1 or event.peer < self.config.id
        if alone and better:
            cluster.note(now, out, "yielded", cluster_id=mine.cluster_id, to=event.cluster_id, node=event.name)
            cluster.adopt(None)
            cluster.save_ring(None, out)
            self._deferred = 0
            self._found_at = now + FOUND_AFTER_S
            self._retry_at = now + JOIN_RETRY_S
            self.candidate(event.address, out)
        elif event.cluster_id not in cluster.strangers and len(cluster.strangers) < CANDIDATES_MAX:
            cluster.strangers[event.cluster_id] = event
            seen = {"cluster_id": event.cluster_id, "node": event.name, "address": event.address}
            cluster.note(now, out, "stranger", **seen, here=mine.cluster_id)

    # Giving seats ------------------------------------------------------------------------------------------

    def join_asked(self, peer: NodeId, message: Join, now: Instant, out: Outbox) -> None:
        """A node asks for a seat: the decider gives one while nothing was written; later anybody admits a member."""
        joiner = message.member
        why = why_not(self.cluster, peer, message)
        if why is not None:
            out.send(peer, Wait(self.cluster.seated, why, ()))
            return
        cluster = self.cluster
        state = cluster.state
        if joiner.id in cluster.members or state.sealed:
            self._welcome(peer, joiner, now, out)
        elif state.decider != self.config.id:
            decider = cluster.members.get(state.decider)
            candidates = (address_of(decider),) if decider is not None else ()
            text = f"{cluster.name(state.decider)}, who founded the cluster, gives the seats"
            out.send(peer, Wait(True, text, candidates))
        elif doubt := self.doubt():
            out.send(peer, Wait(True, doubt, ()))
        elif self._deciding is None:
            self._take_in(joiner, now, out)
            self.tidings.all_to(joiner.id)
            seats, owners = ring.join(state.seats, state.owners, _seat(joiner), state.quorums.n)
            self._decide(state._replace(epoch=state.epoch + 1, seats=seats, owners=owners), out)

    def _welcome(self, peer: NodeId, joiner: Member, now: Instant, out: Outbox) -> None:
        known = self.cluster.members.get(joiner.id)
        if known is not None and known.storage_id != joiner.storage_id:  # a new store under an old seat
            self._take_in(joiner._replace(incarnation=max(joiner.incarnation, known.incarnation + 1)), now, out)
        elif known is None or known.incarnation < joiner.incarnation:
            self._take_in(joiner, now, out)
        self.tidings.all_to(peer)
        out.send(peer, self.gossip(peer, ring=True, reply=False))

    def _take_in(self, joiner: Member, now: Instant, out: Outbox) -> None:
        self.cluster.note(now, out, "member", node=joiner.name, address=address_of(joiner))
        self.cluster.learn(joiner)
        self.cluster.save_members(out)
        out.dial(address_of(joiner))

    # Deciding and sealing ----------------------------------------------------------------------------------

    def agrees(self, peer: NodeId) -> None:
        """A member told, in this run, that it knows of no later ring than we."""
        self._agreed[peer] = None

    def doubt(self) -> str:
        """Why this node, the decider of an unsealed ring, cannot say that nobody ever wrote; "" if it can.

        A store that was put back to a time before the first write knows nothing of that: it believes its ring only
        once every member has said that it knows no other; alone, once it has looked around.
        """
        others = self.cluster.others()
        unheard = next((member.name for member in others if member.id not in self._agreed), None)
        sure = unheard is None and (bool(others) or self._looks_until is None)
        if sure or not self.cluster.rebuilding:
            return ""
        lacks = "looks for others who know" if unheard is None else f"has not heard of it from {unheard}"
        return f"{self.config.name} was put back to before the first write, if there was one, and {lacks}"

    def _decide(self, decided: RingState, out: Outbox) -> None:
        """Store a new ring first; `decision_stored` makes it true. One decision at a time."""
        assert decided.decider == self.config.id, "only the decider decides"
        assert self._deciding is None, "a decision is under way"
        self._deciding = decided
        self.cluster.save_ring(decided, out, DECISION_TICKET)

    def ring_stored(self, ticket: int, stored: bool, now: Instant, out: Outbox) -> None:
        """A ring is durable, or the disk would not have it."""
        if ticket == DECISION_TICKET:
            self.decision_stored(stored, now, out)
        else:
            self.cluster.stored(stored)

    def decision_stored(self, stored: bool, now: Instant, out: Outbox) -> None:
        """Our decision is durable: adopt it and tell everybody."""
        decided, self._deciding = self._deciding, None
        if decided is not None and not self.cluster.seated:
            self._founded(decided, stored, now, out)
            return
        if decided is None or not stored or decided.cluster_id != self.cluster.cluster_id:
            return  # (of the last: another cluster took us in while we founded one)
        self.adopt(decided, now, out, store=False)
        self.tell_all(out)
        if self._seal_wanted:
            self.seal_asked(out)

    def _founded(self, founded: RingState, stored: bool, now: Instant, out: Outbox) -> None:
        """There is a cluster; unless the disk would not have it, and we look around once more."""
        if not stored:
            self._found_at = now + FOUND_AFTER_S
            return
        self.cluster.note(now, out, "founded", cluster=self.config.cluster, cluster_id=founded.cluster_id)
        self.adopt(founded, now, out, store=False)
        for peer in self.cluster.links:  # who was about to found, too, shall rather join
            out.send(peer, self.gossip(peer, ring=False, reply=False))

    def need_seal(self, parked: Parked, now: Instant, out: Outbox) -> None:
        """Hold a client's write until the ring is sealed."""
        cluster = self.cluster
        founder = cluster.state.decider
        if not cluster.is_up(founder):
            name = cluster.name(founder)
            parked.give_up(f"the very first write needs {name}, who founded the cluster, and {name} is down", out)
        elif len(self.parked) >= OPERATIONS_MAX:
            parked.give_up(f"{OPERATIONS_MAX} writes already wait for the first one", out)
        else:
            self.parked.append(parked)
            if len(self.parked) == 1:
                self._retry_at = now + JOIN_RETRY_S
                self.seal_asked(out)

    def _give_up_late(self, now: Instant, out: Outbox) -> None:
        late = [parked for parked in self.parked if now >= parked.deadline]
        self.parked = [parked for parked in self.parked if now < parked.deadline]
        decider = self.cluster.state.decider
        why = self.doubt() if decider == self.config.id else ""
        for parked in late:
            parked.give_up(why or f"{self.cluster.name(decider)} did not seal the ring in time", out)

    def seal_asked(self, out: Outbox) -> None:
        """Freeze the placement: ourselves if we decide, else by asking who does."""
        state = self.cluster.ring
        if state is None or state.sealed:
            return
        if state.decider != self.config.id:
            out.send(state.decider, Seal(state.epoch))
        elif self.doubt():  # who asked asks again
            return
        elif self._deciding is None:
            self._seal_wanted = False
            self._decide(state._replace(sealed=True), out)
        else:
            self._seal_wanted = True

    def seal_told(self, peer: NodeId, out: Outbox) -> None:
        """A member has a client that wants to write."""
        state = self.cluster.ring
        if state is not None and state.sealed:
            out.send(peer, self.gossip(peer, ring=True, reply=False))
        else:
            self.seal_asked(out)

    def adopt(self, adopted: RingState, now: Instant, out: Outbox, *, store: bool = True) -> None:
        """Make a decided ring ours, and let the writes go that waited for its seal."""
        cluster, before = self.cluster, self.cluster.ring
        seated = (adopted.before or adopted).seats  # who takes a seat in what moves is a newcomer, too
        if before is None and adopted.sealed and all(seat.id != self.config.id for seat in seated):
            cluster.starts_behind(out)
        if store:
            cluster.save_ring(adopted, out)
        else:
            cluster.durable_epoch = adopted.epoch
        known = cluster.members
        cluster.adopt(adopted)
        self._found_at = None
        for node, member in known.items():
            if node not in cluster.members:
                out.dial(address_of(member), keep=False)
        if cluster.members is not known:
            cluster.save_members(out)
        if before is None:
            kind = "seated"
        elif before.sealed:
            kind = "moving" if adopted.before is not None else "settled"
        else:
            kind = "sealed" if adopted.sealed else "epoch"
        cluster.note(now, out, kind, epoch=adopted.epoch, nodes=len(adopted.seats), change=change.words(adopted))
        if adopted.sealed:
            parked, self.parked = self.parked, []
            for waiting in parked:
                waiting.go(now, out)

    # Telling -----------------------------------------------------------------------------------------------

    def gossip(
        self, peer: NodeId, *, ring: bool, reply: bool, owed: tuple[NodeId, ...] = (), greets: bool = False,
        part: bool = False,
    ) -> Gossip:  # fmt: skip
        """What we know, as a message; with the ring itself for a receiver that is behind, and with records of members
        as `Tidings.to` has them."""
        state = self.cluster.state
        members = self.tidings.to(peer, owed, greets=greets, part=part)
        return Gossip(state.cluster_id, state.epoch, state.sealed, members, state if ring else None, reply)

    def tell_all(self, out: Outbox, *, ring: bool = True) -> None:
        """Give everybody the ring, or only our news."""
        for member in self.cluster.others():
            out.send(member.id, self.gossip(member.id, ring=ring, reply=False))


def _seat(member: Member) -> Seat:
    return Seat(member.id, member.zone, member.weight)
