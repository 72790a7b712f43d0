"""`dyn key locate`, `history`, `compare`: the same answer whoever is asked, and a drawing that says what clocks say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dynamo_cli.render.graph import draw
from tests.helpers.cli import dyn
from tests.helpers.documents import history, ring
from tests.helpers.fake_node import fake_node

# locate -----------------------------------------------------------------------------------------------


def test_locate_is_a_line_a_key_and_the_same_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "ring.json"
    file.write_text(json.dumps(ring(5, 256)))
    with fake_node(DYN_RING=ring(5, 256)) as node:
        asked = dyn("key", "locate", "hello", "a\tb", "--no-header", node=node)
    offline = dyn("key", "locate", "hello", "a\tb", "--no-header", "--ring", str(file))
    assert asked.out == offline.out
    first, second = [line.split("\t") for line in asked.out.splitlines()]
    assert first == ["hello", "93", "n4,n5,n1,n2,n3"], "the top byte of its MD5, 5d, is 93"
    assert second[0] == "a\\tb"


def test_locate_tells_owners_from_stand_ins_on_a_terminal() -> None:
    with fake_node(DYN_RING=ring(5, 256)) as node:
        lines = dyn("key", "locate", "hello", "--color", "never", node=node, terminal=True).out.splitlines()
    assert [line.split() for line in lines] == [
        ["KEY", "PARTITION", "OWNERS", "THEN"], ["hello", "93", "n4", "n5", "n1", "n2", "n3"]
    ]  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [{"partitions": 16}, {"preference": [[]] * 256}, {"hash": "sha1"}, {"n": 0}, {"schema": "dyn.keys/v1"}],
    ids=str,
)
def test_locate_refuses_a_file_that_is_no_ring(change: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "ring.json"
    file.write_text(json.dumps(ring(3, 256) | change))
    result = dyn("key", "locate", "k", "--ring", str(file))
    assert (result.status, result.out) == (2, "")
    assert "dyn ring export" in result.err
    assert dyn("key", "locate", "k", "--ring", str(tmp_path / "none")).status == 3


# history ----------------------------------------------------------------------------------------------


def screen(document: dict[str, Any], *argv: str, encoding: str = "utf-8") -> list[str]:
    with fake_node(DYN_HISTORY=document) as node:
        result = dyn(
            "key", "history", "k", *argv, "--color", "never", node=node, terminal=True, encoding=encoding
        )  # fmt: skip
    assert result.status == 0, result.err
    return result.out.splitlines()


def test_history_is_drawn_with_who_wrote_what_after_reading_what() -> None:
    assert screen(history("milk")) == [
        'key  "milk"   3 versions   partition 2   epoch 7',
        "",
        "·    {n3:1}  read once; every replica that answers has replaced it",
        "├─┐",
        "○ │  n4:1  {n3:1, n4:1}  milk",
        "│ │  by milk  2026-11-23 12:03:11.402  after {n3:1}  on n3 n4  replaced",
        "│ A  n3:2  {n3:2}  milk",
        "│    by milk  2026-11-23 12:03:11.402  after {n3:1}  on n3 n4",
        "B    n4:2  {n3:1, n4:2}  beer",
        "     by milk  2026-11-23 12:03:11.402  after n4:1  on n3 n4",
        "",
        "A and B are concurrent: neither writer had seen the other's",
        "  A has n3:2, which B lacks",
        "  B has n4:2, which A lacks",
        "n5 is down for 3m 12s: what it holds is not known",
    ]


def test_history_has_a_drawing_in_ascii() -> None:
    lines = screen(history("milk"), encoding="ascii")
    assert [line[:4].rstrip() for line in lines[2:10]] == [".", "+-\\", "o |", "| |", "| A", "|", "B", ""]
    assert all(line.isascii() for line in lines)


def test_history_of_nothing_is_not_found() -> None:
    with fake_node(DYN_HISTORY=history() | {"events": []}) as node:
        result = dyn("key", "history", "k", node=node)
    assert result.status == 3


@pytest.mark.parametrize(
    ("parents", "drawn"),
    [
        ([], []),
        ([[], [0], [1]], ["0", "1", "2"]),
        ([[], [], []], ["0", "1", "2"]),
        ([[], [0], [0], [1, 2]], ["0", "├─┐", "1 │", "│ 2", "├─┘", "3"]),
        ([[], [0], [0], [0]], ["0", "├─┬─┐", "1 │ │", "  2 │", "    3"]),
        ([[], [0], [0], [0], [1, 3], [2]], ["0", "├─┬─┐", "1 │ │", "│ 2 │", "│ │ 3", "├─┼─┘", "4 │", "  5"]),
        ([[], [], [0, 1], [1]], ["0", "│ 1", "│ ├─┐", "├─┘ │", "2   │", "    3"]),
    ],
)
def test_a_graph_forks_joins_and_crosses(parents: list[list[int]], drawn: list[str]) -> None:
    lines = draw(parents, [str(at) for at in range(len(parents))])
    assert [line.graph.rstrip() for line in lines] == drawn
    assert [line.event for line in lines if line.event is not None] == list(range(len(parents)))


# explain ----------------------------------------------------------------------------------------------


def explained() -> dict[str, Any]:
    """A conflict beside a tombstone; an owner is down, and a stand-in keeps what it lacks."""
    at = {"written_at": "2026-11-23T12:03:11.402Z", "writer": "ada", "age_s": 160.2, "bytes": 4, "value_digest": "d"}
    dead = {"dot": "n1:1", "clock": {"n1": 1}, "deleted": True, **at}
    eggs = {"dot": "n3:2", "clock": {"n3": 2}, "deleted": False, **at}
    beer = {"dot": "n3:3", "clock": {"n3": 2}, "deleted": False, **at}
    old = {"dot": "n3:1", "clock": {"n3": 1}, "deleted": False, **at}
    up = {"state": "up", "down_s": None, "hint_for": None, "note": ""}
    merged = [
        {"value": value, "enc": "utf8", **{name: version[name] for name in ("dot", "clock", "deleted", "writer")}}
        for value, version in (("", dead), ("eggs", eggs), ("beer", beer))
    ]
    return {"schema": "dyn.explain/v1", "key": "k", "enc": "utf8", "md5": "0" * 32, "partition": 2, "epoch": 7,
            "preference": ["n3", "n4", "n5", "n1"], "fallback": ["n1", "n2"], "merged": merged,
            "replicas": [
                {"node": "n3", "role": "owner", "versions": [dead, eggs, beer], **up},
                {"node": "n4", "role": "owner", "versions": [old], **up, "note": "stale"},
                {"node": "n5", "role": "owner", "versions": None, **up, "state": "down", "down_s": 192.0,
                 "note": "no answer"},
                {"node": "n1", "role": "stand-in", "versions": [beer], **up, "hint_for": "n5", "note": "stale"},
            ], "verdict": "conflict", "why": "2 versions",
            "repairs": ["n4 gets n3:2 n3:3 with the next read that hears it, or by anti-entropy, and so on to the end",
                        "n1 lets go of its copy"],
            "survives": ["not that of n3: nobody else is known to hold n3:2"]}  # fmt: skip


def test_explain_tells_ages_hints_repairs_and_what_would_be_lost() -> None:
    """Letters are those of get: a tombstone has none, and versions whose clocks read alike are told apart."""
    with fake_node(DYN_EXPLAIN=explained()) as node:
        result = dyn("key", "explain", "k", "--color", "never", node=node, terminal=True)
        rows = [line.split("\t") for line in dyn("key", "explain", "k", "--no-header", node=node).out.splitlines()]
    assert result.status == 4
    assert result.out.splitlines() == [
        'key     "k"   1 B   md5 00000000…   partition 2   epoch 7',
        "owners  n3 (primary)  n4  n5 (down 3m 12s)   next in line: n1 n2",
        "",
        "REPLICA  ROLE      STATE  HOLDS  VERSIONS              AGE     NOTE",
        "n3       owner     up     x A B  {n1:1} {n3:2} {n3:2}  2m 40s",
        "n4       owner     up     old    {n3:1}                2m 40s  stale",
        "n5       owner     down   ?      -                             no answer",
        "n1       stand-in  up     B      {n3:2}                2m 40s  hint for n5",
        "",
        "x  {n1:1}  deleted  by ada",
        "A  {n3:2}  eggs  by ada",
        "B  {n3:2}  beer  by ada",
        "",
        "verdict   CONFLICT  2 versions",
        "repairs   n4 gets n3:2 n3:3 with the next read that hears it, or by",
        "          anti-entropy, and so on to the end",
        "          n1 lets go of its copy",
        "survives  not that of n3: nobody else is known to hold n3:2",
    ]
    assert "Next:  dyn merge k" in result.err
    assert [(row[0], row[9], row[10]) for row in rows[-2:]] == [("n5", "", ""), ("n1", "n5", "160.2")]


# compare ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "order", "why"),
    [
        ("A", "B", "concurrent", ["A has n3:2, which B lacks", "B has n4:2, which A lacks"]),
        ("a", "n4:2", "concurrent", ["A has n3:2, which B lacks", "B has n4:2, which A lacks"]),
        ("n4:1", "B", "before", ["whoever wrote B had seen n4:1", "so B replaces n4:1 wherever both arrive"]),
        ("B", "n4:1", "after", ["whoever wrote B had seen n4:1", "so B replaces n4:1 wherever both arrive"]),
        ("n4:1", "A", "concurrent", ["A lacks n4:1", "A has n3:2, which n4:1 lacks"]),
        ("A", "n3:2", "same", ["both are the write n3:2"]),
    ],
)
def test_compare_says_the_causal_order_and_why(a: str, b: str, order: str, why: list[str]) -> None:
    with fake_node(DYN_HISTORY=history()) as node:
        result = dyn("key", "compare", "k", a, b, "--json", node=node)
        line = dyn("key", "compare", "k", a, b, "--no-header", node=node).out
    document = json.loads(result.out)
    assert (result.status, document["order"], document["why"]) == (0, order, why)
    assert line.split("\t")[1] == order


@pytest.mark.parametrize(("name", "status"), [("C", 2), ("n9:1", 3), ("n3:1", 3)])
def test_compare_names_the_versions_that_there_are(name: str, status: int) -> None:
    """Also for one that is known by its clock alone."""
    with fake_node(DYN_HISTORY=history()) as node:
        result = dyn("key", "compare", "k", "A", name, node=node)
    assert (result.status, result.out) == (status, "")
    assert "There are n4:1, A, B" in result.err


def test_compare_of_a_key_that_nobody_holds_is_not_found() -> None:
    with fake_node(DYN_HISTORY=history() | {"events": []}) as node:
        assert dyn("key", "compare", "k", "A", "B", node=node).status == 3
