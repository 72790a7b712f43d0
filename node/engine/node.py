"""One node: a machine that takes events and gives effects. Nothing here waits, reads a clock or touches a socket.

`step` finds the handler by the kind of event (or message), and the operation by its ticket. The parts decide; this
file only knows who they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import NamedTuple

from node.core.ids import Instant, NodeId
from node.core.merkle import CHUNKS
from node.core.rounds import STATE_ROUNDS, read_rounds
from node.engine.antientropy import AntiEntropy
from node.engine.background import Background
from node.engine.catchup import CatchUp, serve_rounds
from node.engine.changes import Changes
from node.engine.cluster import Cluster
from node.engine.config import NodeConfig
from node.engine.events import (
    Asked,
    Candidate,
    Event,
    PeerDown,
    PeerUp,
    Persisted,
    Reached,
    Received,
    Stranger,
    Withdrawn,
)
from node.engine.gossip import Gossiper
from node.engine.handoff import Handoffs
from node.engine.inspect import Inspector
from node.engine.intake import Intake
from node.engine.operation import Asker, Shared
from node.engine.operator import Operator
from node.engine.outbox import Outbox
from node.engine.pull import serve_pull
from node.engine.reaping import Reaper
from node.engine.replica import EpochMessage, other_epoch, serve_fetch, serve_replicate, serve_scan
from node.engine.retire import Retirement, serve_hold
from node.engine.rounds import serve_confirm
from node.engine.routes import ANSWERS, ANSWERS_HERE, AnswerHere, PeerAnswer
from node.engine.scrub import Scrubber
from node.engine.seats import Seats
from node.engine.timers import Timers
from node.engine.transfer import Transfers
from node.engine.voting import Voting
from node.storage.port import Adopted, Identity, Saved
from node.wire.change_messages import Accept, Hold, Prepare, Pull
from node.wire.messages import (
    BEHIND,
    GONE,
    REBUILDING,
    Answer,
    Ask,
    AskLeaf,
    AskRounds,
    AskTrees,
    Bury,
    Confirm,
    Fetch,
    Fetched,
    Forward,
    Forwarded,
    Gossip,
    Join,
    LeafTold,
    Outdated,
    Ping,
    Pong,
    Replicate,
    Replicated,
    Scan,
    Scanned,
    Seal,
    TreesTold,
    Wait,
)
from node.wire.requests import Get, Inspect, Keys, Put

TICKET_BITS = 48
"""Of the first ticket: two lives of one node do not meet by chance, and a ticket still fits a 64-bit integer."""

ARRIVED = frozenset((Replicated, Fetched, Forwarded, Scanned, Answer, Pong))
"""Messages that show that what we sent arrived."""


class NodeView(NamedTuple):
    """What the runtime needs to know of the engine: for the ready line, peers' greetings and discovery."""

    seated: bool
    cluster_id: str
    members: int
    sealed: bool
    waiting_because: str
    in_flight: int
    ready: bool


