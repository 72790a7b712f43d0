"""Writes whose receiver is no owner: handed on once, repeated only after a refusal, unknown when unclear."""

from __future__ import annotations

from node.core.limits import HOPS_MAX, MISSED_S, PATIENCE_MS_FIRST
from node.storage.port import Advance, Refusal, Refused
from node.wire.messages import BUSY, Forward, Forwarded, Ping, Pong, Replicate, Replicated
from node.wire.requests import Failed, Put, Written
from tests.helpers.engine import EPOCH, KEY, Engine, node_id

DONE = Written(b"", (), 2, False, 1)


def forwards(engine: Engine) -> list[tuple[str, Forward]]:
    """Who was handed the write, in order."""
    return [
        (name, m) for name in ("n2", "n3", "n4", "n5") for m in engine.sent(name) if isinstance(m, Forward)
    ]  # fmt: skip


def start(*, strict: bool = False) -> tuple[Engine, int, str, Forward]:
    """A write that n1 must forward: the engine, the ticket, the target and what it got."""
    engine = Engine(nodes=5)
    ticket = engine.ask(Put(engine.key_owned_by_others(), b"v", cover=True, strict=strict))
    ((name, forward),) = forwards(engine)
    return engine, ticket, name, forward


def refuse_all(engine: Engine, ticket: int, why: str) -> set[str]:
    """Everybody who is asked refuses, until the request is answered or n1 takes it on itself; returns who was asked."""
    asked: set[str] = set()
    while ticket not in engine.replies and not engine.out.persists:
        name, forward = next((n, f) for n, f in forwards(engine) if n not in asked)
        asked.add(name)
        engine.receive(name, Forwarded(forward.rid, why, None))
    return asked


def test_an_owner_coordinates() -> None:
    """The result comes back as it is; nothing is stored here."""
    engine, ticket, name, forward = start()
    assert forward.hops == 1
    assert not engine.out.persists
    engine.receive(name, Forwarded(forward.rid, "", DONE))
    assert engine.replies[ticket] == DONE


def test_a_refusal_asks_the_next_owner() -> None:
    """A refusal comes before any commit, so another owner may be asked."""
    engine, ticket, name, forward = start()
    engine.receive(name, Forwarded(forward.rid, "busy", None))
    others = [(n, f) for n, f in forwards(engine) if n != name]
    assert len(others) == 1
    engine.receive(others[0][0], Forwarded(others[0][1].rid, "", DONE))
    assert engine.replies[ticket] == DONE


def test_an_unclear_fate_is_unknown_and_never_repeated() -> None:
    """The link broke: a second coordinator would mint a second dot."""
    engine, ticket, name, _ = start()
    engine.down(name)
    result = engine.replies[ticket]
    assert isinstance(result, Failed)
    assert result.code == "UNKNOWN"
    assert name in result.text
    assert len(forwards(engine)) == 1


def test_no_owner_at_all_is_not_done_when_strict() -> None:
    """Only owners count, and all refused: nothing was stored anywhere, and the answer names each."""
    engine, ticket, _, _ = start(strict=True)
    asked = refuse_all(engine, ticket, Refusal.STOPPED.value)
    result = engine.replies[ticket]
    assert isinstance(result, Failed)
    assert result.code == "UNAVAILABLE"
    assert all(f"{name} storage stopped" in result.text for name in asked)
    assert len(asked) == 3


def test_if_no_owner_takes_it_a_stand_in_does() -> None:
    """A write is never refused because owners are; n1 is in every preference list of five, and takes it in its turn."""
    engine, ticket, _, _ = start()
    asked = refuse_all(engine, ticket, Refusal.STOPPED.value)
    assert len(asked) in (3, 4)
    _, write = engine.take_persist()
    assert isinstance(write, Advance)
    assert write.owed is not None, "it is not its own: there is an owner to hand it to"
    assert write.owed.targets == engine.owners(write.key)[:1]


def test_two_busy_coordinators_are_enough() -> None:
    """To ask all of them, and stand-ins that make hints, multiplies the work just when there is too much of it."""
    engine, ticket, _, _ = start()
    asked = refuse_all(engine, ticket, BUSY)
    result = engine.replies[ticket]
    assert isinstance(result, Failed)
    assert result.code == "BUSY"
    assert len(asked) == 2
    assert all(name in result.text for name in asked)
    assert not engine.out.persists


def test_full_disks_everywhere_are_told_as_such() -> None:
    """-DISKFULL names the nodes to free space on."""
    engine, ticket, _, _ = start(strict=True)
    refuse_all(engine, ticket, Refusal.DISK_FULL.value)
    result = engine.replies[ticket]
    assert isinstance(result, Failed)
    assert result.code == "DISKFULL"


def test_the_deadline_is_unknown() -> None:
    """The coordinator may have committed."""
    engine, ticket, name, _ = start()
    engine.wait(3.1)
    assert engine.replies[ticket] == Failed(
        "UNKNOWN", f"forwarded to {name}, which gave no answer in time; the write may still take effect"
    )


