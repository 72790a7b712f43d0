"""Real nodes with TLS: redis-cli, redis-py, dyn and our client get in; what has no good certificate does not."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from node.client import AsyncClient, Client, Unreachable
from tests.helpers.authority import Authority
from tests.helpers.cli import Result, dyn
from tests.helpers.cluster import ROOT, Cluster, Node, eventually, free_ports
from tests.helpers.tools import need

PORTS = range(24500, 24600)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def nodes(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Node]]:
    """Two nodes of the cluster dyn, each with a certificate of its own."""
    folder = tmp_path_factory.mktemp("tls")
    cluster = Cluster(2, folder, start=False, ports=PORTS)
    with cluster:
        for node in cluster:
            node.start(*authority.issue(cluster="dyn").flags)
        for node in cluster:
            node.ready()
        yield list(cluster)


def on(node: Node, *words: str) -> Result:
    """`dyn` as a process would run it, against one node."""
    return dyn(*words, environ={"DYN_NODES": f"127.0.0.1:{node.port}"})


def test_the_nodes_are_one_cluster_and_clients_get_in(nodes: list[Node], authority: Authority) -> None:
    a, b = nodes
    ca = ("--tls-ca", str(authority.ca))
    assert on(a, "put", "k", "v", *ca).status == 0
    assert on(b, "get", "k", *ca).out == "v\n"
    status = on(a, "cluster", "status", "-o", "json", *ca).out
    assert '"health":"degraded"' in status
    assert status.count('"state":"up"') == 2
    by_variable = dyn("get", "k", environ={"DYN_NODES": f"127.0.0.1:{a.port}", "DYN_TLS_CA": str(authority.ca)})
    assert by_variable.out == "v\n"
    pair = authority.issue("client", "dyn")
    assert on(a, "get", "k", *pair.flags).out == "v\n"


def test_the_shell_keeps_its_tls(nodes: list[Node], authority: Authority) -> None:
    done = on(nodes[0], "shell", "--tls-ca", str(authority.ca), "-e", "put s 1", "-e", "get s", "-e", "put s 2")
    assert (done.status, done.out) == (0, "OK\n1\nOK\n"), done.err
    lost = on(nodes[0], "shell", "-e", f"put s 3 --tls-ca {authority.ca}", "-e", "get s")
    assert lost.status == 5
    assert "it speaks TLS" in lost.err


def test_bench_speaks_tls(nodes: list[Node], authority: Authority) -> None:
    done = on(nodes[0], "bench", "--count", "300", "--clients", "3", "--pipeline", "4", "--keys", "50",
              "--size", "20000", "--json", "--tls-ca", str(authority.ca))  # fmt: skip
    assert done.status == 0, done.err
    assert json.loads(done.out)["errors"].keys() <= {"SIBLINGS"}  # SETs of one key may race through two nodes
    plain = on(nodes[0], "bench", "--count", "10", "--keys", "5")
    assert plain.status == 5
    assert "it speaks TLS" in plain.err


def test_redis_cli_gets_in(nodes: list[Node], authority: Authority) -> None:
    cli = need("redis-cli", package="redis-tools")

    def run(*words: str) -> str:
        return subprocess.run(
            [cli, "-p", str(nodes[0].port), *words], capture_output=True, text=True, check=False, timeout=30
        ).stdout.strip()

    tls = ("--tls", "--cacert", str(authority.ca))
    assert run(*tls, "SET", "from-cli", "milk") == "OK"
    assert run(*tls, "GET", "from-cli") == "milk"
    info = run(*tls, "INFO", "dyn")
    assert "tls:1" in info
    assert re.search(r"^tls_ends_at:\d{10}\r?$", info, re.MULTILINE), "for dyn doctor"
    pair = authority.issue("client", "dyn")
    assert run(*tls, "--cert", str(pair.cert), "--key", str(pair.key), "GET", "from-cli") == "milk"
    assert run("GET", "from-cli").startswith("ERR this port speaks TLS: dyn --tls-ca FILE")


def test_redis_py_gets_in_and_finds_the_name_it_dialled(nodes: list[Node], authority: Authority) -> None:
    with redis.Redis("127.0.0.1", nodes[1].port, ssl=True, ssl_ca_certs=str(authority.ca)) as client:
        assert client.set("from-py", b"x" * 100_000)
        assert client.get("from-py") == b"x" * 100_000


def test_our_client_gets_in_and_is_particular(nodes: list[Node], authority: Authority, tmp_path: Path) -> None:
    ca = str(authority.ca)
    with Client("127.0.0.1", nodes[0].port, tls_ca=ca) as client:
        client.put("app", "1")
        assert client.get("app").value == b"1"

    async def main() -> bytes | None:
        pair = authority.issue("client", "dyn")
        async with AsyncClient(
            "127.0.0.1", nodes[0].port, tls_ca=ca, tls_cert=str(pair.cert), tls_key=str(pair.key)
        ) as other:
            return (await other.get("app")).value

    assert asyncio.run(main()) == b"1"
    stranger = Authority(tmp_path / "other")
    for how in ({"tls_ca": str(stranger.ca)}, {}):
        with Client("127.0.0.1", nodes[0].port, **how) as client, pytest.raises(Unreachable):  # type: ignore[arg-type]  # str
            client.get("app")


def test_http_stays_plain_on_loopback_and_counts_refusals(nodes: list[Node]) -> None:
    assert nodes[0].http("/health")[0] == 200
    assert on(nodes[0], "get", "k").status == 5
    figures = nodes[0].http("/metrics")[1]
    (line,) = [line for line in figures.splitlines() if line.startswith('dyn_tls_refused_total{port="client"}')]
    assert float(line.split()[1]) >= 1
    assert 'dyn_tls_refused_total{port="peer"}' in figures


def test_no_datagram_port_is_open(nodes: list[Node]) -> None:
    taken = {int(line.split()[1].rpartition(":")[2], 16) for line in Path("/proc/net/udp").read_text().splitlines()[1:]}
    assert not taken & {node.peer_port for node in nodes}


def test_a_plain_dyn_and_a_wrong_ca_are_told_what_to_type(nodes: list[Node], tmp_path: Path) -> None:
    at = f"127.0.0.1:{nodes[0].port}"
    plain = on(nodes[0], "put", "k", "v")
    assert (plain.status, plain.out) == (5, "")
    assert plain.err == (
        f"dyn: cannot reach {at} (it speaks TLS). Name the CA that signs its nodes: --tls-ca FILE, or DYN_TLS_CA\n"
    )
    stranger = Authority(tmp_path / "other")
    wrong = on(nodes[0], "get", "k", "--tls-ca", str(stranger.ca))
    assert wrong.status == 5
    assert wrong.err == (
        f"dyn: cannot reach {at} (its certificate is not of our CA). "
        "Name the CA of that cluster: --tls-ca FILE, or DYN_TLS_CA\n"
    )


@pytest.mark.parametrize("kind", ["another cluster", "expired", "other CA"])
def test_a_client_with_a_wrong_certificate_is_told_so(
    nodes: list[Node], authority: Authority, tmp_path: Path, kind: str
) -> None:
    pair = {
        "another cluster": lambda: authority.issue("client", "d"),
        "expired": lambda: authority.expired("client", "dyn"),
        "other CA": lambda: Authority(tmp_path / "other").issue("client", "dyn", trusts=authority),
    }[kind]()
    result = on(nodes[0], "get", "k", *pair.flags)
    assert result.status == (9 if kind == "another cluster" else 5)
    assert "your certificate is of the cluster d" in result.err or "it says that our certificate" in result.err
    assert "Name one of that cluster: --tls-cert FILE --tls-key FILE" in result.err


@pytest.mark.parametrize(
    ("role", "words"),
    [("client", "its certificate is not meant for this side of TLS"), ("web", "its certificate names no role")],
)
def test_a_server_that_is_no_node_is_not_believed(authority: Authority, role: str, words: str) -> None:
    """The CA signs clients, and perhaps web servers; none of them may pass for a node and be told the password."""
    pair = authority.web() if role == "web" else authority.issue(role, "dyn")
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(pair.cert), str(pair.key)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        for command in (("get", "k"), ("bench", "--count", "1")):
            result = dyn(*command, "--tls-ca", str(authority.ca), environ={"DYN_NODES": f"127.0.0.1:{port}"})
            assert result.status == 5
            assert words in result.err
        said = {"client": "unsuitable certificate purpose", "web": words}[role]
        with Client("127.0.0.1", port, tls_ca=str(authority.ca)) as client, pytest.raises(Unreachable, match=said):
            client.get("k")

        async def main() -> None:
            async with AsyncClient("127.0.0.1", port, tls_ca=str(authority.ca)) as client:
                await client.get("k")

        with pytest.raises(Unreachable, match=said):
            asyncio.run(main())
    finally:
        server.kill()
        server.communicate()


SERVER = """
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(*sys.argv[1:])
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    while True:
        made, _ = listener.accept()
        try:
            context.wrap_socket(made, server_side=True).recv(1000)
        except OSError:
            pass
