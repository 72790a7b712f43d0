"""Whom a read asks: owners, or somebody in the place of one that does not answer (`engine.get` says when).

For each owner that cannot say, the next healthy node of the preference list is asked (sloppy quorum). While the key's
partition moves, the owners are those of both rings, and each must have its quorum (`core.quorum`).
"""

from __future__ import annotations

from node.core.ids import Instant, NodeId
from node.core.limits_change import EPOCH_AGAIN_S
from node.core.quorum import Tally
from node.core.row import EMPTY
from node.engine.operation import Asker, Operation, Shared
from node.engine.outbox import Outbox
from node.wire.messages import REBUILDING, Fetch, left_ms


class Asking(Operation):
    """What a read knows of those it asks. `rows` is what each said, None for nothing held; `owners` are the key's.

    The tally's nodes are the owners and whoever was asked in the place of one. `rounds` are the reap rounds under which
    they read; who is asked shall be in `least_round` first.
    """

    __slots__ = (
        "asker", "deadline", "epoch", "key", "least_round", "merged", "owners", "r", "rounds", "rows", "sent_at",
        "strict", "tally", "wants_context", "written_back", "_again_at", "_apart", "_hopes", "_look_at", "_looks",
        "_unasked",
    )  # fmt: skip

    def __init__(
        self,
        shared: Shared,
        key: bytes,
        *,
        r: int,
        strict: bool,
        wants_context: bool,
        deadline: Instant,
        asker: Asker,
    ) -> None:
        super().__init__(shared)
        self.key = key
        self.strict = strict
        self.wants_context = wants_context
        self.deadline = deadline
        self.asker = asker
        self.r = r
        self.least_round = 0
        self.sent_at: Instant = 0.0
        self._begin()

    def _begin(self) -> None:
        """Nothing heard yet, under the ring as it is now."""
        cluster = self.shared.cluster
        self.epoch = cluster.epoch
        self.owners = cluster.owners(self.key)
        self.tally = Tally(min(self.r, len(self.owners)), self.owners, cluster.groups(self.key, self.r))
        self.rows: dict[NodeId, bytes | None] = {}
        self.rounds: dict[NodeId, int] = {}
        self.merged = EMPTY
        self.written_back: Tally | None = None
        self._looks = 0
        self._look_at: Instant = 0.0
        self._again_at: Instant = 0.0
        self._apart: dict[NodeId, None] = {}  # whose ring is another one: asked again once they have been compared
        self._unasked: list[NodeId] = []
        self._hopes: dict[NodeId, bool] = {}  # silent owners that were asked all the same: whether they may answer yet

    def _wake_at(self, at: Instant) -> None:
        self._look_at = min(self.deadline, at)
        self.shared.timers.set(self._look_at, self.ticket)

    def _others_up(self) -> list[NodeId]:
        """The owners beside us that answer; the tally notes the rest, and somebody is found in their place."""
        cluster, me, tally = self.shared.cluster, self.shared.me, self.tally
        others = []
        for owner in self.owners:
            if owner == me and cluster.rebuilding:
                tally.no(me, REBUILDING)
            elif owner != me:
                if cluster.is_up(owner):
                    others.append(owner)
                else:
                    tally.no(owner, "down")
        found = [self._another() for _ in range(len(tally.failed))]
        return others + [other for other in found if other is not None and other != me]

    def _another(self) -> NodeId | None:
        """The next healthy node of the preference list, in the place of an owner; None if there is none."""
        if self.strict:
            return None
        cluster = self.shared.cluster
        for node in cluster.preference_list(self.key)[len(self.owners) :]:
            if node == self.shared.me and cluster.rebuilding:
                continue
            if node not in self.tally.nodes and cluster.is_up(node):
                self.tally.add(node)
                return node
        return None

    def _ask_next(self, now: Instant, out: Outbox) -> None:
        """One more node, in the place of one that cannot say."""
        node = self._unasked.pop(0) if self._unasked else self._another()
        if node == self.shared.me:
            out.load(self.ticket, self.key)
        elif node is not None:
            left = left_ms(self.deadline, now)
            out.send(node, Fetch(self.ticket, self.epoch, self.key, self.least_round, left))

    def _say_again_soon(self, peer: NodeId, now: Instant) -> None:
        """One of us is behind, and about to learn the other's ring."""
        self._apart[peer] = None
        self._again_at = now + EPOCH_AGAIN_S
        self.shared.timers.set(min(self._again_at, self.deadline), self.ticket)
