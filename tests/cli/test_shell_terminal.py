"""The shell on a real terminal, with a node that is there in name only: what a person feels at the keyboard."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dynamo_cli.repl.finder import BUDGET_S
from tests.helpers.cluster import ROOT
from tests.helpers.fake_node import HANG, FakeNode, fake_node
from tests.helpers.shell_node import STATUS, shell_node
from tests.helpers.terminal import CTRL_C, CTRL_D, ENTER, TAB, Screen, environ_of

KEYSTROKE_S = 0.05
"""Longer than this, and typing feels slow."""


def shell(address: str, home: Path, *more: str) -> Screen:
    """A shell on a terminal."""
    return Screen([sys.executable, "-m", "dynamo_cli", "shell", "-n", address, *more], ROOT, environ_of(home))


@pytest.fixture
def silent() -> Iterator[FakeNode]:
    """A node that takes connections, as a frozen process does, and never says a word."""
    with fake_node({"CLIENT": HANG}) as node:
        yield node


def test_every_keystroke_is_answered_at_once_while_a_node_is_silent(silent: FakeNode, tmp_path: Path) -> None:
    """Completion, toolbar and prompt all want something of it. The median: others work on this machine, too."""
    with shell(silent.address, tmp_path) as screen:
        screen.prompt()
        screen.type("get ")
        screen.see(lambda: screen.line == "dyn ?> get")
        took_s = []
        for count, letter in enumerate("user:7/of-somebody", len("dyn ?> get ") + 1):
            begun = time.monotonic()
            screen.type(letter)
            screen.see(lambda count=count: len(screen.line) >= count)
            took_s.append(time.monotonic() - begun)
        assert sorted(took_s)[len(took_s) // 2] < KEYSTROKE_S, took_s
        screen.type(CTRL_C)
        screen.prompt()
        screen.enter("exit")
        assert screen.end() == 0


def test_up_finds_lines_that_begin_alike_also_while_words_are_offered(tmp_path: Path) -> None:
    with shell_node() as node, shell(node.address, tmp_path) as screen:
        screen.prompt()
        for line in ("get user:7", "keys"):
            screen.enter(line)
            screen.prompt()
        screen.type("ge")
        screen.see(r"merge +Settle")
        screen.type("\x1b[A")
        screen.see(lambda: screen.line == "dyn 2/3> get user:7")


def test_a_wide_terminal_shows_how_long_a_line_took_and_no_history_leaves_none(tmp_path: Path) -> None:
    """Unless it is turned off."""
    home = environ_of(tmp_path)
    with shell_node() as node:
        command = [sys.executable, "-m", "dynamo_cli", "shell", "-n", node.address, "--no-history"]
        with Screen(command, ROOT, home, columns=110) as screen:
            screen.prompt()
            screen.enter("get k")
            screen.see(r"^dyn 2/3> +\d+\.\d ms$")
            screen.enter("\\set rprompt off")
            screen.see(lambda: screen.line == "dyn 2/3>" and "rprompt is off" in "\n".join(screen.lines))
            screen.type(CTRL_D)
            assert screen.end() == 0
    assert not list(tmp_path.rglob("history"))


def test_events_stand_above_the_prompt_and_leave_the_line_alone(tmp_path: Path) -> None:
    """Until they are turned off."""
    with shell_node() as node, shell(node.address, tmp_path) as screen:
        screen.prompt()
        screen.type("get user")
        screen.see(lambda: screen.line == "dyn 2/3> get user")
        node.replies["DYN.STATUS"] = {**STATUS, "health": "critical"}
        screen.see(r"^\* \d\d:\d\d:\d\d  the cluster is critical$")
        assert screen.line == "dyn 2/3> get user"
        screen.type(":7\r")
        screen.see(r"^milk")
        screen.prompt()
        screen.enter("\\events off")
        screen.see("events is off")
        screen.prompt()
        node.replies["DYN.STATUS"] = {**STATUS, "epoch": 4}
        screen.see("epoch 4 ")
        assert not any("ring epoch" in line for line in screen.scrolled)


def test_the_title_of_the_window_tells_the_state(tmp_path: Path) -> None:
    """Until the shell ends, or it is turned off."""
    with shell_node() as node, shell(node.address, tmp_path) as screen:
        screen.see(lambda: screen.title == "dyn dyn 2/3")
        screen.prompt()
        screen.enter("exit")
        screen.see(lambda: screen.title == "")
        assert screen.end() == 0


def test_a_search_in_the_history(tmp_path: Path) -> None:
    with shell_node() as node, shell(node.address, tmp_path) as screen:
        screen.prompt()
        screen.enter("get user:7")
        screen.prompt()
        screen.enter("keys")
        screen.prompt()
        screen.type("\x12er:")
        screen.see(r"reverse-i-search.*er:")
        screen.type(ENTER)  # takes the line
        screen.see(lambda: screen.line == "dyn 2/3> get user:7")
        screen.type(ENTER)
        screen.see(lambda: len([words for words in node.asked if words[0] == b"DYN.GET"]) == 2)
        screen.prompt()


def test_watch_is_drawn_in_place_until_a_key(tmp_path: Path) -> None:
    """On the other screen, and the terminal is as before."""
    with shell_node() as node, shell(node.address, tmp_path) as screen:
        screen.prompt()
        screen.enter("\\watch 0.2 get k")
        screen.see(r"^every 0.2 s: get k +\d\d:\d\d:\d\d  any key ends$")
        screen.see(lambda: len([words for words in node.asked if words[0] == b"DYN.GET"]) > 2)
        screen.type(" ")
        screen.prompt()
        assert any(line.startswith("milk") for line in screen.lines)
        screen.enter("get k")
        screen.prompt()
        screen.enter("\\watch 0.2 get k")
        screen.see(r"^every 0.2 s: get k")
        screen.type(CTRL_C)
        screen.prompt()


def test_a_tab_waits_for_keys_that_come_late(tmp_path: Path) -> None:
    """Later than a completion waits for them."""

    def slowly(*words: bytes) -> object:
        threading.Event().wait(2 * BUDGET_S)
        return [b"0", [b"user:7"]]

    with shell_node() as node, shell(node.address, tmp_path) as screen:
        node.replies["DYN.KEYS"] = slowly
        screen.prompt()
        screen.type("get us" + TAB)
        screen.see(lambda: screen.line == "dyn 2/3> get user:7")


@pytest.mark.parametrize(("rows", "columns"), [(4, 80), (8, 60), (9, 30)])
def test_a_low_or_narrow_terminal_has_a_prompt(tmp_path: Path, rows: int, columns: int) -> None:
    """And no toolbar, where it would take the line that is typed."""
    with shell_node() as node, shell(node.address, tmp_path) as screen:
        screen.prompt()
        screen.resize(rows, columns)
        screen.type("get ca")
        screen.see(lambda: screen.line.endswith("> get ca"))
        assert not any("degraded" in line for line in screen.lines)
