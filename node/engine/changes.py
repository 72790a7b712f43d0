"""The life of a change of the ring: who asks for it, who sees it through, who gives it up (design, section 7).

    a member without a seat asks for one itself;  an operator asks any node for the rest
    moving:  the takers take in what they gain (`engine.transfer`), and say in their member record that they hold it
    any voter who sees that all of them do proposes to settle; who misses the newcomer for too long, to abandon

Both ends of a moving epoch are safe at any time that they can be proposed, so it does not matter who proposes which,
and that several do: the ballot decides (`engine.voting`).
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from node.core import change
from node.core.change import Impossible
from node.core.cluster import Change, Member, RingState, Seat
from node.core.ids import Instant, NodeId
from node.core.limits_change import ABANDON_AFTER_S, CHANGE_AGAIN_S, CHANGE_LOOK_S, GIVEN_UP_S, GONE_LINGER_S
from node.core.vote import majority
from node.engine.operation import Shared
from node.engine.outbox import Outbox
from node.engine.seats import Seats
from node.engine.survey import Answers, Survey
from node.engine.voting import Done, Proposal, Voting

Heard = Callable[[str, Instant, Outbox], None]
"""Who of those that we do not hear answers whom, as "n3 answers n2"; "" if nobody does."""


class Changes:
    """This node's part in it. `may_be_decided`: the last proposal of this node failed, and may take effect yet."""

    def __init__(self, shared: Shared, seats: Seats, voting: Voting, rng: Random) -> None:
        self.shared = shared
        self.seats = seats
        self.voting = voting
        self.rng = rng
        self.next_at: Instant = 0.0
        self._again_at: Instant = 0.0
        self.may_be_decided = False
        self._proposal: Proposal | None = None
        self._heard: dict[NodeId, tuple[int, Instant]] = {}
        self._knows: dict[NodeId, int] = {}
        self._leave_at: Instant | None = None
        self._given_up: tuple[int, Instant] = (0, 0.0)
        seats.learned = self.learned

    def start(self, now: Instant) -> None:
        """Begin to look, after a while."""
        self.next_at = now + CHANGE_LOOK_S

    def tick(self, now: Instant, out: Outbox) -> None:
        """Propose what is to be done next, if anything is."""
        if now < self.next_at:
            return
        self.next_at = now + CHANGE_LOOK_S * (0.5 + self.rng.random())
        cluster = self.shared.cluster
        state = cluster.ring
        cluster.save_again(out)
        if state is None or not state.sealed:
            return
        self._listen(now)
        if cluster.gone:
            self._take_leave(state, now, out)
            return
        self.voting.recall(now, out)
        if self._proposal is None and now >= self._again_at:
            wanted = self._wanted(state, now, out)
            if wanted is None:
                return
            dead = change.dead(wanted) if state.before is None else ()
            if dead:
                self._replace_unless_heard(wanted, dead, now, out)
            else:
                self.propose(wanted, self._proposed, now, out)

    def learned(self, peer: NodeId, epoch: int) -> None:
        """A peer has this ring, or a later one."""
        if self.shared.cluster.epoch <= epoch:
            self._knows[peer] = epoch

    def _take_leave(self, state: RingState, now: Instant, out: Outbox) -> None:
        """We are gone: but we tell the others as long as we may be the last who knows, and hand over what we can."""
        seats = [seat.id for seat in state.seats]
        know = sum(self._knows.get(seat, 0) >= state.epoch for seat in seats)
        if self._leave_at is None:
            self._leave_at = now + GONE_LINGER_S
        if know >= majority(len(seats)) and now >= self._leave_at:
            self.shared.cluster.note(now, out, "gone", change=change.words(state))
        else:
            self.seats.tell_all(out)

    def _listen(self, now: Instant) -> None:
        """Remember of whom something was heard, at first or second hand."""
        cluster = self.shared.cluster
        for member in cluster.members.values():
            incarnation, _ = self._heard.get(member.id, (0, now))
            if cluster.is_up(member.id) or member.incarnation > incarnation or member.id not in self._heard:
                self._heard[member.id] = member.incarnation, now

    def silent_s(self, node: NodeId, now: Instant) -> float:
        """For how long nothing was heard of a member."""
        return now - self._heard.get(node, (0, now))[1]

    def _wanted(self, state: RingState, now: Instant, out: Outbox) -> RingState | None:
        """The epoch that this node would have come next; None if it is content."""
        me = self.shared.me
        if state.before is None and me in state.voters and change.is_rotating(state) and self._all_know(state):
            return change.rotated(state)
        if state.before is None:
            return self._my_seat(state, now)
        if me not in state.voters:
            return None
        if not self.shared.cluster.lacking:
            return change.settle(state)
        needed = change.newcomer(state.change) or change.leaver(state.change)
        if needed is not None and self.silent_s(needed, now) >= ABANDON_AFTER_S:
            self._abandon_unless_heard(needed, now, out)
        return None

    def _all_know(self, state: RingState) -> bool:
        """Whether each member that answers has this ring. Who does not gets it with the first word that it says."""
        cluster = self.shared.cluster
        up = [member.id for member in cluster.others() if cluster.is_up(member.id)]
        return all(self._knows.get(node, 0) >= state.epoch for node in up)

    def _abandon_unless_heard(self, needed: NodeId, now: Instant, out: Outbox) -> None:
        """One bad link is not the end of a newcomer that all others hear."""
        self._again_at = now + CHANGE_AGAIN_S
        asked_in = self.shared.cluster.epoch

        def heard(answers: str, then: Instant, effects: Outbox) -> None:
            state = self.shared.cluster.state
            if not answers and state.epoch == asked_in and self._proposal is None:
                self.propose(change.abandon(state), self._proposed, then, effects)

        self.ask_who_hears((needed,), heard, now, out)

    def ask_who_hears(self, nodes: tuple[NodeId, ...], done: Heard, now: Instant, out: Outbox) -> None:
        """Before members are taken for dead: whether anybody hears one of them."""
        names = [self.shared.cluster.name(node) for node in nodes]

        def heard(answers: Answers, then: Instant, effects: Outbox) -> None:
            hears = [
                f"{name} answers {self.shared.cluster.name(each)}"
                for each, answer in answers.items()
                if isinstance(view := answer.get("sees"), dict)
                for name in names
                if view.get(name) == "up"
            ]
            done(min(hears, default=""), then, effects)

        Survey(self.shared, heard).start("status", int(CHANGE_LOOK_S * 1000), now, out)

    def _is_given_up(self, state: RingState, now: Instant) -> bool:
        """Whether our own change was given up lately: others shall have their turn, and a person time to think.

        Not if it was that of a former life of this node: whoever started it again wants it to join.
        """
        given_up = state.change is not None and state.change.kind == change.ABANDON
        if not given_up or self.shared.cluster.joining != state.epoch - 1:
            return False
        epoch, since = self._given_up
        if epoch != state.epoch:
            self._given_up = epoch, since = state.epoch, now
        return now < since + GIVEN_UP_S

    def _my_seat(self, state: RingState, now: Instant) -> RingState | None:
        """A member without a seat asks for one: to start a new, empty node is the explicit join."""
        cluster = self.shared.cluster
        me = cluster.me
        seated = any(seat.id == me.id for seat in state.seats)
        if seated or me.id in state.gone or cluster.rebuilding or cluster.behind or not me.weight:
            return None
        if self._is_given_up(state, now):
            cluster.waiting_because = f"{change.words(state)}; it asks again {GIVEN_UP_S:.0f} s after it learned so"
            return None
        try:
            return change.begin(state, self._how_i_join(), seat_of(me))
        except Impossible as error:
            cluster.waiting_because = f"the ring has no seat for {me.name}: {error}"
            return None

    def _replace_unless_heard(self, wanted: RingState, dead: tuple[NodeId, ...], now: Instant, out: Outbox) -> None:
        """We were told to take the place of a dead node; that we do not hear it does not make it one."""
        cluster = self.shared.cluster
        self._again_at = now + CHANGE_AGAIN_S

        def heard(answers: str, then: Instant, effects: Outbox) -> None:
            if answers:
                cluster.waiting_because = f"{answers}, and only a dead node is replaced"
            elif cluster.epoch + 1 == wanted.epoch and self._proposal is None:
                self.propose(wanted, self._proposed, then, effects)

        self.ask_who_hears(dead, heard, now, out)

    def _how_i_join(self) -> Change:
        """With a share of everybody's, or (--replace) with the place of a member that is gone."""
        cluster, wanted = self.shared.cluster, self.shared.cluster.config.replace
        if not wanted:
            return Change(change.JOIN, cluster.me.id, words=f"join {cluster.me.name}")
        old = next((member for member in cluster.others() if wanted in (member.name, member.id)), None)
        if old is None:
            raise Impossible(f"no member is called {wanted}")
        if cluster.is_up(old.id):
            raise Impossible(f"{wanted} answers, and only a dead node is replaced")
        return replacing(old, cluster.me)

    @property
    def busy(self) -> bool:
        """Whether a proposal of this node is under way."""
        return self._proposal is not None

    def decree(self, decided: RingState, now: Instant, out: Outbox) -> None:
        """Take a ring that nobody voted on: a person answers for that."""
        self.seats.adopt(decided, now, out)
        self.seats.tell_all(out)

    def propose(self, wanted: RingState, done: Done, now: Instant, out: Outbox) -> None:
        """Ask the voters to decide `wanted`; `done` hears what came of it, after it was adopted here."""

        def heard(decided: RingState | None, why: str, then: Instant, effects: Outbox) -> None:
            assert self._proposal is not None, "an answer before the question"
            self.may_be_decided = self._proposal.accepting and decided is None
            self._proposal = None
            if decided is None:
                self._again_at = then + CHANGE_AGAIN_S * (0.5 + self.rng.random())
            elif decided.epoch > self.shared.cluster.epoch:
                self.seats.adopt(decided, then, effects)
                self.seats.tell_all(effects)
            done(decided, why, then, effects)

        self._proposal = Proposal(self.shared, self.voting, wanted, heard)
        self._proposal.start(now, out)

    def _proposed(self, decided: RingState | None, why: str, now: Instant, out: Outbox) -> None:
        cluster = self.shared.cluster
        if decided is None and not any(seat.id == cluster.me.id for seat in cluster.state.seats):
            cluster.waiting_because = f"the ring does not change: {why}"


def replacing(old: Member, new: Member) -> Change:
    """The change in which a new member takes the place of a dead one."""
    return Change(change.REPLACE, old.id, new.id, f"replace {old.name} by {new.name}")


def seat_of(member: Member) -> Seat:
    """The seat that a member would have."""
    return Seat(member.id, member.zone, member.weight)
