"""What a node runs with, or would; a node that ends once its hints are delivered; where its store is, and how it is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dynamo_cli.node_config import of_node
from tests.helpers.cli import Result, dyn
from tests.helpers.cluster import ROOT, Cluster, eventually, free_ports
from tests.helpers.documents import EVIL
from tests.helpers.fake_node import fake_node


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(3, tmp_path_factory.mktemp("draining")) as made:
        yield made


def on(cluster: Cluster, *argv: str, terminal: bool = False) -> Result:
    more = ("--color", "never") if terminal else ()
    return dyn(*argv, *more, environ={"DYN_NODES": f"127.0.0.1:{cluster[0].port}"}, terminal=terminal)


# Settings -------------------------------------------------------------------------------------------------------------


def test_what_a_node_runs_with_and_who_set_it(cluster: Cluster) -> None:
    told = json.loads(on(cluster, "node", "config", "n2", "--json").out)
    settings = {row["name"]: row for row in told["settings"]}
    assert told["node"] == "n2"
    assert (settings["port"]["value"], settings["port"]["origin"]) == (str(cluster[1].port), "--port")
    assert settings["peer-port"]["origin"] == "default, port + 100"
    assert settings["durability"] == {"name": "durability", "value": "full", "origin": "default"}
    assert not {"save", "appendonly", "origins", "password"} & set(settings)
    lines = on(cluster, "node", "config", "n2", "--origin", terminal=True).out.splitlines()
    assert lines[0].split() == ["SETTING", "VALUE", "FROM"]
    assert max(map(len, lines)) <= 80
    assert "FROM" not in on(cluster, "node", "config", terminal=True).out


def test_a_node_of_another_release_does_not_tell_who_set_what() -> None:
    for origins in ("", "nonsense", "[1]"):
        told = of_node("n1", "127.0.0.1:7700", {"port": "7700", "origins": origins})
        assert told["settings"] == [{"name": "port", "value": "7700", "origin": None}]


def test_hostile_settings_are_shown_as_what_they_are() -> None:
    reply = [b"zone", EVIL.encode(), EVIL.encode(), b"x", b"origins", json.dumps({"zone": EVIL}).encode()]
    with fake_node(CONFIG=reply, INFO=b"# x\r\nnode:n1\r\n") as node:
        for terminal in (False, True):
            result = dyn("node", "config", "--origin", "--color", "never", node=node, terminal=terminal)
            assert result.status == 0
            assert all(char.isprintable() or char in "\n\t" for char in result.out)


def check(tmp_path: Path, *words: str, **environ: str) -> Result:
    return dyn("node", "start", "--check-config", *words, environ={"HOME": str(tmp_path), **environ})


def test_what_would_be_used_is_said_and_nothing_is_started(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text('zone = "b"\n')
    words = ("--port", "7709", "--config", str(file))
    told = json.loads(check(tmp_path, *words, "--json", DYN_WEIGHT="3", DYN_PASSWORD="s3cret").out)
    rows = {row["name"]: (row["value"], row["origin"]) for row in told["settings"]}
    assert rows["port"] == ("7709", "--port")
    assert rows["zone"] == ("b", f"zone in {file}")
    assert rows["weight"] == ("3", "environment variable DYN_WEIGHT")
    assert rows["http-port"] == ("7909", "default, port + 200")
    assert rows["name"] == ("n7709", "default, unless the data directory knows another")
    assert rows["password"] == ("(set)", "environment variable DYN_PASSWORD")
    assert "key" not in rows
    assert [path.name for path in tmp_path.iterdir()] == ["node.toml"]
    assert "s3cret" not in check(tmp_path, *words, DYN_PASSWORD="s3cret").out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--port", "0"), "--port is '0'"),
        (("--listen", "192.0.2.7"), "can be reached from other machines"),
        (("--key-file", "/nonexistent/key"), "--key-file names /nonexistent/key, which cannot be read"),
        (("--log-level", "loud"), "info, warn and error are allowed"),
        (("--config", "/nonexistent.toml"), "cannot read the configuration file"),
        (("--ephemeral", "--data-dir", "/x"), "--ephemeral makes a directory of its own"),
    ],
)
def test_what_is_wrong_with_settings_is_exit_2(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    result = check(tmp_path, *words)
    assert (result.status, result.out) == (2, "")
    assert said in result.err


def test_an_ephemeral_node_leaves_nothing_behind(tmp_path: Path) -> None:
    """And one that logs errors alone says nothing of what is as it should be."""
    [port] = free_ports(1)
    command = [sys.executable, "-m", "dynamo_cli", "node", "start", "--port", str(port), "--discover", "none"]
    environ = {**os.environ, "HOME": str(tmp_path), "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    error = tmp_path / "stderr"
    with error.open("wb") as err:
        process = subprocess.Popen(
            [*command, "--ephemeral", "--log-level", "error"], cwd=tmp_path, env=environ, stdout=subprocess.PIPE,
            stderr=err,
        )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"ready")
        [directory] = tmp_path.glob("dyn-node-*")
        assert (directory / "node.db").exists()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    assert list(tmp_path.glob("dyn-node-*")) == []
    assert error.read_text() == f"ephemeral: the data in {directory} is deleted at a clean stop\n"


# Stores ---------------------------------------------------------------------------------------------------------------


def test_where_a_store_is_and_that_it_is_sound(cluster: Cluster) -> None:
    cluster[0].send("SET", "k", "v")
    path = Path(on(cluster, "node", "data", "path", "n2").out.rstrip("\n"))
    assert path.is_file()
    assert json.loads(on(cluster, "node", "data", "path", "n2", "--json").out)["here"] is True
    told = json.loads(on(cluster, "node", "data", "verify", "n2", "--json").out)
    assert (told["sound"], told["in_use"], told["damaged"], told["file"]) == (True, True, 0, str(path))
    assert "sound" in on(cluster, "node", "data", "verify", "n2", terminal=True).out
    refused = dyn("node", "data", "compact", str(path.parent))
    assert refused.status == 9
    assert "in use by process" in refused.err
    assert on(cluster, "node", "data", "verify", "n2", "--data-dir", "x").status == 2


def test_what_is_no_store_is_said(tmp_path: Path) -> None:
    for words in (("verify", "--data-dir"), ("compact",)):
        result = dyn("node", "data", *words, str(tmp_path))
        assert (result.status, "is no data directory of a node" in result.err) == (1, True)
    with fake_node(CONFIG=[b"name", b"n1"], DYN_RING={}) as node:
        assert dyn("node", "data", "path", node=node).status == 1


# Draining -------------------------------------------------------------------------------------------------------------


def test_a_node_is_stopped_once_its_hints_are_delivered(cluster: Cluster) -> None:
    """n3 is away and comes back: what n2 keeps for it, n3 has before n2 is gone. With n1 away, it is left and said."""
    cluster[2].kill()
    eventually(lambda: on(cluster, "cluster", "status", "--field", "health").out == "degraded\n")
    for i in range(40):
        cluster[1].send("SET", f"key:{i}", "v")
    held = json.loads(on(cluster, "cluster", "hints", "--json").out)["held"]
    assert {hint["by"] for hint in held} == {"n2"}
    refused = on(cluster, "node", "drain", "n2", "--for", "0.1")
    assert refused.status == 9, "it is needed by R and W"
    drained = on(cluster, "node", "drain", "n2", "--for", "0.1", "-y", "--json")
    told = json.loads(drained.out)
    assert (drained.status, told["delivered"], told["pid"]) == (8, 0, cluster[1].pid)
    assert [hint["for"] for hint in told["left"]] == ["n3"]
    assert cluster[1].wait() == 0
    for node in (cluster[1], cluster[2]):
        node.start().ready()
    drained = on(cluster, "node", "drain", "n2", terminal=True)
    assert drained.status == 0, drained.err
    assert drained.out.startswith("stopped n2 (pid ")
    assert cluster[1].wait() == 0
    told = json.loads(dyn("node", "data", "verify", "--data-dir", str(data_of(cluster, 1)), "--json").out)
    assert (told["sound"], told["in_use"]) == (True, False)
    assert dyn("node", "data", "compact", str(data_of(cluster, 1))).status == 0
    cluster[1].start().ready()
    assert "copy" not in cluster[1].log


def data_of(cluster: Cluster, at: int) -> Path:
    [file] = cluster[at].folder.rglob("node.db")
    return file.parent
