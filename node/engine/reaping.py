"""Reaping: a tombstone goes when every member has proven that it is not needed, and never because time has passed.

A tombstone T says "all that my clock covers is dead". It may go only when nothing that T covers can come back: not from
a disk, not from a message under way. Clocks on walls prove neither ("gc_grace" is how others resurrect). So:

    driver   adopt round r of the partition, and look: is my row of each key still T?              one transaction
             ──Confirm(r, keys with digests)──►  every member: owners, stand-ins, any other
    member   adopt r if my round is below r, and look: do I hold T, or nothing?                    one transaction
             ◄──Confirmed(r, keys that differ)──
    driver   all members confirmed: ──Bury──► every member drops its T, if it is exactly T still   one transaction each
             ◄──Buried──                      all did: the driver drops its own, last

Rounds are durable and only grow. Every row that travels to be merged carries the round under which its sender *read*
it, a merged one the lowest of those it was made of, and a store refuses what is of an older round than its own.

Why T is not needed any more. Say each member confirmed k at the moment at which it went from below r to r. What it sent
of k before is stamped below r, and nobody will merge it, as all are in r. What it sends later it read later, when it
held T or nothing; and from "nothing" it can come to hold a row of k only by a new write, whose dots are new, or by
a row stamped r or later, of which the same is true. So no row with a dead value is merged anywhere, ever again.

    an old Replicate in a paused owner's socket   is stamped below r: refused
    a stand-in away, with a hint and an old row   did not confirm, so nothing is reaped until it is back
    a former owner that returns with a row        the same: every member is asked, whatever it owns
    a removed node that was only cut off          was not asked any more, and its rounds are its own: no row of it is
                                                  taken (`Node`), and who misses a member begins no round
    a crash between confirming and dropping       the round is durable; the driver keeps T until all others dropped
                                                  theirs, and begins again in a later round
    a newcomer                                    learns the rounds first, and takes no row before (`engine.catchup`)
    a member whose disk was replaced meanwhile    has a new life, and no round is made of old lives and new ones
                                                  (`engine.catchup`); it takes no row before it is in r
    a put with a context from before the delete   covers dots and revives none; it draws a new birth
    a blind put after the reap                    the same; but the new row does not know what T knew, which is why an
                                                  older row is refused beside it, too, and not only where nothing is
    a row computed before, sent after             read repair carries the lowest round of what it merged
    a row written again meanwhile                 is not T any more, and Bury drops nothing but T

A member confirms only by going from below r to r. One that is in r already (it heard of r through a refusal, or its
answer was lost) may have sent older knowledge stamped r: it refuses, and the driver takes a higher round. Confirmations
stay true for ever, so they accumulate: an open round waits for whoever is away, and status names it.

Who drives: the first owner, who holds T like all others. A T that only others hold (a late copy, a lost row) is theirs
to reap on every REAP_TURNS-th pass, each place of the preference list in its own turn. What two drivers do at once may
make both begin again, and no more. A member that holds another row gets T, and the driver gets what it holds beyond
that: so the copies become equal even of those whom no owner repairs.

What is kept in memory is one page of keys at most; nothing here need survive a crash.
"""

from __future__ import annotations

from random import Random

from node.core.ids import Instant, NodeId, partition_of
from node.core.limits import REAP_ANSWER_S, REAP_INTERVAL_S, REAP_KEYS, REAP_PAUSE_S, REAP_TURNS
from node.engine.operation import NO_TICKET, Operation, Shared
from node.engine.outbox import Outbox
from node.engine.rounds import RepeatOperation, serve_bury
from node.storage.port import Adopt, Adopted, Merge, Outcome, Reap, Reaped, Refusal
from node.wire.errors import RemoteWireError
from node.wire.messages import Buried, Bury, Confirm, Confirmed, Outdated, Replicate, Replicated
from node.wire.rows import decode_row, row_digest

Rows = tuple[tuple[bytes, bytes], ...]


