"""While nodes are restarted one after another, as for an upgrade or with new secrets, no client sees an error (R7)."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from node.client import Client, DynError
from tests.helpers.cluster import Cluster, Node, ReplyError, eventually
from tests.helpers.next_release import RELEASE

pytestmark = pytest.mark.long

PORTS = range(26800, 26900)
NEXT = "tests.helpers.next_release"
CLIENTS = 4


class Shopper(threading.Thread):
    """A client with two endpoints, that writes keys of its own and reads them back, as fast as it gets answers."""

    def __init__(self, number: int, nodes: Sequence[Node]) -> None:
        super().__init__(name=f"shopper-{number}", daemon=True)
        self.requests = 0
        self.wrong: list[str] = []
        self._ports = [node.port for node in (*nodes[number % len(nodes) :], *nodes)][:2]
        self._halt = threading.Event()

    def run(self) -> None:
        contexts: dict[str, bytes] = {}
        port, other = self._ports
        with Client(port=port, endpoints=[("127.0.0.1", other)], timeout_ms=5000) as client:
            while not self._halt.is_set():
                key, value = f"{self.name}:{self.requests % 20}", str(self.requests)
                try:
                    contexts[key] = client.put(key, value, context=contexts.get(key, b""))
                    found = client.get(key)
                except DynError as error:
                    self.wrong.append(f"{key}: {error!r}")
                    return  # what follows would be strange because of this
                finally:
                    self.requests += 1
                if found.values != (value.encode(),):
                    self.wrong.append(f"{key}: {value} was written, {found.values} read")

    def stop(self) -> None:
        self._halt.set()
        self.join()


@contextmanager
def shoppers(nodes: Sequence[Node]) -> Iterator[list[Shopper]]:
    """Clients at work during the block; at its end none of them may have seen anything wrong."""
    crowd = [Shopper(number, nodes) for number in range(CLIENTS)]
    for shopper in crowd:
        shopper.start()
    try:
        more(crowd)
        yield crowd
        more(crowd)
    finally:
        for shopper in crowd:
            shopper.stop()
    assert [wrong for shopper in crowd for wrong in shopper.wrong] == []


def more(crowd: Sequence[Shopper]) -> None:
    """Wait until each has made some more requests."""
    wanted = [shopper.requests + 50 for shopper in crowd]

    def made() -> bool:
        assert [wrong for shopper in crowd for wrong in shopper.wrong] == []
        return all(shopper.requests >= least for shopper, least in zip(crowd, wanted, strict=True))

    eventually(made, "requests")


def up(node: Node) -> list[str]:
    return sorted(each["name"] for each in node.document("STATUS")["nodes"] if each["state"] == "up")


def all_up(cluster: Cluster) -> None:
    names = sorted(node.name for node in cluster)
    eventually(lambda: all(up(node) == names for node in cluster), "all to see all", seconds=60)


def test_a_rolling_upgrade_and_the_way_back_are_seen_by_no_client(tmp_path: Path) -> None:
    """Both releases are in one cluster for a while; the later one says more than the earlier one knows."""
    with Cluster(3, tmp_path, ports=PORTS) as cluster:
        cluster.settle()
        with shoppers(cluster.nodes) as crowd:
            for module in NEXT, "dynamo_cli":
                for node in cluster:
                    assert node.stop() == 0
                    node.module = module
                    node.start().ready()
                    all_up(cluster)
                    more(crowd)
        assert all("broke the protocol" not in node.log for node in cluster)
        assert all(f"dyn {RELEASE}" in node.log for node in cluster)


def test_a_release_without_a_common_version_stays_outside_and_both_sides_say_so(tmp_path: Path) -> None:
    with Cluster(3, tmp_path, ports=PORTS) as cluster:
        cluster.settle()
        late = cluster[2]
        assert late.send("SET", "sealed", "by a write") == b"OK"
        late.stop()
        late.module, late.environ = NEXT, late.environ | {"NEXT_RELEASE_OLDEST": "2"}
        with shoppers(cluster.nodes[:2]):
            late.start()
            words = "another protocol version"
            eventually(lambda: words in late.log and words in cluster[0].log, "both to say why there is no link")
        assert f"dyn '{RELEASE}') speaks version 2" in cluster[0].log
        late.kill()


def test_the_cluster_key_is_exchanged_while_clients_go_on(tmp_path: Path) -> None:
    """The new key is taken by all, then used by all, then the old one is given up by all: SIGHUP each time."""
    old, new = "the cluster key of a test cluster\n", "another cluster key, for the same cluster\n"
    key = tmp_path / "cluster.key"
    with Cluster(3, tmp_path, ports=PORTS) as cluster:
        cluster.settle()
        with shoppers(cluster.nodes) as crowd:
            for turn, content in enumerate((old + new, new + old, new), 1):
                key.write_text(content)
                for node in cluster:
                    node.signal(signal.SIGHUP)
                    eventually(lambda node=node, turn=turn: node.log.count("read the secrets again") == turn, "SIGHUP")
                    more(crowd)
        all_up(cluster)
        stranger = cluster[2]
        stranger.stop()
        key.write_text(old)
        stranger.start()
        eventually(lambda: "another cluster key" in cluster[0].log, "the old key to be refused")
        assert stranger.ready_line == ""
        stranger.kill()


def test_secrets_that_cannot_be_read_change_nothing(tmp_path: Path) -> None:
    with Cluster(1, tmp_path, ports=PORTS) as cluster:
        (node,) = cluster
        (tmp_path / "cluster.key").write_text("short\n")
        node.signal(signal.SIGHUP)
        eventually(lambda: "the secrets stay as they were" in node.log, "the refusal")
        assert "holds a key of 5 bytes" in node.log
        assert node.send("PING") == b"PONG"


def test_another_password_is_asked_for_after_sighup(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.touch(mode=0o600)
    file.write_text("first")
    with Cluster(1, tmp_path / "c", "--password-file", str(file), start=False, ports=PORTS) as cluster:
        (node,) = cluster
        node.start().ready()
        with node.connect() as early:
            assert early("AUTH", "first") == b"OK"
            file.write_text("second")
            node.signal(signal.SIGHUP)
            eventually(lambda: "read the secrets again" in node.log, "SIGHUP")
            assert early("PING") == b"PONG", "who is in stays in"
            with node.connect() as late:
                assert late("AUTH", "second") == b"OK"


def rotate(cluster: Cluster) -> None:
    """Have a new context secret made, and wait until every node uses it."""
    epoch = cluster[0].document("CLUSTER", "ROTATE")["epoch"]
    eventually(
        lambda: all(node.document("RING")["epoch"] == epoch + 1 for node in cluster), "all to use the new secret"
    )


def test_the_context_secret_is_exchanged_while_clients_go_on(tmp_path: Path) -> None:
    """Contexts of the last secret stay good on every node; those of the one before it are refused."""
    with Cluster(3, tmp_path, ports=PORTS) as cluster:
        cluster.settle()
        one, two, three = cluster
        first = one.send("DYN.PUT", "k", "", "v")
        with shoppers(cluster.nodes) as crowd:
            rotate(cluster)
            more(crowd)
            second = three.send("DYN.PUT", "k", first, "w")
            rotate(cluster)
            more(crowd)
        third = one.send("DYN.PUT", "k", second, "x")
        assert len({first, second, third}) == 3
        with pytest.raises(ReplyError, match=r"^BADCONTEXT"):
            one.send("DYN.PUT", "k", first, "y")
        assert two.send("GET", "k") == b"x"
