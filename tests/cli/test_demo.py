"""The demo without its nodes: ports, folders, its words in the shell, and what a tour makes of a check that fails."""

from __future__ import annotations

import io
import signal
import socket
import stat
from pathlib import Path

import pytest

from dynamo_cli.commands.demo import signals_raised
from dynamo_cli.demo.changing import Changes
from dynamo_cli.demo.facility import Demo
from dynamo_cli.demo.processes import (
    DemoCluster,
    NodeFailed,
    child_environ,
    make_key,
    places,
    program,
)
from dynamo_cli.demo.reader import Reader
from dynamo_cli.demo.room import check_nrw, founded, make_folder
from dynamo_cli.demo.showing import banner
from dynamo_cli.demo.stage import CheckFailed, Stage
from dynamo_cli.demo.tour import Tour
from dynamo_cli.demo.verbs import chapter_of
from dynamo_cli.environment import ReaderGone
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from tests.helpers.cli import dyn, environment
from tests.helpers.fake_node import FakeNode, fake_node

BASE = 26600
"""Ports that nothing here listens on for long."""


# Ports and folders ---------------------------------------------------------------------------------------


def test_the_ports_are_the_documented_ones() -> None:
    """Node i: 7700+i, 7800+i, 7900+i."""
    found = places(5, 7700)
    assert [tuple(place) for place in found[:2]] == [("n1", 7701, 7801, 7901), ("n2", 7702, 7802, 7902)]
    assert found[4].address == "127.0.0.1:7705"


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--nodes", "51"], "51 nodes are too many"),
        (["--nodes", "0"], "not 1 or more"),
        (["--nodes", "2"], "the tour needs 3 nodes, not 2"),
        (["--base-port", "65400"], "leaves no room"),
        (["--base-port", "x"], "not a whole number"),
        (["--nrw", "3/4/1"], "R and W from 1 to N"),
        (["--nrw", "3/1/3"], "the tour is about N/R/W 3/2/2, not 3/1/3"),
        (["--latency", "-1"], "not a number from 0 to 60000"),
        (["--seed-data", "all"], "none of none, tour, carts"),
        (["--tour", "--background"], "the tour needs a reader"),
        (["--tour", "--no-shell"], "the tour needs a shell"),
        (["--no-shell", "--background"], "Choose one of them"),
        (["--dir", "x", "--ephemeral"], "Choose one of them"),
    ],
)
def test_what_cannot_be_is_a_usage_error(argv: list[str], words: str) -> None:
    """Before anything is started."""
    result = dyn("demo", *argv)
    assert result.status == ExitStatus.USAGE
    assert words in result.err
    assert result.out == ""


