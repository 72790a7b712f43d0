"""`dyn cluster settings`: the same for all in a line, differences by name, and what changes each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.helpers.cli import Result, dyn
from tests.helpers.documents import ring
from tests.helpers.fake_node import FakeNode, fake_node


@pytest.fixture
def nodes() -> Iterator[list[FakeNode]]:
    with ExitStack() as stack:
        made = [stack.enter_context(fake_node()) for _ in range(3)]
        document = ring(3, 16)
        for member, node in zip(document["members"], made, strict=True):
            member["address"] = node.address
            node.replies["DYN.RING"] = document
            node.replies["CONFIG"] = [b"durability", b"full", b"max-value-bytes", b"1048576", b"weight", b"7"]
        yield made


def settings(nodes: list[FakeNode], *words: str, terminal: bool = False) -> Result:
    return dyn("cluster", "settings", *words, "--color", "never", node=nodes[0], terminal=terminal)


def test_what_all_have_in_common(nodes: list[FakeNode]) -> None:
    told = {row["name"]: row for row in json.loads(settings(nodes, "--json").out)["settings"]}
    assert [told[name]["value"] for name in ("n", "r", "w", "partitions", "hash")] == ["3", "2", "2", "16", "md5"]
    assert (told["durability"]["value"], told["durability"]["nodes"]) == ("full", None)
    assert told["weight"]["value"] == "1", "the ring knows better than the flags of the start"
    lines = settings(nodes, terminal=True).out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["SETTING", "VALUE", "WHAT", "CHANGES", "IT"]


def test_differences_are_named_and_so_is_who_does_not_answer(nodes: list[FakeNode]) -> None:
    nodes[1].replies["CONFIG"] = [b"durability", b"memory", b"max-value-bytes", b"1048576"]
    nodes[0].replies["DYN.RING"]["members"][2]["zone"] = "b"
    nodes[2].close()
    result = settings(nodes, "--json")
    document = json.loads(result.out)
    told = {row["name"]: row for row in document["settings"]}
    assert result.status == 0
    assert (told["durability"]["value"], told["durability"]["nodes"]) == (None, {"n1": "full", "n2": "memory"})
    assert told["zone"]["nodes"] == {"n1": "", "n2": "", "n3": "b"}
    assert [each["node"] for each in document["silent"]] == ["n3"]
    rows = [line.split("\t") for line in settings(nodes).out.splitlines()]
    assert ["durability", "n1=full,n2=memory"] in [row[:2] for row in rows]
    screen = settings(nodes, terminal=True).out
    assert "n1 full, n2 memory" in screen
    assert "! n3 is not known: cannot reach" in screen


def test_what_no_node_tells_is_unknown(nodes: list[FakeNode]) -> None:
    for node in nodes:
        node.replies["CONFIG"] = []
    row = next(row for row in settings(nodes).out.splitlines() if row.startswith("durability"))
    assert row.split("\t")[1] == ""
    assert "durability       ?" in settings(nodes, terminal=True).out
