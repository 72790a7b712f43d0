"""A newcomer to a sealed ring: it knows no reap round, and learns them before it takes a row or asks for a seat."""

from __future__ import annotations

from node.core import change
from node.core.cluster import Change, RingState
from node.core.limits import CATCH_UP_S
from node.core.limits_change import CHANGE_LOOK_S, GIVEN_UP_S
from node.engine.events import Persisted
from node.engine.kept import STATE_BEHIND, STATE_RING
from node.storage.port import Saved, SaveState
from node.wire.change_messages import Prepare
from node.wire.messages import BEHIND, AskRounds, Gossip, Replicate, Replicated, RoundsTold
from node.wire.rows import encode_row
from tests.helpers.engine import EPOCH, Engine, member, node_id, row_of
from tests.helpers.moving import JOINED, MOVING, SETTLED, settled_engine, tell
from tests.helpers.newcomer import Newcomer

LOOK_S = CHANGE_LOOK_S * 1.5
MEMBERS = tuple(member(f"n{number}") for number in range(1, 5))


def welcomed(ring: RingState) -> Newcomer:
    """n4, which has joined as a member, and was given this ring."""
    newcomer = Newcomer("n4", join=("127.0.0.1:7801",))
    newcomer.link("n1", "c1")
    newcomer.receive("n1", Gossip("c1", ring.epoch, True, MEMBERS, ring, False))
    return newcomer


def stored(newcomer: Newcomer) -> list[str]:
    return [write.name for _, write in newcomer.out.persists if isinstance(write, SaveState)]


def asks_for_a_seat(engine: Engine) -> bool:
    """Whether it proposes a ring with one, the next time it looks."""
    engine.clear()
    engine.wait(LOOK_S)
    return any(isinstance(message, Prepare) for message in engine.sent("n1"))


def test_a_newcomer_to_a_sealed_ring_starts_behind_durably_before_it_has_the_ring() -> None:
    """With the ring alone it would be a member in round 0 after a crash."""
    newcomer = welcomed(SETTLED)
    assert newcomer.node.cluster.behind
    names = stored(newcomer)
    assert names.index(STATE_BEHIND) < names.index(STATE_RING)
    row = encode_row(row_of(b"v"))
    newcomer.receive("n1", Replicate(5, EPOCH, b"k", row))
    assert Replicated(5, False, None, BEHIND) in newcomer.sent("n1")


def test_also_one_that_first_hears_of_the_ring_in_which_it_takes_a_seat() -> None:
    assert welcomed(MOVING).node.cluster.behind


def test_who_had_its_seat_before_the_first_write_knows_all_rounds() -> None:
    """Nothing was reaped before; and who lost its disk since says so itself."""
    assert not welcomed(JOINED).node.cluster.behind
    assert not welcomed(SETTLED._replace(sealed=False)).node.cluster.behind


def test_it_learns_the_rounds_before_it_asks_for_a_seat() -> None:
    engine = settled_engine("n4")
    engine.do(lambda: engine.node.cluster.starts_behind(engine.out))
    assert not asks_for_a_seat(engine)
    engine.clear()
    engine.wait(CATCH_UP_S + LOOK_S)
    asked = [message for message in engine.sent("n1") if isinstance(message, AskRounds)][-1]
    engine.clear()
    engine.receive("n1", RoundsTold(asked.rid, True, (), ""))
    ((ticket, write),) = [each for each in engine.out.persists if is_behind(each[1])]
    assert write == SaveState(STATE_BEHIND, b"")
    assert not asks_for_a_seat(engine), "it is not durable yet that it knows them"
    engine.step(Persisted([(ticket, Saved())]))
    assert asks_for_a_seat(engine)


def is_behind(write: object) -> bool:
    return isinstance(write, SaveState) and write.name == STATE_BEHIND


# Given up ------------------------------------------------------------------------------------------------------


def test_a_newcomer_whose_join_was_given_up_lets_others_have_their_turn() -> None:
    """It would ask again within half a second, and nothing else could ever be decided."""
    engine = settled_engine("n4")
    assert asks_for_a_seat(engine)
    engine = settled_engine("n4")
    tell(engine, MOVING)
    tell(engine, change.abandon(MOVING))
    assert not asks_for_a_seat(engine)
    assert engine.node.view().waiting_because == "given up: join; it asks again 60 s after it learned so"
    engine.wait(GIVEN_UP_S - 3 * LOOK_S)
    assert not asks_for_a_seat(engine)
    engine.pass_time(LOOK_S)
    assert asks_for_a_seat(engine)


def test_so_does_one_that_was_to_replace_somebody() -> None:
    engine = settled_engine("n4")
    replacing = change.begin(SETTLED, Change(change.REPLACE, node_id("n3"), node_id("n4")), MOVING.seats[-1])
    tell(engine, replacing)
    tell(engine, change.abandon(replacing))
    assert not asks_for_a_seat(engine)


def test_one_that_was_started_again_since_asks_at_once() -> None:
    """It had died on its way, so that it was given up; and to start it is to have it join."""
    engine = settled_engine("n4")
    tell(engine, change.abandon(MOVING))
    assert asks_for_a_seat(engine)


def test_that_another_change_was_given_up_keeps_nobody_waiting() -> None:
    engine = settled_engine("n4")
    leaving = change.begin(SETTLED, Change(change.LEAVE, node_id("n3")))
    tell(engine, leaving)
    tell(engine, change.abandon(leaving))
    assert asks_for_a_seat(engine)


def test_once_another_change_was_decided_it_may_ask_again() -> None:
    engine = settled_engine("n4")
    given_up = change.abandon(MOVING)
    tell(engine, MOVING)
    tell(engine, given_up)
    assert not asks_for_a_seat(engine)
    other = change.settle(change.begin(given_up, Change(change.LEAVE, node_id("n3"))))
    tell(engine, other)
    assert asks_for_a_seat(engine)
