"""Failure detection: who is down for me, how soon, and what brings it back (paper, section 4.8.3)."""

from __future__ import annotations

from node.core.ids import NodeId
from node.core.limits import DOWN_AFTER_S, GOSSIP_INTERVAL_S, MISSED_S, PATIENCE_MS_MAX
from node.core.limits_size import PROBES_MAX
from node.engine.events import Received
from node.wire.messages import Ping, Pong
from tests.helpers.engine import Engine, node_id
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


def asked(engine: Engine) -> set[NodeId]:
    """Who is asked in the next round whether it is there; each but the silent answers."""
    engine.clear()
    engine.pass_time(GOSSIP_INTERVAL_S)
    return {peer for peer, messages in engine.out.sends.items() if any(isinstance(m, Ping) for m in messages)}


def test_of_very_many_peers_so_many_are_asked_in_a_round_and_all_by_turns() -> None:
    engine = Engine(2 * PROBES_MAX + 2)
    peers = set(engine.node.cluster.links)
    rounds = []
    for _ in range(6):
        rounds.append(asked(engine))
        for peer in rounds[-1]:
            engine.step(Received(peer, Pong(0)))
    assert {len(each) for each in rounds} == {PROBES_MAX}
    assert rounds[0] | rounds[1] | rounds[2] == peers
    assert not rounds[0] & rounds[1]


def test_who_owes_an_answer_is_asked_in_every_round_and_is_down_in_time() -> None:
    engine = Engine(2 * PROBES_MAX + 2)
    silent = next(iter(engine.node.cluster.links))
    begun = None
    for _ in range(20):
        peers = asked(engine)
        if silent in peers and begun is None:
            begun = engine.now
        assert begun is None or silent in peers
        for peer in peers - {silent}:
            engine.step(Received(peer, Pong(0)))
        if not engine.node.cluster.is_up(silent):
            break
    assert begun is not None
    assert engine.now - begun <= DOWN_AFTER_S + GOSSIP_INTERVAL_S
    engine.step(Received(silent, Pong(0)))
    assert engine.node.cluster.is_up(silent)
