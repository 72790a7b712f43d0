"""A person who waits is told for whom; nobody else is, and nothing of it stays."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from dynamo_cli import waiting
from dynamo_cli.waiting import Waiting
from tests.helpers.cluster import eventually
from tests.helpers.fake_node import HANG, fake_node
from tests.helpers.terminal import Screen

ROOT = Path(__file__).parents[2]
GET = [sys.executable, "-m", "dynamo_cli", "get", "k", "--timeout", "1.5"]


def test_a_terminal_says_for_whom_it_waits_and_then_no_more(tmp_path: Path) -> None:
    with fake_node(DYN_GET=HANG) as node:
        environ = {**os.environ, "DYN_NODES": node.address, "HOME": str(tmp_path)}
        with Screen(GET, ROOT, environ) as screen:
            screen.see(f"waiting for {node.address} ...")
            screen.see("no answer from")
            assert not any("waiting" in line for line in screen.lines)
        done = subprocess.run(GET, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 7
    assert "waiting" not in done.stderr


def test_an_answer_that_comes_soon_is_not_waited_for() -> None:
    written: list[str] = []
    with Waiting(written.append)("n1"):
        pass
    assert written == []


def test_what_a_node_is_called_does_not_command_the_terminal() -> None:
    written: list[str] = []
    before, waiting.AFTER_S = waiting.AFTER_S, 0.0
    try:
        with Waiting(written.append)("\x1b[31m" + "x" * 100):
            eventually(lambda: written)
    finally:
        waiting.AFTER_S = before
    assert written[0].startswith("\r\x1b[Kwaiting for \\x1b[31mxxx")
    assert len(written[0]) < 70
    assert written[-1] == "\r\x1b[K"
