"""A demo that grows and shrinks, without its nodes: what is written down, who takes orders, and what is shown."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dynamo_cli.demo.acts import ACTS
from dynamo_cli.demo.changing import Changes, Step, did, numbers_wanted, read_record, write_record
from dynamo_cli.demo.control import Control, reachable
from dynamo_cli.demo.processes import DemoCluster, places, places_of
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from tests.helpers.cli import dyn
from tests.helpers.documents import EVIL, transfers
from tests.helpers.fake_node import FakeNode, fake_node
from tests.helpers.schemas import check_document

BASE = 26640
"""Ports that nothing here listens on."""
ORDERS = (
    b"",
    b"\n",
    b"{}\n",
    b"[1]\n",
    b'{"do":"add","name":1}\n',
    b'{"do":"burn","name":"n1"}\n',
    b'{"do":"kill","name":null}\n',
    b"x" * 9000,
)
"""What makes no sense."""


@pytest.mark.parametrize(
    ("kept", "count", "expected"),
    [
        ({}, None, {"n1": 1, "n2": 2, "n3": 3}),
        ({}, 2, {"n1": 1, "n2": 2}),
        ({"n1": 1, "ada": 3}, None, {"n1": 1, "ada": 3}),
        ({"n1": 1, "ada": 3}, 3, {"n1": 1, "n2": 2, "ada": 3}),
        ({"n1": 1, "ada": 3}, 1, {"n1": 1, "ada": 3}),
    ],
)
def test_a_kept_demo_has_the_nodes_that_it_had(
    kept: dict[str, int], count: int | None, expected: dict[str, int]
) -> None:
    """Also those that were added to it, and not those that were removed; --nodes adds to them."""
    assert numbers_wanted(kept, count, 3) == expected


def test_which_nodes_there_are_is_written_down_and_read_again(tmp_path: Path) -> None:
    assert read_record(tmp_path) == {}
    cluster = DemoCluster(tmp_path, places_of({"n2": 2, "ada": 4}, BASE), {}, temporary=False, base_port=BASE)
    try:
        write_record(cluster)
    finally:
        cluster.close()
    assert read_record(tmp_path) == {"n2": 2, "ada": 4}
    for broken in ("{", "[]", '{"../x": 1}', '{"n1": 0}', '{"n1": true}', '{"n1": 51}'):
        (tmp_path / "nodes.json").write_text(broken)
        with pytest.raises(CliError, match=r"cannot read .*nodes\.json"):
            read_record(tmp_path)


def test_a_new_node_in_an_old_folder_founds_no_second_cluster(tmp_path: Path) -> None:
    """n1 was removed, and its data with it: the next time it joins the others."""
    (tmp_path / "n2").mkdir()
    cluster = DemoCluster(tmp_path, places(3, BASE), {}, temporary=False)
    try:
        joins = {node.name: [word for word in node._command if word.startswith("127.")] for node in cluster}
    finally:
        cluster.close()
    assert joins == {"n1": [f"127.0.0.1:{BASE + 102}"], "n2": [], "n3": [f"127.0.0.1:{BASE + 102}"]}


def test_what_a_node_cannot_be_called(tmp_path: Path) -> None:
    """Before anything is started; a node that does not run changes nothing either."""
    cluster = DemoCluster(tmp_path, places(2, BASE), {}, temporary=False)
    changes = Changes(cluster)
    try:
        for name, why in (("../x", "letters, digits"), ("n2", "is taken"), ("cluster.key", "is taken")):
            with pytest.raises(CliError, match=why):
                next(changes.add(name))
        with pytest.raises(CliError, match="no other node than ada runs"):
            next(changes.add("ada"))
        with pytest.raises(CliError, match="no node 'n9'"):
            next(changes.remove("n9"))
    finally:
        cluster.close()
    assert [node.name for node in cluster] == ["n1", "n2"]


STARTED = {"step": "started", "node": {"name": EVIL, "address": EVIL, "pid": 1}}
MOVING = {"step": "moving", "transfers": transfers(EVIL)}
DONE = {
    "step": "done",
    "document": {
        "schema": "dyn.demo/v1", "did": "removed", "node": {"name": EVIL, "address": EVIL}, "epoch": 7,
        "partitions": 51, "nodes": ["n1", EVIL], "took_s": 3.25,
    },
}  # fmt: skip
FAILED = {
    "step": "failed",
    "status": 9,
    "message": "n1 is taken",
    "hint": "Choose",
    "code": "X",
    "lines": ["a"],
}


class FakeChanges:
    """Tells given steps, or raises; remembers what was asked."""

    def __init__(self, folder: Path, *steps: Step | CliError) -> None:
        self.cluster = DemoCluster(folder, places(1, BASE), {}, temporary=False)
        self.steps = steps
        self.asked: list[tuple[str, str | None]] = []

    def add(self, name: str | None = None) -> Iterator[Step]:
        return self._told("add", name)

    def remove(self, name: str) -> Iterator[Step]:
        return self._told("remove", name)

    def _told(self, do: str, name: str | None) -> Iterator[Step]:
        self.asked.append((do, name))
        for step in self.steps:
            if isinstance(step, CliError):
                raise step
            yield step


@contextmanager
def commanded(folder: Path, *steps: Step | CliError) -> Iterator[tuple[FakeChanges, FakeNode]]:
    """A demo that takes orders and does nothing, and a node of it."""
    changes = FakeChanges(folder, *steps)
    control = Control(changes)  # type: ignore[arg-type]  # one that only talks
    control.start()
    try:
        with fake_node(CONFIG=[b"cluster", b"demo", b"data-dir", os.fsencode(folder / "n1")]) as node:
            yield changes, node
    finally:
        control.close()
        changes.cluster.close()


@pytest.mark.parametrize("output", ["table", "wide", "plain", "json", "jsonl", "csv"])
@pytest.mark.parametrize("terminal", [False, True])
def test_how_a_node_goes_is_shown_in_every_format(tmp_path: Path, output: str, terminal: bool) -> None:
    """Whatever it says: no terminal is commanded, and no pipe gets a remark."""
    with commanded(tmp_path, STARTED, MOVING, DONE) as (changes, node):
        result = dyn("demo", "remove", "n1", "-n", node.address, "-o", output, terminal=terminal)
    assert result.status == ExitStatus.OK, result.err
    assert changes.asked == [("remove", "n1")]
    assert not {c for c in result.out if not (c.isprintable() or c in "\n\t")}
    assert not {c for c in result.err.replace("\x1b[K", "") if not (c.isprintable() or c in "\n\r")}
    if output in ("json", "jsonl"):
        assert json.loads(result.out) == DONE["document"]
    if not terminal:
        assert result.err == ""


def test_the_screens_fit_a_terminal(tmp_path: Path) -> None:
    """80 columns, with figures as large as they may become."""
    node = {"name": "n50", "address": "127.0.0.1:65535", "pid": 4_194_304}
    numbers = {"epoch": 12_345, "partitions": 4096, "nodes": ["n"] * 50, "took_s": 1234.5}
    done = [{"step": "done", "document": {"did": did, "node": node, **numbers}} for did in ("added", "removed")]
    for end in done:
        with commanded(tmp_path, {"step": "started", "node": node}, end) as (_, fake):
            result = dyn("demo", "add", "-n", fake.address, terminal=True)
        assert max(map(len, result.out.splitlines())) <= 80, result.out
    assert (
        result.out.splitlines()[-1] == "n50 is gone: others have its 4096 partitions; epoch 12345, 50 nodes, 1234.5 s"
    )


def test_what_a_demo_refuses_is_told_as_it_says_it(tmp_path: Path) -> None:
    """With its exit code, and the last words of a node that did not start."""
    with commanded(tmp_path, CliError(ExitStatus.REFUSED, "the name n1 is taken", "Choose")) as (_, node):
        result = dyn("demo", "add", "n1", "-n", node.address)
    assert (result.status, result.err) == (ExitStatus.REFUSED, "dyn: the name n1 is taken. Choose\n")
    with commanded(tmp_path, FAILED) as (_, node):
        result = dyn("demo", "add", "n1", "-n", node.address)
    assert (result.status, result.err) == (ExitStatus.REFUSED, "a\ndyn: n1 is taken. Choose\n")
    with commanded(tmp_path, STARTED) as (_, node):
        result = dyn("demo", "add", "-n", node.address)
    assert (result.status, result.err) == (
        ExitStatus.UNKNOWN, "dyn: the demo says no more. See who is there: dyn cluster status\n"
    )  # fmt: skip


def test_an_order_goes_to_a_demo_and_to_nobody_else(tmp_path: Path) -> None:
    """Not to a node of another cluster, nor into a folder whose demo takes none."""
    with fake_node(CONFIG=[b"cluster", b"carts", b"data-dir", os.fsencode(tmp_path / "n1")]) as node:
        result = dyn("demo", "add", "-n", node.address)
    assert result.status == ExitStatus.REFUSED
    assert f"the node at {node.address} is of cluster carts, and of no demo" in result.err
    with fake_node(CONFIG=[b"cluster", b"demo", b"data-dir", os.fsencode(tmp_path / "n1")]) as node:
        result = dyn("demo", "add", "-n", node.address)
        assert result.status == ExitStatus.UNREACHABLE
        (tmp_path / "control").write_text("no socket")
        assert dyn("demo", "add", "-n", node.address).status == ExitStatus.REFUSED
    result = dyn("demo", "remove", "n1", "--base-port", "26900")
    assert result.status == ExitStatus.UNREACHABLE
    assert result.err == "dyn: no node of a demo at 127.0.0.1:26901 or after it. Start one: dyn demo\n"


def test_the_socket_is_its_owners_alone_and_may_lie_deep(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    with commanded(deep, DONE) as (_, node):
        assert stat.S_IMODE((deep / "control").stat().st_mode) == 0o600
        assert dyn("demo", "add", "-n", node.address).status == ExitStatus.OK
    assert not (deep / "control").exists()


def test_orders_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    with commanded(tmp_path, DONE) as (changes, _):
        for line in (
            b"",
            b"\n",
            b"{}\n",
            b"[1]\n",
            b'{"do":"add","name":1}\n',
            b'{"do":"burn","name":"n1"}\n',
            b'{"do":"kill","name":null}\n',
            b"x" * 9000,
        ):
            with socket.socket(socket.AF_UNIX) as connection:
                with reachable(tmp_path / "control") as path:
                    connection.connect(path)
                connection.sendall(line)
                connection.shutdown(socket.SHUT_WR)
                assert json.loads(connection.makefile().readline())["step"] == "failed"
    assert changes.asked == []


def test_what_is_done_to_a_process_is_told_as_its_schema_says(tmp_path: Path) -> None:
    cluster = DemoCluster(tmp_path, places(2, BASE), {}, temporary=False)
    try:
        for what in ("killed", "paused", "resumed", "restarted"):
            check_document(did(what, cluster.nodes[0], cluster, 1.0))
        for name, words in (("n1", "does not run"), ("n9", "no node 'n9'")):
            with pytest.raises(CliError, match=words):
                list(ACTS["kill"](Changes(cluster), name))
        with pytest.raises(CliError, match="n1 is not paused"):
            list(ACTS["resume"](Changes(cluster), "n1"))
    finally:
        cluster.close()


def test_an_option_before_another_commands_word_is_not_ignored() -> None:
    result = dyn("demo", "--nodes", "3", "add")
    assert result.status == ExitStatus.USAGE
    assert "--nodes stands before 'add', where it counts for nothing" in result.err
