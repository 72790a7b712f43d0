"""Changes of several members in one epoch: dead ones removed, what may be lost with them, and zones."""

from __future__ import annotations

import pytest

from node.core import ring
from node.core.change import (
    REMOVE,
    ZONE,
    Impossible,
    abandon,
    at_stake,
    begin,
    dead,
    ending,
    remove,
    rezone,
    settle,
    sources,
)
from node.core.cluster import Before, Change, Quorums, RingState
from node.core.ids import NodeId
from tests.helpers.engine import EPOCH, node_id, sealed_ring
from tests.helpers.rings import check_lists

N2, N9 = node_id("n2"), node_id("n9")

FIVE = sealed_ring(["n1", "n2", "n3", "n4", "n5"])
N4 = node_id("n4")


def test_several_are_removed_in_one_epoch_and_none_gets_anything_from_another() -> None:
    moving = remove(FIVE, (N4, N2), "remove n4 n2")
    assert moving.change == Change(REMOVE, N4, words="remove n4 n2")
    assert [each.id for each in moving.seats] == [node_id(name) for name in ("n1", "n3", "n5")]
    assert moving.before == Before(FIVE.seats, FIVE.owners)
    check_lists(moving.seats, moving.owners, 3)
    assert dead(moving) == ending(moving) == (N2, N4), "in the order of their seats, whatever was typed"
    assert settle(moving).gone == (*FIVE.gone, N2, N4)
    assert abandon(moving).gone == FIVE.gone
    one = begin(FIVE, Change(REMOVE, N4, words="remove n4"))
    assert remove(FIVE, (N4,), "remove n4") == one, "as ever, to the byte: an older release makes the same epoch of it"


def test_of_a_larger_ring_nothing_moves_twice() -> None:
    """One after the other, the second dead one would be given partitions of the first."""
    eight = sealed_ring([f"n{number}" for number in range(1, 9)])
    moving = remove(eight, (N2, N4))
    kept = [(owner, eight.seats[owner].id) for owner in eight.owners]
    new = [moving.seats[owner].id for owner in moving.owners]
    changed = [old for (_, old), now in zip(kept, new, strict=True) if old != now]
    assert set(changed) == {N2, N4}, "nobody else gives anything up"
    counts = [new.count(seat.id) for seat in moving.seats]
    assert max(counts) - min(counts) <= 1


def test_who_has_no_seat_is_removed_with_those_who_have() -> None:
    moving = remove(FIVE, (N9, N2), "remove n9 n2")
    assert moving.change == Change(REMOVE, N2, words="remove n9 n2")
    assert moving.gone == (*FIVE.gone, N9)
    assert settle(moving).gone == (*FIVE.gone, N9, N2)
    forgotten = remove(FIVE, (N9, node_id("n7")))
    assert (forgotten.before, forgotten.gone) == (None, (*FIVE.gone, N9, node_id("n7")))


def test_somebody_must_be_left() -> None:
    with pytest.raises(Impossible, match=r"^nobody else owns anything$"):
        remove(FIVE, tuple(each.id for each in FIVE.seats))


def test_a_release_that_knew_of_one_leaves_the_second_a_member_without_a_seat() -> None:
    """That is how it settled an epoch: it reads the first name only. Then the second one is removed again."""
    moving = remove(FIVE, (N2, N4))
    settled = moving._replace(epoch=moving.epoch + 1, before=None, gone=(*moving.gone, moving.change.node))  # type: ignore[union-attr]  # it has one
    again = remove(settled, (N4,))
    assert (again.before, again.gone) == (None, settle(moving).gone)
    assert sources((N2, N4, node_id("n1")), 2, 2, (N2,)) == 2, "its takers wait for the second, until it is given up"


@pytest.mark.parametrize(
    ("names", "quorums", "lost", "doubtful"),
    [
        (("n2",), (3, 2, 2), 0, 0),
        (("n2", "n4"), (3, 2, 2), 0, "pairs"),
        (("n2", "n4"), (3, 1, 3), 0, 0),
        (("n2",), (3, 3, 1), 0, 0),
        (("n2", "n4"), (3, 3, 1), 0, "pairs"),
        (("n2",), (1, 1, 1), "alone", 0),
        (("n2", "n4", "n5"), (3, 2, 2), "all", "pairs"),
        (("n2", "n4", "n9"), (3, 2, 2), 0, "pairs"),
    ],
)
def test_what_is_at_stake_is_counted_by_owners(
    names: tuple[str, ...], quorums: tuple[int, int, int], lost: object, doubtful: object
) -> None:
    state, going = FIVE._replace(quorums=Quorums(*quorums)), {node_id(name) for name in names}
    lists = ring.preference_lists(state.seats, state.owners, state.quorums.n)
    hit = [len(going & set(nodes[: state.quorums.n])) for nodes in lists]
    counts = {0: 0, "alone": hit.count(1), "all": hit.count(3), "pairs": hit.count(2)}
    stake = at_stake(state, tuple(going))
    assert stake == (counts[lost], counts[doubtful])  # type: ignore[index]  # one of those
    assert not lost or stake.lost
    assert not doubtful or stake.doubtful


# Zones -------------------------------------------------------------------------------------------------------


def test_members_stand_in_other_zones_and_no_partition_gets_another_primary() -> None:
    zones = {node_id(f"n{number}"): "abc"[number % 3] for number in range(1, 6)}
    moving = rezone(FIVE, zones, "zone n1 b n2 c")
    seats = tuple(each._replace(zone=zones[each.id]) for each in FIVE.seats)
    assert moving == FIVE._replace(
        epoch=EPOCH + 1, seats=seats, before=Before(FIVE.seats, FIVE.owners),
        change=Change(ZONE, node_id("n1"), words="zone n1 b n2 c"),
    )  # fmt: skip
    by_id = {each.id: each.zone for each in seats}
    for nodes in ring.preference_lists(moving.seats, moving.owners, 3):
        assert {by_id[node] for node in nodes[:3]} == {"a", "b", "c"}
    assert settle(moving).gone == FIVE.gone
    assert dead(moving) == ending(moving) == ()
    assert abandon(moving).seats == FIVE.seats


@pytest.mark.parametrize(
    ("state", "zones", "why"),
    [
        (FIVE, {N9: "a"}, "it has no seat"),
        (FIVE, {N2: ""}, "nothing would change"),
        (rezone(FIVE, {N2: "a"}), {N2: "b"}, f"epoch {EPOCH + 1} is still moving (zone): one change at a time"),
        (FIVE._replace(sealed=False), {N2: "a"}, "nothing was written yet: until then the founder gives the seats"),
    ],
)
def test_what_no_zone_can_be_given_says_why(state: RingState, zones: dict[NodeId, str], why: str) -> None:
    with pytest.raises(Impossible) as refused:
        rezone(state, zones)
    assert str(refused.value) == why
