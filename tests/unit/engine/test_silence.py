"""Silence is a guess: who is silent is not counted on, but until the deadline its answer counts.

Only a link that broke, or a silence of DOWN_AFTER_S, is a reason to give up before the request's time is over.
"""

from __future__ import annotations

import pytest

from node.core.limits import DOWN_AFTER_S, MISSED_S, PATIENCE_MS_FIRST, PATIENCE_MS_MAX
from node.core.row import EMPTY
from node.engine.load import FIRST
from node.wire.messages import Fetch, Fetched, Forward, Forwarded, Message, Ping, Pong, Replicate, Replicated
from node.wire.requests import Failed, Found, Get, Put, Written
from node.wire.rows import encode_row
from tests.helpers.engine import KEY, Engine, node_id, row_of

DEADLINE_S = 3.0
DONE = Written(b"", (), 2, False, 1)


def silence(engine: Engine, *names: str) -> None:
    """Requests to these, and then the question whether they are there, went unanswered."""
    for name in names:
        engine.node.cluster.peers.silent[node_id(name)] = None


def sent(engine: Engine, name: str, kind: type[Message]) -> list[Message]:
    return [m for m in engine.out.sends.get(node_id(name), []) if type(m) is kind]


def asked(engine: Engine, name: str) -> int:
    """The ticket under which a request asked `name` whether it is there."""
    (rid,) = {m.rid for m in sent(engine, name, Ping) if isinstance(m, Ping) and m.rid}
    return rid


def code(engine: Engine, ticket: int) -> str:
    result = engine.replies.get(ticket)
    return result.code if isinstance(result, Failed) else type(result).__name__


def waiting(engine: Engine) -> list[str]:
    """Requests in flight."""
    kinds = [type(operation).__name__ for operation in engine.node.shared.pending.values()]
    return [kind for kind in kinds if kind in ("PutOperation", "ForwardOperation", "GetOperation")]


# Writes --------------------------------------------------------------------------------------------------


def test_on_a_healthy_network_a_write_is_one_message_an_owner() -> None:
    engine = Engine()
    engine.ask(Put(KEY, b"v", cover=True))
    engine.store()
    assert {peer: [type(m) for m in messages] for peer, messages in engine.out.sends.items()} == {
        node_id("n2"): [Replicate], node_id("n3"): [Replicate],
    }  # fmt: skip


def test_the_silent_are_asked_before_a_write_is_refused() -> None:
    """Nothing is stored until one answers; then the write begins."""
    engine = Engine()
    silence(engine, "n2", "n3")
    ticket = engine.ask(Put(KEY, b"v", cover=True))
    assert (code(engine, ticket), engine.out.persists) == ("NoneType", [])
    engine.now += 1.0
    engine.receive("n3", Pong(asked(engine, "n3")))
    engine.store()
    assert not sent(engine, "n2", Replicate)
    (message,) = sent(engine, "n3", Replicate)
    assert isinstance(message, Replicate)
    engine.receive("n3", Replicated(message.rid, True, None, ""))
    assert code(engine, ticket) == "Written"


def test_if_none_answers_nothing_was_stored() -> None:
    """… and that is said while there would be time for little more."""
    engine = Engine()
    silence(engine, "n2", "n3")
    ticket = engine.ask(Put(KEY, b"v", cover=True))
    engine.pass_time(DEADLINE_S - PATIENCE_MS_MAX / 1000 - 0.05)
    assert code(engine, ticket) == "NoneType"
    engine.pass_time(0.1)
    assert code(engine, ticket) == "UNAVAILABLE"
    assert engine.out.persists == []
    assert not waiting(engine)
    engine.pass_time(DEADLINE_S)


@pytest.mark.parametrize("gone", ["long silent", "no link"])
def test_who_is_certainly_not_there_is_not_waited_for(gone: str) -> None:
    engine = Engine()
    silence(engine, "n2", "n3")
    if gone == "long silent":
        engine.now += DOWN_AFTER_S + 1
        ticket = engine.ask(Put(KEY, b"v", cover=True))
    else:
        ticket = engine.ask(Put(KEY, b"v", cover=True))
        engine.down("n2")
        assert code(engine, ticket) == "NoneType"
        engine.down("n3")
    assert code(engine, ticket) == "UNAVAILABLE"