def test_a_coordinator_that_is_silent_may_answer_until_the_deadline() -> None:
    """It answers neither the forward nor the question: packets may be lost, and its word is worth waiting for."""
    engine, ticket, name, forward = start()
    engine.pass_time(PATIENCE_MS_FIRST / 1000 + 0.02)
    engine.pass_time(MISSED_S + 0.01)
    assert engine.node.cluster.health(node_id(name), engine.now) == "down"
    assert ticket not in engine.replies
    engine.receive(name, Forwarded(forward.rid, "", DONE))
    assert engine.replies[ticket] == DONE


def test_who_has_not_answered_lately_is_asked_before_it_is_handed_a_write() -> None:
    """What is lost on the way would be unknown; who does not even answer costs a moment, and the next one is asked."""
    engine = Engine(nodes=5)
    engine.now += 1.0
    ticket = engine.ask(Put(engine.key_owned_by_others(), b"v", cover=True))
    (first,) = pinged(engine)
    assert forwards(engine) == []
    engine.clear()
    engine.pass_time(PATIENCE_MS_FIRST / 1000 + 0.02)
    (second,) = [name for name in pinged(engine, ticket=True) if name != first]
    assert forwards(engine) == []
    rid = next(m.rid for m in engine.out.sends[node_id(second)] if isinstance(m, Ping) and m.rid)
    engine.receive(second, Pong(rid))
    engine.receive(first, Pong(rid))
    ((name, forward),) = forwards(engine)
    assert name == second, "one is handed it, the first who answers"
    engine.receive(second, Forwarded(forward.rid, "", DONE))
    assert engine.replies[ticket] == DONE


def pinged(engine: Engine, *, ticket: bool = True) -> list[str]:
    """Who was asked whether it is there, for the sake of a write."""
    names = ("n2", "n3", "n4", "n5")
    asked = {name: engine.out.sends.get(node_id(name), []) for name in names}
    return [name for name in names if any(isinstance(m, Ping) and bool(m.rid) is ticket for m in asked[name])]


def forward_to(engine: Engine, key: bytes, *, hops: int = 1, strict: bool = False) -> None:
    """n2 hands n1 a write."""
    engine.receive("n2", Forward(9, EPOCH, hops, key, b"v", (), True, 2, strict, 1000, "w"))


def test_a_node_that_is_no_owner_refuses_a_strict_write() -> None:
    """Its copy would not count."""
    engine = Engine(nodes=5)
    forward_to(engine, engine.key_owned_by_others(), strict=True)
    assert engine.sent("n2") == [Forwarded(9, "not an owner", None)]


def test_a_node_without_a_seat_in_the_ring_refuses() -> None:
    """Two nodes that disagree about the ring must not pass a write round."""
    engine = Engine(nodes=5, me="n9")
    forward_to(engine, KEY)
    assert engine.sent("n2") == [Forwarded(9, "not in the preference list", None)]


def test_the_hop_guard() -> None:
    """No forward of a forward."""
    engine = Engine()
    forward_to(engine, KEY, hops=HOPS_MAX + 1)
    assert engine.sent("n2") == [Forwarded(9, "forwarded too often", None)]


def test_a_forward_is_coordinated_like_any_write() -> None:
    """Commit, fan out, and the result goes back to the forwarder."""
    engine = Engine()
    forward_to(engine, KEY)
    engine.store()
    replicate = next(m for m in engine.sent("n3") if isinstance(m, Replicate))
    engine.receive("n3", Replicated(replicate.rid, True, None, ""))
    result = next(m for m in engine.sent("n2") if isinstance(m, Forwarded)).result
    assert isinstance(result, Written)
    assert [ack.node for ack in result.acks] == ["n1", "n3"]


def test_an_owner_whose_store_stopped_refuses_before_any_commit() -> None:
    """The forwarder may then ask another owner."""
    engine = Engine()
    forward_to(engine, KEY)
    engine.persisted(Refused(Refusal.STOPPED, "EIO"))
    assert [m for m in engine.sent("n2") if isinstance(m, Forwarded)] == [
        Forwarded(9, Refusal.STOPPED.value, None)
    ]  # fmt: skip


def test_a_receiver_whose_own_store_stopped_asks_another_owner() -> None:
    """A put is never refused because one disk is broken."""
    engine = Engine()
    ticket = engine.ask(Put(KEY, b"v", cover=True))
    engine.persisted(Refused(Refusal.STOPPED, "EIO"))
    ((name, forward),) = forwards(engine)
    engine.receive(name, Forwarded(forward.rid, "", DONE))
    assert engine.replies[ticket] == DONE


def test_a_write_that_was_under_way_when_the_disk_failed_is_unknown_and_goes_to_nobody_else() -> None:
    """Its commit may be in the log: after a restart a row that was told as not done was there, and a second one."""
    words = "the disk failed while this was stored (EIO); the write may still take effect"
    engine = Engine()
    ticket = engine.ask(Put(KEY, b"v", cover=True))
    engine.persisted(Refused(Refusal.UNCLEAR, words))
    assert engine.replies[ticket] == Failed("UNKNOWN", words)
    assert not forwards(engine)
    owner = Engine()
    forward_to(owner, KEY)
    owner.persisted(Refused(Refusal.UNCLEAR, words))
    assert owner.sent("n2") == [Forwarded(9, "", Failed("UNKNOWN", words))]
