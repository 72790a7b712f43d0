"""How one request travels: its operations are wrapped, and what goes in and comes out is noted with its time.

Operations do not know of it. The node hands an event to whatever stands in its table under the event's ticket; here
that is a `Traced`, which calls the operation and compares the outbox before and after: what was added is what the event
made it do. Operations that it begins meanwhile are wrapped, too. So a request that nobody follows costs nothing at all.

    event ──► Traced ──► operation ──► outbox         a step: fetch n4   at 0.11 ms   told after 1.0 ms: versions …
                │ note: told                 │
                └────────── note: asked ◄────┘

A step is one thing that was asked of somebody, of the disk or of a peer, and when and what that one told. Times are of
this node's clock alone, by turns of its loop.
"""

from __future__ import annotations

from collections.abc import Callable

from node.core.ids import Instant, NodeId
from node.core.limits_trace import TRACE_STEPS_MAX
from node.engine.operation import NO_TICKET, Operation, Shared
from node.engine.outbox import Outbox
from node.storage.port import Advance, Advanced, Merge, Outcome, Owe, Refused
from node.storage.port import Write as Persist
from node.wire.messages import (
    UNREADABLE,
    Answer,
    Ask,
    Fetch,
    Fetched,
    Forward,
    Forwarded,
    Message,
    Outdated,
    Ping,
    Replicate,
    Replicated,
)
from node.wire.requests import Failed

Call = Callable[[Instant, Outbox], None]


class Step:
    """One thing that was asked, of `peer` or, if that is None, of this node's own disk, and what was told.

    `took` is None for what was not told (yet), and `awaited` says whether anybody waits for it. `heard`: `row` is what
    was told to be held, None for nothing. `hints` are the owners for whom a hint is kept by it.
    """

    __slots__ = ("at", "awaited", "heard", "hints", "note", "peer", "row", "took", "what")

    def __init__(self, what: str, at: Instant, peer: NodeId | None = None, *, awaited: bool = True) -> None:
        self.what = what
        self.at = at
        self.peer = peer
        self.awaited = awaited
        self.took: Instant | None = None
        self.heard = False
        self.row: bytes | None = None
        self.hints: tuple[NodeId, ...] = ()
        self.note = ""


class Trace:
    """What was noted of one request. `ended` is called when nothing that belongs to it is left, and may be again.

    `answered_at` is when its answer was given, `running` whether one of its operations is at work just now.

    `handed_over` is told of each write that is forwarded, and where in the outbox it stands.
    """

    __slots__ = ("answered_at", "began", "dropped", "ended", "handed_over", "live", "running", "shared", "steps")

    def __init__(
        self,
        shared: Shared,
        now: Instant,
        ended: Call,
        handed_over: Callable[[NodeId, Forward, int, Outbox], None] | None = None,
    ) -> None:
        self.shared = shared
        self.began = now
        self.answered_at: Instant | None = None
        self.ended = ended
        self.handed_over = handed_over
        self.steps: list[Step] = []
        self.dropped = 0
        self.live: dict[int, None] = {}
        self.running = False

    def run(self, call: Callable[[], None], now: Instant, out: Outbox) -> None:
        """Let an operation of the request do something, and note what it asks for."""
        if self.running:  # it is within a call that is noted as a whole
            call()
            return
        pending = self.shared.pending
        last = next(reversed(pending), 0)
        sent = {peer: len(messages) for peer, messages in out.sends.items()}
        persists, loads = len(out.persists), len(out.loads)
        self.running = True
        call()
        self.running = False
        for ticket, operation in [*pending.items()] if next(reversed(pending), 0) > last else ():
            if ticket > last:
                pending[ticket] = Traced(self, operation)
                self.live[ticket] = None
        self._note_effects(sent, persists, loads, now, out)
        for ticket in [ticket for ticket in self.live if ticket not in pending]:
            del self.live[ticket]
        if not self.live:
            self.ended(now, out)

    def _note_effects(self, sent: dict[NodeId, int], persists: int, loads: int, now: Instant, out: Outbox) -> None:
        for _ in out.loads[loads:]:
            self.note(Step("load", now))
        for ticket, write in out.persists[persists:]:
            self.note(_persisting(ticket, write, now))
        for peer, messages in out.sends.items():
            first = sent.get(peer, 0)
            for message in messages[first:]:
                self.note(_sending(peer, message, now))
            for at in range(len(messages) - 1, first - 1, -1):  # from behind, as a question is put before it
                message = messages[at]
                if isinstance(message, Forward) and self.handed_over is not None:
                    self.handed_over(peer, message, at, out)

    def note(self, step: Step) -> None:
        """Keep a step, if there is room."""
        if step.what == "answer" and self.answered_at is None:
            self.answered_at = step.at
        if len(self.steps) < TRACE_STEPS_MAX:
            self.steps.append(step)
        else:
            self.dropped += 1

    def remark(self, what: str, now: Instant, peer: NodeId | None = None, note: str = "") -> None:
        """Something that was asked of nobody."""
        step = Step(what, now, peer, awaited=False)
        step.note = note
        self.note(step)

    def told(self, whats: tuple[str, ...], peer: NodeId | None, now: Instant) -> Step | None:
        """The last open step of such a kind has its answer."""
        step = self.open(whats, peer)
        if step is not None:
            step.took = now - step.at
        return step

    def open(self, whats: tuple[str, ...], peer: NodeId | None) -> Step | None:
        """The last step of such a kind that waits for its answer."""
        for step in reversed(self.steps):
            if step.peer == peer and step.what in whats and step.took is None and step.awaited:
                return step
        return None


