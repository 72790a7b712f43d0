"""DYN.TRACE: a request is followed through every node that has a part in it, and is done as it would be without."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest

from node.core.limits_trace import (
    TRACE_LATE_S,
    TRACE_STEPS_MAX,
    TRACE_TAIL_AWAY_S,
    TRACE_TAIL_S,
    TRACES_KEPT,
    TRACES_KEPT_BYTES,
    TRACES_MAX,
)
from node.engine.forward import ForwardOperation
from node.engine.get import GetOperation
from node.engine.operation import Operation
from node.engine.put import PutOperation
from node.engine.traces_kept import TracesKept
from node.engine.tracing import Step, Trace, Traced
from node.engine.unsealed import UnsealedRead
from node.storage.port import Advance, Merge
from node.wire.messages import Answer, Ask, Fetch, Fetched, Forward, Forwarded, Replicate, Replicated
from node.wire.requests import Document, Failed, Get, Inspect, Put, Written
from tests.helpers.engine import EPOCH, KEY, Engine, node_id, row_of
from tests.helpers.owners import OTHER, ROW, Owners, sims


def following(of: Get | Put) -> Inspect:
    return Inspect("trace", of.key, of=of)


def traced(owners: Owners, at: int, of: Get | Put) -> dict[str, Any]:
    """DYN.TRACE at a node, until it is answered."""
    owners.replies.clear()
    owners.ask(at, following(of))
    for _ in range(100):
        if owners.replies:
            break
        owners.wait(0.05)
    ((_, result),) = owners.replies.items()
    assert isinstance(result, Document), result
    document = json.loads(result.json)
    assert isinstance(document, dict)
    return document


def way(document: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    """Who asked what of whom, without order: what happens at one time may be told in any."""
    return sorted(((step["node"], step["what"], step["peer"]) for step in document["steps"]), key=str)


@pytest.fixture
def five() -> Owners:
    return Owners(sims(5))


def places(owners: Owners, key: bytes) -> list[int]:
    """The indices of the nodes in the order of the key's preference list."""
    ids = [owner.id for owner in owners.all]
    return [ids.index(node) for node in owners.all[0].node.cluster.preference_list(key)]


def name(at: int) -> str:
    return f"n{at + 1}"


def test_a_read_tells_whom_it_asked_what_they_hold_and_how_it_ended(five: Owners) -> None:
    first, second, third, *_ = places(five, b"k")
    five.all[first].store.apply([Merge(b"k", ROW, EPOCH)])
    document = traced(five, first, Get(b"k", r=3))
    me, others = name(first), [name(second), name(third)]
    assert way(document) == sorted(
        [(me, "load", None), (me, "answer", None)] + [(me, w, o) for w in ("fetch", "repair") for o in others], key=str
    )
    told = {step["peer"] or me: step for step in document["steps"] if step["what"] in ("load", "fetch")}
    assert told[me]["versions"] == ["n1:1"], "the row was written by the store of n1"
    assert [told[other]["behind"] for other in others] == [True, True]
    assert (document["schema"], document["op"], document["node"]) == ("dyn.trace/v1", "get", me)
    assert [owner["node"] for owner in document["owners"]] == [me, *others]
    (value,) = document["result"]["values"]
    assert (value["value"], value["dot"], document["dropped"], document["untold"]) == ("v", "n1:1", 0, [])


def test_a_write_by_an_owner_is_followed_until_all_owners_have_it(five: Owners) -> None:
    first, second, third, *_ = places(five, b"k")
    document = traced(five, first, Put(b"k", b"v", writer="w"))
    me = name(first)
    want = [(me, "commit", None), (me, "answer", None), (me, "replicate", name(second)), (me, "replicate", name(third))]
    assert way(document) == sorted(want, key=str)
    assert all(step["took_ms"] is not None for step in document["steps"] if step["awaited"])
    result = document["result"]
    assert (len(result["acks"]), result["w"], result["siblings"]) == (2, 2, 1)
    assert five.all[second].store.fetch(b"k") is not None


