"""Failure detection: who is down for me, how soon, and what brings it back (paper, section 4.8.3)."""

from __future__ import annotations

from node.core.limits import MISSED_S, PATIENCE_MS_MAX
from node.wire.messages import Ping, Pong
from tests.helpers.engine import node_id
from tests.helpers.five import Five


def test_who_lets_requests_and_the_question_go_unanswered_is_down() -> None:
    """Within a second, not after the rounds; an answer, and only an answer, brings it back."""
    five = Five()
    cluster = five.engine.node.cluster
    silent = node_id(five.owners[2])
    five.put()
    five.engine.store()
    five.ack(five.owners[1])
    five.engine.pass_time(PATIENCE_MS_MAX / 1000)
    assert any(isinstance(m, Ping) for m in five.engine.out.sends[silent])
    assert cluster.is_up(silent)
    assert five.engine.node.next_deadline() <= five.engine.now + MISSED_S
    five.engine.pass_time(MISSED_S)
    assert not cluster.is_up(silent)
    assert cluster.health(silent, five.engine.now) == "down"
    assert (five.owners[2],) in five.owed(), "the write that waited for it leaves a hint"
    five.engine.clear()
    five.engine.now += 2 * MISSED_S
    five.engine.receive(five.owners[2], Ping(0))
    assert not cluster.is_up(silent), "it can be heard; whether it hears us is not known"
    assert any(isinstance(m, Ping) for m in five.engine.out.sends[silent]), "so it is asked"
    five.engine.receive(five.owners[2], Pong(0))
    assert cluster.is_up(silent)


def test_a_slow_disk_is_not_silence() -> None:
    five = Five()
    for _ in range(5):
        five.put()
        five.engine.store()
        five.ack(five.owners[1])
        five.engine.pass_time(PATIENCE_MS_MAX / 1000)
        five.engine.receive(five.owners[2], Pong(0))
        five.engine.receive(five.stand_ins[0], Pong(0))
        five.engine.receive(five.stand_ins[1], Pong(0))
    assert five.engine.node.cluster.is_up(node_id(five.owners[2]))
