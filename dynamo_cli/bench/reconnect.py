"""Connections that ended, made anew beside the measurement: connecting may wait, and the generator must not."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence

from dynamo_cli.bench.lane import Lane
from dynamo_cli.client import Address
from dynamo_cli.errors import CliError

AGAIN_S = 0.1
"""Between two rounds over all nodes when none of them answers."""


class Reconnector:
    """Takes lost connections, and gives them back connected: to the next node that answers, as a client would."""

    def __init__(self, addresses: Sequence[Address]) -> None:
        self._addresses = addresses
        self._lost: queue.SimpleQueue[Lane | None] = queue.SimpleQueue()
        self._back: queue.SimpleQueue[Lane] = queue.SimpleQueue()
        self._halt = threading.Event()
        self._thread = threading.Thread(target=self._work, name="reconnect", daemon=True)
        self._thread.start()

    def lost(self, lane: Lane) -> None:
        """This one has ended."""
        self._lost.put(lane)

    def back(self) -> Iterator[Lane]:
        """Those that have been made anew since the last look."""
        while not self._back.empty():
            yield self._back.get()

    def close(self) -> None:
        """Make no more. (One that is being made just now ends by its own timeout.)"""
        self._halt.set()
        self._lost.put(None)

    def _work(self) -> None:
        while (lane := self._lost.get()) is not None:
            while not self._halt.is_set() and not self._connected(lane):
                self._halt.wait(AGAIN_S)
            self._back.put(lane)

    def _connected(self, lane: Lane) -> bool:
        """Try its own node, then the others."""
        first = self._addresses.index(lane.address)
        for address in (*self._addresses[first:], *self._addresses[:first]):
            try:
                lane.connect(address)
            except CliError:
                continue
            return True
        return False
