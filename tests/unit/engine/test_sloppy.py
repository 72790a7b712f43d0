"""Sloppy quorum: who stands in for whom, what counts, and what is left for whom (paper, section 4.6)."""

from __future__ import annotations

import pytest

from node.core.limits import MISSED_S, PATIENCE_MS_FIRST, PATIENCE_MS_MAX
from node.core.row import Row
from node.core.version import merge
from node.engine.put import PutOperation
from node.storage.port import Advance, Merge, Refusal, Refused
from node.wire.messages import Fetch, Fetched, Forward, Replicate, Replicated
from node.wire.requests import Ack, Failed, Found, Get, Put, Written
from node.wire.rows import encode_row
from tests.helpers.engine import KEY, Engine, node_id, row_of
from tests.helpers.five import NAMES, Five


def test_an_owner_that_is_down_has_a_stand_in_at_once() -> None:
    """The first healthy node of the list gets the row, with a hint that names the owner."""
    five = Five()
    _, second, third = five.owners
    five.engine.down(third)
    ticket = five.put()
    five.engine.store()
    assert not five.asked(third)
    assert [m.hint_for for m in five.asked(five.stand_ins[0])] == [(node_id(third),)]
    assert [m.hint_for for m in five.asked(second)] == [()]
    five.ack(five.stand_ins[0])
    assert five.acks(ticket) == [("n1", None), (five.stand_ins[0], third)]
    assert isinstance(five.engine.replies[ticket], Written)
    assert Ack("x", True).hint_for is None


def test_w_is_met_while_any_w_nodes_of_the_list_answer() -> None:
    """Both other owners are down: two stand-ins make it three copies."""
    five = Five()
    for owner in five.owners[1:]:
        five.engine.down(owner)
    ticket = five.put()
    five.engine.store()
    first, second = five.stand_ins
    five.ack(second)
    assert five.acks(ticket) == [("n1", None), (second, five.owners[2])]
    assert five.asked(first)[-1].hint_for == (node_id(five.owners[1]),)


def test_an_owner_and_its_stand_in_are_one_place() -> None:
    """W counts owners' places: after the hand-over both copies are one."""
    five = Five()
    _, second, third = five.owners
    five.engine.down(third)
    ticket = five.engine.ask(Put(five.key, b"v", cover=True, w=3))
    five.engine.store()
    five.ack(five.stand_ins[0])
    rid = five.asked(second)[-1].rid
    five.engine.receive(third, Replicated(rid, True, None, ""))
    assert ticket not in five.engine.replies, "the third owner and who stands in for it were counted as two"
    five.ack(second)
    assert len(five.acks(ticket)) == 3


def test_silence_for_longer_than_usual_asks_a_stand_in() -> None:
    """While W is not met; a late owner counts all the same."""
    five = Five()
    ticket = five.put()
    five.engine.store()
    assert not five.asked(five.stand_ins[0])
    five.engine.wait(PATIENCE_MS_MAX / 1000)
    assert [m.hint_for for m in five.asked(five.stand_ins[0])] == [(node_id(five.owners[1]),)]
    assert [m.hint_for for m in five.asked(five.stand_ins[1])] == [(node_id(five.owners[2]),)]
    five.ack(five.owners[2])
    assert five.acks(ticket) == [("n1", None), (five.owners[2], None)]


def say_nothing(five: Five, seconds: float) -> None:
    """Time passes as it does, and nobody answers anything."""
    for _ in range(round(seconds / 0.01) + 1):
        five.engine.pass_time(0.01)


def test_a_stand_in_that_is_silent_itself_is_followed_by_the_next_one() -> None:
    """Its machine lost power with the owner's, say, and nobody has missed it yet: it is missed by what it was asked."""
    five = Five()
    ticket = five.engine.ask(Put(five.key, b"v", cover=True, w=3))
    five.engine.store()
    five.ack(five.owners[1])
    say_nothing(five, PATIENCE_MS_FIRST / 1000 + 0.02)
    assert five.asked(five.stand_ins[0])
    say_nothing(five, 2 * MISSED_S + 0.02)
    assert [m.hint_for for m in five.asked(five.stand_ins[1])] == [(node_id(five.owners[2]),)]
    five.ack(five.stand_ins[1])
    assert five.acks(ticket) == [("n1", None), (five.owners[1], None), (five.stand_ins[1], five.owners[2])]