class Traced(Operation):
    """An operation of a request that is followed, in its place in the table."""

    __slots__ = ("operation", "trace")

    def __init__(self, trace: Trace, operation: Operation) -> None:
        self.shared = operation.shared  # not super().__init__, which would enter it: it has the ticket of the operation
        self.ticket = operation.ticket
        self.trace = trace
        self.operation = operation

    def persisted(self, outcome: Outcome, now: Instant, out: Outbox) -> None:
        """Our own disk has stored, or refused."""
        step = self.trace.told(("commit", "merge", "persist"), None, now)
        if step is not None and isinstance(outcome, Refused):
            step.note = outcome.detail or outcome.why.value
        elif step is not None and isinstance(outcome, Advanced):
            step.heard, step.row = True, outcome.row
        self.trace.run(lambda: self.operation.persisted(outcome, now, out), now, out)

    def loaded(self, row: bytes | None, readable: bool, now: Instant, out: Outbox) -> None:
        """Our own row."""
        self._row_told(None, row, "" if readable else UNREADABLE, now)
        self.trace.run(lambda: self.operation.loaded(row, readable, now, out), now, out)

    def fetched(self, peer: NodeId, message: Fetched, now: Instant, out: Outbox) -> None:
        """A peer's row."""
        self._row_told(peer, message.row, message.refused, now)
        self.trace.run(lambda: self.operation.fetched(peer, message, now, out), now, out)

    def _row_told(self, peer: NodeId | None, row: bytes | None, refused: str, now: Instant) -> None:
        step = self.trace.told(("load",) if peer is None else ("fetch",), peer, now)
        if step is not None and refused:
            step.note = refused
        elif step is not None:
            step.heard, step.row = True, row

    def replicated(self, peer: NodeId, message: Replicated, now: Instant, out: Outbox) -> None:
        """A peer has stored, or refused."""
        step = self.trace.told(("replicate",), peer, now)
        if step is not None and message.refused:
            step.note = message.refused
        elif step is not None:
            step.note = "durable" if message.durable else "in memory"
            step.heard, step.row = message.row is not None, message.row
        self.trace.run(lambda: self.operation.replicated(peer, message, now, out), now, out)

    def outdated(self, peer: NodeId, message: Outdated, now: Instant, out: Outbox) -> bool:
        """A peer is in a later reap round."""
        step = self.trace.open(("replicate",), peer)
        if step is not None:
            step.note = "in a later reap round: sent again"
        known: list[bool] = []
        self.trace.run(lambda: known.append(self.operation.outdated(peer, message, now, out)), now, out)
        return known[0]

    def repeated(self, row: bytes) -> None:
        """Our row was sent once more to who is in a later reap round."""
        self.operation.repeated(row)

    def forwarded(self, peer: NodeId, message: Forwarded, now: Instant, out: Outbox) -> None:
        """The coordinator's word."""
        step = self.trace.told(("forward",), peer, now)
        if step is not None:
            result = message.result
            step.note = f"{result.code} {result.text}" if isinstance(result, Failed) else message.refused
        self.trace.run(lambda: self.operation.forwarded(peer, message, now, out), now, out)

    def ponged(self, peer: NodeId, now: Instant, out: Outbox) -> None:
        """A peer is there."""
        self.trace.told(("ping",), peer, now)
        self.trace.run(lambda: self.operation.ponged(peer, now, out), now, out)

    def answered(self, peer: NodeId, message: Answer, now: Instant, out: Outbox) -> None:
        """A peer's answer to a question."""
        self.trace.told(("ask",), peer, now)
        self.trace.run(lambda: self.operation.answered(peer, message, now, out), now, out)

    def peer_down(self, peer: NodeId, now: Instant, out: Outbox) -> None:
        """A link is gone: noted, if something was expected over it."""
        self._missing(peer, "down", now)
        self.trace.run(lambda: self.operation.peer_down(peer, now, out), now, out)

    def peer_silent(self, peer: NodeId, now: Instant, out: Outbox) -> None:
        """A peer does not answer: noted, if it was asked something."""
        self._missing(peer, "silent", now)
        self.trace.run(lambda: self.operation.peer_silent(peer, now, out), now, out)

    def _missing(self, peer: NodeId, what: str, now: Instant) -> None:
        if any(step.peer == peer and step.took is None and step.awaited for step in self.trace.steps):
            self.trace.remark(what, now, peer)

    def ring_changed(self, now: Instant, out: Outbox) -> None:
        """It goes on under another ring."""
        self.trace.remark("ring", now, note=f"epoch {self.shared.cluster.epoch}")
        self.trace.run(lambda: self.operation.ring_changed(now, out), now, out)

    def reached(self, now: Instant, out: Outbox) -> None:
        """A time that it set."""
        self.trace.run(lambda: self.operation.reached(now, out), now, out)


