"""The fence between two epochs: what a node says of its rows and votes counts once its ring is durable.

What was begun under the older ring may be on its way to the disk; and a crash would take the node back into it.
"""

from __future__ import annotations

import msgspec
import pytest

from node.core.cluster import Ballot, RingState
from node.core.limits_change import CHANGE_LOOK_S, TRANSFER_AGAIN_S
from node.engine.events import Persisted
from node.engine.kept import STATE_MEMBERS, STATE_MUTE, STATE_REBUILDING, STATE_RING, STATE_TICKET
from node.engine.seats import DECISION_TICKET
from node.storage.port import Merge, Outcome, Refusal, Refused, Saved, SaveState
from node.wire.change_messages import Accept, Held, Hold, Prepare, Pull, Pulled, Voted
from node.wire.messages import AskLeaf, AskTrees, Fetch, Gossip, LeafTold, Message, Replicate, TreesTold
from node.wire.rows import encode_row
from tests.helpers.engine import Engine, member, node_id, row_of
from tests.helpers.moving import JOINED, MOVES, MOVING, moving_engine, settled_engine, tell
from tests.helpers.newcomer import Newcomer
from tests.unit.engine.test_transfer import agree, read_all

FULL = Refused(Refusal.DISK_FULL, "")
LOOK_S = CHANGE_LOOK_S * 1.5
EPOCH_WHY = Refusal.EPOCH.value
N2 = Ballot(3, node_id("n2"))
ROW = encode_row(row_of(b"v"))


def adopting(me: str = "n1") -> Engine:
    """One that has the moving ring, on its way to its disk."""
    engine = settled_engine(me)
    engine.stores_rings = False
    tell(engine, MOVING)
    return engine


def saves(engine: Engine) -> list[str]:
    """What of its knowledge of the cluster is on its way to the disk."""
    return [write.name for _, write in state_writes(engine)]


def state_writes(engine: Engine) -> list[tuple[int, SaveState]]:
    return [(t, write) for t, write in engine.out.persists if t == STATE_TICKET and isinstance(write, SaveState)]


def report(engine: Engine, *outcomes: Outcome) -> None:
    """What became of the oldest such writes, in their order."""
    for _ in outcomes:
        at = next(at for at, (ticket, _) in enumerate(engine.out.persists) if ticket == STATE_TICKET)
        del engine.out.persists[at]
    engine.step(Persisted([(STATE_TICKET, outcome) for outcome in outcomes]))


def ring_saved(engine: Engine) -> RingState:
    """The last ring on its way."""
    data = [write.data for _, write in state_writes(engine) if write.name == STATE_RING][-1]
    return msgspec.msgpack.decode(data, type=RingState)


QUESTIONS: list[tuple[Message, Message]] = [
    (AskTrees(9, MOVES, 6, 0, (1,), True), TreesTold(9, (), EPOCH_WHY)),
    (AskTrees(9, MOVES, 6, 0, (1,), False), TreesTold(9, (), EPOCH_WHY)),
    (AskLeaf(9, MOVES, 3, b""), LeafTold(9, (), False, EPOCH_WHY)),
    (Pull(9, MOVES, 1, b""), Pulled(9, (), False, 0, EPOCH_WHY)),
    (Hold(9, MOVES, ((b"k", b"d" * 16),)), Held(9, (), EPOCH_WHY)),
    (Prepare(9, "c1", MOVES + 1, N2), Voted(9, Ballot(0, node_id("n0")), None, None, EPOCH_WHY)),
    (Accept(9, "c1", N2, JOINED), Voted(9, Ballot(0, node_id("n0")), None, None, EPOCH_WHY)),
]


@pytest.mark.parametrize(("question", "refusal"), QUESTIONS, ids=lambda message: type(message).__name__)
def test_nothing_is_said_of_what_is_held_or_voted_before_the_ring_is_durable(
    question: Message, refusal: Message
) -> None:
    engine = adopting()
    engine.receive("n2", question)
    (said,) = [message for message in engine.sent("n2") if type(message) is type(refusal)]
    assert said == refusal if not isinstance(said, Voted) else said.refused == EPOCH_WHY
    report(engine, *[Saved()] * len(saves(engine)))
    engine.clear()
    engine.receive("n2", question)
    refused = [message for message in engine.sent("n2") if getattr(message, "refused", "") == EPOCH_WHY]
    assert not refused, "it is durable"


