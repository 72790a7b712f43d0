"""Rings: joins, leaves, weights, preference lists and plans, one by one."""

from __future__ import annotations

import os
import subprocess
import sys
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core import placement
from node.core.cluster import Seat
from node.core.limits import PARTITIONS_MAX
from node.core.moves import Move, balance, plan
from node.core.ring import found, join, leave, owner_lists, preference_list, preference_lists, replace, reweigh
from tests.helpers.rings import check_lists, grow, seat

A, B, C, D = (seat(i) for i in range(1, 5))


def ids(*seats: Seat) -> tuple[str, ...]:
    return tuple(seat.id for seat in seats)


def ring(partitions: int, *seats: Seat, n: int = 3) -> tuple[tuple[Seat, ...], tuple[int, ...]]:
    members, owners = (seats[0],), found(seats[0], partitions)
    for new in seats[1:]:
        members, owners = join(members, owners, new, n)
    return members, owners


def shares(owners: tuple[int, ...], seats: int) -> list[int]:
    return [owners.count(i) for i in range(seats)]


def test_a_first_node_owns_everything() -> None:
    assert found(A, 8) == (0,) * 8
    assert preference_lists((A,), (0,) * 8, 3) == (ids(A),) * 8


@pytest.mark.parametrize("partitions", [0, 3, 100, PARTITIONS_MAX * 2])
def test_partitions_are_a_power_of_two(partitions: int) -> None:
    with pytest.raises(AssertionError):
        found(A, partitions)


def test_lists_go_clockwise_and_skip_nodes_they_have() -> None:
    assert preference_lists((A, B, C), (0, 0, 1, 0, 2, 1, 0, 0), 2) == (
        ids(A, B, C), ids(A, B, C), ids(B, A, C), ids(A, C, B), ids(C, B, A), ids(B, A, C), ids(A, B, C), ids(A, B, C),
    )  # fmt: skip


def test_lists_take_zones_in_turns() -> None:
    a1, a2, b1, b2, c1 = (seat(i, zone) for i, zone in enumerate(("a", "a", "b", "b", "c")))
    assert preference_lists((a1, a2, b1, b2, c1), (0, 1, 2, 3, 4), 3)[:3] == (
        ids(a1, b1, c1, a2, b2),
        ids(a2, b1, c1, b2, a1),
        ids(b1, c1, a1, b2, a2),
    )


def test_nodes_without_partitions_stand_in_last() -> None:
    spare = seat(9, weight=0)
    seats, owners = ring(8, A, spare, B)
    assert all(nodes[-1] == spare.id for nodes in preference_lists(seats, owners, 2))
    assert shares(owners, 3) == [4, 0, 4]


@pytest.mark.parametrize("zones", [1, 2, 3, 5, 12])
@pytest.mark.parametrize("n", [1, 2, 3, 5, 14])
def test_owners_and_single_lists_are_those_of_all_lists(zones: int, n: int) -> None:
    """They are found out in other ways, since all lists of a large ring are too many; of any ring whatever."""
    for number in range(20):
        rng = Random(f"{zones}/{n}/{number}")
        seats = tuple(seat(i, f"z{rng.randrange(zones)}") for i in range(rng.randint(1, 12)))
        owning = rng.sample(range(len(seats)), rng.randint(1, len(seats)))  # some seats own nothing
        owners = tuple(rng.choice(owning) for _ in range(rng.choice((1, 2, 8, 64))))
        lists = preference_lists(seats, owners, n)
        assert owner_lists(seats, owners, n) == tuple(nodes[:n] for nodes in lists)
        assert tuple(preference_list(seats, owners, partition) for partition in range(len(owners))) == lists


def test_more_nodes_than_partitions() -> None:
    *_, grown = grow(4, 3, 7)
    check_lists(grown.seats, grown.owners, 3)
    assert sorted(grown.balance.primaries.values()) == [0, 0, 0, 1, 1, 1, 1]