def _persisting(ticket: int, write: Persist, now: Instant) -> Step:
    if isinstance(write, Advance):
        step = Step("commit", now)
        step.hints = write.owed.targets if write.owed is not None else ()
    elif isinstance(write, Owe):
        step = Step("hint", now, awaited=False)
        step.hints = write.owed.targets
    elif isinstance(write, Merge):
        step = Step("merge" if ticket != NO_TICKET else "repair", now, awaited=ticket != NO_TICKET)
    else:
        step = Step("persist", now, awaited=ticket != NO_TICKET)
    return step


def _sending(peer: NodeId, message: Message, now: Instant) -> Step:
    if isinstance(message, Replicate):
        step = Step("replicate" if message.rid != NO_TICKET else "repair", now, peer, awaited=message.rid != NO_TICKET)
        step.hints = message.hint_for
    elif isinstance(message, Fetch):
        step = Step("fetch", now, peer)
    elif isinstance(message, Forward):
        step = Step("forward", now, peer)
    elif isinstance(message, Ping):
        step = Step("ping", now, peer, awaited=message.rid != NO_TICKET)
    elif isinstance(message, Ask):
        step = Step("ask", now, peer)
    elif isinstance(message, Forwarded):
        step = Step("answer", now, peer, awaited=False)
        result = message.result
        step.note = f"{result.code} {result.text}" if isinstance(result, Failed) else message.refused
    else:
        step = Step(type(message).__name__.lower(), now, peer, awaited=False)
    return step
