"""Faults on real processes: each is noticed by who should notice, and nothing is left of it when it is undone."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from node.core.limits import DIAL_BACKOFF_S_MAX, DOWN_AFTER_S, GOSSIP_INTERVAL_S
from tests.helpers.cluster import Cluster, Node, ReplyError, eventually

NOTICE_S = DOWN_AFTER_S + 2 * GOSSIP_INTERVAL_S
"""Silence is looked for once a round, and the last word may be a round old."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes that take faults; each test gets them whole."""
    with Cluster(3, tmp_path_factory.mktemp("faults"), "--allow-faults") as made:
        made[0].send("SET", "sealed", "yes")
        yield made


@pytest.fixture(autouse=True)
def _whole(cluster: Cluster) -> Iterator[None]:
    yield
    for node in cluster:
        if node.ended:
            node.start().ready()
        for order in ("HEAL", "SKEW 0", "DISK ok"):
            node.send("DYN.FAULT", *order.split())
    cluster.settle()


def fault(node: Node, order: str) -> dict[str, Any]:
    """Give one order to one node; its document."""
    document: dict[str, Any] = node.document("FAULT", *order.split())
    assert document["schema"] == "dyn.fault/v1"
    return document


def dyn(cluster: Cluster, *words: str) -> tuple[int, str, str]:
    """`dyn fault …` by way of the first node: exit status and streams."""
    command = [sys.executable, "-m", "dynamo_cli", "-n", f"127.0.0.1:{cluster[0].port}", "fault", *words]
    done = subprocess.run(command, env=cluster[0].env(), capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def sees(node: Node, other: Node) -> str:
    """What one node believes of another, by itself."""
    [view] = [view for view in node.document("VIEWS")["views"] if view["of"] == node.name]
    found: str = view["sees"][other.name]
    return found


def within(seconds: float, condition: Callable[[], object], what: str) -> None:
    """Wait for a condition; it must hold within so many seconds, and a few more for a machine that is busy."""
    began = time.monotonic()
    eventually(condition, what)
    assert time.monotonic() - began < seconds + 3, what


def links(node: Node) -> list[str]:
    """What a node said of its links: which came and went."""
    return [line for line in node.log.splitlines() if " is up (" in line or " is down (" in line or "link lost" in line]


def test_cuts_of_both_ways_and_of_one_are_noticed_by_silence_and_healed(cluster: Cluster) -> None:
    """n1 and n2 hear nothing of each other; n1 hears nothing of n3, which hears n1, but gets no answer from it."""
    one, two, three = cluster
    before = [links(node) for node in cluster]
    status, out, err = dyn(cluster, "cut", "n1", "n2")
    assert (status, err) == (0, "")
    assert out.splitlines()[1:] == ["n1\tcut\tn1\tn2\t", "n2\tcut\tn1\tn2\t"]
    assert dyn(cluster, "cut1", "n3", "n1")[0] == 0
    assert fault(three, "LIST")["faults"] == [{"kind": "cut1", "a": "n3", "b": "n1"}]
    deaf = [(one, two), (two, one), (one, three), (three, one)]
    within(NOTICE_S, lambda: [sees(*pair) for pair in deaf] == ["down"] * 4, "the silence to be noticed")
    assert sees(three, two) == sees(two, three) == "up", "nobody else is touched"
    assert [links(node) for node in cluster] == before, "no socket told of it"
    assert three.send("SET", "k", "v") == b"OK"
    assert dyn(cluster, "heal")[0] == 0
    within(2.0, lambda: [sees(*pair) for pair in deaf] == ["up"] * 4, "all to recover")
    assert [links(node) for node in cluster] == before, "links that stood go on"


@pytest.mark.long
def test_a_dial_through_a_cut_hangs_and_comes_through_after_it(cluster: Cluster) -> None:
    """A node that starts behind a cut looks dead, though its sockets answer; healed, it is back at once."""
    one, two, three = cluster
    assert dyn(cluster, "cut", "n1", "n2,n3")[0] == 0
    one.kill()
    one.start()  # it has no faults now: the other ends hold
    eventually(lambda: one.ready_line, "n1 to start")
    within(NOTICE_S, lambda: sees(two, one) == "down" and sees(three, one) == "down", "the others to notice")
    assert sees(one, two) == "down"
    assert dyn(cluster, "heal")[0] == 0
    within(
        DIAL_BACKOFF_S_MAX,
        lambda: sees(one, two) == sees(two, one) == sees(three, one) == "up",
        "links to be made anew",
    )


def test_a_paused_node_neither_answers_nor_reads_and_then_goes_on(cluster: Cluster) -> None:
    two = cluster[1]
    with two.connect() as client:
        assert fault(two, "PAUSE 1500")["faults"] == [{"kind": "pause", "ms": 1500}]
        began = time.monotonic()
        eventually(lambda: client("PING") and time.monotonic() - began > 0.1, "the pause to begin, and to end")
        assert time.monotonic() - began > 1.3
    assert fault(two, "LIST")["faults"] == []
    assert not [line for line in two.log.splitlines() if "Traceback" in line]


def test_a_full_disk_refuses_and_recovers(cluster: Cluster) -> None:
    two = cluster[1]
    two.send("SET", "kept", "v")
    assert fault(two, "DISK full")["faults"] == [{"kind": "disk", "state": "full"}]
    assert two.send("SET", "k", "v") == b"OK", "two owners have space"
    for node in (cluster[0], cluster[2]):
        fault(node, "DISK full")
    for node in cluster:
        with pytest.raises(ReplyError, match="DISKFULL"):
            node.send("SET", "k", "refused")
    assert two.send("GET", "kept") == b"v", "reads go on"
    for node in cluster:
        assert fault(node, "DISK ok")["faults"] == []
    for node in cluster:
        assert node.send("GET", "k") == b"v", "what was refused was not stored"
        assert node.send("SET", node.name, "v") == b"OK"


def test_a_disk_error_takes_the_node_out_for_ever(cluster: Cluster) -> None:
    one, two, _ = cluster
    one.send("SET", "kept", "v")
    document = fault(two, "DISK error")
    assert "for ever" in document["note"]
    eventually(lambda: "nothing more is stored until a restart" in two.log, "the store to stop, without a write")
    with pytest.raises(ReplyError):
        two.send("DYN.PUT", "k", "", "v", "W", 3, "TIMEOUT", 500)
    assert fault(two, "DISK ok")["faults"] == [{"kind": "disk", "state": "error"}], "ok does not bring it back"
    assert dyn(cluster, "disk", "n2", "ok")[0] == 9
    assert one.send("SET", "k", "v") == b"OK", "the others go on"
    assert one.send("GET", "kept") == b"v"
    two.kill()
    two.start().ready()
    cluster.settle()
    assert fault(two, "LIST") == {"schema": "dyn.fault/v1", "node": "n2", "faults": [], "note": None}
    assert two.send("GET", "kept") == b"v"
    assert two.send("SET", "k", "v2") == b"OK"


def test_a_wrong_clock_shows_and_decides_nothing(cluster: Cluster) -> None:
    two = cluster[1]
    fault(two, "SKEW -7200")
    shown = int(two.send("TIME")[0])
    assert 7000 < int(cluster[0].send("TIME")[0]) - shown < 7400
    context = two.send("DYN.PUT", "clocked", "", "old")
    two.send("DYN.PUT", "clocked", context, "new")
    assert cluster[0].send("DYN.GET", "clocked")[1] == [b"new"]
    fault(two, "SKEW 0")
    assert int(cluster[0].send("TIME")[0]) - int(two.send("TIME")[0]) < 60


def test_a_slow_and_lossy_link_still_serves(cluster: Cluster) -> None:
    assert dyn(cluster, "delay", "n1", "n2,n3", "30")[0] == 0
    assert dyn(cluster, "drop", "n1", "n2", "20")[0] == 0
    with cluster[0].connect() as client:
        began = time.monotonic()
        assert client("SET", "k", "slow") == b"OK"
        assert time.monotonic() - began >= 0.06, "two owners are each two delays away"
    listed = [fault["kind"] for fault in fault(cluster[0], "LIST")["faults"]]
    assert listed == ["delay", "delay", "drop"]


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ("CUT n2 n3", "this is n1, which only breaks links of its own: tell n2 and n3"),
        ("CUT n1 n9", "no node 'n9' in the ring: there are n1, n2, n3"),
        ("CUT n1", "usage: DYN.FAULT CUT a b"),
    ],
)
def test_an_order_for_others_is_refused_in_words(cluster: Cluster, order: str, words: str) -> None:
    with pytest.raises(ReplyError, match=words):
        cluster[0].send("DYN.FAULT", *order.split())
    assert fault(cluster[0], "LIST")["faults"] == []


def test_a_node_without_the_flag_takes_none(tmp_path: Path) -> None:
    with Cluster(1, tmp_path) as cluster:
        with pytest.raises(ReplyError, match="start it with dyn node start --allow-faults"):
            cluster[0].send("DYN.FAULT", "LIST")
        assert dyn(cluster, "list")[0] == 1


def test_the_flag_on_an_open_address_is_refused(tmp_path: Path) -> None:
    with Cluster(1, tmp_path, "--allow-faults", "--listen", "0.0.0.0", start=False) as cluster:
        assert cluster[0].start().wait() == 1
        assert "--allow-faults lets any client cut, stop and spoil this node" in cluster[0].log


def test_the_list_is_the_clusters(cluster: Cluster) -> None:
    fault(cluster[0], "DELAY n1 n2 5")
    fault(cluster[2], "DISK full")
    status, out, err = dyn(cluster, "list", "--json")
    assert (status, err) == (0, "")
    listed = {node["node"]: node["faults"] for node in json.loads(out)["nodes"]}
    assert listed == {
        "n1": [{"kind": "delay", "a": "n1", "b": "n2", "ms": 5.0, "jitter_ms": 0.0}],
        "n2": [],
        "n3": [{"kind": "disk", "state": "full"}],
    }
