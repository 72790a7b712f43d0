"""Keys of the whole cluster, page by page: partition after partition, from enough owners to miss no acknowledged write.

Each page asks R owners of one partition for rows without values after the cursor, merges them as a read would, and
keeps the keys that have a live value, or that are deleted (TOMBSTONES). Only keys up to the smallest end of the pages
that are not complete are certain; the cursor stands there. A cursor is the first position not seen (0 begins and
ends): 64 bits, as Redis clients expect.

STALE asks all owners of a partition that can tell and keeps the keys of which they hold different rows at that moment,
so a write under way is among them; who could not tell is named. While a partition moves its old owners are compared:
the new ones lack what is on its way to them. LOCAL asks this node alone, whatever it owns: no quorum.
"""

from __future__ import annotations

from node.core.ids import Instant, NodeId
from node.core.limits import CURSOR_DIGITS_MAX, SCAN_LIMIT_MAX, SCAN_PARTITIONS_MAX
from node.engine.listed import Items, Page, deletion, difference, differences, kept, merge_pages
from node.engine.operation import Asker, Operation, Shared, unavailable
from node.engine.outbox import Outbox
from node.engine.replica import without_values
from node.wire.errors import RemoteWireError
from node.wire.messages import UNREADABLE, Scan, Scanned, left_ms
from node.wire.requests import Failed, KeyPage, Keys, ToldKeys

FIRST = b"0"
LAST_POSITION = b"\xff" * 8


