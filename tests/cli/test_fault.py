"""`dyn fault`: who is told what, what is shown of their answers, and what becomes of nodes that give none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.repl.complete import Sources, suggest
from dynamo_cli.repl.parse import arguments, split
from tests.helpers.cli import dyn
from tests.helpers.fake_node import HANG_UP, Err, FakeNode, fake_node

CUT = {"kind": "cut", "a": "n1", "b": "n2"}
EVERY = [
    CUT,
    {"kind": "cut1", "a": "n1", "b": "n2"},
    {"kind": "delay", "a": "n1", "b": "n2", "ms": 50.0},
    {"kind": "drop", "a": "n1", "b": "n2", "percent": 30.5},
    {"kind": "pause", "ms": 700.0},
    {"kind": "skew", "seconds": -3600.0},
    {"kind": "disk", "state": "full"},
]
NOTE = "the store has stopped for ever"


def fault(name: str, *faults: dict[str, Any], note: str | None = None) -> dict[str, Any]:
    """A dyn.fault/v1 document."""
    return {"schema": "dyn.fault/v1", "node": name, "faults": list(faults), "note": note}


class Nodes:
    """Three nodes n1, n2, n3 of one ring, each with a port and its own answer to DYN.FAULT."""

    def __init__(self, stack: ExitStack) -> None:
        self.made: dict[str, FakeNode] = {}
        for name in ("n1", "n2", "n3"):
            self.made[name] = stack.enter_context(fake_node(DYN_RING=lambda: self.ring, DYN_FAULT=fault(name)))
        self.first = self.made["n1"]

    @property
    def ring(self) -> dict[str, Any]:
        return {"members": [{"name": name, "address": node.address} for name, node in self.made.items()]}

    def answer(self, name: str, reply: Any) -> None:
        self.made[name].replies["DYN.FAULT"] = reply

    def told(self, name: str) -> list[str]:
        """The orders that a node got, in words."""
        asked = [words for words in self.made[name].asked if words[0] == b"DYN.FAULT"]
        return [b" ".join(words[1:]).decode() for words in asked]


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    with ExitStack() as stack:
        yield Nodes(stack)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("cut n1 n2", {"n1": ["CUT n1 n2"], "n2": ["CUT n1 n2"], "n3": []}),
        ("cut1 n3 n1", {"n1": ["CUT1 n3 n1"], "n2": [], "n3": ["CUT1 n3 n1"]}),
        ("cut n1 n2,n3", {"n1": ["CUT n1 n2", "CUT n1 n3"], "n2": ["CUT n1 n2"], "n3": ["CUT n1 n3"]}),
        ("delay n1,n2 n3 50", {"n1": ["DELAY n1 n3 50"], "n2": ["DELAY n2 n3 50"],
                               "n3": ["DELAY n1 n3 50", "DELAY n2 n3 50"]}),
        ("drop n2 n3 0.5", {"n1": [], "n2": ["DROP n2 n3 0.5"], "n3": ["DROP n2 n3 0.5"]}),
        ("heal", {"n1": ["HEAL"], "n2": ["HEAL"], "n3": ["HEAL"]}),
        ("list", {"n1": ["LIST"], "n2": ["LIST"], "n3": ["LIST"]}),
        ("pause n2 700", {"n1": [], "n2": ["PAUSE 700"], "n3": []}),
        ("skew n2 3600", {"n1": [], "n2": ["SKEW 3600"], "n3": []}),
        ("skew n2 3600 --behind", {"n1": [], "n2": ["SKEW -3600"], "n3": []}),
    ],
)  # fmt: skip
def test_who_is_told(nodes: Nodes, line: str, told: dict[str, list[str]]) -> None:
    """Both ends of a link, and nobody else."""
    result = dyn("fault", *line.split(), node=nodes.first)
    assert (result.status, result.err) == (0, "")
    assert {name: nodes.told(name) for name in nodes.made} == told


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("cut n1 n9", "no node 'n9' in the ring. There are n1, n2, n3"),
        ("cut n1 n1,n2", "n1 is on both sides"),
        ("cut n1 ,n2", "no list of node names"),
        ("cut n1", "B"),
        ("delay n1 n2 late", "'late' is not a number from 0 to 60000"),
        ("drop n1 n2 101", "'101' is not a number from 0 to 100"),
        ("pause n1 0", "'0' is not a number from 1 to 60000"),
        ("disk n1 slow", "none of full, error, ok"),
    ],
)
def test_what_makes_no_sense_is_sent_to_nobody(nodes: Nodes, line: str, words: str) -> None:
    result = dyn("fault", *line.split(), node=nodes.first)
    assert result.status == (ExitStatus.NOT_FOUND if words.startswith("no node") else ExitStatus.USAGE)
    assert words in result.err
    assert len(result.err.splitlines()) == 1
    assert [nodes.told(name) for name in nodes.made] == [[], [], []]


def test_the_screen_says_it_in_words_and_fits(nodes: Nodes) -> None:
    nodes.answer("n1", fault("n1", *EVERY))
    lines = dyn("fault", "list", "--color", "never", node=nodes.first, terminal=True).out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines == [
        "NODE  FAULTS",
        "n1    cut: n1 and n2 do not hear each other",
        "      cut one way: n2 does not hear n1",
        "      delay: n1 and n2, 50 ms each way",
        "      loss: n1 and n2, 30.5 % of the messages each way",
        "      pause: 700 ms",
        "      clock off by -3600 s",
        "      disk full",
        "n2    none",
        "n3    none",
    ]


def test_in_a_pipe_a_row_is_a_fault(nodes: Nodes) -> None:
    nodes.answer("n1", fault("n1", *EVERY))
    rows = [line.split("\t") for line in dyn("fault", "list", node=nodes.first).out.splitlines()]
    assert rows[0] == ["node", "fault", "a", "b", "amount"]
    assert rows[3:5] == [["n1", "delay", "n1", "n2", "50 ms"], ["n1", "drop", "n1", "n2", "30.5 %"]]
    assert rows[-2:] == [["n2", "none", "", "", ""], ["n3", "none", "", "", ""]]


def test_json_has_the_nodes_own_words(nodes: Nodes) -> None:
    nodes.answer("n2", fault("n2", CUT, note="x"))
    document = json.loads(dyn("fault", "list", "--json", node=nodes.first).out)
    assert document["schema"] == "dyn.fault.nodes/v1"
    assert document["nodes"][1] == {
        "node": "n2", "address": nodes.made["n2"].address, "faults": [CUT], "note": "x", "error": None,
    }  # fmt: skip


def test_a_hostile_node_commands_no_terminal(nodes: Nodes) -> None:
    evil = "\x1b]0;owned\x07[bold]"
    nodes.answer("n1", fault(evil, {"kind": evil, "a": evil, "b": evil, "state": evil}, note=evil))
    for output in ("table", "plain", "csv"):
        result = dyn("fault", "list", "-o", output, node=nodes.first, terminal=True, environ={"NO_COLOR": "1"})
        assert "\x1b" not in result.out + result.err


# Nodes that do not do it ---------------------------------------------------------------------------------


def test_a_node_without_the_flag_is_named_with_what_to_do(nodes: Nodes) -> None:
    nodes.answer("n2", Err("ERR this node takes no faults: start it with dyn node start --allow-faults"))
    result = dyn("fault", "cut", "n1", "n2", node=nodes.first)
    assert result.status == ExitStatus.FAILURE
    assert result.err == "dyn: n2: this node takes no faults: start it with dyn node start --allow-faults\n"
    assert "n1\t" in result.out, "what n1 did is shown nevertheless"


def test_a_cut_needs_one_end_only(nodes: Nodes) -> None:
    """A dead node is no reason not to cut the others off from it."""
    nodes.answer("n2", HANG_UP)
    result = dyn("fault", "cut", "n1,n3", "n2", node=nodes.first)
    assert result.status == 0
    assert ["n2", "unknown", "", "", ""] in [line.split("\t") for line in result.out.splitlines()]
    nodes.answer("n1", HANG_UP)
    nodes.answer("n3", HANG_UP)
    result = dyn("fault", "cut", "n1", "n2", node=nodes.first)
    assert result.status == ExitStatus.UNREACHABLE
    assert result.out == ""


def test_a_dead_node_is_healed_by_its_death(nodes: Nodes) -> None:
    nodes.answer("n2", HANG_UP)
    for what in ("heal", "list"):
        result = dyn("fault", what, node=nodes.first, terminal=True)
        assert result.status == 0
        assert "unknown: cannot reach" in result.out


def test_a_dead_node_cannot_be_paused(nodes: Nodes) -> None:
    nodes.answer("n2", HANG_UP)
    assert dyn("fault", "pause", "n2", "5", node=nodes.first).status == ExitStatus.UNREACHABLE


def test_a_broken_disk_that_stays_broken_is_no_success(nodes: Nodes) -> None:
    nodes.answer("n2", fault("n2", {"kind": "disk", "state": "error"}, note=NOTE))
    broken = dyn("fault", "disk", "n2", "error", node=nodes.first, terminal=True)
    assert broken.status == 0
    assert NOTE in broken.err
    result = dyn("fault", "disk", "n2", "ok", node=nodes.first)
    assert result.status == ExitStatus.REFUSED
    assert result.err == "dyn: the disk of n2 stays as it is. Restart that node\n"
    nodes.answer("n2", fault("n2"))
    assert dyn("fault", "disk", "n2", "ok", node=nodes.first).status == 0


# In the shell --------------------------------------------------------------------------------------------


def test_a_read_only_shell_only_lists() -> None:
    assert arguments(split("fault list"), read_only=True) == ["fault", "list"]
    with pytest.raises(Exception, match="read-only"):
        arguments(split("fault heal"), read_only=True)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("fault cu", ["cut", "cut1"]),
        ("fault cut ", ["n1", "n2"]),
        ("fault cut n1,", ["n1,n1", "n1,n2"]),
        ("fault delay n1 n", ["n1", "n2"]),
        ("fault disk n1 ", ["full", "error", "ok"]),
    ],
)
def test_names_are_completed_in_lists_too(line: str, expected: list[str]) -> None:
    sources = Sources(lambda word: [], list, names=lambda: ["n1", "n2"])
    *given, word = line.split(" ")
    assert [suggestion.word for suggestion in suggest(given, word, sources)] == expected
