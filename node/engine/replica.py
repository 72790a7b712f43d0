"""The serving side: what this node does for another coordinator. Each request is answered once, when it is durable."""

from __future__ import annotations

from node.core.ids import Instant, NodeId
from node.core.limits import OPERATIONS_MAX, SCAN_LIMIT_MAX
from node.core.row import Row
from node.engine.operation import PeerRequest, Shared
from node.engine.outbox import Outbox
from node.engine.rounds import adopt_for
from node.storage.port import FOREVER, Adopted, Merge, Merged, Outcome, Owed, Refusal, Refused
from node.wire.change_messages import Held, Hold, Pull, Pulled
from node.wire.errors import RemoteWireError
from node.wire.messages import (
    BUSY,
    UNREADABLE,
    AskLeaf,
    AskRounds,
    AskTrees,
    Confirm,
    Confirmed,
    Fetch,
    Fetched,
    Forward,
    Forwarded,
    LeafTold,
    Outdated,
    Replicate,
    Replicated,
    RoundsTold,
    Scan,
    Scanned,
    TreesTold,
)
from node.wire.rows import decode_row, encode_row, trusted_row


class Serving(PeerRequest):
    """One peer's request, waiting for our disk. `key` and `hint_for` are those of the message, if it has any.

    What came too late has no answer: whoever asked has given up.
    """

    __slots__ = ("hint_for", "key")

    def __init__(
        self, shared: Shared, peer: NodeId, rid: int, key: bytes = b"", hint_for: tuple[NodeId, ...] = ()
    ) -> None:
        super().__init__(shared, peer, rid)
        self.key = key
        self.hint_for = hint_for

    def persisted(self, outcome: Outcome, now: Instant, out: Outbox) -> None:
        """The row is durable here (or was refused): say so, and say what we hold beyond it."""
        self.end()
        shared = self.shared
        if isinstance(outcome, Refused):
            if outcome.why is Refusal.ROUND:
                out.send(self.peer, Outdated(self.rid, self.key, self.hint_for, shared.rounds.of(self.key)))
            elif outcome.why is not Refusal.LATE:
                out.send(self.peer, Replicated(self.rid, False, None, outcome.why.value))
            return
        assert isinstance(outcome, Merged), f"a replicate was persisted as {outcome!r}"
        if outcome.more:
            out.send(self.peer, Replicated(self.rid, shared.durable, outcome.row, "", shared.rounds.of(self.key)))
        else:
            out.send(self.peer, Replicated(self.rid, shared.durable, None, ""))

    def loaded(self, row: bytes | None, readable: bool, now: Instant, out: Outbox) -> None:
        """The row as we hold it."""
        self.end()
        why = "" if readable else UNREADABLE
        out.send(self.peer, Fetched(self.rid, row, why, self.shared.rounds.of(self.key)))

    def scanned(self, items: tuple[tuple[bytes, bytes], ...], more: bool, now: Instant, out: Outbox) -> None:
        """A page of our rows."""
        self.end()
        out.send(self.peer, Scanned(self.rid, tuple((key, without_values(row)) for key, row in items), more, ""))

    def unscanned(self, now: Instant, out: Outbox) -> None:
        """Our word would be no evidence."""
        self.end()
        out.send(self.peer, Scanned(self.rid, (), False, UNREADABLE))


class ServingLater(Serving):
    """A read by a coordinator that knows of a later reap round than we: we adopt it before we look."""

    __slots__ = ("until",)

    def __init__(self, shared: Shared, peer: NodeId, message: Fetch, until: Instant) -> None:
        super().__init__(shared, peer, message.rid, message.key)
        self.until = until

    def persisted(self, outcome: Outcome, now: Instant, out: Outbox) -> None:
        """The round is ours."""
        if self.until <= now:
            self.end()
        elif isinstance(outcome, Adopted):
            out.load(self.ticket, self.key)
        else:
            self.end()
            why = outcome.why.value if isinstance(outcome, Refused) else "not a round"
            out.send(self.peer, Fetched(self.rid, None, why))


def without_values(row: bytes) -> bytes:
    """The row with its values emptied (tombstones stay tombstones): enough to tell live from deleted."""
    held = trusted_row(row)
    return encode_row(Row(held.clock, tuple(v if v.value is None else v._replace(value=b"") for v in held.versions)))


def serve_replicate(shared: Shared, peer: NodeId, message: Replicate, now: Instant, out: Outbox) -> None:
    """Merge a row into ours, with hints if we stand in for somebody. One that does not parse is refused.

    So is one that is too many: a disk that hangs must not make us keep all that others send meanwhile.
    """
    if len(shared.pending) >= OPERATIONS_MAX:
        out.send(peer, Replicated(message.rid, False, None, BUSY))
        return
    try:
        decoded = decode_row(message.row)
    except RemoteWireError as error:
        out.send(peer, Replicated(message.rid, False, None, error.code))
        return
    owed = None
    if message.hint_for:
        owed = Owed(message.hint_for, shared.wall_ms(now))
        shared.note_owed(message.hint_for)
    ticket = Serving(shared, peer, message.rid, message.key, message.hint_for).ticket
    until = now + message.left_ms / 1000 if message.left_ms else FOREVER
    out.persist(ticket, Merge(message.key, message.row, message.epoch, decoded, owed, message.round, until))


def serve_fetch(shared: Shared, peer: NodeId, message: Fetch, now: Instant, out: Outbox) -> None:
    """Read our row for a coordinator."""
    if message.round > shared.rounds.of(message.key):
        until = now + message.left_ms / 1000 if message.left_ms else FOREVER
        ticket = ServingLater(shared, peer, message, until).ticket
        out.persist(ticket, adopt_for(shared, message.key, message.round))
    else:
        out.load(Serving(shared, peer, message.rid, message.key).ticket, message.key)


def serve_scan(shared: Shared, peer: NodeId, message: Scan, out: Outbox) -> None:
    """Read a page of our rows of one partition."""
    partitions = shared.cluster.partitions
    if not 0 <= message.partition < partitions:
        out.send(peer, Scanned(message.rid, (), False, "no such partition"))
        return
    ticket = Serving(shared, peer, message.rid).ticket
    out.scan(ticket, message.partition, partitions, message.after, min(message.limit, SCAN_LIMIT_MAX))


EpochMessage = Replicate | Fetch | Scan | Forward | Confirm | AskTrees | AskLeaf | AskRounds | Hold | Pull
"""What is said under one ring, and means nothing under another."""


def other_epoch(
    message: EpochMessage,
) -> Replicated | Fetched | Scanned | Forwarded | Confirmed | TreesTold | LeafTold | RoundsTold | Held | Pulled:
    """The refusal of a message that was sent under another ring than ours."""
    why = Refusal.EPOCH.value
    match message:
        case Replicate():
            return Replicated(message.rid, False, None, why)
        case Fetch():
            return Fetched(message.rid, None, why)
        case Scan():
            return Scanned(message.rid, (), False, why)
        case Forward():
            return Forwarded(message.rid, why, None)
        case Confirm():
            return Confirmed(message.rid, 0, (), why)
        case AskTrees():
            return TreesTold(message.rid, (), why)
        case AskLeaf():
            return LeafTold(message.rid, (), False, why)
        case AskRounds():
            return RoundsTold(message.rid, False, (), why)
        case Hold():
            return Held(message.rid, (), why)
        case Pull():
            return Pulled(message.rid, (), False, 0, why)
