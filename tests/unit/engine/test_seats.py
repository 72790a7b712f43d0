"""Seats: founded once, decided durably before told, sealed by the first write, never taken from who wrote."""

from __future__ import annotations

import pytest

from node.core.cluster import Member
from node.core.limits import CANDIDATES_MAX, FOUND_AFTER_S, JOIN_RETRY_S
from node.engine.events import Asked, Candidate, Persisted, Received, Stranger, Withdrawn
from node.engine.seats import DECISION_TICKET
from node.storage.port import Advance, Refusal, Refused, SaveState
from node.wire.messages import Gossip, Join, Seal, Wait
from node.wire.requests import Failed, Put
from tests.helpers.engine import member, node_id
from tests.helpers.newcomer import Newcomer, seated_member


def test_without_discovery_and_seeds_a_node_founds_at_once() -> None:
    """design, section 7."""
    assert Newcomer().node.view().seated


def test_nobody_hears_of_a_cluster_before_its_founding_is_durable() -> None:
    """Seed 48875: a power cut, and the founder founds another one; who had a seat in the first waits there for ever."""
    newcomer = Newcomer(discover=True, holds=True)
    newcomer.link("n2")
    newcomer.wait(FOUND_AFTER_S)
    assert not newcomer.node.view().seated
    assert not any(isinstance(message, Gossip) for message in newcomer.sent("n2"))
    newcomer.receive("n2", Join(member("n2")))
    assert [type(message) for message in newcomer.sent("n2")] == [Wait]
    newcomer.stored()
    assert newcomer.node.view().seated
    assert any(isinstance(message, Gossip) for message in newcomer.sent("n2"))


def test_a_founding_that_the_disk_refused_is_tried_again() -> None:
    newcomer = Newcomer(holds=True)
    newcomer.step(Persisted([(DECISION_TICKET, Refused(Refusal.DISK_FULL, "full"))]))
    assert not newcomer.node.view().seated
    newcomer.holds = False
    newcomer.wait(FOUND_AFTER_S)
    assert newcomer.node.view().seated


def test_who_was_taken_in_while_it_founded_founds_nothing() -> None:
    newcomer = Newcomer(discover=True, holds=True)
    newcomer.link("n2")
    newcomer.wait(FOUND_AFTER_S)
    other = seated_member()
    mine = newcomer.node.cluster.me
    ring = other.node.cluster.state
    newcomer.receive("n2", Gossip(ring.cluster_id, ring.epoch, ring.sealed, (mine, member("n2")), ring, False))
    newcomer.stored()
    assert newcomer.node.cluster.cluster_id == ring.cluster_id


def test_with_discovery_it_looks_around_first() -> None:
    """Three seconds, then it founds."""
    newcomer = Newcomer(discover=True)
    newcomer.wait(FOUND_AFTER_S - 0.1)
    assert not newcomer.node.view().seated
    newcomer.wait(0.2)
    assert newcomer.node.view().seated


def test_with_seeds_it_never_founds() -> None:
    """--join asks, and asks, and asks."""
    newcomer = Newcomer(join=("127.0.0.1:7802",))
    assert newcomer.out.dials == [("127.0.0.1:7802", True)]
    newcomer.wait(1000)
    assert not newcomer.node.view().seated


@pytest.mark.parametrize(("other", "founds"), [("n2", True), ("n0", False)])
def test_the_lowest_unseated_founds(other: str, founds: bool) -> None:
    """Of several new nodes that see each other only the lowest id founds."""
    newcomer = Newcomer(discover=True)
    newcomer.link(other)
    newcomer.wait(FOUND_AFTER_S)
    assert newcomer.node.view().seated is founds


def test_a_lower_node_that_never_founds_is_not_waited_for_for_ever() -> None:
    """It may have --join and be waiting for us."""
    newcomer = Newcomer(discover=True)
    newcomer.link("n0")
    for _ in range(3):
        newcomer.wait(FOUND_AFTER_S)
    assert newcomer.node.view().seated


def test_a_decision_is_stored_before_it_is_told() -> None:
    """Else a crash would let the same epoch be decided twice."""
    founder = Newcomer()
    founder.link("n2")
    founder.receive("n2", Join(member("n2")))
    assert founder.decided().epoch == 2
    assert not founder.sent("n2")
    assert founder.node.cluster.epoch == 1
    founder.stored()
    (told,) = founder.sent("n2")
    assert isinstance(told, Gossip)
    assert told.ring is not None
    assert told.ring.epoch == founder.node.cluster.epoch == 2


