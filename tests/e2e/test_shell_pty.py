"""The shell as a person has it: a real terminal of 80 by 24, real keys, real nodes."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.cluster import ROOT, Cluster, eventually
from tests.helpers.demo import Demo
from tests.helpers.terminal import CTRL_C, CTRL_D, ENTER, PROMPT, TAB, Screen, environ_of

PORTS = range(26300, 26400)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(3, tmp_path_factory.mktemp("shell"), ports=PORTS) as running:
        running.send(0, "SET", "user:7", "Ada")
        yield running


@pytest.fixture
def shell(cluster: Cluster, tmp_path: Path) -> Iterator[Screen]:
    """A shell at its prompt."""
    nodes = ",".join(f"127.0.0.1:{node.port}" for node in cluster)
    command = [sys.executable, "-m", "dynamo_cli", "shell", "-n", nodes]
    with Screen(command, ROOT, environ_of(tmp_path)) as screen:
        screen.see(r"dyn · 3 of 3 nodes up · Tab completes, help explains, Ctrl-D leaves")
        screen.prompt()
        yield screen


def toolbar(screen: Screen) -> str:
    """The last line of the screen."""
    screen.read()
    return screen.lines[-1]


# Lines ---------------------------------------------------------------------------------------------------


def test_the_prompt_and_the_toolbar_tell_the_state(shell: Screen) -> None:
    assert shell.line == "dyn 3/3>"
    shell.see(lambda: "healthy  3/3 up  N3 R2 W2  epoch 3" in toolbar(shell))
    shell.run("get user:7")
    shell.see(lambda: "ctx user:7 {n" in toolbar(shell))


def test_tab_completes_commands_options_and_keys(shell: Screen) -> None:
    shell.type("ri")
    shell.see(lambda: any("ring" in line for line in shell.lines[1:]))
    shell.type(TAB)
    shell.see(lambda: shell.line == "dyn 3/3> ring")
    shell.type(CTRL_C)
    shell.prompt()
    shell.type("get us")
    shell.see(r"^ +user:7 +key")
    shell.type(TAB + ENTER)
    shell.see(r"^Ada$")
    shell.prompt()


def test_a_quick_tab_is_not_lost(shell: Screen) -> None:
    """Pressed with the word, before anything can have been found."""
    for _ in range(3):
        shell.type("get us" + TAB)
        shell.see(lambda: shell.line == "dyn 3/3> get user:7")
        shell.type(CTRL_C)
        shell.prompt()
    shell.type("ge" + TAB)
    shell.see(lambda: shell.line == "dyn 3/3> get")
    shell.type(" user:7" + ENTER)
    shell.see(r"^Ada")
    shell.prompt()


def test_a_put_replaces_what_was_read(shell: Screen) -> None:
    assert shell.run("get user:7")[0] in ("Ada", "Ada King")
    out = shell.run("put user:7 'Ada King'")
    assert len(out) == 1
    assert out[0].startswith("OK  replaces {n")
    assert ", which you read " in out[0]
    assert " s ago    W 2/2  n" in out[0]
    assert shell.run("get user:7")[0] == "Ada King"


def test_siblings_stand_side_by_side_and_are_merged(cluster: Cluster, shell: Screen) -> None:
    start = cluster.send(0, "DYN.PUT", "cart:42", "", '["milk"]')
    with cluster[0].connect() as ada, cluster[1].connect() as bob:
        ada("CLIENT", "SETNAME", "ada")
        bob("CLIENT", "SETNAME", "bob")
        ada("DYN.PUT", "cart:42", start, '["milk","eggs"]')
        bob("DYN.PUT", "cart:42", start, '["milk","beer"]')
    out = shell.run("get cart:42")
    assert out[0].startswith("! 2 siblings: their writers did not see each other   20")
    assert out[1].split() == ["VALUE", "CLOCK", "WRITER", "WRITTEN", "SIZE"]
    assert [line[:1] for line in out[2:4]] == ["A", "B"]
    rows = sorted(line[3:] for line in out[2:4])
    assert rows[0].startswith('["milk","beer"]  {n')
    assert "  bob  " in rows[0]
    assert "  ada  " in rows[1]
    assert out[4].startswith("both follow {n")
    assert shell.line == "dyn 3/3 !1>"
    done, where = shell.run("merge cart:42 --union")
    assert done.startswith('OK  ["milk",')
    assert "replaces A {n" in done
    assert where.startswith("    W 2/2  n")
    assert shell.run("get cart:42")[0] in ('["milk","eggs","beer"]', '["milk","beer","eggs"]')
    assert shell.line == "dyn 3/3>"


def test_a_blind_write_says_that_it_replaces_nothing(shell: Screen) -> None:
    assert "new" in shell.run("put blind one")[0]
    assert "blind: replaces nothing" in shell.run("put blind two --ctx none")[0]
    assert shell.run("get blind")[0].startswith("! 2 siblings")
    assert shell.line == "dyn 3/3 !1>"


def test_what_somebody_stored_does_not_take_the_terminal(cluster: Cluster, shell: Screen) -> None:
    cluster.send(0, "SET", "evil", b"\x1b]0;owned\x07\x1b[2J\x9b31m[bold]")
    out = shell.run("get evil")
    assert out[0] == r"\x1b]0;owned\x07\x1b[2J\x9b31m[bold]"


# Keys ----------------------------------------------------------------------------------------------------


def test_ctrl_c_drops_the_line_and_ctrl_d_leaves(shell: Screen) -> None:
    shell.type("put user:7 never" + CTRL_C)
    shell.prompt()
    assert shell.run("get user:7")[0] != "never"
    shell.type(CTRL_D)
    assert shell.end() == 0


def test_ctrl_c_ends_a_command_and_not_the_shell(shell: Screen) -> None:
    shell.enter("bench --duration 60 --keys 10")
    shell.see("bench --duration 60")
    shell.see(lambda: not shell.line.startswith("dyn "))
    shell.type(CTRL_C)
    shell.see(r"^dyn 3/3.*>$")
    assert shell.run("get user:7")[0].startswith("Ada")


def test_pasted_lines_wait_for_a_yes(shell: Screen) -> None:
    shell.type("\x1b[200~put pasted one\nput pasted two\x1b[201~")
    shell.see("put pasted two")
    shell.type(ENTER)
    shell.see(r"2 commands were pasted: run \[a\]ll, \[o\]ne by one, or \[c\]ancel\?")
    shell.enter("c")
    shell.prompt()
    assert shell.run("get pasted")[0].startswith("error: no key")


def test_an_open_quote_goes_on_in_the_next_line(shell: Screen) -> None:
    shell.enter("put poem 'roses")
    shell.see(r"^\.\.\. *$")
    shell.enter("violets'")
    shell.see(r"^OK  new")
    shell.prompt()
    assert shell.run("get poem")[:2] == ["roses", "violets"]


def test_the_history_is_there_the_next_time_and_the_owners_alone(shell: Screen, tmp_path: Path) -> None:
    shell.run("get user:7")
    shell.type(CTRL_D)
    assert shell.end() == 0
    path = tmp_path / ".local/state/dyn/history"
    assert "+get user:7" in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_terminal_is_given_back_as_it_was(cluster: Cluster, tmp_path: Path) -> None:
    """After a signal too: no raw mode, and the cursor is shown."""
    command = [sys.executable, "-m", "dynamo_cli", "shell", "-n", f"127.0.0.1:{cluster[0].port}"]
    with Screen(command, ROOT, environ_of(tmp_path)) as screen:
        before = termios.tcgetattr(screen.process.child_fd)[3]
        screen.prompt()
        assert termios.tcgetattr(screen.process.child_fd)[3] != before
        screen.type(CTRL_D)
        assert screen.end() == 0
        assert termios.tcgetattr(screen.process.child_fd)[3] == before


def test_a_terminal_that_can_do_little_is_enough(cluster: Cluster, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dynamo_cli", "shell", "-n", f"127.0.0.1:{cluster[0].port}"]
    environ = {**environ_of(tmp_path, LC_ALL="C", NO_COLOR="1"), "PYTHONUTF8": "0"}
    with Screen(command, ROOT, environ) as screen:
        screen.prompt()
        screen.enter("cluster status")
        screen.see("HEALTHY  3 of 3 nodes up")
        screen.prompt()


# Scripts that check themselves -----------------------------------------------------------------------------


@pytest.mark.parametrize("example", sorted((ROOT / "tests" / "recorded").glob("*.dyn")), ids=lambda path: path.name)
def test_an_example_shows_what_it_says(cluster: Cluster, example: Path, tmp_path: Path) -> None:
    """Twice: it leaves nothing behind."""
    command = [sys.executable, "-m", "dynamo_cli", "shell", "-n", f"127.0.0.1:{cluster[0].port}", "--check", "-f"]
    for _ in range(2):
        done = subprocess.run(
            [*command, str(example)], cwd=ROOT, env=environ_of(tmp_path), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "all as expected" in done.stdout


def test_what_is_recorded_is_as_expected_when_it_is_checked(shell: Screen, tmp_path: Path) -> None:
    path = tmp_path / "s.dyn"
    shell.enter(f"\\record {path}")
    shell.see(lambda: shell.line == "dyn 3/3 REC>")
    shell.enter("put recorded one")
    shell.see(r"^OK$")
    shell.enter("get recorded -o json")
    shell.see(r'"value":"one"')
    shell.enter("\\record")
    shell.see(r"^recorded 2 commands; replay: ")
    shell.prompt()
    shell.enter(f"\\check {path}")
    shell.see(r"all as expected$")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


# dyn demo ------------------------------------------------------------------------------------------------


@pytest.fixture
def demo(tmp_path: Path) -> Demo:
    return Demo(tmp_path)


def test_the_demo_is_a_shell_on_five_nodes(demo: Demo) -> None:
    """Its banner, its words, and nothing left behind."""
    with Screen(demo.command, demo.folder, {**demo.environ, "LANG": "C.UTF-8"}) as screen:
        screen.see(r"^  guided tour +\\tour", seconds=60)
        screen.prompt()
        assert screen.line == "demo 5/5>"
        assert all(len(line) < 80 for line in screen.lines[2:])  # before: a folder with a long name
        assert f"n5 :{demo.base + 5}   ready in " in "\n".join(screen.lines)
        assert "OK" in screen.run("put k v")[0]
        killed = screen.run("\\kill n3")
        assert killed[0].startswith("n3 killed (kill -9, pid ")
        assert killed[1].startswith(("called down by all 4", "suspected"))
        assert killed[2] == "every key can be read and written (R=2 W=2)"
        screen.see(lambda: screen.line == "demo 4/5>")
        assert screen.run("get k")[0] == "v"
        nodes = screen.run("\\nodes")
        assert [line.split()[0] for line in nodes if line.startswith(("NODE", "n"))] == ["NODE", *demo_names(5)]
        assert "-" in nodes[3]
        screen.type("\\rest" + TAB)
        screen.see(lambda: screen.line == "demo 4/5> \\restart")
        screen.enter(" n3")
        screen.see(r"^n3 ready after [\d.]+ s \(pid \d+\), keys: \d+$", seconds=60)
        screen.see(lambda: screen.line == "demo 5/5>")
        screen.type(CTRL_D)
        assert screen.end() == 0
        assert "stopped 5 nodes, removed" in "\n".join(screen.scrolled)
    demo.gone()


def demo_names(count: int) -> list[str]:
    return [f"n{i}" for i in range(1, count + 1)]


@pytest.mark.long
def test_the_tour_waits_for_its_reader(demo: Demo) -> None:
    """Enter by Enter, with what a person sees: remarks, colours; q leaves it, and the shell goes on."""
    with Screen(demo.command, demo.folder, {**demo.environ, "LANG": "C.UTF-8"}) as screen:
        screen.see(r"^  guided tour +\\tour", seconds=60)
        screen.prompt()
        screen.enter("\\tour")
        screen.see(r"^--- 1\. ")
        while not PROMPT.fullmatch(screen.line):
            screen.see(lambda: screen.awaits_enter or PROMPT.fullmatch(screen.line), seconds=60)
            before = screen.lines
            if screen.awaits_enter:
                screen.type(ENTER)
                screen.see(lambda before=before: screen.lines != before)
        read = "\n".join(screen.scrolled)
        assert [int(n) for n in re.findall(r"^--- (\d+)\. ", read, re.MULTILINE)] == list(range(1, 14))
        assert re.search(r"^tour: 13 scenes, \d+ checks, all ok in ", read, re.MULTILINE), read[-2000:]
        screen.type(CTRL_D)
        assert screen.end() == 0
    demo.gone()


@pytest.mark.long
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_at_the_prompt_cleans_up(demo: Demo, number: signal.Signals, code: int) -> None:
    """A closed terminal window is a SIGHUP."""
    with Screen(demo.command, demo.folder, {**demo.environ, "LANG": "C.UTF-8"}) as screen:
        screen.see(r"^  guided tour +\\tour", seconds=60)
        screen.prompt()
        os.kill(screen.process.pid, number)
        assert screen.end() == code
        assert "Traceback" not in "\n".join(screen.scrolled)
    demo.gone()


@pytest.mark.long
def test_what_a_second_demo_is_told(demo: Demo) -> None:
    """The ports are the first one's: one sentence, and its own nodes are untouched."""
    with Screen(demo.command, demo.folder, {**demo.environ, "LANG": "C.UTF-8"}) as screen:
        screen.see(r"^  guided tour +\\tour", seconds=60)
        screen.prompt()
        second = subprocess.run(
            demo.command, cwd=demo.folder, env=demo.environ, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        assert second.returncode == 9
        [line] = second.stderr.splitlines()
        assert f"the demo demo-{demo.base} has these ports already" in line
        assert len(demo.processes()) >= 6
        screen.type(CTRL_D)
        assert screen.end() == 0
    eventually(lambda: not demo.processes(), "the demo to end")
