"""`dyn top`: exactly one screen whatever its size; keys; and a terminal that is put back whatever ends it."""

from __future__ import annotations

import json
import os
import signal
import sys
import termios
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from dynamo_cli.asking import Told
from dynamo_cli.board import events_of
from dynamo_cli.commands.top import pressed
from dynamo_cli.meter import Meter
from dynamo_cli.render.theme import THEME
from dynamo_cli.render.top import SORTS, Choice, Shown, top_screen
from tests.cli.test_stat import AT, counted
from tests.helpers.cli import dyn
from tests.helpers.cluster import ROOT
from tests.helpers.documents import EVIL, joining, ring, status
from tests.helpers.fake_node import Err, FakeNode, fake_node
from tests.helpers.terminal import CTRL_C, Screen, environ_of

EVENTS = [{"at": f"2026-11-23T12:03:{second:02d}.402Z", "kind": kind, "node": EVIL, "address": "x" * 200}
          for second, kind in enumerate(["peer_up", "peer_down", EVIL] * 5)]  # fmt: skip


def shown(nodes: int, partitions: int = 256, *, text: str = "n", silent: str = "") -> Shown:
    """A cluster in which the second node is silent, and the first is called `text`."""
    document = joining(nodes, partitions) if nodes > 1 else ring(1, partitions)
    document["members"][0]["name"] = text
    names = [member["name"] for member in document["members"]]
    meter = Meter()
    for gets in (0, 500_000):
        told = [Told(name, "", None if at == 1 else counted(gets * at, 5, hints=12_345_678), None)
                for at, name in enumerate(names)]  # fmt: skip
        stat = meter.step(told, gets / 1000.0, AT)
    health = status(text, nodes=[{"name": name, "state": "up"} for name in names])
    return Shown(stat, document, health, silent, events_of([Told(text, "", {"events": EVENTS}, None)]))


@pytest.mark.parametrize("nodes", [1, 2, 5, 64])
@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (80, 12), (80, 60), (132, 40), (60, 24)])
@pytest.mark.parametrize("choice", [Choice(), Choice("hints", paused=True, interval_s=0.25, help=True)])
def test_it_fills_the_screen_and_no_more(nodes: int, columns: int, lines: int, choice: Choice) -> None:
    for text, silent in (("n1", ""), (EVIL * 3, "no answer from " + EVIL * 9)):
        sink = StringIO()
        console = Console(file=sink, width=columns, theme=THEME, markup=False, highlight=False)
        console.print(top_screen(shown(nodes, text=text, silent=silent), choice, columns, lines))
        drawn = sink.getvalue().splitlines()
        assert len(drawn) == lines
        assert max(map(len, drawn)) <= columns
        assert all(char.isprintable() for line in drawn for char in line)
        if columns >= 80:
            assert drawn[-1].rstrip().endswith("? help")
            assert drawn[0].rstrip().endswith("12:03:07 UTC")


def text_of(document: Shown, choice: Choice = Choice()) -> list[str]:  # noqa: B008  # a value
    sink = StringIO()
    Console(file=sink, width=80, theme=THEME).print(top_screen(document, choice, 80, 40))
    return [line.rstrip() for line in sink.getvalue().splitlines()]


def test_rows_are_sorted_by_what_the_key_chose() -> None:
    def order(sort: str) -> list[str]:
        return [line.split()[1] for line in text_of(shown(5), Choice(sort)) if line.startswith(("up", "silent"))]

    assert order("name") == ["n", "n2", "n3", "n4", "n5"]
    assert order("reads") == ["n5", "n4", "n3", "n", "n2"], "who is silent comes last"


def test_unknown_is_never_a_figure() -> None:
    [row] = [line for line in text_of(shown(3)) if " n2 " in line]
    assert row.split()[2:] == ["?"] * 8
    assert any("moving: join n3" in line for line in text_of(shown(3)))


