"""Questions about the cluster and its keys: which operation answers which document of the interface."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from node.core.ids import Instant, NodeId
from node.core.limits import EVENTS_MAX, EXPLAIN_NODES_MAX
from node.engine import documents, key_documents
from node.engine.antientropy import AntiEntropy
from node.engine.background import Background
from node.engine.documents import Document
from node.engine.intake import Intake
from node.engine.key_survey import QUESTION as KEPT
from node.engine.key_survey import Holdings, KeySurvey, serve_kept
from node.engine.listing import KeysOperation
from node.engine.operation import Asker, Operation, Shared, unavailable
from node.engine.operator import Operator
from node.engine.outbox import Outbox
from node.engine.plans import transfers_document
from node.engine.repair import KeyReport, RepairKey
from node.engine.restore import RestoreKey, from_outside
from node.engine.survey import Answers, AnswerStatus, Survey
from node.engine.traces import QUESTION as STEPS
from node.engine.traces import Traces
from node.engine.unsealed import QUESTION
from node.wire import requests
from node.wire.messages import BEHIND, Answer, Ask, Sealed
from node.wire.requests import Failed, Inspect, Keys, Result

EVENTS_SHOWN = 50
"""Events that DYN.EVENTS tells without a number."""

STATS_TOLD = (
    "ops", "errors", "latency_ms", "versions_per_read", "recent", "histogram", "keys", "bytes", "siblings", "uptime_s",
    "cpu_s", "storage", "queues",
)  # fmt: skip
"""What DYN.STATS tells of the runtime's figures, as they are."""


