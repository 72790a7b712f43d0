"""A write, as its coordinator sees it (paper, section 4.5): commit locally, then fan out, answer at W.

    start ── persist(Advance) ──► persisted ── Replicate to the other owners ──► replicated … ── W acks ──► answer
                                     │ refused: nothing stored                     │ an owner reports a version
                                     ▼                                             ▼ that a SET did not cover:
                              another owner, or an error                        persist(Advance) once more, over it

Nothing is stored anywhere until a quorum looks reachable, so an `UNAVAILABLE` never shows up later. Once the local
commit is under way the only honest endings are OK and UNKNOWN.
"""

from __future__ import annotations

from node.core.context import BadContext, seal
from node.core.ids import Instant, NodeId
from node.core.quorum import Tally, Verdict
from node.core.row import Clock
from node.core.version import join
from node.engine.forward import ForwardOperation
from node.engine.operation import Asker, Operation, Shared, unavailable, unknown
from node.engine.outbox import Outbox
from node.engine.write import Write
from node.storage.port import Advance, Advanced, Outcome, Refusal, Refused
from node.wire.errors import RemoteWireError
from node.wire.messages import Replicate, Replicated
from node.wire.requests import Ack, Failed, Written
from node.wire.rows import decode_row


class PutOperation(Operation):
    """One write under coordination. `owners` are the key's; this node is one of them."""

    __slots__ = ("advanced", "asker", "durable", "epoch", "repeated", "surplus", "tally", "write")

    def __init__(self, shared: Shared, write: Write, asker: Asker, owners: tuple[NodeId, ...]) -> None:
        super().__init__(shared)
        self.write = write
        self.asker = asker
        self.epoch = shared.cluster.epoch
        self.tally = Tally(min(write.w, len(owners)), owners)
        self.durable: dict[NodeId, bool] = {}
        self.advanced: Advanced | None = None
        self.surplus: Clock = ()
        self.repeated = False

    def start(self, now: Instant, out: Outbox) -> None:
        """Commit locally, unless too few owners answer: then nothing is stored anywhere."""
        cluster, me = self.shared.cluster, self.shared.me
        for owner in self.tally.nodes:
            if owner != me and not cluster.is_up(owner):
                self.tally.no(owner, "down")
        if self.tally.verdict is Verdict.FAILED:
            reachable = len(self.tally.nodes) - len(self.tally.failed)
            down = ", ".join(f"{cluster.name(owner)} {why}" for owner, why in self.tally.failed.items())
            text = f"{reachable} of the {self.tally.need} owners needed can be reached ({down}); nothing was stored"
            self._finish(unavailable(text), out)
            return
        self.shared.timers.set(self.write.deadline, self.ticket)
        self._commit(self.write.context, now, out)

    def _commit(self, covered: Clock, now: Instant, out: Outbox) -> None:
        write = self.write
        out.persist(
            self.ticket,
            Advance(
                write.key, write.value, covered, write.cover, self.epoch, self.shared.wall_ms(now), write.writer
            ),
        )  # fmt: skip

    def persisted(self, outcome: Outcome, now: Instant, out: Outbox) -> None:
        """Our own commit came back: it counts, and the others get the row."""
        if isinstance(outcome, Refused):
            self._refused(outcome, now, out)
            return
        assert isinstance(outcome, Advanced), f"a put was persisted as {outcome!r}"
        if self.advanced is not None:  # a SET counts what its first commit replaced, too
            outcome = outcome._replace(replaced=max(outcome.replaced, self.advanced.replaced))
        self.advanced = outcome
        me = self.shared.me
        self.tally.yes(me)
        self.durable[me] = self.shared.durable
        message = Replicate(self.ticket, self.epoch, self.write.key, outcome.row)
        for owner in self.tally.nodes:
            if owner != me and owner not in self.tally.failed:
                out.send(owner, message)
        self._decide(now, out)

    def replicated(self, peer: NodeId, message: Replicated, now: Instant, out: Outbox) -> None:
        """An owner stored the row (and may hold more than we knew), or would not. Nobody else's word counts."""
        if self.advanced is None or peer not in self.tally.nodes:
            return
        if message.refused:
            self.tally.no(peer, f"refused ({message.refused})")
        else:
            self.tally.yes(peer)
            self.durable[peer] = message.durable
            if message.row is not None and self.write.cover and not self.repeated:
                self._note_surplus(message.row)
        self._decide(now, out)

    def _note_surplus(self, held: bytes) -> None:
        """Remember what an owner holds beside our write: a SET must cover it before it may answer."""
        assert self.advanced is not None, "an ack before our own commit"
        try:
            row = decode_row(held)
        except RemoteWireError:
            return  # the ack stands; what it added is unreadable and teaches us nothing
        if any(version.dot != self.advanced.dot for version in row.versions):
            self.surplus = join(self.surplus, row.clock)

    def peer_down(self, peer: NodeId, now: Instant, out: Outbox) -> None:
        """An owner we wait for is gone."""
        if peer in self.tally.nodes and peer not in self.tally.met_by:
            self.tally.no(peer, "down")
            if self.advanced is not None:
                self._decide(now, out)

    def reached(self, now: Instant, out: Outbox) -> None:
        """The deadline: what was committed so far may or may not reach the others."""
        if now >= self.write.deadline:
            self._finish(unknown(self.tally.describe("wrote", self.shared.cluster.name)), out)

    def _decide(self, now: Instant, out: Outbox) -> None:
        verdict = self.tally.verdict
        if verdict is Verdict.PENDING:
            return
        if verdict is Verdict.FAILED:
            self._finish(unknown(self.tally.describe("wrote", self.shared.cluster.name)), out)
        elif self.surplus and not self.repeated:
            self.repeated = True
            self.tally.reset()
            self.renew()  # late acks of the first commit must not count for the second
            self.shared.timers.set(self.write.deadline, self.ticket)
            self._commit(self.surplus, now, out)
        else:
            self._finish(self._written(), out)

    def _written(self) -> Written | Failed:
        assert self.advanced is not None, "a quorum without our own commit"
        cluster = self.shared.cluster
        token = b""
        if not self.write.cover:
            sealed = seal(self.advanced.clock, self.write.key, cluster.cluster_id, cluster.secrets)
            if isinstance(sealed, BadContext):
                return unknown(f"stored by {self.tally.need}, but its context cannot be told: {sealed.why}")
            token = sealed
        acks = tuple(Ack(cluster.name(node), self.durable[node]) for node in self.tally.met_by)
        return Written(token, acks, self.tally.need, self.advanced.replaced > 0, self.advanced.siblings)

    def _refused(self, outcome: Refused, now: Instant, out: Outbox) -> None:
        """Our own store took nothing. Before the first commit that is a clean end; after it, what is stored stays."""
        if self.advanced is not None:
            self._finish(unknown(f"stored, but not over what others hold: {outcome.why.value}"), out)
            return
        code = _CLIENT_FAULT.get(outcome.why)
        if code is not None:
            self._finish(Failed(code, outcome.detail or outcome.why.value), out)
            return
        self.end()
        if self.asker.peer is not None:
            self.asker.refuse(outcome.why.value, out)
        else:
            ForwardOperation(
                self.shared, self.write, self.asker, self.tally.nodes, {self.shared.me: outcome.why.value}
            ).start(now, out)

    def _finish(self, result: Written | Failed, out: Outbox) -> None:
        self.end()
        self.asker.answer(result, out)


_CLIENT_FAULT = {
    Refusal.TOO_MANY_SIBLINGS: "TOOMANYSIBLINGS",
    Refusal.ROW_TOO_BIG: "TOOBIG",
}
"""Refusals that every owner would repeat: asking another one is of no use."""