def test_a_write_through_a_stranger_is_followed_by_its_coordinator_too(five: Owners) -> None:
    first, second, third, *others = places(five, b"k")
    at = others[-1]
    document = traced(five, at, Put(b"k", b"v"))
    assert [step["what"] for step in document["steps"] if step["node"] == name(at)] == ["forward", "answer"]
    away = [(step["what"], step["peer"]) for step in document["steps"] if step["node"] == name(first)]
    assert sorted(away, key=str) == sorted(
        [("answer", name(at)), ("commit", None), ("replicate", name(second)), ("replicate", name(third))], key=str
    )
    assert document["untold"] == []
    assert "acks" in document["result"]
    handlers = five.all[first].node._messages
    assert handlers[Forward] == five.all[first].node._forward, "forwards are looked at though nobody follows one"


def test_what_a_coordinator_tells_is_put_into_the_middle_of_its_time() -> None:
    """Four milliseconds away, two of them the coordinator's own: it had the write after one."""
    engine = Engine(5)
    key = engine.key_owned_by_others()
    owner = engine.node.cluster.name(engine.owners(key)[0])
    ticket = engine.ask(following(Put(key, b"v")))
    question, forward = engine.sent(owner)
    assert isinstance(question, Ask)
    assert isinstance(forward, Forward)
    engine.now += 0.004
    engine.receive(owner, Forwarded(forward.rid, "", Written(b"ctx", (), 2, False, 1)))
    steps = [{"at_ms": 0.0, "node": "x", "what": "commit"}, {"at_ms": 2.0, "node": "x", "what": "answer"}]
    engine.receive(owner, Answer(question.rid, json.dumps({"steps": steps}).encode()))
    result = engine.replies[ticket]
    assert isinstance(result, Document)
    document = json.loads(result.json)
    assert [(s["node"], s["what"], s["at_ms"]) for s in document["steps"]] == [
        ("n1", "forward", 0.0), (owner, "commit", 1.0), (owner, "answer", 3.0), ("n1", "answer", 4.0)
    ]  # fmt: skip
    assert document["answered_ms"] == 4.0


@pytest.mark.parametrize("told", [b"{}", b"[", b'{"steps":[{"at_ms":"x"}]}', None])
def test_a_coordinator_that_does_not_tell_is_named(told: bytes | None) -> None:
    """One of an earlier release, one that talks nonsense, one that goes: the write has its answer all the same."""
    engine = Engine(5)
    key = engine.key_owned_by_others()
    owner = engine.node.cluster.name(engine.owners(key)[0])
    ticket = engine.ask(following(Put(key, b"v")))
    question, forward = engine.sent(owner)
    assert isinstance(question, Ask)
    assert isinstance(forward, Forward)
    engine.receive(owner, Forwarded(forward.rid, "", Written(b"ctx", (), 2, False, 1)))
    assert ticket not in engine.replies
    if told is None:
        engine.pass_time(TRACE_TAIL_S + 0.05)
    else:
        engine.receive(owner, Answer(question.rid, told))
    result = engine.replies[ticket]
    assert isinstance(result, Document)
    document = json.loads(result.json)
    assert document["untold"] == [owner]
    assert document["result"]["context"] == "ctx"


def test_a_stand_in_and_the_owner_it_stands_for_are_named(five: Owners) -> None:
    first, second, third, fourth, _ = places(five, b"k")
    five.cut(first, third)
    document = traced(five, first, Put(b"k", b"v"))
    (step,) = [s for s in document["steps"] if s["hint_for"]]
    assert (step["what"], step["peer"], step["hint_for"]) == ("replicate", name(fourth), [name(third)])
    assert {owner["node"]: owner["state"] for owner in document["owners"]}[name(third)] == "down"
    assert name(second) in [s["peer"] for s in document["steps"]]


def test_silence_and_what_is_done_about_it_are_steps() -> None:
    engine = Engine()
    ticket = engine.ask(following(Get(KEY)))
    engine.load(row_of(b"v"))
    asked = next(n for n in ("n2", "n3") if engine.sent(n))
    other = "n3" if asked == "n2" else "n2"
    engine.down(asked)
    (fetch,) = engine.sent(other)
    assert isinstance(fetch, Fetch)
    engine.receive(other, Fetched(fetch.rid, OTHER, ""))
    result = engine.replies[ticket]
    assert isinstance(result, Document)
    steps = json.loads(result.json)["steps"]
    assert ("down", asked) in [(step["what"], step["peer"]) for step in steps]
    (lost,) = [s for s in steps if s["peer"] == asked and s["what"] == "fetch"]
    assert (lost["awaited"], lost["took_ms"]) == (True, None)


