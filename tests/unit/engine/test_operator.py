"""What an operator may ask for about several members at once, and what is told while something else is decided."""

from __future__ import annotations

import json
from typing import Any, cast

from node.core import change, ring
from node.engine.documents import ring_document, status_document
from node.engine.events import Measured
from node.engine.operator import _named
from node.engine.plans import SETTLING_S, membership
from node.wire.messages import Answer
from node.wire.requests import Document, Failed
from tests.helpers.engine import Engine, node_id, sealed_ring
from tests.helpers.moving import settled_engine, tell
from tests.helpers.operating import agree, operator, proposals, tell_seated, told, views


def test_several_dead_are_removed_at_once_if_nobody_hears_any_of_them() -> None:
    engine = of_five_two_are_dead()
    alive = told(engine, "REMOVE", "n3", "n2")
    assert isinstance(alive, Failed)
    assert alive.text == "remove n3 n2: n2 answers: to have it hand over what it holds, leave it"
    at_stake = doubtful(engine, "n3", "n4")
    for seen, refusal in ({"n4": "up"}, "n4 answers n2"), ({"n3": "up", "n4": "up"}, "n3 answers n2"):
        ticket = operator(engine, "REMOVE", "n3", "n4", "ACCEPT", at_stake)
        views(engine, n2=seen, n5={})
        refused = engine.replies[ticket]
        assert isinstance(refused, Failed)
        assert refused.text == f"{refusal}: to have it hand over what it holds, leave it"
    ticket = operator(engine, "remove", "n3", "n4", "accept", at_stake)
    views(engine, n2={"n3": "down", "n4": "down"}, n5={})
    agree(engine, "n2", "n5")
    answer = engine.replies[ticket]
    assert isinstance(answer, Document)
    assert json.loads(answer.json)["change"] == "remove n3 n4"
    assert change.dead(engine.node.cluster.state) == (node_id("n3"), node_id("n4"))
    states = {name: membership(engine.node.cluster, node_id(name)) for name in ("n2", "n3", "n4")}
    assert states == {"n2": "up", "n3": "leaving", "n4": "leaving"}


def test_what_may_be_lost_is_accepted_by_its_number_or_nothing_is_done() -> None:
    engine = of_five_two_are_dead()
    at_stake = doubtful(engine, "n3", "n4")
    plan_ticket = operator(engine, "PLAN", "REMOVE", "n3", "n4", "n3")
    views(engine, n2={}, n5={})
    answer = engine.replies[plan_ticket]
    assert isinstance(answer, Document)
    plan = json.loads(answer.json)
    assert (plan["lost"], plan["doubtful"]) == (0, int(at_stake))
    for more in (), ("ACCEPT", "1"):
        refused = told(engine, "REMOVE", "n3", "n4", *more)
        assert isinstance(refused, Failed)
        assert refused.code == "REFUSED"
        assert refused.text.endswith(f": say that this is accepted, with ACCEPT {at_stake}")
    refused = told(engine, "REMOVE", "n3", "ACCEPT", "7")
    assert isinstance(refused, Failed)
    assert refused.text == "nothing is at stake, and not 7 partitions: plan it anew"
    for word in "²", "9" * 5000, "-1":
        refused = told(engine, "REMOVE", "n3", "ACCEPT", word)
        assert isinstance(refused, Failed)
        assert "no member is called" in refused.text
    assert not proposals(engine, "n2")


def test_members_are_given_zones_and_the_documents_tell_those_of_their_seats() -> None:
    """Not those that they were started with."""
    engine = settled_engine()
    tell_seated(engine)
    ticket = operator(engine, "ZONE", "n1", "east", "n3", "west.2")
    agree(engine, "n2", "n3")
    assert isinstance(engine.replies[ticket], Document)
    assert change.words(engine.node.cluster.state) == "zone n1 east n3 west.2"
    tell(engine, change.settle(engine.node.cluster.state))
    zones = {"n1": "east", "n2": "", "n3": "west.2", "n4": ""}
    assert {member["name"]: member["zone"] for member in ring_document(engine.node.cluster)["members"]} == zones  # type: ignore[attr-defined]  # a list
    status = status_document(engine.node.shared, {}, engine.now)
    assert {node["name"]: node["zone"] for node in status["nodes"]} == zones  # type: ignore[attr-defined]  # a list


def test_while_one_change_is_being_decided_another_one_is_told_to_come_again() -> None:
    engine = settled_engine()
    tell_seated(engine)
    operator(engine, "LEAVE", "n3")
    busy = told(engine, "LEAVE", "n2")
    assert isinstance(busy, Failed)
    assert (busy.code, busy.text) == ("BUSY", "another change is being decided here: ask again in a moment")


def test_the_words_of_a_removal_have_a_bound() -> None:
    """They are in the ring, which peers take only with words of so many bytes."""
    assert _named("remove", ["n3", "n4"]) == "remove n3 n4"
    assert _named("remove", [f"node-{number}" for number in range(60)]) == "remove 60 nodes"
    assert _named("remove", ["x" * 240]) == f"remove {'x' * 240}", "as ever"


def of_five_two_are_dead() -> Engine:
    """n1 of a ring of five; n3 and n4 are dead."""
    engine = Engine(nodes=5)
    engine.settle_in(sealed_ring(["n1", "n2", "n3", "n4", "n5"]))
    for name in "n3", "n4":
        engine.down(name)
    engine.clear()
    return engine


