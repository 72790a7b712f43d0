"""The simulated network: which messages arrive, when, in what order, and how often.

Harsher than TCP on purpose: inside an open link messages may be lost, come twice or overtake each other, as the options
of the seed say. A cut works in one direction. While it lasts, messages are lost, or (`hold`) kept and let through
when it heals, as TCP's retransmissions would.

Only `Forward` is never duplicated: a link promises at most once (`Outbox.send`), and it is the one message that is
no statement but a command.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from node.core.ids import Instant
from node.wire.messages import Forward, Message

HELD_MAX = 2000
"""Messages that one cut direction keeps; beyond it they are lost, as a full send buffer would end the link."""

LATE_S = (1.0, 10.0)
"""When a second copy comes that is late: after a delete and its reap, if it is to be. So may what a process finds in
its sockets that stood still, or what a stand-in had in hand; a copy of its own makes it frequent."""

Direction = tuple[int, int]
"""From host, to host."""


class NetworkOptions(NamedTuple):
    """How bad the network is. Delays in seconds; `loss`, `duplicate` and `late` are probabilities a message."""

    delay_s_min: float = 0.0005
    delay_s_max: float = 0.005
    slow: float = 0.0
    slow_s_max: float = 0.5
    loss: float = 0.0
    duplicate: float = 0.0
    ordered: bool = True
    hold: bool = False
    late: float = 0.0


class Link:
    """One link between two hosts. `open` says, per end, whether that host thinks so."""

    __slots__ = ("open",)

    def __init__(self, a: int, b: int) -> None:
        self.open = {a: True, b: True}


class Arrival(NamedTuple):
    """One copy of a message that will arrive: when, on which link, and what. A late one does not once all is healed."""

    at: Instant
    direction: Direction
    link: Link
    message: Message
    late: bool = False


class Network:
    """The weather between hosts. `rng` decides every fate; `counts` tells what happened."""

    def __init__(self, options: NetworkOptions, rng: Random, *, duplicates_forwards: bool = False) -> None:
        self.options = options
        self.rng = rng
        self.counts = {"sent": 0, "lost": 0, "duplicated": 0, "held": 0, "overtook": 0, "late": 0}
        self._duplicates_forwards = duplicates_forwards
        self._cuts: dict[Direction, int] = {}
        self._held: dict[Direction, list[tuple[Link, Message]]] = {}
        self._last: dict[Direction, Instant] = {}

    def change(self, options: NetworkOptions) -> None:
        """From now on the network is that good or bad; what is on its way no longer holds up what follows."""
        self.options = options
        self._last.clear()

    def cut(self, source: int, target: int) -> None:
        """Let nothing through from `source` to `target`. Cuts nest: each needs its own `heal`."""
        self._cuts[source, target] = self._cuts.get((source, target), 0) + 1

    def heal(self, source: int, target: int, now: Instant) -> list[Arrival]:
        """Take back one cut; return what it held, which arrives now, in order."""
        direction = (source, target)
        left = self._cuts.get(direction, 0) - 1
        if left > 0:
            self._cuts[direction] = left
            return []
        self._cuts.pop(direction, None)
        held = self._held.pop(direction, [])
        return [Arrival(self._when(direction, now), direction, link, message) for link, message in held]

    def heal_all(self, now: Instant) -> list[Arrival]:
        """Take back every cut."""
        arrivals: list[Arrival] = []
        for source, target in list(self._cuts):
            self._cuts[source, target] = 1
            arrivals += self.heal(source, target, now)
        return arrivals

    def passes(self, source: int, target: int) -> bool:
        """Whether anything gets from `source` to `target`."""
        return (source, target) not in self._cuts

    def connected(self, a: int, b: int) -> bool:
        """Whether a link can be opened between the two: that takes both directions."""
        return self.passes(a, b) and self.passes(b, a)

    def delay_s(self) -> float:
        """Draw how long one message takes."""
        options, rng = self.options, self.rng
        if options.slow and rng.random() < options.slow:
            return rng.uniform(options.delay_s_max, options.slow_s_max)
        return rng.uniform(options.delay_s_min, options.delay_s_max)

    def send(self, source: int, target: int, now: Instant, link: Link, message: Message) -> list[Arrival]:
        """Return the copies of `message` that will arrive: none, or one, two or three."""
        direction, options, counts = (source, target), self.options, self.counts
        counts["sent"] += 1
        if direction in self._cuts:
            held = self._held.setdefault(direction, [])
            if options.hold and len(held) < HELD_MAX:
                held.append((link, message))
                counts["held"] += 1
            else:
                counts["lost"] += 1
            return []
        if options.loss and self.rng.random() < options.loss:
            counts["lost"] += 1
            return []
        arrivals = [Arrival(self._when(direction, now), direction, link, message)]
        may_repeat = self._duplicates_forwards or not isinstance(message, Forward)
        if options.duplicate and may_repeat and self.rng.random() < options.duplicate:
            counts["duplicated"] += 1
            arrivals.append(Arrival(self._when(direction, now), direction, link, message))
        if options.late and may_repeat and self.rng.random() < options.late:
            counts["late"] += 1
            arrivals.append(Arrival(now + self.rng.uniform(*LATE_S), direction, link, message, late=True))
        return arrivals

    def _when(self, direction: Direction, now: Instant) -> Instant:
        at = now + self.delay_s()
        last = self._last.get(direction, 0.0)
        if at < last:
            if self.options.ordered:
                at = last
            else:
                self.counts["overtook"] += 1
        self._last[direction] = max(at, last)
        return at
