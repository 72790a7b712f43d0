"""Writes under coordination: what goes out when, and the three honest endings."""

from __future__ import annotations

import pytest

from node.core.cluster import Quorums
from node.core.ids import partition_of
from node.core.limits import KEY_BYTES_MAX, TIMEOUT_MS_MAX, VALUE_BYTES_MAX
from node.core.row import Actor
from node.core.version import advance, merge
from node.engine.events import Persisted
from node.storage.port import Adopt, Adopted, Advance, Refusal, Refused
from node.wire.messages import Outdated, Replicate, Replicated
from node.wire.requests import Failed, Put, Written
from node.wire.rows import decode_row, encode_row
from tests.helpers.engine import EPOCH, KEY, Engine, node_id, row_of


def ack(engine: Engine, name: str, *, row: bytes | None = None, refused: str = "") -> None:
    """`name` answers the last Replicate it got."""
    asked = [m for m in engine.sent(name) if isinstance(m, Replicate)][-1]
    engine.receive(name, Replicated(asked.rid, not refused, row, refused))


def failed(engine: Engine, ticket: int, code: str) -> str:
    """The request ended with this error; returns its text."""
    result = engine.replies[ticket]
    assert isinstance(result, Failed), result
    assert result.code == code
    return result.text


def test_nothing_leaves_before_the_local_commit() -> None:
    """Commit first, then fan out (paper, section 4.5): no peer hears of a write that is not durable here."""
    engine = Engine()
    ticket = engine.ask(Put(KEY, b"v", cover=True))
    assert not engine.sent("n2")
    assert not engine.sent("n3")
    row = engine.store()
    assert [m.row for m in engine.sent("n2") if isinstance(m, Replicate)] == [encode_row(row)]
    assert ticket not in engine.replies, "answered with one copy of two"
    ack(engine, "n2")
    result = engine.replies[ticket]
    assert isinstance(result, Written)
    assert [a.node for a in result.acks] == ["n1", "n2"]
    assert result.w == 2


def test_not_done_stores_nothing() -> None:
    """Too few owners answer: UNAVAILABLE, and no effect that could show up later."""
    engine = Engine()
    engine.down("n2")
    engine.down("n3")
    ticket = engine.ask(Put(KEY, b"v", cover=True))
    text = failed(engine, ticket, "UNAVAILABLE")
    assert text == "1 of the 2 nodes needed can be reached (n2 down, n3 down); nothing was stored"
    assert not engine.out.persists
    assert not engine.out.sends


def test_one_owner_down_still_meets_w() -> None:
    """R and W below N are there for this."""
    engine = Engine()
    engine.down("n2")
    ticket = engine.ask(Put(KEY, b"v", cover=True))
    engine.store()
    assert not engine.sent("n2")
    ack(engine, "n3")
    assert isinstance(engine.replies[ticket], Written)


def test_after_the_local_commit_failure_is_unknown() -> None:
    """What is durable somewhere may still take effect, and the answer says so, with the numbers."""
    engine = Engine()
    ticket = engine.ask(Put(KEY, b"v", cover=True))
    engine.store()
    engine.down("n2")
    ack(engine, "n3", refused="disk full")
    text = failed(engine, ticket, "UNKNOWN")
    assert text == "wrote 1 of 2 (n1), n2 down, n3 refused (disk full); the write may still take effect"


def test_deadline_is_unknown() -> None:
    """Silence ends at the deadline, not later."""
    engine = Engine()
    ticket = engine.ask(Put(KEY, b"v", cover=True, timeout_ms=500))
    engine.store()
    engine.wait(0.4)
    assert ticket not in engine.replies
    engine.wait(0.15)
    assert "wrote 1 of 2 (n1), n2 timed out, n3 timed out" in failed(engine, ticket, "UNKNOWN")


def test_late_acks_find_nobody() -> None:
    """An answer that comes after the end changes nothing."""
    engine = Engine()
    ticket = engine.ask(Put(KEY, b"v", cover=True, timeout_ms=500))
    engine.store()
    engine.wait(1)
    ack(engine, "n2")
    assert list(engine.replies) == [ticket]


