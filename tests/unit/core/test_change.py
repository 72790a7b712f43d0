"""From one epoch to the next: what each change makes of a ring, what it refuses, who takes in from how many."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import pytest

from node.core import ring
from node.core.change import (
    ABANDON,
    ENDS,
    JOIN,
    KINDS,
    LEAVE,
    REMOVE,
    REPLACE,
    WEIGHT,
    ZONE,
    Impossible,
    abandon,
    begin,
    dead,
    ending,
    groups,
    leaver,
    newcomer,
    remove,
    settle,
    sources,
    takers,
    words,
)
from node.core.cluster import Before, Change, RingState, Seat
from node.core.ids import NodeId
from node.core.limits import MEMBERS_MAX, WEIGHT_MAX
from node.core.limits_change import GONE_MAX
from node.core.quorum import Group
from tests.helpers.engine import EPOCH, node_id, sealed_ring
from tests.helpers.rings import check_lists
from tests.helpers.rings import seat as bare_seat

SETTLED = sealed_ring(["n1", "n2", "n3", "n4"])._replace(gone=(node_id("n8"),))
N2, N9 = node_id("n2"), node_id("n9")


def seat(name: str, weight: int = 1) -> Seat:
    return Seat(node_id(name), "", weight)


EVERY = {
    JOIN: (Change(JOIN, N9), seat("n9", 2)),
    LEAVE: (Change(LEAVE, N2), None),
    REMOVE: (Change(REMOVE, N2), None),
    REPLACE: (Change(REPLACE, N2, N9), seat("n9", 2)),
    WEIGHT: (Change(WEIGHT, N2), seat("n2", 3)),
}
PLACED = {
    JOIN: ring.join(SETTLED.seats, SETTLED.owners, seat("n9", 2), 3),
    LEAVE: ring.leave(SETTLED.seats, SETTLED.owners, (N2,), 3),
    REMOVE: ring.leave(SETTLED.seats, SETTLED.owners, (N2,), 3),
    REPLACE: ring.replace(SETTLED.seats, SETTLED.owners, N2, seat("n9", 2)),
    WEIGHT: ring.reweigh(SETTLED.seats, SETTLED.owners, N2, 3, 3),
}


@pytest.mark.parametrize("kind", EVERY)
def test_a_change_begins_with_an_epoch_that_names_both_rings(kind: str) -> None:
    """And nothing else of the cluster changes."""
    change, newcomers_seat = EVERY[kind]
    moving = begin(SETTLED, change, newcomers_seat)
    seats, owners = PLACED[kind]
    before = Before(SETTLED.seats, SETTLED.owners)
    assert moving == SETTLED._replace(epoch=EPOCH + 1, seats=seats, owners=owners, change=change, before=before)
    assert (moving.seats, moving.owners) != (SETTLED.seats, SETTLED.owners)
    assert moving.voters == SETTLED.voters, "the owners of everything decide until it is settled"
    check_lists(moving.seats, moving.owners, 3)


@pytest.mark.parametrize("kind", EVERY)
def test_it_settles_under_the_new_ring(kind: str) -> None:
    """Who lost its seat in it is gone for good."""
    moving = begin(SETTLED, *EVERY[kind])
    gone = (*SETTLED.gone, N2) if kind in (LEAVE, REMOVE, REPLACE) else SETTLED.gone
    settled = settle(moving)
    assert settled == moving._replace(epoch=EPOCH + 2, before=None, gone=gone)
    assert settled.voters == tuple(each.id for each in moving.seats)
    assert (N2 in settled.voters) is (N2 not in settled.gone)
    assert begin(settled, Change(LEAVE, node_id("n1"))).epoch == EPOCH + 3


@pytest.mark.parametrize("kind", EVERY)
def test_given_up_it_is_the_old_ring_under_a_new_number(kind: str) -> None:
    """And nobody is gone: who was to leave stays."""
    change, newcomers_seat = EVERY[kind]
    given_up = change._replace(kind=ABANDON, words=f"given up: {kind}")
    assert abandon(begin(SETTLED, change, newcomers_seat)) == SETTLED._replace(epoch=EPOCH + 2, change=given_up)


def test_a_ring_says_with_names_what_it_came_from() -> None:
    """Who gave the change no words is told its kind."""
    moving = begin(SETTLED, Change(LEAVE, N2, words="leave n2"))
    assert words(moving) == words(settle(moving)) == "leave n2"
    assert words(abandon(moving)) == "given up: leave n2"
    assert words(begin(SETTLED, Change(LEAVE, N2))) == "leave"
    assert words(SETTLED) == ""
    assert abandon(moving._replace(change=None)).change is None


def test_after_a_change_was_given_up_it_may_begin_again() -> None:
    given_up = abandon(begin(SETTLED, *EVERY[JOIN]))
    assert begin(given_up, *EVERY[JOIN]) == begin(SETTLED, *EVERY[JOIN])._replace(epoch=EPOCH + 3)
    assert newcomer(given_up.change) is leaver(given_up.change) is None


def test_a_member_without_a_seat_is_forgotten_in_one_epoch() -> None:
    forgotten = remove(SETTLED, (N9,))
    assert forgotten == SETTLED._replace(epoch=EPOCH + 1, change=Change(REMOVE, N9), gone=(*SETTLED.gone, N9))
    assert remove(SETTLED, (N9,), "remove n9") == forgotten._replace(change=Change(REMOVE, N9, words="remove n9"))
    with pytest.raises(Impossible, match="one change at a time"):
        remove(begin(SETTLED, *EVERY[JOIN]), (N9,))


@pytest.mark.parametrize("end", [settle, abandon])
def test_only_a_moving_epoch_comes_to_an_end(end: object) -> None:
    with pytest.raises(AssertionError, match="nothing is moving"):
        end(SETTLED)  # type: ignore[operator]  # whatever the test wants


def test_the_oldest_of_too_many_that_are_gone_is_not_remembered() -> None:
    many = tuple(NodeId(f"{number:032x}") for number in range(100, 100 + GONE_MAX))
    full = SETTLED._replace(gone=many)
    assert settle(begin(full, *EVERY[LEAVE])).gone == (*many[1:], N2)
    assert settle(begin(full, *EVERY[JOIN])).gone == many
    assert remove(full, (N9,)).gone == (*many[1:], N9)


FULL = SETTLED._replace(seats=tuple(bare_seat(number) for number in range(1, MEMBERS_MAX + 1)))
LAST = SETTLED._replace(seats=(seat("n1"), seat("n2", 0)), owners=(0,) * 64)
ONE = SETTLED._replace(seats=(seat("n1"),), owners=(0,) * 64)
TOO_HEAVY = f"its weight must be 1 to {WEIGHT_MAX}"
NOT_MEMBER, SEATED, NO_SEAT = "the newcomer is no member", "it has a seat already", "it has no seat"
LAST_ONE = "it is the last one that owns anything"
NEW = node_id("n999")


@pytest.mark.parametrize(
    ("state", "change", "of", "why"),
    [
        (SETTLED, Change(JOIN, N9), None, NOT_MEMBER),
        (SETTLED, Change(JOIN, N9), seat("n7"), NOT_MEMBER),
        (SETTLED, Change(JOIN, N2), seat("n2"), SEATED),
        (SETTLED, Change(JOIN, N9), seat("n9", 0), TOO_HEAVY),
        (SETTLED, Change(JOIN, N9), seat("n9", WEIGHT_MAX + 1), TOO_HEAVY),
        (FULL, Change(JOIN, NEW), seat("n999"), f"the ring has {MEMBERS_MAX} seats, its limit"),
        (SETTLED, Change(LEAVE, N9), None, NO_SEAT),
        (SETTLED, Change(REMOVE, N9), None, NO_SEAT),
        (SETTLED, Change(WEIGHT, N9), seat("n9"), NO_SEAT),
        (SETTLED, Change(REPLACE, N9, node_id("n7")), seat("n7"), NO_SEAT),
        (ONE, Change(LEAVE, node_id("n1")), None, LAST_ONE),
        (LAST, Change(LEAVE, node_id("n1")), None, LAST_ONE),
        (LAST, Change(REMOVE, node_id("n1")), None, LAST_ONE),
        (SETTLED, Change(REPLACE, N2, N9), None, NOT_MEMBER),
        (SETTLED, Change(REPLACE, N2, N9), seat("n7"), NOT_MEMBER),
        (SETTLED, Change(REPLACE, N2, N2), seat("n2"), SEATED),
        (SETTLED, Change(REPLACE, N2, node_id("n3")), seat("n3"), SEATED),
        (SETTLED, Change(REPLACE, N2, N9), seat("n9", 0), TOO_HEAVY),
        (SETTLED, Change(WEIGHT, N2), None, f"the weight must be 1 to {WEIGHT_MAX}"),
        (SETTLED, Change(WEIGHT, N2), seat("n2", 0), f"the weight must be 1 to {WEIGHT_MAX}"),
        (SETTLED, Change(WEIGHT, N2), seat("n2", WEIGHT_MAX + 1), f"the weight must be 1 to {WEIGHT_MAX}"),
        (SETTLED, Change("swap", N2), seat("n2"), "no such change: swap"),
    ],
)
def test_what_is_impossible_says_why_in_one_line(state: RingState, change: Change, of: Seat | None, why: str) -> None:
    with pytest.raises(Impossible) as refused:
        begin(state, change, of)
    assert str(refused.value) == why


@pytest.mark.parametrize("kind", EVERY)
def test_before_the_first_write_nothing_is_changed_this_way(kind: str) -> None:
    with pytest.raises(Impossible, match=r"^nothing was written yet: until then the founder gives the seats$"):
        begin(SETTLED._replace(sealed=False), *EVERY[kind])


@pytest.mark.parametrize("kind", EVERY)
def test_one_change_at_a_time(kind: str) -> None:
    moving = begin(SETTLED, Change(JOIN, node_id("n7")), seat("n7"))
    with pytest.raises(Impossible, match=rf"^epoch {EPOCH + 1} is still moving \(join\): one change at a time$"):
        begin(moving, *EVERY[kind])


@pytest.mark.parametrize("weight", [1, WEIGHT_MAX])
def test_every_weight_within_its_bounds_is_possible(weight: int) -> None:
    assert begin(SETTLED, Change(JOIN, N9), seat("n9", weight)).seats[-1] == seat("n9", weight)
    assert begin(SETTLED, Change(WEIGHT, N2), seat("n2", weight)).seats[1].weight == weight


def test_who_owns_nothing_may_leave_those_who_do() -> None:
    spare = LAST._replace(seats=(seat("n1"), seat("n2", 0), seat("n3")), owners=(0, 2) * 32)
    assert begin(spare, Change(LEAVE, N2)).seats == (seat("n1"), seat("n3"))
    assert begin(spare, Change(LEAVE, node_id("n1"))).owners == (1,) * 64


def test_a_change_names_who_comes_who_leaves_alive_and_who_is_taken_for_dead() -> None:
    assert {kind: newcomer(change) for kind, (change, _) in EVERY.items()} == {
        JOIN: N9, LEAVE: None, REMOVE: None, REPLACE: N9, WEIGHT: None,
    }  # fmt: skip
    assert {kind: leaver(change) for kind, (change, _) in EVERY.items()} == {
        JOIN: None, LEAVE: N2, REMOVE: None, REPLACE: None, WEIGHT: None,
    }  # fmt: skip
    moving = {kind: begin(SETTLED, *each) for kind, each in EVERY.items()}
    assert {kind: dead(ring) for kind, ring in moving.items()} == {
        JOIN: (), LEAVE: (), REMOVE: (N2,), REPLACE: (N2,), WEIGHT: (),
    }  # fmt: skip
    assert {kind: ending(ring) for kind, ring in moving.items()} == {
        JOIN: (), LEAVE: (N2,), REMOVE: (N2,), REPLACE: (N2,), WEIGHT: (),
    }  # fmt: skip
    assert {dead(end(ring)) for end in (settle, abandon) for ring in moving.values()} == {()}
    assert newcomer(None) is leaver(None) is None
    assert [*EVERY, ZONE] == list(KINDS)
    assert set(ENDS) == {LEAVE, REMOVE, REPLACE}


# Who takes in, and from how many ------------------------------------------------------------------------------

Nodes = tuple[NodeId, ...]
OLD = tuple(NodeId(f"old{number}") for number in range(5))
NEW_ONES = tuple(NodeId(f"new{number}") for number in range(5))


def moves(n: int) -> Iterator[tuple[Nodes, Nodes]]:
    """The owners of a partition before and after, in every number up to N, and as many of both as there can be."""
    for olds in range(1, n + 1):
        for news in range(1, n + 1):
            for kept in range(min(olds, news) + 1):
                yield OLD[:olds], (*NEW_ONES[: news - kept], *OLD[:kept])


def heard(taker: NodeId, old: Nodes, count: int) -> Iterator[Nodes]:
    """All sets of old owners from which it may have taken in: so many, with itself if it is one."""
    return (some for some in combinations(old, count) if taker not in old or taker in some)


def holders(old: Nodes, new: Nodes, written: Nodes, count: int) -> list[NodeId]:
    """The new owners who hold a write for certain, when every taker heard the old owners that are worst for it."""
    taking = takers(old, new)
    return [
        node
        for node in new
        if node in written
        or (node in taking and all(set(some) & set(written) for some in heard(node, old, count)))
    ]  # fmt: skip


@pytest.mark.parametrize("n", range(1, 6))
def test_what_was_acknowledged_is_held_by_enough_new_owners(n: int) -> None:
    """Whichever W old owners held it: by W of the new, or all; with R+W > N every R of the new include a holder."""
    for old, new in moves(n):
        for r, w in ((r, w) for r in range(1, n + 1) for w in range(1, n + 1)):
            for written in combinations(old, min(w, len(old))):
                held = holders(old, new, written, sources(old, r, w))
                assert len(held) >= min(w, len(new)), (old, new, r, w, written)
                if r + w > n:
                    readers = combinations(new, min(r, len(new)))
                    assert all(set(some) & set(held) for some in readers), (old, new, r, w, written)


@pytest.mark.parametrize("n", range(1, 6))
def test_no_quorum_under_the_old_ring_alone_misses_all_who_were_heard(n: int) -> None:
    """Of reads as of writes, nor all who hold what a STRICT read returned; and from one fewer that would not be so."""
    for olds in range(1, n + 1):
        old = OLD[:olds]
        for r, w in ((r, w) for r in range(1, n + 1) for w in range(1, n + 1)):
            safe = olds - min(r, olds) + 1
            quorums = [each for need in (min(r, olds), min(w, olds), safe) for each in combinations(old, need)]
            count = sources(old, r, w)
            assert 1 <= count <= olds
            assert all(set(some) & set(quorum) for some in combinations(old, count) for quorum in quorums)
            fewer = combinations(old, count - 1)
            assert not all(set(some) & set(quorum) for some in fewer for quorum in quorums)


@pytest.mark.parametrize("n", range(1, 6))
def test_from_dead_owners_nobody_has_to_hear(n: int) -> None:
    """Else with R=1 or W=1, where all are needed, it could never be removed."""
    for olds in range(1, n + 1):
        old = OLD[:olds]
        for r, w in ((r, w) for r in range(1, n + 1) for w in range(1, n + 1)):
            need = sources(old, r, w)
            for count in range(olds + 1):
                for dead_ones in combinations(old, count):
                    assert sources(old, r, w, (N9, *dead_ones)) == min(need, olds - count)
            assert sources(old, r, w, (N9,)) == need, "one that owns nothing of it"


def test_who_gains_a_partition_takes_it_in_and_who_keeps_it_only_where_the_set_shrinks() -> None:
    a, b, c, d = OLD[:4]
    assert takers((a, b, c), (d, b, a)) == (d,)
    assert takers((a, b, c), (a, b, c)) == takers((a, b, c), (c, a, b)) == ()
    assert takers((a, b), (a, b, c)) == (c,)
    assert takers((a, b, c), (c, a)) == (c, a)
    assert takers((a, b, c), (d, a)) == (d, a)


@pytest.mark.parametrize(
    ("r", "w", "count"), [(2, 2, 2), (1, 3, 3), (3, 1, 3), (3, 3, 3), (1, 1, 3), (2, 3, 2), (9, 9, 3)]
)
def test_of_three_owners_so_many_are_heard(r: int, w: int, count: int) -> None:
    assert sources(OLD[:3], r, w) == count


def test_each_ring_has_its_own_quorum_and_never_more_than_its_owners() -> None:
    a, b, c, d = OLD[:4]
    assert groups((a, b, c), (b, c, d), 2) == (Group(2, (a, b, c)), Group(2, (b, c, d)))
    assert groups((a,), (a, b, c), 2) == (Group(1, (a,)), Group(2, (a, b, c)))
    assert groups((a, b, c), (a,), 3) == (Group(3, (a, b, c)), Group(1, (a,)))
