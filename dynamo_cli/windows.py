"""Many keys at a time: what export, import and restore ask of a node, in windows of bounded size.

A window is one round trip. What the node has no time for (BUSY: nothing was done) is said again, a bounded number of
times; any other error is the key's own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from dynamo_cli.client import Client, Reply, Word
from dynamo_cli.errors import CliError
from dynamo_cli.store import Reading, bare_reading, clocked_reading
from node.core.limits_backup import BUSY_S, BUSY_TRIES, RESTORE_BYTES, RESTORE_ROWS

Words = tuple[Word, ...]
T = TypeVar("T")


def windows(
    items: Iterable[T], size: Callable[[T], int], key: Callable[[T], bytes], most: int = RESTORE_ROWS
) -> Iterator[list[T]]:
    """Cut items into windows of `most` and RESTORE_BYTES at most, or one item; no key is in a window twice.

    What `items` raises is raised behind the window that was begun.
    """
    window: list[T] = []
    size_bytes = 0
    keys: set[bytes] = set()
    source, broken = iter(items), None
    while True:
        try:
            item = next(source, None)
        except CliError as error:  # what came before it counts
            item, broken = None, error
        more = 0 if item is None else size(item)
        full = len(window) == most or size_bytes + more > RESTORE_BYTES
        if window and (item is None or full or key(item) in keys):
            yield window
            window, size_bytes, keys = [], 0, set()
        if item is None:
            break
        window.append(item)
        size_bytes += more
        keys.add(key(item))
    if broken is not None:
        raise broken


class Pace:
    """So many keys a second on average from its making on, and no bursts after a wait; None: as fast as it goes."""

    def __init__(
        self,
        per_s: float | None,
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_s = per_s
        self._pause = pause
        self._clock = clock
        self._next_at = clock()

    @property
    def window(self) -> int:
        """Keys to ask for at a time: no more than come within a second."""
        return RESTORE_ROWS if self._per_s is None else max(1, min(RESTORE_ROWS, int(self._per_s)))

    def wait(self, keys: int) -> None:
        """Before so many keys are asked for: wait until it is their turn."""
        if self._per_s is None:
            return
        now = self._clock()
        if self._next_at > now:
            self._pause(self._next_at - now)
        self._next_at = max(now, self._next_at) + keys / self._per_s


def patiently(ask: Callable[[], T], pause: Callable[[float], None] = time.sleep) -> T:
    """Ask for one thing, and again while the node is busy. Raises CliError."""
    for _ in range(BUSY_TRIES):
        try:
            return ask()
        except CliError as error:
            if error.code != "BUSY":
                raise
        pause(BUSY_S)
    return ask()


def ask_many(
    client: Client, requests: Sequence[Words], *, writes: bool, pause: Callable[[float], None] = time.sleep
) -> list[Reply | CliError]:
    """Ask for several things in one go; a reply, or an error, for each. Raises CliError if the connection fails."""
    replies = client.batch(requests, writes=writes) if requests else []
    for _ in range(BUSY_TRIES):
        busy = [at for at, reply in enumerate(replies) if isinstance(reply, CliError) and reply.code == "BUSY"]
        if not busy:
            break
        pause(BUSY_S)
        again = client.batch([requests[at] for at in busy], writes=writes)
        for at, reply in zip(busy, again, strict=True):
            replies[at] = reply
    return replies


def get_many(client: Client, keys: Sequence[bytes], *, clocks: bool = False) -> list[Reading | CliError]:
    """Read several keys, with or without clocks."""
    more = ("WITHCLOCKS",) if clocks else ()
    understood = clocked_reading if clocks else bare_reading
    replies = ask_many(client, [("DYN.GET", key, *client.timeout_words, *more) for key in keys], writes=False)
    return [
        reply if isinstance(reply, CliError) else understood(key, reply)
        for key, reply in zip(keys, replies, strict=True)
    ]
