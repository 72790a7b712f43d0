"""A voter that was rebuilt gets its vote back when it knows what it may have voted: from whom, and on which epochs."""

from __future__ import annotations

import pytest

from node.core import change
from node.core.cluster import Ballot, Change
from node.core.limits_change import RECALL_S
from node.engine.events import Persisted
from node.engine.voting import MUTE, NO_VOTER, OUTBID
from node.storage.port import Saved
from node.wire.change_messages import Prepare, Voted
from tests.helpers.engine import EPOCH, Engine, node_id
from tests.helpers.moving import JOINED, MOVING, settled_engine, tell


def rebuilt() -> Engine:
    """n1, one of three voters and four members, which has just been rebuilt."""
    engine = settled_engine()
    engine.node.cluster.rebuilding = True
    engine.do(lambda: engine.node.cluster.rebuilt(engine.out))
    engine.clear()
    return engine


def question(engine: Engine) -> Prepare:
    """What it asks the others."""
    engine.wait(RECALL_S)
    asked = [m for m in engine.sent("n2") if isinstance(m, Prepare) and m.recall]
    assert asked, "it asks nobody"
    return asked[-1]


def answer(engine: Engine, name: str, asked: Prepare, **more: object) -> None:
    engine.receive(name, Voted(asked.rid, asked.ballot, None, None, **({"refused": ""} | more)))  # type: ignore[arg-type]  # whatever the test wants


def may_vote(engine: Engine) -> bool:
    return engine.node.voting.refusal("c1", engine.node.cluster.epoch + 1) == ""


def test_it_is_mute_on_the_next_epoch_until_all_other_voters_have_spoken() -> None:
    engine = rebuilt()
    assert engine.node.voting.refusal("c1", EPOCH + 1) == MUTE
    asked = question(engine)
    answer(engine, "n2", asked)
    assert not may_vote(engine)
    answer(engine, "n3", asked)
    assert may_vote(engine)


def test_it_is_mute_on_the_epoch_after_that_too_if_this_one_may_be_decided_and_then_no_more() -> None:
    """Its former life may have been one epoch ahead of all who answer now, and have voted on the next."""
    engine = rebuilt()
    asked = question(engine)
    engine.receive("n2", Voted(asked.rid, asked.ballot, Ballot(3, node_id("n2")), MOVING, ""))
    answer(engine, "n3", asked)
    assert may_vote(engine)
    tell(engine, MOVING)
    engine.clear()
    assert engine.node.voting.refusal("c1", EPOCH + 2) == MUTE
    again = question(engine)
    assert again.epoch == EPOCH + 2
    for name in ("n2", "n3"):
        answer(engine, name, again)
    assert may_vote(engine)
    tell(engine, JOINED)
    assert may_vote(engine), "further than that nobody can have been"


def test_if_no_other_voter_had_accepted_a_ring_it_was_not_ahead_and_votes_on_all_that_follow() -> None:
    """Else a node that dies years later could not be removed without its own word: of three voters the other one is
    not enough, and the vote on the moving epoch comes back only when all others are heard."""
    engine = rebuilt()
    asked = question(engine)
    for name in ("n2", "n3"):
        answer(engine, name, asked)
    tell(engine, MOVING)
    assert may_vote(engine)
    tell(engine, JOINED)
    assert may_vote(engine)


def test_if_one_who_was_asked_has_forgotten_some_itself_it_is_mute_on_the_epoch_after_that_too() -> None:
    """What the two of them decided nobody else need have heard of."""
    engine = rebuilt()
    asked = question(engine)
    answer(engine, "n2", asked, mute=True)
    answer(engine, "n3", asked)
    answer(engine, "n4", asked, refused=NO_VOTER)
    assert may_vote(engine)
    tell(engine, MOVING)
    assert engine.node.voting.refusal("c1", EPOCH + 2) == MUTE


def test_what_it_promised_while_it_asked_it_does_not_take_back() -> None:
    """Another one that recalls counts on that promise: below it nothing is decided any more."""
    engine = rebuilt()
    asked = question(engine)
    higher = Ballot(asked.ballot.number + 5, node_id("n2"))
    engine.receive("n2", Prepare(77, "c1", EPOCH + 1, higher, recall=True))
    for name in ("n2", "n3"):
        answer(engine, name, asked)
    assert engine.node.voting.vote is not None
    assert engine.node.voting.vote.promised == higher
    engine.receive("n3", Prepare(78, "c1", EPOCH + 1, Ballot(higher.number - 1, node_id("n3"))))
    (refused,) = [message for message in engine.sent("n3") if isinstance(message, Voted)]
    assert (refused.promised, refused.refused) == (higher, OUTBID)


def test_that_it_learns_a_later_ring_gives_it_no_vote() -> None:
    """Rebuilt in one epoch, told of the next: it may have voted on the one after that."""
    engine = rebuilt()
    tell(engine, MOVING)
    assert engine.node.voting.refusal("c1", EPOCH + 2) == MUTE


def test_where_another_voter_has_forgotten_too_every_member_is_asked() -> None:
    """Else a majority of copies could never decide anything again."""
    engine = rebuilt()
    asked = question(engine)
    answer(engine, "n2", asked, mute=True)
    answer(engine, "n3", asked)
    assert not may_vote(engine), "n4 may have adopted what n1 and n2 decided"
    answer(engine, "n4", asked, refused=NO_VOTER)
    assert may_vote(engine)


@pytest.mark.parametrize(("recall", "refused"), [(True, ""), (False, MUTE)])
def test_a_mute_voter_tells_others_who_recall_and_nobody_who_decides(recall: bool, refused: str) -> None:
    engine = rebuilt()
    engine.receive("n2", Prepare(5, "c1", EPOCH + 1, Ballot(9, node_id("n2")), recall))
    for ticket, _ in engine.out.persists:
        engine.step(Persisted([(ticket, Saved())]))
    (voted,) = [m for m in engine.sent("n2") if isinstance(m, Voted)]
    assert (voted.refused, voted.mute) == (refused, recall)


def test_what_another_voter_has_accepted_it_takes_for_its_own() -> None:
    engine = rebuilt()
    other = change.begin(engine.node.cluster.state, Change(change.LEAVE, node_id("n3")))
    asked = question(engine)
    engine.receive("n2", Voted(asked.rid, asked.ballot, Ballot(3, node_id("n2")), other, ""))
    answer(engine, "n3", asked)
    vote = engine.node.voting.vote
    assert vote is not None
    assert (vote.ring, vote.accepted, vote.promised) == (other, Ballot(3, node_id("n2")), asked.ballot)