def doubtful(engine: Engine, *names: str) -> str:
    stake = change.at_stake(engine.node.cluster.state, tuple(node_id(name) for name in names))
    assert stake.doubtful > 0
    return str(stake.doubtful)


# What a plan says of risk and time -----------------------------------------------------------------------------


def planned(engine: Engine, *words: str, **seen: dict[str, object]) -> dict[str, Any]:
    """The document of a plan, after these nodes have answered with their figures."""
    ticket = operator(engine, "PLAN", *words)
    engine.step(Measured(engine.out.measures[-1], {"keys": 6400, "bytes": 64_000}))
    for name, told_ in seen.items():
        engine.receive(
            name, Answer(engine.out.measures[-1], json.dumps({"keys": 6400, "bytes": 64_000, **told_}).encode())
        )
    engine.wait(2.0)
    answer = engine.replies[ticket]
    assert isinstance(answer, Document)
    return cast("dict[str, Any]", json.loads(answer.json))


def test_a_plan_counts_what_is_at_risk_at_each_step() -> None:
    """By hand, from the two rings: n3 and n4 do not answer, and the other three do."""
    engine = of_five_two_are_dead()
    plan = planned(engine, "REMOVE", "n3", "n4", n2={}, n5={})
    state, dead = engine.node.cluster.state, {node_id("n3"), node_id("n4")}
    lists = ring.preference_lists(state.seats, state.owners, 3)
    hit = [len(dead & set(nodes[:3])) for nodes in lists]
    now = {"short": hit.count(1) + hit.count(2), "one_left": hit.count(2), "none_left": 0, "no_quorum": hit.count(2)}
    nothing = dict.fromkeys(now, 0)
    assert plan["steps"] == [{"step": "now", **now}, {"step": "moving", **now}, {"step": "settled", **nothing}]
    assert plan["votes"] == {"voters": 5, "needed": 3, "up": 3}
    engine.down("n5")
    alone = planned(engine, "REMOVE", "n3", "n4", n2={})
    assert alone["steps"][0]["none_left"] == sum({*dead, node_id("n5")} == set(nodes[:3]) for nodes in lists) > 0
    assert alone["steps"][2] == {"step": "settled", "short": 64, "one_left": 0, "none_left": 0, "no_quorum": 0}
    assert alone["votes"]["up"] == 2


def test_a_plan_names_the_silent_without_whom_it_cannot_end() -> None:
    """Of two dead one is to be removed: what both owned, nobody takes in before the other one answers, or goes, too."""
    engine = of_five_two_are_dead()
    state = engine.node.cluster.state
    pair = {node_id("n3"), node_id("n4")}
    both = sum(pair <= set(nodes[:3]) for nodes in ring.preference_lists(state.seats, state.owners, 3))
    assert planned(engine, "REMOVE", "n3", n2={}, n5={})["waits"] == {"partitions": both, "nodes": ["n4"]}
    assert planned(engine, "REMOVE", "n3", "n4", n2={}, n5={})["waits"] is None
    assert planned(engine, "WEIGHT", "n2", "2", n2={}, n5={})["waits"]["nodes"] == ["n3", "n4"]


def test_while_it_moves_both_rings_need_their_owners() -> None:
    """n5, which gains, is silent: not at risk before, but from then on."""
    engine = Engine(nodes=5)
    engine.settle_in(sealed_ring(["n1", "n2", "n3", "n4"]))
    engine.down("n4")
    n4 = node_id("n4")
    plan = planned(engine, "WEIGHT", "n4", "3", n2={}, n3={})
    state = engine.node.cluster.state
    old = ring.preference_lists(state.seats, state.owners, 3)
    new = ring.preference_lists(*ring.reweigh(state.seats, state.owners, n4, 3, 3), 3)
    short = [[n4 in nodes[:3] for nodes in lists] for lists in (old, new)]
    counted = [sum(short[0]), sum(a or b for a, b in zip(*short, strict=True)), sum(short[1])]
    assert [step["short"] for step in plan["steps"]] == counted
    assert counted[0] < counted[2] <= counted[1]
    assert [step["no_quorum"] for step in plan["steps"]] == [0, 0, 0]


def test_how_long_it_takes_follows_from_what_the_slowest_taker_is_granted() -> None:
    engine = settled_engine()
    tell_seated(engine)
    at_ease = planned(engine, "LEAVE", "n3", n2={}, n3={}, n4={})
    busy = planned(engine, "LEAVE", "n3", n2={"granted_rows_s": 100.0}, n3={}, n4={})
    assert at_ease["pace"]["rows_s"] == round(engine.node.shared.admission.rows_s)
    assert busy["pace"] == {"node": "n2", "rows_s": 100}
    each = 4 * 6400 / (3 * 64)
    (taken,) = [sum(move["partitions"] for move in busy["moves"] if move["to"] == "n2")]
    assert busy["seconds"] == round(SETTLING_S + each * taken / 100, 1)
    assert at_ease["seconds"] < busy["seconds"]
    odd = planned(engine, "LEAVE", "n3", n2={"granted_rows_s": "much"}, n3={"granted_rows_s": -1}, n4={})
    assert odd["seconds"] == at_ease["seconds"]
