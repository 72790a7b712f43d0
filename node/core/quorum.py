"""Counting answers towards a quorum: three-valued, with the names and numbers a person needs.

PENDING until enough nodes said yes (MET) or so many cannot that it is out of reach (FAILED). The tally never looks at
a clock: whoever owns it decides when to stop waiting.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from node.core.ids import NodeId


class Verdict(Enum):
    """Where a tally stands."""

    PENDING = "pending"
    MET = "met"
    FAILED = "failed"


class Group(NamedTuple):
    """So many of these nodes must say yes."""

    need: int
    nodes: tuple[NodeId, ...]


class Tally:
    """Answers of distinct nodes to one question. `need` of `nodes` must say yes.

    While a partition moves there are two `groups`, the owners in the old ring and those in the new, and each must have
    its quorum: `nodes` are all of them then, and `need` is the greater one, for the message. Who is asked in the place
    of an owner (`add`) counts in both.
    """

    __slots__ = ("_groups", "failed", "met_by", "need", "nodes")

    def __init__(self, need: int, nodes: tuple[NodeId, ...], groups: tuple[Group, ...] = ()) -> None:
        assert need >= 1, f"quorum needs {need}"
        self.need = need
        self.nodes = nodes
        self._groups = groups
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

    def add(self, node: NodeId) -> None:
        """One more may say yes, in the place of one that cannot."""
        self.nodes = (*self.nodes, node)
        self._groups = tuple([Group(group.need, (*group.nodes, node)) for group in self._groups])

    def reset(self) -> None:
        """Forget who said yes: the question is asked again. Failures stay."""
        self.met_by.clear()

    @property
    def unsaid(self) -> tuple[NodeId, ...]:
        """Those of whom neither a yes nor a failure is known."""
        return tuple(node for node in self.nodes if node not in self.met_by and node not in self.failed)

    @property
    def is_met(self) -> bool:
        """Whether enough said yes."""
        if not self._groups:
            return len(self.met_by) >= self.need
        return all(_said(self.met_by, group) >= group.need for group in self._groups)

    @property
    def verdict(self) -> Verdict:
        """MET as soon as enough said yes; FAILED as soon as that is out of reach."""
        if self.is_met:
            return Verdict.MET
        if self._groups:
            lost = any(len(group.nodes) - _said(self.failed, group) < group.need for group in self._groups)
            return Verdict.FAILED if lost else Verdict.PENDING
        if len(self.nodes) - len(self.failed) < self.need:
            return Verdict.FAILED
        return Verdict.PENDING

    def describe(self, did: str, name: Callable[[NodeId], str]) -> str:
        """Say it in one line: `wrote 1 of 2 (n3), n1 timed out, n5 down`. Who said nothing "timed out".

        Of two groups: `wrote 1 of 2 in the old ring and 2 of 2 in the new (n3, n4), …`.
        """
        who = f" ({', '.join(map(name, self.met_by))})" if self.met_by else ""
        if self._groups:
            old, new = (f"{_said(self.met_by, group)} of {group.need}" for group in self._groups)
            parts = [f"{did} {old} in the old ring and {new} in the new{who}"]
        else:
            parts = [f"{did} {len(self.met_by)} of {self.need}{who}"]
        for node in self.nodes:
            if node in self.failed:
                parts.append(f"{name(node)} {self.failed[node]}")
            elif node not in self.met_by:
                parts.append(f"{name(node)} timed out")
        return ", ".join(parts)


def _said(by: list[NodeId] | dict[NodeId, str], group: Group) -> int:
    return sum(node in by for node in group.nodes)
