"""Laws of `core.vote`: whatever the network and the crashes, an epoch is decided once.

*Decided* is a ring that a majority has accepted, durably, in one ballot: whether anybody knows it or not.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.core.cluster import Ballot, Change, RingState, Vote
from node.core.ids import NodeId
from node.core.vote import NEVER, accept, choose, fresh, majority, promise
from tests.helpers.campaign import scale
from tests.helpers.engine import EPOCH, sealed_ring

NEXT = EPOCH + 1
OLD = sealed_ring(["n1"], partitions=1)


def ring_of(proposer: int, life: int = 0) -> RingState:
    """What a proposer wants: each one, and each of its lives, something else."""
    return OLD._replace(epoch=NEXT, change=Change("join", NodeId(f"{proposer}.{life}")))


class Question(NamedTuple):
    """Prepare, or with a ring Accept. Who asked knows the answer by `rid`."""

    rid: int
    proposer: int
    acceptor: int
    ballot: Ballot
    ring: RingState | None = None


class Answer(NamedTuple):
    """A durable vote, or the ballot that has the promise."""

    rid: int
    proposer: int
    acceptor: int
    vote: Vote
    refused: bool = False


class Acceptor:
    """A voter. It answers once its vote is stored: `unstored` are votes on their way to the disk."""

    def __init__(self) -> None:
        self.vote = self.stored = fresh(None, NEXT)
        self.unstored: list[tuple[Question, Vote]] = []

    def asked(self, question: Question) -> Answer | None:
        ballot, ring = question.ballot, question.ring
        vote = promise(self.vote, ballot) if ring is None else accept(self.vote, ballot, ring)
        if vote is None:
            return Answer(*question[:3], self.vote, refused=True)
        self.vote = vote
        self.unstored.append((question, vote))
        return None

    def store(self) -> Answer | None:
        """The oldest vote is durable, and told."""
        if not self.unstored:
            return None
        question, self.stored = self.unstored.pop(0)
        return Answer(*question[:3], self.stored)

    def crash(self) -> None:
        """Nobody has heard of what was not stored yet."""
        self.vote = self.stored
        self.unstored.clear()

    def forget(self) -> None:
        """What must never happen."""
        self.vote = self.stored = fresh(None, NEXT)


class Proposer:
    """Somebody who wants a ring. It keeps nothing: started again, it begins with the same ballots."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.life = self.seen = self.rid = self.last_rid = 0
        self.said: dict[int, Vote] = {}
        self.ballot = NEVER
        self.ring: RingState | None = None
        self.decided: RingState | None = None

    def crash(self) -> None:
        self.life += 1
        self.seen = self.rid = 0


class World:
    """Acceptors, proposers and what is on its way between them.

    `accepted` has who ever accepted what, durably, and `believed` what proposers ever took for decided.
    """

    def __init__(self, acceptors: int, proposers: int) -> None:
        self.acceptors = [Acceptor() for _ in range(acceptors)]
        self.proposers = [Proposer(number) for number in range(proposers)]
        self.wire: list[Question | Answer] = []
        self.accepted: dict[tuple[Ballot, RingState], set[int]] = {}
        self.believed: list[RingState] = []
        self._last_rid = 0

    def _ask(self, proposer: Proposer, ring: RingState | None = None) -> None:
        self._last_rid += 1
        proposer.rid = proposer.last_rid = self._last_rid
        proposer.said = {}
        number, ballot = proposer.number, proposer.ballot
        self.wire += [Question(self._last_rid, number, at, ballot, ring) for at in range(len(self.acceptors))]

    def propose(self, number: int) -> None:
        proposer = self.proposers[number % len(self.proposers)]
        proposer.seen += 1
        proposer.ballot = Ballot(proposer.seen, NodeId(str(proposer.number)))
        proposer.ring = proposer.decided = None
        self._ask(proposer)

    def _answered(self, answer: Answer) -> None:
        proposer = self.proposers[answer.proposer]
        proposer.seen = max(proposer.seen, answer.vote.promised.number)
        if answer.rid != proposer.rid or answer.refused:
            return
        proposer.said[answer.acceptor] = answer.vote
        if len(proposer.said) < majority(len(self.acceptors)):
            return
        proposer.rid = 0
        if proposer.ring is None:
            proposer.ring = choose(ring_of(proposer.number, proposer.life), proposer.said.values())
            self._ask(proposer, proposer.ring)
        else:
            proposer.decided = proposer.ring
            self.believed.append(proposer.ring)

    def deliver(self, message: Question | Answer) -> None:
        if isinstance(message, Answer):
            self._answered(message)
        else:
            self._told(self.acceptors[message.acceptor].asked(message))

    def store(self, number: int) -> None:
        at = number % len(self.acceptors)
        self._told(self.acceptors[at].store())
        stored = self.acceptors[at].stored
        if stored.accepted is not None and stored.ring is not None:
            self.accepted.setdefault((stored.accepted, stored.ring), set()).add(at)

    def _told(self, answer: Answer | None) -> None:
        self.wire += [answer] if answer is not None else []

    def reach(self, number: int, among: Iterable[int], *, late: bool = False) -> None:
        """What a proposer asks these acceptors now (`late`: what it asked before) arrives, is stored, and answered."""
        rid = self.proposers[number].last_rid
        for kind in Question, Answer:
            for message in [each for each in self.wire if isinstance(each, kind)]:
                if message.proposer == number and message.acceptor in among and (message.rid != rid) is late:
                    self.wire.remove(message)
                    self.deliver(message)
                    self.store(message.acceptor)

    def ballot(self, number: int, promising: Iterable[int], accepting: Iterable[int]) -> RingState | None:
        """One ballot of which these acceptors hear. Return what its proposer believes to be decided."""
        self.propose(number)
        self.reach(number, promising)
        self.reach(number, accepting)
        return self.proposers[number].decided

    def _those(self, bits: int) -> list[int]:
        return [at for at in range(len(self.acceptors)) if bits >> at & 1]

    def do(self, verb: str, number: int, some: int, others: int) -> None:
        """One step of a script. `some` and `others` are sets of acceptors, bit by bit."""
        at, number = some, number % len(self.proposers)
        if verb == "ballot":
            self.ballot(number, self._those(some), self._those(others))
        elif verb == "propose":
            self.propose(number)
        elif verb in ("reach", "late"):
            self.reach(number, self._those(some), late=verb == "late")
        elif verb == "store":
            self.store(at % len(self.acceptors))
        elif verb == "acceptor crashes":
            self.acceptors[at % len(self.acceptors)].crash()
        elif verb == "proposer crashes":
            self.proposers[number].crash()
        elif self.wire:
            at %= len(self.wire)
            message = self.wire[at] if verb == "repeat" else self.wire.pop(at)
            if verb != "lose":
                self.deliver(message)

    def decided(self) -> list[RingState]:
        """Every ring that a majority accepted in one ballot, or of which somebody believes so."""
        need = majority(len(self.acceptors))
        rings = [ring for (_, ring), by in self.accepted.items() if len(by) >= need]
        return list(dict.fromkeys([*rings, *self.believed]))


