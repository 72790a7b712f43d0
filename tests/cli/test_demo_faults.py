"""A demo that is broken from elsewhere, without its nodes: which one is meant, what is believed of it, what is said."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dynamo_cli.demo import effects, registry
from dynamo_cli.demo.attach import Attached
from dynamo_cli.demo.changing import Changes
from dynamo_cli.demo.control import Control
from dynamo_cli.demo.crashes import crash_text
from dynamo_cli.demo.elsewhere import Elsewhere, FarNode
from dynamo_cli.demo.facility import Demo, Tongue
from dynamo_cli.demo.finding import find_demo, listed_with, option
from dynamo_cli.demo.processes import DemoCluster, places
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import Options
from dynamo_cli.repl.session import Session, ShellEnvironment
from tests.helpers.cli import dyn, environment
from tests.helpers.cluster import ROOT
from tests.helpers.fake_node import fake_node

BASE = 26700
"""Ports that nothing here listens on."""


@contextmanager
def held(folder: Path, *, latency_ms: float = 0.0) -> Iterator[DemoCluster]:
    """A demo of three nodes that were never started, which takes orders and is listed."""
    state = folder / "state"
    cluster = DemoCluster(folder, places(3, BASE), {}, temporary=False, latency_ms=latency_ms)
    control = Control(Changes(cluster))
    entry = registry.claim(state, "carts", None)
    entry.write(
        registry.Entry("carts", folder, BASE, False, os.getpid(), "2026-11-23T12:00:00.000Z", "background",
                       cluster.addresses)
    )  # fmt: skip
    control.start()
    try:
        yield cluster
    finally:
        control.close()
        entry.close(forget=True)
        cluster.close()


def test_a_demo_is_seen_through_the_process_that_holds_it(tmp_path: Path) -> None:
    """Its nodes stay the same objects; who is not there is an error that names who is."""
    with held(tmp_path, latency_ms=20) as cluster:
        far = Elsewhere(tmp_path)
        far.look()
        assert [(node.name, node.place) for node in far] == [(node.name, node.place) for node in cluster]
        assert far.latency_ms == 20
        first = far.find("n1")
        assert (first.ended, first.paused, first.pid, first.how) == (True, False, None, "was not started")
        far.look()
        assert far.find("n1") is first
        with pytest.raises(CliError, match="no node 'n9'"):
            far.find("n9")
        with pytest.raises(CliError, match="n1 does not run"):
            list(far.steps("kill", "n1"))


def test_a_crash_is_known_from_elsewhere_once_for_each_start() -> None:
    """With the end of the node's log: what a shell tells above its prompt."""
    told = {"name": "n1", "address": "127.0.0.1:7701", "peer_port": 7801, "http_port": 7901, "log": "/n1.log"}
    node = FarNode({**told, "pid": 7, "state": "up"})
    assert (node.starts, node.crashed, node.how) == (1, False, "runs")
    for _ in range(2):
        node.update({**told, "pid": None, "state": "crashed", "how": "was killed by signal 9", "said": ["INFO x"]})
        assert (node.starts, node.crashed, node.ended, node.pid) == (1, True, True, None)
    assert crash_text(node).startswith("n1 was killed by signal 9, and nobody asked for that")
    assert "  n1 | INFO x\n" in crash_text(node)
    node.update({**told, "pid": 8, "state": "up"})
    assert (node.starts, node.crashed) == (2, False)


@pytest.mark.parametrize("told", [{}, {"nodes": None}, {"nodes": [1]}, {"nodes": [{"name": "n1"}]},
                                  {"nodes": [], "latency_ms": "soon"}])  # fmt: skip
def test_a_demo_that_makes_no_sense_is_not_believed(tmp_path: Path, told: dict[str, Any]) -> None:
    far = Elsewhere(tmp_path)
    with pytest.raises(CliError, match="says nothing that makes sense"):
        far._take({"step": "done", "document": told})
    assert len(far) == 0


def test_which_demo_is_meant(tmp_path: Path) -> None:
    """The one of the context in force, of the ports, or of a node; and no other."""
    with held(tmp_path):
        environ = {"DYN_STATE_DIR": str(tmp_path / "state")}
        assert find_demo(environment(environ=environ)[0], (), BASE) == (tmp_path, "-c carts")
        named = environment(environ={**environ, "DYN_CONTEXT": "carts"})[0]
        assert find_demo(named, (), 7700) == (tmp_path, "-c carts")
        with fake_node(CONFIG=[b"cluster", b"demo", b"data-dir", os.fsencode(tmp_path / "n1")]) as node:
            found = find_demo(environment(environ={})[0], (node.address,), 7700)
        assert found == (tmp_path, f"-n {node.address.removeprefix('127.0.0.1')}")
    assert (option(7700), option(8700)) == ("", " --base-port 8700")


