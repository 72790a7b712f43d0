"""Nodes that find each other by multicast, each on a network of its own, among whatever else is announced there.

Every host is a network namespace, all on one bridge (`tests.campaigns.namespaces`): what is announced here is heard on
no other network, and nobody else's announcements here.
"""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.core.limits import CANDIDATES_MAX
from node.core.limits_discovery import CANDIDATES_PER_S
from tests.campaigns.namespaces import OURS, PORT, HostedNode, Network, run, why_not
from tests.helpers.cluster import eventually
from tests.helpers.forger import Forger, packet, pointer

WHY_NOT = why_not()
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "it can be done here")
FORGED = range(1000, 1400)
DECOYS = range(50, 60)
"""Last numbers of addresses at which somebody takes connections."""
MEET_S = 30.0
"""Trying every forged address takes FORGED / CANDIDATES_PER_S; the rest is for a machine that does much else."""


class Hosts:
    """A network, and the nodes that were started on it."""

    def __init__(self, network: Network, folder: Path) -> None:
        self.network = network
        self.folder = folder
        self.nodes: list[HostedNode] = []

    def start(self, host: int, *flags: str, seeds: tuple[int, ...] = ()) -> HostedNode:
        """Start a node that looks around by multicast."""
        node = HostedNode(self.network, host, self.folder / f"n{host}", *flags, seeds=seeds, discover="mdns")
        self.nodes.append(node)
        node.start()
        return node

    def close(self) -> None:
        """End every node."""
        for node in self.nodes:
            node.kill()


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    with Network(4) as network:
        made = Hosts(network, tmp_path)
        try:
            yield made
        finally:
            made.close()


def members(node: HostedNode) -> tuple[str, list[str]]:
    """The cluster's id and its members, as a node knows them."""
    status = node.document("STATUS")
    return status["cluster_id"], sorted(found["name"] for found in status["nodes"])


def test_nodes_on_three_networks_need_nothing_but_their_key_to_be_one_cluster(hosts: Hosts) -> None:
    nodes = [hosts.start(number) for number in (1, 2, 3)]
    for node in nodes:
        node.ready()
    eventually(lambda: {members(node)[0] for node in nodes} == {members(nodes[0])[0]}, "one cluster")
    eventually(lambda: all(members(node)[1] == ["n1", "n2", "n3"] for node in nodes), "three members")
    nodes[0].send("SET", "k", "v")
    assert [node.send("GET", "k") for node in nodes] == [b"v"] * 3
    assert not any("cannot look" in node.log for node in nodes)


@pytest.mark.long
def test_without_multicast_a_node_says_so_in_one_line_and_serves_and_joins(hosts: Hosts) -> None:
    """Nothing fails there: what it sends does not arrive, and nothing comes."""
    hosts.network.no_multicast(1)
    hosts.network.no_multicast(2)
    first = hosts.start(1).ready()
    eventually(lambda: "cannot look" in first.log, "its word on that")
    lines = [line for line in first.log.splitlines() if " WARN " in line]
    assert [line.partition(" WARN ")[2].strip() for line in lines] == [
        f"cannot look for nodes on the network (multicast from {first.host} does not come back to it); "
        "--join HOST:PEERPORT works without"
    ]
    first.send("SET", "k", "v")
    second = hosts.start(2, seeds=(1,)).ready()
    assert members(second) == members(first)
    assert second.send("GET", "k") == b"v"


@pytest.mark.long
def test_nodes_that_listen_everywhere_find_each_other_where_there_is_a_way_out(hosts: Hosts) -> None:
    """Multicast leaves by the default route; where there is none, that is the reason that the line gives."""
    for number in (1, 2):
        run("ip", "-n", hosts.network.under(number)[3], "route", "add", "default", "dev", "eth0")
    nodes = [hosts.start(number, "--listen", "0.0.0.0") for number in (1, 2, 3)]
    for node in nodes:
        node.ready()
    eventually(lambda: members(nodes[0])[1] == members(nodes[1])[1] == ["n1", "n2"], "two of them to meet")
    assert not any("cannot look" in node.log for node in nodes[:2])
    assert members(nodes[2])[1] == ["n3"]
    assert nodes[2].log.count("cannot look for nodes on the network (Network is unreachable)") == 1, nodes[2].log