def test_the_same_ring_under_every_hash_seed() -> None:
    script = (
        "from hashlib import md5\n"
        "from node.core.ring import leave, preference_lists, reweigh\n"
        "from tests.helpers.rings import grow\n"
        "*_, g = grow(64, 3, 7, 3)\n"
        "s, o = leave(*reweigh(g.seats, g.owners, g.seats[2].id, 3, 3), (g.seats[4].id,), 3)\n"
        "print(md5(repr((s, o, preference_lists(s, o, 3))).encode()).hexdigest())\n"
    )
    answers = [
        subprocess.run(
            [sys.executable, "-c", script], env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.getcwd()},
            capture_output=True, text=True, check=True,
        ).stdout
        for hash_seed in ("0", "1", "4242")
    ]  # fmt: skip
    assert len(set(answers)) == 1
    assert len(answers[0]) == 33


@pytest.mark.parametrize("n", [1, 3])
def test_who_leaves_gives_to_all_alike(n: int) -> None:
    *_, grown = grow(256, n, 9)
    for gone in grown.seats:
        seats, owners = leave(grown.seats, grown.owners, (gone.id,), n)
        check_lists(seats, owners, n)
        assert gone not in seats
        counts = shares(owners, 8)
        assert max(counts) - min(counts) <= 1
        after = preference_lists(seats, owners, n)
        moves = plan(grown.lists, after, n)
        held = grown.balance.replicas[gone.id]
        assert {move.loses for move in moves if move.loses == gone.id}
        assert len(moves) <= 1.2 * held, "hardly anything moves that the leaver did not hold"
        assert balance(after, n).efficiency >= 0.95


