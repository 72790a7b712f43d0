"""Owners that differ become equal, at the cost of the difference; what goes wrong meanwhile is tried again."""

from __future__ import annotations

import json

import pytest

from node.core.cluster import Quorums
from node.core.ids import scan_position
from node.core.limits import EXCHANGE_INTERVAL_S, EXCHANGES_SERVED_MAX, LEAF_PAGE_BYTES
from node.core.merkle import leaf_of
from node.engine.events import Received
from node.engine.exchange import compare_pages, page_of
from node.wire.messages import AskLeaf, AskTrees
from node.wire.requests import Document, Inspect
from node.wire.rows import encode_row
from tests.helpers.engine import EPOCH, node_id, row_of
from tests.helpers.owners import OTHER, ROW, Owners, equal, fill, keys, repair, sims


def test_owners_that_hold_the_same_compare_roots_and_nothing_else() -> None:
    stores = sims(3)
    owners = Owners(stores)
    fill([*stores], keys(300))
    document = repair(owners)
    assert (document["running"], document["differing"], document["compared"]) == (False, 0, 128)
    assert owners.wire == {"AskTrees": 2, "TreesTold": 2}
    assert owners.wire_bytes < 4000


def test_a_pass_makes_owners_equal_in_both_directions() -> None:
    stores = sims(3)
    owners = Owners(stores)
    fill([*stores], keys(50))
    fill([stores[0]], [b"only one"])
    fill([stores[1]], [b"only two", b"key:7"], OTHER)
    fill([stores[2]], [b"key:7"], encode_row(row_of(b"x", epoch=3)))
    document = repair(owners)
    assert document["failed"] == 0
    owners.wait(60)
    assert equal(owners)
    assert {store.digests(0, 0, 0) for store in stores} == {stores[0].digests(0, 0, 0)}


def test_rounds_come_by_themselves_and_cost_little() -> None:
    stores = sims(3)
    owners = Owners(stores)
    fill([*stores], keys(20))
    fill([stores[2]], [b"news"])
    owners.wait(20)
    assert equal(owners)
    owners.forget()
    owners.wait(60)
    assert set(owners.wire) == {"AskTrees", "TreesTold"}
    assert owners.wire["AskTrees"] <= 3 * 60 / (EXCHANGE_INTERVAL_S / 2)
    passes = [owner.node.antientropy.figures(owners.now) for owner in owners.all]
    assert all(figures["divergent"] == 0 for figures in passes)
    assert all(isinstance(ago := figures["last_pass_s_ago"], float) and ago < 10 for figures in passes)


