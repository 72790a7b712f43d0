"""From one epoch of the ring to the next: pure functions, so that every node that computes one gets the same.

    settled e ── begin ──► moving e+1 ── settle ──► settled e+2, under the new ring
                                └────── abandon ──► settled e+2, under the old ring

    join     a member takes a seat              leave   a member gives its seat up, and hands its data over itself
    replace  a member takes a dead one's seat   remove  the same of a dead one: the others rebuild what it held
    weight   a member gets a larger share, or a smaller one
    zone     members stand in other zones: no partition gets another primary, but replicas go to other zones first

One change at a time; several dead members may be removed in one. Who lost its seat for good is *gone* when the epoch
settles. That is read off the two rings of the moving epoch, and `Change.node` is the first of them: a release that knew
of one only settles an epoch in which two are removed with the second as a member without a seat, to be removed again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from node.core import ring
from node.core.cluster import Before, Change, RingState, Seat, Secret
from node.core.ids import NodeId
from node.core.limits import MEMBERS_MAX, WEIGHT_MAX
from node.core.limits_change import GONE_MAX
from node.core.quorum import Group

JOIN: Final = "join"
LEAVE: Final = "leave"
REMOVE: Final = "remove"
REPLACE: Final = "replace"
WEIGHT: Final = "weight"
ZONE: Final = "zone"
ABANDON: Final = "abandon"
ROTATE: Final = "rotate"
KINDS: Final = (JOIN, LEAVE, REMOVE, REPLACE, WEIGHT, ZONE)

ENDS: Final = (LEAVE, REMOVE, REPLACE)
"""Changes after which a node is no member any more."""


KEY_IDS: Final = 256
"""A context token names its secret in one byte."""


class Impossible(Exception):
    """A change that cannot be made of this ring: why, in one line."""


class Stake(NamedTuple):
    """What may be lost with nodes that are removed, in partitions: `lost` keep no owner at all; of `doubtful` so many
    go that they may have acknowledged a write by themselves."""

    lost: int
    doubtful: int


def begin(state: RingState, change: Change, seat: Seat | None = None, more: tuple[NodeId, ...] = ()) -> RingState:
    """Return the moving epoch in which `change` is made. `seat`: what the node of a join, replace or weight will have.

    `more`: who is removed together with the node of a remove. Raises Impossible.
    """
    _check_may_begin(state)
    if newcomer(change) in state.gone:
        raise Impossible("the newcomer left, or was removed, and never comes back under its id")
    return _moving(state, _placed(state, change, seat, more), change)


def rezone(state: RingState, zones: Mapping[NodeId, str], text: str = "") -> RingState:
    """Return the moving epoch in which members stand in other zones, all at once. Raises Impossible.

    One after the other, the first in a new zone would be an owner of everything, as it is all that this zone has.
    """
    _check_may_begin(state)
    if not all(any(seat.id == node for seat in state.seats) for node in zones):
        raise Impossible("it has no seat")
    seats = tuple([seat._replace(zone=zones.get(seat.id, seat.zone)) for seat in state.seats])
    if seats == state.seats:
        raise Impossible("nothing would change")
    return _moving(state, (seats, state.owners), Change(ZONE, next(iter(zones)), words=text))


def _check_may_begin(state: RingState) -> None:
    if not state.sealed:
        raise Impossible("nothing was written yet: until then the founder gives the seats")
    if state.before is not None:
        raise Impossible(f"epoch {state.epoch} is still moving ({words(state)}): one change at a time")


def _moving(state: RingState, after: ring.Ring, change: Change) -> RingState:
    before = Before(state.seats, state.owners)
    return state._replace(epoch=state.epoch + 1, seats=after[0], owners=after[1], change=change, before=before)


def _placed(state: RingState, change: Change, seat: Seat | None, more: tuple[NodeId, ...]) -> ring.Ring:
    """The seats and owners after the change."""
    seats, owners, n = state.seats, state.owners, state.quorums.n
    seated = {each.id for each in seats}
    if change.kind == JOIN:
        _check_newcomer(seat, change.node, seats)
        assert seat is not None, "a join without a seat"
        if len(seats) >= MEMBERS_MAX:
            raise Impossible(f"the ring has {MEMBERS_MAX} seats, its limit")
        return ring.join(seats, owners, seat, n)
    if change.node not in seated:
        raise Impossible("it has no seat")
    if change.kind in (LEAVE, REMOVE):
        going = (change.node, *more)
        if sum(each.weight > 0 and each.id not in going for each in seats) == 0:
            raise Impossible("it is the last one that owns anything" if not more else "nobody else owns anything")
        return ring.leave(seats, owners, going, n)
    if change.kind == REPLACE:
        _check_newcomer(seat, change.by, seats)
        assert seat is not None, "a replacement without a seat"
        return ring.replace(seats, owners, change.node, seat)
    if change.kind != WEIGHT:
        raise Impossible(f"no such change: {change.kind}")
    if seat is None or not 1 <= seat.weight <= WEIGHT_MAX:
        raise Impossible(f"the weight must be 1 to {WEIGHT_MAX}")
    return ring.reweigh(seats, owners, change.node, seat.weight, n)


def _check_newcomer(seat: Seat | None, node: NodeId, seats: tuple[Seat, ...]) -> None:
    if seat is None or seat.id != node:
        raise Impossible("the newcomer is no member")
    if any(each.id == node for each in seats):
        raise Impossible("it has a seat already")
    if not 1 <= seat.weight <= WEIGHT_MAX:
        raise Impossible(f"its weight must be 1 to {WEIGHT_MAX}")


def settle(state: RingState) -> RingState:
    """Return the epoch after a moving one whose new ring holds everything."""
    assert state.before is not None, "nothing is moving"
    gone = (*state.gone, *ending(state))[-GONE_MAX:]
    return state._replace(epoch=state.epoch + 1, before=None, gone=gone)


def abandon(state: RingState) -> RingState:
    """Return the epoch after a moving one that comes to nothing: the old ring, which holds everything."""
    assert state.before is not None, "nothing is moving"
    given_up = None
    if state.change is not None:
        given_up = state.change._replace(kind=ABANDON, words=f"given up: {words(state)}")
    return state._replace(
        epoch=state.epoch + 1, seats=state.before.seats, owners=state.before.owners, before=None, change=given_up
    )


def rotate(state: RingState, secret: bytes, by: NodeId) -> RingState:
    """Return the epoch in which everybody learns the next context secret; nobody makes tokens with it yet. `by` asked.

    So no token comes to a node that does not know its secret. Raises Impossible.
    """
    if not state.sealed:
        raise Impossible("nothing was written yet: there is no context that anybody could have")
    if state.before is not None:
        raise Impossible(f"epoch {state.epoch} is still moving ({words(state)}): one change at a time")
    if is_rotating(state):
        raise Impossible("the last rotation is not over: somebody does not know the new secret yet")
    present = state.secrets[0]
    secrets = (present, Secret(_next_key_id(present), secret))
    return state._replace(
        epoch=state.epoch + 1, secrets=secrets, change=Change(ROTATE, by, words="all learn a new context secret")
    )


def is_rotating(state: RingState) -> bool:
    """Whether the second of its secrets is the next one, which everybody is to know, and not the one before."""
    return len(state.secrets) == 2 and state.secrets[1].key_id == _next_key_id(state.secrets[0])


def rotated(state: RingState) -> RingState:
    """Return the epoch in which tokens are made with the next secret. Those of the one before stay good in it."""
    assert is_rotating(state), "no secret to come"
    used = Change(ROTATE, state.decider, words="the new context secret is used")
    return state._replace(epoch=state.epoch + 1, secrets=state.secrets[::-1], change=used)


def _next_key_id(secret: Secret) -> int:
    return (secret.key_id + 1) % KEY_IDS


def remove(state: RingState, nodes: tuple[NodeId, ...], text: str = "") -> RingState:
    """Return the epoch in which dead members are removed, all at once: a moving one, if any of them has a seat.

    Who has none is gone in it already, and stays so if it is given up. `text` says it with names. Raises Impossible.
    """
    seated = tuple([node for node in nodes if any(seat.id == node for seat in state.seats)])
    gone = (*state.gone, *(node for node in nodes if node not in seated))[-GONE_MAX:]
    if seated:
        return begin(state, Change(REMOVE, seated[0], words=text), more=seated[1:])._replace(gone=gone)
    if state.before is not None:
        raise Impossible(f"epoch {state.epoch} is still moving ({words(state)}): one change at a time")
    return state._replace(epoch=state.epoch + 1, change=Change(REMOVE, nodes[0], words=text), gone=gone)


def at_stake(state: RingState, nodes: tuple[NodeId, ...]) -> Stake:
    """Return what may be lost with `nodes`, if they are removed as dead.

    One node of a ring with W=1 takes what it acknowledged alone with it, too: whoever chose that W has accepted that.
    """
    quorums = state.quorums
    lost = doubtful = 0
    for owners in ring.owner_lists(state.seats, state.owners, quorums.n):
        going = sum(node in nodes for node in owners)
        if going == len(owners):
            lost += 1
        elif going >= max(2, min(quorums.w, len(owners))):
            doubtful += 1
    return Stake(lost, doubtful)


def newcomer(change: Change | None) -> NodeId | None:
    """Return who takes a seat in this change, if anybody does: without it there is no reason to go on."""
    if change is None or change.kind not in (JOIN, REPLACE):
        return None
    return change.node if change.kind == JOIN else change.by


def ending(state: RingState) -> tuple[NodeId, ...]:
    """Return whose membership ends with the change that is moving: they have a seat in the old ring alone."""
    if state.before is None or state.change is None or state.change.kind not in ENDS:
        return ()
    stay = [seat.id for seat in state.seats]
    return tuple([seat.id for seat in state.before.seats if seat.id not in stay])


def dead(state: RingState) -> tuple[NodeId, ...]:
    """Return who is taken for dead in the change that is moving."""
    return () if leaver(state.change) is not None else ending(state)


def leaver(change: Change | None) -> NodeId | None:
    """Return who leaves in this change, alive, if anybody does."""
    return change.node if change is not None and change.kind == LEAVE else None


def groups(old: tuple[NodeId, ...], new: tuple[NodeId, ...], need: int) -> tuple[Group, ...]:
    """Return of whom `need` must agree while a partition moves, in the old ring and in the new (design, section 7)."""
    return Group(min(need, len(old)), old), Group(min(need, len(new)), new)


def takers(old: tuple[NodeId, ...], new: tuple[NodeId, ...]) -> tuple[NodeId, ...]:
    """Return the new owners of a partition that have to take it in before it settles.

    Who gains it; and where the set shrinks who keeps it, too: of W that held a write fewer are left.
    """
    return tuple([node for node in new if node not in old or len(new) < len(old)])


def sources(old: tuple[NodeId, ...], r: int, w: int, dead: tuple[NodeId, ...] = ()) -> int:
    """Return from how many of the old owners a taker has to hear, counting itself if it is one.

    N−W+1 meet every write that was acknowledged, N−R+1 leave no quorum of reads under the old ring alone, and R meet
    whatever such a read has returned, as it saw to it that N−R+1 hold that. Who is removed as `dead` says nothing: if
    more would be needed than the others, what the dead alone had is lost with them, and theirs is all that there is.
    """
    n = len(old)
    need = max(n - min(w, n) + 1, n - min(r, n) + 1, min(r, n))
    return min(need, sum(node not in dead for node in old))


def words(state: RingState) -> str:
    """Return what a ring came from, for people; "" if that is not known."""
    return "" if state.change is None else state.change.words or state.change.kind