def test_keys_choose() -> None:
    choice = Choice()
    for key in "spx?":
        choice = pressed(choice, key)
    assert choice == Choice("reads", paused=True, help=True)
    for _ in SORTS:
        choice = pressed(choice, "s")
    assert choice.sort == "reads"
    for _ in range(20):
        choice = pressed(choice, "-")
    assert choice.interval_s == 0.1
    for _ in range(20):
        choice = pressed(choice, "+")
    assert choice.interval_s == 3600


# On a terminal ----------------------------------------------------------------------------------------


@pytest.fixture
def node() -> Iterator[FakeNode]:
    """A cluster of one that serves more each time it is asked."""
    state = {"gets": 0}

    def figures() -> dict[str, Any]:
        state["gets"] += 100
        return counted(state["gets"])

    events = {"schema": "dyn.events/v1", "events": EVENTS[:3]}
    with fake_node(DYN_STATS=figures, DYN_STATUS=lambda *words: status(), DYN_EVENTS=lambda *words: events) as made:
        document = ring(1, 64)
        document["members"][0]["address"] = made.address
        made.replies["DYN.RING"] = document
        yield made


class Top(Screen):
    """`dyn top` on a real terminal, with everything it wrote, and the terminal's modes before it."""

    def __init__(self, node: FakeNode, home: Path) -> None:
        command = [sys.executable, "-m", "dynamo_cli", "top", "-n", node.address, "--interval", "0.2"]
        super().__init__(command, ROOT, environ_of(home))
        self.modes = termios.tcgetattr(self.process.child_fd)
        self.process.logfile_read = self.written = StringIO()

    def is_put_back(self) -> None:
        """The modes are as they were; the last words: the cursor is shown, the screen of before is back."""
        assert termios.tcgetattr(self.process.child_fd)[3] & (termios.ICANON | termios.ECHO) == (
            self.modes[3] & (termios.ICANON | termios.ECHO)
        )
        text = self.written.getvalue()
        assert text.count("\x1b[?1049h") == text.count("\x1b[?1049l") == 1
        assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


def test_a_screen_with_keys_that_leaves_no_trace(node: FakeNode, tmp_path: Path) -> None:
    with Top(node, tmp_path) as top:
        top.see(r"^dyn top  carts  DEGRADED  2 of 3 up")
        top.see(r"^reads +[\d,]+/s   p50    1.0   p99    1.0")
        top.see(r"^12:03:00  n1  .* is up")
        top.type("s")
        top.see("sort: reads")
        top.type("p")
        top.see("PAUSED")
        top.type("\x1b[A")  # an arrow is no key of ours, and its letters are none either
        top.process.setwinsize(20, 78)
        top.type("?")
        top.see("percentiles are of the last interval")
        top.see(lambda: top.lines[19].endswith("? help") and top.lines[0].endswith(" UTC"))
        top.type("q")
        assert top.end() == 0
        top.is_put_back()


@pytest.mark.parametrize(("ending", "code"), [("ctrl-c", 0), ("term", 143), ("error", 1)])
def test_the_terminal_is_put_back_whatever_ends_it(node: FakeNode, tmp_path: Path, ending: str, code: int) -> None:
    with Top(node, tmp_path) as top:
        top.see("sort: name")
        if ending == "ctrl-c":
            top.type(CTRL_C)
        elif ending == "term":
            os.kill(top.process.pid, signal.SIGTERM)
        else:
            node.replies["DYN.STATUS"] = Err("ERR something else")
        assert top.end() == code
        top.is_put_back()
        assert ("something else" in top.written.getvalue()) is (ending == "error")


def test_off_a_terminal_it_is_the_status_again_and_again(node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    def pause(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dynamo_cli.watching.pause", pause)
    result = dyn("top", "-o", "jsonl", node=node)
    assert (result.status, json.loads(result.out)["schema"]) == (130, "dyn.status/v1")
    assert dyn("top", "--json", node=node).status == 2
    assert dyn("top").status == 5
