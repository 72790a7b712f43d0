"""`dyn ring simulate`: the numbers are those of the ring that nodes would decide, and no node is asked without need."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from node.core.moves import plan
from tests.helpers.cli import dyn
from tests.helpers.fake_node import fake_node
from tests.helpers.rings import Grown, grow


def simulated(*words: str) -> dict[str, Any]:
    """The document; whoever is asked for it refuses connections."""
    result = dyn("ring", "simulate", *words, "-o", "json")
    assert result.status == 0, result.err
    document: dict[str, Any] = json.loads(result.out)
    return document


def members(grown: Grown) -> list[dict[str, Any]]:
    return [
        {"name": f"n{i}", "id": seat.id, "zone": seat.zone, "weight": seat.weight, "owns": True}
        for i, seat in enumerate(grown.seats, 1)
    ]


def ring(grown: Grown) -> dict[str, Any]:
    """The DYN.RING document of a ring."""
    names = {seat.id: f"n{i}" for i, seat in enumerate(grown.seats, 1)}
    owners = [names[grown.seats[owner].id] for owner in grown.owners]
    return {"members": members(grown), "owners": owners, "n": 3, "epoch": 4, "partitions": len(owners)}


def test_a_join_is_what_nodes_would_make_of_it() -> None:
    """The same owners, and every move that their plan has."""
    *_, before, after = grow(256, 3, 6)
    document = simulated("--nodes", "5", "--add", "1", "--keys", "1000000")
    names = {seat.id: f"n{i}" for i, seat in enumerate(after.seats, 1)}
    assert document["ring"]["owners"] == [names[after.seats[owner].id] for owner in after.owners]
    moves = plan(before.lists, after.lists, 3)
    (step,) = document["steps"]
    assert (step["change"], step["moves"], document["moves"]) == ("n6 joins", len(moves), len(moves))
    assert step["least"] == after.balance.replicas[after.seats[-1].id]
    assert document["keys"]["rows_moved"] == round(1_000_000 * len(moves) / 256)
    gains = Counter(names[move.gains] for move in moves)
    gives = Counter(names[move.loses] for move in moves if move.loses is not None)
    for node in document["nodes"]:
        assert (node["gains"], node["gives"]) == (gains[node["name"]], gives[node["name"]])
        assert node["replicas"]["after"] - node["replicas"]["before"] == node["gains"] - node["gives"]


def test_it_begins_with_the_cluster_that_is_asked() -> None:
    """Its owners as they are, whatever a new ring would be; a member without a seat has no part in it."""
    *_, grown = grow(64, 3, 4)
    document = ring(grown)
    document["members"].append({"name": "late", "id": "f" * 32, "zone": "", "weight": 1, "owns": False})
    with fake_node(DYN_RING=document) as node:
        told = json.loads(dyn("ring", "simulate", "--remove", "n2", "-o", "json", node=node).out)
    before = {each["name"]: each["primaries"]["before"] for each in told["nodes"]}
    assert before == dict(Counter(document["owners"]))
    assert {each["name"]: each["primaries"]["after"] for each in told["nodes"]}["n2"] == 0
    assert "n2" not in told["ring"]["owners"]


def test_changes_are_steps_in_their_order_and_no_name_is_used_twice() -> None:
    told = simulated("--nodes", "4", "--zones", "a,b", "--add", "2", "--weight", "n1=3", "--remove", "n4")
    assert [step["change"] for step in told["steps"]] == ["n4 leaves", "n1 weighs 3", "n5 joins", "n6 joins"]
    zones = {node["name"]: node["zone"] for node in told["nodes"]}
    assert zones == {"n1": "a", "n2": "b", "n3": "a", "n4": "b", "n5": "a", "n6": "b"}
    assert told["moves"] == sum(step["moves"] for step in told["steps"])


def test_without_a_change_it_shows_the_ring() -> None:
    told = simulated("--nodes", "3", "--partitions", "8", "--replicas", "2")
    assert (told["steps"], told["moves"], told["ring"]["partitions"], told["ring"]["n"]) == ([], 0, 8, 2)
    assert len(dyn("ring", "simulate", "--nodes", "3", "-o", "plain").out.splitlines()) == 4


@pytest.mark.parametrize("words", [("--nodes", "5", "--add", "1"), ("--nodes", "64", "--zones", "a,b,c", "--add", "1")])
def test_the_screen_fits_80_columns_and_cuts_only_nodes_that_change_least(words: tuple[str, ...]) -> None:
    words = (*words, "--color", "never")
    lines = dyn("ring", "simulate", *words, "--keys", "1000000", terminal=True).out.splitlines()
    assert max(map(len, lines)) <= 80
    nodes = int(words[1]) + 1
    cut = [line for line in lines if "more, that change less: -o wide" in line]
    assert bool(cut) == (nodes > 24)
    assert any(line.startswith(f"n{nodes}") for line in lines), "the one that gains is shown"
    wide = dyn("ring", "simulate", *words, "-o", "wide", terminal=True).out.splitlines()
    assert sum(line.startswith("n") and not line.startswith("n6 joins") for line in wide) >= nodes


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--nodes", "257"), "more than a cluster may have"),
        (("--nodes", "255", "--partitions", "1024", "--add", "2"), "more than a cluster may have"),
        (("--nodes", "4", "--partitions", "100"), "a power of two"),
        (("--nodes", "4", "--partitions", "8192"), "more than a cluster may have"),
        (("--nodes", "4", "--replicas", "17"), "more than a cluster may have"),
        (("--partitions", "64"), "the cluster's own"),
        (("--nodes", "4", "--remove", "n9"), "no node 'n9'"),
        (("--nodes", "1", "--remove", "n1"), "the last node"),
        (("--nodes", "4", "--weight", "n1"), "is no weight"),
        (("--nodes", "4", "--weight", "n1=0"), "is no weight"),
        (("--nodes", "4", "--weight", "n1=1001"), "is no weight"),
        (("--nodes", "4", "--weight", "n7=2"), "no node 'n7'"),
        (("--nodes", "0"), "not 1 or more"),
    ],
)
def test_what_cannot_be_is_said(words: tuple[str, ...], said: str) -> None:
    result = dyn("ring", "simulate", *words)
    assert result.status == (3 if said.startswith("no node") else 2)
    assert said in result.err
    assert not result.out


def test_who_leaves_makes_room_for_who_joins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dynamo_cli.commands.simulate.MEMBERS_MAX", 4)
    assert dyn("ring", "simulate", "--nodes", "4", "--remove", "n1", "--add", "1").status == 0
    assert dyn("ring", "simulate", "--nodes", "4", "--add", "1").status == 2