@pytest.mark.parametrize(("offset", "name"), [(1, "n1"), (102, "n2"), (203, "n3")])
def test_a_taken_port_is_an_error_that_names_who_has_it(offset: int, name: str) -> None:
    """And never another port: client, peer and HTTP ports alike."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", BASE + offset))
        taken.listen()
        result = dyn("demo", "--base-port", str(BASE))
    assert result.status == ExitStatus.FAILURE
    [line] = result.err.splitlines()
    assert f"{name} cannot start: port {BASE + offset} is used by pid" in line
    assert f"dyn demo --base-port {BASE + 1000}" in line


def test_a_folder_to_keep_is_a_new_one_or_a_demos(tmp_path: Path) -> None:
    """What is not ours is never touched."""
    folder, temporary = make_folder(str(tmp_path / "new"))
    assert not temporary
    make_key(folder / "cluster.key")
    assert make_folder(str(folder)) == (folder, False)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    (tmp_path / "real").mkdir()
    make_key(tmp_path / "real" / "cluster.key")  # as people are told to name theirs
    for name in ("other", "real"):
        with pytest.raises(CliError, match="holds other things than a demo"):
            make_folder(str(tmp_path / name))
    with pytest.raises(CliError, match="cannot use"):
        make_folder(str(tmp_path / "other" / "thesis.tex"))


def test_quorums_count_when_a_cluster_is_founded(tmp_path: Path) -> None:
    """A kept demo has its own."""
    (tmp_path / "n1").mkdir()
    (tmp_path / "nodes.json").write_text("{}")
    result = dyn("demo", "--no-shell", "--keep", str(tmp_path), "--nrw", "3/1/3")
    assert result.status == ExitStatus.REFUSED
    assert "its N/R/W stay as they are" in result.err
    check_nrw("3/1/3", founded(str(tmp_path), ["n2", "n3"]))


def test_the_key_is_its_owners_alone_and_stays(tmp_path: Path) -> None:
    """A second demo in the same folder must be the same cluster."""
    path = tmp_path / "cluster.key"
    make_key(path)
    key = path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(key.strip()) == 64
    make_key(path)
    assert path.read_text() == key


def test_the_users_settings_do_not_reach_the_nodes() -> None:
    """Neither variables of another cluster, nor a module that lies in the current directory."""
    made = child_environ({"DYN_CLUSTER": "carts", "DYN_NRW": "1/1/1", "NOTIFY_SOCKET": "/run/x", "PATH": "/bin"})
    assert {name for name in made if name.startswith(("DYN_", "NOTIFY"))} == set()
    assert made["PATH"] == "/bin"
    assert program("dynamo_cli")[1] == "-P"


# Processes -----------------------------------------------------------------------------------------------


def test_a_node_that_dies_shows_its_last_words(tmp_path: Path) -> None:
    """And where the rest is; the others are ended."""
    (tmp_path / "n1").write_text("a file where its data directory should be")
    cluster = DemoCluster(tmp_path, places(2, BASE), {}, temporary=False)
    try:
        with pytest.raises(NodeFailed) as caught:
            cluster.start(lambda ready, count: None)
    finally:
        cluster.close()
    assert caught.value.message == "node n1 ended with exit code 1"
    assert str(tmp_path / "n1.log") in caught.value.hint
    assert caught.value.lines[-1].startswith("  n1 | dyn: ")
    assert all(node.ended for node in cluster)


def test_a_signal_unwinds_the_stack() -> None:
    """So that whatever is open is closed, with the exit code that a shell expects."""
    with pytest.raises(SystemExit) as caught, signals_raised():
        signal.raise_signal(signal.SIGTERM)
    assert caught.value.code == 143
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.mark.parametrize("count", [1, 5, 12])
def test_the_banner_fits_a_terminal(tmp_path: Path, count: int) -> None:
    """80 columns, whatever the number of nodes."""
    cluster = DemoCluster(tmp_path, places(count, 7700), {}, temporary=False)
    try:
        text = banner(cluster, 1.94, 80)
    finally:
        cluster.close()
    assert max(map(len, text.splitlines())) <= 80
    assert "n1 :7701" in text
    assert "ready in 1.9 s" in text
    assert f"\\kill n{count}" in text


# The tour ------------------------------------------------------------------------------------------------


def staged(**more: str) -> tuple[Stage, io.BytesIO]:
    """A stage without a terminal, and what is written on it."""
    outer, out, _ = environment(environ=more)
    return Stage(outer, {}), out


def test_a_check_is_shown_and_counted() -> None:
    """And one that fails says what was expected, and what was found instead."""
    stage, out = staged()
    stage.check(True, "the sky is blue")
    with pytest.raises(CheckFailed, match=r"^expected: two siblings; found: 3$"):
        stage.check(False, "two siblings", 3)
    assert stage.checks == 2
    assert out.getvalue().decode() == "  ok  the sky is blue\n"


def test_a_command_is_shown_before_it_runs_and_checked_by_its_exit_code() -> None:
    """What is shown is what ran."""
    node = FakeNode({"DYN.GET": [b"", [], []]})
    try:
        stage, out = staged(DYN_NODES=node.address)
        stage.dyn("get k", ExitStatus.NOT_FOUND)
        with pytest.raises(CheckFailed, match="dyn get k ends with exit code 0; found: 3"):
            stage.dyn("get k")
    finally:
        node.close()
    lines = out.getvalue().decode().splitlines()
    assert lines[0] == "$ dyn get k"
    assert lines[1].startswith('dyn: no key "k"')


@pytest.mark.parametrize(("status", "ends"), [(130, KeyboardInterrupt), (141, ReaderGone)])
def test_what_ends_a_command_from_outside_ends_the_tour(
    monkeypatch: pytest.MonkeyPatch, status: int, ends: type[BaseException]
) -> None:
    """Ctrl-C, and a pipe that is closed: no failed check, but the end."""
    monkeypatch.setattr("dynamo_cli.demo.stage.run", lambda argv, env: status)
    stage, _ = staged()
    with pytest.raises(ends):
        stage.dyn("cluster status")


def test_a_tour_without_its_nodes_fails_in_one_sentence(tmp_path: Path) -> None:
    """Exit status 1, no traceback, and a last line that says where."""
    outer, out, _ = environment()
    cluster = DemoCluster(tmp_path, places(5, BASE), {}, temporary=False)
    try:
        assert Tour(Demo.of(Changes(cluster)), outer).run() == ExitStatus.FAILURE
    finally:
        cluster.close()
    *_, sentence, empty, last = out.getvalue().decode().splitlines()
    assert sentence.startswith(f"FAIL  cannot reach 127.0.0.1:{BASE + 1} (refused)")
    assert empty == ""
    assert last == "tour: failed in scene 0, check 0"


# A reader of the tour ------------------------------------------------------------------------------------


class Typist(Reader):
    """Types these lines, one after the other; "" is Enter alone."""

    def __init__(self, *lines: str) -> None:
        self.lines = iter(lines)
        self.asked: list[str] = []

    def line(self, prompt: str, suggested: str) -> str:
        self.asked.append(f"{prompt}{suggested}")
        return next(self.lines) or suggested


def read_by(*lines: str, node: FakeNode) -> tuple[Stage, Typist, io.BytesIO]:
    """A stage with somebody at its terminal."""
    stage, out = staged(DYN_NODES=node.address)
    stage.reader = typist = Typist(*lines)
    return stage, typist, out


def test_a_reader_types_the_line_or_has_it_typed() -> None:
    """With or without `dyn`, quoted as they like; it is the tour's line that runs."""
    with fake_node(DYN_GET=[b"", [], []]) as node:
        stage, typist, _ = read_by("", "dyn get 'k'", "get k", node=node)
        for _ in range(3):
            stage.dyn("get k", ExitStatus.NOT_FOUND)
        assert typist.asked == ["$ dyn get k"] * 3
        assert [words[1] for words in node.asked] == [b"k"] * 3
        assert not stage.strayed


