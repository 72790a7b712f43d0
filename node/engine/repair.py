"""One key made equal on several nodes: read them all, merge, and write back to those that hold something else.

Whatever was known before (a leaf that differed, a digest) only led here: both rows are read again, and what is written
is a merge, so a repair that comes late, twice or beside a client's write does no harm. A row that its store cannot read
counts as none: what the others hold brings it back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from node.core.ids import Instant, NodeId
from node.core.row import EMPTY, Row
from node.engine.operation import NO_TICKET, Operation, Shared
from node.engine.outbox import Outbox
from node.engine.rounds import adopt_for
from node.storage.port import Merge, Outcome, Refusal, Refused
from node.wire.errors import RemoteWireError
from node.wire.messages import Fetch, Fetched, Outdated, Replicate, Replicated
from node.wire.rows import encode_row, merged_row

UNREADABLE = "row unreadable"
"""What a store says of a damaged row (`engine.replica`)."""


class KeyReport(NamedTuple):
    """What came of it. `found`: what each node held, in words; `repaired`: who was brought up to date, and is durable.

    `failed` says of the other nodes why they could not be asked or brought up to date.
    """

    differed: bool
    found: dict[NodeId, str]
    repaired: tuple[NodeId, ...]
    failed: dict[NodeId, str]


Then = Callable[[KeyReport, Instant, Outbox], None]


class RepairKey(Operation):
    """A repair under way. It takes at most the time it is given: half for reading, the rest for writing."""

    __slots__ = (
        "awaited",
        "deadline",
        "epoch",
        "failed",
        "found",
        "key",
        "merged",
        "nodes",
        "repaired",
        "rounds",
        "rows",
        "then",
    )

    def __init__(self, shared: Shared, key: bytes, nodes: tuple[NodeId, ...], then: Then) -> None:
        super().__init__(shared)
        self.key = key
        self.nodes = nodes
        self.then = then
        self.deadline: Instant = 0.0
        self.epoch = shared.cluster.epoch
        self.rows: dict[NodeId, bytes | None] = {}
        self.rounds: dict[NodeId, int] = {}
        self.found: dict[NodeId, str] = {}
        self.failed: dict[NodeId, str] = {}
        self.repaired: list[NodeId] = []
        self.awaited: dict[NodeId, None] = {}
        self.merged: bytes | None = None

    def start(self, timeout_s: float, now: Instant, out: Outbox) -> None:
        """Ask every node that is up."""
        shared, cluster = self.shared, self.shared.cluster
        self.deadline = now + timeout_s
        shared.timers.set(now + timeout_s / 2, self.ticket)
        shared.timers.set(self.deadline, self.ticket)
        for node in self.nodes:
            if node == shared.me:
                out.load(self.ticket, self.key)
            elif cluster.is_up(node):
                out.send(node, Fetch(self.ticket, cluster.epoch, self.key, shared.rounds.of(self.key), repair=True))
            else:
                self.failed[node] = "down"
                continue
            self.awaited[node] = None
        if not self.awaited:
            self._finish(now, out)

    # Reading -------------------------------------------------------------------------------------------------

    def loaded(self, row: bytes | None, readable: bool, now: Instant, out: Outbox) -> None:
        """Our own row."""
        number = self.shared.rounds.of(self.key)
        self._heard(self.shared.me, row, number, "" if readable else UNREADABLE, now, out)

    def fetched(self, peer: NodeId, message: Fetched, now: Instant, out: Outbox) -> None:
        """A peer's row."""
        self._heard(peer, message.row, message.round, message.refused, now, out)

    def _heard(self, node: NodeId, row: bytes | None, number: int, refused: str, now: Instant, out: Outbox) -> None:
        if self.merged is not None or node not in self.awaited:
            return
        del self.awaited[node]
        if refused and refused != UNREADABLE:
            self.failed[node] = f"refused ({refused})"
        else:
            try:
                merged_row([row])
            except RemoteWireError:
                self.failed[node] = "row malformed"
            else:
                self.rows[node] = row
                self.rounds[node] = number
                self.found[node] = "unreadable" if refused else ""
        if not self.awaited:
            self._write_back(now, out)

    def _write_back(self, now: Instant, out: Outbox) -> None:
        """Send the merged row to whoever holds something else."""
        self._bring(merged_row(self.rows.values()), self._lowest_round(), now, out)

    def _lowest_round(self) -> int:
        """Of the rows that were read: knowledge of which round their merge is."""
        return min([self.rounds[node] for node, held in self.rows.items() if held is not None], default=0)

    def _bring(self, row: Row, number: int, now: Instant, out: Outbox) -> None:
        merged = self.merged = encode_row(row)
        epoch = self.shared.cluster.epoch
        for node, held in self.rows.items():
            if held == merged or row == EMPTY:
                self.found[node] = self.found[node] or ("nothing" if row == EMPTY else "same")
                continue
            self.found[node] = self.found[node] or ("nothing" if held is None else "behind")
            self.awaited[node] = None
            if node == self.shared.me:
                out.persist(self.ticket, Merge(self.key, merged, epoch, row, round=number))
            else:
                out.send(node, Replicate(self.ticket, epoch, self.key, merged, (), number))
        if not self.awaited:
            self._finish(now, out)

    # Writing -------------------------------------------------------------------------------------------------

    def persisted(self, outcome: Outcome, now: Instant, out: Outbox) -> None:
        """Our own row is the merged one."""
        self._written(self.shared.me, outcome.why.value if isinstance(outcome, Refused) else "", now, out)

    def replicated(self, peer: NodeId, message: Replicated, now: Instant, out: Outbox) -> None:
        """A peer's row is."""
        self._written(peer, message.refused, now, out)

    def outdated(self, peer: NodeId, message: Outdated, now: Instant, out: Outbox) -> bool:
        """Some of what was merged is older than a reap that the peer took part in: the next repair reads it again,
        from nodes that are in that round."""
        out.persist(NO_TICKET, adopt_for(self.shared, self.key, message.round))
        self._written(peer, Refusal.ROUND.value, now, out)
        return True

    def _written(self, node: NodeId, refused: str, now: Instant, out: Outbox) -> None:
        if self.merged is None or node not in self.awaited:
            return
        del self.awaited[node]
        if refused:
            self.failed[node] = f"refused ({refused})"
        else:
            self.repaired.append(node)
        if not self.awaited:
            self._finish(now, out)

    # What goes wrong -----------------------------------------------------------------------------------------

    def peer_down(self, peer: NodeId, now: Instant, out: Outbox) -> None:
        """One less to wait for."""
        if peer in self.awaited:
            self._give_up((peer,), "went down", now, out)

    def ring_changed(self, now: Instant, out: Outbox) -> None:
        """Other owners, maybe: whoever still wants it begins anew."""
        self._give_up(tuple(self.awaited), "the ring has changed", now, out)

    def reached(self, now: Instant, out: Outbox) -> None:
        """Half the time, or all of it, is over: who said nothing is left out."""
        if self.merged is None or now >= self.deadline:
            self._give_up(tuple(self.awaited), "no answer in time", now, out)

    def _give_up(self, nodes: tuple[NodeId, ...], why: str, now: Instant, out: Outbox) -> None:
        for node in nodes:
            del self.awaited[node]
            self.failed[node] = why
        if self.awaited:
            return
        if self.merged is None and self.rows and self.epoch == self.shared.cluster.epoch:
            self._write_back(now, out)
        else:
            self._finish(now, out)

    def _finish(self, now: Instant, out: Outbox) -> None:
        self.end()
        self.shared.repairs["compared"] += len(self.repaired)
        held = list(self.rows.values())
        differed = any(row != held[0] for row in held) or "unreadable" in self.found.values()
        self.then(KeyReport(differed, self.found, tuple(self.repaired), self.failed), now, out)
