"""Real nodes come and go while the cluster holds data, by the commands that a person types: no key is ever missing."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.helpers.cli import dyn
from tests.helpers.cluster import Cluster, Node, ReplyError, eventually

WRITES_AGAIN_S = 15.0
"""What may pass between the death of a newcomer and the next write that is taken: ten seconds it is waited for."""

KEYS = [b"cart:%d" % number for number in range(200)]


def grown(cluster: Cluster, count: int) -> list[Node]:
    """The first nodes of a cluster that has begun to hold data."""
    nodes = cluster.nodes[:count]
    for node in nodes:
        node.start()
    for node in nodes:
        node.ready()
    cluster.settle()
    with nodes[0].connect() as client:
        for key in KEYS:
            assert client("SET", key, b"v-" + key) == b"OK"
    return nodes


def check_keys(*nodes: Node) -> None:
    """Every key is there, whoever is asked: by the owners alone."""
    for node in nodes:
        with node.connect() as client:
            assert [client("DYN.GET", key, "STRICT")[1] for key in KEYS] == [[b"v-" + key] for key in KEYS]


def through(*nodes: Node) -> dict[str, str]:
    return {"DYN_NODES": ",".join(f"127.0.0.1:{node.port}" for node in nodes)}


def members(node: Node) -> list[str]:
    return sorted(member["name"] for member in node.document("RING")["members"])


def test_a_node_joins_leaves_and_a_dead_one_is_replaced(tmp_path: Path) -> None:
    with Cluster(5, tmp_path, start=False) as cluster:
        one, two, three = grown(cluster, 3)
        *_, four, five = cluster
        four.start().ready()
        asked = through(one)
        told = dyn("cluster", "transfers", environ=asked, terminal=True).out
        assert "is settled (join n4)" in told, "ready says that the move is over"
        assert members(one) == ["n1", "n2", "n3", "n4"]

        plan = json.loads(dyn("cluster", "plan", "leave", "n4", "--json", environ=asked).out)
        assert plan["partitions"] == plan["before"]["replicas"]["n4"] == 192
        assert sum(move["partitions"] for move in plan["moves"]) >= 192
        assert (plan["after"]["replicas"], plan["at_risk"]) == (dict.fromkeys(("n1", "n2", "n3"), 256), 0)
        screen = dyn("cluster", "plan", "leave", "n4", "--color", "never", environ=asked, terminal=True).out
        assert screen.splitlines()[-1] == f"dyn cluster commit {plan['id']}"

        left = dyn("cluster", "leave", "n4", "-y", "--wait", environ=through(four))  # the one that goes is asked itself
        begun, settled = plan["epoch"] + 1, plan["epoch"] + 2
        assert (left.status, left.err) == (0, "")
        assert left.out == f"epoch {begun} moves: leave n4\nepoch {settled} is settled: leave n4\n"
        assert four.wait() == 1
        assert "this node is no member any more" in four.log
        assert members(one) == ["n1", "n2", "n3"]
        check_keys(one, two, three)
        stale = dyn("cluster", "commit", plan["id"], "-y", environ=asked)
        assert (stale.status, stale.out) == (9, "")
        assert "plan it anew" in stale.err

        three.kill()
        five.start("--replace", "n3").ready()
        assert members(five) == ["n1", "n2", "n5"]
        check_keys(one, two, five)
        owned = json.loads(dyn("ring", "show", "--json", environ=asked).out)["preference"]
        assert all(sorted(names[:3]) == ["n1", "n2", "n5"] for names in owned)


@pytest.mark.long
def test_a_dead_node_is_removed_and_of_two_the_other_one_by_force(tmp_path: Path) -> None:
    with Cluster(3, tmp_path, start=False) as cluster:
        one, two, three = grown(cluster, 3)
        asked = through(one)
        refused = dyn("cluster", "remove", "n3", "-y", environ=asked)
        assert (refused.status, refused.out) == (9, "")
        assert "n3 answers: to have it hand over what it holds, leave it" in refused.err

        three.kill()
        eventually(lambda: one.document("VIEWS")["views"][0]["sees"]["n3"] == "down", "n3 to be missed")
        assert dyn("cluster", "remove", "n3", "-y", "--wait", environ=asked).status == 0
        assert members(two) == ["n1", "n2"]
        check_keys(one, two)

        two.kill()
        eventually(lambda: one.document("VIEWS")["views"][0]["sees"]["n2"] == "down", "n2 to be missed")
        alone = dyn("cluster", "remove", "n2", "-y", environ=asked)
        assert (alone.status, alone.out) == (6, "")
        assert alone.err.endswith(" If n2 is gone for good: dyn cluster remove n2 --force\n")
        forced = dyn("cluster", "remove", "n2", "--force", "-y", environ=asked)
        assert forced.status == 0
        assert forced.out.endswith(" is settled: remove n2\n")
        assert "what it took alone is lost" in forced.err
        assert members(one) == ["n1"]
        check_keys(one)


@pytest.mark.long
def test_two_dead_of_five_are_removed_at_once_and_of_two_operators_each_has_its_turn(tmp_path: Path) -> None:
    """One after the other neither goes: what both owned has to be heard from two owners, and one is left."""
    with Cluster(5, tmp_path, start=False) as cluster:
        one, two, three, *dead = grown(cluster, 5)
        asked = through(one, two, three)
        for node in dead:
            node.kill()
        eventually(
            lambda: list(one.document("VIEWS")["views"][0]["sees"].values()).count("down") == 2, "two to be missed"
        )
        alone = json.loads(dyn("cluster", "plan", "remove", "n4", "--json", environ=asked).out)
        plan = json.loads(dyn("cluster", "plan", "remove", "n4", "n5", "--json", environ=asked).out)
        assert alone["waits"] == {"partitions": plan["doubtful"], "nodes": ["n5"]}
        assert (plan["lost"], plan["waits"], plan["votes"]) == (0, None, {"voters": 5, "needed": 3, "up": 3})
        assert plan["steps"][0]["no_quorum"] == plan["doubtful"] > 0
        refused = dyn("cluster", "remove", "n4", "n5", "-y", environ=asked)
        assert (refused.status, refused.out) == (9, "")
        accept = f"--accept-loss {plan['doubtful']}"
        assert refused.err.endswith(f"If that is accepted: dyn cluster remove n4 n5 {accept}\n")

        removed = dyn("cluster", "remove", "n4", "n5", *accept.split(), "-y", environ=asked)
        assert (removed.status, removed.out) == (0, f"epoch {plan['epoch'] + 1} moves: remove n4 n5\n")
        second = dyn("cluster", "weight", "n1", "2", "-y", "--wait", environ=through(two))  # while that one moves
        assert (second.status, second.out.splitlines()[-1]) == (0, f"epoch {plan['epoch'] + 4} is settled: weight n1 2")
        waited = f"waits for its turn: epoch {plan['epoch'] + 1} moves: remove n4 n5; "
        assert second.err.startswith(waited) or not second.err, "unless the first one was over by then"
        assert members(three) == ["n1", "n2", "n3"]
        check_keys(one, two, three)
        eventually(lambda: three.document("STATUS")["health"] == "healthy", "the cluster to be healthy")


@pytest.mark.long
def test_a_share_grows_and_what_is_kept_of_the_ring_shows_by_how_much(tmp_path: Path) -> None:
    """With N+1 nodes, so that another weight moves replicas, too."""
    kept = tmp_path / "before.json"
    with Cluster(4, tmp_path / "nodes", start=False) as cluster:
        nodes = grown(cluster, 4)
        asked = through(*nodes)
        assert dyn("ring", "export", "--format", "json", "--file", str(kept), environ=asked).status == 0
        planned = json.loads(dyn("cluster", "weight", "n1", "3", "--dry-run", "--json", environ=asked).out)
        done = dyn("cluster", "commit", planned["id"], "-y", "--wait", "--json", environ=asked)
        assert done.status == 0, done.err
        assert json.loads(done.out) == {
            "schema": "dyn.change/v1", "epoch": planned["epoch"] + 2, "change": "weight n1 3", "state": "settled",
        }  # fmt: skip
        told = json.loads(dyn("ring", "diff", str(kept), "now", "--json", environ=asked).out)
        assert len(told["partitions"]) == planned["partitions"] > 0
        assert {node["name"]: node["replicas"]["b"] for node in told["nodes"]} == planned["after"]["replicas"]
        check_keys(*nodes)
        assert dyn("cluster", "abandon", "-y", environ=asked).status == 9


@pytest.mark.long
@pytest.mark.parametrize("begins", [1, 2])
def test_a_newcomer_that_dies_on_the_way_is_given_up_and_writes_go_on(tmp_path: Path, begins: int) -> None:
    """Of one node and a dead newcomer no write could be had from two: the change must not stand."""
    with Cluster(3, tmp_path, start=False) as cluster:
        nodes = grown(cluster, begins)
        newcomer = cluster.nodes[begins].start()
        eventually(lambda: nodes[0].document("RING")["moving"] or newcomer.ready_line, f"{newcomer.name} to join")
        newcomer.kill()
        began = time.monotonic()

        def taken() -> bool:
            try:
                return bool(nodes[0].send("SET", "after", "it died") == b"OK")
            except ReplyError:
                return False

        eventually(taken, "a write to be taken")
        assert time.monotonic() - began < WRITES_AGAIN_S
        check_keys(*nodes)
        newcomer.start().ready()
        assert members(nodes[0]) == sorted(node.name for node in (*nodes, newcomer))
        check_keys(newcomer)
