"""When owners compare their trees, and with whom: one pass after the other, one exchange at a time, for ever.

A *pass* takes in every partition this node owns with each of its other owners, peer by peer. A peer that is down is
left out, and comes first when it answers again, in the pass under way. A pass in which nothing was left out is *full*:
what any two owners knew apart when it began, both know when it ends. `DYN.REPAIR` begins one that does not rest between
exchanges. Here is also the answering side.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

import msgspec

from node.core.ids import Instant, NodeId
from node.core.limits import (
    EXCHANGE_AGAIN_S,
    EXCHANGE_INTERVAL_S,
    EXCHANGES_SERVED_MAX,
    LEAF_PAGE_ROWS,
    REPAIR_WAIT_S,
    TREE_SPANS_MAX,
)
from node.core.merkle import LEAVES
from node.engine.exchange import Exchange, Report, page_of
from node.engine.operation import Asker, Operation, PeerRequest, Shared
from node.engine.outbox import Outbox
from node.wire.messages import UNREADABLE, AskLeaf, AskTrees, LeafTold, TreesTold
from node.wire.requests import Document

EXCHANGE_ROWS: Final = 100
"""What an exchange counts for with the admission controller: questions about trees, and some rows."""

DOWN: Final = "down"

BUSY: Final = "busy"
"""Refusal: too many questions at a time."""

Batch = tuple[NodeId, tuple[int, ...]]
"""A peer, and partitions that it and we own: what one exchange compares."""


class Pass:
    """One pass: what is left of it, and what it came to so far. `only` these partitions; of all, if there are none."""

    __slots__ = (
        "began",
        "compared",
        "differing",
        "epoch",
        "failed",
        "hurried",
        "left_out",
        "only",
        "repaired",
        "todo",
        "total",
    )

    def __init__(
        self, began: Instant, epoch: int, todo: list[Batch], *, hurried: bool, only: tuple[int, ...] = ()
    ) -> None:
        self.began = began
        self.epoch = epoch
        self.todo = todo
        self.total = sum(len(partitions) for _, partitions in todo)
        self.hurried = hurried
        self.only = only
        self.left_out: dict[NodeId, str] = {}
        self.compared = self.differing = self.repaired = self.failed = 0

    def took_in(self, report: Report) -> None:
        """Add what an exchange came to."""
        self.differing += report.differing
        self.repaired += report.repaired
        self.failed += report.failed


class AntiEntropy:
    """This node's part in keeping owners equal. `full` is the last full pass; `full_at` when it ended."""

    def __init__(self, shared: Shared, rng: Random) -> None:
        self.shared = shared
        self.rng = rng
        self.next_at: Instant = float("inf")
        self.running: Pass | None = None
        self.full: Pass | None = None
        self.full_at: Instant = 0.0
        self._exchange: Exchange | None = None
        self._waiting: list[RepairPass] = []
        self._serving = 0
        shared.repair = self.figures

    # Rounds --------------------------------------------------------------------------------------------------

    def start(self, now: Instant) -> None:
        """Begin to look, after a while."""
        self.next_at = now + self._rest_s()

    def _rest_s(self) -> float:
        rest_s = EXCHANGE_INTERVAL_S * (0.5 + self.rng.random())
        return rest_s + self.shared.admission.pause_s(EXCHANGE_ROWS)

    def tick(self, now: Instant, out: Outbox) -> None:
        """Begin the next exchange, if it is time."""
        if now < self.next_at:
            return
        self.next_at = now + self._rest_s()
        cluster = self.shared.cluster
        if self._exchange is not None or cluster.behind:
            return
        if cluster.ring is None or not cluster.ring.sealed:  # nobody ever wrote
            if self.running is not None:
                self._pass_done(now, out)
            return
        current = self.running
        if current is None or current.epoch != cluster.epoch:
            current = self.running = self._new_pass(now, hurried=cluster.rebuilding)
        for peer in [peer for peer, why in current.left_out.items() if why == DOWN and cluster.is_up(peer)]:
            del current.left_out[peer]  # it is back: first of all, what was missed
            missed = self._batches(self._shared(current.only).get(peer, ()), peer)
            current.todo = [*missed, *(batch for batch in current.todo if batch[0] != peer)]
        while current.todo:
            batch = current.todo.pop(0)
            if cluster.is_up(batch[0]):
                self._begin(batch, now, out)
                return
            current.left_out[batch[0]] = DOWN
        self._pass_done(now, out)

    def _new_pass(self, now: Instant, *, hurried: bool, only: tuple[int, ...] = ()) -> Pass:
        shared = self._shared(only)
        peers = list(shared)
        self.rng.shuffle(peers)
        todo = [batch for peer in peers for batch in self._batches(shared[peer], peer)]
        return Pass(now, self.shared.cluster.epoch, todo, hurried=hurried, only=only)

    def _shared(self, only: tuple[int, ...] = ()) -> dict[NodeId, list[int]]:
        """The partitions that we own, by every other owner of them; of some, `only` those."""
        cluster, me = self.shared.cluster, self.shared.me
        shared: dict[NodeId, list[int]] = {}
        for partition in only or range(cluster.partitions):
            owners = cluster.holders_of(partition)
            if me in owners:
                for owner in owners:
                    if owner != me:
                        shared.setdefault(owner, []).append(partition)
        return shared

    def _batches(self, partitions: Sequence[int], peer: NodeId) -> list[Batch]:
        """The partitions shared with a peer, in the portions of one exchange."""
        return [(peer, tuple(partitions[at : at + TREE_SPANS_MAX])) for at in range(0, len(partitions), TREE_SPANS_MAX)]

    def _begin(self, batch: Batch, now: Instant, out: Outbox) -> None:
        current = self.running

        def done(report: Report, then: Instant, effects: Outbox) -> None:
            self._done(current, batch, report, then, effects)

        self._exchange = Exchange(self.shared, *batch, done)
        self._exchange.start(now, out)

    def _done(self, begun_in: Pass | None, batch: Batch, report: Report, now: Instant, out: Outbox) -> None:
        """An exchange ended: count it, and see to it that what it left is not forgotten."""
        self._exchange = None
        if report.differing:
            fields = report._asdict()
            self.shared.cluster.note(now, out, "repaired", node=self.shared.cluster.name(batch[0]), **fields)
        current = self.running
        if current is None or current is not begun_in:
            self.next_at = min(self.next_at, now + EXCHANGE_AGAIN_S)  # another pass was asked for meanwhile
            return
        current.took_in(report)
        rests = not current.hurried
        if report.complete:
            current.compared += len(batch[1])
        elif report.repaired:
            current.todo.insert(0, batch)  # it came somewhere: go on at once
            rests = False
        else:
            current.left_out[batch[0]] = report.why
        if not current.todo:
            self._pass_done(now, out)
        elif not rests:
            self.next_at = now + EXCHANGE_AGAIN_S

    def _pass_done(self, now: Instant, out: Outbox) -> None:
        done, self.running = self.running, None
        assert done is not None, "no pass to end"
        if not done.left_out and not done.only:
            self.full, self.full_at = done, now
            if self.shared.cluster.rebuilding and not done.failed:
                self.shared.cluster.rebuilt(out)
                self.shared.cluster.note(now, out, "rebuilt", rows=done.repaired)
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            waiter.tell(done, running=False, now=now, out=out)

    # What people ask -----------------------------------------------------------------------------------------

    def ask(self, asker: Asker, timeout_s: float, now: Instant, out: Outbox, only: tuple[int, ...] = ()) -> None:
        """DYN.REPAIR: begin a pass, unless one that was asked for is under way, and tell how it goes.

        One over `only` some partitions takes in those of another such, and begins anew for it; one over all ends both.
        """
        if not self._is_under_way(only):
            others = self.running.only if self.running is not None and only else ()
            both = tuple(sorted(dict.fromkeys((*only, *others))))
            self.running = self._new_pass(now, hurried=True, only=both)
            self.next_at = now
        waiter = RepairPass(self, asker)
        self._waiting.append(waiter)
        self.shared.timers.set(now + min(timeout_s, REPAIR_WAIT_S), waiter.ticket)

    def _is_under_way(self, only: tuple[int, ...]) -> bool:
        """Whether a pass that was asked for takes these in; all, if there are none."""
        current = self.running
        if current is None or not current.hurried:
            return False
        return not current.only or (bool(only) and all(partition in current.only for partition in only))

    def cancel(self, now: Instant, out: Outbox) -> bool:
        """Give up the pass that was asked for, if one is under way; its exchange comes to its end."""
        current = self.running
        if current is None or not current.hurried:
            return False
        self.running = None
        self.next_at = now + self._rest_s()
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            waiter.tell(current, running=False, cancelled=True, now=now, out=out)
        return True

    def forget(self, waiter: RepairPass) -> None:
        """This one was told already."""
        self._waiting.remove(waiter)

    def figures(self, now: Instant) -> dict[str, object]:
        """For the status: how long ago the last full pass ended, and how many keys it found to differ."""
        full = self.full
        if full is None:
            return {"last_pass_s_ago": None, "divergent": None}
        return {"last_pass_s_ago": round(now - self.full_at, 1), "divergent": full.differing}

    def document(self, current: Pass, now: Instant, *, running: bool) -> dict[str, object]:
        """`dyn.repair/v1` of a pass."""
        name = self.shared.cluster.name
        return {
            "schema": "dyn.repair/v1",
            "node": self.shared.cluster.me.name,
            "running": running,
            "compared": current.compared,
            "total": current.total,
            "differing": current.differing,
            "repaired": current.repaired,
            "failed": current.failed,
            "partitions": list(current.only) or None,
            "left_out": [{"node": name(peer), "because": why} for peer, why in sorted(current.left_out.items())],
            "took_s": round(now - current.began, 3),
        } | self.figures(now)

    # What peers ask ------------------------------------------------------------------------------------------

    def trees_asked(self, peer: NodeId, message: AskTrees, out: Outbox) -> None:
        """A peer compares trees with us."""
        if self._serving >= EXCHANGES_SERVED_MAX:
            out.send(peer, TreesTold(message.rid, (), BUSY))
        else:
            ticket = ServingTrees(self, peer, message.rid).ticket
            out.digest(ticket, message.bits, message.prefixes, message.deeper)

    def leaf_asked(self, peer: NodeId, message: AskLeaf, out: Outbox) -> None:
        """A peer compares the keys of a leaf with us."""
        if self._serving >= EXCHANGES_SERVED_MAX:
            out.send(peer, LeafTold(message.rid, (), False, BUSY))
        else:
            out.scan(ServingTrees(self, peer, message.rid).ticket, message.leaf, LEAVES, message.after, LEAF_PAGE_ROWS)

    def serves(self, more: int) -> None:
        """Count a question that is being answered, or was."""
        self._serving += more


