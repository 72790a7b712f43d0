"""Who leaves, or is gone: it fills nobody's place, stands in for nobody, and what it has alone is taken in first."""

from __future__ import annotations

from node.core import change
from node.core.cluster import Change, Quorums, RingState
from node.core.limits_change import TRANSFER_AGAIN_S
from node.engine.events import Digested, Persisted
from node.engine.pull import STATE_PULLED
from node.storage.port import Merge, Saved, SaveState
from node.wire.change_messages import Pull, Pulled
from node.wire.messages import (
    GONE,
    LEAVING,
    REBUILDING,
    AskTrees,
    Forward,
    Forwarded,
    Gossip,
    Replicate,
    Replicated,
    TreesTold,
)
from node.wire.requests import Put, Written
from node.wire.rows import encode_row
from tests.helpers.engine import KEY, Engine, node_id, row_of, sealed_ring
from tests.helpers.moving import JOINED, SETTLED, settled_engine, tell

ROW = encode_row(row_of(b"v"))
NAMES = {node_id(f"n{number}"): f"n{number}" for number in range(1, 6)}


def leaving(ring: RingState, name: str) -> RingState:
    return change.begin(ring, Change(change.LEAVE, node_id(name), words=f"leave {name}"))


def removing(ring: RingState, name: str) -> RingState:
    return change.begin(ring, Change(change.REMOVE, node_id(name), words=f"remove {name}"))


def replicates(engine: Engine, name: str) -> list[Replicate]:
    return [message for message in engine.sent(name) if isinstance(message, Replicate)]


def ack(engine: Engine, name: str) -> None:
    engine.receive(name, Replicated(replicates(engine, name)[-1].rid, True, None, ""))


def of_five(leaver: str, *, owned: bool) -> tuple[Engine, bytes, list[str]]:
    """n1 of five, while one leaves; a key that the leaver does not own and whose owners stay; its preference list.

    `owned`: n1 is its first owner; else it owns nothing of it either.
    """
    engine = Engine(nodes=5)
    engine.settle_in(leaving(engine.node.cluster.state, leaver))
    cluster = engine.node.cluster
    for key in (b"k%d" % number for number in range(5000)):
        names = [NAMES[node] for node in cluster.preference_list(key)]
        if (
            not cluster.groups(key, 2)
            and leaver not in names[:3]
            and (names[0] == "n1" if owned else "n1" in names[3:])
        ):
            return engine, key, names
    raise AssertionError("no such key")


def test_who_leaves_is_nobodys_stand_in() -> None:
    """It says once that it keeps nothing for others; what it took after that would go with it."""
    engine, key, (_, second, third, *others) = of_five("n5", owned=True)
    assert others[-1] == "n5"
    engine.down(second)
    engine.down(third)
    ticket = engine.ask(Put(key, b"v", cover=True))
    engine.store()
    assert [message.hint_for for message in replicates(engine, others[0])] == [(node_id(second),)]
    assert not replicates(engine, "n5")
    ack(engine, others[0])
    assert isinstance(engine.replies[ticket], Written)


def test_who_leaves_counts_itself_for_nobody_when_it_coordinates() -> None:
    """Somebody may hand it a write; it commits, and hands over what it has, but W are others."""
    engine, key, (first, second, third, *_) = of_five("n1", owned=False)
    engine.down(second)
    engine.down(third)
    engine.receive(first, Forward(5, engine.node.cluster.epoch, 1, key, b"v", (), True, 1, False, 900, ""))
    engine.store()
    assert not forwarded(engine, first), "it alone has it"
    ack(engine, first)
    (answer,) = forwarded(engine, first)
    assert isinstance(answer.result, Written)
    assert [each.node for each in answer.result.acks] == [first]


def test_who_has_said_that_it_can_go_coordinates_no_more() -> None:
    """What it commits then may reach nobody: from who is gone no row is taken."""
    engine = moving_in(leaving(JOINED, "n1"))
    cluster = engine.node.cluster
    key = next(k for k in (b"k%d" % i for i in range(1000)) if cluster.owners(k)[0] == node_id("n1"))
    forward = Forward(5, cluster.epoch, 1, key, b"v", (), True, 2, False, 900, "")
    engine.receive("n2", forward)
    engine.store()
    cluster.took_in(cluster.epoch)
    engine.clear()
    engine.receive("n2", forward)
    assert forwarded(engine, "n2") == [Forwarded(5, LEAVING, None)]
    engine.ask(Put(key, b"v"))
    assert not engine.out.persists, "others are asked to do it"


def forwarded(engine: Engine, name: str) -> list[Forwarded]:
    return [message for message in engine.sent(name) if isinstance(message, Forwarded)]


