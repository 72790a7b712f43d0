"""A demo that another process holds: in the background, or in another terminal. What is known of it, it has told."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dynamo_cli.demo.changing import Step
from dynamo_cli.demo.control import order
from dynamo_cli.demo.seen import Place
from dynamo_cli.errors import CliError, no_node
from dynamo_cli.exit_status import ExitStatus

TAIL_BYTES = 64 * 1024
"""Of a log, in which its last start is."""


class FarNode:
    """One of its nodes, as it was when the demo told last."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.starts = 0
        self._before: int | None = None
        self.update(told)

    def update(self, told: dict[str, Any]) -> None:
        """Take what the demo tells now. Raises what a dictionary of another shape raises."""
        port = int(str(told["address"]).rpartition(":")[2])
        self.place = Place(str(told["name"]), port, int(told["peer_port"]), int(told["http_port"]))
        self.log = Path(told["log"])
        self.pid: int | None = told["pid"]
        if self.pid not in (None, self._before):
            self.starts, self._before = self.starts + 1, self.pid
        self.paused = told["state"] == "paused"
        self.ended = told["state"] not in ("up", "paused")
        self.crashed = told["state"] == "crashed"
        self.last_lines = [str(line) for line in told.get("said") or ()]
        self.how = str(told.get("how") or ("does not run" if self.ended else "runs"))

    @property
    def name(self) -> str:
        """Its name."""
        return self.place.name

    @property
    def ready_line(self) -> str:
        """The last line of its log that says it is ready: the demo tells of a start only then."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - TAIL_BYTES))
                lines = log.read().decode(errors="replace").split("\n")
        except OSError:
            return ""
        return next((line for line in reversed(lines) if line.startswith("ready")), "")


class Elsewhere:
    """The nodes of the demo in `folder`. A node is the same object for as long as it is there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.latency_ms = 0.0
        self._nodes: dict[str, FarNode] = {}
        self._lock = threading.Lock()

    @property
    def nodes(self) -> list[FarNode]:
        """All of them."""
        return list(self._nodes.values())

    def __iter__(self) -> Iterator[FarNode]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self._nodes)

    def find(self, name: str) -> FarNode:
        """The node of this name; raises NOT_FOUND."""
        if name not in self._nodes:
            raise no_node(name, self._nodes)
        return self._nodes[name]

    def look(self) -> None:
        """Ask the demo what its processes do. Raises CliError."""
        with self._lock:
            for step in order(self.folder, "nodes", None):
                self._take(step)

    def _take(self, step: Step) -> None:
        try:
            told = step["document"]["nodes"]
            nodes = {}
            for one in told:
                node = self._nodes.get(one["name"])
                if node is None:
                    node = FarNode(one)
                else:
                    node.update(one)
                nodes[node.name] = node
            self.latency_ms = float(step["document"].get("latency_ms") or 0.0)  # an earlier dyn has none
        except (KeyError, TypeError, ValueError, AttributeError):
            raise CliError(
                ExitStatus.FAILURE, f"the demo in {self.folder} says nothing that makes sense",
                "Is it another version of dyn? End it: dyn demo stop",
            ) from None  # fmt: skip
        self._nodes = nodes

    def steps(self, do: str, name: str | None) -> Iterator[Step]:
        """Give an order; its steps. Raises CliError."""
        yield from order(self.folder, do, name)
        self.look()
