"""What every node of a key's preference list holds of it, and for whom it keeps it: for `key explain` and `history`.

Not a quorum read: whoever answers is told, whatever it says. A hint is found by asking the store which row it owes a
node next behind the place just before the key's: that is the key itself, or there is no hint for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from node.core.ids import Instant, NodeId, scan_position
from node.core.limits import KEY_BYTES_MAX, OPERATIONS_MAX, SURVEY_MS_MAX
from node.engine.operation import Operation, Shared
from node.engine.outbox import Outbox
from node.wire.messages import UNREADABLE, Answer, Ask, Fetch, Fetched, Kept

QUESTION = "kept"
LOOKUP_S_MAX = SURVEY_MS_MAX / 1000


class Holdings(NamedTuple):
    """By node: its row, None for nothing, a str for why it could not tell; and the owners for whom it keeps a hint,
    missing if it did not tell that."""

    rows: dict[NodeId, bytes | str | None]
    hints: dict[NodeId, tuple[NodeId, ...]]


class KeySurvey(Operation):
    """One survey; `heard` is called once, at the latest at the deadline."""

    __slots__ = ("heard", "holdings", "_rows_awaited", "_hints_awaited")

    def __init__(self, shared: Shared, heard: Callable[[Holdings, Instant, Outbox], None]) -> None:
        super().__init__(shared)
        self.heard = heard
        self.holdings = Holdings({}, {})
        self._rows_awaited: set[NodeId] = set()
        self._hints_awaited: set[NodeId] = set()

    def start(self, key: bytes, nodes: tuple[NodeId, ...], timeout_ms: int, now: Instant, out: Outbox) -> None:
        """Ask all of `nodes` that are up."""
        cluster, me = self.shared.cluster, self.shared.me
        timeout_ms = min(timeout_ms, SURVEY_MS_MAX)
        self.shared.timers.set(now + timeout_ms / 1000, self.ticket)
        up = [node for node in nodes if cluster.is_up(node)]
        self._rows_awaited = set(up)
        self._hints_awaited = set(up)
        if not up:
            self.reached(now, out)
        for node in up:
            if node == me:
                out.load(self.ticket, key)
            else:
                out.send(node, Fetch(self.ticket, cluster.epoch, key, 0, timeout_ms))
                out.send(node, Ask(self.ticket, QUESTION, key))
        if me in up:
            look_up(self.shared, key, self._kept_here, now, out)

    def loaded(self, row: bytes | None, readable: bool, now: Instant, out: Outbox) -> None:
        """Our own row."""
        self._row(self.shared.me, row if readable else UNREADABLE, now, out)

    def fetched(self, peer: NodeId, message: Fetched, now: Instant, out: Outbox) -> None:
        """A peer's row."""
        self._row(peer, message.refused or message.row, now, out)

    def _kept_here(self, owners: tuple[NodeId, ...], now: Instant, out: Outbox) -> None:
        if not self.ended:
            self._hint(self.shared.me, owners, now, out)

    def answered(self, peer: NodeId, message: Answer, now: Instant, out: Outbox) -> None:
        """Whom a peer keeps it for. A node of an earlier release does not say."""
        try:
            kept = msgspec.json.decode(message.json, type=Kept)
        except msgspec.MsgspecError:
            self._hint(peer, None, now, out)
        else:
            self._hint(peer, tuple([NodeId(owner) for owner in kept.owners]), now, out)

    def peer_down(self, peer: NodeId, now: Instant, out: Outbox) -> None:
        """One less to wait for."""
        self._hints_awaited.discard(peer)
        if peer in self._rows_awaited:
            self._row(peer, "went down", now, out)

    def reached(self, now: Instant, out: Outbox) -> None:
        """Enough waited."""
        self.end()
        self.heard(self.holdings, now, out)

    def _row(self, node: NodeId, row: bytes | str | None, now: Instant, out: Outbox) -> None:
        if node in self._rows_awaited:
            self._rows_awaited.discard(node)
            self.holdings.rows[node] = row
            self._end_if_told(now, out)

    def _hint(self, node: NodeId, owners: tuple[NodeId, ...] | None, now: Instant, out: Outbox) -> None:
        if node in self._hints_awaited:
            self._hints_awaited.discard(node)
            if owners is not None:
                self.holdings.hints[node] = owners
            self._end_if_told(now, out)

    def _end_if_told(self, now: Instant, out: Outbox) -> None:
        if not self._rows_awaited and not self._hints_awaited:
            self.reached(now, out)


Found = Callable[[tuple[NodeId, ...], Instant, Outbox], None]


def look_up(shared: Shared, key: bytes, found: Found, now: Instant, out: Outbox) -> None:
    """Find out for which of its owners this node keeps a hint for `key`."""
    owners = [owner for owner in shared.cluster.owners(key) if owner != shared.me]
    if not owners:
        found((), now, out)
    else:
        LookUp(shared, key, owners, [], found).start(now, out)


class LookUp(Operation):
    """One owner after the other."""

    __slots__ = ("found", "key", "kept", "owners")

    def __init__(self, shared: Shared, key: bytes, owners: list[NodeId], kept: list[NodeId], found: Found) -> None:
        super().__init__(shared)
        self.key = key
        self.owners = owners
        self.kept = kept
        self.found = found

    def start(self, now: Instant, out: Outbox) -> None:
        """Ask the store what it owes the next owner just behind the place before the key's."""
        place = int.from_bytes(scan_position(self.key), "big")
        self.shared.timers.set(now + LOOKUP_S_MAX, self.ticket)
        out.read_owed(self.ticket, self.owners[0], (place - 1).to_bytes(8, "big") if place else b"", 1)

    def owed(self, items: tuple[tuple[bytes, bytes], ...], after: bytes | None, now: Instant, out: Outbox) -> None:
        """It is this key, or none."""
        owner, *others = self.owners
        if any(key == self.key for key, _ in items):
            self.kept.append(owner)
        self.end()
        if others:
            LookUp(self.shared, self.key, others, self.kept, self.found).start(now, out)
        else:
            self.found(tuple(self.kept), now, out)

    def reached(self, now: Instant, out: Outbox) -> None:
        """The store does not answer: nothing is told."""
        self.end()


def serve_kept(shared: Shared, peer: NodeId, question: Ask, now: Instant, out: Outbox) -> None:
    """A peer asks for whom we keep a key."""

    def found(owners: tuple[NodeId, ...], then: Instant, effects: Outbox) -> None:
        effects.send(peer, Answer(question.rid, msgspec.json.encode(Kept(list(owners)))))

    asks_in_vain = not 0 < len(question.key) <= KEY_BYTES_MAX or not shared.cluster.seated
    if asks_in_vain or len(shared.pending) >= OPERATIONS_MAX:
        out.send(peer, Answer(question.rid, b"{}"))
    else:
        look_up(shared, question.key, found, now, out)
