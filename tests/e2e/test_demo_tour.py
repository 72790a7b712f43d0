"""The guided tour at a real terminal: typed, strayed from, left, and found again."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.helpers.demo import Demo
from tests.helpers.terminal import CTRL_D, ENTER, Screen

START_S = 60
CTRL_U = "\x15"


def a_crash_is_told_above_the_line(demo: Demo, screen: Screen) -> None:
    """A node that ends by itself says its last words while something is being typed, which stays as it is."""
    [pid] = [pid for pid in demo.processes() if b"--name\0n3\0" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    screen.type("get sto")
    os.kill(pid, signal.SIGKILL)
    screen.see(r"^n3 was killed by signal 9, and nobody asked for that")
    screen.see(r"^  n3 \| ")
    screen.see(lambda: screen.line.endswith("> get sto"))
    screen.type(CTRL_U)
    screen.prompt()


@pytest.mark.long
def test_a_reader_types_strays_leaves_and_comes_back(tmp_path: Path) -> None:
    """Enter types the grey line; another line runs and the tour waits; q leaves, and the verb finds the place."""
    demo = Demo(tmp_path, "--tour", nodes=3)
    with Screen(demo.command, tmp_path, demo.environ) as screen:
        screen.see(r"^\$ dyn cluster status$", seconds=START_S)
        screen.type(ENTER)
        screen.see(r"^  ok  all nodes agree on members and epoch")
        screen.type(ENTER)
        screen.see(r"^--- 2\. the ring")
        screen.see(r"^\$ dyn ring show$")
        screen.enter("get stock:milk")
        screen.see(r"^28$")
        screen.see(lambda: screen.line == "$ dyn ring show")
        screen.enter("q")
        screen.see(r"The tour is left in chapter 2 of \d, the ring")
        screen.prompt()
        screen.enter("\\tour")
        screen.see(r"^chapter 2 of \d: the ring")
        screen.see(r"^--- 2\. the ring")
        screen.see(lambda: screen.line == "$ dyn ring show")
        screen.type(CTRL_D)
        screen.see(r"The tour is left in chapter 2")
        screen.prompt()
        a_crash_is_told_above_the_line(demo, screen)
        screen.type(CTRL_D)
        assert screen.end() == 0
    demo.gone()
