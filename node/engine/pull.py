"""Rows in bulk: a taker reads a whole partition from an old owner, page by page, before it compares trees with it.

    Pull(partition, after) ──► an old owner: one page of its rows, with the reap round they were read under
    merge them all in one group, and note the cursor behind them ──► the next page, of whoever answers

Trees find what differs, at a price for each key; where nothing is there yet everything differs. What a pull missed or
was refused, the exchange after it brings (`engine.transfer`), so nothing here needs to be complete. The cursor is kept
with the rows, and means the same to every owner: neither a crash nor another source begins from zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from node.core.ids import Instant, NodeId, PartitionId, scan_position
from node.core.limits_change import PULL_BYTES, PULL_ROWS, PULL_S_MAX
from node.engine.operation import Operation, PeerRequest, Shared
from node.engine.outbox import Outbox
from node.storage.port import Merge, Merged, Outcome, Refusal, Refused, SaveState
from node.wire.change_messages import Pull, Pulled
from node.wire.errors import RemoteWireError
from node.wire.messages import (
    BEHIND,
    REBUILDING,
    UNREADABLE,
)
from node.wire.rows import decode_row

STATE_PULLED = "pulled"

Items = tuple[tuple[bytes, bytes], ...]

_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(tuple[int, dict[int, bytes]])

DONE = b"\xff" * 9
"""The cursor of a partition that was read to its end: beyond every position."""


class Cursors:
    """How far each partition was read for a moving epoch; kept durably, behind the rows it speaks of."""

    def __init__(self, state: Mapping[str, bytes]) -> None:
        data = state.get(STATE_PULLED)
        self.epoch, self._at = _decoder.decode(data) if data else (0, {})

    def begin(self, epoch: int) -> None:
        """Of another epoch nothing was read."""
        if epoch != self.epoch:
            self.epoch, self._at = epoch, {}

    def of(self, partition: PartitionId) -> bytes:
        """Beyond which position to go on; b"" begins."""
        return self._at.get(partition, b"")

    def is_done(self, partition: PartitionId) -> bool:
        """Whether it was read to its end."""
        return self._at.get(partition) == DONE

    def move(self, partition: PartitionId, after: bytes) -> SaveState:
        """Go on behind `after`; return what is to be stored after the rows before it."""
        self._at[partition] = after
        return SaveState(STATE_PULLED, _encode((self.epoch, self._at)))


Done = Callable[[int, int, str, Instant, Outbox], None]
"""Rows that came, their bytes, and why it went no further ("": to the end of the page, or of the partition)."""


class PullPage(Operation):
    """One page on its way. `left` writes are with our disk."""

    __slots__ = ("after", "bytes", "cursors", "done", "epoch", "left", "partition", "peer", "rows", "why")

    def __init__(self, shared: Shared, cursors: Cursors, peer: NodeId, partition: PartitionId, done: Done) -> None:
        super().__init__(shared)
        self.cursors = cursors
        self.peer = peer
        self.partition = partition
        self.done = done
        self.epoch = shared.cluster.epoch
        self.left = self.rows = self.bytes = 0
        self.why = ""

    def start(self, now: Instant, out: Outbox) -> None:
        """Ask for it."""
        self.shared.timers.set(now + PULL_S_MAX, self.ticket)
        out.send(self.peer, Pull(self.ticket, self.epoch, self.partition, self.cursors.of(self.partition)))

    def pulled(self, peer: NodeId, message: Pulled, now: Instant, out: Outbox) -> None:
        """The page: merge what can be read of it."""
        if peer != self.peer or self.left:
            return
        if message.refused:
            self._end(message.refused, now, out)
            return
        for key, row in message.items:
            try:
                decoded = decode_row(row)
            except RemoteWireError:
                continue  # the exchange will find it
            self.left += 1
            self.bytes += len(row)
            out.persist(self.ticket, Merge(key, row, self.epoch, decoded, round=message.round))
        goes_on = message.more and message.items  # (a page of damaged rows alone does not)
        after = scan_position(message.items[-1][0]) if goes_on else DONE
        self.left += 1
        out.persist(self.ticket, self.cursors.move(self.partition, after))

    def persisted(self, outcome: Outcome, now: Instant, out: Outbox) -> None:
        """One is durable, or was refused."""
        self.left -= 1
        self.rows += isinstance(outcome, Merged)
        if isinstance(outcome, Refused) and outcome.why is not Refusal.ROUND:
            self.why = outcome.why.value
        if not self.left:
            self._end(self.why, now, out)

    def peer_down(self, peer: NodeId, now: Instant, out: Outbox) -> None:
        """From somebody else, then."""
        if peer == self.peer and not self.left:
            self._end("went down", now, out)

    def ring_changed(self, now: Instant, out: Outbox) -> None:
        """Nobody waits for it any more."""
        self._end("the ring has changed", now, out)

    def reached(self, now: Instant, out: Outbox) -> None:
        """No answer."""
        self._end("no answer in time", now, out)

    def _end(self, why: str, now: Instant, out: Outbox) -> None:
        self.end()
        self.done(self.rows, self.bytes, why, now, out)


class ServingPull(PeerRequest):
    """A page of our rows for a taker. `round` is that of the partition before they were read."""

    __slots__ = ("round",)

    def __init__(self, shared: Shared, peer: NodeId, message: Pull) -> None:
        super().__init__(shared, peer, message.rid)
        self.round = shared.rounds.at(message.partition, shared.cluster.partitions)

    def scanned(self, items: Items, more: bool, now: Instant, out: Outbox) -> None:
        """As much of it as one message shall have; rows of one position stay together."""
        self.end()
        size = 0
        for index, (key, row) in enumerate(items):
            if size >= PULL_BYTES and scan_position(key) != scan_position(items[index - 1][0]):
                items, more = items[:index], True
                break
            size += len(key) + len(row)
        out.send(self.peer, Pulled(self.rid, items, more, self.round, ""))

    def unscanned(self, now: Instant, out: Outbox) -> None:
        """Our disk failed."""
        self.end()
        out.send(self.peer, Pulled(self.rid, (), False, 0, UNREADABLE))


def serve_pull(shared: Shared, peer: NodeId, message: Pull, out: Outbox) -> None:
    """Read a page for a taker; a store that may have forgotten something gives none."""
    cluster = shared.cluster
    if cluster.rebuilding:
        out.send(peer, Pulled(message.rid, (), False, 0, BEHIND if cluster.behind else REBUILDING))
    elif message.partition >= cluster.partitions:
        out.send(peer, Pulled(message.rid, (), False, 0, "no such partition"))
    else:
        ticket = ServingPull(shared, peer, message).ticket
        out.scan(ticket, message.partition, cluster.partitions, message.after, PULL_ROWS)
