"""DYN.TRACE: a request that is followed on its way (`engine.tracing`), through the node that coordinates it, too.

A write whose receiver is no owner is handed over. So that its coordinator follows it as well, a question goes ahead of
it on the same link: "the write that I hand you next, under this number: tell me its steps". While such a question
stands, and only then, forwarded writes go through `Traces` on their way in. A node of an earlier release answers that
it knows nothing, and coordinates the write as ever. What the coordinator tells is in milliseconds since it had the
write: clocks of two nodes are never compared.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from node.core.ids import Instant, NodeId
from node.core.limits_trace import (
    TRACE_LATE_AWAY_S,
    TRACE_LATE_S,
    TRACE_TAIL_AWAY_S,
    TRACE_TAIL_S,
    TRACES_KEPT,
    TRACES_MAX,
)
from node.engine.intake import Intake
from node.engine.operation import Asker, Operation, Shared
from node.engine.outbox import Outbox
from node.engine.trace_document import steps_of, trace_document
from node.engine.traces_kept import TracesKept
from node.engine.tracing import Trace
from node.wire import requests
from node.wire.messages import Answer, Ask, Forward
from node.wire.requests import Failed, Get, Inspect, Put, Result
from node.wire.traced import TracedSteps

QUESTION = "trace"

Handler = Callable[[NodeId, Forward, Instant, Outbox], None]


class Traces:
    """What is followed here. `expected` are writes that peers are about to hand over, with the number of their question
    and until when that stands."""

    def __init__(self, shared: Shared, intake: Intake) -> None:
        self.shared = shared
        self.intake = intake
        self.running: dict[int, None] = {}
        self.expected: dict[tuple[NodeId, int], tuple[int, Instant]] = {}
        self.kept = TracesKept(shared)
        self._handlers: dict[type, Callable[..., None]] = {}
        self._forward: Callable[..., None]

    def attach(self, handlers: dict[type, Callable[..., None]]) -> None:
        """Handlers of messages, by kind: that of Forward is ours while a write is expected that is to be followed."""
        self._handlers = handlers
        self._forward = handlers[Forward]

    def request(self, request: Inspect, asker: Asker, now: Instant, out: Outbox) -> None:
        """Do what the request says, and answer with the way it took."""
        if request.of is None:
            asker.answer(Failed("ERR", "a trace of what? GET, PUT or DEL"), out)
        elif len(self.running) >= TRACES_MAX:
            asker.answer(Failed("BUSY", f"{TRACES_MAX} requests are being followed here; nothing was done"), out)
        else:
            Following(self, request.of, asker, now).start(now, out)

    def asked(self, request: Inspect, asker: Asker, now: Instant, out: Outbox) -> None:
        """DYN.TRACES: what was followed here lately, or one of it by its id."""
        if not request.arguments:
            asker.answer(requests.Document(self.kept.listed()), out)
            return
        found = self.kept.find(request.arguments[0].decode(errors="replace"))
        if found is None:
            asker.answer(Failed("ERR", f"no trace of this id here; the last {TRACES_KEPT} are kept"), out)
        else:
            asker.answer(requests.Document(found), out)

    # As the coordinator of another node's request --------------------------------------------------------------

    def expect(self, peer: NodeId, question: Ask, now: Instant, out: Outbox) -> None:
        """`peer` is about to hand over a write that it follows; its number is in the question."""
        self.expected = {write: told for write, told in self.expected.items() if told[1] > now}
        if not question.key.isdigit() or len(question.key) > 20 or len(self.expected) + len(self.running) >= TRACES_MAX:
            out.send(peer, Answer(question.rid, b"{}"))
            return
        self.expected[peer, int(question.key)] = question.rid, now + TRACE_TAIL_S
        self._handlers[Forward] = self._handed_over

    def _handed_over(self, peer: NodeId, message: Forward, now: Instant, out: Outbox) -> None:
        rid, _ = self.expected.pop((peer, message.rid), (0, now))
        if not self.expected:
            self._handlers[Forward] = self._forward
        if rid:
            FollowingAway(self, peer, rid, now).start(lambda: self._forward(peer, message, now, out), message, now, out)
        else:
            self._forward(peer, message, now, out)


class Following(Operation):
    """One request that a client wants followed. `away` is what its coordinators told of their part; None: nothing."""

    __slots__ = ("asker", "away", "awaited", "of", "result", "trace", "traces", "until")

    def __init__(self, traces: Traces, of: Get | Put, asker: Asker, now: Instant) -> None:
        super().__init__(traces.shared)
        traces.running[self.ticket] = None
        self.traces = traces
        self.of = of
        self.asker = asker
        self.trace = Trace(traces.shared, now, self._all_ended, self._forwarding)
        self.result: Result | None = None
        self.awaited: dict[NodeId, None] = {}
        self.away: dict[NodeId, TracedSteps | None] = {}
        self.until: Instant = 0.0

    def start(self, now: Instant, out: Outbox) -> None:
        """Do it, as if the client had asked for it plainly."""
        self._wait_until(now + self.of.timeout_ms / 1000 + TRACE_LATE_S)
        asker = Asker(self.ticket, then=self._answered)
        intake, of = self.traces.intake, self.of
        if isinstance(of, Get):
            self.trace.run(lambda: intake.get(of, asker, now, out), now, out)
        else:
            self.trace.run(lambda: intake.put(of, asker, now, out), now, out)
        if self.result is None and not self.trace.live:
            self.trace.remark("wait", now, note="for the first write of the cluster, whose way is not followed")

    def _wait_until(self, until: Instant) -> None:
        self.until = until
        self.shared.timers.set(until, self.ticket)

    def _answered(self, result: Result, out: Outbox) -> None:
        """The client would have its answer now. What follows it is waited for a moment longer."""
        now = self.shared.load.now  # that of the step under way
        self.result = result
        self.trace.remark("answer", now, note=f"{result.code} {result.text}" if isinstance(result, Failed) else "")
        self._wait_until(min(self.until, now + TRACE_TAIL_S))
        if not self.trace.running:  # else there may be more to note
            self._all_ended(now, out)

    def _forwarding(self, peer: NodeId, message: Forward, at: int, out: Outbox) -> None:
        """A coordinator gets the write: it is asked first to follow it."""
        self.awaited[peer] = None
        out.sends[peer].insert(at, Ask(self.ticket, QUESTION, b"%d" % message.rid))

    def answered(self, peer: NodeId, message: Answer, now: Instant, out: Outbox) -> None:
        """What a coordinator did with it."""
        told: TracedSteps | None
        try:
            told = msgspec.json.decode(message.json, type=TracedSteps)
        except msgspec.MsgspecError:
            told = None
        if peer in self.awaited:
            del self.awaited[peer]
            self.away[peer] = told
            self._all_ended(now, out)

    def peer_down(self, peer: NodeId, now: Instant, out: Outbox) -> None:
        """It will not tell."""
        if peer in self.awaited:
            del self.awaited[peer]
            self.away[peer] = None
            self._all_ended(now, out)

    def _all_ended(self, now: Instant, out: Outbox) -> None:
        if self.result is not None and not self.trace.live and not self.awaited and not self.ended:
            self._tell(now, out)

    def reached(self, now: Instant, out: Outbox) -> None:
        """Enough waited."""
        if now >= self.until:
            self._tell(now, out)

    def _tell(self, now: Instant, out: Outbox) -> None:
        self.end()
        del self.traces.running[self.ticket]
        result = self.result if self.result is not None else Failed("UNKNOWN", "no answer in time")
        for peer in self.awaited:
            self.away[peer] = None
        document = trace_document(self.shared, self.of, self.trace, result, self.away, now)
        document = self.traces.kept.keep(document, now)
        self.asker.answer(requests.Document(msgspec.json.encode(document)), out)


class FollowingAway(Operation):
    """A write that another node handed over, and follows: `rid` is the number of its question."""

    __slots__ = ("peer", "rid", "trace", "traces", "until")

    def __init__(self, traces: Traces, peer: NodeId, rid: int, now: Instant) -> None:
        super().__init__(traces.shared)
        traces.running[self.ticket] = None
        self.traces = traces
        self.peer = peer
        self.rid = rid
        self.until: Instant = 0.0
        self.trace = Trace(traces.shared, now, self._all_ended)

    def start(self, do: Callable[[], None], message: Forward, now: Instant, out: Outbox) -> None:
        """Coordinate it, and wait as long as its client does, and a moment longer."""
        self.until = now + message.left_ms / 1000 + TRACE_LATE_AWAY_S
        self._wake(now)
        self.trace.run(do, now, out)

    def _all_ended(self, now: Instant, out: Outbox) -> None:
        if not self.ended:
            self._tell(now, out)

    def reached(self, now: Instant, out: Outbox) -> None:
        """Enough waited?"""
        answered_at = self.trace.answered_at
        if now >= self.until or (answered_at is not None and now >= answered_at + TRACE_TAIL_AWAY_S):
            self._tell(now, out)
        else:
            self._wake(now)

    def _wake(self, now: Instant) -> None:
        self.shared.timers.set(min(self.until, now + TRACE_TAIL_AWAY_S / 2), self.ticket)

    def _tell(self, now: Instant, out: Outbox) -> None:
        self.end()
        del self.traces.running[self.ticket]
        out.send(self.peer, Answer(self.rid, msgspec.json.encode(steps_of(self.shared, self.trace))))
