"""What a store does first that knows no reap rounds: it may have forgotten some, or is new to a sealed ring.

Forgotten: new under an old seat, put back from a copy, cut off below `full`. Whatever was reaped since it knew last, it
may still hold, or be sent by somebody who was paused; and the proof that allowed the reap (`engine.reaping`) was given
by what its disk forgot, or without it. A newcomer holds nothing, but an old row may be sent to it as the next owner. So
before it takes or gives a single row

    we      AskRounds(our life) ──► every member that answers
    member  note our life durably; ──► RoundsTold(are you whole, and know your rounds?, rounds)
    we      a whole owner of the partition is in a later round than we: drop what we hold of it, adopt the round

and then it asks for its seat, or is rebuilt by anti-entropy, under rounds that are as good as everybody's: what it
dropped and was alive comes back from the owners. Until then it is as if it were down, but for gossip: coordinators find
somebody else.

*Lives.* A round that was open while we forgot may count a confirmation of ours that is void now. A life is named by the
dot epoch, which is redrawn whenever a store may have forgotten. Whoever tells us its rounds has noted our new life
before, and a member confirms a round only if it knows the same lives as the driver: so a round is complete with the
words of one set of lives, and one that began before ours ends.

Where another owner may have forgotten, too, nothing is dropped (`core.rounds.behind`): of several that were put back at
once, or of a whole cluster, what was deleted since may come back, rather than that anything is lost.
"""

from __future__ import annotations

from node.core.ids import Instant, NodeId
from node.core.limits import CATCH_UP_ROWS, CATCH_UP_S, FOUND_AFTER_S
from node.core.rounds import Told, behind
from node.engine.kept import STATE_BEHIND
from node.engine.operation import Operation, PeerRequest, Shared
from node.engine.outbox import Outbox
from node.storage.port import Adopt, Forget, Outcome, Reaped, Refused, Saved, SaveState
from node.wire.messages import AskRounds, RoundsTold
from node.wire.rows import row_digest

UNKNOWN_LIFE = "your present life is not known here yet"
"""Why a member says nothing: it has not heard of it by gossip."""


class CatchUp:
    """This node's way out of not knowing."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self._at: Instant = 0.0
        self._at_it = False
        self._looks_until: Instant | None = None

    @property
    def next_at(self) -> Instant | None:
        """When `tick` wants to run next."""
        cluster = self.shared.cluster
        sealed = cluster.ring is not None and cluster.ring.sealed  # until then it may be a ring from before the others
        return self._at if cluster.behind and sealed and not self._at_it else None

    def tick(self, now: Instant, out: Outbox) -> None:
        """Ask, if there is anything to ask and nobody is at it."""
        at = self.next_at
        if at is not None and now >= at and self._has_looked_around(now):
            self._at_it = True
            LearnRounds(self.shared, self).start(now, out)

    def _has_looked_around(self, now: Instant) -> bool:
        """Whether a store that knows of no other member has waited for one to show itself.

        It may have been put back to before they joined: then their ring is another one, and they know its rounds.
        """
        if self.shared.cluster.others():
            return True
        if self._looks_until is None:
            self._looks_until = now + FOUND_AFTER_S
        self._at = self._looks_until
        return now >= self._looks_until

    def ended(self, again_at: Instant) -> None:
        """One attempt is over; if it did not succeed, the next one is due then."""
        self._at_it = False
        self._at = again_at


class LearnRounds(Operation):
    """One question to everybody. What came within CATCH_UP_S counts, and nothing from before."""

    __slots__ = ("catchup", "told")

    def __init__(self, shared: Shared, catchup: CatchUp) -> None:
        super().__init__(shared)
        self.catchup = catchup
        self.told: dict[NodeId, Told] = {}

    def start(self, now: Instant, out: Outbox) -> None:
        """Ask all who answer; in a cluster of one there is nothing to ask."""
        cluster = self.shared.cluster
        question = AskRounds(self.ticket, cluster.epoch, cluster.me.epochs[-1])
        for member in cluster.others():
            if cluster.is_up(member.id):
                out.send(member.id, question)
        self.shared.timers.set(now + CATCH_UP_S, self.ticket)
        self._look(now, out)

    def rounds_told(self, peer: NodeId, message: RoundsTold, now: Instant, out: Outbox) -> None:
        """A member's word."""
        if not message.refused:
            self.told[peer] = Told(message.whole, dict(message.rounds))
            self._look(now, out)

    def reached(self, now: Instant, out: Outbox) -> None:
        """Not enough was said: ask again."""
        self.end()
        self.catchup.ended(now)
        self.catchup.tick(now, out)

    def _look(self, now: Instant, out: Outbox) -> None:
        shared, cluster = self.shared, self.shared.cluster
        if not cluster.seated:
            return
        owners = [cluster.holders_of(partition) for partition in range(cluster.partitions)]
        missed = behind(shared.rounds, owners, shared.me, self.told)
        wanted = dict.fromkeys(owner for partition in missed.unclear for owner in owners[partition])
        if not self.told:  # not even whether this is the present ring: in that of a copy we may have owned all alone
            wanted |= dict.fromkeys(member.id for member in cluster.others())
        cluster.unheard = tuple(node for node in wanted if node != shared.me and node not in self.told)
        if not missed.unclear and not cluster.unheard:
            self.end()
            DropBehind(shared, self.catchup, missed.later).start(now, out)


