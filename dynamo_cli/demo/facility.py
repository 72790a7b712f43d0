"""What the verbs of the demo's shell work on."""

from __future__ import annotations

from collections.abc import Sequence

from dynamo_cli.demo.changing import Changes
from dynamo_cli.demo.noticing import Faults
from dynamo_cli.demo.processes import DemoCluster
from dynamo_cli.repl.session import Session
from dynamo_cli.repl.verbs import Facility


class Demo(Facility):
    """The cluster that the shell has started."""

    where = "the shell of dyn demo"

    def __init__(self, cluster: DemoCluster, changes: Changes) -> None:
        self.cluster = cluster
        self.changes = changes
        self.faults = Faults(cluster)

    def mark(self) -> str:
        """`CUT` and so on: what is broken, as far as it was seen last."""
        return self.faults.marks


def running(shell: Session, words: Sequence[str]) -> list[str]:
    """The nodes that run, where one may be named."""
    return [node.name for node in shell.facility(Demo).cluster if not node.ended] if not words else []


def every(shell: Session, words: Sequence[str]) -> list[str]:
    """All nodes, where one may be named."""
    return [node.name for node in shell.facility(Demo).cluster] if not words else []
