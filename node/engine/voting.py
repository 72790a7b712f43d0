"""Deciding the next epoch with the voters of this one (`core.vote` has the rules): asking, and being asked.

    Proposal ── Prepare ──► voters ── promise, durably ──► Voted ── a majority ──► Accept ──► voters
                                                                                      │ accept, durably
             decided: whoever proposed adopts it, and tells everybody ◄── a majority ─┘

A vote belongs to a store, under a ring that is durable there. One that may have forgotten what it said has none until
it was rebuilt, and is *mute* then: its word may be what decided the next epoch, or the one after that. It has its vote
on an epoch back once all other voters have promised it to take part in nothing below a new ballot (`Recall`): whatever
its old word could still decide, one of them has accepted, and tells. If nobody has, that epoch was not decided, and it
cannot have voted on the one after it; else it recalls that, too. If one of those is mute itself, all members are asked:
an epoch that was decided, and that nobody has adopted, may as well not have been.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from node.core.cluster import Ballot, RingState, Vote
from node.core.ids import Instant, NodeId
from node.core.limits_change import BALLOT_S, RECALL_S
from node.core.vote import NEVER, accept, choose, fresh, majority, promise
from node.engine.operation import NO_TICKET, Operation, PeerRequest, Shared
from node.engine.outbox import Outbox
from node.storage.port import Outcome, Refusal, Refused, Saved, SaveState
from node.wire.change_messages import Accept, Prepare, Voted
from node.wire.messages import (
    REBUILDING,
)

STATE_VOTE = "vote"

OUTBID = "promised to a later ballot"
"""Refusal: somebody else is at it."""

NO_VOTER = "no voter"

MUTE = "it was rebuilt, and may have voted on this before"
"""Refusal: its word is void until it knows what that was."""

_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Vote)


class Voting:
    """This node's vote. `seen` is the highest ballot it has heard of: its own next one goes beyond that."""

    def __init__(self, shared: Shared, state: Mapping[str, bytes]) -> None:
        self.shared = shared
        self.vote = _decoder.decode(state[STATE_VOTE]) if state.get(STATE_VOTE) else None
        self.seen = self.vote.promised.number if self.vote is not None else 0
        self._recall_at: Instant = 0.0

    def refusal(self, cluster_id: str, epoch: int) -> str:
        """Why this node has no vote on `epoch`; "" if it has."""
        cluster = self.shared.cluster
        state = cluster.ring
        if state is None or not state.sealed or state.cluster_id != cluster_id:
            return "no member of that cluster"
        if epoch != state.epoch + 1 or not cluster.fenced:  # else a crash might have it vote once more on its ring
            return Refusal.EPOCH.value
        if cluster.me.id not in state.voters:
            return NO_VOTER
        if cluster.rebuilding:
            return REBUILDING
        return MUTE if self._is_mute(epoch) else ""

    def _is_mute(self, epoch: int) -> bool:
        cluster = self.shared.cluster
        return epoch <= cluster.mute_until and epoch != cluster.recalled and len(cluster.state.voters) > 1

    def promise(self, epoch: int, ballot: Ballot, ticket: int, out: Outbox) -> Vote | None:
        """Promise to take part in this ballot, and store that; None if a later one has the promise."""
        return self._keep(promise(fresh(self.vote, epoch), ballot), ticket, out)

    def accept(self, ballot: Ballot, ring: RingState, ticket: int, out: Outbox) -> Vote | None:
        """Accept a ring, and store that; None if a later ballot has the promise."""
        return self._keep(accept(fresh(self.vote, ring.epoch), ballot, ring), ticket, out)

    def _keep(self, vote: Vote | None, ticket: int, out: Outbox) -> Vote | None:
        if vote is not None:
            self.vote = vote
            self.saw(vote.promised)
            out.persist(ticket, SaveState(STATE_VOTE, _encode(vote)))
        return vote

    def recall_again(self, now: Instant) -> None:
        """Somebody else was at it: the next attempt goes beyond that."""
        self._recall_at = min(self._recall_at, now + BALLOT_S)

    def recalled(self, vote: Vote, out: Outbox, *, unsure: bool) -> None:
        """This is what our vote must be taken for; from here on it counts. What was promised meanwhile holds, too.

        They are all in the epoch before; the former life of this store may have been one ahead, and have voted on the
        next one, too, but only if this one was decided: then another voter has accepted it, and says so, if it is sure.
        """
        promised = max(vote.promised, fresh(self.vote, vote.epoch).promised)
        self._keep(vote._replace(promised=promised), NO_TICKET, out)
        decided = unsure or vote.accepted is not None
        self.shared.cluster.speaks_again(vote.epoch, vote.epoch + decided, out)

    def saw(self, ballot: Ballot) -> None:
        """There is such a ballot."""
        self.seen = max(self.seen, ballot.number)

    def recall(self, now: Instant, out: Outbox) -> None:
        """Find out what this store may have voted on, if it does not know; seldom, as that outbids who is at it."""
        cluster = self.shared.cluster
        if now >= self._recall_at and self.refusal(cluster.cluster_id, cluster.epoch + 1) == MUTE:
            self._recall_at = now + RECALL_S
            Recall(self.shared, self).start(now, out)

    # What proposers ask --------------------------------------------------------------------------------------

    def prepare_asked(self, peer: NodeId, message: Prepare, now: Instant, out: Outbox) -> bool:
        """A proposer wants a promise. Return whether both have the same ring; if not they should compare."""
        self.saw(message.ballot)
        why = self.refusal(message.cluster_id, message.epoch)
        if not why or (message.recall and why == MUTE):
            serving = ServingVote(self.shared, peer, message.rid, mute=why == MUTE)
            why = ""
            serving.vote = self.promise(message.epoch, message.ballot, serving.ticket, out)
            if serving.vote is not None:
                return True
            serving.end()
        self._refuse(peer, message.rid, why, message.epoch, out)
        return why != Refusal.EPOCH.value

    def accept_asked(self, peer: NodeId, message: Accept, now: Instant, out: Outbox) -> bool:
        """A proposer, to whom a majority promised, wants its ring accepted. As `prepare_asked`."""
        why = self.refusal(message.cluster_id, message.ring.epoch)
        if not why and message.ring.cluster_id != message.cluster_id:
            why = "a ring of another cluster"
        if not why:
            serving = ServingVote(self.shared, peer, message.rid)
            serving.vote = self.accept(message.ballot, message.ring, serving.ticket, out)
            if serving.vote is not None:
                return True
            serving.end()
        self._refuse(peer, message.rid, why, message.ring.epoch, out)
        return why != Refusal.EPOCH.value

    def _refuse(self, peer: NodeId, rid: int, why: str, epoch: int, out: Outbox) -> None:
        promised = NEVER if why else fresh(self.vote, epoch).promised
        out.send(peer, Voted(rid, promised, None, None, why or OUTBID))


