"""Letting go of rows of partitions that this node does not own any more (design, section 7).

    a page of such rows ── Hold(digests) ──► every owner ── those that lack one get it (Replicate), durably
                                                 └ all of them have it: our row goes, unless it has changed, or is kept
                                                   for somebody (a hint)

Nothing is dropped because an epoch settled, or because time has passed: each row goes when every present owner has it.
A node that was away while its partitions went to others does the same when it is back.
"""

from __future__ import annotations

from node.core.ids import Instant, NodeId, PartitionId, scan_position
from node.core.limits import OPERATIONS_MAX
from node.core.limits_change import RETIRE_LOOK_S, RETIRE_ROWS, RETIRE_S_MAX
from node.engine.operation import Operation, PeerRequest, Shared
from node.engine.outbox import Outbox
from node.storage.port import Handed, HandOver, Outcome
from node.wire.change_messages import Held, Hold
from node.wire.messages import (
    BUSY,
    REBUILDING,
    Replicate,
    Replicated,
)
from node.wire.rows import row_digest


class Retirement:
    """Which partition is looked through, and when the next look begins. `rows` went since the start.

    `every_s` is how often it looks; the simulator, whose runs are short, has it look more often.
    """

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.next_at: Instant = 0.0
        self.every_s = RETIRE_LOOK_S
        self.rows = 0
        self.why = ""
        self._epoch = 0
        self._todo: list[PartitionId] = []
        self._after = b""
        self._running = False

    def tick(self, now: Instant, out: Outbox) -> None:
        """Look at the next page, in a settled ring."""
        cluster = self.shared.cluster
        state = cluster.ring
        if now < self.next_at:
            return
        self.next_at = now + self.every_s
        if self._running or state is None:
            return
        if not state.sealed or state.before is not None or cluster.rebuilding or cluster.gone:
            self._todo = []
            return
        if not self._todo or self._epoch != state.epoch:
            self._epoch, self._after, self.why = state.epoch, b"", ""
            self._todo = [partition for partition in range(cluster.partitions) if not cluster.owns(partition)]
        if self._todo:
            self._running = True
            RetireOperation(self.shared, self, self._todo[0]).start(self._after, now, out)

    def went_on(self, after: bytes | None, rows: int, gone: int, why: str, now: Instant, out: Outbox) -> None:
        """A page is done with: `after` is where the next one of this partition begins, None if that was the last."""
        self._running = False
        self.rows += gone
        self.why = why or self.why
        if self._todo and after is None:
            self._todo.pop(0)
        self._after = after or b""
        if self._todo:
            self.next_at = now + self.shared.admission.pause_s(rows)
        if gone:
            out.fact("retired", rows=gone)


