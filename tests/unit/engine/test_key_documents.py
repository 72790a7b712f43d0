"""DYN.EXPLAIN and DYN.HISTORY: what each node holds, for whom, what will be done about it, and what could be lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from node.core.ids import scan_position
from node.core.limits import SURVEY_MS_MAX
from node.core.limits_trace import HISTORY_VALUE_BYTES, HISTORY_VERSIONS_MAX
from node.core.row import EMPTY, Actor, Row
from node.core.version import advance, own_clock
from node.storage.port import Merge, Owed
from node.wire.messages import Answer, Ask, Fetch, Fetched
from node.wire.requests import Document, Inspect
from node.wire.rows import encode_row
from tests.helpers.engine import EPOCH, KEY, Engine, member, node_id, row_of
from tests.helpers.owners import OTHER, ROW, Owners, keys, sims

BEHIND_IT = next(key for key in keys(100) if scan_position(key) > scan_position(b"k"))
"""A key that a store lists after `k`."""


def told(owners: Owners, what: str, key: bytes = b"k", at: int = 0) -> dict[str, Any]:
    owners.replies.clear()
    owners.ask(at, Inspect(what, key))
    owners.wait(0.1)
    ((_, result),) = owners.replies.items()
    assert isinstance(result, Document), result
    document = json.loads(result.json)
    assert isinstance(document, dict)
    return document


def by_node(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {replica["node"]: replica for replica in document["replicas"]}


@pytest.fixture
def five() -> Owners:
    return Owners(sims(5))


def preference(owners: Owners, key: bytes = b"k") -> list[int]:
    ids = [owner.id for owner in owners.all]
    return [ids.index(node) for node in owners.all[0].node.cluster.preference_list(key)]


def grown(row: Row, value: bytes, epoch: int) -> Row:
    """The row after one more write over all that it holds."""
    return advance(row, row.clock, Actor(epoch, 1), value, written_at_ms=1000, writer="ada")[0]


def test_a_hint_for_a_key_is_told_by_whoever_keeps_it(five: Owners) -> None:
    """Not by who keeps a hint for another key of that owner."""
    one, two, three, four, five_ = preference(five)
    away = node_id(f"n{three + 1}")
    for at in (one, two):
        five.all[at].store.apply([Merge(b"k", ROW, EPOCH)])
    five.cut(one, three)
    five.cut(four, three)
    five.all[four].store.apply([Merge(b"k", ROW, EPOCH, owed=Owed((away,), 0))])
    five.all[five_].store.apply([Merge(BEHIND_IT, ROW, EPOCH, owed=Owed((away,), 0))])
    document = told(five, "explain", at=one)
    replicas = by_node(document)
    assert {name: replica["hint_for"] for name, replica in replicas.items()} == {
        f"n{one + 1}": None, f"n{two + 1}": None, f"n{three + 1}": None, f"n{four + 1}": f"n{three + 1}"
    }  # fmt: skip
    assert replicas[f"n{three + 1}"]["down_s"] == 0.0
    assert document["fallback"][:1] == [f"n{four + 1}"]
    assert any(f"n{three + 1}" in line and f"n{four + 1} keeps a hint" in line for line in document["repairs"])
    assert any(line.startswith(f"n{four + 1} lets go") for line in document["repairs"])


def test_what_survives_is_counted_over_who_holds_it(five: Owners) -> None:
    one, two, three, *_ = preference(five)
    for at in (one, two):
        five.all[at].store.apply([Merge(b"k", ROW, EPOCH)])
    five.all[one].store.apply([Merge(b"k", OTHER, EPOCH)])
    document = told(five, "explain")
    assert document["verdict"] == "conflict"
    assert document["survives"] == [f"not that of n{one + 1}: nobody else is known to hold n2:1"]
    repairs = document["repairs"]
    assert [line.split(" gets ")[0] for line in repairs] == [f"n{two + 1}", f"n{three + 1}"]
    assert "n2:1" in repairs[0]
    assert "n1:1 n2:1" in repairs[1]


def test_when_all_is_well_nothing_is_to_be_done(five: Owners) -> None:
    for at in preference(five)[:3]:
        five.all[at].store.apply([Merge(b"k", ROW, EPOCH)])
    document = told(five, "explain")
    assert (document["verdict"], document["repairs"]) == ("ok", [])
    assert document["survives"] == ["the loss of any 2 nodes"]
    (version,) = by_node(document)[f"n{preference(five)[0] + 1}"]["versions"]
    assert version["age_s"] == pytest.approx(five.now, abs=1)


def test_a_key_that_nobody_wrote_has_neither(five: Owners) -> None:
    document = told(five, "explain")
    assert (document["verdict"], document["repairs"], document["survives"]) == ("absent", [], [])
    assert told(five, "history")["events"] == []


def test_an_earlier_release_does_not_tell_its_hints_and_holds_nobody_up() -> None:
    engine = Engine()
    ticket = engine.ask(Inspect("explain", KEY))
    engine.load(row_of(b"v"))
    for owed, *_ in list(engine.out.owed):
        engine.owed(owed, ())
    for owed, *_ in list(engine.out.owed)[1:]:
        engine.owed(owed, ())
    for name in ("n2", "n3"):
        fetch, ask = engine.sent(name)
        assert isinstance(fetch, Fetch)
        assert isinstance(ask, Ask)
        engine.receive(name, Fetched(fetch.rid, encode_row(row_of(b"v")), ""))
        assert ticket not in engine.replies
        engine.receive(name, Answer(ask.rid, b"{}"))
    assert isinstance(engine.replies[ticket], Document)


def test_who_says_nothing_is_not_waited_for_longer_than_a_survey_takes() -> None:
    engine = Engine()
    ticket = engine.ask(Inspect("history", KEY))
    engine.load(row_of(b"v"))
    engine.pass_time(SURVEY_MS_MAX / 1000 + 0.05)
    result = engine.replies[ticket]
    assert isinstance(result, Document)
    replicas = by_node(json.loads(result.json))
    assert (replicas["n2"]["told"], replicas["n2"]["note"]) == (False, "no answer")


def test_a_question_about_no_key_or_too_long_a_one_is_answered_with_nothing() -> None:
    engine = Engine()
    for key in (b"", b"x" * 5000):
        engine.clear()
        engine.receive("n2", Ask(5, "kept", key))
        assert engine.sent("n2") == [Answer(5, b"{}")]
        assert not engine.out.owed


def test_a_node_with_too_much_to_do_does_not_tell_its_hints(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine()
    monkeypatch.setattr("node.engine.key_survey.OPERATIONS_MAX", 0)
    engine.receive("n2", Ask(5, "kept", KEY))
    assert engine.sent("n2") == [Answer(5, b"{}")]


def test_history_tells_the_versions_that_stale_replicas_still_hold(five: Owners) -> None:
    one, two, three, *_ = preference(five)
    old = row_of(b"old")
    new = grown(old, b"new" * HISTORY_VALUE_BYTES, 2)
    five.all[one].store.apply([Merge(b"k", encode_row(new), EPOCH)])
    five.all[two].store.apply([Merge(b"k", encode_row(old), EPOCH)])
    document = told(five, "history")
    first, last = document["events"]
    assert (first["dot"], first["value"], first["current"], first["held_by"]) == ("n1:1", "old", False, [f"n{two + 1}"])
    assert last["sibling"] == 0
    assert (last["dot"], last["parents"], last["current"], last["held_by"]) == ("n2:1", [0], True, [f"n{one + 1}"])
    assert (len(last["value"]), last["cut"], last["bytes"]) == (HISTORY_VALUE_BYTES, True, 3 * HISTORY_VALUE_BYTES)
    assert (last["writer"], last["past"], last["clock"]) == ("ada", {"n1": 1}, {"n1": 1, "n2": 1})
    assert by_node(document)[f"n{three + 1}"]["told"]


def test_history_tells_of_ancestors_by_their_clock_alone(five: Owners) -> None:
    first = row_of(b"old")
    rows = [encode_row(grown(first, b"x", 1)), encode_row(grown(first, b"y", 2))]
    five.all[preference(five)[0]].store.apply([Merge(b"k", row, EPOCH) for row in rows])
    events = told(five, "history")["events"]
    assert [(e["kind"], e["dot"], e["parents"]) for e in events] == [
        ("gone", None, []), ("version", "n1:2", [0]), ("version", "n2:1", [0])
    ]  # fmt: skip
    assert (events[0]["clock"], "value" in events[0]) == ({"n1": 1}, False)


def test_history_tells_so_many_versions_and_how_many_more_there_are() -> None:
    engine = Engine(1)
    row = EMPTY
    for number in range(HISTORY_VERSIONS_MAX + 3):
        row, _ = advance(row, (), Actor(1, 1), b"%d" % number, written_at_ms=number, writer="")
    ticket = engine.ask(Inspect("history", b"k"))
    engine.load(row)
    result = engine.replies[ticket]
    assert isinstance(result, Document)
    document = json.loads(result.json)
    assert (len(document["events"]), document["left_out"]) == (HISTORY_VERSIONS_MAX, 3)
    assert document["events"][-1]["value"] == str(HISTORY_VERSIONS_MAX + 2)
    assert own_clock(row.versions[0]) == (row.versions[0].dot,)
    assert member("n1").name == "n1"