class ServingVote(PeerRequest):
    """A proposer's question, whose answer is on its way to our disk."""

    __slots__ = ("mute", "vote")

    def __init__(self, shared: Shared, peer: NodeId, rid: int, *, mute: bool = False) -> None:
        super().__init__(shared, peer, rid)
        self.mute = mute
        self.vote: Vote | None = None

    def persisted(self, outcome: Outcome, now: Instant, out: Outbox) -> None:
        """It is durable: say it."""
        self.end()
        assert self.vote is not None, "an answer without a vote"
        if isinstance(outcome, Saved):
            vote = self.vote
            out.send(self.peer, Voted(self.rid, vote.promised, vote.accepted, vote.ring, "", self.mute))
        else:
            why = outcome.why.value if isinstance(outcome, Refused) else "not stored"
            out.send(self.peer, Voted(self.rid, NEVER, None, None, why))


class Recall(Operation):
    """A voter that was rebuilt asks all others what was voted on the next epoch.

    `said` are voters, `others` members without a vote; `unsure`: a voter that answered has forgotten some, too.
    """

    __slots__ = ("ballot", "epoch", "others", "said", "unsure", "voters", "voting")

    def __init__(self, shared: Shared, voting: Voting) -> None:
        super().__init__(shared)
        state = shared.cluster.state
        self.voting = voting
        self.epoch = state.epoch + 1
        self.voters = tuple([voter for voter in state.voters if voter != shared.me])
        self.ballot = Ballot(voting.seen + 1, shared.me)
        voting.saw(self.ballot)
        self.said: dict[NodeId, Vote] = {}
        self.others: dict[NodeId, None] = {}
        self.unsure = False

    def start(self, now: Instant, out: Outbox) -> None:
        """Ask for their promises."""
        cluster = self.shared.cluster
        self.shared.timers.set(now + BALLOT_S, self.ticket)
        question = Prepare(self.ticket, cluster.cluster_id, self.epoch, self.ballot, recall=True)
        for node in dict.fromkeys((*self.voters, *(member.id for member in cluster.others()))):
            out.send(node, question)

    def voted(self, peer: NodeId, message: Voted, now: Instant, out: Outbox) -> None:
        """One of them."""
        self.voting.saw(message.promised)
        if message.refused == NO_VOTER:
            self.others[peer] = None
        elif message.refused:
            self.end()
            if message.refused == OUTBID:
                self.voting.recall_again(now)
            return
        elif peer in self.voters:
            self.said[peer] = Vote(self.epoch, message.promised, message.accepted, message.ring)
            self.unsure = self.unsure or message.mute
        if len(self.said) < len(self.voters) or (self.unsure and not self._have_all_answered()):
            return
        self.end()
        accepted = max(self.said.values(), key=lambda vote: vote.accepted or NEVER)
        self.voting.recalled(accepted._replace(promised=self.ballot), out, unsure=self.unsure)

    def _have_all_answered(self) -> bool:
        return all(member.id in self.said or member.id in self.others for member in self.shared.cluster.others())

    def ring_changed(self, now: Instant, out: Outbox) -> None:
        """It was decided."""
        self.end()

    def reached(self, now: Instant, out: Outbox) -> None:
        """Not everybody has answered: another time."""
        self.end()


