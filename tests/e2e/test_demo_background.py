"""`dyn demo --background`: real nodes that live on, found and broken from any terminal; stopped, nothing is left."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
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

    def faulty(self, *words: str) -> str:
        """Break it, or see how it is broken; what was said."""
        done = self.dyn("demo", *words, "--base-port", str(self.demo.base))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def kinds(self, *words: str) -> dict[str, list[str]]:
        """The kinds of faults in force on each node after an order."""
        told = json.loads(self.faulty(*words, "--json"))
        return {node["node"]: sorted(fault["kind"] for fault in node["faults"]) for node in told["nodes"]}

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


@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.long
def test_its_network_is_broken_and_mended_from_outside(background: Background) -> None:
    """Told to a person as in its shell, to a program as what is in force then; `reset` undoes all there is."""
    told = background.faulty("partition", "n1", "n2,n3", "-o", "table")
    assert told.startswith("cut 2 links: {n1} | {n2 n3}\nevery node calls those beyond the cut down")
    assert f"dyn demo heal --base-port {background.demo.base}" in told
    assert background.kinds("faults") == {"n1": ["cut"] * 2, "n2": ["cut"], "n3": ["cut"]}
    assert background.kinds("heal") == {"n1": [], "n2": [], "n3": []}
    background.faulty("slow", "n2", "20", "--jitter", "5")
    background.faulty("drop", "n1", "n3", "1")
    assert background.kinds("skew", "n3", "30") == {"n1": ["delay", "drop"], "n2": ["delay"] * 2,
                                                    "n3": ["delay", "drop", "skew"]}  # fmt: skip
    background.ordered("kill", "n1")
    background.ordered("pause", "n2")
    told = background.faulty("reset", "-o", "table")
    assert "n1 was killed by signal 9: started again" in told
    assert "n2 goes on as if nothing had been\nn3's clock is right again\nevery link is whole again\n" in told
    assert background.kinds("faults") == {"n1": [], "n2": [], "n3": []}
    assert background.states() == dict.fromkeys(("n1", "n2", "n3"), "up")
    assert background.dyn("demo", "slow", "n9", "5", "--base-port", str(background.demo.base)).returncode == 3


@pytest.mark.long
def test_a_shell_on_its_nodes_has_its_verbs(background: Background) -> None:
    """As if it had started them."""
    done = background.dyn("shell", "-e", "\\kill n3", "-e", "\\faults", "-e", "\\restart n3")
    assert done.returncode == 0, done.stderr
    assert "n3 killed (kill -9, pid " in done.stdout
    assert "n3 was killed by signal 9      \\restart n3" in done.stdout
    assert "n3 ready after " in done.stdout
    toured = background.dyn("shell", "-e", "\\tour")
    assert toured.returncode == 0, toured.stdout[-2000:] + toured.stderr
    assert re.search(r"^tour: \d+ scenes, \d+ checks, all ok", toured.stdout, re.MULTILINE)
    assert background.states() == dict.fromkeys(("n1", "n2", "n3"), "up")


@pytest.mark.long
def test_without_a_shell_it_stays_until_ctrl_c(tmp_path: Path) -> None:
    """With other quorums, on a slow network: also for a node that was started again, and after a heal."""
    demo = Demo(tmp_path, "--no-shell", "--nrw", "2/1/2", "--latency", "5", "--seed-data", "none", nodes=2)
    late = {"n1": [("delay", 5.0)], "n2": [("delay", 5.0)]}
    with demo.start() as process, ExitStack() as ending:
        ending.callback(process.terminate)  # also if something fails
        assert process.stdout is not None
        document = json.loads(process.stdout.readline())
        assert (document["latency_ms"], document["holds"]) == (5.0, None)
        made = Background.__new__(Background)
        made.demo, made.addresses = demo, [node["address"] for node in document["nodes"]]
        ring = json.loads(made.dyn("ring", "show", "--json").stdout)
        assert (ring["n"], ring["r"], ring["w"]) == (2, 1, 2)
        assert made.dyn("keys").stdout.splitlines()[1:] == []
        made.ordered("restart", "n2")
        for words in (("faults",), ("heal",), ("slow", "n2", "0")):
            told = json.loads(made.faulty(*words, "--json"))
            assert {n["node"]: [(f["kind"], f["ms"]) for f in n["faults"]] for n in told["nodes"]} == late
        assert "n1    none\n" in made.faulty("faults", "-o", "table")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 0, err
        assert "stopped 2 nodes, removed " in err
    demo.gone()


@pytest.mark.long
def test_without_a_shell_it_ends_as_it_is_told(tmp_path: Path) -> None:
    """`dyn demo stop`, or a supervisor's SIGTERM, is no failure."""
    demo = Demo(tmp_path, "--no-shell", "--seed-data", "none", nodes=1)
    with demo.start() as process, ExitStack() as ending:
        ending.callback(process.terminate)
        assert process.stdout is not None
        json.loads(process.stdout.readline())
        made = Background.__new__(Background)
        made.demo, made.addresses = demo, [f"127.0.0.1:{demo.base + 1}"]
        assert made.listed()["by"] == "foreground"
        assert made.dyn("demo", "stop").returncode == 0
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert "stopped 1 node, removed " in process.stderr.read()
    demo.gone()


@pytest.mark.long
def test_killed_it_leaves_nothing(tmp_path: Path) -> None:
    """No process, no data, and nothing in the list."""
    made = Background(tmp_path, nodes=1)
    pid = made.listed()["pid"]
    os.kill(pid, signal.SIGKILL)
    made.demo.gone()
    assert json.loads(made.dyn("demo", "ls", "--json").stdout)["demos"] == []


@pytest.mark.long
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
