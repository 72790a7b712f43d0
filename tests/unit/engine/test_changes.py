"""Changes of the ring: who asks for them, who sees them through, who gives them up, and what an operator is told."""

from __future__ import annotations

import json

import pytest

from node.core import change
from node.core.cluster import Change, Vote
from node.core.limits_change import ABANDON_AFTER_S, CHANGE_AGAIN_S, CHANGE_LOOK_S, GONE_LINGER_S
from node.core.vote import NEVER
from node.wire.change_messages import Voted
from node.wire.messages import (
    Gossip,
)
from node.wire.requests import Document, Failed
from tests.helpers.engine import Engine, member, node_id
from tests.helpers.moving import JOINED, MOVES, MOVING, SETTLED, hold, moving_engine, settled_engine, tell
from tests.helpers.operating import agree, operator, proposals, tell_seated, told, views

LOOK_S = CHANGE_LOOK_S * 1.5


def joining(name: str) -> Change:
    return Change(change.JOIN, node_id(name), words=f"join {name}")


def test_a_member_without_a_seat_asks_the_voters_for_one() -> None:
    """To start a new, empty node is the explicit join."""
    engine = settled_engine("n4")
    engine.wait(LOOK_S)
    assert proposals(engine, "n1")
    agree(engine, "n1", "n2")
    assert engine.node.cluster.state == MOVING._replace(change=joining("n4"))
    assert not engine.node.view().ready, "not before the move is settled"


def test_who_takes_a_dead_members_place_leaves_it_as_it_was() -> None:
    engine = settled_engine("n4")
    engine.node.cluster.config = engine.node.cluster.config._replace(replace="n3")
    engine.wait(LOOK_S)
    assert not proposals(engine, "n1"), "n3 answers"
    assert engine.node.view().waiting_because.endswith("n3 answers, and only a dead node is replaced")
    engine.down("n3")
    engine.wait(LOOK_S)
    assert not proposals(engine, "n1"), "it asks the others first"
    views(engine, n1={"n3": "down"}, n2={"n3": "suspect"})
    agree(engine, "n1", "n2")
    assert engine.node.cluster.state.change == Change(change.REPLACE, node_id("n3"), node_id("n4"), "replace n3 by n4")
    assert engine.node.cluster.state.owners == SETTLED.owners


def test_who_comes_to_replace_a_member_that_another_node_hears_waits_and_asks_again() -> None:
    engine = settled_engine("n4")
    engine.node.cluster.config = engine.node.cluster.config._replace(replace="n3")
    engine.down("n3")
    for _ in range(2):
        engine.wait(CHANGE_AGAIN_S + LOOK_S)
        views(engine, n1={"n3": "up"}, n2={"n3": "down"})
        assert engine.node.view().waiting_because == "n3 answers n1, and only a dead node is replaced"
    assert not proposals(engine, "n1")


def test_if_another_change_is_decided_while_a_newcomer_asks_it_proposes_nothing() -> None:
    engine = settled_engine("n4")
    engine.node.cluster.config = engine.node.cluster.config._replace(replace="n3")
    engine.down("n3")
    engine.wait(LOOK_S)
    tell(engine, change.begin(SETTLED, Change(change.LEAVE, node_id("n2"))))
    views(engine, n1={"n3": "down"}, n2={"n3": "down"})
    assert not proposals(engine, "n1")


def test_an_epoch_settles_when_all_who_gain_something_hold_it() -> None:
    engine = moving_engine()
    assert engine.node.cluster.takers == (node_id("n4"),)
    engine.wait(LOOK_S)
    assert not proposals(engine, "n2")
    hold(engine, "n4", MOVES - 1)
    engine.wait(LOOK_S)
    assert not proposals(engine, "n2"), "what it held for an earlier epoch says nothing"
    engine.receive("n4", Gossip("c1", MOVES, True, (member("n4")._replace(holds=MOVES, incarnation=51),), None, False))
    engine.wait(LOOK_S)
    agree(engine, "n2")
    assert engine.node.cluster.state == JOINED


def test_a_newcomer_of_whom_nothing_is_heard_is_given_up() -> None:
    engine = moving_engine()
    engine.wait(LOOK_S)
    engine.down("n4")
    engine.wait(ABANDON_AFTER_S - LOOK_S)
    assert not proposals(engine, "n2")
    engine.wait(2 * LOOK_S)
    views(engine, n2={"n4": "down"}, n3={"n4": "down"})
    agree(engine, "n2")
    assert engine.node.cluster.state == change.abandon(MOVING)
    assert change.words(engine.node.cluster.state) == "given up: join"


def test_a_newcomer_that_another_node_hears_is_not_given_up() -> None:
    """One bad link is not the end of a change that everybody else sees go on."""
    engine = moving_engine()
    engine.wait(LOOK_S)
    engine.down("n4")
    engine.wait(ABANDON_AFTER_S + LOOK_S)
    views(engine, n2={"n4": "up"}, n3={"n4": "down"})
    assert not proposals(engine, "n2")


