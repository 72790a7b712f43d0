"""Seats: founded once, decided durably before told, sealed by the first write, never taken from who wrote."""

from __future__ import annotations

from random import Random

import pytest

from node.core.cluster import Member
from node.core.limits import CANDIDATES_MAX, FOUND_AFTER_S, JOIN_RETRY_S
from node.core.version import EMPTY
from node.engine.config import NodeConfig
from node.engine.events import Asked, Candidate, PeerUp, Persisted, Reached, Received, Stranger
from node.engine.node import Node
from node.engine.operation import Operation
from node.engine.outbox import Outbox
from node.engine.seats import DECISION_TICKET
from node.storage.port import Advance, Identity, Refusal, Refused, Saved, SaveState
from node.wire.messages import Answer, Ask, Gossip, Join, Message, Seal, Wait
from node.wire.requests import Failed, Found, Get, Put
from tests.helpers.engine import member, node_id


class Newcomer:
    """A node that starts with nothing."""

    def __init__(self, name: str = "n1", *, join: tuple[str, ...] = (), discover: bool = False) -> None:
        config = NodeConfig(node_id(name), name, "dyn", join=join, discover=discover)
        identity = Identity(f"store-{name}", node_id(name), (int(name[1:]),))
        self.node = Node(config, identity, {}, rng=Random(1), entropy=Random(2).randbytes, wall_offset_s=0.0)
        self.now = 10.0
        self.out = Outbox()
        self.node.start(self.now, self.out)

    def step(self, event: object) -> None:
        """Let something happen; only its effects remain in `out`."""
        self.out = Outbox()
        self.node.step(event, self.now, self.out)  # type: ignore[arg-type]  # tests pass events

    def receive(self, name: str, message: Message) -> None:
        """A peer says something."""
        self.step(Received(node_id(name), message))

    def link(self, name: str, cluster_id: str = "") -> None:
        """A link to `name` opens."""
        self.step(PeerUp(node_id(name), name, cluster_id, f"127.0.0.1:{7800 + int(name[1:])}"))

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds
        self.step(Reached())

    def decided(self) -> SaveState:
        """The decision that waits for the disk."""
        ((_, write),) = [entry for entry in self.out.persists if entry[0] == DECISION_TICKET]
        assert isinstance(write, SaveState)
        return write

    def stored(self) -> None:
        """The decision is durable."""
        self.step(Persisted([(DECISION_TICKET, Saved())]))

    def sent(self, name: str) -> list[Message]:
        """What was said to a peer by the last event."""
        return self.out.sends.get(node_id(name), [])

    def joined_by(self, *names: str) -> None:
        """These join, one after the other."""
        for name in names:
            self.link(name)
            self.receive(name, Join(member(name)))
            self.stored()


def test_without_discovery_and_seeds_a_node_founds_at_once() -> None:
    """design, section 7."""
    assert Newcomer().node.view().seated


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


def seated_member() -> Newcomer:
    """n2, a member of n1's cluster of three, unsealed."""
    founder = Newcomer("n1")
    founder.joined_by("n2", "n3")
    newcomer = Newcomer("n2", join=("127.0.0.1:7801",))
    newcomer.link("n1", founder.node.cluster.cluster_id)
    newcomer.receive("n1", founder.node.seats.gossip(ring=True, reply=False))
    assert newcomer.node.view().seated
    return newcomer


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
        (member("n2")._replace(storage_id="copied"), "the seat of n2 belongs to another store"),
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


def test_candidates_are_bounded() -> None:
    """A spoofed network must not make us dial for ever."""
    newcomer = Newcomer(discover=True)
    dialled = 0
    for number in range(CANDIDATES_MAX + 10):
        newcomer.step(Candidate(f"127.0.0.1:{number}"))
        dialled += len(newcomer.out.dials)
    assert dialled == CANDIDATES_MAX


def test_a_read_before_the_first_write_asks_the_founder() -> None:
    """A member that missed the later ring must not take old owners' silence for absence (found by simulation)."""
    newcomer = seated_member()
    newcomer.step(Asked(1, Get(b"k")))
    (ask,) = newcomer.sent("n1")
    assert isinstance(ask, Ask)
    assert not newcomer.out.replies
    newcomer.receive("n1", Answer(ask.rid, b'{"sealed":false}'))
    assert newcomer.out.replies == [(1, Found(EMPTY))]


