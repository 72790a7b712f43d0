"""Taking in what the new ring of a moving epoch wants of this node (design, section 7).

For each partition that it gains, a *taker* first reads it from an old owner, row by row (`engine.pull`). Then it makes
one full pass over so many of them that every acknowledged write is met (`core.change.sources`), and over the one that
leaves, if one does, whatever their number: an exchange of trees with each, which ends when the two were compared to the
last key and what differed was merged (`engine.exchange`). What is compared is what an old owner holds after the moving
epoch is durable there (`Cluster.fenced`), so nothing comes after it under the old ring alone; and what is written
meanwhile, the taker gets itself.

An exchange that was cut off is begun again and costs what still differs, so nothing of it need survive a crash. When
nothing is left, and its own ring is durable, the node says so in its member record, and a voter proposes to settle.
"""

from __future__ import annotations

from collections.abc import Mapping

from node.core.change import LEAVE, dead, leaver, sources, takers
from node.core.ids import Instant, NodeId, PartitionId
from node.core.limits import EXCHANGE_AGAIN_S, TREE_SPANS_MAX
from node.core.limits_change import TRANSFER_AGAIN_S, TRANSFERS_TOLD_MAX
from node.engine.antientropy import EXCHANGE_ROWS
from node.engine.exchange import Exchange, Report
from node.engine.operation import Operation, Shared
from node.engine.outbox import Outbox
from node.engine.pull import Cursors, PullPage
from node.engine.seats import Seats
from node.engine.throttle import PAUSED, Throttle


