"""`dyn node stop`, `info`, `ping` and `unit`: on real processes, and never on another one than was meant."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from dynamo_cli.client import Address
from dynamo_cli.errors import CliError
from dynamo_cli.running import by_directory, by_port, is_here, let_go
from dynamo_cli.unit import escaped, unit
from tests.helpers.cli import Result, dyn
from tests.helpers.cluster import Cluster, eventually
from tests.helpers.fake_node import fake_node


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(3, tmp_path_factory.mktemp("process")) as made:
        yield made


def on(cluster: Cluster, *argv: str) -> Result:
    return dyn(*argv, environ={"DYN_NODES": f"127.0.0.1:{cluster[0].port}"})


def settled(cluster: Cluster, up: int) -> None:
    def seen() -> bool:
        return sum(node["state"] == "up" for node in cluster[0].document("STATUS")["nodes"]) == up

    eventually(seen, f"{up} nodes to be up")


# info and ping --------------------------------------------------------------------------------------------------------


def test_a_node_says_what_it_is(cluster: Cluster) -> None:
    told = json.loads(on(cluster, "node", "info", "n2", "--json").out)
    assert (told["schema"], told["node"]) == ("dyn.node.info/v1", "n2")
    assert told["info"]["process_id"] == str(cluster[1].pid)
    assert told["settings"]["durability"] == "full"
    assert told["storage"]["free_bytes"] > 0
    assert not {"key", "password"} & set(told["settings"])
    assert json.loads(on(cluster, "node", "info", "--json").out)["node"] == "n1"
    wrong = on(cluster, "node", "info", "n9")
    assert (wrong.status, "There are n1, n2, n3" in wrong.err) == (3, True)


def test_every_node_is_pinged_and_a_silent_one_is_exit_5(cluster: Cluster) -> None:
    told = on(cluster, "node", "ping", "--count", "2", "--json")
    nodes = json.loads(told.out)["nodes"]
    assert told.status == 0
    assert {node["node"]: len(node["ms"]) for node in nodes} == {"n1": 2, "n2": 2, "n3": 2}
    with fake_node() as node:
        node.replies["DYN.RING"] = {"members": [{"name": "n1", "address": "127.0.0.1:1"}]}
        silent = dyn("node", "ping", "--json", node=node)
        assert silent.status == 5
        assert json.loads(silent.out)["nodes"][0]["error"].startswith("cannot reach 127.0.0.1:1")
        assert max(map(len, dyn("node", "ping", "--color", "never", node=node, terminal=True).out.splitlines())) <= 80


def test_what_another_release_does_not_tell_is_unknown() -> None:
    with fake_node(DYN_STATS={}, INFO=b"", CONFIG=[]) as node:
        screen = dyn("node", "info", node=node, terminal=True)
    assert screen.status == 0
    assert "dyn ?, protocol ? to ?" in screen.out


def test_the_log_of_a_node_is_found_by_its_process(cluster: Cluster) -> None:
    told = json.loads(on(cluster, "node", "logs", "n2", "--json").out)
    assert (told["node"], told["file"]) == ("n2", str(cluster[1].folder / "stderr"))
    assert told["lines"][0]["text"].startswith("dyn ")
    assert {line["level"] for line in told["lines"]} <= {"info", "warn"}
    with fake_node(INFO=b"process_id:1\r\nnode:n1\r\n") as node:
        refused = dyn("node", "logs", node=node)
    assert (refused.status, "another user's, or of another namespace" in refused.err) == (9, True)


# stop -----------------------------------------------------------------------------------------------------------------


def test_a_node_is_stopped_cleanly_and_asked_for_where_it_is_needed(cluster: Cluster) -> None:
    """The first of three may go; the second is needed by R and W, so that somebody must say so."""
    stopped = on(cluster, "node", "stop", "n3", "--json")
    assert stopped.status == 0, stopped.err
    assert json.loads(stopped.out)["pid"] == cluster[2].pid
    assert cluster[2].wait() == 0, "as SIGTERM does"
    assert "stopping (SIGTERM)" in cluster[2].log
    settled(cluster, 2)
    refused = on(cluster, "node", "stop", "n2")
    assert refused.status == 9
    assert "n2 is needed: 1 up without it, and R or W is 2" in refused.err
    assert not cluster[1].ended
    assert on(cluster, "node", "stop", "n2", "-y").status == 0
    assert cluster[1].wait() == 0
    for node in (cluster[1], cluster[2]):
        node.start().ready()
    settled(cluster, 3)


def test_a_node_that_says_nothing_is_found_by_its_data_and_told_apart(cluster: Cluster) -> None:
    """SIGTERM waits until it goes on; `dyn` says that it does not know."""
    node = cluster[2]
    folder = Path(node.send("CONFIG", "GET", "data-dir")[1].decode())
    node.pause()
    late = dyn("node", "stop", "--data-dir", str(folder), "--for", "0.2")
    assert late.status == 7
    assert f"kill -9 {node.pid}" in late.err
    node.resume()
    assert node.wait() == 0
    gone = dyn("node", "stop", "--data-dir", str(folder))
    assert (gone.status, "no node uses" in gone.err) == (3, True)
    (folder / "lock").write_text(f"{os.getpid()}\n")
    assert dyn("node", "stop", "--data-dir", str(folder)).status == 3, "a process that does not hold the lock is none"
    assert dyn("node", "stop", "--data-dir", str(folder / "x")).status == 3
    assert dyn("node", "stop", "n1", "--data-dir", str(folder)).status == 2


def test_no_other_process_is_ever_stopped() -> None:
    """A node that lies about its process, or an address that is not here, or that is a tunnel."""
    with fake_node(INFO=b"process_id:1\r\nnode:n1\r\n", DYN_STATUS={}) as node:
        refused = dyn("node", "stop", node=node)
        assert refused.status == 9
        assert f"is that of process {os.getpid()}, and another node answers there" in refused.err
        let_go(by_port(Address("127.0.0.1", node.port), str(os.getpid())))
    assert is_here(Address("127.0.0.1", 1))
    assert not is_here(Address("192.0.2.1", 1))
    with pytest.raises(CliError, match="not on this machine"):
        by_port(Address("192.0.2.1", 7700), "1")
    with pytest.raises(CliError, match="another user, or to another namespace"):
        by_port(Address("127.0.0.1", 1), "1")
    with pytest.raises(CliError, match="is no data directory"):
        by_directory(Path("/nonexistent"))


# The service manager --------------------------------------------------------------------------------------------------


def test_the_watchdog_hears_of_a_loop_that_turns_and_not_of_one_that_stands(cluster: Cluster, tmp_path: Path) -> None:
    path = tmp_path / "notify"
    node = cluster[2]
    node.environ = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "200000"}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(20)
        node.start()
        assert manager.recv(4096).startswith(b"READY=1\n")
        assert [manager.recv(4096) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        node.pause()
        manager.settimeout(0.5)
        with suppress(TimeoutError):
            manager.recv(4096)  # one may have been sent before it stood
        with pytest.raises(TimeoutError):
            manager.recv(4096)
        node.resume()
        manager.settimeout(20)
        assert manager.recv(4096) == b"WATCHDOG=1"
    node.environ = {}


@pytest.mark.parametrize("user", [False, True])
def test_a_unit_is_one_that_systemd_takes(user: bool, tmp_path: Path) -> None:
    text = unit([sys.executable, "-m", "dynamo_cli"], user=user, name="n1", config="/etc/a b%.toml")
    service = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    assert (service["Type"], service["WatchdogSec"], service["TimeoutStartSec"]) == ("notify", "30", "infinity")
    assert service["ExecStart"].endswith('node start --name n1 --config "/etc/a b%%.toml"')
    assert ("User" in service, "ProtectSystem" in service) == (not user, not user)
    analyze = shutil.which("systemd-analyze")
    if analyze is not None:
        path = tmp_path / "dyn-n1.service"
        path.write_text(text)
        done = subprocess.run(
            [analyze, *(["--user"] if user else []), "verify", str(path)], capture_output=True, text=True, check=False,
            env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "SYSTEMD_LOG_LEVEL": "warning"},
        )  # fmt: skip
        assert [line for line in done.stderr.splitlines() if "dyn-n1" in line] == []


def test_a_unit_is_of_a_node_that_could_be() -> None:
    told = dyn("node", "unit", "--name", "a b")
    assert (told.status, told.out) == (2, "")
    assert "'a b': letters, digits, dot, dash and underscore are allowed" in told.err


def test_the_unit_that_is_printed_starts_this_dyn() -> None:
    told = dyn("node", "unit", "--name", "n2")
    assert f"ExecStart={escaped(sys.executable)} -m dynamo_cli node start --name n2\n" in told.out
    assert "/etc/systemd/system/dyn-n2.service" in told.out
    assert "[Install]\nWantedBy=default.target" in dyn("node", "unit", "--user").out


@pytest.mark.parametrize(
    ("word", "written"),
    [("a", "a"), ("a b", '"a b"'), ("50%", "50%%"), ("$x", "$$x"), ('a"b', '"a\\"b"'), ("a\nb", "a?b")],
)
def test_words_mean_themselves_in_a_unit(word: str, written: str) -> None:
    assert escaped(word) == written
