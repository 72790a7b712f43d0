"""`dyn demo` as a process, in a folder of its own that shows what it leaves behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.helpers.cluster import ROOT, eventually, is_free

PORTS = [*range(26000, 26100, 10), *range(26610, 26700, 10)]
"""Base ports: a demo of up to nine nodes uses so many ports after each, and 100 and 200 above."""


def free_base(nodes: int) -> int:
    """A base port all of whose ports are free; another one in each test process."""
    start = os.getpid() * 7 % len(PORTS)
    for offset in range(len(PORTS)):
        base = PORTS[(start + offset) % len(PORTS)]
        if all(is_free(base + kind + i) for kind in (0, 100, 200) for i in range(1, nodes + 1)):
            return int(base)
    raise AssertionError(f"no free base port in {PORTS}")


class Demo:
    """One run. `folder` is its current directory and its temporary directory."""

    def __init__(self, folder: Path, *flags: str, nodes: int = 5) -> None:
        self.folder = folder
        self.temporary = folder / "tmp"
        self.temporary.mkdir(parents=True)
        self.base = free_base(nodes)
        self.command = [
            sys.executable, "-m", "dynamo_cli", "demo", "--nodes", str(nodes), "--base-port", str(self.base), *flags,
        ]  # fmt: skip

    @property
    def environ(self) -> dict[str, str]:
        """A home of its own; and a setting that must not reach the nodes."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("DYN_", "XDG_"))}
        ours = {"HOME": str(self.folder), "TMPDIR": str(self.temporary), "PYTHONPATH": str(ROOT), "DYN_NRW": "1/1/1"}
        return {**kept, **ours, "TERM": "xterm"}

    def start(self, *, stdout: int = subprocess.PIPE) -> subprocess.Popen[str]:
        """Start it without a terminal."""
        return subprocess.Popen(
            self.command, cwd=self.folder, env=self.environ, stdin=subprocess.DEVNULL, stdout=stdout,
            stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def processes(self) -> Sequence[int]:
        """Every process that is of this demo: nodes and keeper name its folder on their command line."""
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if self._ours(pid)]

    def _ours(self, pid: int) -> bool:
        try:
            return str(self.folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False

    def gone(self) -> None:
        """Wait until nothing of it is left: no process, no file, no port."""
        eventually(lambda: not self.processes(), f"the processes in {self.folder} to end")
        eventually(lambda: not list(self.temporary.iterdir()), f"{self.temporary} to be empty")
        assert is_free(self.base + 1)
