"""DYN.BACKGROUND: hints tried at once, passes over some partitions and their end, transfers paused and limited."""

from __future__ import annotations

import json
from typing import Any

import pytest

from node.core.limits import HANDOFF_RETRY_S, HANDOFF_WAIT_S
from node.core.limits_change import TRANSFER_AGAIN_S, TRANSFER_BPS_MIN
from node.core.limits_size import REPAIR_PARTITIONS_MAX
from node.engine.events import Measured
from node.engine.exchange import Report
from node.engine.throttle import PAUSED, REST_S_MAX, Throttle
from node.storage.port import Handed, Refusal
from node.wire.change_messages import Pulled
from node.wire.messages import Replicate, Replicated
from node.wire.requests import Document, Failed, Inspect
from node.wire.rows import encode_row
from tests.helpers.engine import Engine, node_id, row_of
from tests.helpers.five import NAMES
from tests.helpers.moving import moving_engine
from tests.helpers.owners import OTHER, Owners, equal, fill, keys, sims
from tests.unit.engine.test_transfer import agree, pulls, read_all, stored


def steer(*words: bytes | str | int) -> Inspect:
    return Inspect("background", arguments=tuple([w if isinstance(w, bytes) else str(w).encode() for w in words]))


def refused(engine: Engine, *words: bytes | str | int) -> str:
    """The code of the error that these words get."""
    ticket = engine.ask(steer(*words))
    result = engine.replies[ticket]
    assert isinstance(result, Failed)
    return result.code


def answer(engine: Engine, ticket: int) -> dict[str, Any]:
    result = engine.replies[ticket]
    assert isinstance(result, Document), result
    document = json.loads(result.json)
    assert isinstance(document, dict)
    return document


def measure(engine: Engine, *hints: tuple[str, int, int, int]) -> None:
    """The runtime tells which hints the store keeps."""
    ticket = engine.out.measures.pop()
    engine.step(Measured(ticket, {"hints": hints}))


# Hints ----------------------------------------------------------------------------------------------------------------


def owing(engine: Engine) -> tuple[str, bytes]:
    """Somebody owns a key that this node does not: it is owed one row."""
    key = engine.key_owned_by_others()
    return next(name for name in NAMES if node_id(name) in engine.owners(key)), key


def empty_pages(engine: Engine, *, but: str) -> int:
    """Nobody is owed anything but this one; the ticket of its page."""
    owed, engine.out.owed = engine.out.owed, []
    for ticket, target, *_ in owed:
        if target != node_id(but):
            engine.owed(ticket, ())
    return next(ticket for ticket, target, *_ in owed if target == node_id(but))


def test_hints_that_wait_for_a_retry_are_delivered_at_once_and_counted() -> None:
    engine = Engine(nodes=5)
    owner, key = owing(engine)
    engine.wait(HANDOFF_RETRY_S * 20)
    for ticket, *_ in engine.out.owed:
        engine.owed(ticket, ())
    engine.clear()
    asked = engine.ask(steer("DELIVER"))
    ticket = empty_pages(engine, but=owner)
    engine.owed(ticket, ((key, encode_row(row_of(b"v"))),))
    [replicate] = [m for m in engine.sent(owner) if isinstance(m, Replicate)]
    assert not engine.replies
    engine.receive(owner, Replicated(replicate.rid, True, None, ""))
    engine.handed_over(Handed(True, False))
    measure(engine)
    told = answer(engine, asked)
    assert (told["node"], told["running"], told["held"]) == ("n1", False, [])
    assert told["delivered"] == [{"for": owner, "keys": 1}]


def test_who_is_asked_again_and_again_does_not_hammer_who_refuses() -> None:
    engine = Engine(nodes=5)
    owner, key = owing(engine)
    engine.wait(60.0)
    for ticket, *_ in engine.out.owed:
        engine.owed(ticket, ())
    engine.clear()
    engine.ask(steer("DELIVER"))
    engine.owed(empty_pages(engine, but=owner), ((key, encode_row(row_of(b"v"))),))
    [replicate] = [m for m in engine.sent(owner) if isinstance(m, Replicate)]
    engine.receive(owner, Replicated(replicate.rid, False, None, Refusal.DISK_FULL.value))
    measure(engine, (node_id(owner), 1, 9, 0))
    engine.clear()
    for _ in range(5):
        again = engine.ask(steer("DELIVER"))
        assert not engine.out.owed
        measure(engine, (node_id(owner), 1, 9, 0))
        told = answer(engine, again)
        assert told["held"][0]["waits_because"] == f"{owner} refused (disk full)"
        assert told["delivered"] == []
    engine.now += HANDOFF_RETRY_S
    engine.ask(steer("DELIVER"))
    assert any(target == node_id(owner) for _, target, *_ in engine.out.owed)


