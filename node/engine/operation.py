"""The shape of a conversation: something that waits for events under a ticket, and ends by its deadline.

The node keeps every operation in one table by ticket and hands it the events that carry that ticket. An operation
that has ended is no longer in the table, so late answers need no special case anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from node.core.ids import Instant, NodeId
from node.core.limits import TIMEOUT_MS
from node.core.rounds import Rounds
from node.engine.admission import Admission
from node.engine.config import NodeConfig
from node.engine.load import Load, fair
from node.engine.outbox import Outbox
from node.engine.patience import Patience
from node.engine.write import Write
from node.storage.port import Outcome
from node.wire.change_messages import Held, Pulled, Voted
from node.wire.messages import (
    Answer,
    Buried,
    Confirmed,
    Fetched,
    Forwarded,
    LeafTold,
    Outdated,
    Replicated,
    RoundsTold,
    Scanned,
    TreesTold,
)
from node.wire.requests import Failed, Result

if TYPE_CHECKING:
    from node.engine.cluster import Cluster
    from node.engine.timers import Timers

NO_TICKET = 0
"""The ticket, or rid, of what nobody waits for."""

USUAL_S = fair(TIMEOUT_MS)

Then = Callable[[Result, Outbox], None]
"""What to do with the result of an operation that another operation asked for."""


class Asker:
    """Who wants the result: a client's ticket, a peer's forward (`peer` and its rid), or another operation (`then`).

    `load`: its request was taken on. While it is `counted`, since `begun`, it has a place; that should take `fair_s` at
    most. `whole` is whose request this is a part of.
    """

    __slots__ = ("begun", "counted", "fair_s", "load", "peer", "then", "ticket", "whole")

    def __init__(
        self, ticket: int, peer: NodeId | None = None, then: Then | None = None, whole: Asker | None = None
    ) -> None:
        self.ticket = ticket
        self.peer = peer
        self.then = then
        self.whole = whole
        self.load: Load | None = None
        self.counted = False
        self.begun: Instant = 0.0
        self.fair_s = USUAL_S

    def taken_on(self, load: Load, timeout_ms: int) -> None:
        """The request passed the door. Its client waits so long."""
        self.load = load
        self.counted = True
        self.begun = load.begin()
        if timeout_ms != TIMEOUT_MS:
            self.fair_s = fair(timeout_ms)

    def steps_aside(self) -> None:
        """From here on it waits for silent nodes only: that is no work of ours, and takes no place.

        Counted, it would be taken for work that does not get done, and keys whose owners answer would be refused.
        """
        if self.whole is not None:
            self.whole.steps_aside()
        elif self.counted:
            self._leave(failed=True)

    def goes_on(self) -> None:
        """There is work for it again: whoever stepped aside counts anew, and is not turned away."""
        if self.load is not None and not self.counted:
            self.counted = True
            self.begun = self.load.begin()

    def _leave(self, *, failed: bool) -> None:
        if self.load is not None and self.counted:
            self.counted = False
            self.load.done(self.begun, self.fair_s, failed=failed)

    def answer(self, result: Result, out: Outbox) -> None:
        """Hand over the result: called exactly once, unless it is refused."""
        self._leave(failed=isinstance(result, Failed))
        if self.then is not None:
            self.then(result, out)
        elif self.peer is None:
            out.reply(self.ticket, result)
        else:
            out.send(self.peer, Forwarded(self.ticket, "", result))

    def refuse(self, why: str, out: Outbox) -> None:
        """Tell a forwarding peer that nothing was committed, so that it may ask somebody else."""
        assert self.peer is not None, "only a forward can be refused"
        self._leave(failed=True)
        out.send(self.peer, Forwarded(self.ticket, why, None))


class Shared:
    """What all operations of one node use: its table of operations, its timers, its view of the cluster.

    `repairs` counts copies that were brought up to date since the start: by reads (sent), and by comparing (durable).
    `coordinate` begins a write that this node takes on itself, `waits_because` says why hints for a node wait, `owing`
    are nodes for whom hints were asked for lately, `rounds` the reap rounds of our store, as far as it has told.
    Tickets go out as `rid`s. They begin at `first_ticket`, drawn anew at every start, so that a late answer to a former
    life of this node is never taken for one to this.
    """

    __slots__ = (
        "admission", "cluster", "coordinate", "durable", "load", "me", "owing", "pending", "read_patience", "repair",
        "repairs",
        "rounds", "timers", "transfers",
        "value_bytes_max", "waits_because", "wall_offset_s", "write_patience", "_last_ticket",
    )  # fmt: skip

    def __init__(
        self, config: NodeConfig, cluster: Cluster, timers: Timers, *, wall_offset_s: float, first_ticket: int
    ) -> None:
        self.me = config.id
        self.cluster = cluster
        self.timers = timers
        self.durable = config.durable
        self.value_bytes_max = config.value_bytes_max
        self.wall_offset_s = wall_offset_s
        self.pending: dict[int, Operation] = {}
        self.coordinate: Callable[[Write, Asker, Instant, Outbox], None]
        self.waits_because: Callable[[NodeId], str]
        self.admission = Admission(config.background_min)
        self.load = Load(config.requests_min)
        self.read_patience = Patience()
        self.write_patience = Patience()
        self.owing: dict[NodeId, None] = {}
        self.rounds = Rounds()
        self.repairs = {"read": 0, "compared": 0}
        self.repair: Callable[[Instant], dict[str, object]] = lambda now: {}
        self.transfers: Callable[[Instant], dict[str, object]] = lambda now: {}
        self._last_ticket = first_ticket

    def enter(self, operation: Operation) -> int:
        """Put an operation into the table and return its ticket."""
        self._last_ticket += 1
        self.pending[self._last_ticket] = operation
        return self._last_ticket

    def missed(self, peer: NodeId, now: Instant, out: Outbox) -> None:
        """`peer` has not answered for longer than usual."""
        if peer != self.me:
            self.cluster.peers.missed(peer, now, out)

    def note_owed(self, targets: Iterable[NodeId]) -> None:
        """Hints are being kept for these."""
        for target in targets:
            self.owing[target] = None

    def wall_ms(self, now: Instant) -> int:
        """Unix time in milliseconds, for display."""
        return int((now + self.wall_offset_s) * 1000)


class Operation:
    """A conversation that waits for events. Each handler may end it; what it does not expect it ignores."""

    __slots__ = ("shared", "ticket")

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.ticket = shared.enter(self)

    def end(self) -> None:
        """Leave the table: no further event arrives."""
        self.shared.pending.pop(self.ticket, None)

    def renew(self) -> None:
        """Take a new ticket: answers to the old one no longer arrive."""
        self.end()
        self.ticket = self.shared.enter(self)

    @property
    def ended(self) -> bool:
        """Whether it has left the table."""
        return self.ticket not in self.shared.pending

    def persisted(self, outcome: Outcome, now: Instant, out: Outbox) -> None:
        """A write of ours is durable, or was refused."""

    def loaded(self, row: bytes | None, readable: bool, now: Instant, out: Outbox) -> None:
        """The local row."""

    def owed(self, items: tuple[tuple[bytes, bytes], ...], after: bytes | None, now: Instant, out: Outbox) -> None:
        """A page of rows that somebody lacks."""

    def tombstones(
        self, items: tuple[tuple[bytes, bytes], ...], after: bytes | None, now: Instant, out: Outbox
    ) -> None:
        """A page of local tombstones."""

    def scanned(self, items: tuple[tuple[bytes, bytes], ...], more: bool, now: Instant, out: Outbox) -> None:
        """A page of local rows."""

    def unscanned(self, now: Instant, out: Outbox) -> None:
        """Local rows cannot be read: the disk failed."""

    def digested(self, digests: tuple[bytes, ...], now: Instant, out: Outbox) -> None:
        """What our own trees say."""

    def measured(self, figures: dict[str, object], now: Instant, out: Outbox) -> None:
        """The runtime's figures."""

    def replicated(self, peer: NodeId, message: Replicated, now: Instant, out: Outbox) -> None:
        """A peer stored a row, or refused."""

    def outdated(self, peer: NodeId, message: Outdated, now: Instant, out: Outbox) -> bool:
        """A peer refused a row of an older reap round. Whether that was all; if not, our own row is read and sent."""
        return False

    def repeated(self, row: bytes) -> None:
        """Our own row, as it is held by now, was sent to a peer under the number of what the peer had refused."""

    def confirmed_by(self, peer: NodeId, message: Confirmed, now: Instant, out: Outbox) -> None:
        """A peer's word for a reap round."""

    def buried_by(self, peer: NodeId, message: Buried, now: Instant, out: Outbox) -> None:
        """A peer dropped what a reap round is over."""

    def rounds_told(self, peer: NodeId, message: RoundsTold, now: Instant, out: Outbox) -> None:
        """The reap rounds of a peer."""

    def fetched(self, peer: NodeId, message: Fetched, now: Instant, out: Outbox) -> None:
        """A peer's row."""

    def forwarded(self, peer: NodeId, message: Forwarded, now: Instant, out: Outbox) -> None:
        """How a forwarded request ended."""

    def ponged(self, peer: NodeId, now: Instant, out: Outbox) -> None:
        """A peer answered our question whether it is there."""

    def answered(self, peer: NodeId, message: Answer, now: Instant, out: Outbox) -> None:
        """A peer's answer to a question."""

    def page_arrived(self, peer: NodeId, message: Scanned, now: Instant, out: Outbox) -> None:
        """A peer's page of rows."""

    def trees_told(self, peer: NodeId, message: TreesTold, now: Instant, out: Outbox) -> None:
        """What a peer's trees say."""

    def leaf_told(self, peer: NodeId, message: LeafTold, now: Instant, out: Outbox) -> None:
        """What a peer holds in a leaf."""

    def voted(self, peer: NodeId, message: Voted, now: Instant, out: Outbox) -> None:
        """A voter's word on a ballot."""

    def pulled(self, peer: NodeId, message: Pulled, now: Instant, out: Outbox) -> None:
        """A page of a peer's rows."""

    def held(self, peer: NodeId, message: Held, now: Instant, out: Outbox) -> None:
        """Which rows an owner does not hold."""

    def peer_down(self, peer: NodeId, now: Instant, out: Outbox) -> None:
        """The link to a peer is gone, and with it what was on its way."""

    def peer_silent(self, peer: NodeId, now: Instant, out: Outbox) -> None:
        """A peer does not answer, but its link stands: what was sent may be answered yet, if somebody wants to wait."""
        self.peer_down(peer, now, out)

    def ring_changed(self, now: Instant, out: Outbox) -> None:
        """The ring is another one than when this began."""

    def reached(self, now: Instant, out: Outbox) -> None:
        """A time this operation set has come."""


class PeerRequest(Operation):
    """What a peer asked of us, waiting for our disk: the answer goes to `peer`, under its `rid`."""

    __slots__ = ("peer", "rid")

    def __init__(self, shared: Shared, peer: NodeId, rid: int) -> None:
        super().__init__(shared)
        self.peer = peer
        self.rid = rid


def unavailable(text: str) -> Failed:
    """The quorum cannot be met and nothing was stored anywhere."""
    return Failed("UNAVAILABLE", text)


def unknown(text: str) -> Failed:
    """A write whose outcome is not known."""
    return Failed("UNKNOWN", f"{text}; the write may still take effect")
