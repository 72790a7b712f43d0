"""Writes on a condition, reads of one node, and what is shown of siblings on a pipe."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from dynamo_cli.app import run
from dynamo_cli.errors import CliError
from dynamo_cli.repl.parse import arguments, split
from dynamo_cli.store import Memory
from tests.helpers.cli import dyn, environment
from tests.helpers.fake_node import RECEIPT, Err, FakeNode, fake_node, reading, version

ONE = reading(version(b"milk", {"n1": 1}))
TWO = reading(version(b"milk", {"n1": 2}), version(b"beer", {"n1": 1, "n2": 1}))
DELETED = reading(version(None, {"n1": 2}))


def writes(node: FakeNode) -> list[tuple[bytes, ...]]:
    """What was written."""
    return [words for words in node.asked if words[0] != b"DYN.GET"]


# put, on a condition ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("held", "context"), [(reading(), b""), (DELETED, b"c0ntext")])
def test_if_absent_writes_with_what_was_read(held: Callable[..., Any], context: bytes) -> None:
    """A tombstone is covered, so that the value does not stand beside what was deleted."""
    with fake_node(DYN_GET=held, DYN_PUT=RECEIPT) as node:
        assert dyn("put", "k", "v", "--if-absent", node=node).status == 0
    assert [words[1:4] for words in writes(node)] == [(b"k", context, b"v")]


@pytest.mark.parametrize(("held", "words"), [(ONE, "a value"), (TWO, "2 siblings")])
def test_if_absent_refuses_what_is_there(held: Callable[..., Any], words: str) -> None:
    with fake_node(DYN_GET=held, DYN_PUT=RECEIPT) as node:
        result = dyn("put", "k", "v", "--if-absent", node=node)
        as_json = dyn("put", "k", "v", "--if-absent", "--json", node=node)
    assert (result.status, result.out) == (4, "")
    assert f'"k" has {words}: nothing was written' in result.err
    assert json.loads(as_json.err)["error"]["code"] == "EXISTS"
    assert not writes(node)


@pytest.mark.parametrize("held", [ONE, TWO, DELETED])
def test_if_context_writes_over_exactly_what_it_covers(held: Callable[..., Any]) -> None:
    with fake_node(DYN_GET=held, DYN_PUT=RECEIPT) as node:
        assert dyn("put", "k", "v", "--if-context", "c0ntext", node=node).status == 0
    assert [words[2] for words in writes(node)] == [b"c0ntext"]


def test_if_context_of_nothing_is_the_empty_one() -> None:
    with fake_node(DYN_GET=reading(), DYN_PUT=RECEIPT) as node:
        assert dyn("put", "k", "v", "--if-context", "", node=node).status == 0
        assert dyn("put", "k", "v", "--if-context", "c0ntext", node=node).status == 4
    assert len(writes(node)) == 1


def test_if_context_refuses_what_has_changed() -> None:
    with fake_node(DYN_GET=ONE, DYN_PUT=RECEIPT) as node:
        result = dyn("put", "k", "v", "--if-context", "0ld", "--json", node=node)
    assert result.status == 4
    error = json.loads(result.err)["error"]
    assert error["code"] == "CHANGED"
    assert "dyn get k --ctx" in error["hint"]
    assert not writes(node)


@pytest.mark.parametrize(
    "conditions",
    [("--ctx", "c", "--if-absent"), ("--if-absent", "--if-context", "c"), ("--ctx", "none", "--if-context", "")],
)
def test_one_condition_at_a_time(conditions: tuple[str, ...]) -> None:
    result = dyn("put", "k", "v", *conditions)
    assert result.status == 2
    assert "each say what is replaced" in result.err


def test_the_new_context_alone() -> None:
    with fake_node(DYN_GET=ONE, DYN_PUT=RECEIPT) as node:
        assert dyn("put", "k", "v", "--return-ctx", node=node).out == "c0ntext2\n"
        assert dyn("put", "k", "v", "--return-ctx", node=node, terminal=True).out == "c0ntext2\n"
        assert json.loads(dyn("put", "k", "v", "--return-ctx", "--json", node=node).out)["context"] == "c0ntext2"


@pytest.mark.parametrize("argv", [("put", "k", "v", "--ttl", "5"), ("put", "--ex=5", "k", "v"), ("expire", "k", "5")])
def test_keys_do_not_expire_and_that_is_said(argv: tuple[str, ...]) -> None:
    result = dyn(*argv)
    assert result.status == 2
    assert "keys do not expire" in result.err
    assert "dyn del KEY" in result.err


# get ------------------------------------------------------------------------------------------------------


def test_all_shows_siblings_on_a_pipe() -> None:
    with fake_node(DYN_GET=TWO) as node:
        result = dyn("get", "k", "--all", node=node)
        assert dyn("get", "k", "--all", "-o", "value", node=node).out == ""  # what is one value without an end?
    assert result.status == 4
    assert [line.split("\t")[:2] for line in result.out.splitlines()[1:]] == [["k", "milk"], ["k", "beer"]]


def test_raw_is_the_bytes_on_a_terminal_too() -> None:
    with fake_node(DYN_GET=reading(version(b"\x1b[31m\n\x00", {"n1": 1}))) as node:
        assert dyn("get", "k", "--raw", node=node, terminal=True).raw == b"\x1b[31m\n\x00"


def test_raw_of_siblings_is_a_conflict() -> None:
    with fake_node(DYN_GET=TWO) as node:
        result = dyn("get", "k", "--raw", node=node, terminal=True)
    assert (result.status, result.out) == (4, "")


@pytest.mark.parametrize(
    "argv",
    [
        ("k", "--one", "--all"), ("k", "--raw", "--all"), ("k", "--raw", "--ctx"), ("a", "b", "--raw"),
        ("k", "--from", "n2", "-r", "2"), ("k", "--from", "n2", "--strict"),
    ],
)  # fmt: skip
def test_options_of_get_that_contradict_each_other(argv: tuple[str, ...]) -> None:
    assert dyn("get", *argv).status == 2


def ring(**addresses: str) -> dict[str, object]:
    """As much of DYN.RING as names need."""
    return {"members": [{"name": name, "address": address} for name, address in addresses.items()]}


def test_from_asks_that_node_alone() -> None:
    with fake_node(DYN_GET=TWO) as other, fake_node(DYN_RING=ring(n2=other.address)) as node:
        result = dyn("get", "k", "--from", "n2", "--json", node=node)
    assert [value["value"] for value in json.loads(result.out)["values"]] == ["milk", "beer"]
    assert json.loads(result.out)["from"] == "n2"
    assert [words[0] for words in node.asked] == [b"DYN.RING"]
    assert [words[:2] for words in other.asked] == [(b"DYN.GET", b"k")]
    assert b"LOCAL" in other.asked[0]


def test_from_says_to_a_person_that_it_is_one_node() -> None:
    with fake_node(DYN_GET=TWO) as other, fake_node(DYN_RING=ring(n2=other.address)) as node:
        assert "n2 alone" in dyn("get", "k", "--from", "n2", node=node, terminal=True).err


@pytest.mark.parametrize(("held", "words"), [(reading(), "holds nothing of"), (DELETED, "holds, as deleted:")])
def test_from_says_what_that_node_has_not(held: Callable[..., Any], words: str) -> None:
    with fake_node(DYN_GET=held) as other, fake_node(DYN_RING=ring(n2=other.address)) as node:
        result = dyn("get", "k", "--from", "n2", node=node)
    assert (result.status, result.out) == (3, "")
    assert f'n2 {words} "k". What the cluster has: dyn get k' in result.err


def test_a_shell_writes_with_no_context_of_one_node_alone() -> None:
    """What that node has missed would become a sibling of the next put."""
    with fake_node(DYN_GET=ONE) as other, fake_node(DYN_RING=ring(n2=other.address), DYN_GET=ONE) as node:
        env, _, _ = environment(environ={"DYN_NODES": node.address})
        env.memory = Memory()
        assert run(["get", "k", "--from", "n2"], env) == 0
        assert env.memory.recall(b"k") is None
        assert run(["get", "k"], env) == 0
        assert env.memory.recall(b"k") is not None


def test_from_a_node_that_is_not_there() -> None:
    with fake_node(DYN_RING=ring(n1="127.0.0.1:1")) as node:
        unknown = dyn("get", "k", "--from", "n9", node=node)
        away = dyn("get", "k", "--from", "n1", node=node)
    assert unknown.status == 3
    assert "There are n1" in unknown.err
    assert away.status == 5


def test_from_an_older_node_is_its_refusal() -> None:
    refusal = Err("ERR syntax error: unexpected 'LOCAL'")
    with fake_node(DYN_GET=refusal) as other, fake_node(DYN_RING=ring(n2=other.address)) as node:
        assert "unexpected 'LOCAL'" in dyn("get", "k", "--from", "n2", node=node).err


# del ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("states", "words"),
    [
        (("up", "up", "up"), "its tombstone stays until every member has confirmed it; all 3 are up"),
        (("up", "down", "suspect"), "until every member has confirmed it: n2, n3 cannot now"),
    ],
)
def test_a_delete_says_whose_word_its_tombstone_waits_for(states: tuple[str, ...], words: str) -> None:
    status = {"nodes": [{"name": f"n{at + 1}", "state": state} for at, state in enumerate(states)]}
    with fake_node(DYN_GET=ONE, DYN_DEL=b"c", DYN_STATUS=status) as node:
        assert words in dyn("del", "k", node=node, terminal=True).err
        asked = len(node.asked)
        assert dyn("del", "k", node=node).err == ""
        assert dyn("del", "k", "-q", node=node, terminal=True).err == ""
    assert all(words[0] != b"DYN.STATUS" for words in node.asked[asked:])


def test_a_delete_is_done_although_the_status_is_not_told() -> None:
    with fake_node(DYN_GET=ONE, DYN_DEL=b"c", DYN_STATUS=Err("BUSY no")) as node:
        result = dyn("del", "a", "b", node=node, terminal=True)
    assert result.status == 0
    assert "2 tombstones stay until every member has confirmed them" in result.err


def test_an_empty_context_is_no_blind_write() -> None:
    """A variable of a script that is not set must not make siblings."""
    with fake_node(DYN_PUT=b"ctx") as node:
        result = dyn("put", "k", "v", "--ctx", "", node=node)
        assert (result.status, [words for words in node.asked if words[0] == b"DYN.PUT"]) == (2, [])
        assert "--ctx none" in result.err
        assert dyn("get", "k", "--raw", "-o", "json", node=node).status == 2
        for words in ("status",), ("cluster", "hints"):
            assert "--for" in dyn(*words, "--for", "5", node=node).err


@pytest.mark.parametrize("line", ["watch k --exec true", "doctor --fix", "cluster hints --deliver-now"])
def test_a_read_only_shell_refuses_options_that_do_something(line: str) -> None:
    with pytest.raises(CliError, match="read-only"):
        arguments(split(line), read_only=True)
    assert arguments(split(line.partition(" --")[0]), read_only=True)