def test_a_delivery_that_takes_long_is_told_as_running() -> None:
    engine = Engine(nodes=3)
    engine.wait(60.0)
    for ticket, *_ in engine.out.owed:
        engine.owed(ticket, ())
    engine.clear()
    asked = engine.ask(steer("DELIVER"))
    engine.wait(HANDOFF_WAIT_S + 0.1)
    measure(engine, (node_id("n2"), 5, 50, 0))
    told = answer(engine, asked)
    assert (told["running"], told["held"][0]["for"]) == (True, "n2")
    assert not engine.node.handoffs.waiting
    for ticket, *_ in engine.out.owed:
        engine.owed(ticket, ())
    assert len(engine.replies) == 1


# Passes ---------------------------------------------------------------------------------------------------------------


def ask(owners: Owners, *words: bytes | str | int, at: int = 0) -> dict[str, Any]:
    owners.replies.clear()
    owners.ask(at, steer(*words))
    for _ in range(100):
        if owners.replies:
            break
        owners.wait(0.05)
    [(_, result)] = owners.replies.items()
    assert isinstance(result, Document), result
    document = json.loads(result.json)
    assert isinstance(document, dict)
    return document


def test_a_pass_over_some_partitions_compares_these_and_is_no_full_one() -> None:
    stores = sims(3)
    owners = Owners(stores)
    fill([*stores], keys(50))
    told = ask(owners, "REPAIR", 5, 3, 5)
    assert (told["partitions"], told["total"], told["compared"], told["running"]) == ([3, 5], 4, 4, False)
    assert (told["last_pass_s_ago"], told["cancelled"]) == (None, False)


def test_the_owners_of_a_partition_one_after_the_other_make_it_equal() -> None:
    stores = sims(3)
    owners = Owners(stores, partitions=1)
    fill([*stores], keys(20))
    fill([stores[0]], [b"one"])
    fill([stores[1]], [b"two"], OTHER)
    fill([stores[2]], [b"three"])
    for at in range(3):
        assert ask(owners, "REPAIR", 0, at=at)["failed"] == 0
    assert equal(owners)


def test_passes_over_partitions_take_each_other_in() -> None:
    owners = Owners(sims(3))
    node = owners.all[0].node
    for ticket, words in enumerate((("REPAIR", 1, 2), ("REPAIR", 2), ("REPAIR", 4)), 1):
        owners.ask(0, steer(*words), ticket)
    assert node.antientropy.running is not None
    assert node.antientropy.running.only == (1, 2, 4)
    owners.ask(0, Inspect("repair"), 4)
    assert node.antientropy.running.only == ()
    whole = node.antientropy.running
    owners.ask(0, steer("REPAIR", 1), 5)
    assert node.antientropy.running is whole
    for _ in range(100):
        owners.wait(0.05)
    assert len(owners.replies) == 5


def test_a_pass_that_was_asked_for_is_given_up_and_its_own_are_not() -> None:
    owners = Owners(sims(3))
    assert ask(owners, "CANCEL") == {"schema": "dyn.repair.cancel/v1", "node": "n1", "cancelled": False}
    owners.replies.clear()
    owners.ask(0, Inspect("repair"))
    owners.ask(0, steer("CANCEL"), 2)
    told = [json.loads(result.json) for result in owners.replies.values() if isinstance(result, Document)]
    assert sorted(each["schema"] for each in told) == ["dyn.repair.cancel/v1", "dyn.repair/v1"]
    assert all(each["cancelled"] for each in told)
    assert owners.all[0].node.antientropy.running is None
    owners.wait(60)
    assert owners.all[0].node.antientropy.full is not None, "the node compares by itself, as ever"


def test_the_pass_by_which_a_store_is_rebuilt_is_not_given_up() -> None:
    engine = Engine()
    engine.node.cluster.rebuilding = True
    assert refused(engine, "CANCEL") == "REFUSED"


# Transfers ------------------------------------------------------------------------------------------------------------


def told_moves(engine: Engine) -> dict[str, Any]:
    return engine.node.transfers.figures(engine.now)


def test_who_is_paused_takes_nothing_in_and_says_so_and_goes_on() -> None:
    engine = moving_engine("n4")
    paused = answer(engine, engine.ask(steer("PAUSE")))
    assert (paused["paused_s"], paused["moving"]) == (0.0, True)
    for _ in range(5):
        engine.wait(TRANSFER_AGAIN_S)
    engine.ask(steer("PAUSE"))
    assert not pulls(engine)
    told = told_moves(engine)
    assert told["paused_s"] == 5 * TRANSFER_AGAIN_S
    assert {move["waits_because"] for move in told["moves"] if move["done"] < move["total"]} == {PAUSED}
    answer(engine, engine.ask(steer("RESUME")))
    told = told_moves(engine)
    assert (told["paused_s"], told["idle_s"]) == (None, 0.0)
    engine.wait(TRANSFER_AGAIN_S)
    assert pulls(engine)