def test_a_refused_request_is_told_with_its_reason() -> None:
    engine = Engine()
    for peer in ("n2", "n3"):
        engine.down(peer)
    ticket = engine.ask(following(Put(KEY, b"v")))
    result = engine.replies[ticket]
    assert isinstance(result, Document)
    document = json.loads(result.json)
    assert document["result"]["error"]["code"] == "UNAVAILABLE"
    assert not [write for _, write in engine.out.persists if isinstance(write, Advance)]


def test_the_tail_is_waited_for_and_not_for_ever() -> None:
    """The third copy comes after the answer: it belongs to the way, unless it takes too long."""
    engine = Engine()
    ticket = engine.ask(following(Put(KEY, b"v")))
    engine.store()
    (replicate,) = engine.sent("n2")
    assert isinstance(replicate, Replicate)
    engine.receive("n2", Replicated(replicate.rid, True, None, ""))
    assert ticket not in engine.replies, "the answer alone ends it"
    engine.wait(TRACE_TAIL_S + 0.05)
    result = engine.replies[ticket]
    assert isinstance(result, Document)
    steps = json.loads(result.json)["steps"]
    assert [s["took_ms"] is None for s in steps if s["what"] == "replicate" and s["peer"] == "n3"] == [True]


def test_a_coordinator_tells_after_its_own_tail(five: Owners) -> None:
    """An owner that never answers: the coordinator tells what it knows, before its asker gives up."""
    first, _, third, *others = places(five, b"k")
    five.lost = ["Replicated"]
    engine = five.all[first].node
    document = traced(five, others[-1], Put(b"k", b"v", timeout_ms=1000))
    assert document["result"]["error"]["code"] == "UNKNOWN"
    assert document["untold"] == []
    assert not engine.inspector.traces.running
    assert third != first


def test_so_many_are_followed_and_no_more() -> None:
    engine = Engine()
    tickets = [engine.ask(following(Get(b"k%d" % n))) for n in range(TRACES_MAX + 1)]
    answers = engine.replies
    refused = answers[tickets[-1]]
    assert isinstance(refused, Failed)
    assert refused.code == "BUSY"
    assert not any(ticket in answers for ticket in tickets[:-1])


def test_expected_writes_are_bounded_and_forgotten() -> None:
    """Nothing that peers announce holds the door for ever."""
    engine = Engine()
    for rid in range(TRACES_MAX + 5):
        engine.receive("n2", Ask(1000 + rid, "trace", b"%d" % rid))
    traces = engine.node.inspector.traces
    assert len(traces.expected) == TRACES_MAX
    assert [m.rid for m in engine.sent("n2") if isinstance(m, Answer)] == [1000 + TRACES_MAX + n for n in range(5)]
    engine.wait(TRACE_TAIL_S + 0.1)
    engine.receive("n2", Ask(1, "trace", b"7"))
    assert list(traces.expected) == [(node_id("n2"), 7)]
    for word in (b"", b"x", b"9" * 21):
        engine.clear()
        engine.receive("n2", Ask(2, "trace", word))
        assert [m.json for m in engine.sent("n2") if isinstance(m, Answer)] == [b"{}"]


def test_a_trace_keeps_so_many_steps() -> None:
    trace = Trace(Engine().node.shared, 0.0, lambda now, out: None)
    for _ in range(TRACE_STEPS_MAX + 3):
        trace.note(Step("load", 0.0))
    assert (len(trace.steps), trace.dropped) == (TRACE_STEPS_MAX, 3)


def told_by(owners: Owners, at: int, *name: bytes) -> Any:
    """DYN.TRACES at a node."""
    owners.replies.clear()
    owners.ask(at, Inspect("traces", arguments=name))
    (result,) = owners.replies.values()
    return json.loads(result.json) if isinstance(result, Document) else result


