"""`dyn latency`: round trips from here, and what nodes served meanwhile; no key of anybody is touched for it."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from dynamo_cli.commands.latency import _of
from dynamo_cli.render.latency import history_header
from tests.cli.test_stat import counted
from tests.helpers.cli import Result, dyn
from tests.helpers.cluster import eventually
from tests.helpers.documents import EVIL, ring
from tests.helpers.fake_node import HANG, HANG_UP, FakeNode, fake_node


def serving() -> Callable[[], dict[str, Any]]:
    """Each time it is asked, a hundred reads and ten writes more."""
    state = {"asked": 0}

    def answer() -> dict[str, Any]:
        state["asked"] += 1
        return counted(100 * state["asked"], 10 * state["asked"])

    return answer


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[FakeNode]]:
    """Two nodes; a pause lasts until both were pinged, and the third one is Ctrl-C."""
    left = [None, None]
    with ExitStack() as stack:
        made = [stack.enter_context(fake_node(DYN_STATS=serving(), PING=b"PONG")) for _ in range(2)]
        document = ring(2, 8)
        for member, node in zip(document["members"], made, strict=True):
            member["address"] = node.address
            node.replies["DYN.RING"] = document

        def pause(seconds: float) -> None:
            if not left:
                raise KeyboardInterrupt
            left.pop()
            pinged = [len(node.asked) for node in made if node.replies["PING"] == b"PONG"]
            eventually(
                lambda: [n.asked for n in made if n.replies["PING"] == b"PONG" and len(n.asked) < max(pinged) + 5] == []
            )

        monkeypatch.setattr("dynamo_cli.watching.pause", pause)
        yield made


def latency(nodes: list[FakeNode], *words: str, terminal: bool = False) -> Result:
    return dyn("latency", *words, "--color", "never", "--timeout", "0.5", node=nodes[0], terminal=terminal)


def test_once_in_a_pipe(nodes: list[FakeNode]) -> None:
    told = json.loads(latency(nodes, "--json").out)
    assert [node["node"] for node in told["nodes"]] == ["n1", "n2"]
    for node in told["nodes"]:
        assert node["ping"]["samples"] > 0
        assert 0 < node["ping"]["p50"] <= node["ping"]["p99"] <= node["ping"]["max"]
        assert (node["get"]["samples"], node["put"]["samples"]) == (100, 10)
        assert node["get"]["p99"] == pytest.approx(1.0, rel=0.01)
        assert node["del"] == {"samples": 0, "p50": None, "p99": None, "p999": None, "max": None}
    assert (told["total"]["get"]["samples"], told["total"]["put"]["max"]) == (200, pytest.approx(4.0, rel=0.01))
    asked = {words[0] for node in nodes for words in node.asked}
    assert asked == {b"DYN.RING", b"DYN.STATS", b"PING"}, "no key is read or written"


def test_rows_and_objects(nodes: list[FakeNode]) -> None:
    rows = [line.split("\t") for line in latency(nodes, "-o", "plain").out.splitlines()]
    assert [row[1:3] for row in rows] == [["node", "what"], *[[n, w] for n in ("n1", "n2") for w in
                                                             ("ping", "get", "put", "del")]]  # fmt: skip
    assert {len(row) for row in rows} == {8}
    assert [json.loads(line)["node"] for line in latency(nodes, "-o", "jsonl").out.splitlines()] == ["n1", "n2"]


def test_on_a_terminal_in_place(nodes: list[FakeNode]) -> None:
    result = latency(nodes, terminal=True)
    assert result.status == 130
    assert "all" in [line.split()[0] for line in result.out.splitlines() if line.strip()]
    assert max(map(len, result.out.replace("\x1b", "\n").splitlines())) <= 80


def test_history_is_a_line_an_interval(nodes: list[FakeNode]) -> None:
    lines = latency(nodes, "--history", terminal=True).out.splitlines()
    assert lines[:2] == history_header().splitlines()
    assert len(lines) == 4
    assert max(map(len, lines)) <= 79
    assert [line.split()[4] for line in lines[2:]] == ["200", "200"]


def test_history_for_programs(nodes: list[FakeNode]) -> None:
    table = list(csv.reader(io.StringIO(latency(nodes, "--history", "-o", "csv").out)))
    assert [row[0] for row in table].count("at") == 1
    assert len(table) == 1 + 2 * 8
    assert latency(nodes, "--history", "--json").status == 2


def test_by_operation_names_the_slowest_node(nodes: list[FakeNode]) -> None:
    rows = [line.split("\t") for line in latency(nodes, "--by", "op").out.splitlines()]
    assert [row[1:3] for row in rows[2:]] == [["get", "200"], ["put", "20"], ["del", "0"]]
    assert rows[2][-2] in ("n1", "n2")
    assert rows[4][-2:] == ["", ""]
    told = [json.loads(line) for line in latency(nodes, "--by", "op", "-o", "jsonl").out.splitlines()]
    assert [each["what"] for each in told] == ["ping", "get", "put", "del"]
    assert latency(nodes, "--by", "op", "--history").status == 2


def test_by_operation_on_a_terminal(nodes: list[FakeNode]) -> None:
    nodes[0].replies["DYN.RING"]["members"][1]["name"] = EVIL * 9
    screen = latency(nodes, "--by", "op", terminal=True).out
    assert "SLOWEST NODE" in screen
    assert max(map(len, screen.replace("\x1b", "\n").splitlines())) <= 80


@pytest.mark.parametrize("reply", [HANG, HANG_UP])
def test_a_node_that_does_not_answer_is_unknown_and_holds_up_nobody(nodes: list[FakeNode], reply: object) -> None:
    nodes[1].replies |= {"PING": reply, "DYN.STATS": reply}
    begun = time.monotonic()
    told = json.loads(latency(nodes, "--json").out)
    assert time.monotonic() - begun < 3
    silent = told["nodes"][1]
    assert (silent["ping"]["samples"], silent["get"], bool(silent["unknown_because"])) == (0, None, True)
    assert told["total"]["get"]["samples"] == 100
    assert dyn("latency").status == 5


def test_a_hostile_name_is_shown_as_what_it_is(nodes: list[FakeNode]) -> None:
    nodes[0].replies["DYN.RING"]["members"][1]["name"] = EVIL * 9
    lines = latency(nodes, "--history", "-o", "plain").out.splitlines()
    assert all(char.isprintable() or char == "\t" for line in lines for char in line)


def test_percentiles_of_round_trips() -> None:
    assert _of([]) == {"samples": 0, "p50": None, "p99": None, "p999": None, "max": None}
    assert _of([float(n) for n in range(1, 1001)]) == {
        "samples": 1000, "p50": 500.0, "p99": 990.0, "p999": 999.0, "max": 1000.0,
    }  # fmt: skip