def test_what_is_taken_in_already_settles_in_a_pause_too() -> None:
    engine = moving_engine("n4")
    read_all(engine)
    while engine.node.transfers.missing():
        agree(engine)
        engine.wait(TRANSFER_AGAIN_S) if engine.node.transfers.missing() else None
    engine.ask(steer("PAUSE"))
    engine.wait(TRANSFER_AGAIN_S)
    assert engine.node.cluster.me.holds == engine.node.cluster.epoch


def test_a_limit_holds_page_by_page() -> None:
    engine = moving_engine("n4")
    assert answer(engine, engine.ask(steer("LIMIT", TRANSFER_BPS_MIN)))["limit_bps"] == TRANSFER_BPS_MIN
    engine.wait(TRANSFER_AGAIN_S)
    [(name, pull)] = pulls(engine)
    engine.clear()
    row = encode_row(row_of(b"x" * 3 * TRANSFER_BPS_MIN))
    engine.receive(name, Pulled(pull.rid, ((b"k", row),), True, 0, ""))
    stored(engine)
    engine.wait(2.9)
    assert not pulls(engine)
    engine.wait(0.3)
    assert pulls(engine)
    assert answer(engine, engine.ask(steer("LIMIT", "none")))["limit_bps"] is None


def test_another_limit_holds_at_once_and_no_rest_is_longer_than_a_minute() -> None:
    """A thousand large rows at the least pace would be a rest of a day, and look like a move that is stuck."""
    engine = moving_engine("n4")
    answer(engine, engine.ask(steer("LIMIT", TRANSFER_BPS_MIN)))
    engine.wait(TRANSFER_AGAIN_S)
    report = Report(complete=False, why="more", differing=9, repaired=9, failed=0, bytes=10_000 * TRANSFER_BPS_MIN)
    engine.node.transfers._exchanged(node_id("n1"), (), report, engine.now)
    assert REST_S_MAX <= engine.node.transfers.next_at - engine.now < REST_S_MAX + 1.0
    answer(engine, engine.ask(steer("LIMIT", "none")))
    assert engine.node.transfers.next_at - engine.now <= TRANSFER_AGAIN_S


def test_what_an_exchange_brings_counts_for_the_limit_too() -> None:
    engine = moving_engine("n4")
    engine.node.transfers.throttle.limit_bps = TRANSFER_BPS_MIN
    engine.wait(TRANSFER_AGAIN_S)
    before = engine.node.transfers.next_at
    report = Report(complete=False, why="there is more", differing=9, repaired=9, failed=0, bytes=5 * TRANSFER_BPS_MIN)
    engine.node.transfers._exchanged(node_id("n1"), (), report, engine.now)
    assert engine.node.transfers.next_at - before > 4.0
    owners = Owners(sims(3))
    fill([owners.all[0].store], [b"only one"])
    owners.wait(60)
    notes = [event for owner in owners.all for event in owner.node.cluster.events if event["kind"] == "repaired"]
    assert notes
    assert all(isinstance(size := note["bytes"], int) and size > 0 for note in notes)


def test_a_pause_counts_neither_for_the_pace_nor_twice() -> None:
    throttle = Throttle()
    throttle.pause(10.0)
    throttle.pause(20.0)
    assert (throttle.paused_s(25.0), throttle.resume(30.0), throttle.resume(40.0)) == (15.0, 20.0, 0.0)
    throttle.limit_bps = 1000
    assert throttle.rest_s(500) == 0.5


def test_the_status_says_who_is_paused() -> None:
    engine = moving_engine("n4")
    engine.ask(steer("PAUSE"))
    asked = engine.ask(Inspect("status", timeout_ms=100))
    measure(engine)
    engine.wait(0.2)
    assert "transfers to n4 are paused by an operator: dyn cluster transfers resume" in answer(engine, asked)["reasons"]


@pytest.mark.parametrize(
    "words",
    [
        ("NONSENSE",),
        ("DELIVER", "x"),
        ("REPAIR",),
        ("REPAIR", "x"),
        ("REPAIR", "-1"),
        ("REPAIR", "64"),
        ("REPAIR", "9" * 99),
        ("REPAIR", b"\xb2"),
        ("CANCEL", "x"),
        ("PAUSE", "1"),
        ("LIMIT",),
        ("LIMIT", "0"),
        ("LIMIT", TRANSFER_BPS_MIN - 1),
        ("LIMIT", "9" * 99),
        ("LIMIT", "10M"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_an_error(words: tuple[str, ...]) -> None:
    engine = Engine()
    assert refused(engine, *words) == "ERR"


def test_so_many_partitions_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.engine.background.REPAIR_PARTITIONS_MAX", 2)
    assert REPAIR_PARTITIONS_MAX >= 256
    engine = Engine()
    assert engine.ask(steer("REPAIR", 0, 1)) not in engine.replies, "it waits for the pass"
    assert refused(engine, "REPAIR", 0, 1, 2) == "ERR"
