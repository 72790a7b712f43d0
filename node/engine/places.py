"""The places of one write: one for each owner of the key, and who fills it (sloppy quorum; paper, section 4.6).

The owner itself fills its place, or a stand-in that keeps the row with a hint for the owner. An owner is *gone* once it
does not take part, a stand-in *lost*: somebody else may then be asked, while there is somebody. What either was asked
may be answered all the same, and counts: places are filled by whoever comes first, and once.
"""

from __future__ import annotations

from collections.abc import Iterable

from node.core.ids import NodeId
from node.core.quorum import Group, Tally
from node.engine.cluster import Cluster
from node.wire.requests import Ack


class Places:
    """Who was asked, and what came of it. `tally` counts places, by the owners' names.

    `stand_ins` were asked in the place of somebody, `filled_by` filled one that is not their own.
    """

    __slots__ = ("durable", "filled_by", "gone", "lost", "stand_ins", "tally")

    def __init__(self, need: int, owners: tuple[NodeId, ...], groups: tuple[Group, ...] = ()) -> None:
        self.tally = Tally(min(need, len(owners)), owners, groups)
        self.gone: dict[NodeId, str] = {}
        self.stand_ins: dict[NodeId, NodeId] = {}
        self.lost: dict[NodeId, str] = {}
        self.filled_by: dict[NodeId, NodeId] = {}
        self.durable: dict[NodeId, bool] = {}

    def of(self, node: NodeId) -> NodeId | None:
        """The place that `node` would fill; None if it has none here."""
        return node if node in self.tally.nodes else self.stand_ins.get(node)

    def asked_for(self, place: NodeId) -> list[NodeId]:
        """The stand-ins that were asked for it and may fill it yet."""
        return [node for node, owner in self.stand_ins.items() if owner == place and node not in self.lost]

    def fill(self, node: NodeId, *, durable: bool) -> None:
        """`node` has the row."""
        place = self.of(node)
        assert place is not None, f"{node} fills a place that it does not have"
        if place not in self.durable:
            self.durable[place] = durable
            if node != place:
                self.filled_by[place] = node
        self.tally.yes(place)

    def give_up(self, node: NodeId, why: str) -> NodeId | None:
        """`node` will not take part. Return its place, if that is empty now and nobody else may fill it."""
        place = self.of(node)
        if place is None:
            return None
        (self.gone if node == place else self.lost)[node] = why
        return place if self.is_vacant(place) else None

    def is_vacant(self, place: NodeId) -> bool:
        """Whether its owner is gone, it is empty, was not given up, and nobody who was asked may fill it."""
        tally = self.tally
        if place in tally.met_by or place in tally.failed or place not in self.gone:
            return False
        return not self.asked_for(place)

    def find_stand_in(self, place: NodeId, preference: Iterable[NodeId], cluster: Cluster) -> NodeId | None:
        """Choose the next healthy node of the preference list behind the owners; None if there is none.

        One that was asked in the place of an owner who has answered since is free again.
        """
        for node in preference:
            if node == cluster.me.id or cluster.is_leaving(node):
                continue
            if cluster.is_up(node) and self._is_free(node):
                self.stand_ins[node] = place
                self.tally.failed.pop(place, None)
                return node
        return None

    def _is_free(self, node: NodeId) -> bool:
        owner = self.stand_ins.get(node)
        if owner is None:
            return True
        return node not in self.lost and owner in self.durable and self.filled_by.get(owner) != node

    def empty(self) -> None:
        """Nobody has the row: it is another one. Who is gone or lost stays so."""
        self.tally.reset()
        self.durable.clear()
        self.filled_by.clear()

    def begin_again(self) -> None:
        """Nobody was asked yet."""
        self.empty()
        self.gone.clear()
        self.lost.clear()
        self.stand_ins.clear()
        self.tally.failed.clear()

    def acks(self, cluster: Cluster) -> tuple[Ack, ...]:
        """Who filled which place, in the order in which it was heard, by name."""
        name, filled_by = cluster.name, self.filled_by
        if not filled_by:
            return tuple([Ack(name(place), self.durable[place]) for place in self.tally.met_by])
        return tuple(
            Ack(name(filled_by.get(place, place)), self.durable[place], name(place) if place in filled_by else None)
            for place in self.tally.met_by
        )

    def describe(self, cluster: Cluster) -> str:
        """How far the write has come, in one line."""

        def who(place: NodeId) -> str:
            stand_in = self.filled_by.get(place)
            return cluster.name(place) if stand_in is None else f"{cluster.name(stand_in)} for {cluster.name(place)}"

        return self.tally.describe("wrote", who)
