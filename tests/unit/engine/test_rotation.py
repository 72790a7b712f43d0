"""DYN.CLUSTER ROTATE: the second step is taken by any voter, once all members that answer know the new secret."""

from __future__ import annotations

from node.core import change
from node.wire.change_messages import Prepare
from node.wire.messages import Gossip
from node.wire.requests import Document
from tests.helpers.engine import Engine, node_id
from tests.helpers.moving import JOINED, settled_engine, tell
from tests.unit.engine.test_changes import LOOK_S, agree, operator, proposals, tell_seated, told


def know(engine: Engine, *names: str) -> None:
    """These members tell that they have our ring."""
    for name in names:
        engine.receive(name, Gossip("c1", engine.node.cluster.epoch, True, (), None, False))


def rotating_engine() -> Engine:
    engine = settled_engine()
    tell_seated(engine)
    ticket = operator(engine, "ROTATE", "EPOCH", str(JOINED.epoch))
    agree(engine, "n2", "n3")
    assert isinstance(engine.replies[ticket], Document)
    engine.clear()
    return engine


def test_a_new_secret_is_used_once_everybody_knows_it() -> None:
    engine = rotating_engine()
    cluster = engine.node.cluster
    old, new = cluster.secrets
    assert old == JOINED.secrets[0]
    know(engine, "n2", "n3")
    engine.wait(LOOK_S)
    assert not proposals(engine, "n2"), "n4 answers, and may not know it yet"
    know(engine, "n4")
    engine.wait(LOOK_S)
    agree(engine, "n2", "n3")
    assert cluster.secrets == (new, old)
    assert (cluster.epoch, cluster.state.before) == (JOINED.epoch + 2, None)
    engine.clear()
    engine.wait(LOOK_S)
    assert not proposals(engine, "n2"), "it is over"


def test_who_does_not_answer_is_not_waited_for() -> None:
    """It learns the ring with the first word that it says again."""
    engine = rotating_engine()
    know(engine, "n2", "n3")
    engine.down("n4")
    engine.wait(LOOK_S)
    assert proposals(engine, "n2")


def test_the_secret_is_in_no_answer_and_no_plan() -> None:
    engine = rotating_engine()
    new = engine.node.cluster.secrets[1].secret
    for ticket in operator(engine, "PLAN", "LEAVE", "n3"), operator(engine, "PLAN", "ROTATE"):
        assert new.hex() not in repr(engine.replies.get(ticket))
    assert all(not isinstance(message, Prepare) for message in engine.sent("n2"))


def test_one_rotation_after_the_other() -> None:
    engine = rotating_engine()
    assert "the last rotation is not over" in repr(told(engine, "ROTATE"))
    tell(engine, change.rotated(engine.node.cluster.state))
    assert "not over" not in repr(operator(engine, "ROTATE"))
    assert node_id("n2") in engine.out.sends
