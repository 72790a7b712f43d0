"""What a measurement does: how many requests of which kind for which keys, and when each of them is due."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from random import Random
from typing import NamedTuple, Protocol

OPS = ("get", "put", "mixed", "merge")
COUNTED = ("get", "put", "merge")
"""The kinds of requests that are measured."""
READING = ("get", "mixed")
"""What needs its keys written before."""
DISTRIBUTIONS = ("uniform", "zipf", "hot")
ZIPF_THETA = 0.99
"""The skew of YCSB: of 10,000 keys the first is drawn once in ten."""
HOT_KEYS = 0.01
HOT_REQUESTS = 0.9
"""With `hot`, so many of the requests are for so few of the keys (one at least)."""


class Plan(NamedTuple):
    """What to do until time or count is up: `op` is get, put, mixed (`reads_percent` are gets) or merge.

    `rate` is how many requests are due each second, whatever becomes of those before them; None: each connection sends
    again as soon as it has been answered.
    """

    op: str
    reads_percent: int
    clients: int
    pipeline: int
    size_bytes: int
    keys: int
    duration_s: float
    requests: int | None
    seed: int
    rate: float | None = None
    dist: str = "uniform"


def drawing(dist: str, keys: int, random: Random) -> Callable[[], int]:
    """A function that draws the number of a key, 0 up to `keys`; with a skew, low numbers more often.

    The ring places keys by their hash, so that neighbours in number are not neighbours on the ring.
    """
    if dist == "zipf":
        return _zipf(keys, random)
    if dist == "hot":
        few = max(1, math.ceil(keys * HOT_KEYS))
        return lambda: random.randrange(few if random.random() < HOT_REQUESTS else keys)
    return lambda: random.randrange(keys)


def _zipf(keys: int, random: Random) -> Callable[[], int]:
    """Gray et al., "Quickly generating billion-record synthetic databases" (1994), as YCSB has it."""
    theta = ZIPF_THETA
    zeta = math.fsum(rank**-theta for rank in range(1, keys + 1))
    zeta_2 = 1 + 0.5**theta
    alpha = 1 / (1 - theta)
    eta = (1 - (2 / keys) ** (1 - theta)) / (1 - zeta_2 / zeta) if keys > 2 else 0.0  # not used for so few

    def draw() -> int:
        u = random.random()
        if u * zeta < 1:
            return 0
        if u * zeta < zeta_2:
            return 1
        return min(keys - 1, int(keys * (eta * u - eta + 1) ** alpha))

    return draw


class Pace(Protocol):
    """When requests are due. Times are of one clock, in seconds."""

    def take(self, now: float, most: int) -> list[float]:
        """Up to `most` requests that are due: the moments at which each was meant to be sent."""

    def next_at(self, now: float) -> float:
        """When the next one is due; `math.inf`: none is any more."""

    def left(self, now: float) -> list[float]:
        """Those that were due by now and were not taken."""


class Closed:
    """Closed loop: whoever has been answered asks again, `limit` times in all (None: for ever)."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._taken = 0

    def take(self, now: float, most: int) -> list[float]:
        """As many as wanted: a request is meant to be sent when it is sent."""
        count = most if self._limit is None else min(most, self._limit - self._taken)
        self._taken += count
        return [now] * count

    def next_at(self, now: float) -> float:
        """Now."""
        return math.inf if self._taken == self._limit else now

    def left(self, now: float) -> list[float]:
        """Nothing is ever late."""
        return []


class Open:
    """Open loop: request i is due at `begun + i / rate`, also while those before it wait for their answers."""

    def __init__(self, rate: float, begun: float, limit: int | None) -> None:
        self._rate = rate
        self._begun = begun
        self._limit = limit
        self._taken = 0

    def take(self, now: float, most: int) -> list[float]:
        """Those whose time has come, the oldest first."""
        taken: list[float] = []
        while len(taken) < most and (due_at := self.next_at(now)) <= now:
            taken.append(due_at)
            self._taken += 1
        return taken

    def next_at(self, now: float) -> float:
        """The time of the one after those taken; it may have passed."""
        return math.inf if self._taken == self._limit else self._begun + self._taken / self._rate

    def left(self, now: float) -> list[float]:
        """What nobody was free to send."""
        return self.take(now, sys.maxsize)
