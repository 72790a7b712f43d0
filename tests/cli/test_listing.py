"""`dyn keys`: which keys are asked for, of whom, and what is told of deleted and of stale ones."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.helpers.cli import dyn
from tests.helpers.fake_node import FakeNode, fake_node

DELETED = b'{"deleted_at":"2026-11-23T12:03:11.402Z","age_s":3725.5,"writer":"ada@host"}'
BEHIND = b'{"behind":["n2"],"lacking":["n3","n4"],"versions":2,"deleted":false}'


def page(*told: bytes, unheard: tuple[bytes, ...] = ()) -> Callable[..., Any]:
    """A listing of `cart:0`, `cart:1` … with what is told of each, in pages of one key."""

    def answer(*words: bytes) -> Any:  # any reply
        at = int(words[words.index(b"CURSOR") + 1])
        after = b"0" if at + 1 >= len(told) else str(at + 1).encode()
        return [after, [b"cart:%d" % at][: len(told)], [*told[at : at + 1]], list(unheard)]

    return answer


def asked(node: FakeNode) -> list[tuple[bytes, ...]]:
    """The words behind prefix, cursor and limit of each call."""
    return [words[7:] for words in node.asked if words[0] == b"DYN.KEYS"]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("--siblings",), (b"SIBLINGS",)),
        (("--tombstones",), (b"TOMBSTONES",)),
        (("--stale", "--partition", "7"), (b"STALE", b"PARTITION", b"7")),
        (("--partition", "0"), (b"PARTITION", b"0")),
        ((), ()),
    ],
)
def test_what_is_asked_for(argv: tuple[str, ...], words: tuple[bytes, ...]) -> None:
    with fake_node(DYN_KEYS=[b"0", [], [], []]) as node:
        assert dyn("keys", "cart:", *argv, node=node).status == 0
    assert asked(node) == [words]
    assert node.asked[0][1:3] == (b"PREFIX", b"cart:")


def test_the_prefix_is_an_argument_or_an_option() -> None:
    with fake_node(DYN_KEYS=[b"0", []]) as node:
        assert dyn("keys", "--prefix", "cart:", node=node).status == 0
        assert dyn("keys", "a", "--prefix", "b", node=node).status == 2
    assert [words[2] for words in node.asked] == [b"cart:"]


def test_on_asks_that_node_alone() -> None:
    with fake_node(DYN_KEYS=[b"0", [b"a"]]) as other:
        ring = {"members": [{"name": "n2", "address": other.address}]}
        with fake_node(DYN_RING=ring) as node:
            assert dyn("keys", "--on", "n2", node=node).out == "a\n"
            assert dyn("keys", "--on", "n7", node=node).status == 3
    assert asked(other) == [(b"LOCAL",)]


@pytest.mark.parametrize("argv", [("--stale", "--tombstones"), ("--siblings", "--stale"), ("--stale", "--on", "n1")])
def test_listings_that_exclude_each_other(argv: tuple[str, ...]) -> None:
    assert dyn("keys", *argv).status == 2


def test_deleted_keys_with_their_age() -> None:
    with fake_node(DYN_KEYS=page(DELETED, DELETED)) as node:
        screen = dyn("keys", "--tombstones", "--color", "never", node=node, terminal=True).out.splitlines()
        rows = list(csv.reader(io.StringIO(dyn("keys", "--tombstones", "-o", "csv", node=node).out)))
        lines = [json.loads(line) for line in dyn("keys", "--tombstones", "-o", "jsonl", node=node).out.splitlines()]
        plain = dyn("keys", "--tombstones", node=node).out
    assert screen[0].split() == ["KEY", "AGE", "DELETED", "BY"]
    assert screen[1].split() == ["cart:0", "1h", "2m", "2026-11-23", "12:03:11", "ada@host"]
    assert rows[2] == ["cart:1", "2026-11-23T12:03:11.402Z", "3725.5", "ada@host"]
    assert [(line["key"], line["age_s"]) for line in lines] == [("cart:0", 3725.5), ("cart:1", 3725.5)]
    assert plain == "cart:0\ncart:1\n"


def test_stale_keys_with_who_is_behind_and_who_was_not_heard() -> None:
    with fake_node(DYN_KEYS=page(BEHIND, unheard=(b"n5",))) as node:
        screen = dyn("keys", "--stale", "--color", "never", node=node, terminal=True)
        document = json.loads(dyn("keys", "--stale", "--json", node=node).out)
        plain = dyn("keys", "--stale", node=node)
    assert screen.out.splitlines()[1].split() == ["cart:0", "n2", "n3", "n4", "2", "siblings"]
    assert "not compared, as they do not answer: n5" in screen.err
    assert document["unheard"] == ["n5"]
    assert document["keys"][0]["lacking"] == ["n3", "n4"]
    assert (plain.out, plain.err) == ("cart:0\n", "not compared, as they do not answer: n5\n")


def test_raw_keys_of_any_listing() -> None:
    with fake_node(DYN_KEYS=page(BEHIND, BEHIND)) as node:
        assert dyn("keys", "--stale", "-0", node=node, terminal=True).raw == b"cart:0\0cart:1\0"


def test_the_limit_holds_for_what_is_told_too() -> None:
    with fake_node(DYN_KEYS=page(DELETED, DELETED, DELETED)) as node:
        result = dyn("keys", "--tombstones", "--limit", "2", "-o", "csv", node=node)
    assert len(result.out.splitlines()) == 3
    assert "the first 2 keys" in result.err


@pytest.mark.parametrize("told", [b"{}", b'{"behind":7,"lacking":null,"versions":"x","deleted":1,"age_s":"y"}'])
@pytest.mark.parametrize("which", ["--stale", "--tombstones"])
def test_what_a_node_leaves_out_is_unknown(told: bytes, which: str) -> None:
    with fake_node(DYN_KEYS=page(told)) as node:
        for output in ("table", "csv", "json", "jsonl", "plain"):
            assert dyn("keys", which, "-o", output, node=node).status == 0
        known = json.loads(dyn("keys", which, "-o", "jsonl", node=node).out)
    assert known.get("age_s") is None
    assert known.get("versions") is None


@pytest.mark.parametrize("reply", [[b"0", [b"k"], [], []], [b"0", [b"k"], [b"no"], []], [b"0", [b"k"], 7, 7]])
def test_an_answer_that_makes_no_sense_is_said(reply: list[Any]) -> None:
    with fake_node(DYN_KEYS=reply) as node:
        result = dyn("keys", "--stale", node=node)
    assert result.status == 1
    assert "makes no sense" in result.err


def test_what_takes_long_has_a_bar_and_what_does_not_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    half = b"%d" % (2**63)
    replies = [[half, [b"a"], [BEHIND], []], [b"0", [b"b"], [BEHIND], []]]
    for patience_s, bar in ((1.0, False), (-1.0, True)):
        monkeypatch.setattr("dynamo_cli.progress.PATIENCE_S", patience_s)
        left = list(replies)
        with fake_node(DYN_KEYS=lambda *words, left=left: left.pop(0)) as node:
            result = dyn("keys", "--stale", node=node, terminal=True)
        assert ("100 %" in result.err) is bar
        assert len(result.out.splitlines()) == 3
