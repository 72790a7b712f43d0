"""One real node process: how it starts, what it answers on its three ports, how it stops, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from node.storage.schema import NAMES
from tests.helpers.cluster import Cluster, Node, ReplyError, eventually, free_ports
from tests.helpers.tools import need

ALONE = ("--discover", "none")


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Any]:
    """Makes nodes in a folder of the test, each on free ports, and ends them."""
    nodes: list[Node] = []

    def make(*flags: str, folder: str = "home", **more: Any) -> Node:
        taken = {node.port for node in nodes}
        port = next(port for port in free_ports(len(nodes) + 1) if port not in taken)
        node = Node(tmp_path / folder, more.pop("port", port), *ALONE, *flags, **more)
        nodes.append(node)
        return node

    yield make
    for node in nodes:
        if not node.ended:
            node.signal(signal.SIGCONT)
            node.kill()


def refused(node: Node, *words: str, code: int = 1) -> str:
    """A start that must fail: with this exit code, one line, and these words. Returns the line."""
    node.start()
    assert node.wait(20) == code, node.log
    line = node.log.splitlines()[-1]
    for word in words:
        assert word in line, line
    assert "Traceback" not in node.log
    assert not node.ready_line
    return line


# Start and stop -----------------------------------------------------------------------------------------------


def test_ready_says_where_it_is_and_sigterm_stops_it(made: Any) -> None:
    node = made().start().ready()
    assert node.ready_line == (
        f"ready {node.name} cluster=dyn client=127.0.0.1:{node.port} peer=127.0.0.1:{node.peer_port} "
        f"http=127.0.0.1:{node.http_port} pid={node.pid}"
    )
    assert node.send("PING") == b"PONG"
    assert node.stop() == 0
    assert "stopped after" in node.log
    assert "Traceback" not in node.log


def test_ctrl_c_stops_it_with_exit_0(made: Any) -> None:
    node = made().start().ready()
    node.signal(signal.SIGINT)
    assert node.wait() == 0


def test_a_client_that_waits_does_not_hold_up_the_stop(made: Any) -> None:
    node = made().start().ready()
    with node.connect() as idle, socket.create_connection(("127.0.0.1", node.peer_port)):
        idle("PING")
        assert node.stop() == 0


def test_a_second_ctrl_c_stops_at_once(made: Any) -> None:
    node = made().start().ready()
    node.signal(signal.SIGINT)
    node.signal(signal.SIGINT)
    assert node.wait(2) in (0, 130)


def test_a_restart_keeps_data_identity_and_epoch(made: Any) -> None:
    node = made().start().ready()
    node.send("SET", "k", "v")
    before = node.document("RING")
    assert node.stop() == 0
    node.start().ready()
    assert node.send("GET", "k") == b"v"
    after = node.document("RING")
    assert (after["epoch"], after["members"][0]["id"]) == (before["epoch"], before["members"][0]["id"])


def test_kill_9_keeps_what_was_acknowledged(made: Any) -> None:
    node = made().start().ready()
    with node.connect() as client:
        for number in range(50):
            client("SET", f"k{number}", number)
    node.kill()
    node.start().ready()
    with node.connect() as client:
        assert [client("GET", f"k{number}") for number in range(50)] == [b"%d" % number for number in range(50)]


def test_the_service_manager_is_told(made: Any, tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(20)
        node = made(environ={"NOTIFY_SOCKET": str(path)}).start()
        assert manager.recv(4096).startswith(b"READY=1\n")
        assert node.stop() == 0
        assert manager.recv(4096) == b"STOPPING=1"


def test_a_node_that_joins_waits_for_its_seat(made: Any) -> None:
    node = made("--join", "127.0.0.1:1").start()
    eventually(lambda: "no link to 127.0.0.1:1" in node.log or node.ended, "the dial to fail")
    eventually(lambda: _status(node) or node.ended, "its HTTP port")
    assert not node.ready_line
    status, body = node.http("/health")
    assert status == 503
    assert json.loads(body)["health"] == "critical"
    assert node.stop() == 0


# The ports ----------------------------------------------------------------------------------------------------


def test_health_is_the_status_document(made: Any) -> None:
    node = made().start().ready()
    status, body = node.http("/health")
    document = json.loads(body)
    assert (status, document["schema"], document["health"]) == (200, "dyn.status/v1", "degraded")
    assert document["nodes"][0]["name"] == node.name
    status, body = node.http("/health", method="HEAD")
    assert (status, body) == (200, "")


def test_metrics_count_requests(made: Any) -> None:
    node = made().start().ready()
    with node.connect() as client:
        client("SET", "k", "v")
        client("GET", "k")
        client("GET", "k")
    status, body = node.http("/metrics")
    assert status == 200
    lines = body.splitlines()
    assert 'dyn_requests_total{op="get",outcome="ok"} 2.0' in lines
    assert 'dyn_requests_total{op="put",outcome="ok"} 1.0' in lines
    assert 'dyn_request_seconds_count{op="get"} 2.0' in lines
    assert "dyn_keys 1.0" in lines
    assert "dyn_seated 1.0" in lines
    assert any(line.startswith("dyn_resident_memory_bytes ") for line in lines)
    assert any(line.startswith("dyn_storage_") for line in lines)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/x", 404),
        ("POST", "/health", 405),
        ("GET", "/metrics?name[]=x", 200),
        ("GET", "nothing", 400),
    ],
)
def test_other_http_requests(made: Any, method: str, path: str, status: int) -> None:
    node = made().start().ready()
    assert node.http(path, method=method)[0] == status


def test_the_http_port_is_bounded(made: Any) -> None:
    node = made().start().ready()
    with socket.create_connection(("127.0.0.1", node.http_port), 10) as long:
        long.sendall(b"GET /" + b"x" * 20_000)
        assert long.recv(100).startswith(b"HTTP/1.1 431 ")
    idlers = [socket.create_connection(("127.0.0.1", node.http_port), 10) for _ in range(80)]
    try:
        eventually(lambda: node.http_port and any(_closed(idler) for idler in idlers), "one too many to be let go")
    finally:
        for idler in idlers:
            idler.close()
    eventually(lambda: _status(node) == 200, "room for others again")


def _closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _status(node: Node) -> int:
    try:
        return node.http("/health")[0]
    except (OSError, IndexError):
        return 0


def test_stats_info_and_config(made: Any) -> None:
    node = made("--zone", "a").start().ready()
    node.send("SET", "k", "v")
    stats = node.document("STATS")
    assert stats["schema"] == "dyn.stats/v1"
    assert stats["ops"] == {"get": 0, "put": 1, "del": 0}
    assert stats["latency_ms"]["put"]["p99"] > 0
    assert stats["queues"]["disk_writes"] == 0
    assert stats["storage"]
    info = node.send("INFO", "dyn").decode()
    assert f"node:{node.name}\r\n" in info
    assert f"peer_port:{node.peer_port}\r\n" in info
    assert node.send("CONFIG", "GET", "zone") == [b"zone", b"a"]
    assert node.send("CONFIG", "GET", "*password*")[0::2] == [b"password-file"]


def test_a_password_is_asked_for(made: Any, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.touch(mode=0o600)
    secret.write_text("s3cret\n")
    node = made("--password-file", str(secret)).start().ready()
    with node.connect() as client:
        with pytest.raises(ReplyError, match=r"^NOAUTH"):
            client("GET", "k")
        with pytest.raises(ReplyError, match=r"^WRONGPASS"):
            client("AUTH", "secret")
        client("AUTH", "s3cret")
        client("SET", "k", "v")
    for shown in (node.log, Path(f"/proc/{node.pid}/cmdline").read_text(), node.http("/metrics")[1]):
        assert "s3cret" not in shown


# What it refuses ----------------------------------------------------------------------------------------------


def test_a_taken_port_names_who_has_it(made: Any) -> None:
    node = made().start().ready()
    second = made(folder="second", port=node.port, name="other")
    refused(second, f"port {node.port} is used by pid {node.pid} (dyn node {node.name}, cluster dyn)", "--port")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        third = made("--http-port", str(port), folder="third")
        refused(third, f"port {port} is used by pid {os.getpid()} (", "--http-port")


def test_a_data_directory_is_used_by_one_node(made: Any, tmp_path: Path) -> None:
    shared = str(tmp_path / "shared")
    node = made("--data-dir", shared, name="n1").start().ready()
    refused(made("--data-dir", shared, folder="second", name="n1"), shared, f"{node.pid}")


def test_the_data_directory_of_another_cluster_or_node_is_refused(made: Any, tmp_path: Path) -> None:
    shared = str(tmp_path / "shared")
    node = made("--data-dir", shared, name="n1").start().ready()
    node.send("SET", "k", "v")
    assert node.stop() == 0
    refused(made("--data-dir", shared, "--cluster", "shop", name="n1"), "node n1 of cluster dyn", "cluster shop")
    refused(made("--data-dir", shared, name="n2"), "belongs to node n1 of cluster dyn", "--name n1")
    assert node.start().ready().send("GET", "k") == b"v"


def test_the_data_directory_of_another_number_of_partitions_is_refused(made: Any, tmp_path: Path) -> None:
    """Who does not ask for a number takes what is there."""
    shared = str(tmp_path / "shared")
    node = made("--data-dir", shared, "--partitions", "64", name="n1").start().ready()
    assert node.send("CONFIG", "GET", "partitions") == [b"partitions", b"64"]
    assert node.stop() == 0
    refused(made("--data-dir", shared, "--partitions", "128", name="n1"), shared, "of 64 partitions", "one of 128")
    plain = made("--data-dir", shared, name="n1").start().ready()
    assert plain.document("RING")["partitions"] == 64


def test_a_node_takes_no_seat_in_a_cluster_of_another_number_of_partitions(tmp_path: Path) -> None:
    """It ends before it has one: nothing of it is left to be refused at its next start, without the flag."""
    with Cluster(2, tmp_path, start=False) as cluster:
        first, second = cluster
        first.start().ready().send("SET", "k", "v")
        second.start("--partitions", "64")
        assert second.wait() == 1
        assert "cluster dyn has 256 partitions and this node was started with --partitions 64" in second.log
        assert not second.ready_line
        second.start().ready()
        assert second.send("GET", "k") == b"v"


def test_the_data_directory_of_a_later_version_is_refused(made: Any, tmp_path: Path) -> None:
    node = made("--data-dir", str(tmp_path / "data")).start().ready()
    assert node.stop() == 0
    with sqlite3.connect(data_file(tmp_path / "data")) as other:
        other.execute("INSERT INTO _sqlite_migrations VALUES (99, 'dyn', 'm099_later', 'now')")
    other.close()
    refused(node, "later version of dyn", "it has m099_later", f"this version ends at {NAMES[-1]}", "Start it with")


def test_the_data_directory_remembers_the_name(made: Any, tmp_path: Path) -> None:
    shared = str(tmp_path / "shared")
    node = made("--data-dir", shared, name="ada").start().ready()
    assert node.stop() == 0
    again = made("--data-dir", shared, name="")
    assert again.start().ready().ready_line.startswith("ready ada ")


def data_file(folder: Path) -> Path:
    """The one SQLite file of a data directory."""
    (found,) = folder.glob("*.db")
    return found


def test_a_broken_file_is_called_broken(made: Any, tmp_path: Path) -> None:
    node = made("--data-dir", str(tmp_path / "data")).start().ready()
    assert node.stop() == 0
    path = data_file(tmp_path / "data")
    for leftover in path.parent.glob(f"{path.name}-*"):
        leftover.unlink()
    path.write_bytes(b"this is no database" * 1000)
    refused(node, str(path))


def test_a_file_of_another_program_is_not_touched(made: Any, tmp_path: Path) -> None:
    node = made("--data-dir", str(tmp_path / "data")).start().ready()
    assert node.stop() == 0
    path = data_file(tmp_path / "data")
    path.unlink()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE theirs (a)")
    other.close()
    refused(node, str(path))
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]
    other.close()


def test_a_directory_that_may_not_be_written(made: Any, tmp_path: Path) -> None:
    """Root may write everywhere, unless that right is taken from it."""
    under: tuple[str, ...] = ()
    if os.geteuid() == 0:
        under = (need("setpriv", package="util-linux"), "--bounding-set=-dac_override,-dac_read_search")
    folder = tmp_path / "data"
    folder.mkdir(mode=0o500)
    refused(made("--data-dir", str(folder), under=under), str(folder))


def test_a_data_directory_that_is_a_file(made: Any, tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_text("")
    refused(made("--data-dir", str(path)), str(path))


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1"])
def test_others_are_kept_out_unless_there_is_a_key_and_a_password(made: Any, address: str) -> None:
    refused(made("--listen", address), address, "cluster key and a client password", "--key-file", "--password-file")


def test_a_wrong_flag_is_an_error_of_usage(made: Any) -> None:
    refused(made("--nrw", "3/9/1"), "--nrw", "3/9/1", code=2)


def test_a_key_that_others_can_read_is_refused(made: Any, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("k" * 40)
    key.chmod(0o644)
    refused(made("--key-file", str(key)), str(key), "chmod 600")


# Together -----------------------------------------------------------------------------------------------------


def test_three_nodes_are_a_cluster_and_outlive_a_kill(tmp_path: Path) -> None:
    with Cluster(3, tmp_path) as cluster:
        for number in range(30):
            cluster.send(number % 3, "SET", f"k{number}", number)
        cluster[0].kill()
        for number in range(30):
            assert cluster.send(1 + number % 2, "GET", f"k{number}") == b"%d" % number
            cluster.send(2 - number % 2, "SET", f"k{number}", number + 100)
        assert cluster[1].http("/health")[0] == 200
        cluster[0].start().ready()
        cluster.settle()
        assert [cluster.send(0, "GET", f"k{number}") for number in range(30)] == [b"%d" % (n + 100) for n in range(30)]
        assert {node.stop() for node in cluster} == {0}
        assert "Traceback" not in cluster.log


def test_an_idle_node_is_small(made: Any) -> None:
    node = made().start().ready()
    node.send("SET", "k", "v")
    assert node.rss_bytes < 60 << 20