def stored_then_silent() -> tuple[Engine, int, int]:
    """A write that is committed here when both other owners fall silent: its ticket and that of its messages."""
    engine = Engine()
    ticket = engine.ask(Put(KEY, b"v", cover=True))
    engine.store()
    (message,) = sent(engine, "n2", Replicate)
    assert isinstance(message, Replicate)
    engine.pass_time(PATIENCE_MS_FIRST / 1000 + 0.02)
    engine.pass_time(MISSED_S + 0.01)
    assert {engine.node.cluster.health(node_id(name), engine.now) for name in ("n2", "n3")} == {"down"}
    assert code(engine, ticket) == "NoneType"
    return engine, ticket, message.rid


def test_a_late_answer_of_the_silent_counts() -> None:
    engine, ticket, rid = stored_then_silent()
    engine.now += 1.0
    engine.receive("n2", Replicated(rid, True, None, ""))
    result = engine.replies[ticket]
    assert isinstance(result, Written)
    assert [ack.node for ack in result.acks] == ["n1", "n2"]


def test_if_none_of_the_silent_answers_it_is_unknown_at_the_deadline() -> None:
    engine, ticket, _ = stored_then_silent()
    engine.pass_time(DEADLINE_S - 0.5)
    assert code(engine, ticket) == "NoneType"
    engine.pass_time(0.5)
    assert code(engine, ticket) == "UNKNOWN"
    assert not waiting(engine)


def test_if_the_links_of_all_break_it_is_unknown_at_once() -> None:
    engine, ticket, _ = stored_then_silent()
    engine.down("n2")
    assert code(engine, ticket) == "NoneType"
    engine.down("n3")
    assert code(engine, ticket) == "UNKNOWN"


def test_a_refusal_of_the_silent_is_an_answer() -> None:
    engine, ticket, rid = stored_then_silent()
    engine.receive("n2", Replicated(rid, False, None, "disk full"))
    engine.receive("n3", Replicated(rid, False, None, "disk full"))
    assert code(engine, ticket) == "UNKNOWN"


# Writes of others ----------------------------------------------------------------------------------------


def test_a_write_for_others_is_handed_to_the_first_of_the_silent_that_answers() -> None:
    engine = Engine(nodes=5)
    key = engine.key_owned_by_others()
    names = [name for name in ("n2", "n3", "n4", "n5") if node_id(name) in engine.owners(key)]
    silence(engine, *names)
    ticket = engine.ask(Put(key, b"v", cover=True, strict=True))
    engine.now += 1.0
    engine.receive(names[1], Pong(asked(engine, names[1])))
    engine.receive(names[0], Pong(asked(engine, names[0])))
    assert not sent(engine, names[0], Forward), "handed over once"
    (forward,) = sent(engine, names[1], Forward)
    assert isinstance(forward, Forward)
    engine.receive(names[1], Forwarded(forward.rid, "", DONE))
    assert engine.replies[ticket] == DONE


def test_if_no_coordinator_answers_nothing_was_stored() -> None:
    engine = Engine(nodes=5)
    key = engine.key_owned_by_others()
    silence(engine, *[name for name in ("n2", "n3", "n4", "n5") if node_id(name) in engine.owners(key)])
    ticket = engine.ask(Put(key, b"v", cover=True, strict=True))
    engine.pass_time(DEADLINE_S - PATIENCE_MS_MAX / 1000 - 0.05)
    assert code(engine, ticket) == "NoneType"
    engine.pass_time(0.1)
    assert code(engine, ticket) == "UNAVAILABLE"
    assert not waiting(engine)


# Reads ---------------------------------------------------------------------------------------------------


def read_of_the_silent() -> tuple[Engine, int, int]:
    """A read of which only this owner's row is at hand: its ticket and that of its messages."""
    engine = Engine()
    silence(engine, "n2", "n3")
    ticket = engine.ask(Get(KEY))
    engine.load(EMPTY)
    fetches = [fetch for name in ("n2", "n3") for fetch in sent(engine, name, Fetch)]
    assert len(fetches) == 2
    assert isinstance(fetches[0], Fetch)
    assert code(engine, ticket) == "NoneType"
    return engine, ticket, fetches[0].rid


def test_silent_owners_are_read_when_there_are_no_others() -> None:
    engine, ticket, rid = read_of_the_silent()
    engine.now += 1.0
    row = row_of(b"v")
    engine.receive("n3", Fetched(rid, encode_row(row), ""))
    result = engine.replies[ticket]
    assert isinstance(result, Found)
    assert result.row == row


