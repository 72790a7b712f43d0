"""A read, as its coordinator sees it (paper, section 5): ask R owners, merge what they hold, answer.

This node answers for itself if it is an owner. Owners that stay silent are not waited for: after HEDGE_MS the others
are asked too. Rows are compared as bytes; only rows that differ are decoded and merged.

A STRICT read answers only once what it tells is durable on N−R+1 owners, R being the cluster's: no later STRICT read
can then miss it (monotonic reads). With 2R > N that costs something only when the owners differ.
"""

from __future__ import annotations

from collections.abc import Iterable

from node.core.context import BadContext, seal
from node.core.ids import Instant, NodeId
from node.core.limits import HEDGE_MS
from node.core.quorum import Tally, Verdict
from node.core.row import EMPTY, Row
from node.core.version import merge
from node.engine.operation import Asker, Operation, Shared, unavailable
from node.engine.outbox import Outbox
from node.storage.port import Merge, Outcome, Refused
from node.wire.errors import RemoteWireError
from node.wire.messages import Fetch, Fetched, Replicate, Replicated
from node.wire.requests import Failed, Found
from node.wire.rows import decode_row, encode_row

HEDGE_S = HEDGE_MS / 1000


class GetOperation(Operation):
    """One read under coordination. `rows` is what each owner said, None for nothing held."""

    __slots__ = (
        "asker", "deadline", "epoch", "key", "merged", "rows", "strict", "tally", "wants_context", "written_back",
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
        owners: tuple[NodeId, ...],
    ) -> None:
        super().__init__(shared)
        self.key = key
        self.strict = strict
        self.wants_context = wants_context
        self.deadline = deadline
        self.asker = asker
        self.epoch = shared.cluster.epoch
        self.tally = Tally(min(r, len(owners)), owners)
        self.rows: dict[NodeId, bytes | None] = {}
        self.merged = EMPTY
        self.written_back: Tally | None = None
        self._unasked: list[NodeId] = []

    def start(self, now: Instant, out: Outbox) -> None:
        """Ask R owners, ourselves first, then in an order that spreads the load."""
        shared, tally, ticket = self.shared, self.tally, self.ticket
        others = self._others_up()
        if tally.failed and tally.verdict is Verdict.FAILED:
            self._fail(out)
            return
        timers = shared.timers
        timers.set(self.deadline, ticket)
        if len(others) > 1:
            turn = ticket % len(others)
            others = others[turn:] + others[:turn]
        wanted = tally.need
        if shared.me in tally.nodes:
            out.load(ticket, self.key)
            wanted -= 1
        fetch = Fetch(ticket, self.epoch, self.key)
        for owner in others[:wanted]:
            out.send(owner, fetch)
        self._unasked = others[wanted:]
        if wanted and self._unasked:
            timers.set(now + HEDGE_S, ticket)

    def _others_up(self) -> list[NodeId]:
        """The owners beside us that answer; the tally notes the rest."""
        cluster, me, tally = self.shared.cluster, self.shared.me, self.tally
        others = []
        for owner in tally.nodes:
            if owner != me:
                if cluster.is_up(owner):
                    others.append(owner)
                else:
                    tally.no(owner, "down")
        return others

    def _ask_next(self, out: Outbox) -> None:
        if self._unasked:
            out.send(self._unasked.pop(0), Fetch(self.ticket, self.epoch, self.key))

    def loaded(self, row: bytes | None, readable: bool, now: Instant, out: Outbox) -> None:
        """Our own row."""
        if readable:
            self._heard(self.shared.me, row, now, out)
        else:
            self._lost(self.shared.me, "row unreadable", out)

    def fetched(self, peer: NodeId, message: Fetched, now: Instant, out: Outbox) -> None:
        """An owner's row, or why it cannot say. Nobody else's word counts."""
        if peer not in self.tally.nodes:
            return
        if message.refused:
            self._lost(peer, f"refused ({message.refused})", out)
        else:
            self._heard(peer, message.row, now, out)

    def peer_down(self, peer: NodeId, now: Instant, out: Outbox) -> None:
        """An owner we may be waiting for is gone."""
        if self.written_back is not None:
            self.written_back.no(peer, "down")
            self._decide_written_back(out)
        elif peer in self.tally.nodes and peer not in self.rows:
            if peer in self._unasked:
                self._unasked.remove(peer)
            self._lost(peer, "down", out)

    def reached(self, now: Instant, out: Outbox) -> None:
        """Time to stop waiting for the slow, or to end."""
        if now >= self.deadline:
            if self.written_back is not None:
                self._fail_written_back(out)
            else:
                self._fail(out)
        elif self.written_back is None:
            while self._unasked:
                self._ask_next(out)

    def _lost(self, node: NodeId, why: str, out: Outbox) -> None:
        if self.written_back is not None:
            return
        self.tally.no(node, why)
        if self.tally.verdict is Verdict.FAILED:
            self._fail(out)
        else:
            self._ask_next(out)

    def _heard(self, node: NodeId, row: bytes | None, now: Instant, out: Outbox) -> None:
        if self.written_back is not None:
            return
        self.rows[node] = row
        self.tally.yes(node)
        if len(self.tally.met_by) < self.tally.need:
            return
        try:
            self.merged = merged_row(self.rows.values())
        except RemoteWireError:
            self._lost_malformed(now, out)
            return
        if self.strict and self.merged.clock and not self._is_safe():
            self._write_back(out)
        else:
            self._found(out)

    def _lost_malformed(self, now: Instant, out: Outbox) -> None:
        """Somebody's row does not parse: it is no evidence. Keep the readable ones and ask on."""
        for node, row in list(self.rows.items()):
            try:
                merged_row([row])
            except RemoteWireError:
                del self.rows[node]
                self.tally.met_by.remove(node)
                self._lost(node, "row malformed", out)
                if self.ended:
                    return

    def _found(self, out: Outbox) -> None:
        token = b""
        if self.wants_context:
            cluster = self.shared.cluster
            sealed = seal(self.merged.clock, self.key, cluster.cluster_id, cluster.secrets)
            if isinstance(sealed, BadContext):
                self._finish(Failed("ERR", f"the context of this key cannot be told: {sealed.why}"), out)
                return
            token = sealed
        self._finish(Found(self.merged, token), out)

    def _fail(self, out: Outbox) -> None:
        self._finish(unavailable(self.tally.describe("heard", self.shared.cluster.name)), out)

    # STRICT: make what was read durable before telling it ------------------------------------------------

    def _safe_count(self) -> int:
        """How many owners must hold a row so that every read of the cluster's R owners meets one of them."""
        owners = len(self.tally.nodes)
        return owners - min(self.shared.cluster.state.quorums.r, owners) + 1

    def _is_safe(self) -> bool:
        row = encode_row(self.merged)
        return sum(held == row for held in self.rows.values()) >= self._safe_count()

    def _write_back(self, out: Outbox) -> None:
        owners = self.tally.nodes
        row = encode_row(self.merged)
        self.written_back = Tally(self._safe_count(), owners)
        for owner in owners:
            if self.rows.get(owner) == row:
                self.written_back.yes(owner)
            elif owner == self.shared.me:
                out.persist(self.ticket, Merge(self.key, row, self.epoch))
            elif self.shared.cluster.is_up(owner):
                out.send(owner, Replicate(self.ticket, self.epoch, self.key, row))
            else:
                self.written_back.no(owner, "down")
        self._decide_written_back(out)

    def persisted(self, outcome: Outcome, now: Instant, out: Outbox) -> None:
        """Our own copy of the merged row."""
        assert self.written_back is not None, "a read persisted before it merged"
        if isinstance(outcome, Refused):
            self.written_back.no(self.shared.me, outcome.why.value)
        else:
            self.written_back.yes(self.shared.me)
        self._decide_written_back(out)

    def replicated(self, peer: NodeId, message: Replicated, now: Instant, out: Outbox) -> None:
        """An owner's copy of the merged row."""
        if self.written_back is None or peer not in self.written_back.nodes:
            return
        if message.refused:
            self.written_back.no(peer, f"refused ({message.refused})")
        else:
            self.written_back.yes(peer)
        self._decide_written_back(out)

    def _decide_written_back(self, out: Outbox) -> None:
        assert self.written_back is not None, "nothing is being written back"
        if self.written_back.verdict is Verdict.MET:
            self._found(out)
        elif self.written_back.verdict is Verdict.FAILED:
            self._fail_written_back(out)

    def _fail_written_back(self, out: Outbox) -> None:
        assert self.written_back is not None, "nothing is being written back"
        name = self.shared.cluster.name
        self._finish(unavailable(f"owners differ, and {self.written_back.describe('repaired', name)}"), out)

    def _finish(self, result: Found | Failed, out: Outbox) -> None:
        self.end()
        self.asker.answer(result, out)


def merged_row(rows: Iterable[bytes | None]) -> Row:
    """Merge rows as several nodes hold them; RemoteWireError if one is malformed. Equal rows are decoded once."""
    merged, last = EMPTY, None
    for row in rows:
        if row is not None and row != last:
            decoded = decode_row(row)
            merged = decoded if merged is EMPTY else merge(merged, decoded)
            last = row
    return merged