@pytest.mark.parametrize("end", ["silent", "refuses", "refuses, its owner slow", "down before its owner"])
def test_a_write_goes_on_behind_any_number_of_stand_ins_that_fail(end: str) -> None:
    """One place of three is left, and two stand-ins in a row do not fill it: the third one does."""
    eight = Five(nodes=8)
    last = eight.owners[2]
    ticket = eight.engine.ask(Put(eight.key, b"v", cover=True, w=3))
    eight.engine.store()
    eight.ack(eight.owners[1])
    if end == "refuses":
        eight.engine.down(last)
    for stand_in in eight.stand_ins[:2]:
        say_nothing(eight, 0.5)
        assert eight.asked(stand_in), f"{stand_in} was not asked"
        if end.startswith("refuses"):
            eight.ack(stand_in, refused="disk full")
        elif end == "down before its owner":
            eight.engine.down(stand_in)
    if end == "down before its owner":
        eight.engine.down(last)
    say_nothing(eight, 0.5)
    eight.ack(eight.stand_ins[2])
    assert eight.acks(ticket)[-1] == (eight.stand_ins[2], last)


def test_a_stand_in_whose_owner_answers_after_all_stands_in_for_another() -> None:
    """Seed 46063: of three owners one was slow and one was gone, and with one node more W=3 was not met."""
    four = Five(nodes=4)
    _, second, third = four.owners
    (stand_in,) = four.stand_ins
    ticket = four.engine.ask(Put(four.key, b"v", cover=True, w=3))
    four.engine.store()
    four.engine.wait(PATIENCE_MS_FIRST / 1000 + 0.02)
    assert [m.hint_for for m in four.asked(stand_in)] == [(node_id(second),)]
    four.ack(second)
    four.engine.clear()
    four.engine.wait(MISSED_S + 0.02)
    assert [m.hint_for for m in four.asked(stand_in)] == [(node_id(third),)]
    assert (third,) in four.owed(), "what it has already may count, and has no hint for this owner"
    four.ack(stand_in)
    assert (stand_in, third) in four.acks(ticket)


def test_patience_counts_from_our_own_commit() -> None:
    """A slow disk of ours says nothing about the others: they are asked when they have had time, and only then."""
    five = Five()
    five.put()
    say_nothing(five, 1.0)
    five.engine.store()
    say_nothing(five, PATIENCE_MS_FIRST / 1000 / 2)
    assert not five.asked(five.stand_ins[0]), "asked for owners who had the row for a moment"
    say_nothing(five, PATIENCE_MS_FIRST / 1000)
    assert five.asked(five.stand_ins[0])


def test_a_second_commit_that_takes_long_counts_no_copy_of_the_first() -> None:
    """Two of 10,000 seeds: stand-ins got the first row under the second ticket, and their acknowledgements filled W."""
    five = Five()
    ticket = five.put()
    mine = five.engine.store()
    rid = five.asked(five.owners[1])[-1].rid
    five.engine.receive(five.owners[1], Replicated(rid, True, encode_row(merge(mine, row_of(b"old", epoch=2))), ""))
    sent = [len(five.asked(name)) for name in NAMES]
    say_nothing(five, 1.0)
    five.engine.down(five.owners[2])
    assert [len(five.asked(name)) for name in NAMES] == sent, "a copy of the first row"
    five.engine.receive(five.owners[1], Replicated(rid, True, None, ""))
    assert ticket not in five.engine.replies
    five.engine.store(mine)
    five.ack(five.owners[1])
    assert isinstance(five.engine.replies[ticket], Written)


def test_a_node_that_was_asked_nothing_is_no_hope() -> None:
    """STRICT: owners alone count, and who else is silent keeps nobody waiting."""
    five = Five()
    ticket = five.put(strict=True)
    five.engine.store()
    five.engine.node.cluster.peers.missed(node_id(five.stand_ins[0]), five.engine.now, five.engine.out)
    say_nothing(five, MISSED_S + 0.02)
    for owner in five.owners[1:]:
        five.engine.down(owner)
    result = five.engine.replies[ticket]
    assert isinstance(result, Failed)
    assert result.code == "UNKNOWN"


