"""Reads before the first write: an unsealed ring holds nothing, if it is unsealed still where that is decided.

A node that missed the news of a later ring would ask owners of old and take their silence for absence. So while its
ring is unsealed it asks the decider: still unsealed there means that nobody ever wrote, which is the answer; else
the decider's ring comes along, and the read begins under it.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from node.core.ids import Instant, NodeId
from node.core.limits import JOIN_RETRY_S, PATIENCE_MS_FIRST
from node.core.row import EMPTY
from node.engine.operation import Asker, Operation, Shared, unavailable
from node.engine.outbox import Outbox
from node.wire.messages import Answer, Ask, Sealed
from node.wire.requests import Found

QUESTION = "sealed"


class UnsealedRead(Operation):
    """One read that waits for the decider's word. `read` begins the real one; `doubt` says why our own word is none."""

    __slots__ = ("asker", "deadline", "decider", "doubt", "read", "_look_at")

    def __init__(
        self,
        shared: Shared,
        asker: Asker,
        deadline: Instant,
        read: Callable[[Instant, Outbox], None],
        doubt: Callable[[], str],
    ) -> None:
        super().__init__(shared)
        self.asker = asker
        self.deadline = deadline
        self.decider: NodeId = shared.cluster.state.decider
        self.read = read
        self.doubt = doubt
        self._look_at: Instant = 0.0

    def start(self, now: Instant, out: Outbox) -> None:
        """Answer at once if we decide, and have no doubt; else ask, and ask again."""
        cluster = self.shared.cluster
        mine = self.decider == self.shared.me
        if mine and not self.doubt():
            self._nothing_there(out)
        elif mine or cluster.is_up(self.decider):
            self._wake_at(now + JOIN_RETRY_S)
            if not mine:
                out.send(self.decider, Ask(self.ticket, QUESTION, b""))
        else:
            self._nobody(out)

    def answered(self, peer: NodeId, message: Answer, now: Instant, out: Outbox) -> None:
        """The decider's word. If its ring is on the way still, it is asked again a moment later."""
        try:
            sealed = msgspec.json.decode(message.json, type=Sealed).sealed
        except msgspec.MsgspecError:
            return
        if peer != self.decider:
            return
        if not sealed:
            self._nothing_there(out)
        elif self.shared.cluster.state.sealed:
            self.end()
            self.read(now, out)
        else:
            self._wake_at(now + PATIENCE_MS_FIRST / 1000)

    def _wake_at(self, at: Instant) -> None:
        self._look_at = min(at, self.deadline)
        self.shared.timers.set(self._look_at, self.ticket)

    def peer_down(self, peer: NodeId, now: Instant, out: Outbox) -> None:
        """The decider is gone."""
        if peer == self.decider:
            self._nobody(out)

    def reached(self, now: Instant, out: Outbox) -> None:
        """The deadline, or time to look again."""
        if now < self._look_at:
            return  # what it was to look at then is over: it was answered, and looks again sooner, or later
        if now >= self.deadline:
            self._nobody(out)
        elif self.shared.cluster.state.sealed:
            self.end()
            self.read(now, out)
        else:
            self.start(now, out)

    def _nothing_there(self, out: Outbox) -> None:
        self.end()
        self.asker.answer(Found(EMPTY), out)

    def _nobody(self, out: Outbox) -> None:
        self.end()
        name = self.shared.cluster.name(self.decider)
        why = f"before the first write reads need {name}, who founded the cluster"
        self.asker.answer(unavailable((self.doubt() if self.decider == self.shared.me else "") or why), out)
