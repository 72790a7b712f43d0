"""A member's part in reap rounds (`engine.reaping` says what they are for): asked, told to drop, or too late.

Whoever is told that its row came from an older round adopts the later one, reads its row again, and only then repeats
what it said: the row it holds *after* it adopted the round is knowledge of that round. If its row is gone meanwhile it
says nothing; whoever waits for the answer hears none, and ends as if the message had been lost.
"""

from __future__ import annotations

from node.core.ids import Instant, NodeId, partition_of
from node.engine.operation import Operation, PeerRequest, Shared
from node.engine.outbox import Outbox
from node.storage.port import Adopt, Adopted, Outcome, Reap, Reaped, Refusal, Refused
from node.wire.messages import REBUILDING, Buried, Bury, Confirm, Confirmed, Outdated, Replicate

OTHER_LIVES = "other lives"
"""Refusal: the round counts the word of a store that is another one by now, or that we or the driver know later."""


def adopt_for(shared: Shared, key: bytes, number: int) -> Adopt:
    """The write that brings the key's partition to a round, without a word about any row."""
    partitions = shared.cluster.partitions
    return Adopt(partition_of(key, partitions), partitions, number)


class RepeatOperation(Operation):
    """A row of ours was refused because it came from an older round: adopt the later one, read, and send again."""

    __slots__ = ("message", "peer")

    def __init__(self, shared: Shared, peer: NodeId, message: Outdated) -> None:
        super().__init__(shared)
        self.peer = peer
        self.message = message

    def start(self, out: Outbox) -> None:
        """Adopt the round, unless that was done meanwhile."""
        key, number = self.message.key, self.message.round
        if self.shared.rounds.of(key) >= number:
            out.load(self.ticket, key)
        else:
            out.persist(self.ticket, adopt_for(self.shared, key, number))

    def persisted(self, outcome: Outcome, now: Instant, out: Outbox) -> None:
        """The round is ours."""
        if isinstance(outcome, Adopted):
            out.load(self.ticket, self.message.key)
        else:
            self.end()

    def loaded(self, row: bytes | None, readable: bool, now: Instant, out: Outbox) -> None:
        """What we hold now, under the rid of what was refused: its answer goes to whoever waits for it."""
        self.end()
        if row is not None:
            shared, message = self.shared, self.message
            key, number = message.key, shared.rounds.of(message.key)
            out.send(self.peer, Replicate(message.rid, shared.cluster.epoch, key, row, message.hint_for, number))
            waiting = shared.pending.get(message.rid)
            if waiting is not None:
                waiting.repeated(row)


class ServingConfirm(PeerRequest):
    """A peer asked what we hold, for a round."""

    __slots__ = ()

    def persisted(self, outcome: Outcome, now: Instant, out: Outbox) -> None:
        """Adopted in one transaction with the look; or we were in that round already, and what we sent since counts."""
        self.end()
        if not isinstance(outcome, Adopted):
            why = outcome.why.value if isinstance(outcome, Refused) else "not a round"
            out.send(self.peer, Confirmed(self.rid, 0, (), why))
        elif outcome.done:
            out.send(self.peer, Confirmed(self.rid, outcome.round, outcome.differ, ""))
        else:
            out.send(self.peer, Confirmed(self.rid, outcome.round, (), Refusal.ROUND.value))


class ServingBury(PeerRequest):
    """A peer told us what may go. `left` writes are on their way."""

    __slots__ = ("left", "refused")

    def __init__(self, shared: Shared, peer: NodeId, rid: int, left: int) -> None:
        super().__init__(shared, peer, rid)
        self.left = left
        self.refused = ""

    def persisted(self, outcome: Outcome, now: Instant, out: Outbox) -> None:
        """One is gone, or was not there; told when it is true of all."""
        self.left -= 1
        if not isinstance(outcome, Reaped):
            self.refused = outcome.why.value if isinstance(outcome, Refused) else "not dropped"
        if not self.left:
            self.end()
            out.send(self.peer, Buried(self.rid, self.refused))


def serve_confirm(shared: Shared, peer: NodeId, message: Confirm, out: Outbox) -> None:
    """Adopt a round, and say of which keys we hold something else."""
    partitions = shared.cluster.partitions
    if shared.cluster.rebuilding:  # it may have forgotten the rounds it was in
        out.send(peer, Confirmed(message.rid, 0, (), REBUILDING))
        return
    if message.lives != shared.cluster.lives:
        out.send(peer, Confirmed(message.rid, 0, (), OTHER_LIVES))
        return
    if message.partition >= partitions:
        out.send(peer, Confirmed(message.rid, 0, (), "no such partition"))
        return
    adopt = Adopt(message.partition, partitions, message.round, message.rows)
    out.persist(ServingConfirm(shared, peer, message.rid).ticket, adopt)


def serve_bury(shared: Shared, peer: NodeId, message: Bury, out: Outbox) -> None:
    """Drop what everybody confirmed; unless our disk is another one than that which confirmed, and may hold what came
    since: then the driver keeps its tombstone."""
    if shared.rounds.at(message.partition, shared.cluster.partitions) < message.round:
        out.send(peer, Buried(message.rid, Refusal.ROUND.value))
        return
    if not message.rows:
        out.send(peer, Buried(message.rid, ""))
        return
    ticket = ServingBury(shared, peer, message.rid, len(message.rows)).ticket
    for key, digest in message.rows:
        out.persist(ticket, Reap(key, digest))
