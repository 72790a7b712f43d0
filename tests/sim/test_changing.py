"""A ring that changes, and nothing is lost or comes back: the cases in which it did, each played by real engines."""

from __future__ import annotations

import pytest

from node.core import change
from node.core.cluster import Quorums
from node.core.ids import partition_of
from node.core.limits_change import ABANDON_AFTER_S
from node.engine.rounds import adopt_for
from node.sim.history import Record
from node.sim.host import Host
from node.wire.messages import Gossip, Message, Replicated
from node.wire.requests import Ack, Put, Written
from tests.helpers.calm import Calm, cluster_of, epoch_on_disk, node_of

APART_S = 8.0
"""So long after a cut everybody takes everybody beyond it for down."""

SLOW_S = 4.0
"""A disk that is at its end: each commit takes so long."""


def has_taken_in(newcomer: Host, key: bytes) -> bool:
    """Whether it was compared with enough old owners of the key's partition."""
    transfers = node_of(newcomer).transfers
    partition = partition_of(key, cluster_of(newcomer).partitions)
    return partition in transfers.heard and partition not in transfers.missing()


# The fence -----------------------------------------------------------------------------------------------------


def test_a_write_of_the_old_epoch_on_its_way_to_a_slow_disk_is_taken_in() -> None:
    """Its owner is in the new epoch already, and answers the newcomer from trees in which the row is not yet."""
    calm = Calm(5, 6)
    *_, newcomer = calm.hosts
    key, stays, (coordinator, slow) = calm.moved_key(newcomer)
    calm.lose(lambda source, target, message: isinstance(message, Gossip) and (source, target) == (slow, coordinator))
    calm.cut(coordinator, *(host for host in calm.hosts if host not in (coordinator, slow)))
    calm.wait(APART_S)
    calm.join(newcomer)
    calm.until(lambda: cluster_of(newcomer).seated)
    calm.slow_down(slow, SLOW_S)
    written = calm.begin(coordinator, Put(key, b"acked", strict=True, timeout_ms=10_000))
    calm.until(lambda: has_taken_in(newcomer, key))
    calm.until(lambda: written.ended is not None)
    assert isinstance(written.result, Written), written.result
    assert cluster_of(coordinator).epoch == 5, "it never heard of the newcomer"
    calm.until(lambda: cluster_of(stays).epoch == 7)
    assert calm.values(stays, key, strict=True) == [b"acked"]


def test_an_owner_that_a_power_cut_would_take_back_to_the_old_epoch_is_no_source() -> None:
    """There it would acknowledge writes that nobody takes in any more."""
    calm = Calm(5, 6)
    *_, newcomer = calm.hosts
    key, _, (away, slow) = calm.moved_key(newcomer)
    calm.cut(away, *(host for host in calm.hosts if host is not away))
    calm.wait(APART_S)
    calm.slow_down(slow, SLOW_S)
    calm.join(newcomer)
    calm.until(lambda: cluster_of(slow).epoch == 6 and epoch_on_disk(slow) == 5)
    calm.until(lambda: has_taken_in(newcomer, key))
    slow.crash(silently=True)
    assert epoch_on_disk(slow) == 6


def test_a_ring_that_a_full_disk_would_not_have_is_stored_when_there_is_room_again() -> None:
    """Until then the store is in an older epoch than its node, and takes no row at all."""
    calm = Calm(3, 4)
    first, full, third, newcomer = calm.hosts
    full.full_until = calm.world.agenda.now + 6.0
    calm.join(newcomer)
    calm.until(lambda: cluster_of(full).epoch == 5)
    assert epoch_on_disk(full) == 3
    calm.wait(8.0)
    assert (cluster_of(full).epoch, epoch_on_disk(full)) == (5, 5)
    third.crash(silently=False)
    calm.wait(APART_S)
    key = next(k for k in (b"k%d" % i for i in range(1000)) if is_owned_by(k, first, full, third))
    assert calm.put(first, key, b"v", strict=True).acks == (Ack("n1", True), Ack("n2", True))


def is_owned_by(key: bytes, *owners: Host) -> bool:
    return sorted(cluster_of(owners[0]).owners(key)) == sorted(owner.id for owner in owners)