def test_who_is_gone_counts_itself_for_nobody_when_the_ring_settles_under_its_write() -> None:
    """As one that owns nothing any more it would fill the place of the first owner that is down."""
    engine = settled_engine("n3")
    tell(engine, leaving(SETTLED, "n3"))
    engine.down("n2")
    ticket = engine.ask(Put(KEY, b"v", cover=True, w=1))
    engine.store()
    ring = change.settle(engine.node.cluster.state)
    engine.receive("n1", Gossip("c1", ring.epoch, True, (), ring, False))
    assert ticket not in engine.replies, "it alone has it, and goes"
    ack(engine, "n1")
    written = engine.replies[ticket]
    assert isinstance(written, Written)
    assert [each.node for each in written.acks] == ["n1"]


def test_of_who_is_gone_no_row_is_taken() -> None:
    """It was not asked before anything was reaped: its rounds are its own."""
    engine = settled_engine()
    tell(engine, change.settle(removing(SETTLED, "n3")))
    engine.clear()
    engine.receive("n3", Replicate(5, engine.node.cluster.epoch, KEY, ROW, (), 2**40))
    assert engine.sent("n3") == [Replicated(5, False, None, GONE)]
    engine.receive("n2", Replicate(6, engine.node.cluster.epoch, KEY, ROW))
    merges = [write for _, write in engine.out.persists if isinstance(write, Merge)]
    assert [write.key for write in merges] == [KEY]


# What it has alone -----------------------------------------------------------------------------------------------


def compare(engine: Engine, refusing: str = "") -> list[str]:
    """Let time pass until nothing more is asked, and all who are asked hold the same; return who was, in turn."""
    names = []
    for _ in range(60):
        engine.wait(TRANSFER_AGAIN_S)
        for name in NAMES.values():
            for message in engine.out.sends.pop(node_id(name), []):
                if isinstance(message, Pull):
                    engine.receive(name, Pulled(message.rid, (), False, 0, ""))
                elif isinstance(message, AskTrees) and message.whole:
                    names.append(name)
                    answer(engine, name, message, REBUILDING if name == refusing else "")
        for ticket, write in engine.out.persists:
            if isinstance(write, SaveState) and write.name == STATE_PULLED:
                engine.step(Persisted([(ticket, Saved())]))
        engine.out.persists = []
    return names


def answer(engine: Engine, name: str, question: AskTrees, refused: str) -> None:
    same = tuple([b"d" * 16 for _ in question.prefixes])
    engine.step(Digested(question.rid, same))
    engine.receive(name, TreesTold(question.rid, () if refused else same, refused))


def moving_in(ring: RingState) -> Engine:
    """n1, one of four that have seats, while this ring moves."""
    engine = settled_engine()
    tell(engine, JOINED)
    tell(engine, ring)
    engine.clear()
    return engine


def test_every_taker_compares_itself_with_the_leaver_and_with_it_first() -> None:
    """What it alone acknowledged, with W=1 or as others' copies are on their way, would go with it."""
    engine = settled_engine()
    tell(engine, leaving(SETTLED, "n2"))
    engine.clear()
    assert compare(engine)[0] == "n2", "though n3 was an owner of as much"
    assert engine.node.cluster.me.holds == engine.node.cluster.epoch


def test_without_the_leavers_word_others_are_not_enough() -> None:
    engine = moving_in(leaving(JOINED, "n4"))
    names = compare(engine, refusing="n4")
    assert set(names) > {"n4"}
    assert engine.node.transfers.missing()
    assert engine.node.cluster.me.holds == 0


def test_of_two_nodes_the_one_that_stays_compares_itself_with_the_other() -> None:
    """It is an old owner itself, and its own word is as many as are needed."""
    engine = Engine(nodes=2)
    two = sealed_ring(["n1", "n2"])
    engine.settle_in(two)
    tell(engine, leaving(two, "n2"))
    assert engine.node.cluster.takers == (node_id("n1"), node_id("n2"))
    assert compare(engine)[0] == "n2"
    assert engine.node.cluster.me.holds == engine.node.cluster.epoch


def test_nobody_hears_the_dead_and_where_all_are_needed_the_others_are_enough() -> None:
    """With W=1 every old owner would have to be heard."""
    settled = JOINED._replace(quorums=Quorums(3, 3, 1))
    engine = settled_engine()
    engine.settle_in(settled)
    engine.down("n4")
    tell(engine, removing(settled, "n4"))
    engine.clear()
    assert "n4" not in compare(engine)
    assert engine.node.cluster.me.holds == engine.node.cluster.epoch