def test_a_set_commits_again_over_what_an_owner_reports() -> None:
    """SETs one after another never conflict: what the coordinator did not know is covered before the answer."""
    engine = Engine()
    ticket = engine.ask(Put(KEY, b"new", cover=True))
    mine = engine.store()
    older = row_of(b"old", epoch=2)
    ack(engine, "n2", row=encode_row(merge(mine, older)))
    assert ticket not in engine.replies, "answered although an owner holds a version it did not cover"
    write = engine.out.persists[0][1]
    assert isinstance(write, Advance)
    assert write.context == merge(mine, older).clock
    engine.store(mine)
    ack(engine, "n2")
    assert isinstance(engine.replies[ticket], Written)


@pytest.mark.parametrize("cover", [True, False])
def test_a_set_covers_what_came_into_the_row_that_it_had_to_send_again(cover: bool) -> None:
    """Owners in a later reap round get the row as it is held by then, others' writes too; they find nothing to report.

    Seed 1190: between a SET's commit and that, a hand-over brought a write that was acknowledged before it began.
    """
    engine = Engine()
    ticket = engine.ask(Put(KEY, b"new", cover=cover))
    mine = engine.store()
    asked = [m for m in engine.sent("n2") if isinstance(m, Replicate)][-1]
    engine.receive("n2", Outdated(asked.rid, KEY, (), 4))
    partition, partitions = partition_of(KEY, 64), 64
    (adopting,) = [each for each, write in engine.out.persists if isinstance(write, Adopt)]
    engine.out.persists.clear()
    engine.step(Persisted([(adopting, Adopted(True, partition, partitions, 4, ()))]))
    held = merge(mine, row_of(b"acknowledged before", epoch=2))
    engine.load(held)
    ack(engine, "n2")
    if cover:
        assert ticket not in engine.replies, "answered beside a version that it did not cover"
        write = engine.out.persists[0][1]
        assert isinstance(write, Advance)
        assert write.context == held.clock
        engine.store(held)
        ack(engine, "n2")
    assert isinstance(engine.replies[ticket], Written)


@pytest.mark.parametrize("later", [b"later", None])
def test_a_set_does_not_cover_who_had_seen_it(later: bytes | None) -> None:
    """Another client read the SET's value before it was answered, and wrote or deleted over it: that one is last."""
    engine = Engine()
    ticket = engine.ask(Put(KEY, b"new", cover=True))
    mine = engine.store()
    asked = [m for m in engine.sent("n2") if isinstance(m, Replicate)][-1]
    over, _ = advance(mine, mine.clock, Actor(2, 1), later, written_at_ms=0, writer="")
    engine.receive("n2", Outdated(asked.rid, KEY, (), 4))
    (adopting,) = [each for each, write in engine.out.persists if isinstance(write, Adopt)]
    engine.out.persists.clear()
    engine.step(Persisted([(adopting, Adopted(True, partition_of(KEY, 64), 64, 4, ()))]))
    engine.load(over)
    ack(engine, "n2")
    assert isinstance(engine.replies[ticket], Written)
    assert not [write for _, write in engine.out.persists if isinstance(write, Advance)]


def test_acks_of_the_first_commit_do_not_count_for_the_second() -> None:
    """Each commit has its own conversation: a late ack of the first says nothing about the second."""
    engine = Engine()
    ticket = engine.ask(Put(KEY, b"new", cover=True))
    mine = engine.store()
    first = [m for m in engine.sent("n3") if isinstance(m, Replicate)][-1]
    ack(engine, "n2", row=encode_row(merge(mine, row_of(b"old", epoch=2))))
    engine.store(mine)
    engine.receive("n3", Replicated(first.rid, True, None, ""))
    assert ticket not in engine.replies
    ack(engine, "n2")
    assert ticket in engine.replies


def test_a_put_with_context_keeps_what_it_did_not_see() -> None:
    """Only SET covers what owners report; a put with a context makes a sibling of it."""
    engine = Engine()
    ticket = engine.ask(Put(KEY, b"new"))
    mine = engine.store()
    ack(engine, "n2", row=encode_row(merge(mine, row_of(b"old", epoch=2))))
    result = engine.replies[ticket]
    assert isinstance(result, Written)
    assert result.context


