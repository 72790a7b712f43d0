"""Who gets the row of one write: the places of its owners, filled by them or by stand-ins (`engine.places`).

    owner up ── gets the row;  down, or lost ── the next healthy node behind the owners, with a hint for it
                               nobody left   ── a hint here, with the row that this node holds
    another ring than ours ── said again once the two have been compared

Who leaves, or is gone, is nobody's stand-in, and counts for nobody as a coordinator: its hints may go with it.

The coordinator decides when (`engine.put`).
"""

from __future__ import annotations

from node.core.ids import Instant, NodeId
from node.core.limits_change import EPOCH_AGAIN_S
from node.engine.operation import NO_TICKET, Asker, Operation, Shared
from node.engine.outbox import Outbox
from node.engine.places import Places
from node.engine.write import Write
from node.storage.port import Advanced, Owe, Owed
from node.wire.messages import Replicate, left_ms


class Spreading(Operation):
    """A row on its way to its places. `advanced` is what our own commit gave, `told` whether the client has its answer.

    `lacking` were lost while that commit was under way: they get hints after it. `apart` are those whose ring is
    another one.
    """

    __slots__ = (
        "advanced", "apart", "asker", "epoch", "lacking", "places", "round", "tally", "told", "write", "_again_at",
    )  # fmt: skip

    def __init__(self, shared: Shared, write: Write, asker: Asker) -> None:
        super().__init__(shared)
        self.write = write
        self.asker = asker
        self.advanced: Advanced | None = None
        self.apart: dict[NodeId, None] = {}
        self.lacking: tuple[NodeId, ...] = ()
        self.round = 0
        self.told = False
        self._again_at: Instant = 0.0
        self._place()

    def _place(self) -> None:
        """Find the places to fill, in the ring as it is now."""
        cluster, write = self.shared.cluster, self.write
        self.epoch = cluster.epoch
        self.places = Places(write.w, cluster.owners(write.key), cluster.groups(write.key, write.w))
        self.tally = self.places.tally

    def _share_out(self) -> tuple[NodeId, ...]:
        """Give the places of owners that are down to stand-ins; return for whom this node keeps hints itself."""
        places, me, owners, is_up = self.places, self.shared.me, self.tally.nodes, self.shared.cluster.is_up
        for owner in owners:
            if owner != me and not is_up(owner):
                places.gone[owner] = "down"
        mine: tuple[NodeId, ...] = ()
        if me not in owners and not self.write.strict and not self.shared.cluster.is_leaving(me):
            mine = (next(iter(places.gone), owners[0]),)
            places.stand_ins[me] = mine[0]
        for owner in places.gone:
            if owner not in mine and not self._find_stand_in(owner):
                self.tally.no(owner, "down")
        return (*mine, *self.tally.failed)

    def _find_stand_in(self, place: NodeId) -> NodeId | None:
        if self.write.strict:
            return None
        cluster = self.shared.cluster
        behind = cluster.preference_list(self.write.key)[len(self.tally.nodes) :]
        return self.places.find_stand_in(place, behind, cluster)

    def _fan_out(self, now: Instant, out: Outbox) -> None:
        """Send our row to everybody who is to have it."""
        assert self.advanced is not None, "nothing to send before our own commit"
        me, places, write = self.shared.me, self.places, self.write
        left = left_ms(write.deadline, now)
        message = Replicate(self.ticket, self.epoch, write.key, self.advanced.row, (), self.round, left)
        for owner in self.tally.nodes:
            if owner != me and owner not in places.gone and owner not in places.durable:
                out.send(owner, message)
        for node, owner in places.stand_ins.items():
            if node != me and node not in places.lost:
                self._ask_stand_in(node, owner, now, out)

    def _ask_stand_in(self, node: NodeId, owner: NodeId, now: Instant, out: Outbox) -> None:
        assert self.advanced is not None, "a stand-in asked before our own commit"
        row, left = self.advanced.row, left_ms(self.write.deadline, now)
        out.send(node, Replicate(self.ticket, self.epoch, self.write.key, row, (owner,), self.round, left))

    def _lost(self, node: NodeId, why: str, now: Instant, out: Outbox) -> None:
        """`node` will not fill its place: find another one, or remember what the owner lacks."""
        vacant = self.places.give_up(node, why)
        if vacant is not None:
            self._refill(vacant, now, out)

    def _find_another(self, place: NodeId, now: Instant, out: Outbox) -> NodeId | None:
        """One more stand-in. If it was asked before, in another's place, it may fill this one with what it has of that,
        without a hint for this owner: then the hint is here."""
        asked = tuple(self.places.stand_ins)
        other = None if self.told else self._find_stand_in(place)
        if other in asked:
            self._owe((place,), now, out)
        return other

    def _refill(self, place: NodeId, now: Instant, out: Outbox) -> None:
        other = self._find_another(place, now, out)
        if other is None:
            self.tally.no(place, self.places.gone[place])
            self._owe((place,), now, out)
        elif self.advanced is not None:
            self._ask_stand_in(other, place, now, out)

    def _owe(self, places: tuple[NodeId, ...], now: Instant, out: Outbox) -> None:
        """Keep hints for owners that nobody stands in for, with the row that this node holds."""
        others = tuple(place for place in places if place != self.shared.me)
        if self.advanced is None:
            self.lacking += others
        elif others:
            self.shared.note_owed(others)
            out.persist(NO_TICKET, Owe(self.write.key, Owed(others, self.shared.wall_ms(now))))

    def _say_again_soon(self, peer: NodeId, now: Instant) -> None:
        """One of us is behind, and about to learn the other's ring."""
        self.apart[peer] = None
        self._again_at = now + EPOCH_AGAIN_S
        self.shared.timers.set(self._again_at, self.ticket)

    def _say_again(self, now: Instant, out: Outbox) -> None:
        assert self.advanced is not None, "refused before it was asked"
        apart, self.apart = self.apart, {}
        left = left_ms(self.write.deadline, now)
        for node in apart:
            place = self.places.of(node)
            if place == node:
                out.send(
                    node, Replicate(self.ticket, self.epoch, self.write.key, self.advanced.row, (), self.round, left)
                )
            elif place is not None:
                self._ask_stand_in(node, place, now, out)