class ServingTrees(PeerRequest):
    """One question of a peer about our trees, waiting for the store."""

    __slots__ = ("antientropy",)

    def __init__(self, antientropy: AntiEntropy, peer: NodeId, rid: int) -> None:
        super().__init__(antientropy.shared, peer, rid)
        self.antientropy = antientropy
        antientropy.serves(1)

    def digested(self, digests: tuple[bytes, ...], now: Instant, out: Outbox) -> None:
        """What our trees say."""
        self._end()
        out.send(self.peer, TreesTold(self.rid, digests, ""))

    def scanned(self, items: tuple[tuple[bytes, bytes], ...], more: bool, now: Instant, out: Outbox) -> None:
        """The rows of a leaf."""
        self._end()
        out.send(self.peer, LeafTold(self.rid, *page_of(items, more), ""))

    def unscanned(self, now: Instant, out: Outbox) -> None:
        """Nor can they be compared."""
        self._end()
        out.send(self.peer, LeafTold(self.rid, (), False, UNREADABLE))

    def _end(self) -> None:
        self.end()
        self.antientropy.serves(-1)


class RepairPass(Operation):
    """Somebody waits for the end of a pass, or for as long as he may."""

    __slots__ = ("antientropy", "asker")

    def __init__(self, antientropy: AntiEntropy, asker: Asker) -> None:
        super().__init__(antientropy.shared)
        self.antientropy = antientropy
        self.asker = asker

    def reached(self, now: Instant, out: Outbox) -> None:
        """Time is up: tell how far it is."""
        current = self.antientropy.running
        assert current is not None, "a pass ended without a word"
        self.antientropy.forget(self)
        self.tell(current, running=True, now=now, out=out)

    def tell(self, current: Pass, *, running: bool, now: Instant, out: Outbox, cancelled: bool = False) -> None:
        """Answer."""
        self.end()
        document = self.antientropy.document(current, now, running=running) | {"cancelled": cancelled}
        self.asker.answer(Document(msgspec.json.encode(document)), out)