@pytest.mark.parametrize(
    ("put", "code"),
    [
        (Put(b"", b"v"), "ERR"),
        (Put(b"k" * (KEY_BYTES_MAX + 1), b"v"), "TOOBIG"),
        (Put(KEY, b"v" * (VALUE_BYTES_MAX + 1)), "TOOBIG"),
        (Put(KEY, b"v", w=0), "ERR"),
        (Put(KEY, b"v", w=4), "ERR"),
        (Put(KEY, b"v", timeout_ms=0), "ERR"),
        (Put(KEY, b"v", timeout_ms=TIMEOUT_MS_MAX + 1), "ERR"),
        (Put(KEY, b"v", context=b"forged"), "BADCONTEXT"),
        (Put(KEY, None), "BADCONTEXT"),
    ],
)
def test_bad_input_changes_nothing(put: Put, code: str) -> None:
    """A clear error, and no effect at all."""
    engine = Engine()
    failed(engine, engine.ask(put), code)
    assert not engine.out.persists
    assert not engine.out.sends


def test_limits_are_inclusive() -> None:
    """The largest key and value are taken."""
    engine = Engine()
    engine.ask(Put(b"k" * KEY_BYTES_MAX, b"v" * VALUE_BYTES_MAX, cover=True))
    assert engine.out.persists


@pytest.mark.parametrize(
    ("why", "code"), [(Refusal.TOO_MANY_SIBLINGS, "TOOMANYSIBLINGS"), (Refusal.ROW_TOO_BIG, "TOOBIG")]
)
def test_refusals_that_every_owner_would_repeat_end_it(why: Refusal, code: str) -> None:
    """The client must act; nobody else is asked."""
    engine = Engine()
    ticket = engine.ask(Put(KEY, b"v"))
    engine.persisted(Refused(why, "the reason"))
    assert failed(engine, ticket, code) == "the reason"
    assert not engine.out.sends


def test_w_counts_against_what_exists() -> None:
    """A first node alone accepts writes as 1/1/1."""
    engine = Engine(nodes=1)
    ticket = engine.ask(Put(KEY, b"v", cover=True))
    engine.store()
    assert isinstance(engine.replies[ticket], Written)


def test_replicates_carry_the_ring_epoch() -> None:
    """So that an owner of another ring can refuse."""
    engine = Engine()
    engine.ask(Put(KEY, b"v", cover=True))
    engine.store()
    assert [m.epoch for m in engine.sent("n2") if isinstance(m, Replicate)] == [EPOCH]


def test_only_owners_count_and_only_after_the_local_commit() -> None:
    """A word that nobody asked for, too early or from a node that is no owner, makes no quorum and no exception."""
    engine = Engine(nodes=5)
    key = next(k for k in (b"key%d" % i for i in range(1000)) if engine.owners(k)[0] == node_id("n1"))
    others = [name for name in ("n2", "n3", "n4", "n5") if node_id(name) in engine.owners(key)]
    (stranger, *_) = [name for name in ("n2", "n3", "n4", "n5") if name not in others]
    ticket = engine.ask(Put(key, b"v", cover=True))
    rid = engine.out.persists[-1][0]
    engine.receive(others[0], Replicated(rid, True, encode_row(row_of(b"x", epoch=9)), ""))
    assert ticket not in engine.replies
    engine.store()
    engine.receive(stranger, Replicated(rid, True, None, ""))
    assert ticket not in engine.replies
    engine.receive(others[0], Replicated(rid, True, None, ""))
    assert isinstance(engine.replies[ticket], Written)


def test_a_row_from_a_peer_is_merged_only_if_it_is_one() -> None:
    """Bytes from a socket are never trusted."""
    engine = Engine()
    engine.receive("n2", Replicate(5, EPOCH, KEY, b"\x93rubbish"))
    assert engine.sent("n2") == [Replicated(5, False, None, "malformed row")]
    assert not engine.out.persists


def test_a_row_of_another_epoch_is_refused_and_the_rings_compared() -> None:
    """Fencing: who decides under another ring is told, and told the ring."""
    engine = Engine()
    engine.receive("n2", Replicate(5, EPOCH + 1, KEY, encode_row(row_of(b"v"))))
    assert engine.sent("n2") == [Replicated(5, False, None, Refusal.EPOCH.value)]
    assert [type(m).__name__ for m in engine.out.sends[node_id("n2")]] == ["Replicated", "Gossip"]
    assert not engine.out.persists


def test_the_ack_waits_for_the_disk() -> None:
    """Acknowledged means durable: no answer before Persisted."""
    engine = Engine(quorums=Quorums(3, 2, 2))
    row = encode_row(row_of(b"v"))
    engine.receive("n2", Replicate(5, EPOCH, KEY, row))
    assert not engine.sent("n2")
    engine.store(decode_row(row))
    assert engine.sent("n2") == [Replicated(5, True, None, "")]