Done = Callable[[RingState | None, str, Instant, Outbox], None]
"""What to do with the ring that was decided; or with None, and why there is none (yet)."""


class Proposal(Operation):
    """One ballot for the next epoch. `accepting`: a majority promised, and `ring` may be decided from here on."""

    __slots__ = ("accepting", "ballot", "done", "refusals", "ring", "said", "voters", "voting")

    def __init__(self, shared: Shared, voting: Voting, wanted: RingState, done: Done) -> None:
        super().__init__(shared)
        state = shared.cluster.state
        assert wanted.epoch == state.epoch + 1, "one epoch after the other"
        self.voting = voting
        self.ring = wanted
        self.done = done
        self.voters = state.voters
        self.ballot = Ballot(voting.seen + 1, shared.me)
        voting.saw(self.ballot)
        self.accepting = False
        self.said: dict[NodeId, Vote] = {}
        self.refusals: dict[NodeId, str] = {}

    def start(self, now: Instant, out: Outbox) -> None:
        """Ask all voters for their promise."""
        self.shared.timers.set(now + BALLOT_S, self.ticket)
        state = self.shared.cluster.state
        prepare = Prepare(self.ticket, state.cluster_id, self.ring.epoch, self.ballot)
        for voter in self.voters:
            if voter != self.shared.me:
                out.send(voter, prepare)
            elif why := self.voting.refusal(state.cluster_id, self.ring.epoch):
                self.refusals[voter] = why
            else:
                self.voting.promise(self.ring.epoch, self.ballot, self.ticket, out)
        self._look(now, out)

    def persisted(self, outcome: Outcome, now: Instant, out: Outbox) -> None:
        """Our own word is durable; unless we have given it to a later ballot meanwhile."""
        vote = self.voting.vote
        if isinstance(outcome, Saved) and vote is not None and vote.promised == self.ballot:
            self.said[self.shared.me] = vote
        else:
            self.refusals[self.shared.me] = outcome.why.value if isinstance(outcome, Refused) else OUTBID
        self._look(now, out)

    def voted(self, peer: NodeId, message: Voted, now: Instant, out: Outbox) -> None:
        """A voter's word."""
        self.voting.saw(message.promised)
        if peer not in self.voters:
            return
        told, wanted = message.ring, self.ring
        strange = told is not None and (told.cluster_id, told.epoch) != (wanted.cluster_id, wanted.epoch)
        if message.refused or strange:
            self.refusals[peer] = message.refused or "answered something else"
        else:
            self.said[peer] = Vote(self.ring.epoch, message.promised, message.accepted, message.ring)
        self._look(now, out)

    def _look(self, now: Instant, out: Outbox) -> None:
        """Whether a majority has spoken, or cannot any more."""
        need = majority(len(self.voters))
        if len(self.said) >= need:
            if self.accepting:
                self._finish(self.ring, "", now, out)
            else:
                self._ask_to_accept(now, out)
        elif len(self.voters) - len(self.refusals) < need:
            self._finish(None, self._why(), now, out)

    def _ask_to_accept(self, now: Instant, out: Outbox) -> None:
        self.ring = choose(self.ring, self.said.values())
        self.accepting = True
        self.said, self.refusals = {}, {}
        self.renew()
        self.shared.timers.set(now + BALLOT_S, self.ticket)
        accept = Accept(self.ticket, self.ring.cluster_id, self.ballot, self.ring)
        for voter in self.voters:
            if voter != self.shared.me:
                out.send(voter, accept)
            elif why := self.voting.refusal(self.ring.cluster_id, self.ring.epoch):
                self.refusals[voter] = why
            elif self.voting.accept(self.ballot, self.ring, self.ticket, out) is None:
                self.refusals[voter] = OUTBID
        self._look(now, out)

    def ring_changed(self, now: Instant, out: Outbox) -> None:
        """It was decided, by somebody."""
        self._finish(None, "another change was decided first", now, out)

    def reached(self, now: Instant, out: Outbox) -> None:
        """Too few have answered."""
        self._finish(None, self._why(), now, out)

    def _why(self) -> str:
        name, need = self.shared.cluster.name, majority(len(self.voters))
        silent = [name(voter) for voter in self.voters if voter not in self.said and voter not in self.refusals]
        refused = [f"{name(voter)}: {why}" for voter, why in self.refusals.items()]
        words = "; ".join(refused + ([f"no answer from {', '.join(silent)}"] if silent else []))
        return f"{len(self.said)} of the {need} voters needed agree ({words})"

    def _finish(self, decided: RingState | None, why: str, now: Instant, out: Outbox) -> None:
        self.end()
        self.done(decided, why, now, out)
