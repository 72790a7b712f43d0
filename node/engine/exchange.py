"""One exchange: two owners find out where the partitions they share differ, and make those keys equal (paper, 4.7).

    roots ── differ? ── branches ── leaves ── a moment later: still? ── keys and digests ── repair each

Every question goes to the peer and to our own trees, and what differs is looked into one level deeper. So it costs what
the difference costs: two nodes that hold the same compare one digest a partition, one key among a million takes five
questions, about four kilobytes. Leaves are compared twice: a write that was under way between the two nodes has arrived
by then, and is no difference.

If the keys of a leaf that differs are the same on both sides, a tree is wrong: our leaf is counted again (the peer
finds its own when it is its turn to ask).

Nothing needs to be remembered between exchanges. One that is interrupted is begun again later, and costs what still
differs.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from node.core.ids import Instant, NodeId, scan_position
from node.core.limits import (
    COMPARE_AGAIN_S,
    EXCHANGE_KEYS_MAX,
    EXCHANGE_SILENCE_S,
    LEAF_PAGE_BYTES,
    LEAF_PAGE_ROWS,
    REPAIR_BYTES_MAX,
    REPAIR_S_MAX,
    REPAIRS_MAX,
    TREE_FANOUT_BITS,
    TREE_LEAF_BITS,
    TREE_SPANS_MAX,
)
from node.core.merkle import LEAVES, differing
from node.engine.operation import NO_TICKET, Operation, Shared
from node.engine.outbox import Outbox
from node.engine.repair import KeyReport, RepairKey
from node.storage.port import Recount
from node.wire.messages import UNREADABLE, AskLeaf, AskTrees, LeafTold, TreesTold
from node.wire.rows import row_digest

SPANS_BELOW = 8
"""Spans of one question below the roots: 256 digests."""

Span = tuple[int, int]
"""(bits, prefix), as in `core.merkle`."""

Items = tuple[tuple[bytes, bytes, int], ...]
Page = tuple[Items, bool]
"""Rows of a leaf, and whether it has further ones."""


class Report(NamedTuple):
    """What an exchange came to. `complete`: all it was begun for was compared; if not, `why` says what was not.

    `bytes` are those of the rows that were repaired, of each the larger one that was found.
    """

    complete: bool
    why: str
    differing: int
    repaired: int
    failed: int
    bytes: int


Done = Callable[[Report, Instant, Outbox], None]


class Phase(Enum):
    """What an exchange waits for."""

    TREES = "digests of spans"
    REST = "the moment before the second look"
    AGAIN = "digests of the leaves that differed"
    LEAF = "the keys of a leaf"


class Exchange(Operation):
    """An exchange under way. It ends when all is compared, when the peer is silent, or after EXCHANGE_KEYS_MAX keys.

    `stack` are spans known to differ, `leaves` those of the first look, `sure` those of the second. `whole`: the peer
    shall refuse if it may have forgotten something.
    """

    __slots__ = (
        "after", "counts", "deeper", "done", "found", "in_flight", "in_flight_bytes", "leaf", "leaves", "pages", "peer",
        "phase", "queue", "spans", "stack", "sure", "trees", "unready", "whole",
    )  # fmt: skip

    def __init__(
        self, shared: Shared, peer: NodeId, partitions: tuple[int, ...], done: Done, *, whole: bool = False
    ) -> None:
        super().__init__(shared)
        self.whole = whole
        self.peer = peer
        self.done = done
        self.phase = Phase.TREES
        bits = shared.cluster.partitions.bit_length() - 1
        self.spans: list[Span] = [(bits, partition) for partition in partitions]
        self.deeper = 0
        self.stack: list[Span] = []
        self.leaves: list[int] = []
        self.sure: list[int] = []
        self.leaf: int | None = None
        self.after = b""
        self.found = 0
        self.queue: list[tuple[bytes, int]] = []
        self.in_flight = self.in_flight_bytes = 0
        self.unready = 0
        self.counts = [0, 0, 0, 0]
        self.trees: dict[NodeId, tuple[bytes, ...]] = {}
        self.pages: dict[NodeId, Page] = {}

    def start(self, now: Instant, out: Outbox) -> None:
        """Ask for the roots."""
        assert len(self.spans) <= TREE_SPANS_MAX, "more partitions than one question takes"
        self._ask_trees(Phase.TREES, now, out)

    # Questions, each under a ticket of its own ---------------------------------------------------------------

    def _wait(self, phase: Phase, wait_s: float, now: Instant) -> None:
        self.renew()
        self.phase = phase
        self.trees, self.pages = {}, {}
        self.shared.timers.set(now + wait_s, self.ticket)

    def _ask_trees(self, phase: Phase, now: Instant, out: Outbox) -> None:
        """Ask both sides about `spans`."""
        self._wait(phase, EXCHANGE_SILENCE_S, now)
        bits, prefixes = self.spans[0][0], tuple(prefix for _, prefix in self.spans)
        out.send(self.peer, AskTrees(self.ticket, self.shared.cluster.epoch, bits, self.deeper, prefixes, self.whole))
        out.digest(self.ticket, bits, prefixes, self.deeper)

    def _ask_leaf(self, leaf: int, now: Instant, out: Outbox) -> None:
        """Ask both sides about the keys of `leaf` beyond `after`."""
        self._wait(Phase.LEAF, EXCHANGE_SILENCE_S, now)
        out.send(self.peer, AskLeaf(self.ticket, self.shared.cluster.epoch, leaf, self.after))
        out.scan(self.ticket, leaf, LEAVES, self.after, LEAF_PAGE_ROWS)

    def _go_on(self, now: Instant, out: Outbox) -> None:
        """Do what comes next: repair; list the leaves that are sure; look deeper; look again; end."""
        self._repair(now, out)
        if self.in_flight or self.ended:
            return
        if self.counts[0] >= EXCHANGE_KEYS_MAX:
            self._finish("there is more", now, out)
        elif self.leaf is not None:
            self._ask_leaf(self.leaf, now, out)
        elif self.sure:
            self.leaf, self.after, self.found = self.sure.pop(), b"", 0
            self._ask_leaf(self.leaf, now, out)
        elif self._next_spans():
            self._ask_trees(Phase.TREES, now, out)
        elif self.leaves:
            self._wait(Phase.REST, COMPARE_AGAIN_S, now)
        else:
            self._finish(f"{self.unready} trees are not ready" if self.unready else "", now, out)

    def _next_spans(self) -> bool:
        """Take spans of one level from the stack; whether there are any to ask about before the second look."""
        stack, leaves = self.stack, self.leaves
        while stack and stack[-1][0] == TREE_LEAF_BITS and len(leaves) < TREE_SPANS_MAX:
            leaves.append(stack.pop()[1])
        if not stack or len(leaves) >= TREE_SPANS_MAX:
            return False
        bits = stack[-1][0]
        self.spans = []
        while stack and stack[-1][0] == bits and len(self.spans) < SPANS_BELOW:
            self.spans.append(stack.pop())
        self.deeper = min(TREE_FANOUT_BITS, TREE_LEAF_BITS - bits)
        return True

    # Answers -------------------------------------------------------------------------------------------------

    def digested(self, digests: tuple[bytes, ...], now: Instant, out: Outbox) -> None:
        """What our own trees say."""
        self._trees_of(self.shared.me, digests, now, out)

    def trees_told(self, peer: NodeId, message: TreesTold, now: Instant, out: Outbox) -> None:
        """What the peer's trees say."""
        if peer != self.peer or self.phase not in (Phase.TREES, Phase.AGAIN):
            return
        if message.refused:
            self._finish(f"refused ({message.refused})", now, out)
        elif len(message.digests) != len(self.spans):
            self._finish("answered something else", now, out)
        else:
            self._trees_of(peer, message.digests, now, out)

    def _trees_of(self, node: NodeId, digests: tuple[bytes, ...], now: Instant, out: Outbox) -> None:
        """Go down where the two differ: leaves wait for a second look, and what differs then is sure."""
        trees = self.trees
        trees[node] = digests
        if len(trees) < 2:
            return
        for span, mine, theirs in zip(self.spans, trees[self.shared.me], trees[self.peer], strict=True):
            if not mine or len(mine) != len(theirs):
                self.unready += 1
            elif mine != theirs and self.phase is Phase.AGAIN:
                self.sure.append(span[1])
            elif mine != theirs:
                self.stack += differing(*span, mine, theirs)
        self._go_on(now, out)

    def scanned(self, items: tuple[tuple[bytes, bytes], ...], more: bool, now: Instant, out: Outbox) -> None:
        """Our own rows of the leaf."""
        self._page_of(self.shared.me, page_of(items, more), now, out)

    def unscanned(self, now: Instant, out: Outbox) -> None:
        """Our disk failed."""
        self._finish(UNREADABLE, now, out)

    def leaf_told(self, peer: NodeId, message: LeafTold, now: Instant, out: Outbox) -> None:
        """The peer's rows of the leaf."""
        if peer != self.peer or self.phase is not Phase.LEAF:
            return
        if message.refused:
            self._finish(f"refused ({message.refused})", now, out)
        else:
            self._page_of(peer, (message.items, message.more), now, out)

    def _page_of(self, node: NodeId, page: Page, now: Instant, out: Outbox) -> None:
        """Queue the keys that differ."""
        pages, leaf = self.pages, self.leaf
        pages[node] = page
        if len(pages) < 2 or leaf is None:
            return
        keys, after = compare_pages(pages[self.shared.me], pages[self.peer])
        self.queue += keys
        self.found += len(keys)
        if after is not None and after > self.after:
            self.after = after
        else:
            self.leaf = None
            if not self.found:
                out.persist(NO_TICKET, Recount(leaf))
        self._go_on(now, out)

    # Repairs -------------------------------------------------------------------------------------------------

    def _repair(self, now: Instant, out: Outbox) -> None:
        """Begin as many repairs as may be in flight."""
        nodes = (self.shared.me, self.peer)
        while self.queue and self.in_flight < REPAIRS_MAX:
            key, size = self.queue[-1]
            if self.in_flight and self.in_flight_bytes + size > REPAIR_BYTES_MAX:
                break
            self.queue.pop()
            self.in_flight += 1
            self.in_flight_bytes += size

            def repaired(report: KeyReport, then: Instant, effects: Outbox, size: int = size) -> None:
                self._repaired(report, size, then, effects)

            RepairKey(self.shared, key, nodes, repaired).start(REPAIR_S_MAX, now, out)

    def _repaired(self, report: KeyReport, size: int, now: Instant, out: Outbox) -> None:
        self.in_flight -= 1
        self.in_flight_bytes -= size
        self.counts[0] += report.differed
        self.counts[1] += bool(report.repaired)
        self.counts[2] += bool(report.failed)
        self.counts[3] += size if report.repaired else 0
        if not self.ended:
            self._go_on(now, out)

    # The end -------------------------------------------------------------------------------------------------

    def peer_down(self, peer: NodeId, now: Instant, out: Outbox) -> None:
        """Without the peer there is nothing to compare with."""
        if peer == self.peer:
            self._finish("went down", now, out)

    def ring_changed(self, now: Instant, out: Outbox) -> None:
        """Other owners, maybe."""
        self._finish("the ring has changed", now, out)

    def reached(self, now: Instant, out: Outbox) -> None:
        """The moment before the second look is over; or the peer has been silent for too long."""
        if self.phase is Phase.REST:
            self.spans = [(TREE_LEAF_BITS, leaf) for leaf in self.leaves]
            self.leaves = []
            self.deeper = 0
            self._ask_trees(Phase.AGAIN, now, out)
        elif not self.in_flight:
            self._finish("no answer in time", now, out)

    def _finish(self, why: str, now: Instant, out: Outbox) -> None:
        self.end()
        differed, repaired, failed, size = self.counts
        if failed and not why:
            why = f"{failed} keys could not be repaired"
        self.done(Report(not why, why, differed, repaired, failed, size), now, out)