class Reaper:
    """What one node does about its tombstones. `open` are the rounds that it drives, `looking` whether it reads."""

    def __init__(self, shared: Shared, rng: Random) -> None:
        self.shared = shared
        self.rng = rng
        self.open: dict[int, RoundOperation] = {}
        self.looking = False
        self._look_at: Instant = 0.0
        self._after = b""
        self._pass = 0
        self._gone = 0

    def tick(self, now: Instant, out: Outbox) -> None:
        """Every REAP_INTERVAL_S: go on with what is open, or look for more.

        Give or take a quarter of it: two that drive in step, as after a power cut, spoil each other's rounds for ever.
        """
        if now < self._look_at:
            return
        self._look_at = now + REAP_INTERVAL_S * (0.75 + self.rng.random() / 2)
        for operation in list(self.open.values()):
            operation.go_on(now, out)
        cluster = self.shared.cluster
        if self.open or self.looking or not cluster.seated or cluster.rebuilding:
            return
        if all(cluster.is_up(member.id) for member in cluster.others()):  # a round takes the word of everybody
            self.looking = True
            LookOperation(self.shared, self).start(self._after, now, out)

    def found(self, items: Rows, after: bytes | None, now: Instant, out: Outbox) -> None:
        """A page of tombstones: a round for each partition of which this node has to see to it."""
        self._after = after or b""
        by_partition: dict[int, dict[bytes, bytes]] = {}
        partitions = self.shared.cluster.partitions
        for key, row in items[:REAP_KEYS]:
            by_partition.setdefault(partition_of(key, partitions), {})[key] = row
        for partition, rows in by_partition.items():
            if self._is_my_turn(partition):
                self.open[partition] = operation = RoundOperation(self.shared, self, partition, rows)
                operation.start(now, out)
        self._pass += after is None
        self._hurry(now)

    # What peers ask ------------------------------------------------------------------------------------------

    def bury(self, peer: NodeId, message: Bury, now: Instant, out: Outbox) -> None:
        """We are told to drop."""
        if self.shared.cluster.seated:
            serve_bury(self.shared, peer, message, out)

    def outdated(self, peer: NodeId, message: Outdated, now: Instant, out: Outbox) -> None:
        """A row of ours was refused: whoever sent it may know what to do, else it is read again and repeated."""
        operation = self.shared.pending.get(message.rid)
        if self.shared.cluster.behind or self.shared.cluster.gone:  # what we hold is no knowledge of any round
            return
        if self.shared.cluster.seated and (operation is None or not operation.outdated(peer, message, now, out)):
            RepeatOperation(self.shared, peer, message).start(out)

    def ended(self, partition: int, gone: int, now: Instant, out: Outbox) -> None:
        """A round ended, with so many of our tombstones gone. What came of a page is told in one line."""
        del self.open[partition]
        self._gone += gone
        if not self.open and self._gone:
            out.fact("reaped", rows=self._gone)
            self._gone = 0
        self._hurry(now)

    def _hurry(self, now: Instant) -> None:
        """Go on soon, if this page is done with and more follow."""
        if self._after and not self.open:
            self._look_at = min(self._look_at, now + REAP_PAUSE_S)

    def _is_my_turn(self, partition: int) -> bool:
        preference = self.shared.cluster.preference_of(partition)
        place = preference.index(self.shared.me) if self.shared.me in preference else len(preference)
        return place == 0 or self._pass % REAP_TURNS == place % REAP_TURNS


class LookOperation(Operation):
    """Reading a page of our own tombstones."""

    __slots__ = ("reaper",)

    def __init__(self, shared: Shared, reaper: Reaper) -> None:
        super().__init__(shared)
        self.reaper = reaper

    def start(self, after: bytes, now: Instant, out: Outbox) -> None:
        """Ask the disk."""
        self.shared.timers.set(now + REAP_ANSWER_S, self.ticket)
        out.read_tombstones(self.ticket, after, REAP_KEYS)

    def tombstones(self, items: Rows, after: bytes | None, now: Instant, out: Outbox) -> None:
        """The page."""
        self._end()
        if self.shared.cluster.seated:
            self.reaper.found(items, after, now, out)

    def reached(self, now: Instant, out: Outbox) -> None:
        """The disk says nothing: another time."""
        self._end()

    def _end(self) -> None:
        self.end()
        self.reaper.looking = False


