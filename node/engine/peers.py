"""Who answers *me*: failure detection, local and lazy (paper, section 4.8.3). Nobody else's opinion counts.

Every second each peer is asked whether it is there, and a request that went unanswered for longer than usual asks at
once. Who does not answer the question is *silent*: down for me, until it answers one. Hearing from a peer is not an
answer: where a link carries one way only, its gossip still comes, and nothing that we say arrives. Silence is a guess:
others are asked first, but until it has lasted for DOWN_AFTER_S, or the link breaks, nobody gives up because of it.

    up ──a request or the round goes unanswered──► asked ──no answer in time──► silent ──an answer──► up
"""

from __future__ import annotations

from node.core.ids import Instant, NodeId
from node.core.limits import DOWN_AFTER_S, JUST_S, MISSED_S, SUSPECT_AFTER_S
from node.core.limits_size import PROBES_MAX
from node.engine.outbox import Outbox
from node.wire.messages import Ping

PROBE = 0
"""The rid of a question that only wants to know whether the peer is there."""


class Link:
    """A peer we are connected to. `seated`: it had a cluster when it last said so.

    `asked_at`: since when a probe is unanswered, None if none is. `missed`: a request of ours is, too.
    `answered_at`: when the peer last answered anything.
    """

    __slots__ = ("address", "answered_at", "asked_at", "heard_at", "missed", "name", "seated")

    def __init__(self, name: str, address: str, seated: bool, now: Instant) -> None:
        self.name = name
        self.address = address
        self.seated = seated
        self.heard_at = now
        self.answered_at = now
        self.asked_at: Instant | None = None
        self.missed = False


class Peers:
    """The links of one node, and who is silent on them. `check_at` is when `check` wants to run, None for never."""

    __slots__ = ("_turn", "check_at", "links", "silent")

    def __init__(self) -> None:
        self.check_at: Instant | None = None
        self.links: dict[NodeId, Link] = {}
        self.silent: dict[NodeId, None] = {}
        self._turn = 0

    def linked(self, peer: NodeId, link: Link) -> None:
        """A link to `peer` opened."""
        self.links[peer] = link
        self.silent.pop(peer, None)

    def unlinked(self, peer: NodeId) -> Link | None:
        """The last link to `peer` closed."""
        self.silent.pop(peer, None)
        return self.links.pop(peer, None)

    def is_up(self, peer: NodeId) -> bool:
        """Whether `peer` has a link and answers on it."""
        return peer in self.links and peer not in self.silent

    def may_answer(self, peer: NodeId, now: Instant) -> bool:
        """Whether a silent `peer` may answer yet: its link stands, and it has not been silent for DOWN_AFTER_S."""
        link = self.links.get(peer)
        return link is not None and peer in self.silent and now - link.answered_at <= DOWN_AFTER_S

    def health(self, peer: NodeId, now: Instant) -> str:
        """up, suspect or down, for people."""
        link = self.links.get(peer)
        if link is None or peer in self.silent:
            return "down"
        return "suspect" if link.asked_at is not None and now - link.asked_at > SUSPECT_AFTER_S else "up"

    def heard(self, peer: NodeId, now: Instant, out: Outbox, *, answer: bool) -> None:
        """A message came. One from a silent peer is a reason to ask it, and no more."""
        link = self.links.get(peer)
        if link is not None:
            if answer:
                link.answered_at = now
            if self.silent and peer in self.silent and now - link.heard_at > MISSED_S:
                out.send(peer, Ping(PROBE))
            link.heard_at = now

    def has_just_answered(self, peer: NodeId, now: Instant) -> bool:
        """Whether what we send to `peer` gets there, as far as can be known."""
        link = self.links.get(peer)
        return link is not None and now - link.answered_at <= JUST_S

    def answered(self, peer: NodeId) -> bool:
        """`peer` answered a probe: it is there. Whether that is news."""
        link = self.links.get(peer)
        if link is None:
            return False
        link.asked_at = None
        link.missed = False
        return self.silent.pop(peer, 0) is None

    def round(self, now: Instant, out: Outbox) -> list[NodeId]:
        """Ask everybody whether they are there, or of very many the next ones; return who has become silent."""
        late = []
        for peer, link in self._in_turn():
            if link.asked_at is None:
                link.asked_at = now
            elif now - link.asked_at > DOWN_AFTER_S and peer not in self.silent:
                late.append(peer)
            out.send(peer, Ping(PROBE))
        for peer in late:
            self.silent[peer] = None
        return late

    def _in_turn(self) -> list[tuple[NodeId, Link]]:
        """Whom to ask in this round: who owes an answer, and PROBES_MAX others by turns."""
        links = list(self.links.items())
        if len(links) <= PROBES_MAX:
            return links
        begin = self._turn = self._turn % len(links)
        asked = 0
        while asked < PROBES_MAX and self._turn < begin + len(links):
            asked += links[self._turn % len(links)][1].asked_at is None
            self._turn += 1
        due = {at % len(links) for at in range(begin, self._turn)}
        return [each for at, each in enumerate(links) if at in due or each[1].asked_at is not None]

    def missed(self, peer: NodeId, now: Instant, out: Outbox) -> None:
        """A request to `peer` went unanswered for longer than usual: it is asked, and `check` looks for the answer.

        A slow disk is not silence: the probe is answered without it.
        """
        link = self.links.get(peer)
        if link is None or link.missed or peer in self.silent:
            return
        link.missed = True
        if link.asked_at is None:
            link.asked_at = now
            out.send(peer, Ping(PROBE))
        at = link.asked_at + MISSED_S
        self.check_at = at if self.check_at is None else min(at, self.check_at)

    def check(self, now: Instant) -> list[NodeId]:
        """Give up those whose answer to the probe is overdue; return them."""
        if self.check_at is None or now < self.check_at:
            return []
        self.check_at = None
        late = []
        for peer, link in self.links.items():
            if link.missed and link.asked_at is not None and peer not in self.silent:
                at = link.asked_at + MISSED_S
                if now >= at:
                    late.append(peer)
                else:
                    self.check_at = at if self.check_at is None else min(at, self.check_at)
        for peer in late:
            self.silent[peer] = None
        return late
