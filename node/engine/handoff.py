"""Hinted handoff: rows kept for owners who lacked them are handed over when the owners answer again (paper, 4.6).

    owner answers ──► read a page of what it lacks ──► Replicate each row ──► durable there ──► the hint goes,
                           ▲                                 │ refused, or no answer     │ and with the last one our
                           └──────────── next page ◄─────────┴── later, again ◄──────────┘ row, if we own it not

A hint names an owner; who owns the key is looked up when it is delivered. If its target no longer does, all present
owners get the row. The hint goes only when everybody who was to get the row acknowledged it as durable, and only if the
row here is still that one. One batch at a time for each target, so that a returning node is not drowned, and with rests
between them while clients have to wait (`engine.admission`).
"""

from __future__ import annotations

from collections.abc import Callable

from node.core.ids import Instant, NodeId
from node.core.limits import HANDOFF_LOOK_S, HANDOFF_RETRY_S, HANDOFF_ROWS, HANDOFF_S_MAX, HANDOFF_SURE_S
from node.core.limits_size import HANDOFF_LOOKS_S_MAX, HANDOFF_PASS_S
from node.engine.operation import Operation, Shared
from node.engine.outbox import Outbox
from node.storage.port import Handed, HandOver, Outcome, Refusal
from node.wire.messages import Replicate, Replicated


class Handoffs:
    """Who may be lacking what we keep, and what is done about it. `why` says in words why the hints of one wait.

    `delivered` counts the rows that each got since the start. `waiting`, by ticket, is called, once, when nothing is
    being delivered any more.
    """

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.running: dict[NodeId, HandoffOperation] = {}
        self.why: dict[NodeId, str] = {}
        self._noted_at: dict[NodeId, Instant] = {}
        self._retry_at: dict[NodeId, Instant] = {}
        self._look_at: Instant = 0.0
        self._pass_at: Instant = 0.0
        self._tried_at: Instant = -HANDOFF_RETRY_S
        self.delivered: dict[NodeId, int] = {}
        self.waiting: dict[int, Callable[[Instant, Outbox], None]] = {}
        shared.waits_because = self.waits_because

    def tick(self, now: Instant, out: Outbox, returned: NodeId | None = None) -> None:
        """Deliver to everybody who may be owed something and answers; of very many not at each event, but to who has
        just `returned`."""
        shared = self.shared
        if now >= self._look_at:  # at the start, and now and then: a hint must not wait because we forgot whose it is
            self._look_at = now + HANDOFF_LOOK_S
            shared.note_owed(member.id for member in shared.cluster.others())
            if shared.cluster.seated:
                shared.note_owed(shared.cluster.state.gone)
        for target in shared.owing:
            self._noted_at[target] = now
        shared.owing.clear()
        if not shared.cluster.seated or shared.cluster.behind:
            return
        targets = list(self._noted_at)
        if len(targets) > HANDOFF_LOOKS_S_MAX:
            if now < self._pass_at:
                targets = [] if returned is None else [returned]
            else:
                self._pass_at = now + HANDOFF_PASS_S
        for target in targets:
            if target not in self.running and now >= self._retry_at.get(target, now):
                self._begin(target, now, out)

    def returned(self, target: NodeId, now: Instant, out: Outbox) -> None:
        """`target` answers again: it gets at once what it missed."""
        self._retry_at.pop(target, None)
        self.shared.note_owed((target,))
        self.tick(now, out, target)

    def try_now(self, now: Instant, out: Outbox) -> None:
        """Somebody wants all of it delivered now: whoever answers is tried, also where it failed a moment ago.

        Not more often than once in HANDOFF_RETRY_S: who refuses is not asked again for each that comes by.
        """
        if now >= self._tried_at + HANDOFF_RETRY_S:
            self._tried_at = now
            self._retry_at.clear()
            self._look_at = self._pass_at = 0.0
        self.tick(now, out)

    def _begin(self, target: NodeId, now: Instant, out: Outbox) -> None:
        if self.shared.cluster.is_up(target) or self._is_gone(target):
            self.why.pop(target, None)
            self.running[target] = operation = HandoffOperation(self.shared, self, target)
            operation.start(now, out)

    def _is_gone(self, target: NodeId) -> bool:
        """Whether its hints are the present owners' by now: it is no member any more."""
        ring = self.shared.cluster.ring
        return ring is not None and target in ring.gone

    def ring_changed(self) -> None:
        """Who was owed something may be gone."""
        self._look_at = 0.0

    def waits_because(self, target: NodeId) -> str:
        """Why hints for `target` have not been delivered yet, in words."""
        cluster = self.shared.cluster
        if not cluster.is_up(target) and not self._is_gone(target):
            return f"{cluster.name(target)} does not answer {cluster.me.name}"
        if target not in self.running:
            return self.why.get(target, "about to be delivered")
        running = self.running[target]
        return "being delivered" + (f" slowly: {running.why or self.shared.admission.because}" if running.rests else "")

    def ended(self, target: NodeId, why: str, now: Instant, out: Outbox) -> None:
        """A delivery ended. `why` it is not complete, "" if nothing that is durable here is owed any more."""
        del self.running[target]
        self._retry_at[target] = now + HANDOFF_RETRY_S * max(1.0, len(self._noted_at) / HANDOFF_LOOKS_S_MAX)
        if why:
            self.why[target] = why
        elif now - self._noted_at[target] > HANDOFF_SURE_S and target not in self.shared.owing:
            del self._noted_at[target]
        if not self.running:
            waiting, self.waiting = self.waiting, {}
            for settled in waiting.values():
                settled(now, out)


