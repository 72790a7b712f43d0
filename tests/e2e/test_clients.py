"""Redis' tools, redis-py and the typed client against three real nodes of the compiled build, through any."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from node.client import BadContext, BadRequest, Client, TooBig, TooManySiblings
from node.core.limits import MIB, SIBLINGS_MAX
from tests.helpers.cluster import Cluster
from tests.helpers.tools import need

pytestmark = pytest.mark.timeout(600)
"""Beside an editable installation, or one that is not compiled, the first of them builds what its nodes run."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, compiled: Path) -> Iterator[Cluster]:
    with Cluster(3, tmp_path_factory.mktemp("clients"), tree=compiled) as running:
        yield running


def test_the_typed_client_through_every_node(cluster: Cluster) -> None:
    clients = [Client("127.0.0.1", node.port, writer=f"app-{node.name}") for node in cluster.nodes]
    try:
        start = clients[0].put("cart", "start")
        clients[1].put("cart", "milk", start)
        clients[2].put("cart", "beer", start)
        for client in clients:
            found = client.get("cart", r=2)
            assert sorted(found.values) == [b"beer", b"milk"]
        merged = clients[0].put("cart", "beer,milk", found.context)
        for client in clients:
            assert client.get("cart", strict=True).value == b"beer,milk"
        clients[1].delete("cart", merged)
        for client in clients:
            assert client.get("cart").values == ()
        with pytest.raises(BadContext):
            clients[0].put("another", "x", merged)
        with pytest.raises(BadRequest, match="R must be"):
            clients[0].get("cart", r=4)
        with pytest.raises(TooBig):
            clients[0].put("cart", bytes(MIB + 1))
        for n in range(SIBLINGS_MAX):
            clients[n % 3].put("crowd", str(n))
        with pytest.raises(TooManySiblings):
            clients[0].put("crowd", "one more")
    finally:
        for client in clients:
            client.close()


def test_redis_py_with_its_defaults(cluster: Cluster) -> None:
    for node in cluster.nodes:
        with redis.Redis(port=node.port) as client:
            assert client.set(f"{node.name}:k", b"\0\r\n\xff")
            assert client.get(f"{node.name}:k") == b"\0\r\n\xff"
            assert client.get(f"{node.name}:none") is None
            assert client.delete(f"{node.name}:k", f"{node.name}:none") == 1
            for n in range(20):  # one after another, they never conflict
                assert client.set("turns", n)
                assert client.get("turns") == str(n).encode()
            with client.pipeline(transaction=False) as pipe:
                for n in range(500):
                    pipe.set(f"p{n % 50}", n)
                assert pipe.execute() == [True] * 500
            assert client.mget([f"p{n}" for n in range(50)]) == [str(n).encode() for n in range(450, 500)]
            keys = set(client.scan_iter(match="p*", count=7))
            assert keys == {f"p{n}".encode() for n in range(50)}
            assert client.info()["dyn_version"]
            assert client.client_list()


def test_redis_cli(cluster: Cluster) -> None:
    path = need("redis-cli", package="redis-tools")

    def call(node: int, *words: str) -> str:
        command = [path, "-p", str(cluster.nodes[node].port), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.rstrip("\n")

    context = call(0, "DYN.PUT", "story", "", "one")
    call(1, "DYN.PUT", "story", context, "two")
    call(2, "DYN.PUT", "story", context, "three")
    assert call(0, "GET", "story").startswith("SIBLINGS story has 2 values")
    token, *values = call(0, "DYN.GET", "story").split("\n")
    assert sorted(values) == ["three", "two"]
    _, _, _, *clocks = call(1, "-3", "DYN.GET", "story", "WITHCLOCKS").split("\n")
    assert len(clocks) == 2
    assert all(next(iter(json.loads(clock)["clock"])).startswith("n") for clock in clocks)
    _, receipt = call(1, "DYN.PUT", "story", token, "four", "W", "3", "RECEIPT").split("\n")
    assert {ack["node"] for ack in json.loads(receipt)["acks"]} == {"n1", "n2", "n3"}
    assert call(2, "GET", "story") == "four"
    for what in ("RING", "STATUS", "VIEWS", "STATS", "HINTS", "TRANSFERS", "EVENTS"):
        assert json.loads(call(0, f"DYN.{what}"))["schema"] == f"dyn.{what.lower()}/v1"
    assert json.loads(call(0, "DYN.EXPLAIN", "story"))["verdict"] == "ok"
    assert "DYN.PUT" in call(0, "HELP", "DYN.PUT")


def test_redis_benchmark(cluster: Cluster) -> None:
    path = need("redis-benchmark", package="redis-tools")
    for more in (["-n", "1000"], ["-n", "4000", "-P", "16"]):
        done = subprocess.run(
            [path, "-p", str(cluster.nodes[0].port), "-q", "-t", "set,get", "-c", "32", "-r", "1000", *more],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("requests per second") >= 2
        assert "rror" not in done.stdout + done.stderr
