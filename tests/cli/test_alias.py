"""Words of the user's own for commands."""

from __future__ import annotations

import json

import pytest

from dynamo_cli.line import filled
from tests.helpers.documents import ring
from tests.helpers.fake_node import fake_node, reading, version
from tests.helpers.home import Home, home

__all__ = ["home"]

ONE = reading(version(b"milk", {"n1": 1}))


def test_an_alias_stands_for_a_command(home: Home) -> None:
    with fake_node(DYN_RING=ring(3, 16), DYN_GET=ONE) as node:
        home.dyn("config", "set", "nodes", node.address)
        assert home.dyn("alias", "set", "own", "ring owner --json").status == 0
        assert home.dyn("alias", "set", "here", "--", f"-n {node.address}").status == 0
        assert json.loads(home.dyn("own", "a", "b").out)["keys"][1]["key"] == "b"
        assert json.loads(home.dyn("-q", "-o", "plain", "own", "a").out)["keys"][0]["key"] == "a"
        assert home.dyn("here", "get", "k").out == "milk\n"
        assert [a["name"] for a in json.loads(home.dyn("alias", "--json").out)["aliases"]] == ["here", "own"]
        assert home.dyn("config", "get", "nodes").out == f"{node.address}\n", "the file is otherwise as it was"
        assert home.dyn("alias", "rm", "own").status == 0
        assert home.dyn("own", "a").status == 2
    assert home.dyn("alias", "rm", "own").status == 3


@pytest.mark.parametrize(
    ("name", "meaning", "status"),
    [("get", "put", 9), ("x", "gett k", 2), ("x", "'", 2), ("x", "", 2), ("-x", "get", 2), ("a b", "get", 2)],
)
def test_what_can_be_no_alias(home: Home, name: str, meaning: str, status: int) -> None:
    assert home.dyn("alias", "set", "--", name, meaning).status == status


@pytest.mark.parametrize(
    ("meaning", "given", "made"),
    [
        ("get cart:$1", ["42"], ["get", "cart:42"]),
        ("get cart:$1", ["a b", "--json"], ["get", "cart:a b", "--json"]),
        ("put $2 '$1 $1'", ["v", "k"], ["put", "k", "v v"]),
        ("get $@ -o json", ["a", "b c"], ["get", "a", "b c", "-o", "json"]),
        ("get $@", [], ["get"]),
        ("put k '$$1 costs $@'", ["a", "b"], ["put", "k", "$1 costs a b"]),
        ("put k $x $0", ["v"], ["put", "k", "$x", "$0", "v"]),
        ("dyn get", ["k"], ["get", "k"]),
    ],
)
def test_what_follows_an_alias_goes_to_its_places(meaning: str, given: list[str], made: list[str]) -> None:
    """As a word each, whatever is in it; what has no place is added."""
    assert filled("x", meaning, given) == made


def test_words_that_an_alias_needs(home: Home) -> None:
    """Are asked for; global options may stand before them."""
    with fake_node(DYN_GET=ONE) as node:
        home.dyn("config", "set", "nodes", node.address)
        home.dyn("alias", "set", "cart", "get cart:$1")
        assert home.dyn("cart", "-o", "plain", "--timeout=1", "7").out == "milk\n"
        assert node.asked[-1][1] == b"cart:7"
        lacking = home.dyn("cart", "-q")
    assert lacking.status == 2
    assert lacking.err == "dyn: the alias cart needs 1 word after it, not 0. It stands for: get cart:$1\n"


def test_aliases_are_made_within_the_shell(home: Home) -> None:
    """As they are typed; they count from the next line on, and go again."""
    with fake_node(DYN_GET=ONE) as node:
        lines = ("\\alias cart get 'cart:$1' -o value", "cart 7", "\\alias cart", "\\alias", "\\unalias cart")
        typed = [word for line in lines for word in ("-e", line)]
        done = home.dyn("shell", *typed, "-n", node.address)
        assert done.status == 0, done.err
        assert done.out.splitlines()[1].startswith("milkcart stands for: get 'cart:$1' -o value")
        assert "cart\tget 'cart:$1' -o value" in done.out
        assert node.asked[-1][1] == b"cart:7"
        for line, status in (("\\alias cart", 3), ("\\alias get put k", 9), ("\\unalias cart", 3)):
            assert home.dyn("shell", "-e", line).status == status
        assert home.dyn("shell", "--read-only", "-e", "\\alias c get k").status == 9


def test_an_alias_opens_no_read_only_shell(home: Home) -> None:
    with fake_node(DYN_GET=ONE) as node:
        home.dyn("alias", "set", "sneak", "put k")
        home.dyn("alias", "set", "look", "get k")
        done = home.dyn("shell", "--read-only", "-e", "look", "-e", "sneak v", "-n", node.address)
    assert (done.status, done.out) == (9, "milk\n")
    assert all(words[0] == b"DYN.GET" for words in node.asked)
