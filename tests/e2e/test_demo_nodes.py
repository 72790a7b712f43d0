"""A demo that grows and shrinks: real processes, its own shell in one terminal, and `dyn demo …` in another."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dynamo_cli.exit_status import ExitStatus
from tests.helpers.cluster import Connection, eventually
from tests.helpers.demo import Demo
from tests.helpers.terminal import CTRL_D, Screen

pytestmark = pytest.mark.long

KEYS = {f"key:{number}".encode(): b"value %d" % number for number in range(60)}
MOVE_S = 60


class Shell(Screen):
    """The shell of a demo."""

    def __init__(self, demo: Demo, *command: str) -> None:
        super().__init__(list(command) or demo.command, demo.folder, {**demo.environ, "LANG": "C.UTF-8"})

    def nodes(self) -> list[str]:
        """Names of the nodes that it says there are."""
        return [line.split()[0] for line in self.run("\\nodes") if " :" in line]  # not the rest of a long path


@pytest.fixture
def demo(tmp_path: Path) -> Demo:
    """Three nodes, whose data stays."""
    return Demo(tmp_path, "--keep", str(tmp_path / "kept"), nodes=3)


def elsewhere(demo: Demo, *words: str) -> subprocess.CompletedProcess[str]:
    """`dyn demo …` in another terminal: in a session of its own."""
    command = [sys.executable, "-m", "dynamo_cli", "demo", *words, "--base-port", str(demo.base)]
    return subprocess.run(
        command, cwd=demo.folder, env=demo.environ, capture_output=True, text=True, check=False, timeout=MOVE_S,
        stdin=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def ring(demo: Demo, number: int) -> dict[str, Any]:
    """The ring as node number so and so knows it."""
    with Connection(demo.base + number) as connection:
        found: dict[str, Any] = json.loads(connection("DYN.RING"))
        return found


def names(demo: Demo, number: int) -> list[str]:
    """The members of the ring, and nobody that is only on his way."""
    found = ring(demo, number)
    assert found["moving"] is None
    return sorted(member["name"] for member in found["members"])


def holds_all(demo: Demo, number: int) -> bool:
    """Whether a node answers for every key."""
    with Connection(demo.base + number) as connection:
        return all(connection("GET", key) == value for key, value in KEYS.items())


def test_a_demo_grows_and_shrinks_and_remembers_it(demo: Demo) -> None:
    """By a word of its shell and from another terminal; what it held it holds, the next time, too."""
    with Shell(demo) as screen:
        screen.see(r"3 of 3 nodes up", seconds=MOVE_S)
        with Connection(demo.base + 1) as connection:
            for key, value in KEYS.items():
                connection("SET", key, value)
        shown = screen.run("\\add", seconds=MOVE_S)
        assert shown[0].startswith(f"n4 runs at 127.0.0.1:{demo.base + 4} (pid "), shown
        assert shown[-1].startswith("n4 is in: primary of 64 partitions; epoch "), shown
        assert names(demo, 4) == ["n1", "n2", "n3", "n4"]
        done = elsewhere(demo, "remove", "n1", "--json")
        assert (done.returncode, done.stderr) == (0, "")
        document = json.loads(done.stdout)
        assert (document["did"], document["nodes"]) == ("removed", ["n2", "n3", "n4"])
        assert names(demo, 4) == ["n2", "n3", "n4"]
        assert holds_all(demo, 2) and holds_all(demo, 4)
        assert screen.nodes() == ["n2", "n3", "n4"]
        kept = demo.folder / "kept"
        assert not (kept / "n1").exists() and (kept / "n1.log").exists()
        screen.type(CTRL_D)
        assert screen.end() == 0
    eventually(lambda: not demo.processes(), "everything to end")
    plain = [word for word in demo.command if word not in ("--nodes", "3")]
    with Shell(demo, *plain) as screen:
        screen.see(r"3 of 3 nodes up", seconds=MOVE_S)
        assert names(demo, 3) == ["n2", "n3", "n4"]
        assert holds_all(demo, 3)
        done = elsewhere(demo, "add")
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[1].startswith(f"added\tn1\t127.0.0.1:{demo.base + 1}\t")
        assert names(demo, 1) == ["n1", "n2", "n3", "n4"], "the free place, and no cluster of its own"
        screen.type(CTRL_D)
        assert screen.end() == 0
    eventually(lambda: not demo.processes(), "everything to end, also what was added")


def test_a_node_that_was_killed_is_removed_by_those_that_are_left(demo: Demo) -> None:
    with Shell(demo) as screen:
        screen.see(r"3 of 3 nodes up", seconds=MOVE_S)
        with Connection(demo.base + 1) as connection:
            for key, value in KEYS.items():
                connection("SET", key, value)
        assert screen.run("\\add ada", seconds=MOVE_S)[-1].startswith("ada is in")
        screen.run("\\kill n2")
        assert screen.run("\\remove n2", seconds=MOVE_S)[-1].startswith("n2 is gone: others have its 64 partitions")
        assert names(demo, 3) == ["ada", "n1", "n3"]
        assert holds_all(demo, 3)
        refused = elsewhere(demo, "remove", "n2")
        assert refused.returncode == ExitStatus.NOT_FOUND
        assert refused.stderr == "dyn: no node 'n2'. There are n1, n3, ada\n"


def test_one_that_does_not_start_is_no_node_of_the_demo(demo: Demo) -> None:
    """Its last words are shown where the order was given."""
    with Shell(demo) as screen:
        screen.see(r"3 of 3 nodes up", seconds=MOVE_S)
        (demo.folder / "kept" / "dyn.toml").write_text("nonsense = 1\n")
        failed = elsewhere(demo, "add", "bob")
        assert failed.returncode == ExitStatus.FAILURE
        *lines, last = failed.stderr.splitlines()
        assert last.startswith("dyn: node bob ended with exit code 2"), failed.stderr
        assert lines[-1].startswith("  bob | dyn: "), failed.stderr
        assert screen.nodes() == ["n1", "n2", "n3"]
