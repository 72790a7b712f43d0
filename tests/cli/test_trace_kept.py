"""`dyn trace`: what nodes followed lately, shown again, and as a log that ShiViz can read."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from dynamo_cli.shiviz import CLIENT, EXPRESSION, lines
from tests.helpers.cli import dyn
from tests.helpers.documents import EVIL, trace
from tests.helpers.fake_node import HANG_UP, Err, FakeNode, fake_node
from tests.helpers.schemas import check_document

KEPT = {**trace("n2"), "id": "n1-2", "at": "2026-11-23T12:03:12.000Z"}


def summary(name: str, at: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "at": at, "op": "get", "key": "k", "enc": "utf8", "node": name[:2], "answered_ms": 4.2,
            "followed_ms": 5.0, "steps": 13, "error": None, **more}  # fmt: skip


def keeping(*traces: dict[str, Any]) -> Any:
    """A node that keeps these; one of them whole."""

    def told(*words: bytes) -> Any:
        if not words:
            return json.dumps({"schema": "dyn.traces/v1", "node": "n1", "traces": traces}).encode()
        if words == (b"n1-2",):
            return json.dumps(KEPT).encode()
        return Err("ERR no trace of this id here; the last 100 are kept")

    return fake_node({"DYN.TRACES": told})


def with_ring(node: FakeNode, **others: FakeNode) -> FakeNode:
    """The node in a ring with others."""
    members = [{"name": name, "address": each.address} for name, each in {"n1": node, **others}.items()]
    node.replies["DYN.RING"] = json.dumps({"members": members}).encode()
    return node


def test_every_node_is_asked_and_the_newest_comes_last() -> None:
    """One that does not tell is named, and is no failure."""
    first = summary("n1-2", "2026-11-23T12:03:12.000Z")
    second = summary("n2-1", "2026-11-23T12:03:11.000Z", error="UNAVAILABLE", answered_ms=None)
    with keeping(first) as node, keeping(second) as other, keeping() as gone:
        gone.replies["DYN.TRACES"] = HANG_UP
        with_ring(node, n2=other, n3=gone)
        found = json.loads(dyn("trace", "ls", "--json", node=node).out)
        check_document(found)
        assert [each["id"] for each in found["traces"]] == ["n2-1", "n1-2"]
        assert [each["node"] for each in found["silent"]] == ["n3"]
        shown = dyn("trace", node=node, terminal=True, environ={"NO_COLOR": "1"})
        assert [line.split() for line in shown.out.splitlines()] == [
            ["ID", "AT", "OP", "KEY", "ANSWERED", "STEPS", "ENDED"],
            ["n2-1", "12:03:11", "get", '"k"', "?", "13", "UNAVAILABLE"],
            ["n1-2", "12:03:12", "get", '"k"', "4.2", "ms", "13", "ok"],
        ]
        assert "n3 did not tell" in shown.err
        assert "dyn trace show n1-2" in shown.err
        assert dyn("trace", "ls", "--count", "1", "-o", "plain", node=node).out.count("n1-2") == 1
        for each in (node, other):
            each.replies["DYN.TRACES"] = Err("ERR unknown command")
        assert dyn("trace", "ls", node=node).status != 0


def test_a_trace_is_shown_again() -> None:
    """As it was; what is no trace is told with the place to look."""
    with keeping() as node:
        with_ring(node)
        shown = dyn("trace", "show", "n1-2", "--color", "never", node=node, terminal=True)
        assert "hands it to n2" in shown.out
        assert "again: dyn trace show n1-2" in shown.out
        assert max(map(len, shown.out.splitlines())) <= 80
        assert json.loads(dyn("trace", "export", "n1-2", node=node).out) == KEPT
        assert dyn("trace", "show", "n1-2", "-o", "plain", node=node).out.count("\n") == 14
        for name in ("n1-9", "n9-1", "n1", "n1-x", "-"):
            missing = dyn("trace", "show", "--", name, node=node)
            assert (missing.status, missing.out) == (3, ""), name
            assert "dyn trace ls" in missing.err


def test_a_log_for_shiviz() -> None:
    """Each line is read by the expression; whoever hears of something has seen all that its teller had."""
    with keeping() as fake:
        with_ring(fake)
        out = dyn("trace", "export", "n1-2", "--format", "shiviz", node=fake).out
    events = consistent(out.splitlines())
    assert events[0][2] == 'asks n1: get "n2"'
    assert events[-1][2] == "n2", "a step of a later release"
    clocks = {(host, event): clock for host, clock, event in events}
    assert clocks["n1", "hands it to n2"]["n1"] <= clocks["n2", "takes it over"]["n1"]
    assert clocks[CLIENT, "has its answer"].keys() >= {CLIENT, "n1", "n2", "n3"}, "the answer comes of all of them"
    assert "n4" not in {host for host, _, _ in events}, "nobody knows whether n4 heard of it"
    assert ("n3", "answers n2") in clocks


def test_what_an_answer_waited_for_comes_before_it_however_times_are_rounded() -> None:
    """At and took are rounded apart, so their sum may be a microsecond more than when the answer was given."""
    asked = {"at_ms": 0.0004, "node": "n1", "what": "replicate", "peer": "n2", "took_ms": 1.5, "awaited": True}
    answer = {"at_ms": 1.499, "node": "n1", "what": "answer"}
    log = consistent(list(lines(KEPT | {"node": "n1", "steps": [asked, answer]})))
    assert log[-1][0] == CLIENT
    assert log[-1][1].keys() == {CLIENT, "n1", "n2"}


def consistent(log: list[str]) -> list[tuple[str, dict[str, int], str]]:
    """The events of a log, held to what ShiViz asks of one."""
    pattern = re.compile(EXPRESSION.replace("(?<", "(?P<"))
    events, counts = [], dict[str, int]()
    for line in log:
        match = pattern.fullmatch(line)
        assert match, line
        clock = json.loads(match["clock"])
        host = match["host"]
        counts[host] = counts.get(host, 0) + 1
        assert clock[host] == counts[host], "a host counts its own events, one by one"
        assert all(0 < count <= counts.get(other, 0) for other, count in clock.items()), "nobody knows what is to come"
        events.append((host, clock, match["event"]))
    return events


@pytest.mark.parametrize("hostile", [EVIL, "client", "a b", "", "x" * 300, "\n{}\n"])
def test_a_log_of_what_makes_no_sense(hostile: str) -> None:
    """A line an event, whatever a node says; a node that is called as the client is is another host."""
    consistent(list(lines(trace(hostile))))
    for document in ({}, {"steps": [{}], "key": "%", "enc": "base64"}, {"steps": [{"what": "forward", "took_ms": 1}]}):
        consistent(list(lines(document)))
    late = {"steps": [
        {"what": "forward", "node": "n1", "peer": "n2", "at_ms": 1.0, "took_ms": 2.0},
        {"what": "answer", "node": "n2", "peer": "n1", "at_ms": 3.0004},
    ]}  # fmt: skip
    events = consistent(list(lines({"node": "n1", **late})))
    assert events[-1][0] == "n1", "what was rounded keeps its order"
    assert events[-1][1]["n2"] == 2
