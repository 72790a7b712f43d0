"""A store that may have forgotten, and what was reaped meanwhile: it drops what lies behind, and loses nothing else."""

from __future__ import annotations

import msgspec
import pytest

from node.core.limits import CATCH_UP_ROWS, CATCH_UP_S, FOUND_AFTER_S
from node.core.rounds import Behind, Rounds, Told, behind
from node.engine.catchup import UNKNOWN_LIFE
from node.engine.events import Persisted, ScannedHere
from node.engine.kept import STATE_BEHIND, STATE_RING, forgetful
from node.engine.rounds import OTHER_LIVES
from node.sim.disk import SimStorage
from node.storage.port import Forget, Refusal, Refused, Saved, SaveState
from node.wire.messages import (
    BEHIND,
    AskLeaf,
    AskRounds,
    AskTrees,
    Confirm,
    Confirmed,
    Gossip,
    LeafTold,
    Outdated,
    Replicate,
    Replicated,
    RoundsTold,
    TreesTold,
)
from node.wire.requests import Failed, Inspect, Put
from node.wire.rows import encode_row
from tests.helpers.engine import EPOCH, KEY, Engine, member, node_id, row_of, sealed_ring
from tests.helpers.newcomer import Newcomer
from tests.helpers.owners import Owners, sims

N1, N2, N3, N4 = (node_id(f"n{number}") for number in range(1, 5))
DELETED, ALIVE = b"deleted", b"alive"
REAPED_S = 10.0
REBUILT_S = 30.0
CAUGHT_UP_S = 2 * CATCH_UP_S


def whole(**rounds: int) -> Told:
    return Told(True, {int(partition[1:]): number for partition, number in rounds.items()})


def forgot(**rounds: int) -> Told:
    return whole(**rounds)._replace(whole=False)


# The decision ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "missed"),
    [
        ({N2: whole(), N3: whole()}, Behind({}, ())),
        ({N2: whole(p0=3, p1=5), N3: whole(p0=4, p1=5)}, Behind({0: 4}, ())),
        ({N2: whole(p0=3)}, Behind({0: 3}, ())),
        ({}, Behind({}, (0, 1))),
        ({N2: forgot(p0=9)}, Behind({}, (0, 1))),
        ({N2: forgot(p0=9), N3: forgot(p0=8)}, Behind({}, ())),
        ({N2: forgot(), N3: whole(p0=9)}, Behind({}, ())),
        ({N4: whole(p0=9)}, Behind({}, (0, 1))),
        ({N4: whole(p0=9), N3: whole()}, Behind({0: 9}, ())),
    ],
    ids=[
        "nothing was reaped", "the highest round counts", "one whole owner is enough", "nobody answers",
        "who forgot is no witness", "if all forgot, all stays", "also if one other did",
        "who owns nothing has no rows", "but knows rounds",
    ],
)  # fmt: skip
def test_what_was_missed(told: dict[object, Told], missed: Behind) -> None:
    mine = Rounds({2: {1: 5}})
    assert behind(mine, [(N1, N2, N3), (N3, N1, N2)], N1, told) == missed  # type: ignore[arg-type]  # ids are strings


def test_what_no_other_owns_is_ours_alone() -> None:
    assert behind(Rounds(), [(N1,)], N1, {}) == Behind({}, ())


# The whole way -----------------------------------------------------------------------------------------------


def reaped_since() -> tuple[Owners, list[SimStorage], dict[str, object]]:
    """Three owners of one partition, and a copy of the first one's file from before a key was deleted, and reaped."""
    stores = sims(3)
    owners = Owners(stores, partitions=1)
    for ticket, key in enumerate((DELETED, ALIVE)):
        owners.ask(0, Put(key, b"v", cover=True), ticket)
    copied = stores[0].copy()
    owners.ask(1, Put(DELETED, None, cover=True), 9)
    owners.wait(REAPED_S)
    assert not any(store.fetch(DELETED) or store.tombstone_count() for store in stores)
    return owners, stores, copied


