"""`dyn hot` and `dyn monitor`: single requests, of all nodes, as estimates and never too many."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from dynamo_cli.asking import Told
from dynamo_cli.commands.hot import hot_document
from dynamo_cli.render.requests import request_line
from tests.helpers.cli import Result, dyn
from tests.helpers.documents import EVIL, ring
from tests.helpers.fake_node import HANG_UP, Err, FakeNode, fake_node

AT = "2026-11-29T12:03:07.402Z"


def hot_key(key: str, reads: int, per_s: float, **more: Any) -> dict[str, Any]:
    return {"key": key, "enc": "utf8", "reads": reads, "writes": 0, "uncounted_max": 0, "per_s": per_s, **more}


def hot_told(*keys: dict[str, Any], sampled: int = 100, **more: Any) -> dict[str, Any]:
    """What a node tells to DYN.HOT."""
    facts = {"schema": "dyn.hot/v1", "node": "n", "one_in": 64, "sampled": sampled, "over_s": 42.0}
    return {**facts, "hot": list(keys), "biggest": [], "siblings": [], **more}


def seen(key: str, name: str, figure: int, ago: float = 3.0) -> dict[str, Any]:
    return {"key": key, "enc": "utf8", name: figure, "seen_s_ago": ago}


def request(key: str, second: int, **more: Any) -> dict[str, Any]:
    facts = {"at": f"2026-11-29T12:03:{second:02d}.402Z", "op": "get", "key": key, "enc": "utf8", "outcome": "ok"}
    return {**facts, "ms": 1.25, "values": 1, "bytes": 30, **more}


def monitored(*requests: dict[str, Any], listener: int = 7, dropped: int = 0) -> dict[str, Any]:
    facts = {"schema": "dyn.monitor/v1", "node": "n", "listener": listener, "rate": 50, "matched": 0}
    return {**facts, "dropped": dropped, "requests": list(requests)}


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[FakeNode]]:
    """Two nodes; a pause lasts no time, and the third one is Ctrl-C."""
    left = [None, None]

    def pause(seconds: float) -> None:
        if not left:
            raise KeyboardInterrupt
        left.pop()

    monkeypatch.setattr("dynamo_cli.watching.pause", pause)
    with ExitStack() as stack:
        made = [stack.enter_context(fake_node()) for _ in range(2)]
        document = ring(2, 8)
        for member, node in zip(document["members"], made, strict=True):
            member["address"] = node.address
            node.replies["DYN.RING"] = document
        yield made


def ran(nodes: list[FakeNode], *words: str, terminal: bool = False) -> Result:
    return dyn(*words, "--color", "never", node=nodes[0], terminal=terminal)


# hot ---------------------------------------------------------------------------------------------------


def test_what_is_little_on_each_node_may_be_much_together(nodes: list[FakeNode]) -> None:
    for node in nodes:
        node.replies["DYN.HOT"] = lambda *words: hot_told(hot_key("all", 30, 10.5), hot_key(str(len(words)), 40, 14.0))
    told = json.loads(ran(nodes, "hot", "--json").out)
    assert [(each["key"], each["per_s"], each["share"], each["at"]) for each in told["hot"]] == [
        ("2", 28.0, 0.4, ["n1", "n2"]), ("all", 21.0, 0.3, ["n1", "n2"]),
    ]  # fmt: skip
    assert (told["sampled"], told["one_in"], told["over_s"]) == (200, 64, 42.0)
    placed = {each["key"]: (each["partition"], each["owners"]) for each in told["hot"]}
    assert placed == {"2": (6, ["n1", "n2"]), "all": (5, ["n2", "n1"])}, "the top three bits of MD5: c8…, a1…"
    assert nodes[0].asked[-1] == (b"DYN.HOT", b"COUNT", b"256"), "more than are shown"
    each = json.loads(ran(nodes, "hot", "--by", "node", "--count", "1", "--json").out)
    assert [(row["node"], row["key"]) for row in each["hot"]] == [("n1", "2"), ("n2", "2")]
    assert nodes[0].asked[-1] == (b"DYN.HOT", b"COUNT", b"1")


def test_of_big_values_and_siblings_the_greatest_counts(nodes: list[FakeNode]) -> None:
    nodes[0].replies["DYN.HOT"] = lambda *words: hot_told(biggest=[seen("a", "bytes", 10), seen("b", "bytes", 5)])
    nodes[1].replies["DYN.HOT"] = lambda *words: hot_told(
        biggest=[seen("a", "bytes", 9), seen("b", "bytes", 7)], siblings=[seen("a", "values", 3)]
    )
    told = json.loads(ran(nodes, "hot", "--json").out)
    assert [(each["key"], each["bytes"], each["at"]) for each in told["biggest"]] == [
        ("a", 10, ["n1"]),
        ("b", 7, ["n2"]),
    ]
    rows = [line.split("\t") for line in ran(nodes, "hot", "-o", "plain").out.splitlines()]
    assert [(row[0], row[2], row[7], row[8]) for row in rows[1:]] == [
        ("biggest", "a", "10", ""), ("biggest", "b", "7", ""), ("siblings", "a", "", "3"),
    ]  # fmt: skip


def test_the_screen_fits_80_columns_and_names_who_is_silent(nodes: list[FakeNode]) -> None:
    key = EVIL + "k" * 300
    told = hot_told(hot_key(key, 10, 1e7), biggest=[seen(key, "bytes", 10**9)], siblings=[seen(key, "values", 99)])
    nodes[0].replies["DYN.HOT"] = lambda *words: told
    nodes[1].replies["DYN.HOT"] = HANG_UP
    for words in ((), ("--by", "node")):
        lines = ran(nodes, "hot", *words, terminal=True).out.splitlines()
        assert max(map(len, lines)) <= 80
        assert all(char.isprintable() for line in lines for char in line)
        assert any(line.startswith("  ! n2 tells nothing: ") for line in lines)
    nodes[0].replies["DYN.HOT"] = lambda *words: hot_told(sampled=0)
    assert "nothing is hot" in ran(nodes, "hot", terminal=True).out
    assert ran(nodes, "hot", "--count", "257").status == 2


@pytest.mark.parametrize(
    "broken",
    [{}, {"hot": 3, "biggest": [4], "siblings": [{}], "sampled": EVIL}, {"hot": [{"key": 7, "enc": "base64"}]},
     {"hot": [{"key": "é!", "enc": "base64", "reads": 1, "writes": 0}]}],
)  # fmt: skip
def test_a_node_may_say_what_it_likes(nodes: list[FakeNode], broken: dict[str, Any]) -> None:
    for node in nodes:
        node.replies["DYN.HOT"] = lambda *words: broken
    for output in ("table", "plain", "json"):
        assert ran(nodes, "hot", "-o", output, terminal=True).status == 0
    assert hot_document([Told("n1", "", broken, None)], "node", 10)["sampled"] == 0


def test_exactly_is_of_every_key_and_says_what_it_costs(nodes: list[FakeNode]) -> None:
    held = {b"%d" % size: [b"x" * size] for size in range(1, 200)} | {b"\xff": [b"a", b"b", b"c"], b"gone": []}
    for node in nodes:
        node.replies["DYN.HOT"] = lambda *words: hot_told(hot_key("h", 1, 1.0))
    nodes[0].replies["DYN.KEYS"] = [b"0", [*held, b"broken"]]
    nodes[0].replies["DYN.GET"] = lambda key, *words: [b"c", held[key]] if key in held else Err("UNAVAILABLE no")
    result = ran(nodes, "hot", "--exact", "--count", "3", "--json")
    told = json.loads(result.out)
    assert [(each["key"], each["bytes"]) for each in told["biggest"]] == [("199", 199), ("198", 198), ("197", 197)]
    assert [(each["key"], each["enc"], each["values"]) for each in told["siblings"]] == [("/w==", "base64", 3)]
    assert (told["exact"], [each["key"] for each in told["hot"]], len(told["biggest"][0]["owners"])) == (True, ["h"], 2)
    assert "reading every key of the cluster" in result.err
    assert "1 keys could not be read" in result.err
    for words in (("--watch",), ("--by", "node")):
        assert ran(nodes, "hot", "--exact", *words).status == 2


# monitor -----------------------------------------------------------------------------------------------


def test_requests_of_all_nodes_in_the_order_of_time(nodes: list[FakeNode]) -> None:
    first = iter([monitored(request("b", 2)), monitored(request("d", 4))])
    nodes[0].replies["DYN.MONITOR"] = lambda *words: next(first, monitored())
    nodes[1].replies["DYN.MONITOR"] = lambda *words: monitored(request("a", 1), request("c", 3), listener=9)
    result = ran(nodes, "monitor", "-o", "jsonl", "--key", "x*", "--op", "get,put", "--rate", "60/s")
    rows = [json.loads(line) for line in result.out.splitlines()]
    assert result.status == 130, "Ctrl-C"
    assert [(row["key"], row["node"]) for row in rows[:3]] == [("a", "n2"), ("b", "n1"), ("c", "n2")]
    asked = [words for words in nodes[1].asked if words[0] == b"DYN.MONITOR"]
    rest = (b"KEY", b"x*", b"OP", b"get,put", b"RATE", b"30")
    assert asked == [(b"DYN.MONITOR", b"LISTENER", number, *rest) for number in (b"0", b"9", b"9")]


def test_what_is_left_out_is_counted_and_silence_told_once(nodes: list[FakeNode]) -> None:
    nodes[0].replies["DYN.MONITOR"] = lambda *words: monitored(dropped=1234)
    nodes[1].replies["DYN.MONITOR"] = HANG_UP
    result = ran(nodes, "monitor", "-o", "plain")
    assert result.err.count("n2 tells nothing") == 1
    assert result.err.count("… 1,234 more, above 100/s: --rate, --key and --op choose") == 3


def test_rows_have_one_heading_and_lines_fit(nodes: list[FakeNode]) -> None:
    evil = request(EVIL + "k" * 200, 1, op=EVIL, outcome=EVIL * 3, ms=1e9)
    for node in nodes:
        node.replies["DYN.MONITOR"] = lambda *words: monitored(request("a", 1, values=2), evil)
    plain = [line.split("\t") for line in ran(nodes, "monitor", "-o", "plain").out.splitlines()]
    table = list(csv.reader(io.StringIO(ran(nodes, "monitor", "-o", "csv").out)))
    assert {len(row) for row in plain} == {len(row) for row in table} == {8}
    assert [row[0] for row in plain].count("at") == 1
    lines = ran(nodes, "monitor", terminal=True).out.splitlines()
    assert max(map(len, lines)) <= 80
    assert all(char.isprintable() for line in lines for char in line)
    assert "12:03:01.402  n1        get     1.2 ms  ! 2 values   a" in lines


@pytest.mark.parametrize(
    ("more", "words"),
    [({}, "30 B"), ({"values": 0, "bytes": 0}, "nothing"), ({"outcome": "UNAVAILABLE", "values": None}, "UNAVAILABLE"),
     ({"op": "put", "values": None, "bytes": None}, "ok"), ({"values": "many"}, "ok")],
)  # fmt: skip
def test_a_line_says_what_came_of_it(more: dict[str, Any], words: str) -> None:
    assert words in request_line({"node": "n1", **request("k", 1, **more)}, 80)
    assert request_line({}, 80)


def test_words_of_the_line_and_nodes_that_take_no_listener(nodes: list[FakeNode]) -> None:
    for words in (("--rate", "0"), ("--rate", "1001/s"), ("--op", "keys"), ("--json",), ("-o", "value")):
        assert ran(nodes, "monitor", *words).status == 2
    for node in nodes:
        node.replies["DYN.MONITOR"] = Err("BUSY 4 listen already, which is as many as may")
    busy = ran(nodes, "monitor", "-o", "plain")
    assert (busy.status, "4 listen already" in busy.err) == (1, True)
