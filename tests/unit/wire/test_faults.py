"""DYN.FAULT's words and what they amount to: for each end of a link, and for nobody else."""

from __future__ import annotations

import pytest

from node.wire.faults import CLEAR, FORMS, Order, Way, described, parse, spoken, way_to, with_order
from node.wire.replies import ErrorReply, encode


def parsed(line: str) -> Order | ErrorReply:
    return parse([b"DYN.FAULT", *line.encode().split()])


def orders(*lines: str) -> tuple[Order, ...]:
    """The faults of links after these orders."""
    faults: tuple[Order, ...] = ()
    for line in lines:
        order = parsed(line)
        assert isinstance(order, Order)
        faults = with_order(faults, order)
    return faults


@pytest.mark.parametrize(
    ("line", "order"),
    [
        ("cut n1 n2", Order("CUT", "n1", "n2")),
        ("CUT1 n2 n1", Order("CUT1", "n2", "n1")),
        ("heal", Order("HEAL")),
        ("DELAY n1 n2 50", Order("DELAY", "n1", "n2", 50)),
        ("DELAY n1 n2 0.5", Order("DELAY", "n1", "n2", 0.5)),
        ("DELAY n1 n2 50 20", Order("DELAY", "n1", "n2", 50, jitter=20)),
        ("DELAY n1 n2 0 20", Order("DELAY", "n1", "n2", 0, jitter=20)),
        ("DROP n1 n2 30", Order("DROP", "n1", "n2", 30)),
        ("DROP n1 n2 100", Order("DROP", "n1", "n2", 100)),
        ("PAUSE 60000", Order("PAUSE", amount=60000)),
        ("SKEW -3600", Order("SKEW", amount=-3600)),
        ("disk FULL", Order("DISK", state="full")),
        ("LIST", Order("LIST")),
    ],
)
def test_orders(line: str, order: Order) -> None:
    assert parsed(line) == order
    assert parsed(spoken(order)) == order


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("BREAK", "takes CUT, CUT1, HEAL"),
        ("CUT", "needs 2 words after it, not 0; usage: DYN.FAULT CUT a b"),
        ("CUT n1 n2 n3", "needs 2 words"),
        ("CUT n1 n1", "not the same one twice"),
        ("HEAL n1", "needs no words"),
        ("PAUSE", "needs 1 word after it"),
        ("PAUSE 0", "a number from 1 to 60000, not '0'; usage: DYN.FAULT PAUSE ms"),
        ("PAUSE 60001", "a number from 1 to 60000"),
        ("PAUSE inf", "a number from"),
        ("PAUSE nan", "a number from"),
        ("PAUSE 1_0", "a number from"),
        ("PAUSE ٣", "a number from"),
        ("DELAY n1 n2 -1", "a number from 0 to 60000"),
        ("DELAY n1 n2 5 x", "a number from 0 to 60000, not 'x'; usage: DYN.FAULT DELAY a b ms [jitter]"),
        ("DELAY n1 n2", "needs 3 or 4 words after it, not 2"),
        ("DROP n1 n2 5 5", "needs 3 words"),
        ("DROP n1 n2 101", "a number from 0 to 100"),
        ("DROP n1 n2 half", "usage: DYN.FAULT DROP a b percent"),
        ("SKEW 400000000", "a number from -315360000 to 315360000"),
        ("DISK slow", "full, error or ok, not 'slow'; usage: DYN.FAULT DISK full|error|ok"),
    ],
)
def test_a_wrong_order_is_one_line_that_says_how_it_is_written(line: str, words: str) -> None:
    refused = parsed(line)
    assert isinstance(refused, ErrorReply)
    assert refused.code == "ERR"
    assert words in refused.text
    assert "\n" not in refused.text


def test_hostile_words_are_shown_tamely() -> None:
    hostile = b"\x1b[31m\xff" + b"x" * 100_000
    for words in ([hostile], [b"DISK", hostile], [b"PAUSE", hostile]):
        refused = parse([b"DYN.FAULT", *words])
        assert isinstance(refused, ErrorReply)
        sent = encode(refused, resp3=False)
        assert len(sent) < 300
        assert b"\x1b" not in sent


def test_each_end_of_a_cut_swallows_both_ways_and_a_third_node_nothing() -> None:
    faults = orders("CUT n1 n2")
    assert way_to(faults, "n1", "n2") == way_to(faults, "n2", "n1") == Way(True, True)
    assert way_to(faults, "n1", "n3") == way_to(faults, "n3", "n1") == CLEAR


def test_a_cut_of_one_way_is_the_same_way_seen_from_both_ends() -> None:
    faults = orders("CUT1 n1 n2")
    assert way_to(faults, "n1", "n2") == Way(swallow_out=True)
    assert way_to(faults, "n2", "n1") == Way(swallow_in=True)
    both = orders("CUT1 n1 n2", "CUT1 n2 n1")
    assert way_to(both, "n1", "n2") == Way(True, True)


def test_delay_and_loss_are_the_senders() -> None:
    faults = orders("DELAY n1 n2 50", "DROP n2 n1 30")
    assert way_to(faults, "n1", "n2") == way_to(faults, "n2", "n1") == Way(delay_s=0.05, loss=0.3)


def test_the_later_of_two_like_orders_counts_and_0_lifts() -> None:
    assert orders("CUT n1 n2", "CUT n2 n1") == (Order("CUT", "n2", "n1"),)
    assert len(orders("CUT1 n1 n2", "CUT1 n2 n1", "CUT n1 n2")) == 3
    assert orders("DELAY n1 n2 50", "DELAY n2 n1 70") == (Order("DELAY", "n2", "n1", 70),)
    assert orders("DELAY n1 n2 50", "DROP n1 n2 5", "DELAY n1 n2 0") == (Order("DROP", "n1", "n2", 5),)
    assert orders("DROP n1 n2 0") == ()
    assert orders("DELAY n1 n2 0 20") != (), "a jitter alone is a delay"
    assert orders("DELAY n1 n2 0 20", "DELAY n1 n2 0") == ()


def test_a_jitter_is_of_each_end() -> None:
    faults = orders("DELAY n1 n2 50 20")
    assert way_to(faults, "n1", "n2") == way_to(faults, "n2", "n1") == Way(delay_s=0.05, jitter_s=0.02)


def test_every_kind_has_its_figures_in_the_document() -> None:
    lines = ["CUT a b", "CUT1 a b", "DELAY a b 5", "DROP a b 5", "PAUSE 5", "SKEW 5", "DISK full"]
    told = [described(order) for line in lines if isinstance(order := parsed(line), Order)]
    assert told == [
        {"kind": "cut", "a": "a", "b": "b"},
        {"kind": "cut1", "a": "a", "b": "b"},
        {"kind": "delay", "a": "a", "b": "b", "ms": 5.0, "jitter_ms": 0.0},
        {"kind": "drop", "a": "a", "b": "b", "percent": 5.0},
        {"kind": "pause", "ms": 5.0},
        {"kind": "skew", "seconds": 5.0},
        {"kind": "disk", "state": "full"},
    ]
    assert len(lines) == len(FORMS) - 2, "HEAL and LIST are no faults"