@pytest.mark.long
def test_who_listens_everywhere_without_a_way_out_is_found_by_the_way_to_its_seed(hosts: Hosts) -> None:
    """Else it would tell all others that it is at 127.0.0.1, which is where they are themselves."""
    hosts.start(1).ready()
    second = hosts.start(2, "--listen", "0.0.0.0", seeds=(1,)).ready()
    addresses = {member["name"]: member["address"] for member in second.document("RING")["members"]}
    assert addresses == {f"n{host}": f"{hosts.network.address(host)}:{PORT}" for host in (1, 2)}


class Decoy:
    """Accepts connections to addresses and ports that are announced, says nothing, and remembers when they came."""

    def __init__(self, network: Network) -> None:
        for number in DECOYS:
            run("ip", "address", "add", f"{network.address(number)}/24", "dev", "br0")
        run("iptables", "-w", "-t", "nat", "-A", "PREROUTING", "-p", "tcp", "--dport", f"{FORGED[0]}:{FORGED[-1]}",
            "-j", "REDIRECT", "--to-ports", "9000")  # fmt: skip
        self.times: list[float] = []
        self._server = socket.create_server(("0.0.0.0", 9000), backlog=1000)  # of this network only
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        open_ones = []
        while True:
            try:
                open_ones.append(self._server.accept()[0])
            except OSError:
                break
            self.times.append(time.monotonic())
        for connection in open_ones:
            connection.close()

    def close(self) -> None:
        """Hang up on everybody."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()

    def most_in_a_second(self) -> int:
        """The most connections that came within one second."""
        times = list(self.times)
        return max((sum(at <= later < at + 1 for later in times) for at in times), default=0)


def dials(hosts: Hosts, host: int) -> int:
    """Connections of a host that were opened from it to peer ports, and that nobody has proven anything on."""
    command = [*hosts.network.under(host), "ss", "-Htn", "state", "syn-sent", "state", "established"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return sum(not line.split()[-2].endswith(f":{PORT + 100}") and f":{PORT}" not in line for line in lines)


def forge(forger: Forger, hosts: Hosts, node: HostedNode) -> None:
    """Announce a few hundred nodes that are none: where nobody is, at the decoy, at a node itself, and garbage."""
    places = (
        lambda number: (hosts.network.address(100 + number % 100), number),
        lambda number: (hosts.network.address(DECOYS[number % len(DECOYS)]), number),
        lambda number: (node.host, PORT + 100 * (number % 3)),
        lambda number: (f"127.0.0.{number % 250 + 1}", PORT + 100),
    )
    forger.flood(FORGED, "dyn", lambda number: places[max(0, number % 8 - 4)](number))
    forger.flood(range(2000, 2400), "another", lambda number: (hosts.network.address(OURS), 9000))
    for number in range(3000, 3100):
        forger.send(packet(pointer(f"{number:032x}._dyn._tcp.local.")))
        forger.announce(f"garbage{number}", hosts.network.address(OURS), 9000, {"cluster": b"\xff", "node": "x"})


@pytest.mark.long
def test_forged_announcements_join_nothing_and_do_not_hide_who_is_there(hosts: Hosts, tmp_path: Path) -> None:
    """Also a node that has another key, and a process that takes connections and says nothing."""
    other_key = tmp_path / "other.key"
    other_key.touch(mode=0o600)
    other_key.write_text("the cluster key of another cluster\n")
    decoy = Decoy(hosts.network)
    try:
        with Forger(hosts.network.address(OURS)) as forger:
            first = hosts.start(1).ready()
            foreign = hosts.start(3, "--key-file", str(other_key)).ready()
            before = first.rss_bytes
            forge(forger, hosts, first)
            second = hosts.start(2)
            most = 0

            def met(node: HostedNode, *names: str) -> bool:
                nonlocal most
                most = max(most, dials(hosts, 1))
                forge(forger, hosts, first)
                return bool(node.ready_line) and members(node)[1] == [*names]

            eventually(lambda: met(second, "n1", "n2"), "the two to be one cluster", seconds=MEET_S)
            third = hosts.start(4)
            eventually(lambda: met(third, "n1", "n2", "n4"), "a third one", seconds=MEET_S)
            assert 0 < most <= CANDIDATES_MAX + 2, "the candidates, and links to two members"
            assert decoy.most_in_a_second() <= 4 * CANDIDATES_PER_S, "four nodes dial"
            assert members(first)[1] == ["n1", "n2", "n4"]
            assert members(foreign)[1] == ["n3"]
            assert first.rss_bytes - before < 40 << 20, first.rss_bytes - before
            assert "Traceback" not in "".join(node.log for node in hosts.nodes)
    finally:
        decoy.close()
