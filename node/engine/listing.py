"""Keys of the whole cluster, page by page: partition after partition, from enough owners to miss no acknowledged write.

Each page asks R owners of one partition (all that are up, if fewer) for rows without values after the cursor, merges
them as a read would, and keeps the keys that have a live value. Only keys up to the smallest end of the pages that are
not complete are certain; the cursor stands there. A cursor is the first position not seen (0 begins and ends): 64
bits, as Redis clients expect.
"""

from __future__ import annotations

from node.core.ids import Instant, NodeId, scan_position
from node.core.limits import CURSOR_DIGITS_MAX, SCAN_LIMIT_MAX, SCAN_PARTITIONS_MAX
from node.core.row import EMPTY, Row
from node.core.version import merge
from node.engine.operation import Asker, Operation, Shared, unavailable
from node.engine.outbox import Outbox
from node.wire.errors import RemoteWireError
from node.wire.messages import UNREADABLE, Scan, Scanned, left_ms
from node.wire.requests import Failed, KeyPage, Keys
from node.wire.rows import decode_row

FIRST = b"0"
LAST_POSITION = b"\xff" * 8


class KeysOperation(Operation):
    """One page of keys under way. Bounded: SCAN_PARTITIONS_MAX partitions a call, `limit` rows a partition."""

    __slots__ = ("after", "asker", "awaited", "deadline", "found", "pages", "partition", "request", "visited")

    def __init__(self, shared: Shared, request: Keys, asker: Asker, deadline: Instant) -> None:
        super().__init__(shared)
        self.request = request
        self.asker = asker
        self.deadline = deadline
        self.partition = 0
        self.after = b""
        self.visited = 0
        self.found: list[bytes] = []
        self.awaited: set[NodeId] = set()
        self.pages: list[tuple[tuple[tuple[bytes, bytes], ...], bool]] = []

    def start(self, now: Instant, out: Outbox) -> None:
        """Read the cursor and ask for the first partition."""
        at = read_cursor(self.request.cursor, self.shared.cluster.partitions)
        if at is None:
            self._finish(Failed("ERR", "invalid cursor: begin with 0"), out)
            return
        self.partition, self.after = at
        self.shared.timers.set(self.deadline, self.ticket)
        self._ask(now, out)

    def _ask(self, now: Instant, out: Outbox) -> None:
        cluster = self.shared.cluster
        owners = cluster.holders_of(self.partition)
        up = [o for o in owners if cluster.is_up(o) and not (o == self.shared.me and cluster.rebuilding)]
        need = min(cluster.state.quorums.r, len(owners))
        if len(up) < need:
            self._finish(
                unavailable(f"{len(up)} of the {need} owners needed for partition {self.partition} answer"), out
            )
            return
        chosen = sorted(up, key=lambda owner: owner != self.shared.me)[:need]
        self.awaited = set(chosen)
        self.pages = []
        limit = min(max(self.request.limit, 1), SCAN_LIMIT_MAX)
        left = left_ms(self.deadline, now)
        scan = Scan(self.ticket, cluster.epoch, self.partition, self.after, limit, left)
        for owner in chosen:
            if owner == self.shared.me:
                out.scan(self.ticket, self.partition, cluster.partitions, self.after, limit)
            else:
                out.send(owner, scan)

    def scanned(self, items: tuple[tuple[bytes, bytes], ...], more: bool, now: Instant, out: Outbox) -> None:
        """Our own page."""
        self._take(self.shared.me, items, more, now, out)

    def unscanned(self, now: Instant, out: Outbox) -> None:
        """Our disk failed: keys that we alone of the asked hold would be missing."""
        self._finish(unavailable(f"{self.shared.cluster.name(self.shared.me)}: {UNREADABLE}"), out)

    def page_arrived(self, peer: NodeId, message: Scanned, now: Instant, out: Outbox) -> None:
        """A peer's page."""
        if message.refused and peer in self.awaited:
            self._finish(unavailable(f"{self.shared.cluster.name(peer)} refused ({message.refused})"), out)
        else:
            self._take(peer, message.items, message.more, now, out)

    def peer_down(self, peer: NodeId, now: Instant, out: Outbox) -> None:
        """Ask this partition's other owners instead."""
        if peer in self.awaited:
            self.renew()
            self.shared.timers.set(self.deadline, self.ticket)
            self._ask(now, out)

    def ring_changed(self, now: Instant, out: Outbox) -> None:
        """Other owners, maybe: they are asked instead."""
        self.renew()
        self.shared.timers.set(self.deadline, self.ticket)
        self._ask(now, out)

    def reached(self, now: Instant, out: Outbox) -> None:
        """The deadline: what was found so far is a page, too."""
        if now < self.deadline:
            return
        if self.found:
            self._page(out)
        else:
            self._finish(unavailable(f"no answer for partition {self.partition} in time"), out)

    def _take(
        self, node: NodeId, items: tuple[tuple[bytes, bytes], ...], more: bool, now: Instant, out: Outbox
    ) -> None:
        if node not in self.awaited:
            return
        self.awaited.discard(node)
        self.pages.append((items, more))
        if self.awaited:
            return
        try:
            keys, after = merge_pages(self.pages)
        except RemoteWireError as error:
            self._finish(Failed("ERR", f"a page of partition {self.partition} is malformed: {error.detail}"), out)
            return
        least = 2 if self.request.siblings else 1
        self.found += [k for k, live in keys if live >= least and k.startswith(self.request.prefix)]
        if after is None:
            self.partition += 1
        self.after = after or b""
        self.visited += 1
        if self.after == LAST_POSITION:  # nothing can be beyond it
            self.partition, self.after = self.partition + 1, b""
        done = self.partition >= self.shared.cluster.partitions
        if done or len(self.found) >= self.request.limit or self.visited >= SCAN_PARTITIONS_MAX:
            self._page(out)
        else:
            self.renew()
            self.shared.timers.set(self.deadline, self.ticket)
            self._ask(now, out)

    def _page(self, out: Outbox) -> None:
        done = self.partition >= self.shared.cluster.partitions
        cursor = FIRST if done else write_cursor(self.partition, self.shared.cluster.partitions, self.after)
        self._finish(KeyPage(cursor, tuple(self.found)), out)

    def _finish(self, result: KeyPage | Failed, out: Outbox) -> None:
        self.end()
        self.asker.answer(result, out)


