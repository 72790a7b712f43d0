"""Letting go: a row of a partition that others own goes when each of them has it, and never before."""

from __future__ import annotations

import pytest

from node.core.ids import partition_of
from node.core.limits_change import RETIRE_LOOK_S, RETIRE_S_MAX
from node.engine.events import Persisted, ScannedHere
from node.storage.port import Adopted, Handed, HandOver
from node.wire.change_messages import Held, Hold
from node.wire.messages import (
    REBUILDING,
    Replicate,
    Replicated,
)
from node.wire.rows import encode_row, row_digest
from tests.helpers.engine import Engine, node_id, row_of
from tests.helpers.moving import JOINED, moved_key, moving_engine, tell

ROW = encode_row(row_of(b"v"))


@pytest.fixture
def key() -> bytes:
    """One that n3 has lost to n4."""
    return moved_key(moving_engine("n3").node.cluster, loses="n3")


@pytest.fixture
def engine(key: bytes) -> Engine:
    """n3 after the ring settled, with a row of that key, when it comes to its partition."""
    engine = moving_engine("n3")
    tell(engine, JOINED)
    partition = partition_of(key, engine.node.cluster.partitions)
    engine.clear()
    engine.wait(RETIRE_LOOK_S)
    while True:
        ticket, at, *_ = next(scan for scan in engine.out.scans if scan[4] > 1)
        engine.clear()
        if at == partition:
            engine.step(ScannedHere(ticket, ((key, ROW),), False))
            return engine
        engine.step(ScannedHere(ticket, (), False))
        engine.wait(0.1)


def holds(engine: Engine) -> dict[str, Hold]:
    """Who was asked."""
    said = {name: engine.sent(name) for name in ("n1", "n2", "n4")}
    return {name: message for name, all_ in said.items() for message in all_ if isinstance(message, Hold)}


def test_every_owner_is_asked_and_the_row_goes_when_all_hold_it(engine: Engine, key: bytes) -> None:
    questions = holds(engine)
    assert sorted(questions) == ["n1", "n2", "n4"]
    assert questions["n1"].rows == ((key, row_digest(key, ROW)),)
    for name in ("n1", "n2"):
        engine.receive(name, Held(questions[name].rid, (), ""))
    assert not engine.handed(), "n4 has not said so"
    engine.receive("n4", Held(questions["n4"].rid, (), ""))
    assert {write.target for write in engine.handed()} == {node_id(name) for name in ("n1", "n2", "n4")}
    assert all((write.key, write.row, write.keep) == (key, ROW, False) for write in engine.handed())


def test_an_owner_that_lacks_it_gets_it_first(engine: Engine, key: bytes) -> None:
    questions = holds(engine)
    for name in ("n1", "n2"):
        engine.receive(name, Held(questions[name].rid, (), ""))
    engine.receive("n4", Held(questions["n4"].rid, (key,), ""))
    assert not engine.handed()
    (sent,) = [message for message in engine.sent("n4") if isinstance(message, Replicate)]
    assert (sent.key, sent.row) == (key, ROW)
    engine.receive("n4", Replicated(sent.rid, True, None, ""))
    assert len(engine.handed()) == 3


def test_a_row_goes_to_an_owner_under_the_round_before_it_was_read(engine: Engine, key: bytes) -> None:
    """The partition was in a later one when it was sent: what it was read under may have been reaped since."""
    questions = holds(engine)
    cluster = engine.node.cluster
    partition = partition_of(key, cluster.partitions)
    engine.step(Persisted([(0, Adopted(True, partition, cluster.partitions, 2, ()))]))
    assert engine.node.shared.rounds.of(key) == 2
    engine.receive("n4", Held(questions["n4"].rid, (key,), ""))
    (sent,) = [message for message in engine.sent("n4") if isinstance(message, Replicate)]
    assert sent.round == 0


def test_an_owner_that_will_not_say_keeps_the_row_here(engine: Engine) -> None:
    questions = holds(engine)
    for name in ("n1", "n2"):
        engine.receive(name, Held(questions[name].rid, (), ""))
    engine.receive("n4", Held(questions["n4"].rid, (), REBUILDING))
    assert not engine.handed()
    assert engine.node.retirement.why == f"n4 refused ({REBUILDING})"


def test_an_owner_that_is_silent_keeps_the_row_here(engine: Engine) -> None:
    engine.receive("n1", Held(holds(engine)["n1"].rid, (), ""))
    engine.wait(RETIRE_S_MAX + 0.1)
    assert not engine.handed()
    assert engine.node.retirement.why == "not all owners answered in time"


def test_what_went_is_counted_and_what_changed_meanwhile_stays(engine: Engine) -> None:
    for name, question in holds(engine).items():
        engine.receive(name, Held(question.rid, (), ""))
    tickets = [ticket for ticket, write in engine.out.persists if isinstance(write, HandOver)]
    outcomes = [Handed(done=False, dropped=False)] * 3
    engine.step(Persisted(list(zip(tickets, outcomes, strict=True))))
    assert engine.node.retirement.rows == 0


def test_a_row_is_held_only_if_it_is_exactly_that_row(key: bytes) -> None:
    engine = moving_engine("n4")
    tell(engine, JOINED)
    engine.clear()
    epoch = engine.node.cluster.epoch
    for held, lacking in ((row_of(b"v"), ()), (row_of(b"w"), (key,)), (None, (key,))):
        engine.clear()
        engine.receive("n3", Hold(5, epoch, ((key, row_digest(key, ROW)),)))
        engine.load(held)
        assert engine.sent("n3") == [Held(5, lacking, "")]


def test_who_owns_it_not_or_may_have_forgotten_gives_no_word(key: bytes) -> None:
    engine = moving_engine("n3")
    tell(engine, JOINED)
    engine.clear()
    engine.receive("n1", Hold(5, engine.node.cluster.epoch, ((key, b"d" * 16),)))
    assert engine.sent("n1") == [Held(5, (), "not an owner")]
    other = moving_engine("n4")
    tell(other, JOINED)
    other.node.cluster.rebuilding = True
    other.clear()
    other.receive("n3", Hold(5, other.node.cluster.epoch, ((key, b"d" * 16),)))
    assert other.sent("n3") == [Held(5, (), REBUILDING)]


def test_nothing_is_let_go_while_the_ring_moves() -> None:
    engine = moving_engine("n3")
    engine.wait(RETIRE_LOOK_S)
    assert not [scan for scan in engine.out.scans if scan[4] > 1]
