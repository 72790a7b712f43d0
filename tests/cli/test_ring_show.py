"""`dyn ring show`: from one node to more than have letters, by node, partition and zone, with the load of each."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dynamo_cli.render.ring import load_checks, uneven
from tests.helpers.cli import dyn
from tests.helpers.documents import EVIL, joining, ring, stats
from tests.helpers.fake_node import HANG, FakeNode, fake_node


def busy(gets: int, over_s: float = 10.0) -> dict[str, Any]:
    """What a node tells that served so many reads of late."""
    return stats() | {"recent": {"over_s": over_s, "ops": {"get": gets, "put": 0, "del": 0}}}


def shown(node: FakeNode, *words: str) -> list[str]:
    result = dyn("ring", "show", "--color", "never", *words, node=node, terminal=True)
    assert result.status == 0, result.err
    return result.out.splitlines()


@pytest.mark.parametrize("nodes", [1, 5, 64, 70])
@pytest.mark.parametrize("partitions", [64, 1024])
@pytest.mark.parametrize("by", ["node", "partition", "zone"])
def test_every_ring_fits_80_columns(nodes: int, partitions: int, by: str) -> None:
    document = ring(nodes, partitions) if nodes == 1 else joining(nodes, partitions)
    for at, member in enumerate(document["members"]):
        member["zone"] = f"a-zone-with-a-long-name-{at % 3}"
    with fake_node(DYN_RING=document) as node:
        lines = shown(node, "--by", by)
    assert max(map(len, lines)) <= 80
    rows = partitions if nodes > 64 else partitions // 4  # more members than letters: a row a partition
    assert len(lines) < 80 or (by == "partition" and len(lines) < 24 + rows)


@pytest.mark.parametrize(("nodes", "partitions", "n"), [(5, 64, 3), (64, 1024, 3), (5, 256, 5), (3, 8, 3)])
def test_by_partition_shows_the_owners_of_each(nodes: int, partitions: int, n: int) -> None:
    document = ring(nodes, partitions, n)
    with fake_node(DYN_RING=document) as node:
        lines = shown(node, "--by", "partition")
    first, last = (at for at, line in enumerate(lines) if not line)
    names = dict(pair.split("=") for line in lines[1:first] for pair in line.split())
    words = [word for line in lines[first + 1 : last] for word in line.split()]
    cells = dict(zip(map(int, words[::2]), words[1::2], strict=True))
    assert {p: [names[letter] for letter in cell] for p, cell in cells.items()} == {
        p: nodes_of[:n] for p, nodes_of in enumerate(document["preference"])
    }


def test_by_partition_marks_what_moves() -> None:
    with fake_node(DYN_RING=joining(4, 8)) as node:
        lines = shown(node, "--by", "partition")
    assert "0 abc>d  1 bca    2 cab>d  3 abc    4 bca>d  5 cab    6 abc>d  7 bca" in lines
    assert "moving: join n4, 25% done, 4 partitions get other owners" in lines


def test_by_zone_counts_copies_and_says_what_would_help() -> None:
    document = ring(5, 64)
    for member, zone in zip(document["members"], "abcab", strict=True):
        member["zone"] = zone
    with fake_node(DYN_RING=document) as node:
        lines = shown(node, "--by", "zone")
        rows = [line.split("\t") for line in dyn("ring", "show", "--by", "zone", node=node).out.splitlines()]
    assert rows[0] == ["zone", "nodes", "primaries", "replicas", "partitions", "requests_s"]
    assert [row[:2] for row in rows[1:]] == [["a", "2"], ["b", "2"], ["c", "1"]]
    assert sum(int(row[2]) for row in rows[1:]) == 64
    assert sum(int(row[3]) for row in rows[1:]) == 64 * 3
    assert "see what one node more would do: dyn ring simulate --add 1 --zones c" in lines


def test_each_node_tells_its_own_load() -> None:
    document = ring(3, 64)
    with fake_node(DYN_RING=document, DYN_STATS=busy(3000)) as n1, fake_node(DYN_STATS=busy(9000)) as n2:
        for member, node in zip(document["members"], (n1, n2), strict=False):
            member["address"] = node.address
        document["members"][2]["address"] = "127.0.0.1:1"
        lines = shown(n1)
        told = json.loads(dyn("ring", "show", "--json", node=n1).out)["load"]
        rows = [line.split("\t") for line in dyn("ring", "show", "--by", "node", node=n1).out.splitlines()]
    assert [(each["node"], each["per_s"], each["over_s"]) for each in told] == [
        ("n1", 300.0, 10.0), ("n2", 900.0, 10.0), ("n3", None, None),
    ]  # fmt: skip
    assert "refused" in told[2]["unknown_because"]
    assert [row[-1] for row in rows] == ["requests_s", "300.0", "900.0", ""]
    one, two, three = (next(line for line in lines if line.startswith(f"{letter}  n")) for letter in "abc")
    assert one.split()[5:] == ["300", "25.0%", "###", "!", "0.5x", "mean"]
    assert two.split()[5:] == ["900", "75.0%", "##########", "!", "1.5x", "mean"]
    assert three.split()[5:] == ["?"]
    assert " !  client requests, last 10 s: 2 of 2 nodes are more than 15% off the mean" in lines


def test_a_node_that_hangs_has_an_unknown_load_and_costs_a_second_at_most() -> None:
    with fake_node(DYN_RING=ring(1, 8), DYN_STATS=HANG) as node:
        node.replies["DYN.RING"]["members"][0]["address"] = node.address
        result = dyn("ring", "show", "--json", "--timeout", "0.3", node=node)
    (load,) = json.loads(result.out)["load"]
    assert (result.status, load["per_s"], load["unknown_because"]) == (0, None, "no answer in time")


@pytest.mark.parametrize("figures", [None, [], "x", {}, {"over_s": 0, "ops": {}}, {"over_s": "1", "ops": 3}])
def test_figures_that_make_no_sense_are_unknown(figures: object) -> None:
    with fake_node(DYN_RING=ring(1, 8), DYN_STATS=stats(EVIL) | {"recent": figures}) as node:
        node.replies["DYN.RING"]["members"][0]["address"] = node.address
        (load,) = json.loads(dyn("ring", "show", "--json", node=node).out)["load"]
    assert load["per_s"] is None


def loads(*per_s: float) -> dict[str, Any]:
    return {"load": [{"node": f"n{i}", "per_s": load, "over_s": 10.0} for i, load in enumerate(per_s)]}


def test_balance_is_the_papers_fifteen_per_cent_and_needs_enough_to_tell() -> None:
    assert uneven(loads(100, 100, 100)) == {}
    assert uneven(loads(114, 100, 86)) == {}
    assert set(uneven(loads(120, 100, 80))) == {"n0", "n2"}
    assert uneven(loads(12, 10, 8)) == {}, "300 requests: chance"
    assert "too few" in str(load_checks(loads(12, 10, 8))[0])
    assert load_checks(loads(500)) == [], "one node is never out of balance"