def test_many_keys_are_repaired_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that lost everything: exchanges follow one another until it has all of it."""
    monkeypatch.setattr("node.engine.exchange.EXCHANGE_KEYS_MAX", 40)
    stores = sims(2)
    owners = Owners(stores, partitions=8, quorums=Quorums(2, 1, 1))
    fill([stores[0]], keys(300))
    document = repair(owners, at=1)
    while document["running"]:
        document = repair(owners, at=1)
    assert isinstance(document["repaired"], int)
    assert document["repaired"] > 100, "the rest was found by the other one's own rounds"
    assert equal(owners)


def test_a_write_under_way_is_no_difference() -> None:
    """It arrives between the two looks: nothing is listed, nothing repaired."""
    stores = sims(2)
    owners = Owners(stores, quorums=Quorums(2, 1, 1))
    fill([*stores], keys(50))
    fill([stores[0]], [b"on its way"])
    owners.ask(0, Inspect("repair"))
    owners.wait(0.1)
    assert owners.wire["AskTrees"] == 4, "root, and three levels below the roots of 64 partitions"
    fill([stores[1]], [b"on its way"])
    owners.wait(2)
    assert "AskLeaf" not in owners.wire
    assert owners.all[0].node.antientropy.figures(owners.now)["divergent"] == 0


def test_a_tree_that_is_wrong_is_counted_again() -> None:
    stores = sims(2)
    owners = Owners(stores, quorums=Quorums(2, 1, 1))
    fill([*stores], keys(50))
    leaf = leaf_of(int.from_bytes(scan_position(b"key:3"), "big"))
    stores[0]._trees.toggle([(leaf, 12345)])
    assert stores[0].untrue_leaves() == [leaf]
    document = repair(owners)
    assert (document["differing"], document["repaired"]) == (0, 0)
    assert stores[0].untrue_leaves() == []


def test_exchanges_wait_for_trees_that_are_not_known_yet() -> None:
    stores = sims(2)
    owners = Owners(stores, quorums=Quorums(2, 1, 1))
    fill([*stores], keys(50))
    fill([stores[0]], [b"news"])
    stores[1].crash()
    document = repair(owners)
    assert document["left_out"] == [{"node": "n2", "because": "64 trees are not ready"}]
    assert document["last_pass_s_ago"] is None
    while stores[1].work_due:
        stores[1].work()
    owners.wait(20)
    assert equal(owners)


def test_a_peer_that_comes_back_is_compared_within_seconds() -> None:
    stores = sims(3)
    owners = Owners(stores)
    owners.cut(0, 2)
    owners.wait(10)
    assert owners.all[0].node.antientropy.figures(owners.now)["last_pass_s_ago"] is None, "n3 was left out"
    fill([stores[0]], [b"news"])
    owners.lost = ["AskTrees"]
    owners.heal(0, 2)
    owners.lost = []
    owners.wait(2 * EXCHANGE_INTERVAL_S + 1)
    assert stores[2].fetch(b"news") == ROW


def test_an_exchange_whose_peer_is_silent_is_given_up_and_begun_again() -> None:
    stores = sims(2)
    owners = Owners(stores, quorums=Quorums(2, 1, 1))
    fill([stores[0]], keys(3))
    owners.lost = ["TreesTold"]
    owners.wait(20)
    assert not equal(owners)
    pending = [len(owner.node.shared.pending) for owner in owners.all]
    assert max(pending) <= 1, "at most the exchange under way"
    owners.lost = []
    owners.wait(20)
    assert equal(owners)


def test_a_lost_replicate_leaves_the_key_for_the_next_pass() -> None:
    stores = sims(2)
    owners = Owners(stores, quorums=Quorums(2, 1, 1))
    fill([stores[0]], keys(3))
    owners.lost = ["Replicate", "Fetch"]
    document = repair(owners)
    assert document["repaired"] == 0
    owners.lost = []
    owners.wait(20)
    assert equal(owners)


def test_a_row_that_one_store_cannot_read_is_brought_back() -> None:
    stores = sims(2)
    owners = Owners(stores, quorums=Quorums(2, 1, 1))
    fill([*stores], keys(5))
    stores[0].corrupt(b"key:1")
    stores[1].corrupt(b"key:2")
    repair(owners)
    assert equal(owners)
    assert [store.totals().quarantined for store in stores] == [0, 0]


def test_another_epoch_is_refused() -> None:
    owners = Owners(sims(2), quorums=Quorums(2, 1, 1))
    for message, answer in (
        (AskTrees(1, EPOCH + 1, 6, 0, (0,)), "TreesTold"),
        (AskLeaf(1, EPOCH + 1, 0, b""), "LeafTold"),
    ):
        owners.forget()
        owners.all[1].inbox.append(Received(node_id("n1"), message))
        owners.settle()
        assert owners.wire == {answer: 1}


def test_questions_in_excess_are_refused() -> None:
    """A store that answers nothing: so many questions wait for it, and no more."""
    owners = Owners(sims(2), quorums=Quorums(2, 1, 1))
    served = owners.all[1]
    served.slow = True
    asked = EXCHANGES_SERVED_MAX + 3
    served.inbox += [Received(node_id("n1"), AskTrees(rid, EPOCH, 6, 0, (0,))) for rid in range(asked)]
    served.inbox.append(Received(node_id("n1"), AskLeaf(99, EPOCH, 0, b"")))
    owners.settle()
    assert owners.wire == {"TreesTold": 3, "LeafTold": 1}


def status(owners: Owners) -> object:
    owners.replies.clear()
    owners.ask(0, Inspect("status"))
    ((_, result),) = owners.replies.items()
    assert isinstance(result, Document)
    return json.loads(result.json)["repair"]


def test_the_status_tells_of_the_oldest_full_pass_and_of_all_that_was_found() -> None:
    stores = sims(3)
    owners = Owners(stores)
    assert status(owners) == {"last_pass_s_ago": None, "divergent": None}
    fill([stores[0]], [b"k"])
    repair(owners)
    assert status(owners) == {"last_pass_s_ago": None, "divergent": None}, "n2 and n3 were not through yet"
    owners.wait(30)
    said = status(owners)
    assert isinstance(said, dict)
    assert 0 <= said["last_pass_s_ago"] < 10
    assert said["divergent"] == 0


def test_a_pass_is_told_while_it_runs_and_is_not_begun_twice() -> None:
    owners = Owners(sims(2), quorums=Quorums(2, 1, 1))
    owners.all[1].slow = True
    owners.ask(0, Inspect("repair"), 1)
    owners.wait(1.0)
    owners.ask(0, Inspect("repair"), 2)
    owners.wait(1.1)
    first = owners.replies["n1", 1]
    assert isinstance(first, Document)
    told = json.loads(first.json)
    assert (told["running"], told["compared"], told["total"]) == (True, 0, 64)
    owners.wait(3.0)
    second = owners.replies["n1", 2]
    assert isinstance(second, Document)
    assert json.loads(second.json)["left_out"] == [{"node": "n2", "because": "no answer in time"}]


def test_before_the_first_write_there_is_nothing_to_compare() -> None:
    owners = Owners(sims(2), quorums=Quorums(2, 1, 1))
    for owner in owners.all:
        owner.node.cluster.adopt(owner.node.cluster.state._replace(sealed=False))
    owners.forget()
    owners.wait(30)
    assert not owners.wire
    document = repair(owners)
    assert (document["running"], document["compared"]) == (False, 0)


# Pages of a leaf ---------------------------------------------------------------------------------------------


def test_pages_are_compared_up_to_where_both_are_certain() -> None:
    ordered = sorted(keys(6), key=scan_position)
    whole = page_of(tuple((key, ROW) for key in ordered), False)
    part = page_of(tuple((key, ROW) for key in ordered[:2]), True)
    assert compare_pages(whole, part) == ([], scan_position(ordered[1]))
    assert compare_pages(whole, page_of((), False)) == ([(key, len(ROW)) for key in ordered], None)
    changed = page_of(tuple((key, OTHER if key == ordered[3] else ROW) for key in ordered), False)
    assert compare_pages(whole, changed) == ([(ordered[3], max(len(ROW), len(OTHER)))], None)


def test_a_page_is_bounded_in_bytes() -> None:
    long = [(b"%d" % at * 1000, ROW) for at in range(10, 60)]
    items, more = page_of(tuple(sorted(long, key=lambda item: scan_position(item[0]))), False)
    assert more
    assert LEAF_PAGE_BYTES <= sum(len(key) for key, _, _ in items) <= LEAF_PAGE_BYTES + 4096


def test_a_large_leaf_is_compared_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.engine.exchange.LEAF_PAGE_ROWS", 3)
    monkeypatch.setattr("node.engine.antientropy.LEAF_PAGE_ROWS", 3)
    same = [b"key:%d" % at for at in (227209, 574446, 634536, 1022460, 1126209, 1908781, 2170758, 2605441)]
    assert {leaf_of(int.from_bytes(scan_position(key), "big")) for key in same} == {77}
    stores = sims(2)
    owners = Owners(stores, quorums=Quorums(2, 1, 1))
    fill([*stores], same)
    last = max(same, key=scan_position)
    fill([stores[1]], [last], OTHER)
    repair(owners)
    assert owners.wire["AskLeaf"] == -(-len(same) // 3)
    assert equal(owners)
