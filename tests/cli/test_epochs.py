"""`dyn ring show --as-of` and `--strip`: rings by their epoch, before and after a move, and from files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_ring_diff import moving, named
from tests.helpers.cli import Result, dyn
from tests.helpers.documents import EVIL, joining, ring
from tests.helpers.fake_node import fake_node
from tests.helpers.rings import grow

MOVES = 8
"""The epoch of `moving`."""


def as_of(document: dict[str, Any], epoch: str) -> dict[str, Any]:
    with fake_node(DYN_RING=document) as node:
        result = dyn("ring", "show", "--as-of", epoch, "--json", node=node)
        assert len(node.asked) <= 1, "no node is asked for its load"
    assert result.status == 0, result.err
    told: dict[str, Any] = json.loads(result.out)
    return told


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("nodes", [2, 3, 6])
def test_before_and_after_a_move_are_the_rings_that_nodes_decided(nodes: int, back: bool) -> None:
    *_, smaller, larger = grow(64, 3, nodes + 1)
    pair = (larger, smaller) if back else (smaller, larger)
    document = moving(*pair, back=back)
    for epoch, grown, members in ((MOVES - 1, pair[0], nodes + back), (MOVES + 1, pair[1], nodes + 1 - back)):
        told = as_of(document, str(epoch))
        owners = [lists[:3] for lists in named(grown)]
        assert (told["epoch"], told["moving"]) == (epoch, None)
        assert [lists[: len(owners[0])] for lists in told["preference"]] == owners
        assert told["owners"] == [lists[0] for lists in owners]
        assert {member["name"] for member in told["members"]} == {f"n{i}" for i in range(1, members + 1)}
        assert all(set(lists) <= {f"n{i}" for i in range(1, members + 1)} for lists in told["preference"])
    assert as_of(document, str(MOVES)) == document
    assert as_of(document, "next") == as_of(document, str(MOVES + 1))
    assert as_of(document, "now") == as_of(document, str(MOVES - 1))


def test_an_epoch_that_nobody_remembers_is_not_found() -> None:
    with fake_node(DYN_RING=ring(3, 8)) as node:
        for epoch in ("6", "8", "99"):
            result = dyn("ring", "show", "--as-of", epoch, node=node)
            assert (result.status, result.out) == (3, "")
            assert f"no node remembers ring epoch {epoch}: they know 7. Save rings: dyn ring export" in result.err
        assert dyn("ring", "show", "--as-of", "next", node=node).status == 3
        assert dyn("ring", "show", "--as-of", "7", node=node).status == 0
        assert dyn("ring", "diff", "6", "now", node=node).status == 3
        assert dyn("ring", "diff", "7", "now", node=node).status == 0
    with fake_node(DYN_RING=joining(4, 8)) as node:
        assert "they know 6, 7 and 8, since it moves" in dyn("ring", "show", "--as-of", "5", node=node).err
        assert dyn("ring", "diff", "6", "8", node=node).out == dyn("ring", "diff", "6", "next", node=node).out != ""


def test_a_saved_ring_is_shown_without_a_node(tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    for document in (ring(5, 64), joining(4, 64)):
        file.write_text(json.dumps(document))
        for by in ("node", "partition", "zone"):
            result = dyn("ring", "show", "--as-of", str(file), "--by", by, "--color", "never", terminal=True)
            assert (result.status, result.err) == (0, "")
            assert max(map(len, result.out.splitlines())) <= 80
            assert "REQ/S" not in result.out or by == "zone"
        told = json.loads(dyn("ring", "show", "--as-of", str(file), "--json").out)
        assert (told["owners"], told["preference"]) == (document["owners"], document["preference"])


MOVE = {"epoch": 7, "change": "x", "owners": ["n1"] * 8, "partitions": [0], "progress": 0.5}


@pytest.mark.parametrize(
    "wrong",
    [
        {"preference": [[]] * 8},
        {"members": 3},
        {"moving": 3},
        {"moving": {}},
        {"moving": {**MOVE, "partitions": [8]}},
        {"moving": {**MOVE, "partitions": [True, "1"]}},
        {"moving": {**MOVE, "owners": ["n1"] * 7}},
        {"hash": "sha1"},
        {"partitions": 9},
    ],
    ids=str,
)
def test_a_file_that_holds_no_whole_ring_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    file = tmp_path / "r.json"
    file.write_text(json.dumps(ring(3, 8) | wrong))
    assert shown(file).status == 2


@pytest.mark.parametrize(
    "odd",
    [
        {"r": "2", "w": None},
        {"owners": None},
        {"moving": {**MOVE, "change": None, "progress": "much"}},
        {"members": [{"name": "n1"}, {"name": EVIL, "zone": EVIL, "weight": -1, "address": 5, "owns": 3}]},
    ],
    ids=str,
)
def test_what_a_file_does_not_say_is_unknown(tmp_path: Path, odd: dict[str, Any]) -> None:
    file = tmp_path / "r.json"
    file.write_text(json.dumps(ring(3, 8) | odd))
    for by in ("node", "partition", "zone"):
        result = shown(file, "--by", by)
        assert (result.status, result.err) == (0, "")
        assert all(char.isprintable() or char == "\n" for char in result.out)
    assert dyn("ring", "show", "--as-of", str(file), "--json").status == 0


def shown(file: Path, *words: str) -> Result:
    return dyn("ring", "show", "--as-of", str(file), *words, "--color", "never", terminal=True)


def test_what_excludes_each_other_is_refused() -> None:
    with fake_node(DYN_RING=ring(3, 8)) as node:
        assert dyn("ring", "show", "--as-of", "7", "--watch", node=node).status == 2
        assert dyn("ring", "show", "--strip", "--by", "zone", node=node).status == 2


@pytest.mark.parametrize("nodes", [3, 64, 70])
def test_the_strip_alone(nodes: int) -> None:
    document = joining(nodes, 256)
    with fake_node(DYN_RING=document) as node:
        lines = dyn("ring", "show", "--strip", "--color", "never", node=node, terminal=True).out.splitlines()
        plain = [line.split("\t") for line in dyn("ring", "show", "--strip", node=node).out.splitlines()]
        assert {words[0] for words in node.asked} == {b"DYN.RING"}
    assert max(map(len, lines)) <= 80
    assert len(lines) < 20
    assert plain[0] == ["partition", "primary", "moves_to"]
    assert [row[1] for row in plain[1:]] == document["owners"]
    if nodes == 3:
        assert "a=n1  b=n2  c=n3 (joining)" in lines