def test_a_newcomer_of_whom_others_hear_is_waited_for() -> None:
    """Cut off from one voter, it would else be given up by that one again and again."""
    engine = moving_engine()
    engine.wait(LOOK_S)
    engine.down("n4")
    for number in range(4):
        engine.wait(ABANDON_AFTER_S / 2)
        told = member("n4")._replace(incarnation=60 + number)
        engine.receive("n2", Gossip("c1", MOVES, True, (told,), None, False))
        engine.wait(LOOK_S)
    assert not proposals(engine, "n2")


def test_who_has_left_stays_until_a_majority_knows() -> None:
    """It may be the last one who knows of the epoch in which it is gone: the others could not decide it again."""
    engine = settled_engine("n3")
    left = change.settle(change.begin(SETTLED, Change(change.LEAVE, node_id("n3"))))
    tell(engine, left._replace(epoch=left.epoch))
    engine.clear()
    engine.wait(GONE_LINGER_S + LOOK_S)
    engine.wait(GONE_LINGER_S + LOOK_S)
    assert "gone" not in [fact.kind for fact in engine.out.facts]
    engine.receive("n2", Gossip("c1", left.epoch, True, (), None, False))
    engine.receive("n1", Gossip("c1", left.epoch, True, (), None, False))
    engine.wait(LOOK_S)
    assert "gone" in [fact.kind for fact in engine.out.facts]


def test_nobody_who_is_gone_becomes_a_member_again_by_gossip() -> None:
    engine = settled_engine()
    left = change.settle(change.begin(SETTLED, Change(change.LEAVE, node_id("n3"))))
    tell(engine, left)
    assert node_id("n3") not in engine.node.cluster.members
    engine.receive("n2", Gossip("c1", left.epoch, True, (member("n3")._replace(incarnation=99),), None, False))
    assert node_id("n3") not in engine.node.cluster.members


def test_an_operator_is_told_what_was_decided() -> None:
    engine = settled_engine()
    tell_seated(engine)
    ticket = operator(engine, "LEAVE", "n3")
    agree(engine, "n2", "n3")
    answer = engine.replies[ticket]
    assert isinstance(answer, Document)
    document = json.loads(answer.json)
    assert (document["epoch"], document["change"], document["state"]) == (MOVES + 2, "leave n3", "moving")


def test_of_two_operators_at_once_one_is_told_what_the_other_did() -> None:
    engine = settled_engine()
    tell_seated(engine)
    ticket = operator(engine, "LEAVE", "n3")
    other = change.begin(JOINED, Change(change.LEAVE, node_id("n2"), words="leave n2"))
    (prepare,) = proposals(engine, "n2")
    del engine.out.sends[node_id("n2")]
    accepted = Vote(prepare.epoch, NEVER._replace(number=1), NEVER._replace(number=1), other)
    engine.receive("n2", Voted(prepare.rid, prepare.ballot, accepted.accepted, other, ""))
    agree(engine, "n2", "n3")
    refused = engine.replies[ticket]
    assert isinstance(refused, Failed)
    assert refused.code == "REFUSED"
    assert "another change was decided first" in refused.text
    assert "leave n2" in refused.text


def test_without_a_majority_nothing_changes_and_the_operator_is_told_who_is_missing() -> None:
    engine = settled_engine()
    tell_seated(engine)
    ticket = operator(engine, "LEAVE", "n4")
    agree(engine)
    engine.wait(1.1)
    failed = engine.replies[ticket]
    assert isinstance(failed, Failed)
    assert failed.code == "UNAVAILABLE"
    assert failed.text.startswith("membership cannot change here: 1 of the 3 voters needed agree (no answer from")


@pytest.mark.parametrize("words", [("REMOVE", "n3"), ("REPLACE", "n3", "n5")], ids=" ".join)
def test_nobody_is_taken_for_dead_whom_another_node_hears(words: tuple[str, ...]) -> None:
    """A bad link of the one node that was asked is no reason: what a live one holds for others would go with it."""
    engine = with_a_spare()
    engine.down("n3")
    ticket = operator(engine, *words)
    assert not proposals(engine, "n2")
    views(engine, n2={"n3": "down"}, n4={"n3": "up"}, n5={"n3": "down"})
    refused = engine.replies[ticket]
    assert isinstance(refused, Failed)
    assert (refused.code, refused.text) == ("REFUSED", "n3 answers n4: to have it hand over what it holds, leave it")
    assert not proposals(engine, "n2")


@pytest.mark.parametrize("words", [("REMOVE", "n3"), ("REPLACE", "n3", "n5")], ids=" ".join)
def test_whom_nobody_hears_is_taken_for_dead(words: tuple[str, ...]) -> None:
    """Who does not say whom it hears does not count: else of two that died neither could be removed."""
    engine = with_a_spare()
    engine.down("n3")
    ticket = operator(engine, *words)
    views(engine, n2={"n3": "suspect"})
    assert not proposals(engine, "n2"), "there is time for the others"
    engine.wait(CHANGE_LOOK_S + 0.02)
    agree(engine, "n2", "n4")
    assert isinstance(engine.replies[ticket], Document)
    assert change.dead(engine.node.cluster.state) == (node_id("n3"),)


