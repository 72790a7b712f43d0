"""A write, as its coordinator sees it (paper, sections 4.5, 4.6): commit locally, then fan out, answer at W.

    start ── persist(Advance) ──► persisted ── Replicate to the others ──► replicated … ── W places ──► answer ──► end
                                     │ refused: nothing stored                │ somebody reports a version
                                     ▼                                        ▼ that a SET did not cover:
                              another coordinator, or an error             persist(Advance) once more, over it

A write fills *places*, one for each owner: the owner itself fills it, or a stand-in that keeps the row with a hint for
the owner (sloppy quorum). W counts places, so that once the hints are delivered W owners hold the write. An owner that
is down gets a stand-in at once, one that is silent for longer than usual while W is not met, too; a place that nobody
else can fill is remembered by a hint here. STRICT lets only owners count.

Nothing is stored anywhere until a quorum looks reachable, so an `UNAVAILABLE` never shows up later. Once the local
commit is under way the only honest endings are OK and UNKNOWN. After the answer the operation stays until each place is
filled or has its hint: no owner misses a write in silence.
"""

from __future__ import annotations

from node.core.context import BadContext, seal
from node.core.ids import Instant, NodeId
from node.core.limits import LINGERING_MAX, MISSED_S, PATIENCE_MS_MAX
from node.core.quorum import Verdict
from node.core.row import Clock
from node.core.version import join
from node.engine.forward import ForwardOperation
from node.engine.operation import Asker, Shared, unavailable, unknown
from node.engine.outbox import Outbox
from node.engine.patience import SAMPLED
from node.engine.spreading import Spreading
from node.engine.write import Write, beside, holds
from node.storage.port import Advance, Advanced, Outcome, Owed, Refusal, Refused
from node.wire.messages import Ping, Replicated
from node.wire.requests import Failed, Written

COMMIT_SHARE = 0.75
"""Of a write's time: if our own disk has not come to it by then, nothing is stored, and the client is told so (BUSY).
What is left is for the others: a commit whose copies come too late is work in vain, and ends as UNKNOWN."""


