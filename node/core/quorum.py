"""Counting answers towards a quorum: three-valued, with the names and numbers a person needs.

PENDING until enough nodes said yes (MET) or so many cannot that it is out of reach (FAILED). The tally never looks at
a clock: whoever owns it decides when to stop waiting.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from node.core.ids import NodeId


class Verdict(Enum):
    """Where a tally stands."""

    PENDING = "pending"
    MET = "met"
    FAILED = "failed"


class Tally:
    """Answers of distinct nodes to one question. `need` of `nodes` must say yes."""

    __slots__ = ("failed", "met_by", "need", "nodes")

    def __init__(self, need: int, nodes: tuple[NodeId, ...]) -> None:
        assert need >= 1, f"quorum needs {need}"
        self.need = need
        self.nodes = nodes
        self.met_by: list[NodeId] = []
        self.failed: dict[NodeId, str] = {}

    def yes(self, node: NodeId) -> None:
        """`node` did it. Repeated answers of one node count once; an answer after a failure counts."""
        if node not in self.met_by:
            self.met_by.append(node)
            if self.failed:
                self.failed.pop(node, None)

    def no(self, node: NodeId, why: str) -> None:
        """`node` did not, and will not: `why` in one or two words ("down", "refused: disk full")."""
        if node not in self.met_by:
            self.failed[node] = why

    def reset(self) -> None:
        """Forget who said yes: the question is asked again. Failures stay."""
        self.met_by.clear()

    @property
    def unsaid(self) -> tuple[NodeId, ...]:
        """Those of whom neither a yes nor a failure is known."""
        return tuple(node for node in self.nodes if node not in self.met_by and node not in self.failed)

    @property
    def verdict(self) -> Verdict:
        """MET as soon as `need` said yes; FAILED as soon as that is out of reach."""
        if len(self.met_by) >= self.need:
            return Verdict.MET
        if len(self.nodes) - len(self.failed) < self.need:
            return Verdict.FAILED
        return Verdict.PENDING

    def describe(self, did: str, name: Callable[[NodeId], str]) -> str:
        """Say it in one line: `wrote 1 of 2 (n3), n1 timed out, n5 down`. Who said nothing "timed out"."""
        who = f" ({', '.join(map(name, self.met_by))})" if self.met_by else ""
        parts = [f"{did} {len(self.met_by)} of {self.need}{who}"]
        for node in self.nodes:
            if node in self.failed:
                parts.append(f"{name(node)} {self.failed[node]}")
            elif node not in self.met_by:
                parts.append(f"{name(node)} timed out")
        return ", ".join(parts)