def test_a_decision_that_the_disk_refused_never_was() -> None:
    """The next one takes its number."""
    founder = Newcomer()
    founder.link("n2")
    founder.receive("n2", Join(member("n2")))
    founder.step(Persisted([(DECISION_TICKET, Refused(Refusal.DISK_FULL, ""))]))
    assert founder.node.cluster.epoch == 1
    founder.receive("n2", Join(member("n2")))
    assert founder.sent("n2")


def test_one_decision_at_a_time() -> None:
    """A second joiner asks again a moment later."""
    founder = Newcomer()
    founder.link("n2")
    founder.link("n3")
    founder.receive("n2", Join(member("n2")))
    founder.receive("n3", Join(member("n3")))
    assert not founder.out.persists
    founder.stored()
    founder.receive("n3", Join(member("n3")))
    assert founder.decided().epoch == 3


def test_the_first_write_waits_for_the_seal() -> None:
    """The ring is frozen durably before anything is written under it."""
    founder = Newcomer()
    founder.step(Asked(1, Put(b"k", b"v", cover=True)))
    assert founder.decided()
    assert not [w for _, w in founder.out.persists if isinstance(w, Advance)]
    founder.stored()
    assert [w for _, w in founder.out.persists if isinstance(w, Advance)]
    assert founder.node.view().sealed


def test_a_joiner_after_the_seal_owns_nothing() -> None:
    """A join never makes an acknowledged write unreadable: the placement stays."""
    founder = Newcomer()
    founder.joined_by("n2")
    founder.step(Asked(1, Put(b"k", b"v", cover=True)))
    founder.stored()
    before = founder.node.cluster.ring
    founder.link("n3")
    founder.receive("n3", Join(member("n3")))
    (welcome,) = founder.sent("n3")
    assert isinstance(welcome, Gossip)
    assert welcome.ring == before
    assert node_id("n3") in founder.node.cluster.members


def test_a_seal_wanted_during_a_join_comes_after_it() -> None:
    """Both are decisions; neither is lost."""
    founder = Newcomer()
    founder.link("n2")
    founder.receive("n2", Join(member("n2")))
    founder.step(Asked(1, Put(b"k", b"v", cover=True)))
    founder.stored()
    assert founder.decided().epoch == 2
    founder.stored()
    assert founder.node.view().sealed
    assert founder.node.cluster.epoch == 2


def test_a_member_asks_the_founder_for_the_seal() -> None:
    """… and writes when it has come."""
    newcomer = seated_member()
    newcomer.link("n3")
    newcomer.step(Asked(1, Put(b"k", b"v", cover=True)))
    assert newcomer.sent("n1") == [Seal(3)]
    assert not newcomer.out.persists
    sealed = newcomer.node.cluster.state._replace(sealed=True)
    newcomer.receive(
        "n1", Gossip(sealed.cluster_id, 3, True, tuple(newcomer.node.cluster.members.values()), sealed, False)
    )
    kinds = [type(write) for _, write in newcomer.out.persists]
    assert kinds == [SaveState, Advance], "the ring must be stored before the write"


def test_the_seal_is_asked_for_again() -> None:
    """Messages get lost."""
    newcomer = seated_member()
    newcomer.step(Asked(1, Put(b"k", b"v", cover=True)))
    newcomer.wait(JOIN_RETRY_S + 0.01)
    assert Seal(3) in newcomer.sent("n1")


def test_no_seal_in_time_is_not_done() -> None:
    """Nothing was stored anywhere, and the answer says who is waited for."""
    newcomer = seated_member()
    newcomer.step(Asked(1, Put(b"k", b"v", cover=True, timeout_ms=400)))
    newcomer.wait(JOIN_RETRY_S + 0.01)
    ((_, result),) = newcomer.out.replies
    assert result == Failed("UNAVAILABLE", "n1 did not seal the ring in time")


@pytest.mark.parametrize(
    ("joiner", "why"),
    [
        (member("n1")._replace(id=node_id("n9")), "the name n1 is taken by the node at 127.0.0.1:7800"),
        (member("n2")._replace(id=node_id("n9")), "the name n2 is taken by the node at 127.0.0.1:7802"),
    ],
)
def test_a_seat_is_refused_in_one_sentence(joiner: Member, why: str) -> None:
    """Two of one name, or two stores of one identity, never mix."""
    founder = Newcomer()
    founder.joined_by("n2")
    founder.step(Received(joiner.id, Join(joiner)))
    (wait,) = founder.out.sends[joiner.id]
    assert isinstance(wait, Wait)
    assert wait.why.startswith(why)
    assert founder.node.cluster.epoch == 2


def test_a_node_asks_for_itself_only() -> None:
    """The id in the record is the one that proved the key."""
    founder = Newcomer()
    founder.receive("n3", Join(member("n2")))
    assert founder.sent("n3") == [Wait(True, "a node asks for itself only", ())]


