"""A read, as its coordinator sees it (paper, section 5): ask R owners, merge what they hold, answer, then repair.

This node answers for itself if it is an owner. Owners that stay silent are not waited for: after a patience that adapts
the others are asked too. Rows are compared as bytes; only rows that differ are decoded and merged.

For each owner that does not answer the next healthy node of the preference list is asked (sloppy quorum): what it holds
counts, but that it holds nothing is no evidence, so "absent" needs at least one owner's word. Owners whose rows lack
something get the merged row once the client has its answer (read repair).

A STRICT read asks owners only, and answers only once what it tells is durable on N−R+1 of them, R being the cluster's:
no later STRICT read can then miss it (monotonic reads). With 2R > N that costs something only when the owners differ.
"""

from __future__ import annotations

from node.core.context import BadContext, seal
from node.core.ids import Instant, NodeId
from node.core.limits import MISSED_S
from node.core.quorum import Group, Tally, Verdict
from node.engine.asking import Asking
from node.engine.operation import NO_TICKET, unavailable
from node.engine.outbox import Outbox
from node.engine.patience import SAMPLED
from node.engine.rounds import adopt_for
from node.storage.port import Adopted, Merge, Outcome, Refusal, Refused
from node.wire.errors import RemoteWireError
from node.wire.messages import BEHIND, UNREADABLE, Fetch, Fetched, Outdated, Replicate, Replicated, left_ms
from node.wire.requests import Failed, Found
from node.wire.rows import encode_row, merged_row


