"""How many clients' requests a node has in its hands at a time, so that each is done while its client still waits.

A bound that is a number alone is none where it matters. If there are more requests than can be done, each waits behind
all that came before it, is given up by its client just as its turn comes, and is asked again: all work is in vain, and
goes on being so when the load has dropped (a metastable failure: Bronson et al., HotOS 2021). So the bound follows what
the node gets done. By Little's law requests take as long as there are of them in flight, divided by how many are done
in a second. While that is longer than is fair, no more are let in than can be done in the fair time; while they are
quick and the bound is reached, an eighth more. Fair is a quarter of the time that the client gives, OVERLOADED_S at
most. Whoever does not get in is told at once (BUSY), before anything was done for it.

In flight is what there is work for here. Who only waits for silent nodes steps aside, and is bounded by OPERATIONS_MAX.

The law is used because it is true of any period, also one in which the queue grows. The mean of the times of those who
were done is not: just after a change only the quick ones are.
"""

from __future__ import annotations

from node.core.ids import Instant
from node.core.limits import OPERATIONS_MAX, OVERLOADED_S

LOOK_S = 0.1
LOOK_S_MAX = 0.5
"""How often the bound is looked at: as soon as ENOUGH were done, or at the latest."""

ENOUGH = 10

FIRST = 8
"""How many times `least` are taken on before it is known how long they take: 1024, one client's full pipeline.

And again after a time with less than half of `least` in flight. (A bound at its least is no such time: it is used up.)
"""


class Load:
    """The requests of clients, and of peers for them, that this node took on and has not answered.

    `bound` is how many it takes on, never less than `least`: so few are no overload, however slow a disk is. `now` is
    the time of the step, set by whoever steps. `refused` counts who was turned away.
    """

    __slots__ = (
        "bound", "least", "now", "refused", "waiting", "_answered", "_area", "_at", "_began", "_fair_s", "_first",
        "_reached", "_served",
    )  # fmt: skip

    def __init__(self, least: int) -> None:
        self.least = least
        self.bound = self._first = min(FIRST * least, OPERATIONS_MAX)
        self.waiting = 0
        self.refused = 0
        self.now: Instant = 0.0
        self._at: Instant = 0.0
        self._begin_period()

    def _begin_period(self) -> None:
        self._began = self.now
        self._area = 0.0  # requests in flight, integrated over the time of this period
        self._served = self._answered = 0
        self._fair_s = 0.0
        self._reached = False

    def turns_away(self) -> bool:
        """Whether a request that comes now is one too many. It is counted as refused then."""
        if self.waiting < self.bound:
            return False
        self.refused += 1
        return True

    def begin(self) -> Instant:
        """One more was taken on. Returns when: give it to `done`."""
        now = self.now
        self._area += self.waiting * (now - self._at)
        self._at = now
        if not self.waiting and now - self._began >= LOOK_S_MAX:  # nobody was done lately: what it says is old
            self._look(now - self._began)
            self._begin_period()
        self.waiting += 1
        if self.waiting >= self.bound:
            self._reached = True
        return now

    def done(self, begun: Instant, fair_s: float, *, failed: bool) -> None:
        """One was answered. `fair_s`: see `fair`. One that failed when its time was over was not served."""
        now = self.now
        self._area += self.waiting * (now - self._at)
        self._at = now
        self.waiting -= 1
        self._answered += 1
        self._fair_s += fair_s
        if not failed or now - begun <= fair_s:
            self._served += 1
        period_s = now - self._began
        if period_s >= LOOK_S and (self._served >= ENOUGH or period_s >= LOOK_S_MAX):
            self._look(period_s)
            self._begin_period()

    def _look(self, period_s: float) -> None:
        in_flight = self._area / period_s
        if in_flight < self.least / 2:  # no load at all: what was learned under one is forgotten
            self.bound = max(self.bound, self._first)
            return
        fair_s = self._fair_s / self._answered
        fitting = self._served / period_s * fair_s
        if in_flight > max(fitting, self.least):
            self.bound = max(min(int(fitting), self.bound), self.bound // 2, self.least)
        elif self._reached:
            self.bound = min(self.bound + self.bound // 8 + 1, OPERATIONS_MAX)


def fair(timeout_ms: int) -> float:
    """Return how many seconds, on average, a request may take whose client waits for so long."""
    seconds = timeout_ms / 4000
    return seconds if seconds < OVERLOADED_S else OVERLOADED_S
