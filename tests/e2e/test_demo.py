"""`dyn demo` without a terminal: the tour as anybody runs it, and what is left however it ends: nothing."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dynamo_cli.demo.cuts import cut, heal
from dynamo_cli.demo.processes import DemoCluster, DemoNode, asking, places
from dynamo_cli.store import document
from tests.helpers.cluster import eventually
from tests.helpers.demo import Demo, free_base

TOUR_S = 90
"""A tour takes a few seconds; this is for a machine that does much else."""


def test_the_tour_holds_what_it_shows(tmp_path: Path) -> None:
    """Exit 0, plain text of 80 columns, each scene with commands and checks, nothing left behind."""
    demo = Demo(tmp_path)
    process = demo.start()
    out, err = process.communicate(timeout=TOUR_S)
    assert process.returncode == 0, out[-2000:] + err
    last = out.splitlines()[-1]
    found = re.fullmatch(r"tour: (\d+) scenes, (\d+) checks, all ok in ([\d.]+) s", last)
    assert found, last
    assert int(found[1]) == len(re.findall(r"^--- \d+\. .* -+$", out, re.MULTILINE)) == 13
    assert int(found[2]) == len(re.findall(r"^  ok  ", out, re.MULTILINE))
    assert "\x1b" not in out + err
    assert "Traceback" not in out + err
    wide = [line for line in out.splitlines() if len(line) > 80 and not line.startswith(("ready ", "OK ", "dyn: "))]
    assert wide == []
    assert err.splitlines()[0].startswith("dyn demo: 5 real node processes, temporary data in ")
    demo.gone()


@pytest.mark.long
def test_the_tour_shows_the_conflict_with_its_clocks(tmp_path: Path) -> None:
    """Three nodes do as well; kept data is there the second time, and the tour begins anew."""
    demo = Demo(tmp_path, "--keep", str(tmp_path / "kept"), nodes=3)
    for turn in (1, 2):
        process = demo.start()
        out, err = process.communicate(timeout=TOUR_S)
        assert process.returncode == 0, out[-2000:] + err
        assert re.search(r"^[AB]  \[\"milk\",\"eggs\"\] +\{n\d:\d.*\} +ada ", out, re.MULTILINE)
        assert re.search(r"^[AB]  \[\"milk\",\"beer\"\] +\{n\d:\d.*\} +bob ", out, re.MULTILINE)
        assert re.search(r"^both follow \{.*\}:  A is event n\d:\d+, B is event n\d:\d+$", out, re.MULTILINE)
        keys = [int(n) for n in re.findall(r"^up +n\d .*% +(\d+)  ", out, re.MULTILINE)[:3]]
        assert (max(keys) > 0) is (turn == 2), out[:2000]
        demo.gone()
    assert {path.name for path in (tmp_path / "kept").iterdir()} >= {"cluster.key", "n1", "n1.log", "n3"}


def running(demo: Demo, process: subprocess.Popen[str]) -> None:
    """Wait until all nodes are ready."""
    assert process.stderr is not None
    for line in process.stderr:
        if "nodes ready in" in line:
            assert len(demo.processes()) >= 5
            return
    raise AssertionError(f"the demo ended with {process.wait()}")


@pytest.mark.long
def test_kill_9_of_the_demo_leaves_nothing_behind(tmp_path: Path) -> None:
    """Its nodes have no parent then, and end nevertheless; its data goes."""
    demo = Demo(tmp_path)
    with demo.start() as process:
        running(demo, process)
        process.kill()
        process.wait()
        demo.gone()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_while_the_nodes_start_cleans_up(tmp_path: Path, number: signal.Signals, code: int) -> None:
    """Ctrl-C, a supervisor, a closed terminal."""
    demo = Demo(tmp_path)
    with demo.start() as process:
        eventually(lambda: len(demo.processes()) >= 3 or process.poll() is not None, "processes to start")
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
        assert process.returncode == code, err
        assert "Traceback" not in err
        demo.gone()


@pytest.mark.long
def test_a_reader_who_leaves_ends_the_tour(tmp_path: Path) -> None:
    """As `dyn demo | head -1` does."""
    demo = Demo(tmp_path)
    with demo.start() as process:
        running(demo, process)
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        err = process.stderr.read()
        assert process.wait(TOUR_S) == 141, err
        assert "Traceback" not in err
        demo.gone()


def test_the_demos_network_can_be_cut_in_two_and_healed(tmp_path: Path) -> None:
    """From outside with `dyn fault`, and by its own hand, also while one of its nodes does not run."""
    demo = DemoCluster(tmp_path, places(3, free_base(3)), os.environ)
    try:
        demo.start(lambda ready, count: None)
        one, two, three = demo
        cut(demo, [one], [two, three])
        listed = {node.name: faults_of(node) for node in demo}
        assert {name: len(found) for name, found in listed.items()} == {"n1": 2, "n2": 1, "n3": 1}
        assert listed["n2"] == [{"kind": "cut", "a": "n1", "b": "n2"}]
        two.kill()
        heal(demo)
        assert faults_of(one) == faults_of(three) == []
        cut(demo, [one, three], [two])
        assert len(faults_of(one)) == len(faults_of(three)) == 1
        demo.restart(two)
        assert faults_of(two) == []
        heal(demo)
        eventually(lambda: all(demo.view(node) for node in demo), "all to see all up")
    finally:
        demo.close()


def faults_of(node: DemoNode) -> list[dict[str, Any]]:
    """What is in force at a node."""
    with asking(node) as client:
        found: list[dict[str, Any]] = document(client, "FAULT", "LIST")["faults"]
    return found
