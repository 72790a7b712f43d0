"""Five real nodes, of which some die or stand still: no write is refused, and who missed one gets it on its return."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.cluster import Cluster, Node, ReplyError, eventually

HANDED_WITHIN_S = 2.0
"""How soon after its return an owner has its first row (issue: hints delivered)."""

KEYS = [b"cart:%d" % number for number in range(200)]


@pytest.fixture
def five(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(5, tmp_path) as cluster:
        cluster.send(0, "SET", "warm", "up")
        yield cluster


def hints(node: Node) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = node.document("HINTS")["held"]
    return found


def holds(node: Node, name: str, key: bytes) -> bool:
    """Whether the node called so holds any version of the key, as `node` is told."""
    replicas = node.document("EXPLAIN", key)["replicas"]
    return any(replica["node"] == name and replica["versions"] for replica in replicas)


def taken(node: Node, key: bytes, value: bytes) -> bool:
    """Whether the write was done; else its outcome is unknown: it was handed to a node that then said nothing."""
    try:
        return bool(node.send("SET", key, value) == b"OK")
    except ReplyError as error:
        if not str(error).startswith("UNKNOWN"):
            raise
        return False


def test_what_a_dead_node_missed_is_handed_to_it(five: Cluster) -> None:
    """Every write is taken; hints say for whom and why they wait; they survive a restart of who keeps them."""
    dead, keeper, asked = five[4], five[0], five[1]
    dead.kill()
    for number, key in enumerate(KEYS):
        assert five[number % 4].send("SET", key, b"v%d" % number) == b"OK"
    owned = [key for key in KEYS if dead.name in asked.document("EXPLAIN", key)["preference"][:3]]
    assert len(owned) > 50
    held = hints(asked)
    assert {hint["for"] for hint in held} == {dead.name}
    assert len(owned) <= sum(hint["keys"] for hint in held) <= len(owned) + 1, (
        "the first write of all may be among them"
    )
    assert {hint["waits_because"] for hint in held} == {f"{dead.name} does not answer {hint['by']}" for hint in held}
    stories = [asked.document("EXPLAIN", key) for key in owned]
    kept = [replica["hint_for"] for story in stories for replica in story["replicas"] if replica["hint_for"]]
    assert set(kept) == {dead.name}
    assert 0 <= sum(hint["keys"] for hint in held) - len(kept) <= 1, "key by key they are the same as counted"
    assert all(f"{dead.name} gets" in story["repairs"][0] for story in stories)
    before = [hint["keys"] for hint in held if hint["by"] == keeper.name]
    keeper.kill()
    keeper.start().ready()
    eventually(lambda: [h["keys"] for h in hints(asked) if h["by"] == keeper.name] == before, "hints after a restart")
    dead.start().ready()
    returned = time.monotonic()
    eventually(lambda: any(holds(asked, dead.name, key) for key in owned[:5]), "the first row")
    first_s = time.monotonic() - returned
    eventually(lambda: not hints(asked), "all hints to be delivered")
    assert all(holds(asked, dead.name, key) for key in owned)
    assert first_s < HANDED_WITHIN_S
    rows = sum(node["keys"] for node in asked.document("STATUS")["nodes"])
    assert rows == 3 * (len(KEYS) + 1), "stand-ins keep nothing that is not theirs"


def test_two_of_three_owners_are_dead_and_writes_go_on(five: Cluster) -> None:
    """W=2 is met by the third owner and who stands in for the others; reads find it; STRICT counts owners only."""
    key = KEYS[0]
    owners = five[0].document("EXPLAIN", key)["preference"][:3]
    alive = [node for node in five if node.name not in owners[:2]]
    for node in five:
        if node.name in owners[:2]:
            node.kill()
    asked = alive[0]
    for node in alive:
        assert node.send("SET", key, f"via {node.name}") == b"OK"
        assert node.send("GET", key) == f"via {node.name}".encode()
    context, *_ = asked.send("DYN.GET", key)
    _, receipt = asked.send("DYN.PUT", key, context, "v", "RECEIPT")
    assert b"hint_for" in receipt
    with pytest.raises(ReplyError, match=r"UNAVAILABLE.*owners needed"):
        asked.send("DYN.PUT", key, context, "w", "STRICT")
    status = asked.document("STATUS")
    assert status["health"] == "degraded"
    assert any(reason.startswith("STRICT has no quorum in ") for reason in status["reasons"])


def test_a_node_that_stands_still_is_down_within_a_second_and_gets_what_it_missed(five: Cluster) -> None:
    """SIGSTOP: its sockets stay open and nothing comes back. Nobody waits for it for long, and nothing is lost."""
    still, asked = five[4], five[0]
    still.pause()
    begun = time.monotonic()
    took: list[float] = []
    for number, key in enumerate(KEYS):
        at = time.monotonic()
        while not taken(five[number % 4], key, b"v%d" % number):
            assert time.monotonic() - at < 5
        took.append(time.monotonic() - at)
    seen = {view["of"]: view["sees"].get(still.name) for view in asked.document("VIEWS")["views"]}
    assert set(seen.values()) == {"down"}, seen
    assert time.monotonic() - begun < 20
    assert sorted(took)[len(took) // 2] < 0.2, "half of the writes waited for a node that stands still"
    still.resume()
    eventually(lambda: not hints(asked), "hints to be delivered")
    for key in KEYS[::10]:
        if still.name in asked.document("EXPLAIN", key)["preference"][:3]:
            assert holds(asked, still.name, key)