def test_a_shell_has_the_verbs_for_as_long_as_it_speaks_to_a_demo(tmp_path: Path) -> None:
    """By its addresses: all of them the demo's. `\\use` and `\\node` take them away and bring them back."""
    state = tmp_path / "state"
    with held(tmp_path) as cluster:
        outer, out, err = environment(environ={"DYN_STATE_DIR": str(state)})
        session = Session(ShellEnvironment(outer, Options(nodes=cluster.addresses)))
        attached = Attached(session, watched=False)
        assert session.run("\\nodes") == ExitStatus.USAGE
        assert "is for a shell that speaks to a demo of this machine" in err.getvalue().decode()
        assert attached.look() == "carts"
        assert session.run("\\nodes") == ExitStatus.OK
        assert f"n3    -    :{BASE + 3}" in out.getvalue().decode()
        assert session.run("\\use none") == ExitStatus.OK
        assert session.run("\\nodes") == ExitStatus.USAGE
        assert session.run("\\use carts") == ExitStatus.OK
        assert session.run("\\nodes") == ExitStatus.OK
        assert session.run("\\node 127.0.0.1:9") == ExitStatus.OK
        assert not session.has(Demo)
        attached.close()
        for nodes in ((*cluster.addresses, "10.0.0.1:26701"), (f"127.0.0.1:{BASE + 60}",), (), ("x",)):
            assert listed_with(state, nodes) is None
        assert listed_with(state, (f"127.0.0.1:{BASE + 40}",)) is not None, "such a node may have been added"
        session.env.ask_through((f"127.0.0.1:{BASE + 40}",))
        assert attached.look() == "", "but the demo does not know it"
        assert dyn("shell", "--read-only", "-e", "\\nodes", "-n", cluster.addresses[0],
                   environ={"DYN_STATE_DIR": str(state)}).status == ExitStatus.USAGE  # fmt: skip


def test_a_shell_that_speaks_to_no_demo_loads_nothing_of_one() -> None:
    """It would begin a fifth later."""
    code = (
        "import sys; from tests.helpers.cli import dyn; assert dyn('shell', '-e', 'exit').status == 0; "
        "assert not {'dynamo_cli.demo.control', 'dynamo_cli.demo.verbs', 'node.runtime.config'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_comes_next_is_typed_as_its_reader_types() -> None:
    """A backslash in a shell, a command elsewhere; never over 80 columns."""
    shell, system = Tongue(), Tongue("dyn demo ", "dyn -c carts ", " --base-port 8700")
    assert (shell.act("heal"), shell.run("get k")) == ("\\heal", "get k")
    assert (system.act("heal"), system.run("get k")) == ("dyn demo heal --base-port 8700", "dyn -c carts get k")
    assert system.run("get k -n :8701") == "dyn get k -n :8701"
    assert effects.following("a", "b") == "next  a      b"
    assert effects.following("a" * 40, "b" * 40) == f"next  {'a' * 40}\n      {'b' * 40}"


def test_the_latency_of_a_demo_is_no_fault(tmp_path: Path) -> None:
    """It is told apart from what was broken since."""
    with held(tmp_path, latency_ms=20) as cluster:
        demo = Demo.of(Changes(cluster))
        own = {"kind": "delay", "a": "n1", "b": "n2", "ms": 20.0, "jitter_ms": 0.0}
        slow, jitter = {**own, "ms": 50.0}, {**own, "jitter_ms": 5.0}
        told = {"nodes": [{"node": "n1", "faults": [own, slow, jitter]}, {"node": "n2", "faults": None}]}
        assert effects.broken(demo, told)["nodes"] == [
            {"node": "n1", "faults": [slow, jitter]}, {"node": "n2", "faults": None}
        ]  # fmt: skip
        listed = effects.listed(demo)
        assert [(node["faults"], node["error"]) for node in listed["nodes"]] == [(None, "was not started")] * 3
        assert list(effects.mending(demo)) == [
            "every link is 20 ms late, as at the start",
            *(f"n{i} was not started      \\restart n{i}" for i in (1, 2, 3)),
        ]
        for words in (("heal",), ("slow", "n1", "5")):
            with pytest.raises(CliError, match="no node that this concerns runs"):
                effects.give(demo, *words)