def merge_pages(
    pages: list[tuple[tuple[tuple[bytes, bytes], ...], bool]],
) -> tuple[list[tuple[bytes, int]], bytes | None]:
    """Merge several owners' pages of one partition: (key, live values) in order, and where to go on (None: at the end).

    A page that says `more` knows nothing beyond its last row, so nothing beyond the smallest such position is certain.
    """
    ends = [scan_position(items[-1][0]) for items, more in pages if more and items]
    end = min(ends) if ends else None
    rows: dict[bytes, Row] = {}
    for items, _ in pages:
        for key, row in items:
            if end is None or scan_position(key) <= end:
                rows[key] = merge(rows.get(key, EMPTY), decode_row(row))
    ordered = sorted(rows, key=lambda key: (scan_position(key), key))
    return [(key, len(rows[key].live)) for key in ordered], end


def write_cursor(partition: int, partitions: int, after: bytes) -> bytes:
    """The cursor for "go on in `partition` beyond the position `after`": the first position not seen yet."""
    start = int.from_bytes(after, "big") + 1 if after else (partition << 64) // partitions
    assert 0 < start < 2**64, "a cursor at the very beginning or end is 0"
    return str(start).encode()


def read_cursor(cursor: bytes, partitions: int) -> tuple[int, bytes] | None:
    """The partition and `after` of a cursor; None if it is none of ours."""
    if not cursor.isdigit() or len(cursor) > CURSOR_DIGITS_MAX:
        return None
    start = int(cursor)
    if start >= 2**64:
        return None
    partition = start * partitions >> 64
    begins = start == (partition << 64) // partitions
    return partition, b"" if begins else (start - 1).to_bytes(8, "big")