def test_if_another_change_is_decided_while_it_asks_nothing_is_proposed() -> None:
    engine = with_a_spare()
    engine.down("n3")
    ticket = operator(engine, "REMOVE", "n3")
    tell(engine, change.begin(JOINED, Change(change.LEAVE, node_id("n4"))))
    views(engine, n2={"n3": "down"}, n4={"n3": "down"}, n5={"n3": "down"})
    refused = engine.replies[ticket]
    assert isinstance(refused, Failed)
    assert (refused.code, refused.text) == ("REFUSED", "another change was decided first: plan it anew")
    assert not proposals(engine, "n2")


def with_a_spare() -> Engine:
    """n1, one of four with a seat; n5 is a member without."""
    engine = Engine(nodes=5)
    engine.settle_in(JOINED)
    return engine


REFUSALS = [
    (("LEAVE", "n9"), "REFUSED", "no member is called n9; there are n1, n2, n3, n4"),
    (("REMOVE", "n3"), "REFUSED", "n3 answers: to have it hand over what it holds, leave it"),
    (("REPLACE", "n3", "n4"), "REFUSED", "n3 answers"),
    (("REMOVE", "n3", "FORCE"), "REFUSED", "n3 answers"),
    (("WEIGHT", "n3", "0"), "REFUSED", "the weight must be 1 to 1000"),
    (("WEIGHT", "n3", "²"), "ERR", "DYN.CLUSTER PLAN"),
    (("ZONE", "n3", "a b"), "REFUSED", "letters, digits, dot, dash"),
    (("ZONE", "n3", ""), "REFUSED", "letters, digits, dot, dash"),
    (("ZONE", "n3", "a" * 64), "REFUSED", "letters, digits, dot, dash"),
    (("ZONE", "n9", "a"), "REFUSED", "no member is called n9"),
    (("ZONE", "n3", "a", "n3", "b"), "REFUSED", "n3 is named twice"),
    (("ZONE", "n3", "a", "n4"), "ERR", "DYN.CLUSTER PLAN"),
    (("ABANDON",), "REFUSED", "nothing is moving"),
    (("LEAVE", "n3", "EPOCH", "3"), "REFUSED", "that was meant for epoch 3, and the ring is in 9: plan it anew"),
    (("LEAVE",), "ERR", "DYN.CLUSTER PLAN"),
    (("COMMIT", "nonsense"), "ERR", "DYN.CLUSTER PLAN"),
    ((), "ERR", "DYN.CLUSTER PLAN"),
]


@pytest.mark.parametrize(("words", "code", "text"), REFUSALS, ids=[" ".join(words) for words, _, _ in REFUSALS])
def test_what_cannot_be_done_is_refused_in_one_sentence(words: tuple[str, ...], code: str, text: str) -> None:
    engine = settled_engine()
    tell_seated(engine)
    failed = told(engine, *words)
    assert isinstance(failed, Failed)
    assert (failed.code, text in failed.text) == (code, True), failed.text


def test_the_last_of_two_removes_the_other_by_force_and_alone() -> None:
    """A person answers for that: the other one may be alive, and go on under the old ring."""
    engine = settled_engine()
    two = change.settle(change.begin(SETTLED, Change(change.LEAVE, node_id("n3"))))
    tell(engine, two)
    engine.down("n2")
    engine.clear()
    ticket = operator(engine, "REMOVE", "n2", "FORCE")
    assert isinstance(engine.replies[ticket], Document)
    ring = engine.node.cluster.state
    assert ([seat.id for seat in ring.seats], ring.before, ring.gone[-1]) == ([node_id("n1")], None, node_id("n2"))


def test_of_three_nobody_is_removed_by_force() -> None:
    engine = settled_engine()
    engine.down("n2")
    failed = told(engine, "REMOVE", "n2", "FORCE")
    assert isinstance(failed, Failed)
    assert "force is for the last of two voters" in failed.text


def test_a_plan_says_what_moves_and_its_id_does_just_that() -> None:
    engine = settled_engine()
    tell_seated(engine)
    ticket = operator(engine, "PLAN", "LEAVE", "n3")
    engine.wait(2.0)
    answer = engine.replies[ticket]
    assert isinstance(answer, Document)
    plan = json.loads(answer.json)
    assert plan["id"] == "LEAVE:n3:EPOCH:9"
    assert {move["to"] for move in plan["moves"]} == {"n1", "n2", "n4"}
    assert all(move["from"] != move["to"] for move in plan["moves"])
    assert plan["after"]["partitions"].get("n3", 0) == 0
    engine.clear()
    commit = operator(engine, "COMMIT", plan["id"])
    agree(engine, "n2", "n3")
    assert isinstance(engine.replies[commit], Document)
    assert engine.node.cluster.state.change == Change(change.LEAVE, node_id("n3"), words="leave n3")
    late = told(engine, "COMMIT", plan["id"])
    assert isinstance(late, Failed)
    assert late.code == "REFUSED"
