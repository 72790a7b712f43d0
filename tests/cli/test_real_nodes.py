"""The command line against real nodes: a conflict from its making to its end, and a node started in a terminal."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from node.core.limits import SIBLINGS_WARN
from tests.cli.test_trace_kept import consistent
from tests.helpers.cli import dyn
from tests.helpers.cluster import Cluster, Connection, free_ports

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(3, tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture
def nodes(cluster: Cluster) -> dict[str, str]:
    """Three nodes, as the environment that leads to them."""
    return {"DYN_NODES": ",".join(f"127.0.0.1:{cluster[i].port}" for i in range(3))}


def test_a_conflict_from_its_making_to_its_end(nodes: dict[str, str]) -> None:
    assert dyn("put", "cart", '["milk"]', environ=nodes).status == 0
    context = json.loads(dyn("get", "cart", "--json", environ=nodes).out)["context"]
    for value in ('["milk","eggs"]', '["milk","beer"]'):
        assert dyn("put", "cart", value, "--ctx", context, environ=nodes).status == 0
    assert dyn("get", "cart", environ=nodes).status == 4
    assert dyn("put", "cart", "[]", environ=nodes).status == 4
    assert dyn("keys", "--siblings", environ=nodes).out == "cart\n"
    assert dyn("key", "explain", "cart", environ=nodes).status == 4
    compared = json.loads(dyn("key", "compare", "cart", "A", "B", "--json", environ=nodes).out)
    assert compared["order"] == "concurrent"
    history = json.loads(dyn("key", "history", "cart", "--json", environ=nodes).out)
    assert [event["kind"] for event in history["events"]] == ["gone", "version", "version"]
    assert [event["parents"] for event in history["events"]] == [[], [0], [0]]
    assert all(replica["told"] for replica in history["replicas"])
    shown = dyn("get", "cart", "--color", "never", environ=nodes, terminal=True)
    assert shown.status == 0
    assert "eggs" in shown.out
    assert "beer" in shown.out
    assert dyn("merge", "cart", "--union", environ=nodes).status == 0
    assert sorted(json.loads(dyn("get", "cart", environ=nodes).out)) == ["beer", "eggs", "milk"]
    assert dyn("del", "cart", environ=nodes).status == 0
    assert "it was deleted" in dyn("get", "cart", environ=nodes).err


def test_a_write_is_followed_through_all_its_nodes(nodes: dict[str, str]) -> None:
    """Each of three owners has a part in it, whichever is asked."""
    assert dyn("put", "first", "v", environ=nodes).status == 0  # the first write of all waits for the cluster
    told = json.loads(dyn("put", "followed", "v", "-w", "3", "--trace", "--json", environ=nodes).out)
    way = told["trace"]
    assert {ack["node"] for ack in told["acks"]} == {"n1", "n2", "n3"}
    kinds = [step["what"] for step in way["steps"]]
    assert kinds.count("replicate") == 2
    assert kinds.count("commit") == 1
    assert all(step["took_ms"] > 0 for step in way["steps"] if step["awaited"])
    assert 0 < way["answered_ms"] <= way["followed_ms"]
    read = json.loads(dyn("get", "followed", "-r", "3", "--trace", "--json", environ=nodes).out)["trace"]
    assert sorted(step["what"] for step in read["steps"]) == ["answer", "fetch", "fetch", "load"]
    assert len({str(step["versions"]) for step in read["steps"] if step["awaited"]}) == 1


def test_what_was_followed_is_found_again_on_every_node(cluster: Cluster, nodes: dict[str, str]) -> None:
    """By its id, through whichever node; and its log is one that ShiViz can draw."""
    made = {}
    for index in range(3):
        one = {"DYN_NODES": f"127.0.0.1:{cluster[index].port}"}
        trace = json.loads(dyn("put", "kept", str(index), "-w", "3", "--trace", "--json", environ=one).out)["trace"]
        made[trace["id"]] = trace
    assert {name.partition("-")[0] for name in made} == {"n1", "n2", "n3"}
    listed = json.loads(dyn("trace", "ls", "--json", environ=nodes).out)
    assert not listed["silent"]
    assert made.keys() <= {trace["id"] for trace in listed["traces"]}
    for name, trace in made.items():
        assert json.loads(dyn("trace", "show", name, "--json", environ=nodes).out) == trace
        log = dyn("trace", "export", name, "--format", "shiviz", environ=nodes).out.splitlines()
        events = consistent(log)
        assert {host for host, _, _ in events} == {"client", "n1", "n2", "n3"}
        [answer] = [clock for host, clock, event in events if host == "client" and event == "has its answer"]
        assert answer.keys() == {"client", "n1", "n2", "n3"}, "with W=3 it comes of all"


def test_conflicts_are_made_and_settled_by_a_bench(nodes: dict[str, str]) -> None:
    """As many as it says; and the nodes tell what that cost them."""
    done = dyn("bench", "--op", "merge", "--count", "400", "--clients", "4", "--keys", "50", "--json", environ=nodes)
    assert done.status == 0, done.err
    told = json.loads(done.out)
    assert told["merges"]["settled"] > 90
    assert told["merges"]["found_one"] < 10, "seldom two connections come to one key, and one settles for both"
    assert told["ops"]["merge"]["count"] == pytest.approx(100, abs=4)
    assert told["nodes_cpu"]["of"] == ["n1", "n2", "n3"]
    assert 50 < told["nodes_cpu"]["us_per_request"] < 50_000


def test_the_events_of_all_nodes(nodes: dict[str, str]) -> None:
    """Each node tells what it noted, under its own name."""
    told = json.loads(dyn("cluster", "events", "--since", "1d", "--json", environ=nodes).out)
    assert not told["silent"]
    assert {event["by"] for event in told["events"] if event["kind"] == "peer_up"} == {"n1", "n2", "n3"}


def test_requests_a_second_of_all_nodes(nodes: dict[str, str]) -> None:
    told = json.loads(dyn("stat", "--interval", "0.2", "--count", "1", "--json", environ=nodes).out)
    assert (told["members"], told["answered"], told["total"]["failures_s"]) == (3, 3, 0.0)
    ring = json.loads(dyn("ring", "show", "--json", environ=nodes).out)
    assert all(load["per_s"] is not None for load in ring["load"])
    short = dyn("cluster", "status", "--timeout", "0.8", environ=nodes)  # an option that older nodes do not know
    assert short.status == 0


def test_single_requests_of_all_nodes(nodes: dict[str, str]) -> None:
    """Somebody reads while we listen; what is hot is asked for afterwards."""
    reading = threading.Event()

    def read() -> None:
        while not reading.wait(0.02):
            dyn("get", "hot:1", environ=nodes)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        told = dyn("monitor", "--for", "1.5", "--key", "hot:*", "-o", "jsonl", environ=nodes)
    finally:
        reading.set()
        reader.join()
    assert {(row["op"], row["key"], row["outcome"]) for row in map(json.loads, told.out.splitlines())} == {
        ("get", "hot:1", "ok")
    }
    hot = json.loads(dyn("hot", "--json", environ=nodes).out)
    assert (hot["one_in"], hot["silent"], hot["sampled"] > 0) == (64, [], True)
    slo = json.loads(dyn("slo", "--check", "--json", environ=nodes).out)
    assert (slo["answered"], slo["objectives"][0]["bad"]) == (3, 0)


def test_the_figures_of_a_node_by_its_name(nodes: dict[str, str]) -> None:
    told = json.loads(dyn("node", "stats", "n2", "--json", environ=nodes).out)
    assert told["node"] == "n2"
    assert told["ops"]["put"] == sum(samples for _, _, samples in told["histogram"]["put"])
    assert set(told["recent"]["ops"]) == {"get", "put", "del"}
    assert (told["repairs"].keys(), told["hints"], told["errors"]) == ({"read", "compared"}, 0, {})
    screen = dyn("node", "stats", "n2", "--color", "never", environ=nodes, terminal=True).out
    assert screen.startswith("node n2\n")
    assert "hints: 20,000 rows/s" in screen


def test_a_real_cluster_is_looked_at_from_all_sides(nodes: dict[str, str]) -> None:
    told = dyn("doctor", "--json", environ=nodes)
    found = json.loads(told.out)
    assert found["failures"] == told.status == 0, found
    levels = {finding["id"]: finding["level"] for finding in found["checks"]}
    assert {levels[name] for name in ("cluster.answer", "cluster.views", "ring.copies", "node.disk")} == {"ok"}


def test_a_cluster_whose_nodes_were_compared_is_converged(nodes: dict[str, str]) -> None:
    for name in nodes["DYN_NODES"].split(","):
        assert dyn("cluster", "repair", "--check", "-n", name, environ=nodes).status == 0
    told = dyn("cluster", "status", "--wait", "converged", "--views", "--json", environ=nodes)
    found = json.loads(told.out)
    assert (told.status, found["wait"]["lacking"], found["views"]["agree"]) == (0, [], True), told.err
    assert found["wait"]["took_s"] < 20


def test_background_work_by_hand(nodes: dict[str, str]) -> None:
    delivered = dyn("cluster", "hints", "--deliver-now", "--json", environ=nodes)
    assert (delivered.status, json.loads(delivered.out)["silent"]) == (0, [])
    compared = json.loads(dyn("cluster", "repair", "3", "9", "--check", "--json", environ=nodes).out)
    assert [told["partitions"] for told in compared["passes"]] == [[3, 9]] * 3
    assert dyn("cluster", "repair", "n2", "--cancel", environ=nodes).out.splitlines()[1] == "n2\tfalse"
    paused = json.loads(dyn("cluster", "transfers", "pause", "--json", environ=nodes).out)["nodes"]
    assert all(told["paused_s"] is not None for told in paused)
    status = json.loads(dyn("cluster", "status", "--json", environ=nodes).out)
    assert "transfers to n1, n2, n3 are paused by an operator: dyn cluster transfers resume" in status["reasons"]
    limited = json.loads(dyn("cluster", "transfers", "limit", "10M", "--json", environ=nodes).out)["nodes"]
    assert {told["limit_bps"] for told in limited} == {10 * 1024**2}
    for words in (("limit", "none"), ("resume",)):
        assert dyn("cluster", "transfers", *words, environ=nodes).status == 0


def test_the_ring_of_this_epoch_and_of_one_before(nodes: dict[str, str]) -> None:
    now = json.loads(dyn("ring", "show", "--strip", "--json", environ=nodes).out)
    then = dyn("ring", "show", "--as-of", str(now["epoch"]), "--json", environ=nodes)
    assert json.loads(then.out)["preference"] == now["preference"]
    assert dyn("ring", "show", "--as-of", str(now["epoch"] - 1), environ=nodes).status == 3


def test_what_one_node_more_would_move(nodes: dict[str, str]) -> None:
    """Of three copies on three nodes a quarter goes to a fourth."""
    told = json.loads(dyn("ring", "simulate", "--add", "1", "--json", environ=nodes).out)
    assert told["steps"][0]["change"] == "n4 joins"
    assert told["moves"] == 3 * 256 // 4
    assert {node["replicas"]["before"] for node in told["nodes"]} == {256, 0}


def test_what_a_forger_and_a_dreamer_get(nodes: dict[str, str]) -> None:
    assert dyn("put", "k", "v", "--ctx", "forged", environ=nodes).status == 9
    assert dyn("get", "k", "-r", "4", environ=nodes).status == 2
    assert dyn("get", "", environ=nodes).status == 2
    assert dyn("put", "k", "-", stdin=b"x" * (2 << 20), environ=nodes).status == 9


def test_bytes_come_back_as_they_went(nodes: dict[str, str]) -> None:
    value = bytes(range(256)) * 10
    key = os.fsdecode(b"\xff\x00"[:1] + b"\n\x1b")
    assert dyn("put", key, "-", stdin=value, environ=nodes).status == 0
    assert dyn("get", key, "-o", "value", environ=nodes).raw == value


def test_the_screens_of_a_real_cluster(nodes: dict[str, str]) -> None:
    assert dyn("cluster", "status", "--wait", "healthy", "--for", "20", environ=nodes).status == 0
    for argv in (("cluster", "status"), ("ring", "show"), ("ring", "owner", "k"), ("key", "explain", "nothing"), ()):
        result = dyn(*argv, "--color", "never", environ=nodes, terminal=True)
        assert result.status in (0, 3), result.err
        assert max(map(len, result.out.splitlines())) <= 80
    ring = json.loads(dyn("ring", "show", "--json", environ=nodes).out)
    [place] = json.loads(dyn("ring", "owner", "k", "--json", environ=nodes).out)["keys"]
    explained = json.loads(dyn("key", "explain", "k", "--json", environ=nodes).out)
    assert place["partition"] == explained["partition"]
    assert [*place["owners"], *place["stand_ins"]] == explained["preference"] == ring["preference"][place["partition"]]


def test_repair_of_a_real_cluster(nodes: dict[str, str]) -> None:
    assert dyn("put", "to-repair", "v", environ=nodes).status == 0
    done = json.loads(dyn("cluster", "repair", "--check", "--json", environ=nodes).out)
    assert (done["running"], done["compared"], done["left_out"]) == (False, 512, [])
    assert done["last_pass_s_ago"] < 5
    key = json.loads(dyn("key", "repair", "to-repair", "--json", environ=nodes).out)
    assert [owner["found"] for owner in key["owners"]] == ["same"] * 3
    assert dyn("key", "repair", "nowhere", environ=nodes).status == 3
    for argv in (("cluster", "repair"), ("key", "repair", "to-repair")):
        shown = dyn(*argv, "--color", "never", environ=nodes, terminal=True)
        assert shown.status == 0
        assert max(map(len, shown.out.splitlines())) <= 80


def test_a_node_in_a_terminal(tmp_path: Path) -> None:
    [port] = free_ports(1)
    environ = {**os.environ, "HOME": str(tmp_path), "XDG_DATA_HOME": "", "XDG_CONFIG_HOME": "", "PYTHONPATH": str(ROOT)}
    argv = ["-m", "dynamo_cli", "node", "start", "--port", str(port), "--discover", "none"]
    child = pexpect.spawn(sys.executable, argv, env=environ, cwd=str(tmp_path), dimensions=(40, 80), timeout=20)
    child.expect(rb"N/R/W act as 1/1/1 until more join")
    child.expect(rb"ready in \d+\.\d\d s")
    child.expect(rb"dyn node start --port %d" % (port + 1))
    taken = dyn("node", "start", "--port", str(port), "--discover", "none", environ=environ)
    assert taken.status == 1
    assert f"port {port} is used by pid" in taken.err
    child.sendintr()
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus == 0


@pytest.mark.parametrize("outlives", [False, True], ids=["plain", "nohup"])
def test_a_node_ends_with_its_terminal_unless_it_was_told_to_outlive_it(tmp_path: Path, outlives: bool) -> None:
    """And stops cleanly; a SIGHUP while the terminal is there has it read its secrets again."""
    [port] = free_ports(1)
    environ = {**os.environ, "HOME": str(tmp_path), "XDG_DATA_HOME": "", "XDG_CONFIG_HOME": "", "PYTHONPATH": str(ROOT)}
    argv = ["-m", "dynamo_cli", "node", "start", "--port", str(port), "--discover", "none"]
    child = pexpect.spawn(sys.executable, argv, env=environ, cwd=str(tmp_path), timeout=20, ignore_sighup=outlives)
    child.expect(rb"ready in \d+\.\d\d s")
    child.kill(signal.SIGHUP)
    child.expect(rb"read the secrets again")
    os.close(child.child_fd)  # the window is closed
    if outlives:
        with Connection(port) as connection:
            assert connection("PING") == b"PONG"
        child.kill(signal.SIGTERM)
    assert os.waitpid(child.pid, 0)[1] == 0


def test_a_node_that_holds_its_sockets_and_says_nothing_costs_no_more_than_the_timeout(cluster: Cluster) -> None:
    """Whether it is asked first or is one of those that are surveyed: the others are shown."""
    addresses = [f"127.0.0.1:{cluster[i].port}" for i in range(3)]
    cluster[2].pause()
    try:
        for nodes in (addresses, addresses[::-1]):
            begun = time.monotonic()
            told = dyn("cluster", "status", "--timeout", "0.6", "--json", environ={"DYN_NODES": ",".join(nodes)})
            assert time.monotonic() - begun < 0.6 + 0.3
            assert told.status == 0, told.err
            assert [node["uptime_s"] is None for node in json.loads(told.out)["nodes"]].count(True) == 1
    finally:
        cluster[2].resume()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (("get", ""), "the key is empty"), (("put", "", "v"), "the key is empty"), (("del", ""), "the key is empty"),
        (("ring", "owner", "k", ""), "the key is empty"),
        (("get", "k", "-r", "9"), "R must be 1 to 3"),
        (("put", "k", "v", "--ctx", "none", "-w", "9"), "W must be 1 to 3"),
        (("keys", "--partition", "256"), "PARTITION must be 0 to 255"),
    ],
)  # fmt: skip
def test_what_only_a_node_can_tell_to_be_wrong_is_a_usage_error_too(
    line: tuple[str, ...], says: str, nodes: dict[str, str]
) -> None:
    told = dyn(*line, environ=nodes)
    assert (told.status, told.out) == (2, "")
    assert says in told.err


@pytest.mark.parametrize(
    "line",
    [
        ("node", "drain", "n9", "-y"), ("node", "stop", "n9", "-y"), ("node", "info", "n9"), ("keys", "--on", "n9"),
        ("get", "k", "--from", "n9"), ("cluster", "repair", "n9"), ("cluster", "repair", "256"),
        ("fault", "pause", "n9", "100"), ("cluster", "leave", "n9", "-y"), ("cluster", "remove", "n9", "-y"),
        ("cluster", "weight", "n9", "2", "-y"), ("ring", "simulate", "--nodes", "4", "--remove", "n9"),
        ("node", "ping", "n9"), ("node", "config", "n9"), ("node", "data", "path", "n9"), ("node", "stats", "n9"),
        ("cluster", "plan", "leave", "n9"), ("bench", "--fault", "pause n9 100 @0s"),
    ],
)  # fmt: skip
def test_a_node_that_is_not_there_is_not_found(line: tuple[str, ...], nodes: dict[str, str]) -> None:
    told = dyn(*line, environ=nodes)
    assert (told.status, told.out) == (3, ""), told.err


def test_a_word_that_looks_like_a_pattern_or_a_file_is_told_from_a_prefix(
    nodes: dict[str, str], tmp_path: Path
) -> None:
    starred = dyn("keys", "cart:*", environ=nodes, terminal=True)
    assert "no keys that begin with cart:*. A prefix takes no star: dyn keys cart:" in starred.err
    exported = dyn("export", "all.jsonl", environ=nodes)
    assert exported.err == "no key begins with all.jsonl; a file is named by an option: --to all.jsonl\n"
    assert dyn("export", "--to", str(tmp_path / "all.jsonl"), environ=nodes).status == 0


def test_who_writes_without_reading_hears_of_the_siblings_that_this_makes(nodes: dict[str, str]) -> None:
    """From the fifth on (design, section 3), and no earlier."""
    told = [dyn("put", "blind", str(at), "--ctx", "none", environ=nodes) for at in range(SIBLINGS_WARN)]
    assert [result.err for result in told[:-1]] == [""] * (SIBLINGS_WARN - 1)
    assert told[-1].err == ('"blind" has 5 siblings: it is written without a read. Settle them: dyn merge blind\n')
    assert (told[-1].status, told[-1].out) == (0, "OK\n")
    traced = dyn("put", "blind", "x", "--ctx", "none", "--trace", "--json", environ=nodes)
    assert '"blind" has 6 siblings' in traced.err
    assert json.loads(traced.out)["siblings"] == 6
    assert dyn("put", "blind", "x", "--ctx", "none", "-q", environ=nodes).err == ""
    assert json.loads(dyn("merge", "blind", "--value", "x", "--json", environ=nodes).out)["siblings"] == 1