class PutOperation(Spreading):
    """One write under coordination. This node owns the key, or stands in for one who does.

    `hopes` were sent the row and are silent: their answer counts yet. `first` is what the first of two commits stored.
    """

    __slots__ = ("first", "hopes", "sent_at", "surplus", "_look_at", "_waits")

    def __init__(self, shared: Shared, write: Write, asker: Asker) -> None:
        super().__init__(shared, write, asker)
        self.hopes: dict[NodeId, None] = {}
        self.first: Advanced | None = None
        self.surplus: Clock = ()
        self.sent_at: Instant = 0.0
        self._look_at: Instant = 0.0
        self._waits = False

    def start(self, now: Instant, out: Outbox) -> None:
        """Commit locally, unless too few places can be filled: then nothing is stored anywhere."""
        owed = self._share_out()
        if self.tally.failed and self.tally.verdict is Verdict.FAILED:
            if not self._wait_for_the_silent(now, out):
                self._finish(self._out_of_reach(), out)
            return
        self._wake_at(self.write.deadline)
        self._commit(self.write.context, owed, now, out)

    def _wake_at(self, at: Instant) -> None:
        self._look_at = at
        self.shared.timers.set(at, self.ticket)

    def _wait_for_the_silent(self, now: Instant, out: Outbox) -> bool:
        """Too few answer, but some whose link stands may: ask them, and wait while there is time for the write itself.

        Silence is a guess, and where packets are lost often a wrong one. Nothing is stored meanwhile.
        """
        cluster, write = self.shared.cluster, self.write
        nodes = cluster.coordinators(write.key, strict=write.strict)
        silent = [node for node in nodes if cluster.peers.may_answer(node, now)]
        until = write.deadline - PATIENCE_MS_MAX / 1000
        self._waits = bool(silent) and now < until
        if self._waits:
            self.places.begin_again()
            self._wake_at(until)
            self.asker.steps_aside()
            for node in silent:
                out.send(node, Ping(self.ticket))
        return self._waits

    def _start_again(self, now: Instant, out: Outbox) -> None:
        self._waits = False
        self.asker.goes_on()
        self.start(now, out)

    def ponged(self, peer: NodeId, now: Instant, out: Outbox) -> None:
        """One of the silent is there."""
        if self._waits:
            self._start_again(now, out)

    def _out_of_reach(self) -> Failed:
        name, tally = self.shared.cluster.name, self.tally
        down = ", ".join(f"{name(owner)} {why}" for owner, why in tally.failed.items())
        left, who = len(tally.nodes) - len(tally.failed), "owners" if self.write.strict else "nodes"
        return unavailable(f"{left} of the {tally.need} {who} needed can be reached ({down}); nothing was stored")

    def _commit(self, covered: Clock, owed: tuple[NodeId, ...], now: Instant, out: Outbox) -> None:
        write, at_ms = self.write, self.shared.wall_ms(now)
        self.shared.note_owed(owed)
        hints = Owed(owed, at_ms) if owed else None
        until = now + (write.deadline - now) * COMMIT_SHARE
        out.persist(
            self.ticket,
            Advance(write.key, write.value, covered, write.cover, self.epoch, at_ms, write.writer, hints, until),
        )

    def persisted(self, outcome: Outcome, now: Instant, out: Outbox) -> None:
        """Our own commit came back: it counts, and the others get the row."""
        if isinstance(outcome, Refused):
            self._refused(outcome, now, out)
            return
        assert isinstance(outcome, Advanced), f"a put was persisted as {outcome!r}"
        if self.first is not None:  # a SET counts what its first commit replaced, too
            outcome = outcome._replace(replaced=max(outcome.replaced, self.first.replaced))
        self.advanced = outcome
        self.round = self.shared.rounds.of(self.write.key)  # that of this row: it is sent again later, as it is
        self.sent_at = now
        if self.places.of(self.shared.me) is not None:  # else the ring has changed meanwhile
            self.places.fill(self.shared.me, durable=self.shared.durable)
        self._owe(self.lacking, now, out)
        self.lacking = ()
        if now >= self.write.deadline:  # nobody waits: the others get it by hints, when there is time for them
            self._decide(now, out)
            if not self.ended:
                self.reached(now, out)
            return
        self._fan_out(now, out)
        self._wake_at(min(self.write.deadline, now + self.shared.write_patience.seconds))
        self._decide(now, out)

    # Answers ---------------------------------------------------------------------------------------------

    def replicated(self, peer: NodeId, message: Replicated, now: Instant, out: Outbox) -> None:
        """Somebody we asked stored the row (and may hold more than we knew), or would not; nobody else counts."""
        place = self.places.of(peer)
        if self.advanced is None or place is None:
            return
        self.hopes.pop(peer, None)
        if self.ticket % SAMPLED == 0 and peer == place:  # (a stand-in may have been asked later)
            self.shared.write_patience.took(now - self.sent_at)
        if message.refused == Refusal.EPOCH.value:
            self._say_again_soon(peer, now)
            return
        if message.refused:
            self._lost(peer, f"refused ({message.refused})", now, out)
        else:
            self.places.fill(peer, durable=message.durable)
            if message.row is not None:
                self._found_beside(message.row)
        self._decide(now, out)

    def repeated(self, row: bytes) -> None:
        """Somebody gets what we hold by now, others' writes too: its answer will say nothing of those.

        If ours is not among them any more, whoever replaced it had seen it: that is not to be covered.
        """
        if self.advanced is not None and holds(row, self.advanced.dot):
            self._found_beside(row)

    def _found_beside(self, held: bytes) -> None:
        """What is held beside our write is to be covered, if that is a SET's first commit."""
        if self.write.cover and self.advanced is not None and self.first is None and not self.told:
            self.surplus = join(self.surplus, beside(held, self.advanced.dot))

    def peer_down(self, peer: NodeId, now: Instant, out: Outbox) -> None:
        """Somebody we wait for is gone."""
        self.hopes.pop(peer, None)
        if self._waits:
            self._start_again(now, out)
        elif self.places.of(peer) is not None:
            self._lost(peer, "down", now, out)
            if self.advanced is not None:
                self._decide(now, out)

    def peer_silent(self, peer: NodeId, now: Instant, out: Outbox) -> None:
        """Somebody does not answer: others are asked in its place, but what it was sent may be answered yet."""
        place = self.places.of(peer)
        if self._waits or place is None:
            return
        if self.advanced is not None and place not in self.tally.met_by and peer not in self.places.gone:
            self.hopes[peer] = None
        self._lost(peer, "down", now, out)
        if self.advanced is not None:
            self._decide(now, out)

    # Another ring -----------------------------------------------------------------------------------------

    def ring_changed(self, now: Instant, out: Outbox) -> None:
        """Other owners, maybe: who holds the row counts yet, and the rest get it under the new ring."""
        if self._waits:
            self._place()
            self._start_again(now, out)
            return
        durable, stood_in = self.places.durable, self.places.filled_by
        self._place()
        self.apart.clear()
        self.hopes.clear()
        self._owe(self._share_out(), now, out)
        if self.advanced is None:  # with our own disk; what comes back is sent under the new ring
            return
        for node in durable:
            if node not in stood_in and node in self.tally.nodes:
                self.places.fill(node, durable=durable[node])
        if self.shared.me in self.places.stand_ins:
            self.places.fill(self.shared.me, durable=self.shared.durable)
        self._fan_out(now, out)
        self._decide(now, out)

    # Time ------------------------------------------------------------------------------------------------

    def reached(self, now: Instant, out: Outbox) -> None:
        """Longer than usual: ask others, too. The deadline: what was committed so far may or may not reach the rest."""
        if self.apart and self._again_at <= now < self.write.deadline:
            self._say_again(now, out)
        if now < min(self._look_at, self.write.deadline):
            return  # what it was to look at then is over
        if self._waits:
            self._start_again(now, out)
        elif now < self.write.deadline:
            again = now + max(self.shared.write_patience.seconds, MISSED_S)  # who is asked now may be silent, too
            self._wake_at(self.write.deadline if self.told else min(self.write.deadline, again))
            self._lose_patience(now, out)
        else:
            if not self.told:
                self._answer(unknown(self.places.describe(self.shared.cluster)), out)
            if self.advanced is not None:  # else it is with our own disk: what it says decides who gets hints
                self._owe(self.tally.unsaid, now, out)
                self.end()

    def _lose_patience(self, now: Instant, out: Outbox) -> None:
        """Of whom nothing is heard is missed; each empty place gets a stand-in, if it has none that may fill it yet."""
        for place in (*self.tally.unsaid, *self.tally.failed):
            asked = self.places.asked_for(place)
            for node in place, *asked:
                self.shared.missed(node, now, out)
            other = None if asked else self._find_another(place, now, out)
            if other is not None:
                self._ask_stand_in(other, place, now, out)

    # Endings ---------------------------------------------------------------------------------------------

    def _decide(self, now: Instant, out: Outbox) -> None:
        verdict = self.tally.verdict
        if not self.told:
            if verdict is Verdict.PENDING:
                return
            if verdict is Verdict.FAILED and self.hopes:
                self.asker.steps_aside()
                return
            if verdict is Verdict.FAILED:
                self._answer(unknown(self.places.describe(self.shared.cluster)), out)
            elif self.surplus and self.first is None:
                self._commit_again(now, out)
                return
            else:
                self._answer(self._written(), out)
        unfilled = self.tally.unsaid
        if unfilled and len(self.shared.pending) > LINGERING_MAX:
            self._owe(unfilled, now, out)
            unfilled = ()
        if not unfilled:
            self.end()

    def _commit_again(self, now: Instant, out: Outbox) -> None:
        """Once more, over what others hold beside it: nobody has that row yet, whatever they have of the first."""
        places = self.places
        self.first, self.advanced = self.advanced, None
        places.empty()
        self.hopes.clear()
        self.renew()  # late acks of the first commit must not count for the second
        self._wake_at(self.write.deadline)
        mine = places.stand_ins.get(self.shared.me)
        failed = tuple(self.tally.failed)  # their hints of the first commit may have been delivered by now
        self._commit(self.surplus, failed if mine is None else (mine, *failed), now, out)
        for place in filter(places.is_vacant, tuple(places.gone)):
            self._refill(place, now, out)

    def _written(self) -> Written | Failed:
        assert self.advanced is not None, "a quorum without our own commit"
        cluster = self.shared.cluster
        token = b""
        if not self.write.cover:
            sealed = seal(self.advanced.clock, self.write.key, cluster.cluster_id, cluster.secrets)
            if isinstance(sealed, BadContext):
                return unknown(f"stored by {self.tally.need}, but its context cannot be told: {sealed.why}")
            token = sealed
        advanced = self.advanced
        return Written(token, self.places.acks(cluster), self.tally.need, advanced.replaced > 0, advanced.siblings)

    def _refused(self, outcome: Refused, now: Instant, out: Outbox) -> None:
        """Our own store took nothing. Before the first commit that is a clean end; after it, what is stored stays."""
        if self.first is not None:
            self.advanced = self.first
            self._owe((*self.lacking, *self.tally.unsaid), now, out)
            if self.told:  # while the second commit was under way too many others were lost, or too much time
                self.end()
            else:
                self._finish(unknown(f"stored, but not over what others hold: {outcome.why.value}"), out)
            return
        if self.told:  # the deadline came first
            self.end()
            return
        code = _FINAL.get(outcome.why)
        if code is not None:
            self._finish(Failed(code, outcome.detail or outcome.why.value), out)
            return
        self.end()
        if self.asker.peer is not None:
            self.asker.refuse(outcome.why.value, out)
        else:
            ForwardOperation(self.shared, self.write, self.asker, {self.shared.me: outcome.why.value}).start(now, out)

    def _answer(self, result: Written | Failed, out: Outbox) -> None:
        self.told = True
        self.asker.answer(result, out)

    def _finish(self, result: Written | Failed, out: Outbox) -> None:
        self.end()
        self._answer(result, out)


_FINAL = {
    Refusal.TOO_MANY_SIBLINGS: "TOOMANYSIBLINGS",
    Refusal.ROW_TOO_BIG: "TOOBIG",
    Refusal.LATE: "BUSY",
    Refusal.UNCLEAR: "UNKNOWN",
}
"""Refusals after which no other owner is asked: it would repeat them, or have no time left to do better."""