def test_if_no_silent_owner_answers_the_read_fails_at_the_deadline() -> None:
    engine, ticket, _ = read_of_the_silent()
    engine.pass_time(DEADLINE_S - 0.05)
    assert code(engine, ticket) == "NoneType"
    engine.pass_time(0.1)
    assert code(engine, ticket) == "UNAVAILABLE"


@pytest.mark.parametrize("how", ["refused", "no link"])
def test_a_silent_owner_that_cannot_say_is_not_asked_again(how: str) -> None:
    engine, ticket, rid = read_of_the_silent()
    for name in ("n2", "n3"):
        if how == "refused":
            engine.receive(name, Fetched(rid, None, "unreadable"))
        else:
            engine.down(name)
    assert code(engine, ticket) == "UNAVAILABLE"
    assert [len(sent(engine, name, Fetch)) for name in ("n2", "n3")] == [1, 1]


def test_an_owner_that_falls_silent_during_a_read_may_answer_yet() -> None:
    """The other one's link breaks: nobody else is left."""
    engine = Engine()
    ticket = engine.ask(Get(KEY))
    engine.load(EMPTY)
    engine.pass_time(PATIENCE_MS_FIRST / 1000 + 0.02)
    engine.pass_time(MISSED_S + 0.01)
    silent, other = sorted(("n2", "n3"), key=lambda name: engine.node.cluster.health(node_id(name), engine.now))
    assert engine.node.cluster.health(node_id(silent), engine.now) == "down"
    engine.down(other)
    assert code(engine, ticket) == "NoneType"
    (fetch, *_) = sent(engine, silent, Fetch)
    assert isinstance(fetch, Fetch)
    engine.receive(silent, Fetched(fetch.rid, encode_row(row_of(b"v")), ""))
    assert code(engine, ticket) == "Found"


# Their place ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["write", "read", "delete", "forward"])
def test_requests_that_wait_for_the_silent_do_not_close_the_door(kind: str) -> None:
    """They are no work that does not get done: keys whose owners answer are taken as before."""
    engine = Engine(nodes=5 if kind == "forward" else 3)
    load, key = engine.node.shared.load, KEY
    if kind == "forward":
        key = engine.key_owned_by_others()
    silence(engine, "n2", "n3", "n4", "n5")
    request = {"write": Put(key, b"v", cover=True), "read": Get(key), "delete": Put(key, None, cover=True)}
    strict = Put(key, b"v", cover=True, strict=True)
    for _ in range(1000):
        engine.pass_time(0.004)
        engine.ask(request.get(kind, strict))
        while engine.out.loads:
            engine.load(None)
    assert len(waiting(engine)) > 500
    assert engine.replies
    assert (load.waiting, load.refused, load.bound) == (0, 0, FIRST * load.least)
    engine.pass_time(DEADLINE_S + 0.1)
    assert len(engine.replies) == 1000
    assert (load.waiting, load.bound) == (0, FIRST * load.least)


def test_a_forward_that_has_no_answer_for_longer_than_usual_takes_no_place() -> None:
    engine = Engine(nodes=5)
    ticket = engine.ask(Put(engine.key_owned_by_others(), b"v", cover=True))
    assert engine.node.shared.load.waiting == 1
    engine.pass_time(PATIENCE_MS_MAX / 1000)
    assert (code(engine, ticket), engine.node.shared.load.waiting) == ("NoneType", 0)
    engine.pass_time(DEADLINE_S)
    assert (code(engine, ticket), engine.node.shared.load.waiting) == ("UNKNOWN", 0)


def test_a_write_whose_quorum_fell_silent_takes_no_place() -> None:
    engine, ticket, rid = stored_then_silent()
    assert engine.node.shared.load.waiting == 0
    engine.receive("n2", Replicated(rid, True, None, ""))
    assert (code(engine, ticket), engine.node.shared.load.waiting) == ("Written", 0)


def test_a_write_that_goes_on_counts_again() -> None:
    """With the answer of one node all that waited for it becomes work at once: nothing new is taken on beside that."""
    engine = Engine()
    silence(engine, "n2", "n3")
    ticket = engine.ask(Put(KEY, b"v", cover=True))
    rid = asked(engine, "n3")
    engine.receive("n3", Pong(rid))
    assert engine.node.shared.load.waiting == 1
    engine.store()
    engine.receive("n3", Replicated(rid, True, None, ""))
    assert (code(engine, ticket), engine.node.shared.load.waiting) == ("Written", 0)