VERBS = (
    ["ballot"] * 4 + ["propose"] * 2 + ["reach"] * 4 + ["late", "deliver", "lose", "repeat", "store"]
    + ["acceptor crashes", "proposer crashes"]
)  # fmt: skip
SETS = st.integers(0, 31)
SCRIPTS = st.lists(st.tuples(st.sampled_from(VERBS), st.integers(0, 2), SETS, SETS), min_size=16, max_size=40)


@settings(max_examples=scale(600, 2500))
@given(st.sampled_from([3, 1, 2, 3, 4, 5]), st.integers(1, 3), SCRIPTS)
def test_never_are_two_rings_decided(acceptors: int, proposers: int, script: list[tuple[str, int, int, int]]) -> None:
    """Messages in any order, lost or doubled; acceptors go back to what they had stored, proposers to nothing."""
    world = World(acceptors, proposers)
    for step in script:
        world.do(*step)
        assert len(world.decided()) <= 1, script


@pytest.mark.parametrize("acceptors", range(1, 6))
def test_a_majority_that_hears_one_proposer_decides_what_it_wants(acceptors: int) -> None:
    """And fewer decide nothing."""
    enough = range(majority(acceptors))
    for fewer in range(majority(acceptors)):
        assert World(acceptors, 1).ballot(0, range(fewer), range(acceptors)) is None
        assert World(acceptors, 1).ballot(0, enough, range(fewer)) is None
    assert World(acceptors, 1).ballot(0, enough, enough) == ring_of(0)


def test_a_later_proposer_finds_what_was_decided() -> None:
    world = World(3, 2)
    assert world.ballot(0, [0, 1], [0, 1]) == ring_of(0)
    assert world.ballot(1, [1, 2], [1, 2]) == ring_of(0)


@pytest.mark.parametrize(("first", "second"), [(0, 1), (1, 0)])
def test_of_two_rings_that_may_be_decided_the_later_one_is(first: int, second: int) -> None:
    """The first was accepted by one, and the second by a majority that did not hear of it."""
    world = World(3, 3)
    assert world.ballot(first, [0, 1], [0]) is None
    assert world.ballot(second, [1], []) is None, "now it knows how high it has to bid"
    assert world.ballot(second, [1, 2], [1, 2]) == ring_of(second)
    assert world.ballot(2, [1], []) is None
    assert world.ballot(2, [0, 1], [0, 1]) == ring_of(second)


def test_who_accepts_without_having_promised_is_bound_all_the_same() -> None:
    """Else it would take an earlier ring instead of the one that it helped to decide."""
    world = World(3, 3)
    assert world.ballot(0, [0, 1], []) is None
    assert world.ballot(1, [1, 2], [0, 2]) == ring_of(1)
    world.reach(0, [0])
    assert world.ballot(2, [0, 1], [0, 1]) == ring_of(1)


def test_a_proposer_that_has_forgotten_its_ballot_does_not_get_it_twice() -> None:
    """It is no voter, and was started again: what it asked for in its former life is on its way yet."""
    world = World(3, 1)
    assert world.ballot(0, [0, 1], []) is None
    world.proposers[0].crash()
    assert world.ballot(0, [0, 1, 2], [0, 1, 2]) is None, "the same ballot, another ring"
    world.reach(0, [0, 1], late=True)
    assert world.decided() == [ring_of(0)]
    assert world.ballot(0, [1, 2], [1, 2]) == ring_of(0)


@pytest.mark.parametrize(("forgets", "decided"), [(False, [ring_of(0)]), (True, [ring_of(0), ring_of(1)])])
def test_a_voter_that_forgets_what_it_said_lets_an_epoch_be_decided_twice(
    forgets: bool, decided: list[RingState]
) -> None:
    """Why a vote is stored before it is told, and why a store that may have forgotten has none."""
    world = World(3, 2)
    world.ballot(0, [0, 1], [0, 1])
    if forgets:
        world.acceptors[1].forget()
    else:
        world.acceptors[1].crash()
    world.ballot(1, [1, 2], [1, 2])
    assert world.decided() == decided
