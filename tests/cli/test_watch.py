"""`--watch`: the same screen in the same place, what changed marked; a stream in a pipe; and how it ends."""

from __future__ import annotations

import io
import itertools
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.table import Table

from dynamo_cli.render.changes import GONE, MARK, Changes
from tests.helpers.cli import Result, dyn
from tests.helpers.cluster import ROOT
from tests.helpers.documents import hints, ring, settled, stats, status, views
from tests.helpers.fake_node import HANG, HANG_UP, FakeNode, fake_node
from tests.helpers.terminal import CTRL_C, Screen, environ_of


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Ctrl-C after so many pauses, none of which lasts."""

    def after(pauses: int) -> None:
        left = [None] * pauses

        def pause(seconds: float) -> None:
            if not left:
                raise KeyboardInterrupt
            left.pop()

        monkeypatch.setattr("dynamo_cli.watching.pause", pause)

    return after


def grown(document: dict[str, Any], keys: int) -> dict[str, Any]:
    """A status in which n1 has so many keys."""
    document["nodes"][0]["keys"] = keys
    return document


def watched(node: FakeNode, *words: str, terminal: bool = False, color: str = "never") -> Result:
    return dyn(*words, "--watch", "--color", color, node=node, terminal=terminal)


def test_a_pipe_gets_every_look_that_is_another_one_as_a_document(looks: Callable[[int], None]) -> None:
    looks(2)
    answers = iter([status(), status(), grown(status(), 9)])
    with fake_node(DYN_RING=ring(1, 8), DYN_STATUS=lambda *words: next(answers)) as node:
        result = watched(node, "cluster", "status", "-o", "jsonl")
    assert result.status == 130, "Ctrl-C"
    assert [json.loads(line)["nodes"][0]["keys"] for line in result.out.splitlines()] == [1204, 9]
    assert "\x1b" not in result.out


def test_a_terminal_gets_the_screen_in_place_with_what_changed(looks: Callable[[int], None]) -> None:
    looks(1)
    answers = iter([status(), grown(status("n6"), 9)])
    with fake_node(DYN_RING=ring(1, 8), DYN_STATUS=lambda *words: next(answers)) as node:
        result = watched(node, "cluster", "status", terminal=True, color="always")
    first, second = result.out.split("Ctrl-C ends")[1:3]
    assert "changed:" not in first
    assert "changed: n6 is new; n5 is gone; n1 KEYS 1,204 -> 9" in second
    assert "\x1b[7m9\x1b[0m" in re.sub(r"\x1b\[39m\x1b\[49m", "", second), "reverse video, not a colour"
    assert result.out.endswith("\x1b[?25h"), "the cursor is there again"
    assert "\x1b[?25l" in result.out


@pytest.mark.parametrize(
    ("words", "reply"),
    [
        (("cluster", "hints"), {"DYN.HINTS": hints()}),
        (("cluster", "views"), {"DYN.VIEWS": views()}),
        (("node", "stats"), {"DYN.STATS": stats()}),
        (("ring", "show"), {"DYN.STATS": stats()}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_all_that_can_be_watched(looks: Callable[[int], None], words: tuple[str, ...], reply: dict[str, Any]) -> None:
    for terminal, output in ((True, "table"), (False, "plain"), (False, "jsonl")):
        looks(1)
        with fake_node(reply, DYN_RING=ring(1, 8)) as node:
            result = watched(node, *words, "-o", output, terminal=terminal)
            assert result.status == 130, result.err
            assert result.out
            assert watched(node, *words, "-o", "json").status == 2
            assert dyn(*words, "--interval", "1", node=node).status == 2, "of no use without --watch"
            assert dyn(*words, "--watch", "--interval", "0.01", node=node).status == 2


def test_when_the_node_of_the_line_dies_another_member_is_asked(looks: Callable[[int], None]) -> None:
    looks(1)
    with fake_node(DYN_STATUS=grown(status(), 2)) as other:
        members = ring(2, 8)
        members["members"][1]["address"] = other.address
        answers = iter([grown(status(), 1), HANG_UP])
        with fake_node(DYN_RING=members, DYN_STATUS=lambda *words: next(answers)) as node:
            result = watched(node, "cluster", "status", "-o", "jsonl")
    assert [json.loads(line)["nodes"][0]["keys"] for line in result.out.splitlines()] == [1, 2]


def test_silence_is_told_and_the_last_look_stays(looks: Callable[[int], None]) -> None:
    looks(2)
    answers = iter([status(), HANG_UP, HANG_UP])
    with fake_node(DYN_RING=ring(1, 8), DYN_STATUS=lambda *words: next(answers)) as node:
        result = watched(node, "cluster", "status", terminal=True)
    assert result.status == 130
    assert result.out.count("no answer, this is the last one") >= 2
    assert result.out.split("no answer, this is the last one")[-1].count("DEGRADED") == 1


def test_what_is_wrong_at_once_is_an_error() -> None:
    assert watched_nowhere() == 5
    with fake_node(DYN_RING=ring(1, 8)) as node:
        assert watched(node, "cluster", "status").status == 1
    with fake_node(DYN_STATUS=status()) as node:
        assert watched(node, "cluster", "status", "--wait", "healthy").status == 2


def watched_nowhere() -> int:
    return dyn("cluster", "status", "--watch").status


def test_changes_mark_cells_by_the_row_they_are_in() -> None:
    """A row that moves has not changed; a cell that did is marked; who went is shown once more."""

    def table(*rows: tuple[str, str]) -> Table:
        made = Table("NODE", "KEYS")
        for row in rows:
            made.add_row(*row)
        return made

    def drawn(marked: Any) -> list[list[tuple[str, list[str]]]]:
        [found] = marked.renderables
        cells = zip(*(column.cells for column in found.columns), strict=True)
        return [[(cell.plain, [*(str(span.style) for span in cell.spans), str(cell.style)]) for cell in row]
                for row in cells]  # fmt: skip

    changes = Changes()
    assert drawn(changes.mark(table(("n1", "1"), ("n2", "2")))) == [
        [("n1", [""]), ("1", [""])], [("n2", [""]), ("2", [""])]
    ]  # fmt: skip
    assert drawn(changes.mark(table(("n3", "3"), ("n1", "7")))) == [
        [("n3", [MARK, ""]), ("3", [MARK, ""])],
        [("n1", [""]), ("7", [MARK, ""])],
        [("n2", [GONE]), ("2", [GONE])],
    ]
    assert changes.words == ["n3 is new", "n2 is gone", "n1 KEYS 1 -> 7"]
    assert len(drawn(changes.mark(table(("n3", "3"), ("n1", "7"))))) == 2
    assert changes.words == []


# On a real terminal -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("ending", "code"), [("ctrl-c", 130), ("term", 143)])
def test_the_terminal_has_its_cursor_again(tmp_path: Path, ending: str, code: int) -> None:
    keys = itertools.count(1000)
    with fake_node(DYN_RING=ring(1, 8), DYN_STATUS=lambda *words: grown(status(), next(keys))) as node:
        command = [sys.executable, "-m", "dynamo_cli", "cluster", "status", "--watch", "--interval", "0.1"]
        with Screen([*command, "-n", node.address], ROOT, environ_of(tmp_path)) as screen:
            screen.process.logfile_read = written = io.StringIO()
            screen.see(r"^changed: n1 KEYS 1,\d\d\d -> 1,\d\d\d")
            assert screen.lines[0].startswith("every 0.1 s"), "in place"
            screen.process.setwinsize(24, 70)
            screen.see(lambda: "Ctrl-C ends" in screen.lines[0] and max(map(len, screen.lines)) <= 70)
            if ending == "ctrl-c":
                screen.type(CTRL_C)
            else:
                os.kill(screen.process.pid, signal.SIGTERM)
            assert screen.end() == code
    text = written.getvalue()
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


# A silent node costs its own time ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["status", "hints", "views", "transfers"])
def test_a_node_that_accepts_and_never_answers_costs_no_more_than_the_timeout(name: str) -> None:
    replies = {"status": status(), "hints": hints(), "views": views(), "transfers": settled()}
    with fake_node({"DYN." + name.upper(): HANG, "CLIENT": HANG}) as silent:
        begun = time.monotonic()
        alone = dyn("cluster", name, "--timeout", "0.4", node=silent)
        assert time.monotonic() - begun < 0.4 + 0.3
        assert alone.status == 7
        with fake_node({f"DYN.{name.upper()}": lambda *words: replies[name]}) as node:
            begun = time.monotonic()
            nodes = {"DYN_NODES": f"{silent.address},{node.address}"}
            both = dyn("cluster", name, "--timeout", "0.4", "-o", "json", environ=nodes)
            assert time.monotonic() - begun < 0.4 + 0.3
            assert both.status == 0, both.err
            assert node.asked == [(b"DYN." + name.upper().encode(), b"TIMEOUT", b"160")], "in time for us to hear it"


def test_with_the_usual_timeout_an_older_node_understands() -> None:
    with fake_node(DYN_STATUS=status()) as node:
        dyn("cluster", "status", node=node)
    assert node.asked == [(b"DYN.STATUS",)]