# What was deleted ----------------------------------------------------------------------------------------------


def test_a_put_that_lingers_does_not_bring_a_deleted_key_back_by_a_newcomer() -> None:
    """One acknowledgement was lost; the row is sent to whoever owns the key next, under the old round."""
    calm = Calm(3, 4)
    first, second, third, newcomer = calm.hosts
    key, *_ = calm.moved_key(newcomer)
    lossy = [True]

    def is_lost(source: Host, target: Host, message: Message) -> bool:
        return lossy[0] and isinstance(message, Replicated) and (source, target) == (third, first)

    calm.lose(is_lost)
    calm.begin(first, Put(key, b"dead", timeout_ms=20_000))
    calm.wait(0.1)
    lossy.clear()
    lossy.append(False)
    calm.put(second, key, None)
    calm.until(lambda: not calm.holders(key))
    assert node_of(first).view().in_flight, "the put waits for an acknowledgement yet"
    calm.join(newcomer)
    calm.until(lambda: calm.is_settled(4))
    calm.wait(2.0)
    assert calm.holders(key) == []
    assert calm.values(second, key) == []


def test_a_removed_node_that_was_only_cut_off_brings_nothing_back() -> None:
    """It holds a value, and a hint for an owner, and had just begun a round; the others delete, remove it, and reap."""
    calm = Calm(4)
    first = calm.hosts[0]
    key = b"k"
    away, *others = (calm.world.by_id[node] for node in cluster_of(first).preference_list(key))
    *owners, stand_in = others
    owners[1].crash(silently=False)
    calm.wait(1.0)
    calm.put(away, key, b"dead", strict=True)
    begun = adopt_for(node_of(away).shared, key, 9)
    away.storage.apply([begun])
    node_of(away).shared.rounds = node_of(away).shared.rounds.adopted(begun.partition, begun.partitions, begun.round)
    calm.cut(away, *others)
    calm.wait(APART_S)
    owners[1].boot()
    calm.wait(APART_S)
    calm.put(owners[0], key, None)
    assert calm.operate(owners[0], "REMOVE", away.name) is None
    calm.until(lambda: cluster_of(owners[0]).is_gone(away.id))
    calm.until(lambda: calm.holders(key) == [away.name])
    calm.heal(away, *others)
    calm.until(lambda: away.node is None)
    calm.wait(2.0)
    assert calm.holders(key) == [away.name]
    assert calm.values(stand_in, key) == []


# Who leaves ----------------------------------------------------------------------------------------------------


def test_what_a_leaver_holds_alone_stays_also_when_one_node_is_left() -> None:
    """It was acknowledged with W=1, and the other one never heard of it: it is compared with the leaver first."""
    calm = Calm(2)
    leaver, stays = calm.hosts
    calm.world.network.cut(leaver.index, stays.index)
    calm.put(leaver, b"k", b"precious", w=1)
    leaver.crash(silently=False)
    calm.heal(leaver, stays)
    leaver.boot()
    calm.until(lambda: all(cluster_of(a).is_up(b.id) for a, b in ((leaver, stays), (stays, leaver))))
    assert calm.holders(b"k") == ["n1"]
    assert calm.operate(stays, "LEAVE", "n1") is None
    calm.until(lambda: leaver.node is None)
    assert "n2" in calm.holders(b"k")


def test_who_leaves_stands_in_for_nobody() -> None:
    """It has said that it holds nothing for others any more; what it took since would go with it."""
    calm = Calm(5, partitions=64)
    leaver, second, _, fourth, away = calm.hosts
    away.crash(silently=False)
    calm.wait(APART_S)
    assert calm.operate(second, "LEAVE", leaver.name) is None
    calm.until(lambda: leaver.id not in cluster_of(second).lacking)
    assert cluster_of(second).lacking == (away.id,)
    fourth.crash(silently=False)
    calm.wait(APART_S)
    cluster = cluster_of(second)
    lists = ((key, cluster.preference_list(key)) for key in (b"k%d" % number for number in range(4000)))
    key, nodes = next(
        (key, nodes) for key, nodes in lists
        if nodes[3:] == (away.id, leaver.id) and fourth.id in nodes and not cluster.groups(key, 2)
    )  # fmt: skip
    coordinator = next(calm.world.by_id[node] for node in nodes if calm.world.by_id[node] not in (leaver, fourth, away))
    written = calm.put(coordinator, key, b"v", w=1)
    calm.wait(2.0)
    assert leaver.name not in [ack.node for ack in written.acks]
    assert leaver.name not in calm.holders(key)


