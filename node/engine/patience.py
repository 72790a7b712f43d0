"""How long an answer usually takes, and from when on it is late: TCP's estimate (RFC 6298), of a sample of requests."""

from __future__ import annotations

from node.core.limits import PATIENCE_MS_FIRST, PATIENCE_MS_MAX, PATIENCE_MS_MIN

SAMPLED = 8
"""One request in so many is measured: an estimate needs no more, and the hot path is spared the rest."""


class Patience:
    """The patience that one kind of request deserves. `seconds` is what to wait before somebody else is asked, too."""

    __slots__ = ("_deviation_s", "_mean_s", "seconds")

    def __init__(self) -> None:
        self._mean_s = PATIENCE_MS_FIRST / 1000 / 2
        self._deviation_s = self._mean_s / 4
        self.seconds = PATIENCE_MS_FIRST / 1000

    def took(self, seconds: float) -> None:
        """An answer came after so long."""
        error = seconds - self._mean_s
        self._mean_s += error / 8
        self._deviation_s += (abs(error) - self._deviation_s) / 4
        usual = self._mean_s + 4 * self._deviation_s
        self.seconds = min(max(usual, PATIENCE_MS_MIN / 1000), PATIENCE_MS_MAX / 1000)
