"""A store that may lack what its seat acknowledged: new under an old seat, or put back from a copy."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from node.engine.cluster import Cluster
from node.engine.events import Reached
from node.engine.gossip import GREW_EVERY_S
from node.engine.kept import STATE_MEMBERS, STATE_REBUILDING, forgetful
from node.storage.port import Advance, Identity, Merge, SaveState
from node.wire.messages import (
    REBUILDING,
    Confirm,
    Confirmed,
    Fetch,
    Fetched,
    Forward,
    Forwarded,
    Gossip,
    Join,
    Replicate,
    Scan,
    Scanned,
    Wait,
)
from node.wire.requests import Found, Get, Put
from node.wire.rows import encode_row
from tests.helpers.engine import EPOCH, KEY, Engine, member, node_id, row_of
from tests.helpers.newcomer import Newcomer
from tests.helpers.owners import Owners, fill, keys, sims


def rebuilding(nodes: int = 3) -> Engine:
    """n1, whose store is new under its old seat."""
    engine = Engine(nodes)
    engine.node.cluster.rebuilding = True
    return engine


def test_what_it_holds_is_no_evidence() -> None:
    """Neither for others, nor for a read that it coordinates itself."""
    engine = rebuilding()
    engine.receive("n2", Fetch(5, EPOCH, KEY))
    engine.receive("n2", Scan(6, EPOCH, 0, b"", 10))
    engine.receive("n2", Confirm(7, EPOCH, 0, 3, (), bytes(16)))
    assert engine.sent("n2") == [
        Fetched(5, None, REBUILDING), Scanned(6, (), False, REBUILDING), Confirmed(7, 0, (), REBUILDING),
    ]  # fmt: skip
    engine.clear()
    ticket = engine.ask(Get(KEY))
    assert not engine.out.loads
    for name in ("n2", "n3"):
        (fetch,) = [m for m in engine.sent(name) if isinstance(m, Fetch)]
        engine.receive(name, Fetched(fetch.rid, encode_row(row_of(b"v")), ""))
    result = engine.replies[ticket]
    assert isinstance(result, Found)


def test_it_coordinates_nothing_and_keeps_what_it_is_given() -> None:
    """A SET that it coordinated would cover nothing of what its seat had; a row that is sent to it is knowledge."""
    engine = rebuilding()
    ticket = engine.ask(Put(KEY, b"v", cover=True))
    assert not any(isinstance(write, Advance) for _, write in engine.out.persists)
    assert [type(m) for m in engine.sent("n2")] == [Forward]
    assert ticket not in engine.replies
    engine.clear()
    engine.receive("n2", Forward(9, EPOCH, 1, KEY, b"v", (), True, 2, False, 1000, "w"))
    assert engine.sent("n2") == [Forwarded(9, REBUILDING, None)]
    engine.receive("n2", Replicate(7, EPOCH, KEY, encode_row(row_of(b"v"))))
    assert any(isinstance(write, Merge) for _, write in engine.out.persists)


def test_one_full_pass_with_every_other_owner_rebuilds_it() -> None:
    """Not before: while an owner is away, what only that one has is missing."""
    stores = sims(3)
    owners = Owners(stores)
    fill(stores[1:], keys(40))
    stores[0].apply([SaveState(STATE_REBUILDING, b"lost")])
    first = owners.all[0].node.cluster
    first.rebuilding = True
    owners.cut(0, 2)
    owners.wait(20)
    assert first.rebuilding, "n3 was left out"
    assert stores[0].fetch(keys(1)[0]) is not None
    owners.heal(0, 2)
    owners.wait(20)
    assert not first.rebuilding
    assert stores[0].load_state()[STATE_REBUILDING] == b"", "and a restart remembers"
    assert all(stores[0].fetch(key) == stores[1].fetch(key) for key in keys(40))


def test_a_new_store_gets_the_old_seat_and_outbids_its_former_life() -> None:
    """The member record of the seat must be a newer one, or the others would go on believing the lost store."""
    engine = Engine()
    lost = member("n2")._replace(incarnation=7)
    engine.node.cluster.learn(lost)
    engine.receive("n2", Join(lost._replace(storage_id="another", incarnation=1)))
    (welcome,) = [m for m in engine.out.sends[node_id("n2")] if isinstance(m, Gossip) and m.ring is not None]
    told = next(m for m in welcome.members if m.id == node_id("n2"))
    assert (told.storage_id, told.incarnation) == ("another", 8)
    newcomer = rebuilding()
    mine = newcomer.node.cluster.me
    former = mine._replace(storage_id="former", incarnation=41)
    newcomer.receive("n2", msgspec.structs.replace(welcome, members=(former,)))
    assert newcomer.node.cluster.me.incarnation == 42
    assert newcomer.node.cluster.members[node_id("n1")].storage_id == mine.storage_id


def test_a_seat_that_no_member_has_is_refused() -> None:
    """A slip in --seat would make a member that nobody wanted, and that blocks reaping once it is gone."""
    engine = Engine()
    engine.receive("n9", Join(member("n9"), old_seat=True))
    (wait,) = engine.sent("n9")
    assert isinstance(wait, Wait)
    assert f"no member has the id {node_id('n9')}" in wait.why
    assert node_id("n9") not in engine.node.cluster.members


def test_who_takes_an_old_seat_founds_no_cluster_and_says_what_it_is() -> None:
    """Its seat is in a cluster that exists: alone it looks for that one, however long."""
    newcomer = Newcomer(rebuilding=True)
    newcomer.wait(60)
    assert not newcomer.node.view().seated
    newcomer.link("n2", "c1")
    assert newcomer.sent("n2") == [Join(newcomer.node.cluster.me, old_seat=True)]


def test_a_node_whose_seat_was_taken_says_so() -> None:
    """Two stores under one seat would count as two copies: the one that was given up ends."""
    engine = Engine()
    taken = engine.node.cluster.me._replace(storage_id="another", incarnation=99)
    state = engine.node.cluster.state
    engine.receive("n2", Gossip(state.cluster_id, state.epoch, state.sealed, (taken,), None, False))
    assert [fact.kind for fact in engine.out.facts] == ["seat_taken"]


@pytest.mark.parametrize("what", [{"starts": 2, "run": "second"}, {"run": "another first"}, {"changes": 8}])
def test_a_store_of_which_others_know_more_than_it_does_fell_back(what: dict[str, Any]) -> None:
    """The snapshot of a machine restores lock and inode, too; nothing else shows it, and its next dots are used up."""
    engine = Engine()
    me, state = engine.node.cluster.me, engine.node.cluster.state
    moved = me._replace(port=me.port + 1)
    outbid = me._replace(incarnation=me.incarnation + 9)
    former = outbid._replace(starts=me.starts - 1, run="zeroth")
    later = me._replace(**what)
    for known, facts in (moved, []), (outbid, []), (former, []), (later, ["fell_back"]):
        engine.node.cluster.me = me
        engine.clear()
        engine.receive("n2", Gossip(state.cluster_id, state.epoch, state.sealed, (known,), None, False))
        assert [fact.kind for fact in engine.out.facts] == facts
    assert engine.node.cluster.me == me, "it does not outbid its later life"
    assert engine.node.cluster.behind, "and takes nothing while it stops"
    assert [write for _, write in engine.out.persists] == forgetful("it was put back to an earlier state")
    rebuilt = Engine()
    mine = rebuilt.node.cluster.me
    former = mine._replace(incarnation=mine.incarnation + 9, epochs=(4711,), starts=mine.starts + 9)
    rebuilt.receive("n2", Gossip(state.cluster_id, state.epoch, state.sealed, (former,), None, False))
    assert rebuilt.node.cluster.me.incarnation == former.incarnation + 1, "a former life, of before it was rebuilt"
    again = rebuilding()
    again.receive("n2", Gossip(state.cluster_id, state.epoch, state.sealed, (later,), None, False))
    assert [fact.kind for fact in again.out.facts] == ["fell_back"], "a snapshot of one that was being rebuilt"
    again.receive("n2", Gossip(state.cluster_id, state.epoch, state.sealed, (later,), None, False))
    assert len(again.out.facts) == 1, "said once, while it stops"


def test_what_speaks_against_a_store_does_so_in_a_record_of_any_age() -> None:
    """It may have outbid, by starts and by what it said since, the record that shows what it has forgotten."""
    engine = Engine()
    state, me = engine.node.cluster.state, engine.node.cluster.me
    older = me._replace(changes=500)
    engine.node.cluster.me = me._replace(incarnation=8, starts=3, run="third", changes=100)
    engine.receive("n2", Gossip(state.cluster_id, state.epoch, state.sealed, (older,), None, False))
    assert [fact.kind for fact in engine.out.facts] == ["fell_back"]
    assert engine.node.cluster.me.incarnation == 8


def test_the_record_of_a_store_that_has_forgotten_does_not_replace_the_proof() -> None:
    """Else nobody could tell it, once it has spoken: the proof stays, until the store has another dot epoch."""
    engine = Engine()
    state = engine.node.cluster.state
    known = member("n2")._replace(incarnation=7, starts=2, run="second", changes=500)
    engine.node.cluster.learn(known)
    forgot = known._replace(incarnation=8, starts=3, run="third", changes=100)
    later = known._replace(incarnation=8, starts=3, run="third", changes=500)
    redrawn = forgot._replace(incarnation=9, epochs=(*known.epochs, 4711))
    for told, held in (forgot, known), (later, later), (redrawn, redrawn):
        engine.receive("n2", Gossip(state.cluster_id, state.epoch, state.sealed, (told,), None, False))
        assert engine.node.cluster.members[node_id("n2")] == held


def test_a_store_without_a_dot_epoch_has_no_past() -> None:
    """There is none such, but a peer may tell of one, again and again."""
    engine = Engine()
    state = engine.node.cluster.state
    for incarnation, starts in (7, 2), (8, 1):
        told = member("n2")._replace(incarnation=incarnation, starts=starts, epochs=())
        engine.node.cluster.members[told.id] = told._replace(incarnation=incarnation - 1, starts=starts + 1)
        engine.receive("n2", Gossip(state.cluster_id, state.epoch, state.sealed, (told,), None, False))
        assert engine.node.cluster.members[told.id] == told


def test_others_learn_how_far_a_store_has_come_now_and_then() -> None:
    """Not at each change: everybody writes it down. And a start goes on where it stood."""
    engine = Engine()
    began = engine.node.cluster.me
    for at, changes, told in (0.0, 7, 7), (GREW_EVERY_S - 1, 9, 7), (GREW_EVERY_S, 9, 9), (3 * GREW_EVERY_S, 9, 9):
        engine.now = at
        engine.step(Reached(changes=changes))
        assert engine.node.cluster.me.changes == engine.node.cluster.members[began.id].changes == told
    assert engine.node.cluster.me.incarnation == began.incarnation + 2, "newer than what was told before"
    again = Cluster(engine.node.config, Identity("s", began.id, (1,), 2, "r", 9), {})
    assert again.me.changes == 9


def test_members_of_before_starts_were_counted_are_known() -> None:
    """Of a file that an older version wrote: a record without the last three fields."""
    kept = msgspec.msgpack.encode([tuple(member("n2"))[:11]])
    engine = Engine()
    node = Cluster(engine.node.config, Identity("s", node_id("n1"), (1,), 1, "r", 0), {STATE_MEMBERS: kept})
    assert node.members[node_id("n2")] == member("n2")


def test_a_name_in_use_is_refused_with_the_way_to_its_seat() -> None:
    """Only if its node does not answer: a seat that is in use is nobody's to take."""
    engine = Engine()
    stranger = member("n9")._replace(name="n2")
    engine.receive("n9", Join(stranger))
    engine.down("n2")
    engine.receive("n9", Join(stranger))
    first, second = [m.why for m in engine.out.sends[node_id("n9")] if isinstance(m, Wait)]
    assert "--seat" not in first
    assert second.endswith(f"take its seat with --seat {node_id('n2')}")


def test_who_was_put_back_to_before_its_seat_founds_no_cluster() -> None:
    """Seed 43865: its cluster was there, and it made a second one beside it, and took writes."""
    newcomer = Newcomer(state={STATE_REBUILDING: b"it was put back"})
    newcomer.wait(60)
    assert not newcomer.node.view().seated
    assert "may have forgotten its cluster" in newcomer.node.view().waiting_because
    newcomer.link("n2", "c1")
    assert newcomer.sent("n2") == [Join(newcomer.node.cluster.me, old_seat=False)]
