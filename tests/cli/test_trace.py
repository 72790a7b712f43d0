"""`--trace` of get, put and del, and `\trace on`: the way beside the result, and of what failed, too."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.helpers.cli import dyn
from tests.helpers.documents import EVIL, trace
from tests.helpers.fake_node import RECEIPT, FakeNode, fake_node, reading, version

WRITTEN = {"context": "c2", "acks": [{"node": "n4", "durable": True, "hint_for": None}], "w": 2, "siblings": 1}
FAILED = {"error": {"code": "UNAVAILABLE", "text": "1 of the 2 nodes needed can be reached"}}


def node_with(document: dict[str, Any]) -> Any:
    plain = reading(version(b"milk", {"n1": 1}))
    return fake_node(DYN_TRACE=document, DYN_GET=plain, DYN_PUT=RECEIPT, DYN_DEL=b"c")


def traced(node: FakeNode) -> list[tuple[bytes, ...]]:
    return [words[1:] for words in node.asked if words[0] == b"DYN.TRACE"]


def test_a_traced_get_has_its_value_on_stdout_and_its_way_on_stderr() -> None:
    with node_with(trace()) as node:
        result = dyn("get", "k", "-r", "3", "--strict", "--trace", "--timeout", "2", node=node)
        assert traced(node) == [(b"GET", b"k", b"R", b"3", b"STRICT", b"TIMEOUT", b"2000")]
        assert len(node.asked) == 1, "one request: what is shown is what was done"
    assert (result.status, result.out) == (0, "milk\n")
    assert "asks k" in result.err


def test_the_way_is_told_in_words_with_who_was_waited_for() -> None:
    with node_with(trace("n2")) as node:
        lines = dyn("get", "k", "--trace", "--color", "never", node=node, terminal=True).err.splitlines()
    assert lines[0] == 'get "n2"   owners n1 n2 (down)   partition 2   epoch 7'
    steps = [" ".join(line.split()) for line in lines[2:15]]
    assert steps == [
        "0.00 n1 reads its own row 1.50 n2:1",
        "0.00 n1 asks n2 1.50 nothing, behind",
        "0.10 n1 asks whether n2 is there 1.50",
        "0.20 n1 hands it to n2 4.00",
        "0.70 n2 commits, with a hint for n2 1.50 n2:2",
        "2.20 n2 sends it to n3 1.50 durable",
        "2.20 n2 sends it to n4 in the place of n5 no answer",
        "2.30 n2 n4 does not answer",
        "2.30 n2 keeps a hint for n5 and n2",
        "3.70 n2 answers n1",
        "4.20 n1 answers the client",
        "4.30 n1 repairs n2",
        "4.30 n1 n2 n2",
    ]
    told = " ".join(lines[15:])
    assert "answered after 4.20 ms, which waited for n3" in told
    assert "the steps of n2 are put into the middle of the time that n1 waited" in told
    assert "n2 coordinated it, and did not tell how" in told
    assert "3 more steps were not kept" in told


@pytest.mark.parametrize("wide", [False, True])
def test_no_terminal_is_commanded_by_a_way_and_no_line_is_too_long(wide: bool) -> None:
    for text in (EVIL, "y" * 300):
        with node_with(trace(text)) as node:
            argv = ["get", "k", "--trace", "--color", "never", *(["-o", "wide"] if wide else [])]
            result = dyn(*argv, node=node, terminal=True)
        assert {c for c in result.err if not (c.isprintable() or c == "\n")} == set()
        assert wide or max(map(len, result.err.splitlines())) <= 80


def test_json_has_the_way_within_the_result() -> None:
    with node_with(trace()) as node:
        result = dyn("get", "k", "--trace", "--json", node=node)
    document = json.loads(result.out)
    assert (document["schema"], document["values"][0]["value"]) == ("dyn.get/v1", "milk")
    assert (document["trace"]["schema"], result.err) == ("dyn.trace/v1", "")
    with node_with(trace(**WRITTEN)) as node:
        document = json.loads(dyn("put", "k", "v", "--ctx", "none", "--trace", "--json", node=node).out)
    assert (document["schema"], document["context"], document["trace"]["op"]) == ("dyn.put/v1", "c2", "get")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("put", "k", "v", "--ctx", "tok", "-w", "1"), (b"PUT", b"k", b"tok", b"v", b"W", b"1")),
        (("del", "k", "--ctx", "tok", "--strict"), (b"DEL", b"k", b"tok", b"STRICT")),
    ],
)
def test_a_traced_write_is_done_once(argv: tuple[str, ...], words: tuple[bytes, ...]) -> None:
    with node_with(trace(**WRITTEN)) as node:
        result = dyn(*argv, "--trace", node=node)
        assert traced(node) == [(*words, b"TIMEOUT", b"3000")]
        assert len(node.asked) == 1
    assert (result.status, result.out) == (0, "OK\n")


@pytest.mark.parametrize("output", ["plain", "json"])
@pytest.mark.parametrize("argv", [("get", "k"), ("put", "k", "v", "--ctx", "none"), ("del", "k", "--ctx", "tok")])
def test_what_failed_shows_its_way_too(argv: tuple[str, ...], output: str) -> None:
    with node_with(trace(**FAILED)) as node:
        result = dyn(*argv, "--trace", "-o", output, node=node)
    assert (result.status, result.out) == (6, "")
    assert "1 of the 2 nodes needed can be reached" in result.err
    assert ("dyn.trace/v1" if output == "json" else "hands it to") in result.err


def test_a_key_that_is_not_there_shows_who_was_asked() -> None:
    with node_with(trace(context="", values=[])) as node:
        result = dyn("get", "k", "--trace", node=node)
    assert (result.status, result.out) == (3, "")
    assert "asks k" in result.err


def test_a_shell_traces_while_it_is_told_to() -> None:
    lines = ("get k", "\\trace on", "get k", "put k v --ctx none", "\\trace off", "get k")
    with node_with(trace(**WRITTEN, values=trace()["result"]["values"])) as node:
        result = dyn("shell", *(word for line in lines for word in ("-e", line)), node=node)
        assert [words[0] for words in traced(node)] == [b"GET", b"PUT"]
    assert result.status == 0, result.err
    assert result.err.count("answers the client") == 2