class Node:
    """One node of a cluster. `rng` picks gossip partners, `entropy(n)` gives n secret random bytes for founding."""

    def __init__(
        self,
        config: NodeConfig,
        identity: Identity,
        state: Mapping[str, bytes],
        *,
        rng: Random,
        entropy: Callable[[int], bytes],
        wall_offset_s: float,
    ) -> None:
        self.config = config
        self.cluster = Cluster(config, identity, state)
        self.timers = Timers()
        first_ticket = rng.getrandbits(TICKET_BITS)
        self.shared = Shared(config, self.cluster, self.timers, wall_offset_s=wall_offset_s, first_ticket=first_ticket)
        self.shared.rounds = read_rounds(state.get(STATE_ROUNDS, b""))
        self.seats = Seats(self.cluster, entropy)
        self.gossiper = Gossiper(self.cluster, self.seats, rng)
        self.intake = Intake(self.shared, self.seats)
        self.antientropy = AntiEntropy(self.shared, rng)
        self.voting = Voting(self.shared, state)
        self.changes = Changes(self.shared, self.seats, self.voting, rng)
        self.transfers = Transfers(self.shared, self.seats, state)
        self.retirement = Retirement(self.shared)
        self.handoffs = Handoffs(self.shared)
        background = Background(self.handoffs, self.antientropy, self.transfers)
        operator = Operator(self.shared, self.changes)
        self.inspector = Inspector(self.shared, self.intake, self.antientropy, operator, background)
        self.reaper = Reaper(self.shared, rng)
        self.scrubber = Scrubber(self.shared, first_ticket % CHUNKS, config.scrub_period_s)
        self.catchup = CatchUp(self.shared)
        self._events: dict[type, Callable[..., None]] = dict.fromkeys(ANSWERS_HERE, self._answered_here) | {
            Received: self._received,
            Persisted: self._persisted,
            Asked: self._asked,
            Reached: self._reached,
            PeerUp: self._peer_up,
            PeerDown: self._peer_down,
            Stranger: self.seats.stranger,
            Candidate: self.seats.discovered,
            Withdrawn: self.seats.withdrawn,
        }
        self._messages = self._message_handlers()
        self.inspector.traces.attach(self._messages)

    def _message_handlers(self) -> dict[type, Callable[..., None]]:
        """Who takes which message."""
        answers: dict[type, Callable[..., None]] = dict.fromkeys(ANSWERS, self._answered)
        return answers | {
            Replicate: self._replicate,
            Fetch: self._fetch,
            Forward: self._forward,
            Scan: self._scan,
            AskTrees: self._ask_trees,
            AskLeaf: self._ask_leaf,
            Ask: self._ask,
            Gossip: self.gossiper.gossiped,
            Join: self._join,
            Wait: self._wait,
            Seal: self._seal,
            Ping: self._ping,
            Pong: self._ponged,
            Outdated: self.reaper.outdated,
            Confirm: self._confirm,
            Bury: self.reaper.bury,
            AskRounds: self._ask_rounds,
            Prepare: self._prepare,
            Accept: self._accept,
            Hold: self._hold,
            Pull: self._pull,
        }

    # The seam ----------------------------------------------------------------------------------------------

    def start(self, now: Instant, out: Outbox) -> None:
        """Begin: called once, before the first event."""
        self.gossiper.start(now, out)
        self.antientropy.start(now)
        self.scrubber.start(now)
        self.changes.start(now)
        self.seats.start(now, out)

    def step(self, event: Event, now: Instant, out: Outbox) -> None:
        """Take one event at `now` and write what shall be done into `out`."""
        self.shared.load.now = now
        epoch = self.cluster.epoch
        self._events[type(event)](event, now, out)
        if self.cluster.epoch != epoch:
            self.handoffs.ring_changed()
            for operation in list(self.shared.pending.values()):
                if not operation.ended:
                    operation.ring_changed(now, out)

    def next_deadline(self) -> Instant:
        """When the node wants `Reached`, if nothing else happens before."""
        at = min(self.gossiper.next_at, self.antientropy.next_at, self.scrubber.next_at, self.changes.next_at)
        at = min(at, self.transfers.next_at, self.retirement.next_at)
        seats, catchup = self.seats.next_deadline(), self.catchup.next_at
        for other in (self.timers.next_deadline(), seats, self.cluster.peers.check_at, catchup):
            if other is not None and other < at:
                at = other
        return at

    def view(self) -> NodeView:
        """A small picture of the node's state, cheap at any time."""
        ring = self.cluster.ring
        return NodeView(
            seated=ring is not None,
            cluster_id=self.cluster.cluster_id,
            members=len(self.cluster.members),
            sealed=ring is not None and ring.sealed,
            waiting_because=self.cluster.waiting_because,
            in_flight=len(self.shared.pending),
            ready=self.cluster.placed,
        )

    # Events ------------------------------------------------------------------------------------------------

    def _asked(self, event: Asked, now: Instant, out: Outbox) -> None:
        asker = Asker(event.ticket)
        match request := event.request:
            case Get():
                self.intake.get(request, asker, now, out)
            case Put():
                self.intake.put(request, asker, now, out)
            case Inspect():
                self.inspector.document(request, asker, now, out)
            case Keys():
                self.inspector.keys(request, asker, now, out)

    def _received(self, event: Received, now: Instant, out: Outbox) -> None:
        self.cluster.peers.heard(event.peer, now, out, answer=type(event.message) in ARRIVED)
        self._messages[type(event.message)](event.peer, event.message, now, out)

    def _persisted(self, event: Persisted, now: Instant, out: Outbox) -> None:
        pending = self.shared.pending
        for ticket, outcome in event.outcomes:
            if isinstance(outcome, Adopted):  # before anybody acts on it: what is read from here on is of that round
                shared = self.shared
                shared.rounds = shared.rounds.adopted(outcome.partition, outcome.partitions, outcome.round)
            operation = pending.get(ticket)
            if operation is not None:
                operation.persisted(outcome, now, out)
            elif ticket < 0:
                self.seats.ring_stored(ticket, isinstance(outcome, Saved), now, out)

    def _answered_here(self, event: AnswerHere, now: Instant, out: Outbox) -> None:
        """Our own disk, or the runtime, answered."""
        operation = self.shared.pending.get(event.ticket)
        if operation is not None:
            ANSWERS_HERE[type(event)](operation, event, now, out)

    def _peer_down(self, event: PeerDown, now: Instant, out: Outbox) -> None:
        self.gossiper.peer_down(event.peer, now, out)
        for operation in list(self.shared.pending.values()):
            operation.peer_down(event.peer, now, out)

    def _peer_up(self, event: PeerUp, now: Instant, out: Outbox) -> None:
        self.gossiper.peer_up(event, now, out)
        self.handoffs.returned(event.peer, now, out)

    def _reached(self, event: Reached, now: Instant, out: Outbox) -> None:
        if event.looked:
            self.shared.admission.look(event.p99_ms)
        self.gossiper.grew(event.changes, now)
        pending = self.shared.pending
        for ticket in self.timers.due(now):
            operation = pending.get(ticket)
            if operation is not None:
                operation.reached(now, out)
        self.seats.tick(now, out)
        for peer in self.cluster.peers.check(now) + self.gossiper.tick(now, out):
            self.cluster.note(now, out, "peer_silent", node=self.cluster.name(peer))
            for operation in list(self.shared.pending.values()):
                operation.peer_silent(peer, now, out)
        self.catchup.tick(now, out)
        self.handoffs.tick(now, out)
        self.reaper.tick(now, out)
        self.antientropy.tick(now, out)
        self.scrubber.tick(now, out)
        self.changes.tick(now, out)
        self.transfers.tick(now, out)
        self.retirement.tick(now, out)

    # Messages: requests of peers ---------------------------------------------------------------------------

    def _same_ring(self, peer: NodeId, message: EpochMessage, out: Outbox) -> bool:
        """Whether the sender decided under our ring; if not it is refused, and the two compare rings."""
        if message.epoch == self.cluster.epoch and self.cluster.seated:
            return True
        out.send(peer, other_epoch(message))
        self.gossiper.compare(peer, out)
        return False

    def _fenced(self, peer: NodeId, message: EpochMessage, out: Outbox) -> bool:
        """The same, for a message that asks what we hold: our word counts once our ring is durable."""
        if not self._same_ring(peer, message, out):
            return False
        if not self.cluster.fenced:
            out.send(peer, other_epoch(message))
        return self.cluster.fenced

    def _replicate(self, peer: NodeId, message: Replicate, now: Instant, out: Outbox) -> None:
        if self.cluster.is_gone(peer):  # its rounds are none of ours: it was not asked before anything was reaped
            out.send(peer, Replicated(message.rid, False, None, GONE))
        elif self.cluster.behind:
            out.send(peer, Replicated(message.rid, False, None, BEHIND))
        elif self._same_ring(peer, message, out):
            serve_replicate(self.shared, peer, message, now, out)

    def _fetch(self, peer: NodeId, message: Fetch, now: Instant, out: Outbox) -> None:
        if self.cluster.behind or (self.cluster.rebuilding and not message.repair):
            out.send(peer, Fetched(message.rid, None, REBUILDING))
        elif self._same_ring(peer, message, out):
            serve_fetch(self.shared, peer, message, now, out)

    def _scan(self, peer: NodeId, message: Scan, now: Instant, out: Outbox) -> None:
        if self.cluster.rebuilding:
            out.send(peer, Scanned(message.rid, (), False, REBUILDING))
        elif self._same_ring(peer, message, out):
            serve_scan(self.shared, peer, message, out)

    def _ask_trees(self, peer: NodeId, message: AskTrees, now: Instant, out: Outbox) -> None:
        if self.cluster.behind or (message.whole and self.cluster.rebuilding):
            out.send(peer, TreesTold(message.rid, (), BEHIND if self.cluster.behind else REBUILDING))
        elif self._fenced(peer, message, out):
            self.antientropy.trees_asked(peer, message, out)

    def _ask_leaf(self, peer: NodeId, message: AskLeaf, now: Instant, out: Outbox) -> None:
        if self.cluster.behind:
            out.send(peer, LeafTold(message.rid, (), False, BEHIND))
        elif self._fenced(peer, message, out):
            self.antientropy.leaf_asked(peer, message, out)

    def _forward(self, peer: NodeId, message: Forward, now: Instant, out: Outbox) -> None:
        if self._same_ring(peer, message, out):
            self.intake.forwarded_here(peer, message, now, out)

    def _confirm(self, peer: NodeId, message: Confirm, now: Instant, out: Outbox) -> None:
        if self._same_ring(peer, message, out):
            serve_confirm(self.shared, peer, message, out)

    def _ask_rounds(self, peer: NodeId, message: AskRounds, now: Instant, out: Outbox) -> None:
        if self._same_ring(peer, message, out) and not serve_rounds(self.shared, peer, message, out):
            self.gossiper.compare(peer, out)

    def _prepare(self, peer: NodeId, message: Prepare, now: Instant, out: Outbox) -> None:
        if not self.voting.prepare_asked(peer, message, now, out):
            self.gossiper.compare(peer, out)

    def _accept(self, peer: NodeId, message: Accept, now: Instant, out: Outbox) -> None:
        if not self.voting.accept_asked(peer, message, now, out):
            self.gossiper.compare(peer, out)

    def _hold(self, peer: NodeId, message: Hold, now: Instant, out: Outbox) -> None:
        if self._fenced(peer, message, out):
            serve_hold(self.shared, peer, message, out)

    def _pull(self, peer: NodeId, message: Pull, now: Instant, out: Outbox) -> None:
        if self._fenced(peer, message, out):
            serve_pull(self.shared, peer, message, out)

    def _ask(self, peer: NodeId, message: Ask, now: Instant, out: Outbox) -> None:
        self.inspector.asked(peer, message, now, out)

    def _join(self, peer: NodeId, message: Join, now: Instant, out: Outbox) -> None:
        self.seats.join_asked(peer, message, now, out)

    def _wait(self, peer: NodeId, message: Wait, now: Instant, out: Outbox) -> None:
        self.seats.told_to_wait(peer, message, now, out)

    def _seal(self, peer: NodeId, message: Seal, now: Instant, out: Outbox) -> None:
        self.seats.seal_told(peer, out)

    def _ping(self, peer: NodeId, message: Ping, now: Instant, out: Outbox) -> None:
        out.send(peer, Pong(message.rid))

    def _ponged(self, peer: NodeId, message: Pong, now: Instant, out: Outbox) -> None:
        if self.cluster.peers.answered(peer):
            self.cluster.note(now, out, "peer_heard", node=self.cluster.name(peer))
            self.handoffs.returned(peer, now, out)
        operation = self.shared.pending.get(message.rid)
        if operation is not None:  # to whom the peer is up now
            operation.ponged(peer, now, out)

    def _answered(self, peer: NodeId, message: PeerAnswer, now: Instant, out: Outbox) -> None:
        """Somebody answered one of ours."""
        operation = self.shared.pending.get(message.rid)
        if operation is not None:
            ANSWERS[type(message)](operation, peer, message, now, out)
