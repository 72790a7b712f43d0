"""What a start may cost, against the same interpreter doing next to nothing; the best of several, beside other work."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tests.helpers.fake_node import fake_node, reading, version
from tests.helpers.shell_node import shell_node

ROOT = Path(__file__).parents[2]
DYN = ["-m", "dynamo_cli"]


def best_s(*commands: list[str], environ: dict[str, str] | None = None, rounds: int = 12) -> list[float]:
    """The smallest processor time of each command, in turns; a start waits for nothing, so that is its duration.

    (Its duration by the clock, on an idle machine: with others at work it would measure them.)
    """
    times: list[list[float]] = [[] for _ in commands]
    for _ in range(rounds):
        for command, taken in zip(commands, times, strict=True):
            child = subprocess.Popen(
                [sys.executable, *command], cwd=ROOT, env={**os.environ, **(environ or {})}, stdout=subprocess.DEVNULL
            )
            _, status, used = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            assert child.returncode == 0, command
            taken.append(used.ru_utime + used.ru_stime)
    return list(map(min, times))


def test_the_version_costs_at_most_100_ms() -> None:
    nothing_s, version_s = best_s(["-c", "pass"], [*DYN, "--version"])
    assert version_s - nothing_s < 0.1


def test_a_get_costs_at_most_two_and_a_half_times_the_import_of_typer() -> None:
    with fake_node(DYN_GET=reading(version(b"v", {"n1": 1}))) as node:
        typer_s, get_s = best_s(["-c", "import typer"], [*DYN, "get", "k"], environ={"DYN_NODES": node.address})
    assert get_s <= 2.5 * typer_s


def test_a_tab_costs_less_than_a_get() -> None:
    with fake_node(DYN_GET=reading(version(b"v", {"n1": 1})), DYN_KEYS=[b"0", [b"k"]]) as node:
        get_s, tab_s = best_s(
            [*DYN, "get", "k"], [*DYN, "__complete", "keys", "k"], environ={"DYN_NODES": node.address}, rounds=5
        )
    assert tab_s < 0.7 * get_s


def prompt_s(environ: dict[str, str]) -> float:
    """Processor time of a shell on a terminal from its start to its prompt, and out by Ctrl-D."""
    child, terminal = pty.fork()
    if not child:
        os.environ.update(environ)
        os.execv(sys.executable, [sys.executable, *DYN, "shell"])
    with os.fdopen(terminal, "r+b", buffering=0) as screen:
        seen = b""
        while b"dyn" not in seen or b">" not in seen.rpartition(b"dyn")[2]:
            seen += screen.read(4096)
        screen.write(b"\x04")
        with suppress(OSError):  # the terminal's end
            while screen.read(4096):
                pass
    _, status, used = os.wait4(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    return used.ru_utime + used.ru_stime


def test_a_prompt_costs_at_most_four_and_a_half_times_the_import_of_prompt_toolkit() -> None:
    """Which is 100 ms; half a second is what a person waits for without noticing."""
    with shell_node() as node:
        environ = {"DYN_NODES": node.address, "DYN_HISTORY": "", "PROMPT_TOOLKIT_NO_CPR": "1", "TERM": "xterm"}
        [import_s] = best_s(["-c", "import prompt_toolkit"], rounds=4)
        shell_s = min(prompt_s(environ) for _ in range(4))
    assert shell_s <= 4.5 * import_s, (shell_s, import_s)