def put_back(owners: Owners, store: SimStorage, copied: dict[str, object], notes: list[SaveState]) -> None:
    store.put_back(copied)
    store.apply(notes)
    owners.restart(0, store.identity.epochs[-1])


def test_what_was_reaped_does_not_come_back_from_a_copy() -> None:
    """And what was not comes back to the store from the other owners, though it was in the same partition."""
    owners, stores, copied = reaped_since()
    put_back(owners, stores[0], copied, forgetful("put back"))
    owners.wait(CAUGHT_UP_S)
    assert owners.wire["RoundsTold"]
    assert [store.fetch(DELETED) for store in stores] == [None, None, None]
    owners.wait(REBUILT_S)
    assert not owners.all[0].node.cluster.rebuilding
    assert [store.fetch(DELETED) for store in stores] == [None, None, None]
    assert len({store.fetch(ALIVE) for store in stores}) == 1
    assert stores[0].fetch(ALIVE) is not None
    assert not stores[0].load_state()[STATE_BEHIND]


def test_without_catching_up_it_would() -> None:
    owners, stores, copied = reaped_since()
    put_back(owners, stores[0], copied, forgetful("put back")[:1])
    owners.wait(REBUILT_S)
    assert all(store.fetch(DELETED) is not None for store in stores)


def test_nothing_is_dropped_where_nothing_was_reaped() -> None:
    """A data directory that was only moved keeps its rows: they need not be sent again."""
    stores = sims(3)
    owners = Owners(stores, partitions=1)
    owners.ask(0, Put(ALIVE, b"v", cover=True))
    owners.cut(0, 1)
    owners.forget()
    put_back(owners, stores[0], stores[0].copy(), forgetful("moved"))
    owners.wait(CAUGHT_UP_S)
    assert stores[0].fetch(ALIVE) is not None
    owners.wait(REBUILT_S)
    assert not owners.all[0].node.cluster.rebuilding
    assert not owners.wire["Replicate"]


def test_more_rows_than_one_page_are_dropped() -> None:
    owners, stores, _ = reaped_since()
    for number in range(CATCH_UP_ROWS + 10):
        owners.ask(0, Put(b"k%d" % number, b"v", cover=True), 100 + number)
    copied = stores[0].copy() | {"_rounds": Rounds(), "_state": {}}
    put_back(owners, stores[0], copied, forgetful("put back"))
    owners.wait(CAUGHT_UP_S)
    facts = [event for event in owners.all[0].node.cluster.events if event["kind"] == "caught_up"]
    assert [event["rows"] for event in facts] == [CATCH_UP_ROWS + 11]
    owners.wait(REBUILT_S)
    assert len({store.totals().rows for store in stores}) == 1


def test_of_a_whole_cluster_of_copies_nothing_is_dropped() -> None:
    """Nobody is left to tell what is dead: better that it comes back than that anything is lost."""
    owners, stores, copied = reaped_since()
    for at in (1, 2):
        stores[at].apply(forgetful("put back"))
        owners.all[at].node.cluster.rebuilding = owners.all[at].node.cluster.behind = True
    put_back(owners, stores[0], copied, forgetful("put back"))
    owners.wait(REBUILT_S)
    assert not any(owner.node.cluster.behind for owner in owners.all)
    assert all(store.fetch(ALIVE) is not None and store.fetch(DELETED) is not None for store in stores)


def test_it_waits_for_an_owner_that_is_away() -> None:
    owners, stores, copied = reaped_since()
    put_back(owners, stores[0], copied, forgetful("put back"))
    owners.cut(0, 1)
    owners.cut(0, 2)
    first = owners.all[0].node
    owners.wait(5 * CATCH_UP_S)
    assert first.cluster.behind
    assert sorted(first.cluster.unheard) == [N2, N3]
    owners.heal(0, 2)
    owners.wait(2 * CATCH_UP_S)
    assert not first.cluster.behind
    assert stores[0].fetch(DELETED) is None


# As long as it does not know ---------------------------------------------------------------------------------


