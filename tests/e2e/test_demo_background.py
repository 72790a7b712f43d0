"""`dyn demo --background`: real nodes that live on, found and broken from any terminal; stopped, nothing is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.cluster import eventually
from tests.helpers.demo import Demo

START_S = 60


class Background:
    """A demo in the background, and `dyn` beside it."""

    def __init__(self, folder: Path, nodes: int = 3) -> None:
        self.demo = Demo(folder, "--background", nodes=nodes)
        done = subprocess.run(
            self.demo.command, env=self.demo.environ, capture_output=True, timeout=START_S, check=True
        )
        self.document: dict[str, Any] = json.loads(done.stdout)
        self.addresses = [node["address"] for node in self.document["nodes"]]

    def dyn(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `dyn` as somebody in another terminal."""
        environ = {**self.demo.environ, "DYN_NODES": self.addresses[0]}
        command = [sys.executable, "-m", "dynamo_cli", *words]
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=START_S, check=False)

    def ordered(self, *words: str) -> None:
        """Give the demo an order that it carries out."""
        done = self.dyn("demo", *words, "--base-port", str(self.demo.base))
        assert done.returncode == 0, done.stderr

    def listed(self) -> dict[str, Any]:
        """What `dyn demo ls` says of it."""
        [found] = json.loads(self.dyn("demo", "ls", "--json").stdout)["demos"]
        assert isinstance(found, dict)
        return found

    def states(self) -> dict[str, str]:
        """What its nodes' processes do."""
        return {node["name"]: node["state"] for node in self.listed()["nodes"]}


@pytest.fixture(scope="module")
def background(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Background]:
    """One for all tests here; the last thing that is tested is that nothing of it is left."""
    made = Background(tmp_path_factory.mktemp("background"))
    yield made
    done = made.dyn("demo", "stop")
    assert done.returncode == 0, done.stderr
    assert f"removed {made.document['folder']}" in done.stdout
    made.demo.gone()
    assert list((made.demo.folder / ".local/state/dyn/demos").iterdir()) == []


def test_it_says_where_it_is_and_serves(background: Background) -> None:
    """As JSON to a program; each node answers where it says, and the shell that started it is gone."""
    document = background.document
    assert document["schema"] == "dyn.demo.started/v1"
    assert [node["name"] for node in document["nodes"]] == ["n1", "n2", "n3"]
    assert document["environment"] == {"DYN_NODES": ",".join(background.addresses)}
    for address in background.addresses:
        assert background.dyn("-n", address, "put", "k", address).returncode == 0
    assert background.listed()["state"] == "running"
    assert background.states() == dict.fromkeys(("n1", "n2", "n3"), "up")


def test_its_nodes_are_broken_and_mended_from_outside(background: Background) -> None:
    """Killed, started again, paused, resumed; each one's state is told."""
    background.ordered("kill", "n3")
    assert background.states()["n3"] == "ended"
    refused = background.dyn("demo", "kill", "n3", "--base-port", str(background.demo.base))
    assert (refused.returncode, "n3 does not run" in refused.stderr) == (1, True)
    background.ordered("restart", "n3")
    background.ordered("pause", "n2")
    assert background.states() == {"n1": "up", "n2": "paused", "n3": "up"}
    background.ordered("resume", "n2")


def test_a_node_that_crashes_is_told_with_its_last_words(background: Background) -> None:
    """In the list, and in the demo's own log."""
    [pid] = [node["pid"] for node in background.listed()["nodes"] if node["name"] == "n2"]
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: background.states()["n2"] == "crashed", "the crash to be seen")
    [node] = [node for node in background.listed()["nodes"] if node["name"] == "n2"]
    assert node["how"] == "was killed by signal 9"
    assert any("ready" in line or "INFO" in line for line in node["said"])
    log = Path(background.document["folder"], "demo.log")
    eventually(lambda: "n2 was killed by signal 9, and nobody asked" in log.read_text(), "the log to tell")
    background.ordered("restart", "n2")
    assert background.states()["n2"] == "up"


def test_a_measurement_kills_a_node_and_brings_it_back(background: Background) -> None:
    """Second by second; connections of the node that died go on at the others."""
    done = background.dyn("bench", "--json", "--rate", "150", "--duration", "3", "--keys", "100", "--clients", "6",
                          "--fault", "kill n2 @0.5s; heal @1.5s", "--assert", "errors<60")  # fmt: skip
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert [(fault["fault"], fault["error"]) for fault in document["faults"]] == [("kill n2", None), ("heal", None)]
    assert document["ops"]["get"]["count"] + document["ops"]["put"]["count"] > 100
    assert "still in force" not in done.stderr
    assert background.states()["n2"] == "up"


def test_killed_it_leaves_nothing(tmp_path: Path) -> None:
    """No process, no data, and nothing in the list."""
    made = Background(tmp_path, nodes=1)
    pid = made.listed()["pid"]
    os.kill(pid, signal.SIGKILL)
    made.demo.gone()
    assert json.loads(made.dyn("demo", "ls", "--json").stdout)["demos"] == []


def test_who_starts_it_and_leaves_before_it_runs_ends_it(tmp_path: Path) -> None:
    """Ctrl-C while the nodes start."""
    demo = Demo(tmp_path, "--background", nodes=3)
    with demo.start() as process:
        eventually(lambda: len(demo.processes()) >= 3 or process.poll() is not None, "processes to start")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 130, err
        assert "Traceback" not in err
        demo.gone()