class RetireOperation(Operation):
    """One page of rows of a partition that others own.

    `left` are the owners who have not confirmed a row yet, `awaited` the rows on their way to one, `writes` what our
    own disk is to do.
    """

    __slots__ = (
        "after", "awaited", "epoch", "gone", "left", "owners", "partition", "retirement", "round", "rows", "why",
        "writes",
    )  # fmt: skip

    def __init__(self, shared: Shared, retirement: Retirement, partition: PartitionId) -> None:
        super().__init__(shared)
        self.retirement = retirement
        self.partition = partition
        self.epoch = shared.cluster.epoch
        self.owners = shared.cluster.holders_of(partition)
        self.round = shared.rounds.at(partition, shared.cluster.partitions)  # before the rows are read
        self.rows: dict[bytes, bytes] = {}
        self.after: bytes | None = None
        self.left: dict[bytes, dict[NodeId, None]] = {}
        self.awaited: dict[int, tuple[NodeId, bytes]] = {}
        self.writes = self.gone = 0
        self.why = ""

    def start(self, after: bytes, now: Instant, out: Outbox) -> None:
        """Read the page."""
        self.shared.timers.set(now + RETIRE_S_MAX, self.ticket)
        out.scan(self.ticket, self.partition, self.shared.cluster.partitions, after, RETIRE_ROWS)

    def scanned(self, items: tuple[tuple[bytes, bytes], ...], more: bool, now: Instant, out: Outbox) -> None:
        """Ask all owners of it."""
        self.rows = dict(items)
        self.after = scan_position(items[-1][0]) if more and items else None
        away = [owner for owner in self.owners if not self.shared.cluster.is_up(owner)]
        if not items or away:
            names = ", ".join(self.shared.cluster.name(owner) for owner in away)
            self._end(f"{names} cannot say whether they are held there" if items else "", now, out)
            return
        self.left = {key: dict.fromkeys(self.owners) for key in self.rows}
        question = Hold(self.ticket, self.epoch, tuple([(key, row_digest(key, row)) for key, row in items]))
        for owner in self.owners:
            out.send(owner, question)

    def unscanned(self, now: Instant, out: Outbox) -> None:
        """Another time."""
        self._end("this node's disk cannot be read", now, out)

    def held(self, peer: NodeId, message: Held, now: Instant, out: Outbox) -> None:
        """An owner's word; what it lacks it gets."""
        if peer not in self.owners:
            return
        if message.refused:
            self._end(f"{self.shared.cluster.name(peer)} refused ({message.refused})", now, out)
            return
        shared, lacking = self.shared, dict.fromkeys(message.lacking)
        for key, row in self.rows.items():
            if key not in lacking:
                self._confirmed(peer, key, out)
                continue
            rid = shared.enter(self)
            self.awaited[rid] = (peer, key)
            out.send(peer, Replicate(rid, self.epoch, key, row, (), self.round))

    def replicated(self, peer: NodeId, message: Replicated, now: Instant, out: Outbox) -> None:
        """An owner has it now, or would not take it."""
        owner, key = self.awaited.get(message.rid, (None, b""))
        if peer != owner:
            return
        del self.awaited[message.rid]
        self.shared.pending.pop(message.rid, None)
        if message.refused:
            self._end(f"{self.shared.cluster.name(peer)} refused ({message.refused})", now, out)
        else:
            self._confirmed(peer, key, out)

    def _confirmed(self, owner: NodeId, key: bytes, out: Outbox) -> None:
        left = self.left.get(key)
        if left is None or left.pop(owner, 0) == 0 or left:
            return
        for each in self.owners:  # a hint for somebody who has just confirmed goes with it
            self.writes += 1
            out.persist(self.ticket, HandOver(key, each, self.rows[key], keep=False))
        del self.left[key]

    def persisted(self, outcome: Outcome, now: Instant, out: Outbox) -> None:
        """It went; or it stays, as it has changed, or somebody else is to get it."""
        self.writes -= 1
        self.gone += isinstance(outcome, Handed) and outcome.dropped
        if not self.writes and not self.left:
            self._end("", now, out)

    def ring_changed(self, now: Instant, out: Outbox) -> None:
        """Others own it, maybe."""
        self._end("the ring has changed", now, out)

    def reached(self, now: Instant, out: Outbox) -> None:
        """Not everybody has answered: another time."""
        self._end("not all owners answered in time", now, out)

    def _end(self, why: str, now: Instant, out: Outbox) -> None:
        if self.ended:
            return
        self.end()
        for rid in self.awaited:
            self.shared.pending.pop(rid, None)
        self.retirement.went_on(self.after, len(self.rows), self.gone, why, now, out)


class ServingHold(PeerRequest):
    """A peer asked whether we hold some rows. `left` of them are with our disk."""

    __slots__ = ("lacking", "left")

    def __init__(self, shared: Shared, peer: NodeId, rid: int, rows: int) -> None:
        super().__init__(shared, peer, rid)
        self.left = rows
        self.lacking: list[bytes] = []

    def looked(self, key: bytes, *, held: bool, out: Outbox) -> None:
        """What our disk says of one."""
        if not held:
            self.lacking.append(key)
        self.left -= 1
        if not self.left:
            self.end()
            out.send(self.peer, Held(self.rid, tuple(self.lacking), ""))


class LookAtRow(Operation):
    """One of those rows."""

    __slots__ = ("digest", "key", "serving")

    def __init__(self, serving: ServingHold, key: bytes, digest: bytes) -> None:
        super().__init__(serving.shared)
        self.serving = serving
        self.key = key
        self.digest = digest

    def loaded(self, row: bytes | None, readable: bool, now: Instant, out: Outbox) -> None:
        """Exactly that row, or something else: then what is there and what is sent will be merged."""
        self.end()
        held = row is not None and readable and row_digest(self.key, row) == self.digest
        self.serving.looked(self.key, held=held, out=out)


def serve_hold(shared: Shared, peer: NodeId, message: Hold, out: Outbox) -> None:
    """Tell which of some rows of partitions that we own we do not hold."""
    cluster = shared.cluster
    if cluster.rebuilding:
        out.send(peer, Held(message.rid, (), REBUILDING))
    elif not all(shared.me in cluster.owners(key) for key, _ in message.rows):
        out.send(peer, Held(message.rid, (), "not an owner"))
    elif len(shared.pending) >= OPERATIONS_MAX:
        out.send(peer, Held(message.rid, (), BUSY))
    elif message.rows:
        serving = ServingHold(shared, peer, message.rid, len(message.rows))
        for key, digest in message.rows:
            out.load(LookAtRow(serving, key, digest).ticket, key)