def unknowing() -> Engine:
    """n1, which may have forgotten, and whom nobody answers."""
    engine = Engine()
    engine.node.cluster.rebuilding = engine.node.cluster.behind = True
    return engine


def test_it_takes_and_gives_no_row() -> None:
    engine = unknowing()
    engine.receive("n2", Replicate(5, EPOCH, KEY, encode_row(row_of(b"v"))))
    engine.receive("n2", AskTrees(6, EPOCH, 1, 1, (0,)))
    engine.receive("n2", AskLeaf(7, EPOCH, 0, b""))
    engine.receive("n2", Outdated(8, KEY, (), 4))
    assert engine.sent("n2") == [
        Replicated(5, False, None, BEHIND), TreesTold(6, (), BEHIND), LeafTold(7, (), False, BEHIND),
    ]  # fmt: skip
    ticket = engine.ask(Inspect("repair", KEY))
    failed = engine.replies[ticket]
    assert isinstance(failed, Failed)
    assert failed.code == "UNAVAILABLE"
    engine.up("n3")
    assert not engine.out.owed, "no hint is delivered"
    assert not engine.out.persists
    assert not engine.out.loads


def test_it_asks_until_it_knows_and_says_when_it_does() -> None:
    engine = unknowing()
    engine.pass_time(0.0)
    (first,) = [m for m in engine.sent("n2") if isinstance(m, AskRounds)]
    assert first.life == engine.node.cluster.me.epochs[-1]
    engine.receive("n2", RoundsTold(first.rid, False, (), UNKNOWN_LIFE))
    engine.clear()
    engine.wait(CATCH_UP_S + 0.02)
    (again,) = [m for m in engine.sent("n3") if isinstance(m, AskRounds)]
    engine.receive("n3", RoundsTold(again.rid, True, (), ""))
    ((ticket, write),) = [(t, w) for t, w in engine.out.persists if t]
    assert write == SaveState(STATE_BEHIND, b"")
    assert engine.node.cluster.behind, "not before it is durable"
    engine.step(Persisted([(ticket, Saved())]))
    assert not engine.node.cluster.behind
    assert engine.node.cluster.rebuilding


def test_in_the_ring_of_a_copy_that_it_owned_alone_it_hears_the_others_first() -> None:
    """Seed 265: since the copy others joined, and reaped; they answer under their ring, and nobody under its own."""
    engine = unknowing()
    engine.settle_in(sealed_ring(["n1"]))
    engine.pass_time(0.0)
    engine.wait(2 * CATCH_UP_S)
    assert not [write for ticket, write in engine.out.persists if ticket]
    assert engine.node.cluster.unheard == (node_id("n2"), node_id("n3"))
    asked = [m for m in engine.sent("n2") if isinstance(m, AskRounds)][-1]
    engine.receive("n2", RoundsTold(asked.rid, True, (), ""))
    assert [write for ticket, write in engine.out.persists if ticket] == [SaveState(STATE_BEHIND, b"")]


def test_alone_it_looks_around_before_it_believes_its_copy() -> None:
    """Who joined since knows its address, and calls."""
    alone = Newcomer(state=before_they_came())
    assert alone.node.cluster.behind
    alone.wait(0.0)
    alone.wait(FOUND_AFTER_S - 0.1)
    assert not [write for ticket, write in alone.out.persists if ticket > 0]
    alone.wait(0.2)
    assert [write for ticket, write in alone.out.persists if ticket > 0] == [SaveState(STATE_BEHIND, b"")]


def before_they_came() -> dict[str, bytes]:
    """What is in a copy that was made when its node was a cluster of one."""
    ring = msgspec.msgpack.encode(sealed_ring(["n1"]))
    return {STATE_RING: ring} | {write.name: write.data for write in forgetful("put back")}


def test_in_a_ring_that_is_not_sealed_there_is_nothing_to_learn_yet() -> None:
    """It may be one from before the others came: of one, whose only owner would be whole at once."""
    engine = unknowing()
    engine.settle_in(engine.node.cluster.state._replace(sealed=False))
    engine.pass_time(0.0)
    assert not [m for m in engine.sent("n2") if isinstance(m, AskRounds)]
    assert engine.node.cluster.behind


