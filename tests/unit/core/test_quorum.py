"""A tally is pending until it is met or out of reach, and says so with names and numbers."""

from __future__ import annotations

import pytest

from node.core.ids import NodeId
from node.core.quorum import Group, Tally, Verdict

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


# Two groups: the owners in the old ring, and those in the new ----------------------------------------------------

OLD, NEW = NODES, (*NODES[1:], NodeId("n4"))
BOTH = (*NODES, NodeId("n4"))


def joint(said: str, *, old: int = 2, new: int = 2) -> Tally:
    """n1 is about to give its place to n4. `said` is one letter a node, n1 to n4: y yes, n no, . nothing yet."""
    made = Tally(max(old, new), BOTH, (Group(old, OLD), Group(new, NEW)))
    for node, letter in zip(BOTH, said, strict=True):
        if letter == "y":
            made.yes(node)
        elif letter == "n":
            made.no(node, "down")
    return made


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("....", Verdict.PENDING),
        (".yy.", Verdict.MET),
        ("yy..", Verdict.PENDING),
        (".y.y", Verdict.PENDING),
        ("y..y", Verdict.PENDING),
        ("yy.y", Verdict.MET),
        ("yyn.", Verdict.PENDING),
        ("yynn", Verdict.FAILED),
        ("nn.y", Verdict.FAILED),
        ("nn..", Verdict.FAILED),
        ("..nn", Verdict.FAILED),
        ("n..n", Verdict.PENDING),
        ("ny.n", Verdict.PENDING),
        ("nyyn", Verdict.MET),
        ("n.n.", Verdict.FAILED),
        (".n..", Verdict.PENDING),
    ],
)
def test_each_of_two_groups_has_to_have_its_quorum(said: str, verdict: Verdict) -> None:
    """Whoever is in both counts in both, and one group out of reach is enough to fail."""
    assert joint(said).verdict is verdict
    assert joint(said).is_met is (verdict is Verdict.MET)


@pytest.mark.parametrize(
    ("said", "old", "new", "verdict"),
    [
        ("y...", 1, 2, Verdict.PENDING),
        ("yy.y", 3, 1, Verdict.PENDING),
        ("yyy.", 3, 1, Verdict.MET),
        ("y..y", 1, 1, Verdict.MET),
        ("nnn.", 1, 1, Verdict.FAILED),
        (".n..", 3, 1, Verdict.FAILED),
        ("...n", 3, 2, Verdict.PENDING),
        ("...n", 2, 3, Verdict.FAILED),
    ],
)
def test_the_two_groups_may_need_different_numbers(said: str, old: int, new: int, verdict: Verdict) -> None:
    assert joint(said, old=old, new=new).verdict is verdict


def test_a_failed_group_is_met_by_an_answer_that_comes_after_all() -> None:
    counted = joint("yynn")
    counted.yes(BOTH[3])
    assert counted.verdict is Verdict.MET


def test_who_is_asked_in_the_place_of_an_owner_counts_in_both_groups() -> None:
    """It saves either group from being out of reach, and its yes is one for each."""
    counted, stand_in = joint("ny.n"), NodeId("n5")
    counted.no(NODES[2], "down")
    assert counted.verdict is Verdict.FAILED
    counted.add(stand_in)
    assert counted.nodes == (*BOTH, stand_in)
    assert counted.verdict is Verdict.PENDING
    counted.yes(stand_in)
    assert counted.verdict is Verdict.MET


def test_who_is_asked_in_the_place_of_an_owner_is_not_needed_more_often() -> None:
    counted = joint(".yy.")
    counted.add(NodeId("n5"))
    assert counted.verdict is Verdict.MET
    counted.no(NodeId("n5"), "down")
    assert counted.verdict is Verdict.MET


def test_the_answer_of_somebody_in_neither_group_is_nobodys() -> None:
    counted = joint("y..y")
    counted.yes(NodeId("n5"))
    assert counted.verdict is Verdict.PENDING


def test_of_two_groups_it_is_said_how_far_each_has_come() -> None:
    """Everybody is named once, though he may be in both."""
    assert joint("yyn.", old=2, new=3).describe("wrote", str.upper) == (
        "wrote 2 of 2 in the old ring and 1 of 3 in the new (N1, N2), N3 down, N4 timed out"
    )
    assert joint("....").describe("heard", str) == (
        "heard 0 of 2 in the old ring and 0 of 2 in the new, n1 timed out, n2 timed out, n3 timed out, n4 timed out"
    )
    counted = joint("nn.y")
    counted.add(NodeId("n5"))
    counted.yes(NodeId("n5"))
    assert counted.describe("heard", str) == (
        "heard 1 of 2 in the old ring and 2 of 2 in the new (n4, n5), n1 down, n2 down, n3 timed out"
    )


def test_a_question_that_is_asked_again_counts_anew_in_both_groups() -> None:
    counted = joint("yy.y")
    counted.reset()
    assert counted.verdict is Verdict.PENDING
    assert counted.unsaid == BOTH