class DropBehind(Operation):
    """Drop what is held of partitions whose reaps were missed, and adopt their rounds; then go on as any other."""

    __slots__ = ("catchup", "dropped", "left", "todo")

    def __init__(self, shared: Shared, catchup: CatchUp, later: dict[int, int]) -> None:
        super().__init__(shared)
        self.catchup = catchup
        self.todo = sorted(later.items())
        self.left = 0
        self.dropped = 0

    def start(self, now: Instant, out: Outbox) -> None:
        """The next partition, or, if that was all, the end of not knowing."""
        if self.todo:
            out.scan(self.ticket, self.todo[0][0], self.shared.cluster.partitions, b"", CATCH_UP_ROWS)
        else:
            out.persist(self.ticket, SaveState(STATE_BEHIND, b""))

    def scanned(self, items: tuple[tuple[bytes, bytes], ...], more: bool, now: Instant, out: Outbox) -> None:
        """Some of what is held of the partition; the round is adopted when there is nothing left of it."""
        for key, row in items:
            out.persist(self.ticket, Forget(key, row_digest(key, row)))
        self.left = len(items)
        if items:
            return
        if more:  # damaged rows, which are about to be set aside
            self._give_up(now)
            return
        self.left = 1
        partition, number = self.todo.pop(0)
        out.persist(self.ticket, Adopt(partition, self.shared.cluster.partitions, number))

    def unscanned(self, now: Instant, out: Outbox) -> None:
        """The disk failed."""
        self._give_up(now)

    def persisted(self, outcome: Outcome, now: Instant, out: Outbox) -> None:
        """One is gone, or a round adopted, or all is done."""
        if isinstance(outcome, Refused):  # a full disk
            self._give_up(now)
            return
        if isinstance(outcome, Saved):
            self.end()
            self.catchup.ended(now)
            self.shared.cluster.caught_up()
            self.shared.cluster.note(now, out, "caught_up", rows=self.dropped)
            return
        self.dropped += isinstance(outcome, Reaped) and outcome.dropped
        self.left -= 1
        if not self.left:
            self.start(now, out)

    def _give_up(self, now: Instant) -> None:
        """From the beginning, later."""
        self.end()
        self.catchup.ended(now + CATCH_UP_S)


class ServingRounds(PeerRequest):
    """A member asked, whose new life is on its way to our disk."""

    __slots__ = ()

    def persisted(self, outcome: Outcome, now: Instant, out: Outbox) -> None:
        """From here on we confirm nothing in the name of its former life, whatever happens to us."""
        self.end()
        shared = self.shared
        if isinstance(outcome, Refused):
            out.send(self.peer, RoundsTold(self.rid, False, (), outcome.why.value))
            return
        whole = not (shared.cluster.rebuilding or shared.cluster.behind)
        out.send(self.peer, RoundsTold(self.rid, whole, shared.rounds.table(shared.cluster.partitions), ""))


def serve_rounds(shared: Shared, peer: NodeId, message: AskRounds, out: Outbox) -> bool:
    """Tell our rounds to a store that may have forgotten them. Return whether we know who asks, as it is now."""
    member = shared.cluster.members.get(peer)
    if member is None or member.epochs[-1:] != (message.life,):
        out.send(peer, RoundsTold(message.rid, False, (), UNKNOWN_LIFE))
        return False
    shared.cluster.save_members(out, ServingRounds(shared, peer, message.rid).ticket)
    return True
