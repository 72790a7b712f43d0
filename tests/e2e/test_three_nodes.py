"""Nodes with nothing configured: they find each other on loopback, serve any Redis client, and outlive one another.

Every test starts `dyn node start --name nX --port …` and nothing else; a home directory of their own is what keeps
these clusters apart from other ones on the machine, and it holds the key that the nodes of one user share.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from dynamo_cli.demo.load import Load, Request
from tests.helpers.cluster import Node, eventually, free_ports
from tests.helpers.tools import need

PORTS = range(26300, 26400)
DEADLINE_S = 3.0
"""What a request may take that says nothing else (interface: TIMEOUT)."""
REQUESTS = 200
"""As many before the kill, and as many after it."""
FIND_S = 40.0
"""Discovery takes 3 s of looking; the rest is for a machine that does much else."""


@contextmanager
def started(*nodes: Node) -> Iterator[Sequence[Node]]:
    """All nodes, started in the same instant and ready; ended with the block."""
    try:
        for node in nodes:
            node.start()
        for node in nodes:
            node.ready(FIND_S)
        yield nodes
    finally:
        for node in nodes:
            if not node.ended:
                node.kill()


def plain(home: Path, count: int, *flags: str, ports: Sequence[int] | None = None) -> list[Node]:
    """Nodes of one user: they share a home, and so a key."""
    found = ports or free_ports(count, PORTS)
    return [
        Node(home / f"terminal-{port}", port, *flags, name=f"n{number}", environ={"HOME": str(home)})
        for number, port in enumerate(found[:count], 1)
    ]


def members(node: Node) -> list[tuple[str, str]]:
    """Name and address of the members that a node knows."""
    return sorted((member["name"], member["address"]) for member in node.document("RING")["members"])


def together(nodes: Sequence[Node]) -> None:
    """Wait until these nodes, and no others, are one cluster, and each sees all of them up."""
    wanted = sorted((node.name, f"127.0.0.1:{node.port}") for node in nodes)

    def agreed() -> bool:
        states = [node.document("STATUS") for node in nodes]
        up = [sorted(n["name"] for n in state["nodes"] if n["state"] == "up") for state in states]
        one = len({(state["cluster_id"], state["epoch"]) for state in states}) == 1
        return one and all(names == sorted(node.name for node in nodes) for names in up)

    eventually(agreed, f"{[node.name for node in nodes]} to be one cluster", seconds=FIND_S)
    assert all(members(node) == wanted for node in nodes)


@pytest.fixture(scope="module")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sequence[Node]]:
    with started(*plain(tmp_path_factory.mktemp("trio"), 3)) as nodes:
        together(nodes)
        yield nodes


# What any client sees ------------------------------------------------------------------------------------


def test_three_nodes_are_one_cluster(trio: Sequence[Node]) -> None:
    ring = trio[0].document("RING")
    assert (ring["n"], ring["r"], ring["w"], ring["partitions"], ring["hash"]) == (3, 2, 2, 256, "md5")
    assert all(sorted(names) == ["n1", "n2", "n3"] for names in ring["preference"])
    assert all(node.document("RING")["preference"] == ring["preference"] for node in trio)
    assert all(node.document("STATUS")["health"] == "healthy" for node in trio)
    assert all(node.http("/health")[0] == 200 for node in trio)


def test_redis_cli_on_any_node(trio: Sequence[Node]) -> None:
    path = need("redis-cli", package="redis-tools")

    def call(node: Node, *words: str) -> str:
        command = [path, "-p", str(node.port), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.rstrip("\n")

    for writer in trio:
        assert call(writer, "SET", f"from-{writer.name}", "milk") == "OK"
        assert [call(reader, "GET", f"from-{writer.name}") for reader in trio] == ["milk"] * 3
    context = call(trio[0], "DYN.PUT", "cart", "", "milk")
    call(trio[0], "DYN.PUT", "cart", context, "milk,eggs")
    call(trio[1], "DYN.PUT", "cart", context, "milk,beer")
    for reader in trio:
        merged, *values = call(reader, "DYN.GET", "cart").split("\n")
        assert sorted(values) == ["milk,beer", "milk,eggs"]
        assert call(reader, "GET", "cart").startswith("SIBLINGS ")
    call(trio[2], "DYN.PUT", "cart", merged, "milk,eggs,beer")
    assert [call(reader, "GET", "cart") for reader in trio] == ["milk,eggs,beer"] * 3


def test_redis_benchmark_on_any_node(trio: Sequence[Node]) -> None:
    path = need("redis-benchmark", package="redis-tools")
    for node in trio:
        command = [path, "-p", str(node.port), "-t", "set,get", "-n", "2000", "-q"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        assert done.stdout.count("requests per second") == 2, done.stdout
        assert "rror" not in done.stdout + done.stderr


def test_redis_py_with_its_defaults(trio: Sequence[Node]) -> None:
    for node in trio:
        with redis.Redis(port=node.port) as client:
            assert client.set("py", f"via {node.name}")
            assert client.get("py") == f"via {node.name}".encode()
    with redis.Redis(port=trio[0].port) as client:
        assert client.delete("py") == 1
        assert client.get("py") is None


# One of three dies ---------------------------------------------------------------------------------------


def enough(loads: Sequence[Load], count: int) -> None:
    """Wait until the clients have made so many requests."""
    eventually(lambda: sum(len(load.requests) for load in loads) >= count, f"{count} requests", seconds=60)


def test_kill_9_of_one_under_load(trio: Sequence[Node]) -> None:
    """The others answer every request at R=W=2 within its deadline; after its restart it has its data."""
    dead, *others = trio[1], trio[0], trio[2]
    where = [f"127.0.0.1:{node.port}" for node in others]
    loads = [Load(f"load-{i}", where[i:] + where[:i], DEADLINE_S) for i in (0, 1)]
    for load in loads:
        load.start()
    try:
        enough(loads, REQUESTS)
        held = values_at(dead)
        dead.kill()
        killed = time.monotonic()
        enough(loads, sum(len(load.requests) for load in loads) + REQUESTS)
    finally:
        requests = [request for load in loads for request in load.stop()]
    judge(requests, killed)
    written = {key: value for load in loads for key, value in load.written.items()}
    assert len(written) > 30
    dead.start().ready(FIND_S)
    together(trio)
    assert values_at(dead) >= held > 30
    for key, value in written.items():
        assert dead.send("GET", key) == value
        story = explained(dead, key)
        assert story[dead.name], f"{dead.name} lost {key!r}"


def values_at(node: Node) -> int:
    """Keys that this node holds and that are not deleted: a tombstone of an earlier test is reaped at any time."""
    itself = next(seen for seen in node.document("STATUS")["nodes"] if seen["name"] == node.name)
    keys, tombstones = itself["keys"], itself["tombstones"]
    assert isinstance(keys, int), itself
    assert isinstance(tombstones, int), itself
    return keys - tombstones


def judge(requests: Sequence[Request], killed: float) -> None:
    """Every request ended by its deadline, and none failed.

    A write that was on its way through the dead node ends as UNKNOWN: there are two clients, so two at most.
    """
    late = [request for request in requests if request.ended - request.begun > DEADLINE_S]
    unclear = [request for request in requests if request.code == "UNKNOWN" and request.ended > killed - 0.1]
    wrong = [request for request in requests if request.code != "OK" and request not in unclear]
    assert (late, wrong) == ([], [])
    assert len(unclear) <= 2, unclear


def explained(node: Node, key: bytes) -> dict[str, Any]:
    """What each replica holds of a key."""
    document = json.loads(node.send("DYN.EXPLAIN", key))
    return {replica["node"]: replica["versions"] for replica in document["replicas"]}


# Several clusters on one machine -------------------------------------------------------------------------


@pytest.mark.long
def test_clusters_of_other_name_or_key_never_mix(tmp_path: Path) -> None:
    """All six start in the same instant, on the same loopback: same key and other name, same name and other key."""
    ports = free_ports(6, PORTS)
    groups = [
        plain(tmp_path / "ada", 2, "--cluster", "carts", ports=ports[:2]),
        plain(tmp_path / "ada", 2, "--cluster", "users", ports=ports[2:4]),
        plain(tmp_path / "bob", 2, "--cluster", "carts", ports=ports[4:]),
    ]
    with started(*(node for group in groups for node in group)):
        for group in groups:
            together(group)
        ids = {group[0].document("STATUS")["cluster_id"] for group in groups}
        assert len(ids) == 3
        groups[0][0].send("SET", "secret", "ada's")
        assert groups[0][1].send("GET", "secret") == b"ada's"
        assert [node.send("GET", "secret") for group in groups[1:] for node in group] == [None] * 4


def test_five_nodes_started_in_the_same_second_are_one_cluster(tmp_path: Path) -> None:
    with started(*plain(tmp_path, 5)) as nodes:
        together(nodes)
        owners = nodes[0].document("RING")["owners"]
        counts = [owners.count(node.name) for node in nodes]
        assert max(counts) - min(counts) <= 1, counts