class Transfers:
    """What this node still has to take in for the epoch that is moving.

    `heard` has the old owners that it was compared with, per partition, and `why` says of the others why that has not
    come to its end. `rows` were taken in, the last one at `moved_at`. `throttle` is what an operator allows.
    """

    def __init__(self, shared: Shared, seats: Seats, state: Mapping[str, bytes]) -> None:
        self.shared = shared
        self.seats = seats
        self.cursors = Cursors(state)
        self.throttle = Throttle()
        self._next_at: Instant = 0.0
        self.epoch = 0
        self.heard: dict[PartitionId, dict[NodeId, None]] = {}
        self.why: dict[NodeId, str] = {}
        self.rows = self.bytes = 0
        self.moved_at: Instant = 0.0
        self._began: Instant = 0.0
        self._running = False
        self._parting: LastHints | None = None
        shared.transfers = self.figures

    @property
    def next_at(self) -> Instant:
        """When `tick` wants to run next."""
        ring = self.shared.cluster.ring
        return self._next_at if ring is not None and ring.before is not None else float("inf")

    def tick(self, now: Instant, out: Outbox) -> None:
        """Begin the next exchange, or say that there is none left."""
        cluster = self.shared.cluster
        state = cluster.ring
        if now < self._next_at or state is None or state.before is None:
            return
        self._next_at = now + TRANSFER_AGAIN_S
        if state.epoch != self.epoch:
            self._begin(state.epoch, now)
        if cluster.me.id not in cluster.takers or cluster.me.holds == state.epoch or self._running or cluster.behind:
            return
        if self.throttle.is_paused and self.missing():
            return
        page, batch = self._next_page(), self._next_batch()
        if page is not None:
            self._pull(*page, now=now, out=out)
        elif batch is not None:
            self._exchange(*batch, out=out, now=now)
        elif not self.missing() and not cluster.rebuilding and cluster.fenced and self._is_free_to_go(now, out):
            self._all_taken_in(now, out)

    def _begin(self, epoch: int, now: Instant) -> None:
        self.epoch = epoch
        self.heard = {
            partition: {}
            for partition, moving in self.shared.cluster.moving.items()
            if self.shared.me in takers(moving.old, moving.new)
        }
        self.why = {}
        self.rows = self.bytes = 0
        self.moved_at = self._began = now
        self.cursors.begin(epoch)

    def missing(self) -> list[PartitionId]:
        """The partitions that were not compared with enough old owners yet."""
        leaves = leaver(self.shared.cluster.state.change)
        missing = []
        for partition, heard in self.heard.items():
            old = self.shared.cluster.moving[partition].old
            unheard = leaves in old and leaves not in heard  # what it has alone goes with it
            if unheard or len(heard) + (self.shared.me in old) < self._sources(old):
                missing.append(partition)
        return missing

    def _sources(self, old: tuple[NodeId, ...]) -> int:
        state = self.shared.cluster.state
        return sources(old, state.quorums.r, state.quorums.w, dead(state))

    def _next_page(self) -> tuple[NodeId, PartitionId] | None:
        """A partition that was not read to its end yet, and an old owner to read it from: each in its turn."""
        cluster, me = self.shared.cluster, self.shared.me
        for partition in self.missing():
            old = cluster.moving[partition].old
            sources_up = [owner for owner in old if cluster.is_up(owner) and owner not in self.why]
            if sources_up and me not in old and not self.cursors.is_done(partition):
                return sources_up[partition % len(sources_up)], partition
        return None

    def _pull(self, peer: NodeId, partition: PartitionId, *, now: Instant, out: Outbox) -> None:
        epoch = self.epoch

        def done(rows: int, size: int, why: str, then: Instant, effects: Outbox) -> None:
            self._running = False
            if epoch != self.shared.cluster.epoch:
                return
            self.rows += rows
            self.bytes += size
            if why:
                self.why[peer] = why
                return
            self.moved_at = then
            self._next_at = then + max(self.shared.admission.pause_s(rows), self.throttle.rest_s(size))

        self._running = True
        PullPage(self.shared, self.cursors, peer, partition, done).start(now, out)

    def _next_batch(self) -> tuple[NodeId, tuple[PartitionId, ...]] | None:
        """The old owner that answers and has most of what is missing, with as much as one exchange takes."""
        cluster, by_peer = self.shared.cluster, dict[NodeId, list[PartitionId]]()
        for partition in self.missing():
            for owner in cluster.moving[partition].old:
                if owner != self.shared.me and owner not in self.heard[partition] and cluster.is_up(owner):
                    by_peer.setdefault(owner, []).append(partition)
        rested = {peer: partitions for peer, partitions in by_peer.items() if peer not in self.why}
        if not rested:
            self.why = {peer: why for peer, why in self.why.items() if peer not in by_peer}  # they get another chance
            rested = by_peer
        if not rested:
            return None
        leaves = leaver(cluster.state.change)
        peer = max(rested, key=lambda each: (each == leaves, len(rested[each]), each))
        return peer, tuple(rested[peer][:TREE_SPANS_MAX])

    def _exchange(self, peer: NodeId, partitions: tuple[PartitionId, ...], *, now: Instant, out: Outbox) -> None:
        epoch = self.epoch

        def done(report: Report, then: Instant, effects: Outbox) -> None:
            self._running = False
            if epoch == self.shared.cluster.epoch:
                self._exchanged(peer, partitions, report, then)

        self._running = True
        Exchange(self.shared, peer, partitions, done, whole=True).start(now, out)

    def _exchanged(self, peer: NodeId, partitions: tuple[PartitionId, ...], report: Report, now: Instant) -> None:
        self.rows += report.repaired
        if report.complete or report.repaired:
            self.moved_at = now
            self.why.pop(peer, None)
        if report.complete:
            for partition in partitions:
                self.heard[partition][peer] = None
        elif not report.repaired:
            self.why[peer] = report.why
            return
        rest_s = self.shared.admission.pause_s(report.repaired or EXCHANGE_ROWS)
        self._next_at = now + EXCHANGE_AGAIN_S + max(rest_s, self.throttle.rest_s(report.bytes))

    # What an operator says -----------------------------------------------------------------------------------

    def limit(self, bps: int | None, now: Instant) -> None:
        """Take in so many bytes a second at most, from now on: what was to be waited for is over."""
        self.throttle.limit_bps = bps
        self._next_at = min(self._next_at, now + TRANSFER_AGAIN_S)

    def pause(self, now: Instant) -> None:
        """Take nothing more in; what is under way comes to its end."""
        self.throttle.pause(now)

    def resume(self, now: Instant) -> None:
        """Go on. The pause counts neither as a stall nor for the pace."""
        self._began += self.throttle.resume(now)
        self.moved_at = now

    # What people see -----------------------------------------------------------------------------------------

    def figures(self, now: Instant) -> dict[str, object]:
        """For surveys: how far this node is, partition by partition, and what it waits for."""
        cluster = self.shared.cluster
        state = cluster.ring
        if state is None or state.before is None:
            return {"todo": 0, "total": 0, "moves": []} | self.throttle.figures(now)
        if self.epoch != state.epoch:  # it has not looked yet
            return {"moves": []} | self.throttle.figures(now)
        missing = dict.fromkeys(self.missing())
        rate_bps, eta_s = self._pace(len(missing), now)
        moves = []
        for partition, heard in list(self.heard.items())[:TRANSFERS_TOLD_MAX]:
            old = cluster.moving[partition].old
            total = max(self._sources(old) - (self.shared.me in old), len(heard) + (partition in missing))
            left = [owner for owner in old if owner != self.shared.me and owner not in heard]
            moves.append(
                {
                    "partition": partition,
                    "from": cluster.name((left or old)[0]),
                    "sources": [cluster.name(owner) for owner in (left or old)],
                    "to": cluster.me.name,
                    "done": len(heard),
                    "total": total,
                    "rate_bps": rate_bps if partition in missing else None,
                    "eta_s": eta_s if partition in missing else 0.0,
                    "waits_because": self._waits_because(left) if partition in missing else None,
                }
            )
        return {
            "todo": len(missing),
            "total": len(self.heard),
            "moves": moves,
            "rows": self.rows,
            "bytes": self.bytes,
            "rate_bps": rate_bps,
            "eta_s": eta_s,
            "idle_s": round(now - self.moved_at, 1),
            "holds": cluster.me.holds == state.epoch,
        } | self.throttle.figures(now)

    def _pace(self, todo: int, now: Instant) -> tuple[int | None, float | None]:
        """Bytes a second so far, and how long the rest takes at that pace; None while nothing tells."""
        took_s, done = now - self._began - (self.throttle.paused_s(now) or 0.0), len(self.heard) - todo
        if not todo:
            return None, 0.0
        if not done or took_s <= 0:
            return None, None
        return round(self.bytes / took_s), round(took_s * todo / done, 1)

    def _waits_because(self, left: list[NodeId]) -> str | None:
        """Why nothing comes from these, in words; None if it does, or is about to."""
        if self.throttle.is_paused:
            return PAUSED
        cluster = self.shared.cluster
        words = []
        for owner in left:
            if not cluster.is_up(owner):
                words.append(f"{cluster.name(owner)} does not answer {cluster.me.name}")
            elif owner in self.why:
                words.append(f"{cluster.name(owner)}: {self.why[owner]}")
        return "; ".join(words) if len(words) == len(left) and words else None

    def _is_free_to_go(self, now: Instant, out: Outbox) -> bool:
        """Whether nobody needs us any more, if it is us who leaves: what we keep for others was handed over."""
        change = self.shared.cluster.state.change
        if change is None or change.kind != LEAVE or change.node != self.shared.me:
            return True
        if self._parting is None or self._parting.ended:
            found = self._parting.found if self._parting is not None else None
            if found == 0:
                return True
            self._parting = LastHints(self.shared)
            self._parting.start(now, out)
        return False

    def _all_taken_in(self, now: Instant, out: Outbox) -> None:
        cluster = self.shared.cluster
        cluster.took_in(self.epoch)
        cluster.save_members(out)
        cluster.note(now, out, "took_in", epoch=self.epoch, rows=self.rows)
        self.seats.tell_all(out, ring=False)


class LastHints(Operation):
    """Does this store keep rows for anybody? `found` is known once it has ended: for how many."""

    __slots__ = ("found", "left")

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared)
        self.found: int | None = None
        self.left = 0

    def start(self, now: Instant, out: Outbox) -> None:
        """Look for one row for each member."""
        others = self.shared.cluster.others()
        self.left, self.found = len(others), 0
        self.shared.timers.set(now + 3.0, self.ticket)
        for member in others:
            out.read_owed(self.ticket, member.id, b"", 1)
        if not others:
            self.end()

    def owed(self, items: tuple[tuple[bytes, bytes], ...], after: bytes | None, now: Instant, out: Outbox) -> None:
        """One member's page."""
        assert self.found is not None, "an answer before the question"
        self.found += bool(items)
        self.left -= 1
        if not self.left:
            self.end()

    def reached(self, now: Instant, out: Outbox) -> None:
        """The disk says nothing: not known."""
        self.end()
        self.found = None
