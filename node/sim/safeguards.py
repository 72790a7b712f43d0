"""Safeguards that tests may switch off, one at a time, to see that a checker notices.

A test that cannot fail proves nothing. Each switch makes the world around the nodes, never their code, behave as if
they had left out one precaution; a campaign must then find a violation within 300 seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final

from node.core.limits import TREE_DIGEST_BYTES
from node.core.row import EMPTY, Row
from node.engine.kept import STATE_TICKET
from node.sim.disk import SimStorage
from node.storage.port import (
    FOREVER,
    Adopt,
    Advance,
    Forget,
    Handed,
    HandOver,
    Merge,
    Merged,
    Outcome,
    Reap,
    Saved,
    Write,
)  # fmt: skip
from node.storage.records import Record
from node.wire.change_messages import Held, Hold, Pull, Pulled
from node.wire.messages import (
    AskTrees,
    Bury,
    Confirm,
    Confirmed,
    Message,
    Replicated,
    TreesTold,
)
from node.wire.requests import Failed, Result
from node.wire.rows import decode_row, encode_row


class Safeguard(Enum):
    """What to leave out, and in whose name."""

    ACK_AFTER_SYNC = "a write is acknowledged only when it is durable"
    FRESH_BIRTH = "a row that was lost gets a new birth, so that its dots are new"
    MERGE_KEEPS_SIBLINGS = "merging keeps what neither side has seen, as version vectors of whole rows cannot"
    REPLICA_STORES = "a replica acknowledges only what it stored"
    CONTEXT_LIMITS = "a write replaces only what its context covers"
    CONTEXT_APPLIES = "a write replaces all that its context covers"
    SET_COVERS_TWICE = "a SET is committed again over what an acknowledging owner held beside it"
    FORWARD_ONCE = "a forwarded write is never repeated"
    REAP_ASKS_ALL = "a tombstone is reaped only when every member confirmed"
    REAP_LOOKS = "a member confirms only what it finds when it looks"
    ROUNDS_REFUSE = "a row that was read before a reap is not merged after it"
    REAP_COMPARES = "a reap drops nothing but the very tombstone that was confirmed"
    TREES_FOLLOW_MERGES = "a row that came by a merge is in the tree, too"
    DIRTY_MARKS = "the first write to a saved part of the trees marks it, in its own transaction"
    OWNERS_COMPARE = "owners compare their trees"
    UNKNOWN_IS_SAID = "a write that may take effect is not called unavailable"
    HINT_UNTIL_ACK = "a hint goes, and its row with it, only when the owner has the row"
    HANDED_AS_IT_IS = "a row that changed while it was handed over is handed over again"
    REBUILT_FIRST = "what a store that may have forgotten does not hold is no evidence, until it was rebuilt"
    CATCH_UP_FIRST = "a store that may have forgotten learns the reap rounds before it takes or gives a row"
    LATE_IS_DROPPED = "a store does nothing for a client that has given up"
    UNCLEAR_IS_SAID = "a commit that the disk failed in is not called undone"
    ROOM_FOLLOWS_TIME = "a node takes on no more requests than it can do in time"
    TAKERS_TAKE_IN = "a ring settles only when all who gain something in it hold it"
    RETIRE_ASKS = "a row that others own goes only when all of them hold it"
    RING_IS_STORED = "a ring counts as stored only when the disk has it, and is stored again if it would not"

    @property
    def elastic(self) -> bool:
        """Whether it matters only while the ring changes."""
        return self in CHANGES


CHANGES: Final = (Safeguard.TAKERS_TAKE_IN, Safeguard.RETIRE_ASKS, Safeguard.RING_IS_STORED)


class ReusingStorage(SimStorage):
    """A store that gives a row which it lost its former birth again (FRESH_BIRTH)."""

    def __init__(self, node_id: str, storage_id: str, epoch: int) -> None:
        super().__init__(node_id, storage_id, epoch)
        self._births: dict[bytes, int] = {}

    def _decide(self, record: Record | None, write: Advance | Merge) -> tuple[Record | None, Outcome]:
        born = self._births.get(write.key)
        if record is None and born is not None and isinstance(write, Advance):
            record = Record(encode_row(EMPTY), born, EMPTY)
        after, outcome = super()._decide(record, write)
        if after is not None and after.birth is not None:
            self._births[write.key] = after.birth
        return after, outcome


class ForgettingStorage(SimStorage):
    """A store that drops whatever it holds for a key that is reaped (REAP_COMPARES)."""

    def _may_go(self, write: Reap | Forget, record: Record | None) -> bool:
        return record is not None


class HastyStorage(SimStorage):
    """A store that lets a row go whatever has become of it since (HANDED_AS_IT_IS)."""

    def _hand_over(self, write: HandOver, record: Record | None) -> Handed:
        return super()._hand_over(write if record is None else write._replace(row=record.data), record)


class HalfTrees(SimStorage):
    """A store whose trees follow only its own writes (TREES_FOLLOW_MERGES)."""

    def __init__(self, node_id: str, storage_id: str, epoch: int) -> None:
        super().__init__(node_id, storage_id, epoch)
        self._merged: dict[bytes, None] = {}

    def _decide(self, record: Record | None, write: Advance | Merge) -> tuple[Record | None, Outcome]:
        if isinstance(write, Merge):
            self._merged[write.key] = None
        return super()._decide(record, write)

    def _follow(self, key: bytes, before: Record | None, after: Record | None) -> None:
        if self._merged.pop(key, 0) == 0:
            super()._follow(key, before, after)


class UnmarkedTrees(SimStorage):
    """A store that believes what it saved, whatever was written since (DIRTY_MARKS)."""

    def _touch(self, chunk: int) -> None:
        """No mark."""


class EqualTrees(SimStorage):
    """A store whose trees say the same whatever it holds (OWNERS_COMPARE)."""

    def digests(self, bits: int, prefix: int, deeper: int) -> bytes:
        """Return digests of nothing."""
        return bytes(TREE_DIGEST_BYTES << deeper)


STORES: Final[dict[Safeguard, type[SimStorage]]] = {
    Safeguard.FRESH_BIRTH: ReusingStorage,
    Safeguard.TREES_FOLLOW_MERGES: HalfTrees,
    Safeguard.DIRTY_MARKS: UnmarkedTrees,
    Safeguard.OWNERS_COMPARE: EqualTrees,
    Safeguard.HANDED_AS_IT_IS: HastyStorage,
    Safeguard.REAP_COMPARES: ForgettingStorage,
}
"""The stores of worlds that go without a safeguard of the store."""


def confirmed_by_nobody(message: Message, off: Safeguard | None) -> Confirmed | None:
    """Return the answer that a driver believes it has from everybody with the safeguard off."""
    if off is Safeguard.REAP_ASKS_ALL and isinstance(message, Confirm):
        return Confirmed(message.rid, message.round, (), "")
    return None


def answered_by_nobody(message: Message, store: SimStorage, off: Safeguard | None) -> Message | None:
    """Return the answer that whoever asks, with this store, believes it has with the safeguard off."""
    if off is Safeguard.TAKERS_TAKE_IN and isinstance(message, AskTrees) and message.whole:
        mine = tuple([store.digests(message.bits, prefix, message.deeper) for prefix in message.prefixes])
        return TreesTold(message.rid, mine, "")
    if off is Safeguard.TAKERS_TAKE_IN and isinstance(message, Pull):
        return Pulled(message.rid, (), False, 0, "")
    if off is Safeguard.RETIRE_ASKS and isinstance(message, Hold):
        return Held(message.rid, (), "")
    return None


def told_at_once(writes: Sequence[tuple[int, Write]], off: Safeguard | None) -> list[tuple[int, Outcome]]:
    """Return what a node is told of its writes before its disk has seen them, with the safeguard off."""
    if off is not Safeguard.RING_IS_STORED:
        return []
    return [(ticket, Saved()) for ticket, _ in writes if ticket == STATE_TICKET]


def weaken(write: Write, off: Safeguard | None) -> Write:
    """Return what reaches the store with the safeguard off."""
    if off is Safeguard.MERGE_KEEPS_SIBLINGS and isinstance(write, Merge):
        row = decode_row(write.row)
        return write._replace(row=encode_row(Row(row.clock, row.versions[-1:])))
    if off is Safeguard.ROUNDS_REFUSE and isinstance(write, Merge):
        return write._replace(round=2**62)
    if off is Safeguard.REAP_LOOKS and isinstance(write, Adopt):
        return write._replace(rows=())
    if off is Safeguard.CONTEXT_LIMITS and isinstance(write, Advance):
        return write._replace(cover=True)
    if off is Safeguard.CONTEXT_APPLIES and isinstance(write, Advance):
        return write._replace(context=())
    if off is Safeguard.LATE_IS_DROPPED and isinstance(write, Advance | Merge):
        return write._replace(until=FOREVER)
    return write


def skip(write: Write, off: Safeguard | None) -> Outcome | None:
    """Return what to answer without storing anything, or None."""
    if off is Safeguard.REPLICA_STORES and isinstance(write, Merge):
        return Merged(write.row, more=False)
    return None


def blind(message: Message, off: Safeguard | None) -> Message:
    """Return what arrives of a message with the safeguard off."""
    if off is Safeguard.SET_COVERS_TWICE and isinstance(message, Replicated):
        return Replicated(message.rid, message.durable, None, message.refused)
    if off is Safeguard.REAP_ASKS_ALL and isinstance(message, Bury):
        return Bury(message.rid, message.partition, 0, message.rows)  # nor is it asked whether it ever confirmed
    return message


def gloss(result: Result, off: Safeguard | None) -> Result:
    """Return what the client is told with the safeguard off."""
    if off is Safeguard.UNKNOWN_IS_SAID and isinstance(result, Failed) and result.code == "UNKNOWN":
        return Failed("UNAVAILABLE", result.text)
    return result
