"""`dyn ring diff`, and `dyn ring show` while the ring moves: what nodes decided, whichever way it is looked at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from node.core.moves import balance
from tests.helpers.cli import dyn
from tests.helpers.documents import joining, ring
from tests.helpers.fake_node import fake_node
from tests.helpers.rings import Grown, grow


def named(grown: Grown) -> list[list[str]]:
    """Every preference list in names: the i-th seat is ni."""
    names = {seat.id: f"n{i}" for i, seat in enumerate(grown.seats, 1)}
    return [[names[node] for node in nodes] for nodes in grown.lists]


def moving(before: Grown, after: Grown, *, back: bool = False) -> dict[str, Any]:
    """DYN.RING while the ring goes from one to the other, of which the larger one has a node more."""
    more = before if back else after
    old, new = named(before), named(after)
    members = [
        {"name": f"n{i}", "id": seat.id, "address": "", "zone": seat.zone, "weight": 1, "state": "up", "owns": True}
        for i, seat in enumerate(more.seats, 1)
    ]
    members[-1] |= {"state": "leaving", "owns": False} if back else {"state": "joining"}
    both = [[*(a[:3] if set(a[:3]) != set(b[:3]) else b[:3]), *b, *a] for a, b in zip(old, new, strict=True)]
    change = {"epoch": 8, "change": "a move", "owners": [nodes[0] for nodes in new], "progress": 0.5,
              "partitions": [p for p, (a, b) in enumerate(zip(old, new, strict=True)) if set(a[:3]) != set(b[:3])],
              "bytes_left": None, "eta_s": None}  # fmt: skip
    return {"schema": "dyn.ring/v1", "epoch": 8, "partitions": len(old), "n": 3, "r": 2, "w": 2, "hash": "md5",
            "members": members, "owners": [nodes[0] for nodes in old], "moving": change,
            "preference": [list(dict.fromkeys(nodes)) for nodes in both]}  # fmt: skip


def diffed(document: dict[str, Any], a: str, b: str) -> dict[str, Any]:
    with fake_node(DYN_RING=document) as node:
        result = dyn("ring", "diff", a, b, "--json", node=node)
        assert len(node.asked) <= 1, "one answer for both: between two the ring may change"
    assert result.status == 0, result.err
    told: dict[str, Any] = json.loads(result.out)
    return told


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("nodes", [3, 6])
def test_now_and_next_are_the_rings_that_nodes_decided(nodes: int, back: bool) -> None:
    """Owner by owner, for a join and for a leave: also where the ring has N nodes before or after."""
    *_, smaller, larger = grow(64, 3, nodes + 1)
    before, after = (larger, smaller) if back else (smaller, larger)
    told = diffed(moving(before, after, back=back), "now", "next")
    old, new = ([nodes[:3] for nodes in named(grown)] for grown in (before, after))
    assert [row["partition"] for row in told["partitions"]] == [
        p for p, (a, b) in enumerate(zip(old, new, strict=True)) if set(a) != set(b)
    ]
    for row in told["partitions"]:
        a, b = old[row["partition"]], new[row["partition"]]
        assert (row["a"], row["b"]) == (a, b)
        assert (set(row["gained_by"]), set(row["lost_by"])) == (set(b) - set(a), set(a) - set(b))
    held = [balance(grown.lists, 3).replicas for grown in (before, after)]
    ids = {f"n{i}": seat.id for i, seat in enumerate((before if back else after).seats, 1)}
    for node in told["nodes"]:
        assert [node["replicas"]["a"], node["replicas"]["b"]] == [each.get(ids[node["name"]], 0) for each in held]
        assert node["replicas"]["b"] - node["replicas"]["a"] == node["gained"] - node["lost"]
    assert (told["a"], told["b"]) == ({"ring": "now", "epoch": 8}, {"ring": "next", "epoch": 9})


def test_it_says_who_gains_what_from_whom() -> None:
    *_, before, after = grow(256, 3, 4)
    with fake_node(DYN_RING=moving(before, after)) as node:
        words = ("ring", "diff", "now", "next")
        lines = dyn(*words, "--color", "never", node=node, terminal=True).out.splitlines()
        wide = dyn(*words, "-o", "wide", node=node, terminal=True).out
        plain = [line.split("\t") for line in dyn(*words, node=node).out.splitlines()]
        items = dyn(*words, "-o", "jsonl", node=node).out.splitlines()
    assert lines[0] == "ring  now epoch 8   to   next epoch 9"
    assert lines[1].startswith("192 of 256 partitions have other owners")
    assert next(line.split()[-1] for line in lines if line.startswith("n4")) == "192", "what n4 gains"
    assert max(map(len, lines)) <= 80
    assert plain[0] == ["epoch_a", "epoch_b", "partition", "owners_a", "owners_b", "gained_by", "lost_by"]
    assert len(plain) == len(items) + 1 == 193
    assert all(row[:2] == ["8", "9"] and row[5] == "n4" for row in plain[1:])
    assert wide.count("n4") >= 192


def test_a_ring_that_was_kept_is_compared_with_the_one_there_is(tmp_path: Path) -> None:
    """As `ring export` and as `ring show` write it; the same is the same, and an order alone is told apart."""
    exported, shown = tmp_path / "exported.json", tmp_path / "shown.json"
    document = ring(4, 16)
    with fake_node(DYN_RING=document) as node:
        assert dyn("ring", "export", "--format", "json", "--file", str(exported), node=node).status == 0
        shown.write_text(dyn("ring", "show", "-o", "json", node=node).out)
        same = dyn("ring", "diff", str(shown), "now", "--color", "never", node=node, terminal=True).out.splitlines()
    assert same[1] == "no partition of 16 has other owners"
    document["preference"][0] = ["n2", "n1", "n3", "n4"]
    document["preference"][1] = ["n1", "n3", "n4", "n2"]
    told = diffed(document | {"epoch": 9}, str(exported), "now")
    assert (told["a"], told["b"]) == ({"ring": str(exported), "epoch": 7}, {"ring": "now", "epoch": 9})
    assert (told["reordered"], [row["partition"] for row in told["partitions"]]) == (1, [1])
    assert {node["name"]: (node["gained"], node["lost"]) for node in told["nodes"]} == {
        "n1": (1, 0), "n2": (0, 1), "n3": (0, 0), "n4": (0, 0),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        (None, 3, "No such file"),
        ("", 2, "holds no ring"),
        ("[" * 100_000, 2, "holds no ring"),
        ("[]", 2, "holds no ring"),
        ('{"schema":"dyn.status/v1"}', 2, "holds no ring"),
        ('{"schema":"dyn.ring/v1","epoch":1,"n":3,"members":[],"preference":[[1]]}', 2, "holds no ring"),
        ('{"schema":"dyn.ring/v1","epoch":1,"n":3,"members":[{}],"preference":[]}', 2, "holds no ring"),
        (json.dumps(ring(3, 8)), 2, "8 partitions and now has 16"),
    ],
)
def test_what_is_no_ring_is_said(tmp_path: Path, content: str | None, status: int, said: str) -> None:
    path = tmp_path / "ring.json"
    if content is not None:
        path.write_text(content)
    with fake_node(DYN_RING=ring(3, 16)) as node:
        result = dyn("ring", "diff", str(path), "now", node=node)
    assert (result.status, result.out) == (status, "")
    assert said in result.err
    assert result.err.count("\n") == 1


def test_there_is_no_next_ring_while_nothing_moves() -> None:
    with fake_node(DYN_RING=ring(3, 16)) as node:
        result = dyn("ring", "diff", "now", "next", node=node)
    assert result.status == 3
    assert result.err == "dyn: nothing moves: ring epoch 7 is settled. See: dyn ring show\n"


# ring show --------------------------------------------------------------------------------------------


def test_ring_show_marks_what_moves() -> None:
    """Below a partition that moves the letter of another primary, ^ for the same one; and who joins."""
    document = joining(4, 64)
    document["moving"]["owners"][2] = document["owners"][2]
    with fake_node(DYN_RING=document) as node:
        lines = dyn("ring", "show", "--color", "never", node=node, terminal=True).out.splitlines()
        plain = [line.split("\t") for line in dyn("ring", "show", "--no-header", node=node).out.splitlines()]
    assert lines[1] == "moving: join n4, 25% done, 32 partitions get other owners"
    assert lines[4] == "    0  abcabcabcabcabca bcabcabcabcabcab cabcabcabcabcabc abcabcabcabcabca"
    assert lines[5] == "       d ^ d d d d d d  d d d d d d d d  d d d d d d d d  d d d d d d d d"
    (row,) = [line for line in lines if line.startswith("d  n4")]
    assert row.split()[2:] == ["0", "->", "31", "48.4%", "0", "?", "joining"]
    assert "ok  64/64 partitions have 3 distinct owners" in lines
    assert max(map(len, lines)) <= 80
    assert [row[4] for row in plain[:5]] == ["n4", "", document["owners"][2], "", "n4"]


def test_ring_show_knows_who_leaves_by_what_it_owns() -> None:
    """A dead node that is removed, or replaced, owns partitions still and has no seat in the new ring."""
    *_, smaller, larger = grow(64, 3, 4)
    document = moving(larger, smaller, back=True)
    document["members"][-1]["state"] = "joining"
    with fake_node(DYN_RING=document) as node:
        lines = dyn("ring", "show", "--color", "never", node=node, terminal=True).out.splitlines()
    assert next(line for line in lines if " n4 " in line).endswith("  leaving")


def test_simulate_begins_with_the_ring_that_a_move_leads_to() -> None:
    *_, smaller, larger = grow(64, 3, 5)
    for before, after, back in ((smaller, larger, False), (larger, smaller, True)):
        with fake_node(DYN_RING=moving(before, after, back=back)) as node:
            told = json.loads(dyn("ring", "simulate", "--json", node=node).out)
        assert told["ring"]["owners"] == [nodes[0] for nodes in named(after)]
        assert len(told["nodes"]) == len(after.seats)


@pytest.mark.parametrize(("columns", "last"), [(120, "dyn cluster status"), (80, "partition"), (20, "owner KEY")])
def test_what_to_type_next_is_one_line(columns: int, last: str) -> None:
    with fake_node(DYN_RING=ring(3, 16)) as node:
        (line,) = dyn("ring", "show", node=node, terminal=True, environ={"COLUMNS": str(columns)}).err.splitlines()
    assert line.startswith("Next:  dyn ring owner KEY")
    assert line.endswith(last)
