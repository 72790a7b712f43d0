"""Faults as people write them: which orders they are, and what is said of those that make no sense."""

from __future__ import annotations

import pytest

from dynamo_cli.breaking import FORMS, check, orders_of, sides_of
from dynamo_cli.demo.effects import can
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus

NAMES = ["n1", "n2", "n3", "n4"]


def orders(line: str) -> list[str]:
    return [f"{name}: {' '.join(map(str, words))}" for name, words in orders_of(line.split(), NAMES)]


def test_a_partition_cuts_every_link_between_its_sides() -> None:
    """At both ends; without a second side it is all others; three sides are three cuts."""
    assert orders("partition n1 / n3") == ["n1: CUT n1 n3", "n3: CUT n1 n3"]
    assert len(orders("partition n1,n2 / n3,n4")) == 8
    assert orders("partition n1,n2") == orders("partition n1,n2 / n3,n4") == orders("partition n1 , n2 / n3, n4")
    assert orders("partition n1,n2 n3,n4") == orders("partition n1, n2 n3,n4") == orders("partition n1,n2 / n3,n4")
    cut = sides_of(["n1", "/", "n2", "/", "n3,n4"], NAMES)
    assert cut.sides == (("n1",), ("n2",), ("n3", "n4"))
    assert cut.links == 5
    assert len(orders("partition n1 / n2 / n3,n4")) == 2 * cut.links


def test_faults_of_one_node_and_of_links() -> None:
    """In the words of DYN.FAULT."""
    assert orders("slow n4 200")[:2] == ["n4: DELAY n4 n1 200", "n1: DELAY n4 n1 200"]
    assert len(orders("slow n4 200")) == 6
    assert orders("slow n4 200 50")[0] == orders("slow n4 200 --jitter 50")[0] == "n4: DELAY n4 n1 200 50"
    assert orders("delay n1 n2 5 1") == ["n1: DELAY n1 n2 5 1", "n2: DELAY n1 n2 5 1"]
    assert orders("drop n1 n2 30") == ["n1: DROP n1 n2 30", "n2: DROP n1 n2 30"]
    assert orders("skew n3 -30") == ["n3: SKEW -30"]
    assert orders("pause n3 50") == ["n3: PAUSE 50"]
    assert orders("disk n3 full") == ["n3: DISK full"]
    assert orders("heal") == [f"{name}: HEAL" for name in NAMES]
    check(["kill", "n3"], NAMES)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("partition n1,n9", "no node 'n9'. There are n1, n2, n3, n4"),
        ("partition n1 / n1,n2", "n1 is on both sides"),
        ("partition n1,n2,n3,n4", "one side of the cut has no node"),
        ("partition n1 /", "is no list of node names"),
        ("partition", "Write: partition A,B / C,D"),
        ("slow n1 x", "'x' is not a number"),
        ("slow n1 5 x", "'x' is not a number"),
        ("slow n1 5 5 5", "Write: slow NODE MS"),
        ("slow n1", "Write: slow NODE MS"),
        ("drop n1 n2 101", "not a number from 0 to 100"),
        ("skew n1 1e999", "is not a number"),
        ("pause n1 0", "is not a number"),
        ("heal n1", "Write: heal"),
        ("kill", "Write: kill NODE"),
        ("kill n9", "no node 'n9'"),
        ("flood n1", f"There are {', '.join(FORMS)}"),
    ],
)
def test_what_makes_no_sense_is_said(line: str, words: str) -> None:
    """With how it is written."""
    with pytest.raises(CliError) as caught:
        check(line.split(), NAMES)
    assert caught.value.status == (ExitStatus.NOT_FOUND if words.startswith("no node") else ExitStatus.USAGE)
    assert words in caught.value.line()


def test_what_one_side_of_a_cut_can_do() -> None:
    """By its number of nodes: whoever is there stands in for the others."""
    assert can(2, 2, 2) == "takes writes (W=2) and reads (R=2), with stand-ins"
    assert can(1, 1, 2) == "takes reads (R=1) only"
    assert can(1, 2, 1) == "takes writes (W=1) only"
    assert can(1, 2, 2) == "takes nothing: 1 of the 2 nodes that R=2 W=2 need"