def test_reads_and_writes_do_not_wait_for_that() -> None:
    """The store itself refuses at commit what another epoch decided."""
    engine = adopting()
    engine.receive("n2", Replicate(5, MOVES, b"k", ROW))
    assert any(isinstance(write, Merge) for _, write in engine.out.persists)
    engine.receive("n2", Fetch(6, MOVES, b"k"))
    assert engine.out.loads


def test_a_taker_says_that_it_holds_its_part_once_its_ring_is_durable() -> None:
    """Else it would be an owner after a crash that knows nothing of its part."""
    engine = moving_engine("n4")
    engine.node.cluster.durable_epoch -= 1
    read_all(engine)
    while engine.node.transfers.missing():
        agree(engine)
        engine.wait(TRANSFER_AGAIN_S)
    engine.wait(TRANSFER_AGAIN_S)
    assert engine.node.cluster.me.holds == 0
    engine.node.cluster.durable_epoch += 1
    engine.wait(TRANSFER_AGAIN_S)
    assert engine.node.cluster.me.holds == MOVES


def test_what_a_founder_decides_is_durable_when_it_is_true() -> None:
    founder = Newcomer()
    founder.joined_by("n2")
    assert founder.node.cluster.fenced
    assert founder.node.cluster.epoch == 2


# A disk that is full ---------------------------------------------------------------------------------------------


def test_a_ring_that_the_disk_would_not_have_is_stored_again_until_it_has_it() -> None:
    engine = adopting()
    assert saves(engine) == [STATE_RING]
    report(engine, FULL)
    assert saves(engine) == []
    for _ in range(2):
        engine.wait(LOOK_S)
        assert saves(engine) == [STATE_RING]
        assert ring_saved(engine) == MOVING
        assert not engine.node.cluster.fenced
        report(engine, FULL)
    engine.wait(LOOK_S)
    report(engine, Saved())
    assert engine.node.cluster.fenced
    engine.wait(LOOK_S)
    assert saves(engine) == []


def test_it_is_the_ring_of_that_moment_that_is_stored_again() -> None:
    """And none if a later one is on its way: the store would be back in the older epoch."""
    engine = adopting()
    tell(engine, JOINED)
    assert saves(engine) == [STATE_RING, STATE_RING]
    report(engine, FULL)
    engine.wait(LOOK_S)
    assert len(saves(engine)) == 1, "the later one is on its way"
    report(engine, FULL)
    engine.wait(LOOK_S)
    assert ring_saved(engine) == JOINED
    report(engine, Saved())
    assert engine.node.cluster.fenced


def test_what_is_stored_anew_is_not_stored_again() -> None:
    engine = adopting()
    report(engine, FULL)
    tell(engine, JOINED)
    assert saves(engine) == [STATE_RING]
    engine.wait(LOOK_S)
    assert saves(engine) == [STATE_RING]


def test_what_else_it_knows_of_the_cluster_is_stored_again_too() -> None:
    """That it may have forgotten something, most of all: after a restart nothing else would tell."""
    engine = settled_engine()
    engine.stores_rings = False
    cluster = engine.node.cluster
    cluster.rebuilding = True
    cluster.rebuilt(engine.out)
    told = member("n2")._replace(incarnation=9)
    engine.receive("n2", Gossip("c1", cluster.epoch, True, (told,), None, False))
    assert saves(engine) == [STATE_MUTE, STATE_REBUILDING, STATE_MEMBERS]
    first = [write for _, write in state_writes(engine)]
    report(engine, FULL, Saved(), FULL)
    engine.wait(LOOK_S)
    again = [write for _, write in state_writes(engine)]
    assert [write.name for write in again] == [STATE_MUTE, STATE_MEMBERS]
    assert again[0] == first[0]


def test_a_decision_that_is_refused_does_not_make_it_forget_what_was_refused_before() -> None:
    engine = adopting()
    report(engine, FULL)
    engine.node.cluster.save_ring(JOINED, engine.out, DECISION_TICKET)
    engine.wait(LOOK_S)
    assert ring_saved(engine) == MOVING


def test_nor_does_one_that_is_stored_make_it_go_back_to_that() -> None:
    engine = adopting()
    report(engine, FULL)
    engine.node.cluster.save_ring(JOINED, engine.out, DECISION_TICKET)
    engine.settle_in(JOINED)
    engine.wait(LOOK_S)
    assert ring_saved(engine) == JOINED
