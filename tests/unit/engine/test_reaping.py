"""Reap rounds, step by step: who is asked what, what must be durable before, and what a refusal leads to."""

from __future__ import annotations

import pytest

from node.core.ids import partition_of
from node.core.limits import REAP_ANSWER_S, REAP_INTERVAL_S, REAP_KEYS, REAP_PAUSE_S, REAP_TURNS
from node.core.row import Row
from node.engine.documents import held_up
from node.engine.events import Persisted, TombstonesHere
from node.storage.port import Adopt, Adopted, Merge, Outcome, Reap, Reaped, Refusal, Refused, Write
from node.wire.messages import (
    Buried,
    Bury,
    Confirm,
    Confirmed,
    Fetch,
    Fetched,
    Message,
    Outdated,
    Replicate,
    Replicated,
)
from node.wire.requests import Put
from node.wire.rows import encode_row, row_digest
from tests.helpers.engine import EPOCH, KEY, Engine, node_id, row_of

Q = 64
PARTITION = partition_of(KEY, Q)
DEAD = encode_row(Row(row_of(b"v").clock, (row_of(b"v").versions[0]._replace(value=None),)))
ROWS = ((KEY, row_digest(KEY, DEAD)),)


def key_in_place(place: int) -> bytes:
    """A key in whose preference list n1 stands there."""
    engine = Engine()
    return next(k for k in (b"k%d" % i for i in range(1000)) if engine.owners(k).index(node_id("n1")) == place)


class Driver:
    """n1 with one tombstone, or others that a test gives it."""

    def __init__(self, *items: tuple[bytes, bytes]) -> None:
        self.engine = Engine()
        self.items = items or ((KEY, DEAD),)
        self.look()

    def look(self) -> None:
        """Let the time for a look come, and answer it."""
        engine = self.engine
        engine.wait(REAP_INTERVAL_S + 0.1)
        for ticket, after, _ in engine.out.tombstones:
            assert after == b""
            engine.step(TombstonesHere(ticket, self.items, None))
        engine.out.tombstones.clear()

    def writes(self, *kinds: type) -> list[tuple[int, Write]]:
        return [(ticket, write) for ticket, write in self.engine.out.persists if isinstance(write, kinds)]

    def adopted(self, *differ: bytes, done: bool = True) -> Adopt:
        """Report our own word durable."""
        ((ticket, write),) = self.writes(Adopt)
        assert isinstance(write, Adopt)
        self.engine.clear()
        outcome = Adopted(done, write.partition, write.partitions, write.round, differ)
        self.engine.step(Persisted([(ticket, outcome)]))
        return write

    def asked(self, name: str, kind: type[Message]) -> list[Message]:
        return [message for message in self.engine.sent(name) if isinstance(message, kind)]

    def ask(self, name: str) -> Confirm:
        (message,) = self.asked(name, Confirm)
        assert isinstance(message, Confirm)
        return message

    def confirm(self, name: str, *differ: bytes) -> None:
        message = self.ask(name)
        self.engine.receive(name, Confirmed(message.rid, message.round, differ, ""))


def test_our_own_word_is_durable_before_anybody_is_asked() -> None:
    driver = Driver()
    assert [write for _, write in driver.writes(Adopt)] == [Adopt(PARTITION, Q, 1, ROWS)]
    assert not driver.engine.sent("n2")
    driver.adopted()
    for name in ("n2", "n3"):
        message = driver.ask(name)
        assert (message.epoch, message.partition, message.round, message.rows) == (EPOCH, PARTITION, 1, ROWS)


def test_our_copy_goes_last_and_nothing_goes_before_all_confirmed() -> None:
    driver = Driver()
    driver.adopted()
    driver.confirm("n2")
    assert not driver.asked("n2", Bury)
    driver.confirm("n3")
    engine = driver.engine
    for name in ("n2", "n3"):
        assert not driver.writes(Reap)
        (bury,) = driver.asked(name, Bury)
        assert isinstance(bury, Bury)
        assert bury.rows == ROWS
        engine.receive(name, Buried(bury.rid, ""))
    ((ticket, write),) = driver.writes(Reap)
    assert write == Reap(*ROWS[0])
    engine.step(Persisted([(ticket, Reaped(True))]))
    assert not engine.node.reaper.open
    (fact,) = [fact for fact in engine.out.facts if fact.kind == "reaped"]
    assert fact.fields == {"rows": 1}