def test_a_read_goes_on_under_the_ring_that_the_founder_sends() -> None:
    """Sealed there: the ring comes first, then the read begins."""
    newcomer = seated_member()
    newcomer.step(Asked(1, Get(b"k")))
    (ask,) = newcomer.sent("n1")
    assert isinstance(ask, Ask)
    sealed = newcomer.node.cluster.state._replace(sealed=True)
    members = tuple(newcomer.node.cluster.members.values())
    newcomer.receive("n1", Gossip(sealed.cluster_id, 3, True, members, sealed, False))
    newcomer.link("n3")
    newcomer.receive("n1", Answer(ask.rid, b'{"sealed":true}'))
    assert not newcomer.out.replies
    assert newcomer.out.loads or newcomer.out.sends


def test_the_founder_answers_from_what_it_has_decided() -> None:
    """Before the seal: nothing was ever written, for sure. After it: the ring, and then the word."""
    founder = Newcomer()
    founder.joined_by("n2")
    founder.step(Asked(1, Get(b"k")))
    assert founder.out.replies == [(1, Found(EMPTY))]
    founder.receive("n2", Ask(5, "sealed", b""))
    assert founder.sent("n2") == [Answer(5, b'{"sealed":false}')]
    founder.step(Asked(2, Put(b"k", b"v", cover=True)))
    founder.stored()
    founder.receive("n2", Ask(6, "sealed", b""))
    gossip, answer = founder.sent("n2")
    assert isinstance(gossip, Gossip)
    assert answer == Answer(6, b'{"sealed":true}')


def test_two_lives_of_a_node_share_no_ticket() -> None:
    """A late answer to the former life must not count for this one (found by simulation)."""
    rids = []
    for seed in (1, 2):
        node = Newcomer().node
        fresh = Node(node.config, Identity("s", node.config.id, (1,)), {}, rng=Random(seed),
                     entropy=Random(3).randbytes, wall_offset_s=0.0)  # fmt: skip
        rids.append(fresh.shared.enter(Operation(fresh.shared)))
    assert abs(rids[0] - rids[1]) > 1000


def test_a_first_write_ends_at_its_own_deadline() -> None:
    """Not at the next time the seal is asked for (found by simulation)."""
    newcomer = seated_member()
    newcomer.step(Asked(1, Put(b"k", b"v", cover=True, timeout_ms=100)))
    deadline = newcomer.node.seats.next_deadline()
    assert deadline is not None
    assert deadline <= newcomer.now + 0.1
    newcomer.wait(0.1)
    assert [ticket for ticket, _ in newcomer.out.replies] == [1]


def test_gossip_of_another_cluster_is_not_taken_over() -> None:
    """Two clusters that an old link joins keep their members apart (found by simulation)."""
    founder = Newcomer()
    founder.step(Asked(1, Put(b"k", b"v", cover=True)))
    founder.stored()
    founder.link("n2")
    founder.receive("n2", Gossip("other", 9, True, (member("n2"), member("n3")), None, True))
    assert list(founder.node.cluster.members) == [node_id("n1")]
    assert "other" in founder.node.cluster.strangers


def test_whoever_founds_tells_the_linked() -> None:
    """Who was about to found too shall rather join (found by simulation)."""
    newcomer = Newcomer(discover=True)
    newcomer.link("n2")
    newcomer.wait(FOUND_AFTER_S)
    assert [type(message) for message in newcomer.sent("n2")][:1] == [Gossip]


def test_a_node_that_was_told_of_a_founder_does_not_found() -> None:
    """A Wait from a seated node, or its gossip, is a cluster seen (found by simulation)."""
    newcomer = Newcomer(discover=True)
    newcomer.link("n2")
    newcomer.receive("n2", Wait(True, "n3, who founded the cluster, gives the seats", ("127.0.0.1:7803",)))
    newcomer.wait(FOUND_AFTER_S)
    assert not newcomer.node.view().seated


def test_a_joiner_asks_whoever_it_is_linked_to() -> None:
    """A peer without a seat when the link opened may have founded since (found by simulation)."""
    newcomer = Newcomer("n5", join=("127.0.0.1:7801",))
    newcomer.link("n1")
    newcomer.link("n2", "c1")
    asked = set()
    for _ in range(4):
        newcomer.wait(JOIN_RETRY_S)
        asked |= {peer for peer, sent in newcomer.out.sends.items() if any(isinstance(m, Join) for m in sent)}
    assert asked == {node_id("n1"), node_id("n2")}