class HandoffOperation(Operation):
    """What one target lacks, page after page. `awaited` has a ticket for each row on its way to each receiver."""

    __slots__ = (
        "awaited",
        "delivered",
        "full",
        "handed",
        "handoffs",
        "left",
        "next_page",
        "rests",
        "rows",
        "target",
        "why",
    )

    def __init__(self, shared: Shared, handoffs: Handoffs, target: NodeId) -> None:
        super().__init__(shared)
        self.handoffs = handoffs
        self.target = target
        self.why = ""
        self.next_page: bytes | None = b""
        self.awaited: dict[int, tuple[NodeId, bytes]] = {}
        self.rows: dict[bytes, bytes] = {}
        self.left: dict[bytes, int] = {}
        self.handed: list[bytes] = []
        self.delivered = 0
        self.rests = self.full = False

    def start(self, now: Instant, out: Outbox) -> None:
        """Read the next page."""
        assert self.next_page is not None, "there is no further page"
        self.shared.timers.set(now + HANDOFF_S_MAX, self.ticket)
        out.read_owed(self.ticket, self.target, self.next_page, HANDOFF_ROWS)

    def owed(self, items: tuple[tuple[bytes, bytes], ...], after: bytes | None, now: Instant, out: Outbox) -> None:
        """A page: send each row to who shall have it."""
        self.next_page = after
        self.rows = dict(items)
        shared, epoch = self.shared, self.shared.cluster.epoch
        for key, row in items:
            number = shared.rounds.of(key)
            owners = shared.cluster.owners(key)
            receivers = (self.target,) if self.target in owners else tuple(o for o in owners if o != shared.me)
            if not row:  # lost here: the hint stands for nothing
                receivers = ()
            self.left[key] = len(receivers)
            for receiver in receivers:
                rid = shared.enter(self)
                self.awaited[rid] = (receiver, key)
                out.send(receiver, Replicate(rid, epoch, key, row, (), number))
            if not receivers:
                self._hand_over(key, out)
        self._go_on(now, out)

    def replicated(self, peer: NodeId, message: Replicated, now: Instant, out: Outbox) -> None:
        """A row is durable there, or was refused."""
        receiver, key = self.awaited.get(message.rid, (None, b""))
        if peer != receiver:
            return
        self._heard(message.rid)
        if message.refused:
            self.why = f"{self.shared.cluster.name(peer)} refused ({message.refused})"
            self.full = self.full or message.refused == Refusal.DISK_FULL.value
            self.left.pop(key, None)  # another receiver may have refused it, too
        elif key in self.left:
            self.left[key] -= 1
            if not self.left[key]:
                self._hand_over(key, out)
        self._go_on(now, out)

    def _heard(self, rid: int) -> None:
        del self.awaited[rid]
        self.shared.pending.pop(rid, None)

    def _hand_over(self, key: bytes, out: Outbox) -> None:
        keep = self.shared.me in self.shared.cluster.owners(key)
        self.handed.append(key)
        out.persist(self.ticket, HandOver(key, self.target, self.rows[key], keep))

    def persisted(self, outcome: Outcome, now: Instant, out: Outbox) -> None:
        """A hint is gone, or its row has changed since and is to be handed over again."""
        del self.left[self.handed.pop(0)]  # the store answers in order
        if not isinstance(outcome, Handed):
            self.why = "this node's disk takes no changes"
        elif outcome.done:
            self.delivered += 1
            self.handoffs.delivered[self.target] = self.handoffs.delivered.get(self.target, 0) + 1
        else:
            self.why = "newer versions came while the older ones were delivered"
        self._go_on(now, out)

    def _go_on(self, now: Instant, out: Outbox) -> None:
        if self.left or self.ended:
            return
        if self.next_page is None:
            self._end(self.why, now, out)
        else:
            self._rest(now, out)

    def _rest(self, now: Instant, out: Outbox) -> None:
        """Go on with the next page, after as long a rest as the clients need."""
        self.renew()
        pause_s = self.shared.admission.pause_s(len(self.rows))
        if self.full:  # it may refuse the next ones, too; but deletes among them it takes
            pause_s = max(pause_s, HANDOFF_RETRY_S)
            self.full = False
        self.rests = pause_s > 0
        if self.rests:
            self.shared.timers.set(now + pause_s, self.ticket)
        else:
            self.start(now, out)

    def peer_down(self, peer: NodeId, now: Instant, out: Outbox) -> None:
        """The target, or another owner who was to get a row, is gone again. Told once for each ticket."""
        if self.ended:
            return
        if peer == self.target or any(receiver == peer for receiver, _ in self.awaited.values()):
            self._end(f"{self.shared.cluster.name(peer)} went away during the delivery", now, out)

    def ring_changed(self, now: Instant, out: Outbox) -> None:
        """Other owners, maybe: from the beginning."""
        self._end("the ring has changed", now, out)

    def reached(self, now: Instant, out: Outbox) -> None:
        """The rest is over; or nobody answered for too long."""
        if self.rests:
            self.rests = False
            self.renew()
            self.start(now, out)
            return
        self._end(f"{self.shared.cluster.name(self.target)} has not acknowledged for {HANDOFF_S_MAX:g} s", now, out)

    def _end(self, why: str, now: Instant, out: Outbox) -> None:
        if self.handoffs.running.get(self.target) is not self:
            return  # told once for each ticket
        for rid in list(self.awaited):
            self._heard(rid)
        self.end()
        self.handoffs.ended(self.target, why, now, out)
        if self.delivered:
            cluster = self.shared.cluster
            cluster.note(now, out, "hints_delivered", node=cluster.name(self.target), rows=self.delivered)