def test_what_was_followed_is_kept_without_its_values(five: Owners) -> None:
    """By the node that was asked, under an id of its own; no other node has it, and nobody has what never was."""
    put = traced(five, 0, Put(KEY, b"secret"))
    get = traced(five, 0, Get(KEY))
    assert [put["id"], get["id"]] == ["n1-1", "n1-2"]
    listed = told_by(five, 0)
    assert [(t["id"], t["op"], t["error"]) for t in listed["traces"]] == [("n1-1", "put", None), ("n1-2", "get", None)]
    assert listed["traces"][1]["steps"] == len(get["steps"])
    again = told_by(five, 0, b"n1-2")
    assert again == {**get, "result": {"values": 1}}
    assert get["result"]["values"][0]["value"] == "secret"
    assert "secret" not in json.dumps(listed) + json.dumps(again)
    assert told_by(five, 1)["traces"] == []
    for name_ in (b"n1-3", b"\xff", b""):
        missing = told_by(five, 0, name_)
        assert isinstance(missing, Failed)


def test_so_many_traces_are_kept_and_so_many_bytes() -> None:
    """The oldest goes; one that is larger than all may be is not kept at all."""
    kept = TracesKept(Engine().node.shared)
    fields = dict.fromkeys(("op", "key", "enc", "node", "answered_ms", "followed_ms"))
    for number in range(TRACES_KEPT + 3):
        kept.keep({**fields, "steps": [number], "result": {"error": {"code": "UNKNOWN", "text": "x"}}}, 0.0)
    assert [trace.name for trace in kept.traces][:: TRACES_KEPT - 1] == ["n1-4", f"n1-{TRACES_KEPT + 3}"]
    assert kept.traces[0].summary["error"] == "UNKNOWN"
    for size in (TRACES_KEPT_BYTES // 3,) * 5:
        kept.keep({**fields, "steps": ["x" * size], "result": {}}, 0.0)
        assert kept.bytes == sum(len(trace.json) for trace in kept.traces) <= TRACES_KEPT_BYTES
    assert len(kept.traces) == 2
    told = kept.keep({**fields, "steps": ["x" * TRACES_KEPT_BYTES], "result": {}}, 0.0)
    assert len(kept.traces) == 2
    assert told["id"] == f"n1-{TRACES_KEPT + 9}"
    assert kept.find("n1-1") is None


def test_every_handler_that_a_request_has_is_passed_on() -> None:
    """One that is missing here would leave a traced request without its answer."""
    handlers = {name for name, _ in inspect.getmembers(Operation, inspect.isfunction)} - {"__init__", "end", "renew"}
    for kind in (GetOperation, PutOperation, ForwardOperation, UnsealedRead):
        own = {n for n in handlers if getattr(kind, n) is not getattr(Operation, n)}
        passed = {n for n in own if getattr(Traced, n) is not getattr(Operation, n)}
        assert own == passed, kind


def test_a_request_under_trace_ends_as_it_does_without(five: Owners) -> None:
    """The same answers and the same rows, through each node."""
    plain, followed = Owners(sims(5)), five
    for at in range(5):
        for n, of in enumerate((Put(b"k", b"v%d" % at, cover=True), Put(b"d", None, cover=True), Get(b"k", r=3))):
            plain.ask(at, of, 10 * at + n)
            traced(followed, at, of)
        plain.wait(1)
        followed.wait(1)
    for one, other in zip(plain.all, followed.all, strict=True):
        assert dict(one.store.scan(0, 1, b"", 100).items).keys() == dict(other.store.scan(0, 1, b"", 100).items).keys()
    assert TRACE_TAIL_AWAY_S < TRACE_TAIL_S


def test_a_trace_ends_soon_after_the_deadline_of_its_request() -> None:
    """Its client listens for 0.2 s longer than that, and no more."""
    engine = Engine(5)
    key = engine.key_owned_by_others()
    ticket = engine.ask(following(Put(key, b"v", timeout_ms=1000)))
    engine.wait(1.0)
    engine.wait(TRACE_LATE_S + 0.05)
    result = engine.replies[ticket]
    assert isinstance(result, Document)
    document = json.loads(result.json)
    assert document["result"]["error"]["code"] == "UNKNOWN"
    assert len(document["untold"]) == 1
    assert TRACE_LATE_S <= 0.1