def test_no_write_through_a_node_that_leaves_is_left_unknown() -> None:
    """Once it is gone no row of it is taken; so it coordinates none from the moment on at which it can go."""
    calm = Calm(4, sync_s_max=0.02)
    leaver, second, *_ = calm.hosts
    records: list[Record] = []

    def write() -> None:
        if leaver.node is not None:
            records.append(calm.begin(leaver, Put(b"k%d" % (len(records) % 200), b"v", cover=True)))
            calm.world.agenda.after(0.005, write)

    write()
    calm.wait(1.0)
    assert calm.operate(second, "LEAVE", leaver.name) is None
    calm.until(lambda: leaver.node is None)
    answers = [record.result for record in records if record.result is not None]  # the last connections broke
    assert len(answers) > 500
    assert [answer for answer in answers if not isinstance(answer, Written)] == []


# Who is dead ---------------------------------------------------------------------------------------------------


def test_of_three_voters_a_dead_one_is_removed_though_another_was_rebuilt_long_ago() -> None:
    """The rebuilt one's vote is needed for both epochs, and it must not wait for the dead one's word."""
    calm = Calm(3)
    rebuilt, second, dead = calm.hosts
    calm.put(rebuilt, b"k", b"v")
    calm.wipe(rebuilt)
    calm.until(lambda: not cluster_of(rebuilt).rebuilding)
    calm.until(lambda: not node_of(rebuilt).voting.refusal(cluster_of(rebuilt).cluster_id, 4))
    dead.crash(silently=False)
    calm.wait(APART_S)
    assert calm.operate(second, "REMOVE", dead.name) is None
    calm.until(lambda: calm.is_settled(2))


def test_nobody_is_removed_whom_another_node_hears() -> None:
    calm = Calm(4)
    first, *_, unheard = calm.hosts
    calm.cut(first, unheard)
    calm.wait(APART_S)
    refused = calm.operate(first, "REMOVE", unheard.name)
    assert refused is not None
    assert refused.text == "n4 answers n2: to have it hand over what it holds, leave it"
    calm.wait(5.0)
    assert calm.is_settled(4)


def test_who_comes_to_replace_a_node_that_only_it_does_not_hear_waits() -> None:
    calm = Calm(4, 5)
    *others, unheard, newcomer = calm.hosts
    calm.cut(newcomer, unheard)
    calm.join(newcomer, replaces=unheard.name)
    calm.wait(15.0)
    assert cluster_of(others[0]).epoch == 4
    assert cluster_of(newcomer).waiting_because == "n4 answers n1, and only a dead node is replaced"


@pytest.mark.parametrize(("r", "w"), [(1, 3), (3, 1)])
def test_a_dead_node_is_removed_also_where_a_quorum_is_all(r: int, w: int) -> None:
    """From all old owners a taker would have to hear, and one of them is dead."""
    calm = Calm(4, quorums=Quorums(3, r, w))
    *others, dead = calm.hosts
    calm.put(others[0], b"k", b"v")
    dead.crash(silently=False)
    calm.wait(APART_S)
    assert calm.operate(others[0], "REMOVE", dead.name) is None
    calm.until(lambda: calm.is_settled(3), ABANDON_AFTER_S * 2)