def test_where_pages_follow_the_next_look_comes_soon() -> None:
    driver = Driver((KEY, DEAD))
    engine = driver.engine
    ((ticket, _),) = driver.writes(Adopt)
    engine.step(Persisted([(ticket, Refused(Refusal.DISK_FULL, ""))]))
    engine.wait(REAP_INTERVAL_S + 0.1)
    ((look, _, limit),) = engine.out.tombstones
    assert limit == REAP_KEYS
    engine.clear()
    engine.step(TombstonesHere(look, (), b"\x01" * 8))
    engine.wait(REAP_PAUSE_S + 0.01)
    ((_, after, _),) = engine.out.tombstones
    assert after == b"\x01" * 8


def test_a_disk_that_says_nothing_is_asked_another_time() -> None:
    engine = Engine()
    engine.wait(REAP_INTERVAL_S + 0.1)
    assert len(engine.out.tombstones) == 1
    engine.wait(REAP_INTERVAL_S + 0.1)
    assert len(engine.out.tombstones) == 1, "not while it reads"
    engine.wait(REAP_ANSWER_S)
    engine.wait(REAP_INTERVAL_S + 0.1)
    assert len(engine.out.tombstones) == 2


def test_a_member_whose_disk_takes_no_changes_is_told_again() -> None:
    driver = Driver()
    driver.adopted()
    driver.confirm("n2")
    driver.confirm("n3")
    engine = driver.engine
    for name, refused in ("n2", ""), ("n3", "disk full"):
        (bury,) = driver.asked(name, Bury)
        assert isinstance(bury, Bury)
        engine.receive(name, Buried(bury.rid, refused))
    assert not driver.writes(Reap)
    engine.clear()
    engine.wait(REAP_ANSWER_S + 0.1)
    assert driver.asked("n3", Bury)
    assert not driver.asked("n2", Bury)


def test_no_round_is_begun_while_a_member_is_away() -> None:
    """A node that is cut off would take itself into ever later rounds, which it shares with nobody; and stamp what it
    holds with them, whatever the others have reaped by then."""
    driver = Driver()
    driver.adopted()
    for name in ("n2", "n3"):
        driver.confirm(name, KEY)
    assert not driver.engine.node.reaper.open
    driver.engine.down("n3")
    driver.engine.clear()
    driver.look()
    assert not driver.writes(Adopt)
    driver.engine.up("n3")
    driver.look()
    assert driver.writes(Adopt)


def test_confirmations_accumulate_while_a_member_is_away() -> None:
    driver = Driver()
    engine = driver.engine
    engine.down("n3")
    driver.adopted()
    driver.confirm("n2")
    assert not driver.asked("n3", Confirm)
    engine.clear()
    engine.wait(REAP_INTERVAL_S + 0.1)
    assert not engine.out.tombstones, "one page at a time"
    assert held_up(engine.node.cluster, 2) == ["2 deleted keys wait to be reaped until n3 can confirm"]
    engine.up("n3")
    engine.wait(REAP_INTERVAL_S + 0.1)
    assert not driver.asked("n2", Confirm), "its word stands"
    driver.confirm("n3")
    assert driver.asked("n2", Bury)
    assert held_up(engine.node.cluster, 2) == []


def test_a_member_that_is_in_a_later_round_makes_a_still_later_one_begin() -> None:
    driver = Driver()
    driver.adopted()
    driver.confirm("n2")
    message = driver.ask("n3")
    driver.engine.clear()
    driver.engine.receive("n3", Confirmed(message.rid, 7, (), Refusal.ROUND.value))
    assert not driver.engine.node.reaper.open
    assert driver.adopted() == Adopt(PARTITION, Q, 7)
    driver.look()
    assert driver.adopted() == Adopt(PARTITION, Q, 8, ROWS)