class GetOperation(Asking):
    """One read under coordination."""

    __slots__ = ()

    def start(self, now: Instant, out: Outbox) -> None:
        """Ask R owners, ourselves first, then in an order that spreads the load; all that are left if one is down."""
        shared, tally, ticket, cluster = self.shared, self.tally, self.ticket, self.shared.cluster
        others = self._others_up()
        if tally.failed and tally.verdict is Verdict.FAILED:
            self._fail_unless_hope(now, out)
            if self.ended:
                return
        if len(others) > 1:
            turn = ticket % len(others)
            others = others[turn:] + others[:turn]
        moves = bool(cluster.groups(self.key, self.r))  # then some of them count for one ring only
        wanted = len(tally.nodes) if tally.failed or moves else tally.need
        if shared.me in tally.nodes and shared.me not in tally.failed:
            out.load(ticket, self.key)
            wanted -= 1
        fetch = Fetch(ticket, self.epoch, self.key, self.least_round, left_ms(self.deadline, now))
        for node in others[:wanted]:
            out.send(node, fetch)
        self._unasked = others[wanted:]
        self.sent_at = now
        self._wake_at(now + shared.read_patience.seconds if others else self.deadline)

    def loaded(self, row: bytes | None, readable: bool, now: Instant, out: Outbox) -> None:
        """Our own row."""
        if readable:
            self._heard(self.shared.me, row, self.shared.rounds.of(self.key), now, out)
        else:
            self._lost(self.shared.me, UNREADABLE, now, out)

    def fetched(self, peer: NodeId, message: Fetched, now: Instant, out: Outbox) -> None:
        """The row of somebody we asked, or why it cannot say. Nobody else's word counts."""
        if peer not in self.tally.nodes:
            return
        if self.ticket % SAMPLED == 0:
            self.shared.read_patience.took(now - self.sent_at)
        if peer in self._hopes:
            self._hopes[peer] = False
        if message.refused == Refusal.EPOCH.value:
            self._say_again_soon(peer, now)
        elif message.refused:
            self._lost(peer, f"refused ({message.refused})", now, out)
        else:
            self._heard(peer, message.row, message.round, now, out)

    def peer_down(self, peer: NodeId, now: Instant, out: Outbox) -> None:
        """Somebody we may be waiting for is gone."""
        if peer in self._hopes:
            self._hopes[peer] = False
            self._judge(now, out)
        elif self.written_back is not None:
            self.written_back.no(peer, "down")
            self._decide_written_back(out)
        elif peer in self.tally.nodes and peer not in self.rows and peer not in self.tally.failed:
            if peer in self._unasked:
                self._unasked.remove(peer)
            self._lost(peer, "down", now, out)

    def peer_silent(self, peer: NodeId, now: Instant, out: Outbox) -> None:
        """Somebody does not answer: another is asked, but its own answer counts yet."""
        if self.written_back is None and peer not in self._hopes:
            self.peer_down(peer, now, out)

    def _fail_unless_hope(self, now: Instant, out: Outbox) -> None:
        """Too few answer. Silent owners whose link stands are asked all the same: silence is a guess."""
        for owner in self.owners:
            if owner not in self._hopes and owner not in self.rows and self.shared.cluster.peers.may_answer(owner, now):
                self._hopes[owner] = True
                out.send(owner, Fetch(self.ticket, self.epoch, self.key, self.least_round, left_ms(self.deadline, now)))
        if any(self._hopes.values()):
            self.asker.steps_aside()
        else:
            self._fail(out)

    def reached(self, now: Instant, out: Outbox) -> None:
        """Time to stop waiting for the slow, or to end."""
        if now >= self.deadline:
            if self.written_back is not None:
                self._fail_written_back(out)
            elif self.tally.is_met:
                self._judge(now, out, late=True)
            else:
                self._fail(out)
            return
        if self._apart and now >= self._again_at:
            self._say_again(now, out)
        if now < self._look_at:
            return
        self._looks += 1
        self._wake_at(now + max(self.shared.read_patience.seconds, MISSED_S))  # who is asked now may be silent, too
        if self.written_back is None:
            for node in self.tally.nodes:
                if node not in self.rows and node not in self._unasked:
                    self.shared.missed(node, now, out)
            while self._unasked:
                self._ask_next(now, out)
            more = self._looks == 1 or self.tally.verdict is Verdict.FAILED
            if more and not self.ended and not self.tally.is_met:
                self._ask_next(now, out)

    def _lost(self, node: NodeId, why: str, now: Instant, out: Outbox) -> None:
        if self.written_back is not None:
            return
        self.tally.no(node, why)
        self._ask_next(now, out)
        self._judge(now, out)

    def _heard(self, node: NodeId, row: bytes | None, number: int, now: Instant, out: Outbox) -> None:
        if self.written_back is not None:
            return
        self.rows[node] = row
        self.rounds[node] = number
        self.tally.yes(node)
        if self.tally.is_met:
            self._judge(now, out)

    def _judge(self, now: Instant, out: Outbox, *, late: bool = False) -> None:
        """Answer if enough was heard."""
        tally = self.tally
        if not tally.is_met:
            if tally.verdict is Verdict.FAILED:
                self._fail_unless_hope(now, out)
            return
        try:
            self.merged = merged_row(self.rows.values())
        except RemoteWireError:
            self._lost_malformed(now, out)
            return
        if not self.merged.clock and tally.failed and not self._may_be_absent(now, out, late=late):
            return
        if self.strict and self.merged.clock and not self._is_safe():
            self._write_back(now, out)
        else:
            self._found(out)

    def _may_be_absent(self, now: Instant, out: Outbox, *, late: bool) -> bool:
        """An owner is missing and nobody holds anything: wait for all who were asked, and believe only owners."""
        tally = self.tally
        answered = [node for node in tally.nodes if node in self.rows or node in tally.failed or node in self._unasked]
        if len(answered) < len(tally.nodes) and not late:
            return False
        if any(owner in self.rows for owner in self.shared.cluster.witnesses(self.key)):
            return True
        nodes = len(tally.nodes)
        if not late:
            self._ask_next(now, out)
        if late:
            self._fail(out)
        elif len(tally.nodes) == nodes:
            self._fail_unless_hope(now, out)
        return False

    def _lost_malformed(self, now: Instant, out: Outbox) -> None:
        """Somebody's row does not parse: it is no evidence. Keep the readable ones and ask on."""
        for node, row in list(self.rows.items()):
            try:
                merged_row([row])
            except RemoteWireError:
                del self.rows[node]
                self.tally.met_by.remove(node)
                self._lost(node, "row malformed", now, out)
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
        self._repair(out)

    def _repair(self, out: Outbox) -> None:
        """Read repair, after the answer: owners whose row lacks something, or is damaged, get the merged one.

        Nobody waits for it.
        """
        rows, failed = list(self.rows.values()), self.tally.failed
        if self.written_back or not self.merged.clock or (not failed and all(row == rows[0] for row in rows)):
            return
        merged, number = encode_row(self.merged), self._round()
        for owner in self.owners:
            if self.rows.get(owner, merged) == merged and UNREADABLE not in failed.get(owner, ""):
                continue
            self.shared.repairs["read"] += 1
            if owner == self.shared.me:
                out.persist(NO_TICKET, Merge(self.key, merged, self.epoch, round=number))
            else:
                out.send(owner, Replicate(NO_TICKET, self.epoch, self.key, merged, (), number))

    def _round(self) -> int:
        """The reap round of what was merged: the lowest of those under which its parts were read."""
        return min([self.rounds[node] for node, row in self.rows.items() if row is not None], default=0)

    def _fail(self, out: Outbox) -> None:
        heard = self.tally.describe("heard", self.shared.cluster.name)
        if self.tally.is_met:
            heard = f"no owner of the key answers, and that others hold nothing is no evidence: {heard}"
        self._finish(unavailable(heard), out)

    # STRICT: make what was read durable before telling it ------------------------------------------------

    def _safe(self, row: bytes) -> Tally:
        """Count who holds `row`: so many owners must that every read of the cluster's R owners meets one of them."""
        cluster, owners = self.shared.cluster, self.owners
        r = cluster.state.quorums.r
        groups = tuple([Group(_safe_count(r, len(group.nodes)), group.nodes) for group in cluster.groups(self.key, r)])
        tally = Tally(_safe_count(r, len(owners)), owners, groups)
        for owner in owners:
            if self.rows.get(owner) == row:
                tally.yes(owner)
        return tally

    def _is_safe(self) -> bool:
        return self._safe(encode_row(self.merged)).is_met

    def _write_back(self, now: Instant, out: Outbox) -> None:
        row, number = encode_row(self.merged), self._round()
        self.written_back = self._safe(row)
        for owner in self.owners:
            self._write_back_to(owner, row, number, now, out)
        self._decide_written_back(out)

    def _write_back_to(self, owner: NodeId, row: bytes, number: int, now: Instant, out: Outbox) -> None:
        assert self.written_back is not None, "nothing is being written back"
        if owner in self.written_back.met_by:
            return
        if owner == self.shared.me and self.shared.cluster.behind:
            self.written_back.no(owner, BEHIND)
        elif owner == self.shared.me:
            out.persist(self.ticket, Merge(self.key, row, self.epoch, round=number, until=self.deadline))
        elif self.shared.cluster.is_up(owner):
            left = left_ms(self.deadline, now)
            out.send(owner, Replicate(self.ticket, self.epoch, self.key, row, (), number, left))
        else:
            self.written_back.no(owner, "down")

    def persisted(self, outcome: Outcome, now: Instant, out: Outbox) -> None:
        """Our own copy of the merged row; or the reap round before which nothing shall be read."""
        if isinstance(outcome, Adopted):
            self.start(now, out)
            return
        if self.written_back is None:
            self._fail(out)  # the round could not be adopted
            return
        if isinstance(outcome, Refused) and outcome.why is Refusal.ROUND:
            self._again(self.shared.rounds.of(self.key), out)
            return
        if isinstance(outcome, Refused):
            self.written_back.no(self.shared.me, outcome.why.value)
        else:
            self.written_back.yes(self.shared.me)
        self._decide_written_back(out)

    def outdated(self, peer: NodeId, message: Outdated, now: Instant, out: Outbox) -> bool:
        """Some of what was merged is older than a reap that an owner took part in."""
        if self.written_back is not None:
            self._again(message.round, out)
        return True

    def _again(self, number: int, out: Outbox) -> None:
        """Read once more, from nodes that are in this reap round: what they hold then may be written back."""
        self.renew()
        self._begin()
        self.least_round = max(number, self.least_round)
        self._wake_at(self.deadline)
        out.persist(self.ticket, adopt_for(self.shared, self.key, self.least_round))

    def replicated(self, peer: NodeId, message: Replicated, now: Instant, out: Outbox) -> None:
        """An owner's copy of the merged row."""
        if self.written_back is None or peer not in self.written_back.nodes:
            return
        if message.refused == Refusal.EPOCH.value:
            self._say_again_soon(peer, now)
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

    # Another ring -----------------------------------------------------------------------------------------

    def ring_changed(self, now: Instant, out: Outbox) -> None:
        """Other owners, maybe: what was heard under the old ring is not what counts under the new one."""
        self.renew()
        self._begin()
        self.start(now, out)

    def _say_again(self, now: Instant, out: Outbox) -> None:
        apart, self._apart = self._apart, {}
        for node in apart:
            if self.written_back is None:
                left = left_ms(self.deadline, now)
                out.send(node, Fetch(self.ticket, self.epoch, self.key, self.least_round, left))
            else:
                self._write_back_to(node, encode_row(self.merged), self._round(), now, out)


def _safe_count(r: int, owners: int) -> int:
    return owners - min(r, owners) + 1
