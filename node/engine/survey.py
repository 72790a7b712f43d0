"""Asking everybody: a bounded question to all members, answered with whatever came in time.

A node that does not answer is shown as unknown; it never delays the answer beyond the survey's own deadline, and it
never fails it.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from node.core.ids import Instant, NodeId
from node.core.limits import SURVEY_MS_MAX
from node.engine.operation import Operation, PeerRequest, Shared
from node.engine.outbox import Outbox
from node.wire.messages import Answer, Ask

Answers = dict[NodeId, dict[str, object]]
Heard = Callable[[Answers, Instant, Outbox], None]


class Survey(Operation):
    """One question to all members that are up; `heard(answers)` is called once, at the latest at the deadline."""

    __slots__ = ("answers", "awaited", "heard")

    def __init__(self, shared: Shared, heard: Heard) -> None:
        super().__init__(shared)
        self.heard = heard
        self.answers: Answers = {}
        self.awaited: set[NodeId] = set()

    def start(self, what: str, timeout_ms: int, now: Instant, out: Outbox) -> None:
        """Ask; our own answer comes from the runtime's figures."""
        cluster = self.shared.cluster
        self.shared.timers.set(now + min(timeout_ms, SURVEY_MS_MAX) / 1000, self.ticket)
        self.awaited = {member.id for member in cluster.others() if cluster.is_up(member.id)} | {self.shared.me}
        for node in sorted(self.awaited - {self.shared.me}):
            out.send(node, Ask(self.ticket, what, b""))
        out.measure(self.ticket)

    def measured(self, figures: dict[str, object], now: Instant, out: Outbox) -> None:
        """Our own figures."""
        self._take(self.shared.me, own_status(self.shared, figures, now), now, out)

    def answered(self, peer: NodeId, message: Answer, now: Instant, out: Outbox) -> None:
        """A member's answer; one that is no JSON object counts as none."""
        try:
            answer = msgspec.json.decode(message.json, type=dict[str, object])
        except msgspec.MsgspecError:
            answer = {}
        self._take(peer, answer, now, out)

    def peer_down(self, peer: NodeId, now: Instant, out: Outbox) -> None:
        """One less to wait for."""
        self._take(peer, None, now, out)

    def reached(self, now: Instant, out: Outbox) -> None:
        """Enough waited; who has not answered is asked whether it is there."""
        for node in sorted(self.awaited):
            self.shared.missed(node, now, out)
        self.end()
        self.heard(self.answers, now, out)

    def _take(self, node: NodeId, answer: dict[str, object] | None, now: Instant, out: Outbox) -> None:
        if node not in self.awaited:
            return
        self.awaited.discard(node)
        if answer is not None:
            self.answers[node] = answer
        if not self.awaited:
            self.reached(now, out)


class AnswerStatus(PeerRequest):
    """A peer asked how we are: our figures, as soon as the runtime gives them."""

    __slots__ = ()

    def measured(self, figures: dict[str, object], now: Instant, out: Outbox) -> None:
        """The figures are there."""
        self.end()
        out.send(self.peer, Answer(self.rid, msgspec.json.encode(own_status(self.shared, figures, now))))


def own_status(shared: Shared, figures: dict[str, object], now: Instant) -> dict[str, object]:
    """What this node says of itself to a survey: its figures, its epoch, whom it sees how, and its hints."""
    cluster = shared.cluster
    sees = {member.name: cluster.health(member.id, now) for member in cluster.members.values()}
    wanted = ("keys", "bytes", "siblings", "tombstones", "p50_ms", "p99_ms", "uptime_s")
    hints, held = hints_of(figures), held_of(shared, figures, now)
    own = {"epoch": cluster.epoch, "sees": sees, "hints": sum(rows for _, rows, _, _ in hints), "held": held}
    own["repair"] = shared.repair(now)
    own["transfers"] = shared.transfers(now)
    own["granted_rows_s"] = shared.admission.rows_s
    own["rebuilding"] = cluster.rebuilding
    own["behind"] = [cluster.name(node) for node in cluster.unheard] if cluster.behind else None
    return own | {name: figures.get(name) for name in wanted}


def hints_of(figures: dict[str, object]) -> tuple[tuple[NodeId, int, int, int], ...]:
    """For whom the store keeps hints, by the runtime's figures: (node, rows, bytes, Unix ms of the oldest)."""
    hints = figures.get("hints", ())
    assert isinstance(hints, tuple | list), f"hints are {hints!r}"
    return tuple(hints)


def held_of(shared: Shared, figures: dict[str, object], now: Instant) -> list[dict[str, object]]:
    """The same in words, and why each waits: JSON-ready."""
    return [
        {
            "for": shared.cluster.name(target),
            "keys": rows,
            "bytes": size,
            "oldest_s": max(0, (shared.wall_ms(now) - oldest_ms) // 1000),
            "waits_because": shared.waits_because(target),
        }
        for target, rows, size, oldest_ms in hints_of(figures)
    ]
