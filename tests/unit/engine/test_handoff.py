"""Being a stand-in: rows kept with their hints, handed over when the owner answers, and let go only then."""

from __future__ import annotations

from collections import Counter

from node.core.ids import NodeId
from node.core.limits import HANDOFF_RETRY_S, HANDOFF_SURE_S
from node.core.limits_size import HANDOFF_LOOKS_S_MAX, HANDOFF_PASS_S
from node.storage.port import Merge, Refusal
from node.wire.messages import Replicate, Replicated
from node.wire.rows import encode_row
from tests.helpers.engine import EPOCH, Engine, node_id, row_of
from tests.helpers.five import NAMES


def test_a_stand_in_keeps_the_hint_with_the_row_and_hands_over_when_the_owner_answers() -> None:
    engine = Engine(nodes=5)
    key = engine.key_owned_by_others()
    owner = next(name for name in NAMES if node_id(name) in engine.owners(key))
    engine.down(owner)
    row = encode_row(row_of(b"v"))
    sender = next(name for name in NAMES if name not in ("n1", owner))
    engine.receive(sender, Replicate(5, EPOCH, key, row, (node_id(owner),)))
    _, write = engine.take_persist()
    assert isinstance(write, Merge)
    assert write.owed is not None
    assert write.owed.targets == (node_id(owner),)
    engine.clear()
    engine.up(owner)
    (ticket, target, after, _) = next(owed for owed in engine.out.owed if owed[1] == node_id(owner))
    assert (target, after) == (node_id(owner), b"")
    engine.owed(ticket, ((key, row),))
    (replicate,) = [m for m in engine.sent(owner) if isinstance(m, Replicate)]
    assert (replicate.key, replicate.row, replicate.hint_for) == (key, row, ())
    assert not engine.handed(), "kept until the owner has it"
    engine.receive(owner, Replicated(replicate.rid, True, None, ""))
    (hand_over,) = engine.handed()
    assert (hand_over.key, hand_over.target, hand_over.row, hand_over.keep) == (key, target, row, False)


def test_a_hand_over_that_is_refused_is_tried_again_and_says_why() -> None:
    engine = Engine(nodes=5)
    key = engine.key_owned_by_others()
    owner = next(name for name in NAMES if node_id(name) in engine.owners(key))
    engine.down(owner)
    engine.clear()
    engine.up(owner)
    ticket = next(owed[0] for owed in engine.out.owed if owed[1] == node_id(owner))
    engine.owed(ticket, ((key, encode_row(row_of(b"v"))),))
    (replicate,) = [m for m in engine.sent(owner) if isinstance(m, Replicate)]
    engine.receive(owner, Replicated(replicate.rid, False, None, Refusal.DISK_FULL.value))
    assert not engine.handed()
    assert engine.node.handoffs.waits_because(node_id(owner)) == f"{owner} refused (disk full)"
    engine.clear()
    engine.wait(HANDOFF_RETRY_S + 0.1)
    assert any(owed[1] == node_id(owner) for owed in engine.out.owed)


def test_to_a_full_disk_page_follows_page_slowly() -> None:
    """It refuses values and takes deletes: all hints are tried, at one page in so many seconds."""
    engine = Engine(nodes=5)
    key = engine.key_owned_by_others()
    owner = next(name for name in NAMES if node_id(name) in engine.owners(key))
    engine.down(owner)
    engine.up(owner)
    ticket = next(owed[0] for owed in engine.out.owed if owed[1] == node_id(owner))
    engine.owed(ticket, ((key, encode_row(row_of(b"v"))),), b"12345678")
    (replicate,) = [m for m in engine.sent(owner) if isinstance(m, Replicate)]
    engine.clear()
    engine.receive(owner, Replicated(replicate.rid, False, None, Refusal.DISK_FULL.value))
    assert engine.node.handoffs.waits_because(node_id(owner)) == f"being delivered slowly: {owner} refused (disk full)"
    engine.wait(HANDOFF_RETRY_S - 0.1)
    assert not [owed for owed in engine.out.owed if owed[1] == node_id(owner)]
    engine.wait(0.2)
    assert [owed[2] for owed in engine.out.owed if owed[1] == node_id(owner)] == [b"12345678"]


def test_a_hint_for_a_former_owner_goes_to_all_present_ones() -> None:
    """Its target no longer owns the key; who does is looked up when it is delivered."""
    engine = Engine(nodes=5)
    keys = (b"key%d" % i for i in range(1000))
    key = next(k for k in keys if node_id("n2") not in engine.owners(k) and node_id("n1") not in engine.owners(k))
    engine.down("n2")
    engine.clear()
    engine.up("n2")
    ticket = next(owed[0] for owed in engine.out.owed if owed[1] == node_id("n2"))
    engine.owed(ticket, ((key, encode_row(row_of(b"v"))),))
    owners = [name for name in NAMES if node_id(name) in engine.owners(key)]
    assert not [m for m in engine.sent("n2") if isinstance(m, Replicate)]
    for number, owner in enumerate(owners):
        assert not engine.handed(), f"{number} of {len(owners)} have it"
        (replicate,) = [m for m in engine.sent(owner) if isinstance(m, Replicate)]
        engine.receive(owner, Replicated(replicate.rid, True, None, ""))
    assert len(engine.handed()) == 1


def test_two_present_owners_may_both_refuse_it() -> None:
    """Seed 826: the second refusal of the one row ended the node."""
    engine = Engine(nodes=5)
    keys = (b"key%d" % i for i in range(1000))
    key = next(k for k in keys if node_id("n2") not in engine.owners(k) and node_id("n1") not in engine.owners(k))
    engine.down("n2")
    engine.clear()
    engine.up("n2")
    ticket = next(owed[0] for owed in engine.out.owed if owed[1] == node_id("n2"))
    engine.owed(ticket, ((key, encode_row(row_of(b"v"))),))
    owners = [name for name in NAMES if node_id(name) in engine.owners(key)]
    for owner in owners[:2]:
        (replicate,) = [m for m in engine.sent(owner) if isinstance(m, Replicate)]
        engine.receive(owner, Replicated(replicate.rid, False, None, Refusal.DISK_FULL.value))
    assert not engine.handed()
    assert "refused (disk full)" in engine.node.handoffs.waits_because(node_id("n2"))


def test_of_many_members_no_more_are_looked_up_a_second_than_a_disk_bears() -> None:
    """After a look at all members each is looked up again until a hint that was asked for is surely durable."""
    engine = Engine(nodes=4 * HANDOFF_LOOKS_S_MAX + 1)
    looked: Counter[NodeId] = Counter()
    seconds = int(HANDOFF_SURE_S) + 5
    for _ in range(seconds):
        engine.clear()
        engine.wait(1.0)
        for ticket, target, *_ in list(engine.out.owed):
            looked[target] += 1
            engine.owed(ticket, ())
    assert set(looked) == {member.id for member in engine.node.cluster.others()}
    assert looked.total() <= HANDOFF_LOOKS_S_MAX * seconds + len(looked)


def test_of_many_members_who_returns_gets_its_rows_at_once() -> None:
    """… though a node does not go through all of them for it."""
    engine = Engine(nodes=4 * HANDOFF_LOOKS_S_MAX + 1)
    engine.wait(1.0)
    for name in ("n7", "n9"):
        engine.down(name)
        engine.pass_time(HANDOFF_RETRY_S)
    engine.wait(HANDOFF_PASS_S)
    engine.clear()
    engine.up("n7")
    engine.up("n9")
    assert [target for _, target, *_ in engine.out.owed] == [node_id("n7"), node_id("n9")]