def test_a_reader_may_try_something_else_first() -> None:
    """It runs, whatever it is, and the tour waits."""
    with fake_node(DYN_GET=[b"", [], []]) as node:
        stage, typist, out = read_by("get other", "get 'open", "frobnicate", "", node=node)
        stage.dyn("get k", ExitStatus.NOT_FOUND)
        assert [words[1] for words in node.asked] == [b"other", b"k"]
        assert len(typist.asked) == 4
        assert stage.strayed
        assert "no such command" in out.getvalue().decode()
        stage.reader = Typist("rm -rf /", "")
        stage.act("kill -9 4711")
        assert out.getvalue().decode().endswith("here only this: kill -9 4711\n\n")


def test_only_a_reader_is_told_more() -> None:
    """A pipe has not the time."""
    stage, out = staged()
    stage.read("much more")
    assert out.getvalue() == b""
    stage.goes_on()
    stage.reader = Typist()
    stage.read("much more")
    assert out.getvalue() == b"much more\n\n"


@pytest.mark.parametrize(
    ("kept", "place"),
    [
        ("", 0),
        ("[]", 0),
        ('{"chapter": "2"}', 0),
        ('{"chapter": -1}', 0),
        ('{"chapter": 99}', 0),
        ('{"chapter": 2}', 2),
    ],
)
def test_a_place_that_makes_no_sense_is_the_beginning(tmp_path: Path, kept: str, place: int) -> None:
    """Whatever is in the file."""
    outer, _, _ = environment()
    cluster = DemoCluster(tmp_path, places(3, BASE), {}, temporary=False)
    try:
        (tmp_path / "tour.json").write_text(kept)
        made = Tour(Demo.of(Changes(cluster)), outer)
        assert made.place == place
        assert [chapter_of(made, word) for word in ("", "new", "1", "3")] == [place, 0, 0, 2]
        for word in ("0", "99", "x", "²"):
            with pytest.raises(CliError, match="no chapter"):
                chapter_of(made, word)
        assert [chapter.title for chapter in made.chapters][-2:] == ["a node that dies", "the end"], "too few for more"
    finally:
        cluster.close()


def test_the_tour_has_no_reader_in_the_background() -> None:
    """A usage error, before anything is started."""
    assert dyn("demo", "--tour", "--background").status == ExitStatus.USAGE