class Inspector:
    """Answers Inspect and Keys requests, and peers' questions."""

    def __init__(
        self, shared: Shared, intake: Intake, antientropy: AntiEntropy, operator: Operator, background: Background
    ) -> None:
        self.shared = shared
        self.intake = intake
        self.antientropy = antientropy
        self.traces = Traces(shared, intake)
        self._documents: dict[str, Callable[[Inspect, Asker, Instant, Outbox], None]] = {
            "ring": self._ring,
            "status": self._status,
            "views": self._views,
            "hints": self._hints,
            "transfers": self._transfers,
            "stats": self._stats,
            "events": self._events,
            "explain": self._explain,
            "history": self._history,
            "repair": self._repair,
            "restore": self._restore,
            "cluster": operator.asked,
            "background": background.asked,
            "trace": self.traces.request,
            "traces": self.traces.asked,
        }

    def document(self, request: Inspect, asker: Asker, now: Instant, out: Outbox) -> None:
        """Answer with one JSON document, or say that there is none of that name."""
        failed = self.intake.not_at_all()
        answer = self._documents.get(request.what)
        if failed is not None:
            asker.answer(failed, out)
        elif answer is not None:
            answer(request, asker, now, out)
        else:
            asker.answer(Failed("NOTSUPPORTED", f"this version has no {request.what} document"), out)

    def keys(self, request: Keys, asker: Asker, now: Instant, out: Outbox) -> None:
        """Answer with a page of keys."""
        failed = self.intake.not_now()
        if failed is not None:
            asker.answer(failed, out)
        else:
            KeysOperation(self.shared, request, asker, now + request.timeout_ms / 1000).start(now, out)

    def asked(self, peer: NodeId, message: Ask, now: Instant, out: Outbox) -> None:
        """A peer's question; an unknown one is answered with nothing, so that a newer peer does not wait."""
        if message.what == "status":
            out.measure(AnswerStatus(self.shared, peer, message.rid).ticket)
        elif message.what == QUESTION:
            self._tell_whether_sealed(peer, message.rid, out)
        elif message.what == STEPS:
            self.traces.expect(peer, message, now, out)
        elif message.what == KEPT:
            serve_kept(self.shared, peer, message, now, out)
        else:
            out.send(peer, Answer(message.rid, b"{}"))

    def _tell_whether_sealed(self, peer: NodeId, rid: int, out: Outbox) -> None:
        """To a member that may have missed the news: the ring first, then the answer."""
        ring, seats = self.shared.cluster.ring, self.intake.seats
        sealed = ring is not None and ring.sealed
        if sealed:
            out.send(peer, seats.gossip(peer, ring=True, reply=False))
        elif ring is None or seats.doubt():  # no word of ours is one: who asks asks again
            return
        out.send(peer, Answer(rid, msgspec.json.encode(Sealed(sealed))))

    # Documents ---------------------------------------------------------------------------------------------

    def _ring(self, request: Inspect, asker: Asker, now: Instant, out: Outbox) -> None:
        _tell(asker, documents.ring_document(self.shared.cluster), out)

    def _events(self, request: Inspect, asker: Asker, now: Instant, out: Outbox) -> None:
        wanted = request.arguments[0] if request.arguments else str(EVENTS_SHOWN).encode()
        if not wanted.isdigit() or len(wanted) > len(str(EVENTS_MAX)):
            asker.answer(Failed("ERR", f"the number of events must be 0 to {EVENTS_MAX}"), out)
        else:
            _tell(asker, documents.events_document(self.shared, min(int(wanted), EVENTS_MAX)), out)

    def _status(self, request: Inspect, asker: Asker, now: Instant, out: Outbox) -> None:
        def heard(answers: Answers, then: Instant, effects: Outbox) -> None:
            _tell(asker, documents.status_document(self.shared, answers, then), effects)

        Survey(self.shared, heard).start("status", request.timeout_ms, now, out)

    def _views(self, request: Inspect, asker: Asker, now: Instant, out: Outbox) -> None:
        def heard(answers: Answers, then: Instant, effects: Outbox) -> None:
            _tell(asker, documents.views_document(self.shared, answers), effects)

        Survey(self.shared, heard).start("status", request.timeout_ms, now, out)

    def _hints(self, request: Inspect, asker: Asker, now: Instant, out: Outbox) -> None:
        def heard(answers: Answers, then: Instant, effects: Outbox) -> None:
            _tell(asker, documents.hints_document(self.shared, answers), effects)

        Survey(self.shared, heard).start("status", request.timeout_ms, now, out)

    def _transfers(self, request: Inspect, asker: Asker, now: Instant, out: Outbox) -> None:
        def heard(answers: Answers, then: Instant, effects: Outbox) -> None:
            _tell(asker, transfers_document(self.shared, answers), effects)

        Survey(self.shared, heard).start("status", request.timeout_ms, now, out)

    def _stats(self, request: Inspect, asker: Asker, now: Instant, out: Outbox) -> None:
        out.measure(StatsOperation(self.shared, asker).ticket)

    def _explain(self, request: Inspect, asker: Asker, now: Instant, out: Outbox) -> None:
        self._survey_key(key_documents.explain_document, request, asker, now, out)

    def _history(self, request: Inspect, asker: Asker, now: Instant, out: Outbox) -> None:
        self._survey_key(key_documents.history_document, request, asker, now, out)

    def _survey_key(
        self,
        document: Callable[[Shared, bytes, Holdings, Instant], Document],
        request: Inspect,
        asker: Asker,
        now: Instant,
        out: Outbox,
    ) -> None:
        """Ask everybody in the preference list of a key what it holds, and make a document of it."""
        key = request.key
        failed = self.intake.refusal(key, request.timeout_ms)
        if failed is not None:
            asker.answer(failed, out)
            return

        def heard(holdings: Holdings, then: Instant, effects: Outbox) -> None:
            _tell(asker, document(self.shared, key, holdings, then), effects)

        nodes = self.shared.cluster.preference_list(key)[:EXPLAIN_NODES_MAX]
        KeySurvey(self.shared, heard).start(key, nodes, request.timeout_ms, now, out)

    def _repair(self, request: Inspect, asker: Asker, now: Instant, out: Outbox) -> None:
        key = request.key
        if not key:
            self.antientropy.ask(asker, request.timeout_ms / 1000, now, out)
            return
        failed = self.intake.refusal(key, request.timeout_ms)
        if failed is None and self.shared.cluster.behind:
            failed = unavailable(f"{self.shared.cluster.me.name} {BEHIND}; ask another node")
        if failed is not None:
            asker.answer(failed, out)
            return

        def repaired(report: KeyReport, then: Instant, effects: Outbox) -> None:
            _tell(asker, documents.key_repair_document(self.shared, key, report), effects)

        owners = self.shared.cluster.owners(key)
        RepairKey(self.shared, key, owners, repaired).start(request.timeout_ms / 1000, now, out)

    def _restore(self, request: Inspect, asker: Asker, now: Instant, out: Outbox) -> None:
        key = request.key
        failed = self.intake.refusal(key, request.timeout_ms)
        if failed is None and self.shared.cluster.behind:
            failed = unavailable(f"{self.shared.cluster.me.name} {BEHIND}; ask another node")
        outside = failed or from_outside(self.shared, request.arguments)
        if isinstance(outside, Failed):
            asker.answer(outside, out)
            return

        def restored(result: Result, effects: Outbox) -> None:
            asker.answer(result, effects)

        RestoreKey(self.shared, key, outside, restored).start(request.timeout_ms / 1000, now, out)


class StatsOperation(Operation):
    """DYN.STATS: this node's own figures, as the runtime measures them."""

    __slots__ = ("asker",)

    def __init__(self, shared: Shared, asker: Asker) -> None:
        super().__init__(shared)
        self.asker = asker

    def measured(self, figures: dict[str, object], now: Instant, out: Outbox) -> None:
        """The figures are there."""
        self.end()
        document: Document = {
            "schema": "dyn.stats/v1",
            "node": self.shared.cluster.me.name,
            "background": self.shared.admission.document(),
            "repairs": dict(self.shared.repairs),
        }
        hints = figures.get("hints")
        owed = sum(hint[1] for hint in hints) if isinstance(hints, tuple | list) else None
        told = {name: figures.get(name) for name in STATS_TOLD}
        _tell(self.asker, document | told | {"hints": owed}, out)


def _tell(asker: Asker, document: Document, out: Outbox) -> None:
    asker.answer(requests.Document(msgspec.json.encode(document)), out)
