"""Background work by hand: hints delivered now, passes over what is named, transfers paused, resumed and limited."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from dynamo_cli.arguments import size_or_none
from dynamo_cli.render.transfers import progress_line
from tests.helpers.cli import Result, dyn
from tests.helpers.documents import EVIL, delivery, pace, pass_document, ring, settled, transfers
from tests.helpers.fake_node import HANG_UP, Err, FakeNode, fake_node
from tests.helpers.schemas import check_document


@pytest.fixture
def nodes() -> Iterator[list[FakeNode]]:
    """Three nodes of one ring, each owning a third of twelve partitions first."""
    with ExitStack() as stack:
        made = [stack.enter_context(fake_node(DYN_TRANSFERS=settled())) for _ in range(3)]
        document = ring(3, 12, n=2)
        for member, node in zip(document["members"], made, strict=True):
            member["address"] = node.address
            node.replies["DYN.RING"] = document
        yield made


def answers(nodes: list[FakeNode], *told: Any) -> None:
    """What the nodes, one after the other, say to DYN.BACKGROUND."""
    for node, document in zip(nodes, told, strict=True):
        node.replies["DYN.BACKGROUND"] = document


def asked(node: FakeNode) -> list[tuple[bytes, ...]]:
    return [words[1:] for words in node.asked if words[0] == b"DYN.BACKGROUND"]


def run(nodes: list[FakeNode], *words: str, terminal: bool = False) -> Result:
    more = ("--color", "never") if terminal else ()
    return dyn("cluster", *words, *more, node=nodes[0], terminal=terminal)


# Hints ----------------------------------------------------------------------------------------------------------------


def test_every_node_delivers_until_none_is_at_it_any_more(nodes: list[FakeNode]) -> None:
    turns = iter([delivery("n1", running=True, keys=5, held=9), delivery("n1", keys=7, held=0)])
    answers(nodes, lambda *words: next(turns), lambda *words: delivery("n2", keys=0, held=0), delivery(keys=0, held=0))
    result = run(nodes, "hints", "--deliver-now", "--json")
    told = json.loads(result.out)
    assert (result.status, result.err) == (0, "")
    assert told["delivered"] == [{"by": "n1", "for": "n3", "keys": 12}]
    assert (told["held"], told["silent"]) == ([], [])


def test_what_waits_is_told_with_its_reason(nodes: list[FakeNode]) -> None:
    answers(nodes, delivery("n1", keys=12), delivery("n2", keys=0, held=0), Err("NOTSUPPORTED no such command"))
    result = run(nodes, "hints", "--deliver-now", terminal=True)
    assert result.status == 8
    assert result.out.startswith("12 rows were delivered")
    assert "n1   n1          3  99 B   1m 1s  n1 does not answer" in result.out
    assert "! what n3 keeps is not known: " in result.out
    rows = [line.split("\t") for line in run(nodes, "hints", "--deliver-now").out.splitlines()]
    assert rows[0] == ["for", "by", "delivered", "keys", "bytes", "oldest_s", "waits_because"]
    assert {row[1]: row[2:4] for row in rows[1:]} == {"n1": ["0", "3"], "n3": ["", ""]}
    assert ["n3", "n1", "12", "0", "", "", ""] in rows


def test_a_delivery_that_never_ends_is_left_after_so_long(nodes: list[FakeNode]) -> None:
    answers(nodes, *(delivery(running=True) for _ in range(3)))
    result = run(nodes, "hints", "--deliver-now", "--for", "0.05")
    assert result.status == 8
    assert run(nodes, "hints", "--deliver-now", "--watch").status == 2


def test_a_hostile_hint_is_left_out_or_shown_as_what_it_is(nodes: list[FakeNode]) -> None:
    odd = delivery(EVIL) | {"held": [{"for": 3}, 7, {"for": EVIL, "keys": 1, "bytes": 1, "oldest_s": 1,
                                                     "waits_because": EVIL}], "delivered": [{"for": None}]}  # fmt: skip
    answers(nodes, odd, delivery(held=0), delivery(held=0))
    for terminal in (False, True):
        result = run(nodes, "hints", "--deliver-now", terminal=terminal)
        assert result.status == 8
        assert all(char.isprintable() or char in "\n\t" for char in result.out)


# Passes ---------------------------------------------------------------------------------------------------------------


def test_the_pass_of_a_named_node(nodes: list[FakeNode]) -> None:
    nodes[2].replies["DYN.REPAIR"] = pass_document("n3", running=False)
    told = json.loads(run(nodes, "repair", "n3", "--json").out)
    assert (told["schema"], told["node"]) == ("dyn.repair/v1", "n3")


def test_partitions_are_compared_by_each_of_their_owners(nodes: list[FakeNode]) -> None:
    def compared(name: str) -> Callable[..., dict[str, Any]]:
        return lambda *words: pass_document(name, partitions=[int(w) for w in words[1:]], left_out=[], failed=0)

    answers(nodes, *map(compared, ("n1", "n2", "n3")))
    told = json.loads(run(nodes, "repair", "0", "3", "1", "--json", "--check").out)
    assert {each["node"]: each["partitions"] for each in told["passes"]} == {"n1": [0, 3], "n2": [0, 3, 1], "n3": [1]}
    lines = run(nodes, "repair", "0", "1", terminal=True).out.splitlines()
    assert "repair n2   took 1.2 s   partitions 0-1" in lines
    assert max(map(len, lines)) <= 80


def test_an_owner_that_does_not_answer_is_told_and_no_success(nodes: list[FakeNode]) -> None:
    answers(nodes, *(pass_document(name, left_out=[], failed=0) for name in ("n1", "n2", "n3")))
    assert run(nodes, "repair", "1", "--check").status == 0
    nodes[2].close()
    result = run(nodes, "repair", "1", "--check", "--json")
    assert result.status == 8
    assert [each["node"] for each in json.loads(result.out)["silent"]] == ["n3"]
    assert "! n3 was not asked" in run(nodes, "repair", "1", terminal=True).out


@pytest.mark.parametrize("words", [("n9",), ("12",), ("-1",), ("n1", "3"), ("3", "--cancel"), ("\u00b2",), ("9" * 99,)])
def test_what_is_neither_a_node_nor_a_partition(nodes: list[FakeNode], words: tuple[str, ...]) -> None:
    mixed = words[1:] or words == ("-1",)  # what makes no sense, whoever is there
    assert run(nodes, "repair", *words).status == (2 if mixed else 3)
    assert not any(asked(node) for node in nodes)


@pytest.mark.parametrize("was", [True, False])
def test_a_pass_is_given_up(nodes: list[FakeNode], was: bool) -> None:
    answers(nodes, *({"schema": "dyn.repair.cancel/v1", "node": f"n{i}", "cancelled": was} for i in (1, 2, 3)))
    assert run(nodes, "repair", "--cancel").out.splitlines()[1] == f"n1\t{str(was).lower()}"
    said = run(nodes, "repair", "n2", "--cancel", terminal=True).out
    assert said == ("n2 gives up the pass that was asked for\n" if was else "n2 has no pass to give up\n")
    assert [asked(node) for node in nodes] == [[(b"CANCEL",)], [(b"CANCEL",)], []]


def test_a_pass_that_was_given_up_is_no_success(nodes: list[FakeNode]) -> None:
    nodes[0].replies["DYN.REPAIR"] = pass_document(left_out=[], failed=0, cancelled=True)
    assert run(nodes, "repair", "--check").status == 8
    assert "given up before its end" in run(nodes, "repair", terminal=True).out


# Transfers ------------------------------------------------------------------------------------------------------------


def test_all_nodes_are_paused_and_resumed_and_limited(nodes: list[FakeNode]) -> None:
    answers(nodes, *(pace(f"n{i}") for i in (1, 2, 3)))
    assert run(nodes, "transfers", "pause", terminal=True).out == (
        "n1, n2, n3: paused, until dyn cluster transfers resume or a restart\n"
    )
    answers(nodes, pace("n1", paused_s=None, limit_bps=65536), *(pace(f"n{i}", paused_s=None) for i in (2, 3)))
    assert run(nodes, "transfers", "limit", "64k", terminal=True).out.splitlines() == [
        "n1: taking in 64.0 KiB/s at most, until a restart",
        "n2, n3: taking in as fast as clients let it",
    ]
    run(nodes, "transfers", "limit", "none")
    run(nodes, "transfers", "resume")
    assert [asked(node) for node in nodes] == [
        [(b"PAUSE",), (b"LIMIT", b"65536"), (b"LIMIT", b"NONE"), (b"RESUME",)]
    ] * 3  # fmt: skip


@pytest.mark.parametrize("output", ["table", "plain", "json", "jsonl", "csv"])
def test_a_hostile_name_of_a_node_that_is_paused(nodes: list[FakeNode], output: str) -> None:
    nodes[0].replies["DYN.RING"]["members"][0]["name"] = EVIL
    answers(nodes, *(pace(EVIL) for _ in range(3)))
    result = run(nodes, "transfers", "pause", "-o", output, terminal=True)
    assert result.status == 0, result.err
    assert all(char.isprintable() or char in "\n\t" for char in result.out + result.err)


def test_a_node_that_was_not_told_is_said(nodes: list[FakeNode]) -> None:
    answers(nodes, pace("n1"), pace("n2"), None)
    nodes[2].close()
    result = run(nodes, "transfers", "pause", terminal=True)
    assert result.status == 5
    assert "! n3 was not told: cannot reach" in result.out
    told = json.loads(run(nodes, "transfers", "pause", "--json").out)
    assert [each["paused_s"] for each in told["nodes"]] == [61.5, 61.5, None]


def test_what_no_node_takes_is_an_error(nodes: list[FakeNode]) -> None:
    answers(nodes, *(Err("ERR the limit must be 16384 to 9 bytes a second, or NONE") for _ in range(3)))
    result = run(nodes, "transfers", "limit", "1")
    assert (result.status != 0, result.out) == (True, "")
    assert "the limit must be" in result.err
    assert run(nodes, "transfers", "limit", "fast").status == 2


def test_a_pause_is_no_stall(nodes: list[FakeNode]) -> None:
    document = transfers(idle_s=500.0)
    document["takers"][1] |= {"paused_s": 480.0, "limit_bps": None}
    nodes[0].replies["DYN.TRANSFERS"] = document
    lines = run(nodes, "transfers", terminal=True).out.splitlines()
    assert "n2         1/4      7  8m 20s ago  an operator paused it 8m 0s ago" in lines
    assert "what is paused goes on with: dyn cluster transfers resume" in lines
    assert not any("no progress" in line for line in lines)
    assert progress_line(document).endswith("paused by an operator: n2")
    rows = [line.split("\t") for line in run(nodes, "transfers").out.splitlines()]
    assert [row[-2:] for row in rows] == [["paused_s", "limit_bps"], ["", ""], ["480.0", ""], ["", ""]]


def test_a_limit_is_said_where_it_holds(nodes: list[FakeNode]) -> None:
    document = transfers(moves=[])
    document["takers"][1] |= {"paused_s": None, "limit_bps": 65536}
    nodes[0].replies["DYN.TRANSFERS"] = document
    assert "an operator limits it to 64.0 KiB/s" in run(nodes, "transfers", terminal=True).out


@pytest.mark.parametrize(
    ("word", "told"),
    [("0", "0"), ("65536", "65536"), ("64K", "65536"), ("10m", "10485760"), ("1G", "1073741824"), ("None", "NONE")],
)
def test_sizes(word: str, told: str) -> None:
    assert size_or_none(word) == told


@pytest.mark.parametrize("word", ["", "K", "1.5M", "-1", "1T", "\u0663", "9" * 14, "1KK", "1e3"])
def test_no_sizes(word: str) -> None:
    with pytest.raises(ValueError, match="no number of bytes"):
        size_or_none(word)


def test_what_one_node_does_is_not_asked_of_the_next(nodes: list[FakeNode]) -> None:
    """A long pass is no reason to begin another one elsewhere."""
    listed = ",".join(node.address for node in nodes)
    nodes[0].replies["DYN.REPAIR"] = nodes[0].replies["DYN.BACKGROUND"] = HANG_UP
    for words in (("repair",), ("repair", "--cancel")):
        assert dyn("cluster", *words, environ={"DYN_NODES": listed}).status == 5
    for node in nodes[1:]:
        assert not [words for words in node.asked if words[0] in (b"DYN.REPAIR", b"DYN.BACKGROUND")]


def test_several_that_give_up_are_one_document(nodes: list[FakeNode]) -> None:
    answers(nodes, *({"schema": "dyn.repair.cancel/v1", "node": f"n{i}", "cancelled": i < 2} for i in (1, 2, 3)))
    told = json.loads(run(nodes, "repair", "n1", "n2", "--cancel", "--json").out)
    check_document(told)
    assert told["nodes"] == [{"node": "n1", "cancelled": True}, {"node": "n2", "cancelled": False}]
    assert run(nodes, "repair", "--cancel", "--check").status == 2