def test_a_full_disk_makes_it_try_again() -> None:
    engine = unknowing()
    engine.pass_time(0.0)
    (question,) = [m for m in engine.sent("n2") if isinstance(m, AskRounds)]
    engine.receive("n2", RoundsTold(question.rid, True, ((0, 4),), ""))
    ((ticket, partition, *_),) = engine.out.scans
    assert partition == 0
    engine.step(ScannedHere(ticket, ((KEY, encode_row(row_of(b"v"))),), False))
    ((ticket, write),) = [(t, w) for t, w in engine.out.persists if t]
    assert isinstance(write, Forget)
    engine.clear()
    engine.step(Persisted([(ticket, Refused(Refusal.DISK_FULL, ""))]))
    assert engine.node.cluster.behind
    engine.wait(CATCH_UP_S + 0.02)
    assert [m for m in engine.sent("n2") if isinstance(m, AskRounds)]


# Lives -------------------------------------------------------------------------------------------------------


def test_rounds_are_told_only_to_a_life_that_is_known_and_noted_durably() -> None:
    engine = Engine()
    life = member("n2").epochs[-1]
    engine.receive("n2", AskRounds(5, EPOCH, life + 1))
    assert engine.sent("n2")[0] == RoundsTold(5, False, (), UNKNOWN_LIFE)
    assert any(isinstance(m, Gossip) for m in engine.out.sends[N2]), "so that it says who it is"
    engine.clear()
    engine.receive("n2", AskRounds(6, EPOCH, life))
    ((ticket, write),) = engine.out.persists
    assert isinstance(write, SaveState)
    assert not engine.sent("n2")
    engine.step(Persisted([(ticket, Saved())]))
    assert engine.sent("n2") == [RoundsTold(6, True, (), "")]
    engine.node.cluster.rebuilding = True
    engine.receive("n3", AskRounds(7, EPOCH, member("n3").epochs[-1]))
    engine.step(Persisted([(engine.out.persists[-1][0], Saved())]))
    assert engine.sent("n3") == [RoundsTold(7, False, (), "")]
    engine.node.cluster.rebuilding, engine.node.cluster.behind = False, True
    engine.receive("n3", AskRounds(8, EPOCH, member("n3").epochs[-1]))
    engine.step(Persisted([(engine.out.persists[-1][0], Saved())]))
    assert engine.sent("n3")[1:] == [RoundsTold(8, False, (), "")], "nor does it know the rounds that it is in"


def test_a_former_life_does_not_come_back_by_a_record_that_counts_more_starts() -> None:
    """The store forgot some of its starts; who noted its new life must not confirm anything in the name of the old."""
    engine = Engine()
    state, known = engine.node.cluster.state, member("n2")
    reborn, former = known._replace(epochs=(2, 77), incarnation=2), known._replace(incarnation=9)
    for told in reborn, former:
        engine.receive("n3", Gossip(state.cluster_id, state.epoch, state.sealed, (told,), None, False))
        assert engine.node.cluster.members[N2].epochs == (2, 77)
    later = reborn._replace(incarnation=10)
    engine.receive("n3", Gossip(state.cluster_id, state.epoch, state.sealed, (later,), None, False))
    assert engine.node.cluster.members[N2].incarnation == 10


def test_a_round_of_other_lives_is_not_confirmed() -> None:
    """Else a round that counts the word of a store from before it forgot could be completed after it asked us."""
    engine = Engine()
    lives = engine.node.cluster.lives
    reborn = member("n2")._replace(epochs=(2, 77), incarnation=2)
    state = engine.node.cluster.state
    engine.receive("n2", Gossip(state.cluster_id, state.epoch, state.sealed, (reborn,), None, False))
    engine.clear()
    engine.receive("n3", Confirm(9, EPOCH, 3, 5, (), lives))
    assert engine.sent("n3") == [Confirmed(9, 0, (), OTHER_LIVES)]
    assert not engine.out.persists
    assert engine.node.cluster.lives not in (lives, bytes(16))
