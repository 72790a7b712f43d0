"""Words of the user's own for commands."""

from __future__ import annotations

import json

import pytest

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


def test_an_alias_opens_no_read_only_shell(home: Home) -> None:
    with fake_node(DYN_GET=ONE) as node:
        home.dyn("alias", "set", "sneak", "put k")
        home.dyn("alias", "set", "look", "get k")
        done = home.dyn("shell", "--read-only", "-e", "look", "-e", "sneak v", "-n", node.address)
    assert (done.status, done.out) == (9, "milk\n")
    assert all(words[0] == b"DYN.GET" for words in node.asked)