def test_a_read_goes_on_behind_stand_ins_that_are_silent_themselves() -> None:
    seven = Five(nodes=7)
    ticket = seven.engine.ask(Get(seven.key))
    seven.engine.load(None)
    say_nothing(seven, 1.0)
    fetched(seven, seven.stand_ins[-1], row_of(b"v"))
    assert isinstance(seven.engine.replies[ticket], Found)


def test_a_refusal_and_a_broken_link_ask_a_stand_in_too() -> None:
    """A full disk of an owner is no reason to refuse a client."""
    five = Five()
    _, second, third = five.owners
    ticket = five.put()
    five.engine.store()
    five.ack(second, refused=Refusal.DISK_FULL.value)
    five.engine.down(third)
    assert [m.hint_for for m in five.asked(five.stand_ins[0])] == [(node_id(second),)]
    assert [m.hint_for for m in five.asked(five.stand_ins[1])] == [(node_id(third),)]
    five.engine.down(five.stand_ins[0])
    assert five.owed() == [(second,)], "nobody is left for it: the hint is kept here"
    five.ack(five.stand_ins[1])
    assert five.acks(ticket) == [("n1", None), (five.stand_ins[1], third)]


def test_strict_counts_owners_only() -> None:
    """No stand-in is asked; the owner that is down is remembered here."""
    five = Five()
    five.engine.down(five.owners[2])
    ticket = five.put(strict=True)
    assert five.owed() == [(five.owners[2],)]
    five.engine.store()
    assert not five.asked(five.stand_ins[0])
    five.engine.down(five.owners[1])
    result = five.engine.replies[ticket]
    assert isinstance(result, Failed)
    assert result.code == "UNKNOWN"
    ticket = five.put(strict=True)
    result = five.engine.replies[ticket]
    assert isinstance(result, Failed)
    assert result.code == "UNAVAILABLE"
    assert "1 of the 2 owners needed" in result.text


def test_an_owner_that_is_missed_after_the_answer_gets_a_hint() -> None:
    """W was met without it: it must not miss the write in silence."""
    five = Five()
    ticket = five.put()
    five.engine.store()
    five.ack(five.owners[1])
    assert ticket in five.engine.replies
    assert five.owed() == []
    five.engine.down(five.owners[2])
    assert five.owed() == [(five.owners[2],)]
    assert not five.engine.node.shared.pending


def test_silence_until_the_deadline_leaves_a_hint() -> None:
    five = Five()
    five.put()
    five.engine.store()
    five.ack(five.owners[1])
    five.engine.wait(3.1)
    assert five.owed() == [(five.owners[2],)]
    assert not any(isinstance(o, PutOperation) for o in five.engine.node.shared.pending.values())


def test_no_node_keeps_a_hint_for_itself() -> None:
    """The second commit of a SET is slow: at the deadline the coordinator's own place is open, too."""
    five = Five()
    five.put()
    mine = five.engine.store()
    rid = five.asked(five.owners[1])[-1].rid
    five.engine.receive(five.owners[1], Replicated(rid, True, encode_row(merge(mine, row_of(b"old", epoch=2))), ""))
    five.engine.wait(3.1)
    five.engine.store(mine)
    assert five.owed() == [tuple(five.owners[1:])]


def test_a_second_commit_that_fails_after_the_answer_says_nothing_more() -> None:
    """The quorum was lost while it was under way, and the client was told: one answer (seed 617)."""
    engine = Engine()
    ticket = engine.ask(Put(KEY, b"new", cover=True))
    mine = engine.store()
    rid = next(m for m in engine.sent("n2") if isinstance(m, Replicate)).rid
    engine.receive("n2", Replicated(rid, True, encode_row(merge(mine, row_of(b"old", epoch=2))), ""))
    for name in ("n2", "n3"):
        engine.down(name)
    engine.persisted(Refused(Refusal.DISK_FULL, "disk full"))
    result = engine.replies[ticket]
    assert isinstance(result, Failed)
    assert result.code == "UNKNOWN"
    assert not engine.node.shared.pending


