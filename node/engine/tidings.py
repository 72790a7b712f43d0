"""Which records of members a message of gossip carries: all while they are few, else what may be new to the receiver.

Of a large cluster the whole table would be said to every peer in every round, and each start would say it to everybody.
There a message has

    our own record and the receiver's (which shows it what others remember of it)
    what the receiver has just shown that it does not know
    news: what was learned here lately, the latest first, until it was told, or heard again, so often as is enough to
        reach all (Demers et al., 1987: rumours)
    and in the message of a round a part of the table, by turns: it brings what the news has missed

A receiver takes over whatever is newer, so it never matters which records a message has.
"""

from __future__ import annotations

from node.core.cluster import Member
from node.core.ids import NodeId
from node.core.limits_size import GOSSIP_MEMBERS_MAX
from node.engine.cluster import Cluster

GREETING = 2
"""Records of a message that greets: the sender's and the receiver's."""


class Tidings:
    """What this node tells of the members it knows."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._part_at = 0
        self._newcomers: dict[NodeId, None] = {}

    @property
    def few(self) -> bool:
        """Whether a message carries all members."""
        return len(self.cluster.members) <= GOSSIP_MEMBERS_MAX

    def all_to(self, newcomer: NodeId) -> None:
        """Who was just taken in knows nobody: the next message to it carries all."""
        self._newcomers[newcomer] = None

    def to(
        self, peer: NodeId, owed: tuple[NodeId, ...] = (), *, greets: bool = False, part: bool = False
    ) -> tuple[Member, ...]:
        """Choose the records of a message: with those of `owed`, and with the next `part` of the table. One that
        `greets` has no news: a node that starts greets everybody."""
        members = self.cluster.members
        if self.few or peer in self._newcomers:
            self._newcomers.pop(peer, None)
            return tuple(members.values())
        chosen = dict.fromkeys((self.cluster.me.id, peer, *owed))
        if not greets:
            self._add_news(chosen)
        if part:
            self._add_part(chosen)
        return tuple([members[node] for node in chosen if node in members])

    def lacked_by(self, told: tuple[Member, ...]) -> tuple[NodeId, ...]:
        """Of which members whoever told this knows other records than we; and the news, but for a greeting."""
        members = self.cluster.members
        if self.few:
            return () if told == tuple(members.values()) else tuple(members)
        known = {member.id: member for member in told}
        other = [member.id for member in told if member.id in members and members[member.id] != member]
        if len(told) <= GREETING:
            return tuple(other)
        news = [node for node in self.cluster.news if node in members and node not in known]
        return tuple((other + news[: -GOSSIP_MEMBERS_MAX - 1 : -1])[:GOSSIP_MEMBERS_MAX])

    def heard(self, told: tuple[Member, ...]) -> None:
        """A peer told this: what it has as we do counts as told to it."""
        members, news = self.cluster.members, self.cluster.news
        for member in told:
            if member.id in news and members[member.id] == member:
                self._count(member.id)

    def _add_news(self, chosen: dict[NodeId, None]) -> None:
        for node in reversed(list(self.cluster.news)):
            if len(chosen) >= GOSSIP_MEMBERS_MAX:
                return
            chosen[node] = None
            self._count(node)

    def _count(self, node: NodeId) -> None:
        news = self.cluster.news
        news[node] += 1
        if news[node] >= 2 * len(self.cluster.members).bit_length():
            del news[node]

    def _add_part(self, chosen: dict[NodeId, None]) -> None:
        nodes = list(self.cluster.members)
        for _ in nodes:
            if len(chosen) >= GOSSIP_MEMBERS_MAX:
                return
            self._part_at = (self._part_at + 1) % len(nodes)
            chosen[nodes[self._part_at]] = None
