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
from node.core.quorum import Tally, Verdict
from node.core.row import EMPTY
from node.engine.operation import NO_TICKET, Asker, Operation, Shared, unavailable
from node.engine.outbox import Outbox
from node.engine.patience import SAMPLED
from node.engine.rounds import adopt_for
from node.storage.port import Adopted, Merge, Outcome, Refusal, Refused
from node.wire.errors import RemoteWireError
from node.wire.messages import BEHIND, REBUILDING, UNREADABLE, Fetch, Fetched, Outdated, Replicate, Replicated, left_ms
from node.wire.requests import Failed, Found
from node.wire.rows import encode_row, merged_row


class GetOperation(Operation):
    """One read under coordination. `rows` is what each node said, None for nothing held; `owners` are the key's.

    The tally's nodes are the owners and whoever was asked in the place of one. `rounds` are the reap rounds under which
    they read; who is asked shall be in `least_round` first.
    """

    __slots__ = (
        "asker", "deadline", "epoch", "key", "least_round", "merged", "owners", "r", "rounds", "rows", "sent_at",
        "strict", "tally", "wants_context", "written_back", "_hopes", "_looks", "_unasked",
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
        self.owners = owners
        self.r = r
        self.least_round = 0
        self.sent_at: Instant = 0.0
        self._begin()

    def _begin(self) -> None:
        """Nothing heard yet."""
        self.tally = Tally(min(self.r, len(self.owners)), self.owners)
        self.rows: dict[NodeId, bytes | None] = {}
        self.rounds: dict[NodeId, int] = {}
        self.merged = EMPTY
        self.written_back: Tally | None = None
        self._looks = 0
        self._unasked: list[NodeId] = []
        self._hopes: dict[NodeId, bool] = {}  # silent owners that were asked all the same: whether they may answer yet

    def start(self, now: Instant, out: Outbox) -> None:
        """Ask R owners, ourselves first, then in an order that spreads the load; all that are left if one is down."""
        shared, tally, ticket = self.shared, self.tally, self.ticket
        others = self._others_up()
        if tally.failed and tally.verdict is Verdict.FAILED:
            self._fail_unless_hope(now, out)
            if self.ended:
                return
        if len(others) > 1:
            turn = ticket % len(others)
            others = others[turn:] + others[:turn]
        wanted = tally.need if not tally.failed else len(tally.nodes)
        if shared.me in tally.nodes and shared.me not in tally.failed:
            out.load(ticket, self.key)
            wanted -= 1
        fetch = Fetch(ticket, self.epoch, self.key, self.least_round, left_ms(self.deadline, now))
        for node in others[:wanted]:
            out.send(node, fetch)
        self._unasked = others[wanted:]
        self.sent_at = now
        patience_s = shared.read_patience.seconds if others else self.deadline - now
        shared.timers.set(min(self.deadline, now + patience_s), ticket)

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
                self.tally.nodes = (*self.tally.nodes, node)
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
        if message.refused:
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
            elif len(self.tally.met_by) >= self.tally.need:
                self._judge(now, out, late=True)
            else:
                self._fail(out)
            return
        self._looks += 1
        again = now + max(self.shared.read_patience.seconds, MISSED_S)  # who is asked now may be silent, too
        self.shared.timers.set(min(self.deadline, again), self.ticket)
        if self.written_back is None:
            for node in self.tally.nodes:
                if node not in self.rows and node not in self._unasked:
                    self.shared.missed(node, now, out)
            while self._unasked:
                self._ask_next(now, out)
            more = self._looks == 1 or self.tally.verdict is Verdict.FAILED
            if more and not self.ended and len(self.rows) < self.tally.need:
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
        if len(self.tally.met_by) >= self.tally.need:
            self._judge(now, out)

    def _judge(self, now: Instant, out: Outbox, *, late: bool = False) -> None:
        """Answer if enough was heard."""
        tally = self.tally
        if len(tally.met_by) < tally.need:
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
        if any(owner in self.rows for owner in self.owners):
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
            if owner == self.shared.me:
                out.persist(NO_TICKET, Merge(self.key, merged, self.epoch, round=number))
            else:
                out.send(owner, Replicate(NO_TICKET, self.epoch, self.key, merged, (), number))

    def _round(self) -> int:
        """The reap round of what was merged: the lowest of those under which its parts were read."""
        return min([self.rounds[node] for node, row in self.rows.items() if row is not None], default=0)

    def _fail(self, out: Outbox) -> None:
        heard = self.tally.describe("heard", self.shared.cluster.name)
        if len(self.tally.met_by) >= self.tally.need:
            heard = f"no owner of the key answers, and that others hold nothing is no evidence: {heard}"
        self._finish(unavailable(heard), out)

    # STRICT: make what was read durable before telling it ------------------------------------------------

    def _safe_count(self) -> int:
        """How many owners must hold a row so that every read of the cluster's R owners meets one of them."""
        owners = len(self.tally.nodes)
        return owners - min(self.shared.cluster.state.quorums.r, owners) + 1

    def _is_safe(self) -> bool:
        row = encode_row(self.merged)
        return sum(held == row for held in self.rows.values()) >= self._safe_count()

    def _write_back(self, now: Instant, out: Outbox) -> None:
        owners = self.tally.nodes
        row, number = encode_row(self.merged), self._round()
        self.written_back = Tally(self._safe_count(), owners)
        for owner in owners:
            if self.rows.get(owner) == row:
                self.written_back.yes(owner)
            elif owner == self.shared.me and self.shared.cluster.behind:
                self.written_back.no(owner, BEHIND)
            elif owner == self.shared.me:
                out.persist(self.ticket, Merge(self.key, row, self.epoch, round=number, until=self.deadline))
            elif self.shared.cluster.is_up(owner):
                left = left_ms(self.deadline, now)
                out.send(owner, Replicate(self.ticket, self.epoch, self.key, row, (), number, left))
            else:
                self.written_back.no(owner, "down")
        self._decide_written_back(out)

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
        self.shared.timers.set(self.deadline, self.ticket)
        out.persist(self.ticket, adopt_for(self.shared, self.key, self.least_round))

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
