"""`--op merge`: on each connection two writes that did not see each other, a read that finds both, and their merge.

A connection goes through these four requests one by one, for one key after the other; what the read gave is what the
last one writes over. A request that fails ends that round, and the next one begins with another key.
"""

from __future__ import annotations

from collections.abc import Callable

from dynamo_cli.bench.lane import Lane
from dynamo_cli.client import packed

STEPS = ("put", "put", "get", "merge")
"""The requests of a round, as they are counted."""


class Round:
    """Where a connection is: what it did last, with which key, and what the read gave."""

    __slots__ = ("context", "key", "step")

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.step = 0
        self.context = b""


class Merging:
    """The rounds of all connections. `settled`: merges over several values, `values`: those; `found_one`: over fewer.

    `draw` gives the key of the next round, `value` is what all writes write but for its last byte.
    """

    def __init__(self, draw: Callable[[], bytes], value: bytes) -> None:
        self._draw = draw
        self._values = [value[:-1] + end for end in (b"1", b"2", b"m")] if value else [b""] * 3
        self._rounds: dict[Lane, Round] = {}
        self.settled = self.values = self.found_one = 0

    def command(self, lane: Lane) -> tuple[str, bytes]:
        """The next request of a connection, and how it is counted."""
        at = self._rounds.get(lane)
        if at is None:
            at = self._rounds[lane] = Round(self._draw())
        one, other, merged = self._values
        if at.step < 2:
            words: tuple[bytes | str, ...] = ("DYN.PUT", at.key, b"", (one, other)[at.step])
        elif at.step == 2:
            words = ("DYN.GET", at.key)
        else:
            words = ("DYN.PUT", at.key, at.context, merged)
        return STEPS[at.step], packed(words)

    def heard(self, lane: Lane, reply: object) -> None:
        """It was answered."""
        at = self._rounds.get(lane)
        if at is None:
            return
        if at.step == 2:
            context, live = _read(reply)
            at.context = context
            if context == b"" or live is None:
                self.gone(lane)  # nothing to merge: the key was deleted meanwhile, or this is no node of ours
                return
            self.settled += live > 1
            self.values += live if live > 1 else 0
            self.found_one += live < 2
        at.step += 1
        if at.step == len(STEPS):
            self.gone(lane)

    def gone(self, lane: Lane) -> None:
        """It failed, or its connection ended: what it did next would rest on nothing."""
        self._rounds.pop(lane, None)


def _read(reply: object) -> tuple[bytes, int | None]:
    """The context that a DYN.GET gave, and how many values; None if it is no such answer."""
    match reply:
        case [bytes() as context, list() as values, *_]:
            return context, len(values)
    return b"", None
