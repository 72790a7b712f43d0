"""A tally is pending until it is met or out of reach, and says so with names and numbers."""

from __future__ import annotations

import pytest

from node.core.ids import NodeId
from node.core.quorum import Tally, Verdict

NODES = tuple(NodeId(name) for name in ("n1", "n2", "n3"))


def tally(need: int, said: str) -> Tally:
    """`said` is one letter a node: y yes, n no, . nothing yet."""
    made = Tally(need, NODES)
    for node, letter in zip(NODES, said, strict=True):
        if letter == "y":
            made.yes(node)
        elif letter == "n":
            made.no(node, "down")
    return made


@pytest.mark.parametrize(
    ("need", "said", "verdict"),
    [
        (2, "...", Verdict.PENDING),
        (2, "y..", Verdict.PENDING),
        (2, "y.n", Verdict.PENDING),
        (2, "yy.", Verdict.MET),
        (2, "yyn", Verdict.MET),
        (2, ".nn", Verdict.FAILED),
        (2, "ynn", Verdict.FAILED),
        (1, "nn.", Verdict.PENDING),
        (1, "nnn", Verdict.FAILED),
        (3, "yyy", Verdict.MET),
        (3, "..n", Verdict.FAILED),
    ],
)
def test_verdict(need: int, said: str, verdict: Verdict) -> None:
    """The verdict is known as early as it can be."""
    assert tally(need, said).verdict is verdict


def test_a_node_counts_once() -> None:
    """Duplicated answers do not make a quorum."""
    counted = tally(2, "y..")
    counted.yes(NODES[0])
    assert counted.verdict is Verdict.PENDING


def test_an_answer_after_a_failure_counts() -> None:
    """A node given up too early may still answer."""
    counted = tally(2, "ynn")
    counted.yes(NODES[1])
    assert counted.verdict is Verdict.MET


def test_a_failure_after_an_answer_does_not() -> None:
    """What is durable there stays durable when the node goes down."""
    counted = tally(2, "yy.")
    counted.no(NODES[0], "down")
    assert counted.verdict is Verdict.MET


def test_describe_names_everybody() -> None:
    """The line is the whole bug report."""
    assert tally(2, "y.n").describe("wrote", str.upper) == "wrote 1 of 2 (N1), N2 timed out, N3 down"
    assert tally(2, "...").describe("heard", str) == "heard 0 of 2, n1 timed out, n2 timed out, n3 timed out"


def test_nothing_needed_is_a_defect() -> None:
    """A quorum of nobody is never meant."""
    with pytest.raises(AssertionError, match="quorum needs 0"):
        Tally(0, NODES)