def test_a_member_that_holds_another_row_gets_ours_and_we_get_its_own() -> None:
    driver = Driver()
    driver.adopted()
    driver.confirm("n2", KEY)
    (sent,) = driver.asked("n2", Replicate)
    assert isinstance(sent, Replicate)
    assert (sent.key, sent.row, sent.round, sent.hint_for) == (KEY, DEAD, 1, ())
    more = encode_row(row_of(b"w", epoch=2))
    driver.engine.receive("n2", Replicated(sent.rid, True, more, "", 1))
    ((_, write),) = driver.writes(Merge)
    assert isinstance(write, Merge)
    assert (write.key, write.row, write.round) == (KEY, more, 1)
    assert not driver.asked("n3", Bury)
    assert not driver.engine.node.reaper.open, "nothing is left to ask about"


def test_a_key_that_differs_is_left_out_and_the_others_go() -> None:
    keys = [k for k in (b"k%d" % i for i in range(9999)) if partition_of(k, Q) == PARTITION and k != KEY]
    driver = Driver((KEY, DEAD), (keys[0], DEAD))
    driver.adopted()
    driver.confirm("n2", KEY)
    driver.confirm("n3")
    (bury,) = driver.asked("n3", Bury)
    assert isinstance(bury, Bury)
    assert bury.rows == ((keys[0], row_digest(keys[0], DEAD)),)


def test_our_own_row_may_have_changed_since_the_look() -> None:
    driver = Driver()
    driver.adopted(KEY)
    assert not driver.engine.sent("n2")
    assert not driver.engine.node.reaper.open


def test_our_own_disk_may_be_in_that_round_already() -> None:
    driver = Driver()
    driver.adopted(done=False)
    assert not driver.engine.sent("n2")
    assert not driver.engine.node.reaper.open


def test_what_others_should_have_reaped_is_ours_in_its_turn() -> None:
    second, third = key_in_place(1), key_in_place(2)
    driver = Driver((second, DEAD), (third, DEAD))
    driven: list[set[bytes]] = []
    for _ in range(REAP_TURNS):
        writes = [write for _, write in driver.writes(Adopt) if isinstance(write, Adopt)]
        driven.append({key for write in writes for key, _ in write.rows})
        tickets = [ticket for ticket, _ in driver.writes(Adopt)]
        driver.engine.clear()
        refused: Outcome = Refused(Refusal.DISK_FULL, "")
        driver.engine.step(Persisted([(ticket, refused) for ticket in tickets]))
        driver.look()
    assert driven == [set(), {second}, {third}, set()]


@pytest.mark.parametrize(
    ("outcome", "answer"),
    [
        (Adopted(True, 3, Q, 5, (b"k",)), Confirmed(9, 5, (b"k",), "")),
        (Adopted(False, 3, Q, 6, ()), Confirmed(9, 6, (), Refusal.ROUND.value)),
        (Refused(Refusal.DISK_FULL, ""), Confirmed(9, 0, (), "disk full")),
    ],
)
def test_a_member_tells_what_its_disk_said(outcome: Outcome, answer: Confirmed) -> None:
    engine = Engine()
    engine.receive("n2", Confirm(9, EPOCH, 3, 5, ROWS, engine.node.cluster.lives))
    ((ticket, write),) = engine.out.persists
    assert write == Adopt(3, Q, 5, ROWS)
    assert not engine.sent("n2"), "not before it is durable"
    engine.step(Persisted([(ticket, outcome)]))
    assert engine.sent("n2") == [answer]


def test_a_confirmation_is_for_one_ring_and_its_partitions() -> None:
    engine = Engine()
    lives = engine.node.cluster.lives
    engine.receive("n2", Confirm(9, EPOCH + 1, 3, 5, ROWS, lives))
    engine.receive("n2", Confirm(9, EPOCH, Q, 5, ROWS, lives))
    refused = [message for message in engine.sent("n2") if isinstance(message, Confirmed)]
    assert [message.refused for message in refused] == [Refusal.EPOCH.value, "no such partition"]
    assert not engine.out.persists


def test_a_member_answers_when_every_copy_is_gone() -> None:
    engine = Engine()
    engine.step(Persisted([(0, Adopted(True, PARTITION, Q, 4, ()))]))
    engine.receive("n2", Bury(9, PARTITION, 4, (*ROWS, (b"other", bytes(16)))))
    first, second = engine.out.persists
    engine.step(Persisted([(first[0], Reaped(True))]))
    assert not engine.sent("n2")
    engine.step(Persisted([(second[0], Reaped(False))]))
    assert engine.sent("n2") == [Buried(9, "")]
    engine.receive("n2", Bury(10, PARTITION, 4, ()))
    assert engine.sent("n2")[-1] == Buried(10, "")