def page_of(rows: tuple[tuple[bytes, bytes], ...], more: bool) -> Page:
    """What is told of some rows of a leaf: about LEAF_PAGE_BYTES of it; rows of one position stay together."""
    items: list[tuple[bytes, bytes, int]] = []
    size = 0
    last = b""
    for key, row in rows:
        position = scan_position(key)
        if size >= LEAF_PAGE_BYTES and position != last:
            return tuple(items), True
        items.append((key, row_digest(key, row), len(row)))
        size += len(key) + 24
        last = position
    return tuple(items), more


def compare_pages(mine: Page, theirs: Page) -> tuple[list[tuple[bytes, int]], bytes | None]:
    """The keys that differ, with the bytes of the larger row, and where to go on (None: both are at the end).

    A page that says `more` knows nothing beyond its last row, so nothing beyond the smallest such position is certain.
    """
    ends = [scan_position(items[-1][0]) for items, more in (mine, theirs) if more and items]
    end = min(ends) if ends else None
    told: dict[bytes, list[tuple[bytes, int]]] = {}
    for items, _ in (mine, theirs):
        for key, digest, size in items:
            if end is None or scan_position(key) <= end:
                told.setdefault(key, []).append((digest, size))
    keys = [
        (key, max(size for _, size in says)) for key, says in told.items() if len(says) < 2 or says[0][0] != says[1][0]
    ]
    return sorted(keys, key=lambda found: (scan_position(found[0]), found[0])), end