def test_leaving_down_to_one() -> None:
    *_, grown = grow(32, 3, 6)
    seats, owners = grown.seats, grown.owners
    while len(seats) > 1:
        seats, owners = leave(seats, owners, (seats[len(seats) // 2].id,), 3)
        check_lists(seats, owners, 3)
        counts = shares(owners, len(seats))
        assert max(counts) - min(counts) <= 1
    assert owners == (0,) * 32
    with pytest.raises(AssertionError):
        leave(seats, owners, (seats[0].id,), 3)


def test_partitions_follow_weight() -> None:
    seats, owners = ring(256, A, B._replace(weight=2), C, D._replace(weight=4))
    assert shares(owners, 4) == [32, 64, 32, 128]
    check_lists(seats, owners, 3)
    seats, owners = reweigh(seats, owners, D.id, 1, 3)
    assert shares(owners, 4) == [51, 103, 51, 51]
    seats, owners = reweigh(seats, owners, B.id, 1, 3)
    assert shares(owners, 4) == [64] * 4
    assert [s.weight for s in seats] == [1] * 4


def test_a_heavier_node_takes_and_nobody_else_does() -> None:
    *_, grown = grow(256, 1, 8)
    seats, owners = reweigh(grown.seats, grown.owners, grown.seats[3].id, 2, 1)
    moves = plan(grown.lists, preference_lists(seats, owners, 1), 1)
    assert {move.gains for move in moves} == {grown.seats[3].id}
    assert len(moves) == 57 - 32


def test_a_node_has_one_seat_and_must_have_one_to_leave() -> None:
    with pytest.raises(AssertionError):
        join((A,), (0,) * 8, A, 3)
    with pytest.raises(AssertionError):
        leave((A, B), (0, 1) * 4, (C.id,), 3)
    with pytest.raises(AssertionError):
        reweigh((A,), (0,) * 8, A.id, 0, 3)


def test_a_plan_names_who_gains_and_who_loses() -> None:
    old = (ids(A, B, C), ids(B, C, A))
    new = (ids(A, B, D, C), ids(D, A, B, C))
    assert plan(old, new, 2) == (Move(1, D.id, ids(B, C), B.id), Move(1, A.id, ids(B, C), C.id))
    assert plan(old, new, 3) == (Move(0, D.id, ids(A, B, C), C.id), Move(1, D.id, ids(B, C, A), C.id))
    assert plan(old, old, 3) == ()
    assert plan((ids(A),), (ids(A, B),), 3) == (Move(0, B.id, ids(A), None),)


def test_balance_counts_nodes_that_hold_nothing() -> None:
    even = balance((ids(A, B, C), ids(B, A, C)), 2)
    assert even.primaries == {A.id: 1, B.id: 1, C.id: 0}
    assert even.replicas == {A.id: 2, B.id: 2, C.id: 0}
    assert even.efficiency == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("partitions", "n", "least"), [(256, 3, 5), (4096, 3, 5), (256, 5, 9), (32, 3, 5), (128, 4, 7)]
)
def test_rings_are_spread(partitions: int, n: int, least: int) -> None:
    """No node owns two of any N successive partitions, so that every primary is worth N replicas."""
    for grown in grow(partitions, n, 12):
        if len(grown.seats) >= least:
            around = (*grown.owners, *grown.owners[: n - 1])
            assert [p for p in range(partitions) if len(set(around[p : p + n])) < n] == [], len(grown.seats)


def test_remainders_stay_with_those_who_have_them() -> None:
    assert placement.shares((A, B, C), [2, 3, 3], 8) == [2, 3, 3]
    assert placement.shares((A, B, C), [3, 2, 3], 8) == [3, 2, 3]
    assert placement.shares((A, B, C), [4, 4, 0], 8) == [3, 3, 2]
    assert placement.shares((A._replace(weight=3), B), [0, 0], 16) == [12, 4]


changes = st.lists(
    st.tuples(
        st.sampled_from(["join", "join", "leave", "reweigh"]),
        st.integers(0, 99),
        st.integers(1, 4),
        st.sampled_from(["a", "b", "c"]),
    ),
    max_size=12,
)


@given(changes, st.sampled_from([4, 32, 64]), st.integers(1, 4))
def test_any_history_gives_a_sound_ring(script: list[tuple[str, int, int, str]], partitions: int, n: int) -> None:
    seats, owners = (seat(0, "a"),), found(seat(0, "a"), partitions)
    for i, (verb, at, weight, zone) in enumerate(script, 1):
        if verb == "join":
            seats, owners = join(seats, owners, seat(i, zone, weight), n)
        elif verb == "reweigh":
            seats, owners = reweigh(seats, owners, seats[at % len(seats)].id, weight, n)
        elif len(seats) > 1:
            seats, owners = leave(seats, owners, (seats[at % len(seats)].id,), n)
        check_lists(seats, owners, n)
        total = sum(s.weight for s in seats)
        for i, s in enumerate(seats):
            assert abs(owners.count(i) - partitions * s.weight / total) < 1


@pytest.mark.parametrize(("n", "zones"), [(1, 1), (3, 1), (3, 3)])
def test_who_replaces_another_gets_its_place_and_nothing_else_moves(n: int, zones: int) -> None:
    """In every preference list the one stands where the other stood."""
    *_, grown = grow(64, n, 7, zones)
    for old in grown.seats:
        new = seat(99, old.zone)
        seats, owners = replace(grown.seats, grown.owners, old.id, new)
        assert owners == grown.owners
        assert seats == tuple(new if each == old else each for each in grown.seats)
        lists = tuple(tuple(new.id if node == old.id else node for node in nodes) for nodes in grown.lists)
        assert preference_lists(seats, owners, n) == lists
        moves = plan(grown.lists, lists, n)
        assert {(move.gains, move.loses) for move in moves} == {(new.id, old.id)}
        assert len(moves) == grown.balance.replicas[old.id]


def test_who_replaces_another_has_its_weight() -> None:
    """Another one would be another share, and others would have to move for that."""
    seats, owners = ring(64, A, B._replace(weight=3), C)
    replaced, same = replace(seats, owners, B.id, D._replace(weight=5))
    assert replaced == (A, D._replace(weight=3), C)
    assert reweigh(replaced, same, D.id, 3, 3) == (replaced, same), "each has its share already"


def test_who_replaces_another_keeps_its_own_zone() -> None:
    """Where it stands is where it stands: then lists may change that it was not in."""
    seats, owners = ring(64, A._replace(zone="a"), B._replace(zone="b"), C._replace(zone="a"), n=2)
    replaced, same = replace(seats, owners, B.id, D._replace(zone="c"))
    assert replaced[1] == D._replace(zone="c") and same == owners
    check_lists(replaced, same, 2)


def test_who_has_a_seat_replaces_nobody() -> None:
    with pytest.raises(AssertionError, match="a node has one seat"):
        replace((A, B, C), (0, 1, 2, 0), B.id, C)
    with pytest.raises(AssertionError, match="no seat of"):
        replace((A, B), (0, 1), D.id, C)