def test_two_dead_of_five_are_removed_at_once() -> None:
    """One after the other neither goes: what they owned together is to be heard from two owners, and one is left."""
    calm = Calm(5)
    first, second, third, *dead = calm.hosts
    names = [host.name for host in dead]
    keys = [b"k%d" % number for number in range(60)]
    for key in keys:
        calm.put(first, key, b"v-" + key, w=3)
    for host in dead:
        host.crash(silently=True)
    calm.wait(APART_S)
    stake = change.at_stake(cluster_of(first).state, tuple(host.id for host in dead))
    assert stake.lost == 0
    refused = calm.operate(first, "REMOVE", *names)
    assert refused is not None
    assert refused.text.endswith(f"say that this is accepted, with ACCEPT {stake.doubtful}")
    for host in (second, third):
        calm.put(host, b"meanwhile", b"v")
    assert calm.operate(second, "REMOVE", *names, "ACCEPT", str(stake.doubtful)) is None
    calm.until(lambda: calm.is_settled(3), ABANDON_AFTER_S * 2)
    assert cluster_of(third).state.gone == tuple(host.id for host in dead)
    assert {member.name for member in cluster_of(third).members.values()} == {"n1", "n2", "n3"}
    for host in (first, second, third):
        assert [calm.values(host, key, strict=True) for key in keys] == [[b"v-" + key] for key in keys]
    for host in dead:  # somebody switches them on again
        host.boot()
    calm.until(lambda: all(host.node is None for host in dead))


def test_what_the_next_ones_kept_for_two_dead_owners_goes_to_the_new_ones() -> None:
    """Of N=2 a partition loses both; what was written since they died, two stand-ins keep."""
    calm = Calm(5, quorums=Quorums(2, 1, 2))
    first, *others = calm.hosts
    key, dead = next(
        (key, owners)
        for key, owners in ((b"k%d" % n, cluster_of(first).owners(b"k%d" % n)) for n in range(1000))
        if first.id not in owners
    )
    hosts = [host for host in others if host.id in dead]
    calm.put(first, key, b"lost", strict=True)
    for host in hosts:
        host.crash(silently=False)
    calm.wait(APART_S)
    calm.put(first, key, b"kept")
    stake = change.at_stake(cluster_of(first).state, dead)
    assert stake.lost > 0
    accepted = str(sum(stake))
    assert calm.operate(first, "REMOVE", *(host.name for host in hosts), "ACCEPT", accepted) is None
    calm.until(lambda: calm.is_settled(3), ABANDON_AFTER_S * 2)
    calm.wait(5.0)
    assert [calm.values(host, key, strict=True) for host in calm.hosts if host.node] == [[b"kept"]] * 3


def test_two_that_only_the_asked_node_does_not_hear_are_not_removed() -> None:
    calm = Calm(5)
    first, *_, fourth, fifth = calm.hosts
    fourth.crash(silently=False)
    calm.cut(first, fifth)
    calm.wait(APART_S)
    stake = change.at_stake(cluster_of(first).state, (fourth.id, fifth.id))
    refused = calm.operate(first, "REMOVE", "n4", "n5", "ACCEPT", str(stake.doubtful))
    assert refused is not None
    assert refused.text == "n5 answers n2: to have it hand over what it holds, leave it"
    calm.wait(5.0)
    assert cluster_of(first).state.before is None


def test_two_of_four_are_not_removed_by_the_two_others() -> None:
    """They are no majority: the other two may be alive, and have removed them."""
    calm = Calm(4)
    first, _, *away = calm.hosts
    calm.cut(away[0], *calm.hosts[:2])
    calm.cut(away[1], *calm.hosts[:2])
    calm.wait(APART_S)
    stake = change.at_stake(cluster_of(first).state, tuple(host.id for host in away))
    refused = calm.operate(first, "REMOVE", "n3", "n4", "ACCEPT", str(stake.doubtful))
    assert refused is not None
    assert (refused.code, cluster_of(first).epoch) == ("UNAVAILABLE", 4)


def test_a_newcomer_whose_seeds_have_all_left_is_started_again_with_others() -> None:
    """Seed 5054: the only node that it was told to ask was a member no more. Only a person can help it."""
    calm = Calm(3, 4)
    *_, leaver, newcomer = calm.hosts
    newcomer.config = newcomer.config._replace(join=(leaver.address,), discover=False)
    assert calm.operate(leaver, "LEAVE", leaver.name) is None
    calm.until(lambda: leaver.node is None)
    newcomer.out = False
    newcomer.boot()
    calm.wait(APART_S)
    assert not cluster_of(newcomer).seated
    calm.world.elastic.let_go()
    calm.until(lambda: cluster_of(newcomer).placed)