def test_a_member_whose_disk_knows_nothing_of_the_round_drops_nothing() -> None:
    """It was replaced since it confirmed, and may hold what was sent to it before the others went on."""
    engine = Engine()
    engine.receive("n2", Bury(9, PARTITION, 4, ROWS))
    assert not engine.out.persists
    assert engine.sent("n2") == [Buried(9, Refusal.ROUND.value)]


def test_our_copy_stays_if_a_member_has_lost_what_it_confirmed() -> None:
    driver = Driver()
    driver.adopted()
    driver.confirm("n2")
    driver.confirm("n3")
    engine = driver.engine
    for name, refused in ("n2", ""), ("n3", Refusal.ROUND.value):
        (bury,) = driver.asked(name, Bury)
        assert isinstance(bury, Bury)
        engine.receive(name, Buried(bury.rid, refused))
    assert not driver.writes(Reap)
    assert not engine.node.reaper.open


def test_a_refused_row_is_read_again_after_the_round_is_ours() -> None:
    engine = Engine()
    engine.receive("n2", Outdated(5, KEY, (node_id("n3"),), 4))
    ((ticket, write),) = engine.out.persists
    assert write == Adopt(PARTITION, Q, 4)
    assert not engine.out.loads
    engine.step(Persisted([(ticket, Adopted(True, PARTITION, Q, 4, ()))]))
    engine.load(row_of(b"v"))
    assert engine.sent("n2") == [Replicate(5, EPOCH, KEY, encode_row(row_of(b"v")), (node_id("n3"),), 4)]


def test_a_refused_row_that_is_gone_is_not_sent_again() -> None:
    engine = Engine()
    engine.receive("n2", Outdated(5, KEY, (), 4))
    ((ticket, _),) = engine.out.persists
    engine.step(Persisted([(ticket, Adopted(True, PARTITION, Q, 4, ()))]))
    engine.load(None)
    assert not engine.sent("n2")
    assert not engine.node.shared.pending


def test_a_row_of_an_older_round_is_sent_back() -> None:
    engine = Engine()
    engine.receive("n2", Replicate(5, EPOCH, KEY, encode_row(row_of(b"v")), (node_id("n3"),), 3))
    ticket, write = engine.take_persist()
    assert isinstance(write, Merge)
    assert write.round == 3
    adopted = Adopted(True, PARTITION, Q, 4, ())
    engine.step(Persisted([(0, adopted), (ticket, Refused(Refusal.ROUND, ""))]))
    assert engine.sent("n2") == [Outdated(5, KEY, (node_id("n3"),), 4)]


def test_a_reader_in_a_later_round_takes_us_along() -> None:
    engine = Engine()
    engine.receive("n2", Fetch(5, EPOCH, KEY, 6))
    ((ticket, write),) = engine.out.persists
    assert write == Adopt(PARTITION, Q, 6)
    assert not engine.out.loads
    engine.step(Persisted([(ticket, Adopted(True, PARTITION, Q, 6, ()))]))
    engine.load(row_of(b"v"))
    assert engine.sent("n2") == [Fetched(5, encode_row(row_of(b"v")), "", 6)]


def test_a_row_keeps_the_round_in_which_it_was_committed() -> None:
    """It is sent to others later as it was then, whatever round this node is in meanwhile."""
    engine = Engine(nodes=5)
    key = next(k for k in (b"k%d" % i for i in range(1000)) if engine.owners(k)[0] == node_id("n1"))
    engine.ask(Put(key, b"v", cover=True))
    engine.store()
    names = [f"n{i}" for i in range(2, 6) if node_id(f"n{i}") in engine.owners(key)]
    engine.step(Persisted([(0, Adopted(True, partition_of(key, Q), Q, 4, ()))]))
    engine.down(names[0])
    rounds = [m.round for n in range(2, 6) for m in engine.sent(f"n{n}") if isinstance(m, Replicate)]
    assert rounds == [0, 0, 0], "both owners, and a stand-in"
