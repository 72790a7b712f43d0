"""The verbs of the demo's shell on real nodes: each breaks what it says, and says what the cluster does about it."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from dynamo_cli import store
from dynamo_cli.demo.changing import Changes
from dynamo_cli.demo.processes import DemoCluster, asking, places
from dynamo_cli.demo.reader import Left, Reader
from dynamo_cli.demo.tour import Tour
from dynamo_cli.demo.verbs import Demo, chapter_of
from dynamo_cli.options import Options
from dynamo_cli.repl.session import Session, ShellEnvironment
from tests.helpers.cli import environment
from tests.helpers.cluster import eventually
from tests.helpers.demo import free_base

pytestmark = pytest.mark.long


class Shell(NamedTuple):
    """The demo's shell without its terminal."""

    demo: Demo
    session: Session
    out: io.BytesIO
    err: io.BytesIO

    def type(self, line: str, status: int = 0) -> str:
        """Run a line; what it shows."""
        begun, complained = len(self.out.getvalue()), len(self.err.getvalue())
        assert self.session.run(line) == status, self.err.getvalue()[complained:].decode()
        return self.out.getvalue()[begun:].decode() + self.err.getvalue()[complained:].decode()

    def port(self, name: str) -> int:
        """Where a node takes clients."""
        return self.demo.cluster.find(name).place.port


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """One demo of four nodes for all tests here, which leave it whole."""
    cluster = DemoCluster(tmp_path_factory.mktemp("verbs"), places(4, free_base(5)), os.environ)
    try:
        cluster.start(lambda ready, count: None)
        with asking(cluster.nodes[0]) as client:
            store.put(client, b"first", b"", b"write: it seals the ring")
        outer, out, err = environment()
        env = ShellEnvironment(outer, Options(nodes=cluster.addresses, output="table"))
        demo = Demo.of(Changes(cluster))
        yield Shell(demo, Session(env, facilities=[demo]), out, err)
        env.hang_up()
    finally:
        cluster.close()


def test_a_partition_and_its_end(shell: Shell) -> None:
    """Both sides take writes; the prompt says CUT, the end hands over hints and names the conflict."""
    shell.type("put cart first")
    told = shell.type("\\partition n1,n2 / n3,n4")
    assert told.startswith("cut 4 links: {n1 n2} | {n3 n4}\n")
    assert re.search(r"every node calls those beyond the cut down (at once|after \d\.\d s)", told)
    assert "  {n3 n4}  takes writes (W=2) and reads (R=2), with stand-ins\n" in told
    assert shell.session.marks == ["CUT"]
    assert shell.type("\\faults").count("\tcut\t") == 8
    for name in ("n1", "n4"):
        shell.type(f"put cart {name} --ctx none -n :{shell.port(name)}")
    told = shell.type("\\heal")
    assert "every node calls every other up" in told
    assert re.search(r"\d+ rows? that stand-ins kept were handed over within", told)
    assert re.search(r"^(written on both sides|keys with siblings): cart\nnext  get cart$", told, re.MULTILINE), told
    assert shell.session.marks == []


def test_a_paused_node_is_missed_and_catches_up(shell: Shell) -> None:
    """Silent with its sockets open; what it missed is handed over when it goes on."""
    told = shell.type("\\pause n2")
    assert re.search(r"called down by all 3 after \d\.\d s\nevery key can be read and written \(R=2 W=2\)", told)
    assert shell.session.marks == ["PAUSED"]
    assert "n2 is paused" in shell.type("\\faults")
    for number in range(12):
        shell.type(f"put missed:{number} v -n :{shell.port('n1')}")
    told = shell.type("\\resume")
    assert re.search(r"n2 goes on as if nothing had been\ncalled up .*, \d+ rows? kept for it handed over within", told)
    assert shell.session.marks == []
    assert "no node is paused" in shell.type("\\resume", status=1)


def test_a_killed_node_is_missed_and_comes_back(shell: Shell) -> None:
    """Its end is seen at once, because its sockets close."""
    told = shell.type("\\kill n3")
    assert re.search(r"n3 killed \(kill -9, pid \d+\)\n.*called down by all 3", told)
    assert "n3 does not run" in shell.type("\\kill n3", status=1)
    assert "n3 was killed by signal 9      \\restart n3" in shell.type("\\faults")
    assert re.search(r"n3 ready after \d+\.\d s \(pid \d+\), keys: \d+\ncalled up", shell.type("\\restart n3"))


def test_slow_lossy_and_wrong_clocks_are_in_force_until_they_are_not(shell: Shell) -> None:
    """Each says what it means, and how to undo it; the prompt knows them all."""
    for line, words, mark in (
        ("\\slow n4 30", "is 30 ms late", "SLOW"),
        ("\\drop n1 n2 5", "5 % of the messages between n1 and n2 are lost", "LOSS"),
        ("\\skew n3 -30", "n3's clock is -30 s off", "SKEW"),
    ):
        assert words in shell.type(line)
        assert mark in shell.session.marks[0].split()
    assert shell.session.marks == ["SLOW LOSS SKEW"]
    assert "still in force: SKEW" in shell.type("\\heal")
    assert "clock is right again" in shell.type("\\skew n3 0")
    assert shell.session.marks == []
    assert "no node 'n9'" in shell.type("\\slow n9 1", status=3)
    for line in ("\\skew n1 soon", "\\partition n1 / n1", "\\drop n1 n2", "\\pause"):
        assert "Write: " in shell.type(line, status=2)


# A reader who leaves the tour ----------------------------------------------------------------------------


class Impatient(Reader):
    """Has every line typed, up to the one that begins so, and leaves there."""

    def __init__(self, until: str) -> None:
        self.until = until

    def line(self, prompt: str, suggested: str) -> str:
        if f"{prompt}{suggested}".startswith(self.until):
            raise Left
        return suggested

    def goes_on(self) -> None:
        pass


def left(shell: Shell, title: str, until: str) -> str:
    """Read a chapter up to a line; what was shown."""
    made = Tour(shell.demo, shell.session.env)
    made.stage.reader = Impatient(until)
    begin = next(number for number, chapter in enumerate(made.chapters) if chapter.title == title)
    begun = len(shell.out.getvalue())
    assert made.run(begin) == 0
    assert made.place == begin
    return shell.out.getvalue()[begun:].decode()


def test_who_leaves_a_cut_network_leaves_it_whole(shell: Shell) -> None:
    """And finds the place again."""
    told = left(shell, "a network that is cut in two", "$ dyn cluster hints")
    assert "every node calls the other half down" in told
    assert told.endswith("a network that is cut in two. It goes on there: \\tour\n")
    shell.demo.faults.look()
    assert shell.session.marks == []
    assert chapter_of(Tour(shell.demo, shell.session.env), "") == 4


def test_who_leaves_with_a_node_dead_leaves_none(shell: Shell) -> None:
    """It was killed by the tour, and is started by it."""
    told = left(shell, "a node that dies", "$ dyn get cart:42")
    assert "requests were answered" in told
    assert [node.name for node in shell.demo.cluster if node.ended] == []


def test_what_somebody_else_breaks_is_seen(shell: Shell) -> None:
    """`dyn fault cut` from another terminal."""
    shell.type("fault cut n1 n2")
    shell.demo.faults.start()
    eventually(lambda: shell.session.marks == ["CUT"], "the prompt to say so")
    shell.type("fault heal")
    eventually(lambda: shell.session.marks == [], "the prompt to say so")
    shell.demo.faults.stop()