class RoundOperation(Operation):
    """One round of one partition, driven by this node: `rows` are its tombstones, without those that turned out to be
    none. `confirmed` and `buried` are members that did their part, `asked` when each was last asked to."""

    __slots__ = (
        "asked", "buried", "confirmed", "epoch", "left", "lives", "partition", "reaped", "reaper", "round", "rows",
    )  # fmt: skip

    def __init__(self, shared: Shared, reaper: Reaper, partition: int, rows: dict[bytes, bytes]) -> None:
        super().__init__(shared)
        self.reaper = reaper
        self.partition = partition
        self.rows = rows
        self.epoch = shared.cluster.epoch
        self.lives = shared.cluster.lives
        self.round = shared.rounds.at(partition, shared.cluster.partitions) + 1
        self.confirmed: dict[NodeId, None] = {}
        self.buried: dict[NodeId, None] = {}
        self.asked: dict[NodeId, Instant] = {}
        self.left = 0
        self.reaped = 0

    def start(self, now: Instant, out: Outbox) -> None:
        """Our own word first: durable before anybody is asked, so that what we send from now on counts."""
        out.persist(self.ticket, Adopt(self.partition, self.shared.cluster.partitions, self.round, self._digests()))

    def _digests(self) -> Rows:
        return tuple([(key, row_digest(key, row)) for key, row in self.rows.items()])

    def persisted(self, outcome: Outcome, now: Instant, out: Outbox) -> None:
        """Our word is durable; or, at the end, one of our own tombstones is gone."""
        if self.left:
            self.left -= 1
            self.reaped += isinstance(outcome, Reaped) and outcome.dropped
            if not self.left:
                self._end(now, out)
        elif isinstance(outcome, Adopted) and outcome.done:
            for key in outcome.differ:
                del self.rows[key]
            self.confirmed[self.shared.me] = None
            self.go_on(now, out)
        else:
            self._end(now, out)

    def go_on(self, now: Instant, out: Outbox) -> None:
        """Ask whoever answers and has not done its part; see whether that was all."""
        me, cluster = self.shared.me, self.shared.cluster
        if self.left or me not in self.confirmed:
            return  # our own disk is at it
        if not self.rows or cluster.epoch != self.epoch or cluster.lives != self.lives:
            self._end(now, out)
            return
        others, digests = self._others(), self._digests()
        message: Confirm | Bury = Confirm(self.ticket, self.epoch, self.partition, self.round, digests, self.lives)
        awaited = [node for node in others if node not in self.confirmed]
        if not awaited:
            message = Bury(self.ticket, self.partition, self.round, digests)
            awaited = [node for node in others if node not in self.buried]
        if not awaited:
            self.left = len(self.rows)
            for key, digest in digests:
                out.persist(self.ticket, Reap(key, digest))
        for node in awaited:
            if cluster.is_up(node) and now >= self.asked.get(node, now):
                self.asked[node] = now + REAP_ANSWER_S
                out.send(node, message)

    def _others(self) -> list[NodeId]:
        """Everybody whose word is needed beside ours: all members, and all seats, should one be no known member yet."""
        cluster = self.shared.cluster
        nodes = dict.fromkeys(cluster.members) | dict.fromkeys(seat.id for seat in cluster.state.seats)
        return [node for node in nodes if node != self.shared.me]

    def confirmed_by(self, peer: NodeId, message: Confirmed, now: Instant, out: Outbox) -> None:
        """A member confirmed, or cannot: then this round will never be complete, and a later one begins."""
        if peer in self.confirmed:
            return
        if message.refused:
            if message.round > self.round:
                out.persist(NO_TICKET, Adopt(self.partition, self.shared.cluster.partitions, message.round))
            self._end(now, out)
            return
        self.confirmed[peer] = None
        self.asked.pop(peer, None)
        for key in message.differ:
            row = self.rows.pop(key, None)
            if row is not None:
                EvenOperation(self.shared, peer, key).start(row, self.round, now, out)
        self.go_on(now, out)

    def buried_by(self, peer: NodeId, message: Buried, now: Instant, out: Outbox) -> None:
        """A member dropped its copies; one whose disk is full is told again, one that lost its disk ends the round."""
        if message.refused == Refusal.ROUND.value:
            self._end(now, out)
        elif not message.refused:
            self.buried[peer] = None
            self.go_on(now, out)

    def peer_down(self, peer: NodeId, now: Instant, out: Outbox) -> None:
        """It is asked again when it is back: what was under way is lost."""
        self.asked.pop(peer, None)

    def _end(self, now: Instant, out: Outbox) -> None:
        self.end()
        self.reaper.ended(self.partition, self.reaped, now, out)


class EvenOperation(Operation):
    """A member holds another row than our tombstone: it gets ours, and we get what it holds beyond it."""

    __slots__ = ("key", "peer")

    def __init__(self, shared: Shared, peer: NodeId, key: bytes) -> None:
        super().__init__(shared)
        self.peer = peer
        self.key = key

    def start(self, row: bytes, number: int, now: Instant, out: Outbox) -> None:
        """Send ours, as of the round in which we confirmed that we hold it."""
        shared = self.shared
        shared.timers.set(now + REAP_ANSWER_S, self.ticket)
        out.send(self.peer, Replicate(self.ticket, shared.cluster.epoch, self.key, row, (), number))

    def replicated(self, peer: NodeId, message: Replicated, now: Instant, out: Outbox) -> None:
        """Merged there; what it says beyond ours is merged here."""
        if peer != self.peer:
            return
        self.end()
        if message.row is None or message.refused:
            return
        try:
            decoded = decode_row(message.row)
        except RemoteWireError:
            return  # what it has is no row
        epoch = self.shared.cluster.epoch
        out.persist(NO_TICKET, Merge(self.key, message.row, epoch, decoded, round=message.round))

    def peer_down(self, peer: NodeId, now: Instant, out: Outbox) -> None:
        """Another time."""
        if peer == self.peer:
            self.end()

    def reached(self, now: Instant, out: Outbox) -> None:
        """No answer: another time."""
        self.end()
