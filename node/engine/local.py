"""A read of what this node itself holds (DYN.GET … LOCAL): for people who look at replicas one by one.

No quorum, so it proves nothing about the key, and no repair, so looking changes nothing. A node whose store may have
forgotten something tells all the same what is in it. The context covers what is told, as that of any read: who writes
with it becomes a sibling of what this node has missed.
"""

from __future__ import annotations

from node.core.context import BadContext, seal
from node.core.ids import Instant
from node.engine.operation import Asker, Operation, Shared, unavailable
from node.engine.outbox import Outbox
from node.wire.errors import RemoteWireError
from node.wire.messages import UNREADABLE
from node.wire.requests import Failed, Found, Get, Result
from node.wire.rows import merged_row


class LocalRead(Operation):
    """One row, from our own disk."""

    __slots__ = ("asker", "request")

    def __init__(self, shared: Shared, request: Get, asker: Asker) -> None:
        super().__init__(shared)
        self.request = request
        self.asker = asker

    def start(self, deadline: Instant, out: Outbox) -> None:
        """Ask the disk."""
        self.shared.timers.set(deadline, self.ticket)
        out.load(self.ticket, self.request.key)

    def loaded(self, row: bytes | None, readable: bool, now: Instant, out: Outbox) -> None:
        """That is the answer."""
        self._finish(self._found(row) if readable else self._failed(UNREADABLE), out)

    def reached(self, now: Instant, out: Outbox) -> None:
        """The disk does not answer."""
        self._finish(self._failed("its disk did not answer in time"), out)

    def _found(self, row: bytes | None) -> Result:
        cluster = self.shared.cluster
        try:
            held = merged_row([row])
        except RemoteWireError:
            return self._failed(UNREADABLE)
        if not self.request.context:
            return Found(held)
        token = seal(held.clock, self.request.key, cluster.cluster_id, cluster.secrets)
        if isinstance(token, BadContext):
            return Failed("ERR", f"the context of this key cannot be told: {token.why}")
        return Found(held, token)

    def _failed(self, why: str) -> Failed:
        return unavailable(f"{self.shared.cluster.name(self.shared.me)}: {why}")

    def _finish(self, result: Result, out: Outbox) -> None:
        self.end()
        self.asker.answer(result, out)
