"""The opening of a cluster under lost and late messages: each of these was found by simulation first."""

from __future__ import annotations

from random import Random

from node.core.limits import FOUND_AFTER_S, JOIN_RETRY_S
from node.core.row import EMPTY
from node.engine.events import Asked
from node.engine.node import Node
from node.engine.operation import Operation
from node.storage.port import Identity
from node.wire.messages import Answer, Ask, Gossip, Join, Wait
from node.wire.requests import Found, Get, Put
from tests.helpers.engine import member, node_id
from tests.helpers.newcomer import Newcomer, seated_member


def test_a_read_before_the_first_write_asks_the_founder() -> None:
    """A member that missed the later ring must not take old owners' silence for absence."""
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
    """A late answer to the former life must not count for this one."""
    rids = []
    for seed in (1, 2):
        node = Newcomer().node
        fresh = Node(node.config, Identity("s", node.config.id, (1,), 1, "", 0), {}, rng=Random(seed),
                     entropy=Random(3).randbytes, wall_offset_s=0.0)  # fmt: skip
        rids.append(fresh.shared.enter(Operation(fresh.shared)))
    assert abs(rids[0] - rids[1]) > 1000


def test_a_first_write_ends_at_its_own_deadline() -> None:
    """Not at the next time the seal is asked for."""
    newcomer = seated_member()
    newcomer.step(Asked(1, Put(b"k", b"v", cover=True, timeout_ms=100)))
    deadline = newcomer.node.seats.next_deadline()
    assert deadline is not None
    assert deadline <= newcomer.now + 0.1
    newcomer.wait(0.1)
    assert [ticket for ticket, _ in newcomer.out.replies] == [1]


def test_gossip_of_another_cluster_is_not_taken_over() -> None:
    """Two clusters that an old link joins keep their members apart."""
    founder = Newcomer()
    founder.step(Asked(1, Put(b"k", b"v", cover=True)))
    founder.stored()
    founder.link("n2")
    founder.receive("n2", Gossip("other", 9, True, (member("n2"), member("n3")), None, True))
    assert list(founder.node.cluster.members) == [node_id("n1")]
    assert "other" in founder.node.cluster.strangers


def test_whoever_founds_tells_the_linked() -> None:
    """Who was about to found too shall rather join."""
    newcomer = Newcomer(discover=True)
    newcomer.link("n2")
    newcomer.wait(FOUND_AFTER_S)
    assert any(isinstance(message, Gossip) for message in newcomer.sent("n2"))


def test_a_node_that_was_told_of_a_founder_does_not_found() -> None:
    """A Wait from a seated node, or its gossip, is a cluster seen."""
    newcomer = Newcomer(discover=True)
    newcomer.link("n2")
    newcomer.receive("n2", Wait(True, "n3, who founded the cluster, gives the seats", ("127.0.0.1:7803",)))
    newcomer.wait(FOUND_AFTER_S)
    assert not newcomer.node.view().seated


def test_a_joiner_asks_whoever_it_is_linked_to() -> None:
    """A peer without a seat when the link opened may have founded since."""
    newcomer = Newcomer("n5", join=("127.0.0.1:7801",))
    newcomer.link("n1")
    newcomer.link("n2", "c1")
    asked = set()
    for _ in range(4):
        newcomer.wait(JOIN_RETRY_S)
        asked |= {peer for peer, sent in newcomer.out.sends.items() if any(isinstance(m, Join) for m in sent)}
    assert asked == {node_id("n1"), node_id("n2")}