class KeysOperation(Operation):
    """One page of keys under way. Bounded: SCAN_PARTITIONS_MAX pages a call, of `limit` rows an owner each.

    `found` are keys with what is told of each, `unheard` the owners that could not be compared; it ends before
    `end_partition`.
    """

    __slots__ = (
        "after", "asker", "awaited", "deadline", "end_partition", "found", "pages", "partition", "request", "unheard",
        "visited",
    )  # fmt: skip

    def __init__(self, shared: Shared, request: Keys, asker: Asker, deadline: Instant) -> None:
        super().__init__(shared)
        self.request = request
        self.asker = asker
        self.deadline = deadline
        self.partition = 0
        self.end_partition = shared.cluster.partitions
        self.after = b""
        self.visited = 0
        self.found: list[tuple[bytes, bytes]] = []
        self.unheard: dict[NodeId, None] = {}
        self.awaited: set[NodeId] = set()
        self.pages: dict[NodeId, Page] = {}

    def start(self, now: Instant, out: Outbox) -> None:
        """Read the cursor and ask for the first partition."""
        at = self._begin()
        if isinstance(at, Failed):
            self._finish(at, out)
            return
        self.partition, self.after = at
        self.shared.timers.set(self.deadline, self.ticket)
        self._ask(now, out)

    def _begin(self) -> tuple[int, bytes] | Failed:
        """Where to begin, and with one partition where to end."""
        partitions, only = self.shared.cluster.partitions, self.request.partition
        at = read_cursor(self.request.cursor, partitions)
        if at is None:
            return Failed("ERR", "invalid cursor: begin with 0")
        if only is None:
            return at
        if only >= partitions:
            return Failed("ERR", f"PARTITION must be 0 to {partitions - 1}")
        self.end_partition = only + 1
        if self.request.cursor == FIRST:
            return only, b""
        return at if at[0] == only else Failed("ERR", f"the cursor is of partition {at[0]}, not {only}")

    def _chosen(self) -> list[NodeId] | Failed:
        """Whom to ask for the next page, ourselves first."""
        cluster, me = self.shared.cluster, self.shared.me
        if self.request.local:
            return [me]
        owners = cluster.holders_of(self.partition)
        up = [o for o in owners if cluster.is_up(o) and not (o == me and cluster.rebuilding)]
        up.sort(key=lambda owner: owner != me)
        if self.request.stale:
            self.unheard |= dict.fromkeys([owner for owner in owners if owner not in up])
            return up
        need = min(cluster.state.quorums.r, len(owners))
        if len(up) < need:
            return unavailable(f"{len(up)} of the {need} owners needed for partition {self.partition} answer")
        return up[:need]

    def _ask(self, now: Instant, out: Outbox) -> None:
        cluster = self.shared.cluster
        chosen = self._chosen()
        if isinstance(chosen, Failed):
            self._finish(chosen, out)
            return
        self.awaited = set(chosen)
        self.pages = {}
        if not chosen:
            self._heard_all(now, out)
            return
        limit = min(max(self.request.limit, 1), SCAN_LIMIT_MAX)
        left = left_ms(self.deadline, now)
        scan = Scan(self.ticket, cluster.epoch, self.partition, self.after, limit, left)
        for owner in chosen:
            if owner == self.shared.me:
                out.scan(self.ticket, self.partition, cluster.partitions, self.after, limit)
            else:
                out.send(owner, scan)

    def scanned(self, items: Items, more: bool, now: Instant, out: Outbox) -> None:
        """Our own page."""
        self._take(self.shared.me, items, more, now, out)

    def unscanned(self, now: Instant, out: Outbox) -> None:
        """Our disk failed."""
        self._lost(self.shared.me, f": {UNREADABLE}", now, out)

    def page_arrived(self, peer: NodeId, message: Scanned, now: Instant, out: Outbox) -> None:
        """A peer's page."""
        if peer not in self.awaited:
            return
        if message.refused:
            self._lost(peer, f" refused ({message.refused})", now, out)
        else:
            self._take(peer, message.items, message.more, now, out)

    def _lost(self, node: NodeId, why: str, now: Instant, out: Outbox) -> None:
        """Somebody cannot tell: keys that it alone of the asked holds would be missing. A comparison names it."""
        if not self.request.stale:
            self._finish(unavailable(f"{self.shared.cluster.name(node)}{why}"), out)
            return
        self.unheard[node] = None
        self.awaited.discard(node)
        if not self.awaited:
            self._heard_all(now, out)

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
        """The deadline: what was looked at so far is a page, too, and the next one goes on there."""
        if now < self.deadline:
            return
        if self.visited:
            self._page(out)
        else:
            self._finish(unavailable(f"no answer for partition {self.partition} in time"), out)

    def _take(self, node: NodeId, items: Items, more: bool, now: Instant, out: Outbox) -> None:
        if node not in self.awaited:
            return
        self.awaited.discard(node)
        self.pages[node] = items, more
        if not self.awaited:
            self._heard_all(now, out)

    def _heard_all(self, now: Instant, out: Outbox) -> None:
        """Keep what is wanted of these pages, and go on or answer."""
        try:
            after = self._compare() if self.request.stale else self._list(now)
        except RemoteWireError as error:
            self._finish(Failed("ERR", f"a page of partition {self.partition} is malformed: {error.detail}"), out)
            return
        if after is None:
            self.partition += 1
        self.after = after or b""
        self.visited += 1
        if self.after == LAST_POSITION:  # nothing can be beyond it
            self.partition, self.after = self.partition + 1, b""
        done = self.partition >= self.end_partition
        if done or len(self.found) >= self.request.limit or self.visited >= SCAN_PARTITIONS_MAX:
            self._page(out)
        else:
            self.renew()
            self.shared.timers.set(self.deadline, self.ticket)
            self._ask(now, out)

    def _list(self, now: Instant) -> bytes | None:
        request = self.request
        rows, after = merge_pages(list(self.pages.values()))
        for key, row in rows:
            if key.startswith(request.prefix) and kept(request, row):
                self.found.append((key, deletion(row, self.shared.wall_ms(now)) if request.tombstones else b""))
        return after

    def _compare(self) -> bytes | None:
        names = {node: self.shared.cluster.name(node) for node in self.pages}
        me = self.shared.me
        if me in self.pages:  # as peers tell theirs
            items, more = self.pages[me]
            self.pages[me] = tuple([(key, without_values(row)) for key, row in items]), more
        apart, after = differences(self.pages)
        for key, rows in apart:
            if key.startswith(self.request.prefix):
                self.found.append((key, difference(rows, names)))
        return after

    def _page(self, out: Outbox) -> None:
        cluster, request = self.shared.cluster, self.request
        done = self.partition >= self.end_partition
        cursor = FIRST if done else write_cursor(self.partition, cluster.partitions, self.after)
        keys = tuple([key for key, _ in self.found])
        if not (request.stale or request.tombstones):
            self._finish(KeyPage(cursor, keys), out)
            return
        unheard = tuple([cluster.name(node) for node in self.unheard])
        self._finish(ToldKeys(cursor, keys, tuple([about for _, about in self.found]), unheard), out)

    def _finish(self, result: KeyPage | ToldKeys | Failed, out: Outbox) -> None:
        self.end()
        self.asker.answer(result, out)


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