def test_a_stand_in_coordinates_when_no_owner_answers() -> None:
    """n1 owns nothing of this key; its own copy carries a hint, the others get theirs from the next stand-in."""
    engine = Engine(nodes=5)
    key = engine.key_owned_by_others()
    names = {node_id(name): name for name in NAMES}
    owners = [names[node] for node in engine.owners(key)]
    (other,) = [name for name in NAMES if name != "n1" and name not in owners]
    for owner in owners:
        engine.down(owner)
    first = [names[node] for node in engine.node.cluster.preference_list(key)][3]
    ticket = engine.ask(Put(key, b"v", cover=True))
    if first != "n1":  # it is the other stand-in's turn; it cannot
        assert [type(m) for m in engine.sent(first)] == [Forward]
        engine.down(first)
        result = engine.replies[ticket]
        assert isinstance(result, Failed)
        ticket = engine.ask(Put(key, b"v", cover=True, w=1))
    _, write = engine.out.persists[-1]
    assert isinstance(write, Advance)
    assert write.owed is not None
    engine.store()
    if first == "n1":
        rid = next(m for m in engine.sent(other) if isinstance(m, Replicate)).rid
        engine.receive(other, Replicated(rid, True, None, ""))
    result = engine.replies[ticket]
    assert isinstance(result, Written)
    assert all(ack.hint_for in owners for ack in result.acks)


# Reads -----------------------------------------------------------------------------------------------------


def fetched(five: Five, name: str, row: Row | None) -> None:
    rid = next(m for m in five.engine.sent(name) if isinstance(m, Fetch)).rid
    five.engine.receive(name, Fetched(rid, None if row is None else encode_row(row), ""))


def test_a_read_finds_what_stand_ins_hold() -> None:
    five = Five()
    for owner in five.owners[1:]:
        five.engine.down(owner)
    ticket = five.engine.ask(Get(five.key))
    five.engine.load(None)
    fetched(five, five.stand_ins[0], None)
    assert ticket not in five.engine.replies, "absent, although somebody who was asked may hold it"
    fetched(five, five.stand_ins[1], row_of(b"v"))
    result = five.engine.replies[ticket]
    assert isinstance(result, Found)
    assert [version.value for version in result.row.versions] == [b"v"]


def test_what_stand_ins_do_not_hold_is_no_evidence() -> None:
    """No owner answers and nobody holds anything: that is not "absent"."""
    engine = Engine(nodes=5)
    key = engine.key_owned_by_others()
    for owner in engine.owners(key):
        engine.step_down(owner)
    ticket = engine.ask(Get(key))
    engine.load(None)
    (other,) = [name for name in NAMES if any(isinstance(m, Fetch) for m in engine.sent(name))]
    rid = next(m for m in engine.sent(other) if isinstance(m, Fetch)).rid
    engine.receive(other, Fetched(rid, None, ""))
    result = engine.replies[ticket]
    assert isinstance(result, Failed)
    assert result.code == "UNAVAILABLE"
    assert "no owner of the key answers" in result.text


def test_one_owner_is_enough_for_absent() -> None:
    five = Five()
    for owner in five.owners[1:]:
        five.engine.down(owner)
    ticket = five.engine.ask(Get(five.key))
    five.engine.load(None)
    for stand_in in five.stand_ins:
        fetched(five, stand_in, None)
    result = five.engine.replies[ticket]
    assert isinstance(result, Found)
    assert result.row == Row((), ())


def test_owners_that_lack_something_are_repaired_after_the_answer() -> None:
    """Only those who answered and lack something, by merge; a stand-in is left alone."""
    five = Five()
    _, second, third = five.owners
    five.engine.down(third)
    ticket = five.engine.ask(Get(five.key, r=3))
    five.engine.load(row_of(b"old"))
    fetched(five, five.stand_ins[0], None)
    fetched(five, second, row_of(b"old", b"new"))
    assert isinstance(five.engine.replies[ticket], Found)
    merges = [w for _, w in five.engine.out.persists if isinstance(w, Merge)]
    assert [w.row for w in merges] == [encode_row(row_of(b"old", b"new"))]
    assert not five.asked(second)
    assert not five.asked(five.stand_ins[0])
    assert not five.engine.node.shared.pending


def test_our_own_full_disk_is_another_nodes_turn() -> None:
    """The owner that received the write cannot store it: the next coordinator is asked, and may be a stand-in."""
    five = Five()
    ticket = five.put()
    five.engine.persisted(Refused(Refusal.DISK_FULL, ""))
    assert [type(m) for m in five.engine.sent(five.owners[1])] == [Forward]
    assert ticket not in five.engine.replies