def stranger(name: str, *, members: int = 1, sealed: bool = False) -> Stranger:
    """`name` shows itself with a cluster of its own."""
    return Stranger(node_id(name), name, "other", "127.0.0.1:7899", members, sealed)


@pytest.mark.parametrize(
    ("other", "yields"),
    [
        (stranger("n0"), True),
        (stranger("n2"), False),
        (stranger("n2", sealed=True), True),
        (stranger("n2", members=2), True),
    ],
)
def test_a_lonely_unwritten_cluster_yields_to_the_better_one(other: Stranger, yields: bool) -> None:
    """Several founded in the same second: one remains."""
    founder = Newcomer()
    founder.step(other)
    assert founder.node.view().seated is not yields
    if yields:
        assert ("127.0.0.1:7899", True) in founder.out.dials
    else:
        assert "other" in founder.node.cluster.strangers


def test_a_written_cluster_never_yields() -> None:
    """Both go on, and status names the two."""
    founder = Newcomer()
    founder.step(Asked(1, Put(b"k", b"v", cover=True)))
    founder.step(stranger("n0", sealed=True))
    assert founder.node.view().seated, "yielded while its first write was under way"
    founder.stored()
    founder.step(stranger("n0", sealed=True))
    assert founder.node.view().seated


def test_a_node_without_a_seat_takes_no_requests() -> None:
    """It says why, in words."""
    newcomer = Newcomer(join=("127.0.0.1:7802",))
    newcomer.step(Asked(1, Put(b"k", b"v", cover=True)))
    ((_, result),) = newcomer.out.replies
    assert result == Failed("UNAVAILABLE", "this node has no seat in a cluster yet: looking for a cluster")


@pytest.mark.parametrize(("asked", "seated"), [(None, True), (256, True), (64, False)])
def test_a_seat_is_taken_where_there_are_as_many_partitions_as_were_asked_for(asked: int | None, seated: bool) -> None:
    """One that was started for another number adopts nothing, so that its store knows of no ring."""
    founder, newcomer = Newcomer("n1"), Newcomer("n2", join=("127.0.0.1:7801",), partitions=asked)
    founder.joined_by("n2")
    newcomer.link("n1", founder.node.cluster.cluster_id)
    newcomer.receive("n1", founder.node.seats.gossip(newcomer.node.config.id, ring=True, reply=False))
    assert newcomer.node.view().seated == seated
    facts = [fact.fields for fact in newcomer.out.facts if fact.kind == "other_partitions"]
    assert facts == ([] if seated else [{"cluster": "dyn", "there": 256, "here": 64}])
    assert any(isinstance(write, SaveState) for _, write in newcomer.out.persists) == seated


def test_candidates_are_bounded() -> None:
    """A spoofed network must not make us dial for ever."""
    newcomer = Newcomer(discover=True)
    dialled = 0
    for number in range(CANDIDATES_MAX + 10):
        newcomer.step(Candidate(f"127.0.0.1:{number}"))
        dialled += len(newcomer.out.dials)
    assert dialled == CANDIDATES_MAX


def test_what_is_announced_does_not_keep_us_from_what_members_tell() -> None:
    """A network full of forged announcements, and a member that says who gives the seats."""
    newcomer = Newcomer(discover=True)
    for number in range(CANDIDATES_MAX):
        newcomer.step(Candidate(f"192.0.2.1:{number}"))
    newcomer.link("n2", "c1")
    newcomer.receive("n2", Wait(True, "n3 gives the seats", ("127.0.0.1:7803",)))
    assert newcomer.out.dials == [("127.0.0.1:7803", True)]


def test_what_is_withdrawn_makes_room_and_is_dialled_no_more() -> None:
    newcomer = Newcomer(discover=True)
    for number in range(CANDIDATES_MAX):
        newcomer.step(Candidate(f"192.0.2.1:{number}"))
    newcomer.step(Withdrawn("192.0.2.1:7"))
    assert newcomer.out.dials == [("192.0.2.1:7", False)]
    newcomer.step(Withdrawn("192.0.2.1:7"))
    assert newcomer.out.dials == []
    newcomer.step(Candidate("192.0.2.2:1"))
    assert newcomer.out.dials == [("192.0.2.2:1", True)]


def test_seeds_and_members_stay_dialled_whoever_withdraws_them() -> None:
    """Goodbyes can be forged, too."""
    node = seated_member()
    for address in "127.0.0.1:7801", "127.0.0.1:7803":  # the first is its seed, too
        node.step(Candidate(address))
        node.step(Withdrawn(address))
        assert node.out.dials == [], address
