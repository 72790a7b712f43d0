"""Deciding an epoch: single-decree Paxos, without a leader (Lamport, "Paxos Made Simple"; design, section 7).

Each epoch after the seal is decided once, by a majority of the voters of the epoch before it. Whoever wants a change
is the proposer of its own ballot:

    prepare(b)    ──► voters    promise to take part in nothing below b, and say what they accepted
    accept(b, r)  ──► voters    accept r, unless they promised a later ballot meanwhile
                                a majority accepted: r is decided, and whoever asks later finds it

If a majority promised and some had accepted a ring already, the proposer must propose that one, of the highest ballot:
it may be decided. So two proposers at once end with one ring; the other is told which.

Here are the decisions, as values; `engine.voting` sends and stores them.
"""

from __future__ import annotations

from collections.abc import Iterable

from node.core.cluster import Ballot, RingState, Vote
from node.core.ids import NodeId

NEVER = Ballot(0, NodeId(""))
"""Below every ballot."""


def fresh(vote: Vote | None, epoch: int) -> Vote:
    """Return what a voter has said about `epoch`: nothing, if its last word was about another one."""
    return vote if vote is not None and vote.epoch == epoch else Vote(epoch, NEVER)


def promise(vote: Vote, ballot: Ballot) -> Vote | None:
    """Return the vote of somebody who was asked to take part in `ballot`; None if a later one has his promise."""
    return vote._replace(promised=ballot) if ballot > vote.promised else None


def accept(vote: Vote, ballot: Ballot, ring: RingState) -> Vote | None:
    """Return the vote of somebody who was asked to accept `ring`; None if a later ballot has his promise.

    He may not have promised this one: what matters is that a majority did, and the proposer vouches for that.
    """
    return Vote(vote.epoch, ballot, ballot, ring) if ballot >= vote.promised else None


def choose(wanted: RingState, promises: Iterable[Vote]) -> RingState:
    """Return what may be proposed after a majority promised: what may be decided already, or else what is `wanted`."""
    accepted = [(vote.accepted, vote.ring) for vote in promises if vote.accepted is not None and vote.ring is not None]
    return max(accepted, key=lambda each: each[0])[1] if accepted else wanted


def majority(voters: int) -> int:
    """Return how many of so many voters decide."""
    return voters // 2 + 1
