"""Before the first write, and a decider that may have forgotten it: whose word that nobody ever wrote is believed."""

from __future__ import annotations

import msgspec
import pytest

from node.core.cluster import RingState
from node.core.limits import FOUND_AFTER_S, JOIN_RETRY_S
from node.core.row import EMPTY
from node.engine.events import Asked, Stranger
from node.engine.seats import DECISION_TICKET
from node.engine.unsealed import QUESTION
from node.wire.messages import Answer, Ask, Fetch, Gossip, Join, Seal, Wait
from node.wire.requests import Failed, Found, Get, Put, Result
from tests.helpers.engine import member, node_id
from tests.helpers.newcomer import Newcomer, seated_member

TIMEOUT_MS = 3500
AGAIN_S = JOIN_RETRY_S + 0.02


def founder(*others: str, join: tuple[str, ...] = ()) -> Newcomer:
    """n1, who founded the cluster and gave seats to `others`, put back to before the first write, if there was one."""
    first = Newcomer()
    first.joined_by(*others)
    again = first.put_back(join=join)
    for name in others:
        again.link(name, first.node.cluster.cluster_id)
    return again


def says(asked: Newcomer, name: str, ring: RingState | None = None) -> None:
    """A member gossips: it knows this ring, or no other than the one that is asked."""
    state = ring or asked.node.cluster.state
    members = tuple(asked.node.cluster.members.values())
    asked.receive(name, Gossip(state.cluster_id, state.epoch, state.sealed, members, ring, False))


def reads(asked: Newcomer, timeout_ms: int = TIMEOUT_MS) -> None:
    asked.step(Asked(1, Get(b"k", timeout_ms=timeout_ms)))


def answers(asked: Newcomer) -> list[Result]:
    return [result for _, result in asked.out.replies]


def test_the_decider_of_an_unsealed_ring_knows_that_nobody_wrote() -> None:
    first = Newcomer()
    first.joined_by("n2", "n3")
    reads(first)
    (found,) = answers(first)
    assert isinstance(found, Found)
    assert found.row == EMPTY


def test_one_that_was_put_back_believes_it_once_every_member_has_said_so() -> None:
    """Seed 7380: it was put back to before the first write, and answered that there was nothing."""
    again = founder("n2", "n3")
    reads(again)
    assert not answers(again)
    says(again, "n2")
    again.wait(AGAIN_S)
    assert not answers(again)
    says(again, "n3")
    again.wait(AGAIN_S)
    (found,) = answers(again)
    assert isinstance(found, Found)


def test_it_reads_under_the_ring_that_it_had_forgotten() -> None:
    again = founder("n2", "n3")
    reads(again)
    state = again.node.cluster.state
    says(again, "n2", state._replace(sealed=True))
    again.wait(AGAIN_S)
    assert not answers(again)
    assert [type(message) for message in again.sent("n2")].count(Fetch) == 1


def test_without_their_word_the_read_ends_with_the_reason() -> None:
    again = founder("n2", "n3")
    reads(again)
    says(again, "n2")
    for _ in range(7):
        again.wait(AGAIN_S)
        if answers(again):
            break
    (failed,) = answers(again)
    assert isinstance(failed, Failed)
    assert failed.code == "UNAVAILABLE"
    assert "n1 was put back to before the first write" in failed.text
    assert "has not heard of it from n3" in failed.text


def test_it_tells_nobody_that_the_ring_is_unsealed() -> None:
    again = founder("n2", "n3")
    again.receive("n2", Ask(7, QUESTION, b""))
    assert not again.sent("n2")
    says(again, "n2")
    says(again, "n3")
    again.receive("n2", Ask(7, QUESTION, b""))
    (answer,) = again.sent("n2")
    assert isinstance(answer, Answer)
    assert msgspec.json.decode(answer.json) == {"sealed": False}


def test_it_neither_seals_nor_gives_seats() -> None:
    """The same epoch might have been decided already, and otherwise."""
    again = founder("n2", "n3")
    again.step(Asked(1, Put(b"k", b"v", cover=True)))
    assert not [ticket for ticket, _ in again.out.persists if ticket == DECISION_TICKET]
    again.receive("n2", Seal(again.node.cluster.epoch))
    assert not again.out.persists
    again.link("n4")
    again.receive("n4", Join(member("n4")))
    (wait,) = again.sent("n4")
    assert isinstance(wait, Wait)
    assert "was put back to before the first write" in wait.why
    assert node_id("n4") not in again.node.cluster.members
    says(again, "n2")
    says(again, "n3")
    again.wait(AGAIN_S)
    assert again.decided().epoch == again.node.cluster.epoch, "the write that waits has it sealed now"


@pytest.mark.parametrize("join", [(), ("127.0.0.1:7802",)])
def test_alone_it_looks_around_first(join: tuple[str, ...]) -> None:
    """The copy may be older than the others are members: they dial it, and it those that it was told of."""
    again = founder(join=join)
    assert [address for address, _ in again.out.dials] == list(join)
    reads(again, 2 * TIMEOUT_MS)
    assert not answers(again)
    for _ in range(round(FOUND_AFTER_S / JOIN_RETRY_S) + 1):
        again.wait(AGAIN_S)
        if answers(again):
            break
    assert again.now - 10 >= FOUND_AFTER_S
    (result,) = answers(again)
    assert isinstance(result, Found)


def test_it_yields_its_seat_only_when_it_is_sure_that_nobody_wrote() -> None:
    again = founder()
    better = Stranger(node_id("n9"), "n9", "another", "127.0.0.1:7809", 5, True)
    again.step(better)
    assert again.node.view().seated
    again.wait(FOUND_AFTER_S + 0.1)
    again.step(better)
    assert not again.node.view().seated


def test_without_a_seat_a_decider_of_old_says_nothing() -> None:
    """Its disk was lost, and it is about to take its seat again: a member that missed the seal may ask before that."""
    wiped = Newcomer(rebuilding=True)
    wiped.link("n2", "c1")
    wiped.receive("n2", Ask(7, QUESTION, b""))
    assert not wiped.sent("n2")


def test_a_ring_that_is_late_does_not_make_questions_breed() -> None:
    """The decider's word may overtake its ring: each answer sets a time to look again, and no more than one counts."""
    second = seated_member()
    reads(second)
    asked = 0
    for _ in range(200):
        asks = [message for message in second.sent("n1") if isinstance(message, Ask)]
        asked += len(asks)
        for ask in asks:
            second.receive("n1", Answer(ask.rid, b'{"sealed":true}'))
        second.wait(0.01)
    assert 10 < asked <= 2 / 0.04


def test_who_does_not_decide_asks_until_it_hears() -> None:
    """A lost question, or answer, costs a moment: nothing else would wake the read before its deadline."""
    second = seated_member()
    reads(second)
    (first,) = [message for message in second.sent("n1") if isinstance(message, Ask)]
    second.wait(AGAIN_S)
    assert [message for message in second.sent("n1") if isinstance(message, Ask)] == [first]
    second.receive("n1", Answer(first.rid, b'{"sealed":false}'))
    (found,) = answers(second)
    assert isinstance(found, Found)
