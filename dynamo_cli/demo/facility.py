"""What the verbs that break a demo work on, in its own shell and in any other that speaks to its nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from dynamo_cli.demo.changing import Changes, Step
from dynamo_cli.demo.control import steps_of
from dynamo_cli.demo.elsewhere import Elsewhere
from dynamo_cli.demo.noticing import Faults
from dynamo_cli.demo.seen import Cluster
from dynamo_cli.repl.session import Session
from dynamo_cli.repl.verbs import Facility


class Tongue(NamedTuple):
    """How what may be typed next is typed: in a shell, or at the system's prompt, where `base` names the demo."""

    verb: str = "\\"
    command: str = ""
    base: str = ""

    def act(self, words: str) -> str:
        """Something done to the demo: `heal`, `restart n2`."""
        return f"{self.verb}{words}{self.base}"

    def run(self, words: str) -> str:
        """A command to its nodes; one that names a node needs no context."""
        return f"{'dyn ' if self.command and ' -n ' in words else self.command}{words}"


class Demo(Facility):
    """A demo of this machine. `steps(do, node)` gives it an order about its processes, see `control`."""

    where = "a shell that speaks to a demo of this machine"

    def __init__(
        self, cluster: Cluster, steps: Callable[[str, str | None], Iterator[Step]], tongue: Tongue | None = None
    ) -> None:
        self.cluster = cluster
        self.steps = steps
        self.tongue = tongue or Tongue()
        self.faults = Faults(cluster)

    @classmethod
    def of(cls, changes: Changes) -> Demo:
        """The one that this process owns."""
        return cls(changes.cluster, partial(steps_of, changes))

    @classmethod
    def elsewhere(cls, cluster: Elsewhere, tongue: Tongue | None = None) -> Demo:
        """One that another process owns."""
        return cls(cluster, cluster.steps, tongue)

    def order(self, do: str, name: str) -> Step:
        """Have something done to a node's process; what became of it, a dyn.demo/v1 document. Raises CliError."""
        document: Step = {}
        for step in self.steps(do, name):
            document = step.get("document", document)
        return document

    def mark(self) -> str:
        """`CUT` and so on: what is broken, as far as it was seen last."""
        return self.faults.marks


def running(shell: Session, words: Sequence[str]) -> list[str]:
    """The nodes that run, where one may be named."""
    return [node.name for node in shell.facility(Demo).cluster if not node.ended] if not words else []


def every(shell: Session, words: Sequence[str]) -> list[str]:
    """All nodes, where one may be named."""
    return [node.name for node in shell.facility(Demo).cluster] if not words else []