"""


def test_dyn_with_tls_and_a_plain_node(tmp_path: Path, authority: Authority) -> None:
    with Cluster(1, tmp_path, ports=PORTS) as cluster:
        result = on(cluster[0], "get", "k", "--tls-ca", str(authority.ca))
        assert result.status == 5
        assert result.err == (
            f"dyn: cannot reach 127.0.0.1:{cluster[0].port} (it does not speak TLS). "
            "Leave out --tls-ca, and DYN_TLS_CA\n"
        )
        result = on(cluster[0], "bench", "--count", "5", "--tls-ca", str(authority.ca))
        assert (result.status, "it does not speak TLS" in result.err) == (5, True)


def test_a_node_of_another_ca_cannot_join_and_nobody_is_hurt(
    nodes: list[Node], authority: Authority, tmp_path: Path
) -> None:
    a = nodes[0]
    [port] = free_ports(1, PORTS)
    key = Path(a.flags[a.flags.index("--key-file") + 1])
    other = Authority(tmp_path / "other")
    seed = ("--discover", "none", "--key-file", str(key), "--join", f"127.0.0.1:{a.peer_port}")
    stranger = Node(tmp_path / "stranger", port, *seed, *other.issue(cluster="dyn").flags)
    before = a.log
    stranger.start()
    try:
        eventually(lambda: "its certificate is not of our CA" in stranger.log, "the joiner to say why")
        eventually(lambda: "turned" in a.log[len(before) :], "the node to say so")
    finally:
        stranger.stop()
    assert stranger.ready_line == ""
    status = on(a, "cluster", "status", "-o", "json", "--tls-ca", str(authority.ca)).out
    assert status.count('"state":"up"') == 2
    assert stranger.name not in status


def test_a_node_with_a_bad_certificate_does_not_start(authority: Authority, tmp_path: Path) -> None:
    [port] = free_ports(1, PORTS)
    for pair, words in (
        (authority.expired(cluster="dyn"), "its certificate has expired. Make one: dyn node cert node NAME"),
        (authority.issue(cluster="carts"), "it is of the cluster carts. Make one: dyn node cert node NAME"),
    ):
        node = Node(tmp_path / pair.cert.stem, port, "--discover", "none", *pair.flags).start()
        assert node.wait() == 1
        assert words in node.log
        assert node.log.count("\n") == 1


def test_a_certificate_that_ends_soon_is_told_of(authority: Authority, tmp_path: Path) -> None:
    [port] = free_ports(1, PORTS)
    pair = authority.issue(cluster="dyn", days=3)
    node = Node(tmp_path / "n", port, "--discover", "none", *pair.flags).start().ready()
    assert node.stop() == 0
    assert f"the certificate {pair.cert} is good for 2 more days" in node.log
