"""Which method of an operation takes which answer: of peers, found by `rid`, and of the own disk, found by ticket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from node.core.ids import Instant, NodeId
from node.engine.events import Digested, Loaded, Measured, OwedHere, ScannedHere, TombstonesHere
from node.engine.operation import Operation
from node.engine.outbox import Outbox
from node.wire.change_messages import Held, Pulled, Voted
from node.wire.messages import (
    Answer,
    Buried,
    Confirmed,
    Fetched,
    Forwarded,
    LeafTold,
    Replicated,
    RoundsTold,
    Scanned,
    TreesTold,
)

AnswerHere = Loaded | ScannedHere | Digested | OwedHere | TombstonesHere | Measured
PeerAnswer = (
    Replicated | Fetched | Forwarded | Answer | Scanned | TreesTold | LeafTold | RoundsTold | Confirmed | Buried
    | Voted | Held | Pulled
)  # fmt: skip

ANSWERS_HERE: Final[dict[type, Callable[[Operation, Any, Instant, Outbox], None]]] = {
    Loaded: lambda operation, event, now, out: operation.loaded(event.row, event.readable, now, out),
    ScannedHere: lambda operation, event, now, out: (
        operation.scanned(event.items, event.more, now, out) if event.readable else operation.unscanned(now, out)
    ),
    Digested: lambda operation, event, now, out: operation.digested(event.digests, now, out),
    OwedHere: lambda operation, event, now, out: operation.owed(event.items, event.after, now, out),
    TombstonesHere: lambda operation, event, now, out: operation.tombstones(event.items, event.after, now, out),
    Measured: lambda operation, event, now, out: operation.measured(event.figures, now, out),
}
"""Events with a ticket, but for `Persisted`, which has many."""

ANSWERS: Final[dict[type, Callable[[Operation, NodeId, Any, Instant, Outbox], None]]] = {
    Replicated: lambda operation, peer, message, now, out: operation.replicated(peer, message, now, out),
    Fetched: lambda operation, peer, message, now, out: operation.fetched(peer, message, now, out),
    Forwarded: lambda operation, peer, message, now, out: operation.forwarded(peer, message, now, out),
    Answer: lambda operation, peer, message, now, out: operation.answered(peer, message, now, out),
    Scanned: lambda operation, peer, message, now, out: operation.page_arrived(peer, message, now, out),
    TreesTold: lambda operation, peer, message, now, out: operation.trees_told(peer, message, now, out),
    LeafTold: lambda operation, peer, message, now, out: operation.leaf_told(peer, message, now, out),
    RoundsTold: lambda operation, peer, message, now, out: operation.rounds_told(peer, message, now, out),
    Confirmed: lambda operation, peer, message, now, out: operation.confirmed_by(peer, message, now, out),
    Buried: lambda operation, peer, message, now, out: operation.buried_by(peer, message, now, out),
    Voted: lambda operation, peer, message, now, out: operation.voted(peer, message, now, out),
    Held: lambda operation, peer, message, now, out: operation.held(peer, message, now, out),
    Pulled: lambda operation, peer, message, now, out: operation.pulled(peer, message, now, out),
}
"""Messages that answer one of ours and mean nothing to anybody but the operation that waits for them."""
