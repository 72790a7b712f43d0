"""Round trips to every node, measured from here, all the time: how far away each is, whatever it is busy with.

A PING reads and writes nothing, so what it takes is the way there, the way back, and the wait for the node's turn.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from dynamo_cli.client import Client
from dynamo_cli.errors import CliError

PING_S = 0.01
"""Between two to one node: a hundred a second tell a p99 of each second, and cost a node a thousandth of its time."""

AGAIN_S = 0.5
"""… and after one that failed."""

SAMPLES_MAX = 100_000
"""Round trips that are kept of each node until somebody takes them: a quarter of an hour."""


class _Pinger:
    """Pings one node until told to stop."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._samples_ms: list[float] = []
        self._failed = ""
        self.thread = threading.Thread(target=self._ping, daemon=True)

    def stop(self) -> None:
        self._stop.set()

    def take(self) -> tuple[list[float], str]:
        """The round trips since the last time in ms, and why there are none, if so."""
        with self._lock:
            taken, self._samples_ms = self._samples_ms, []
            return taken, self._failed

    def _ping(self) -> None:
        while not self._stop.is_set():
            begun = time.perf_counter()
            try:
                self._client.read("PING")
                took_s, failed = time.perf_counter() - begun, ""
            except CliError as error:
                took_s, failed = 0.0, error.message
            with self._lock:
                self._failed = failed
                if not failed and len(self._samples_ms) < SAMPLES_MAX:
                    self._samples_ms.append(took_s * 1000)
            self._stop.wait(AGAIN_S if failed else max(0.0, PING_S - took_s))
        self._client.close()


class Pings:
    """A thread for each node; who joins is pinged from then on, who left no more."""

    def __init__(self) -> None:
        self._pingers: dict[str, tuple[str, _Pinger]] = {}

    def follow(self, clients: Mapping[str, tuple[str, Client]]) -> None:
        """Ping these nodes: (address, a client of its own) by name. A client that is not needed is closed."""
        for name in [name for name in self._pingers if name not in clients]:
            self._pingers.pop(name)[1].stop()
        for name, (address, client) in clients.items():
            known = self._pingers.get(name)
            if known is not None and known[0] == address:
                client.close()
                continue
            if known is not None:
                known[1].stop()
            pinger = _Pinger(client)
            self._pingers[name] = address, pinger
            pinger.thread.start()

    def take(self) -> dict[str, tuple[list[float], str]]:
        """Of each node the round trips since the last time in ms, and why there are none."""
        return {name: pinger.take() for name, (_, pinger) in self._pingers.items()}

    def stop(self) -> None:
        """End."""
        for _, pinger in self._pingers.values():
            pinger.stop()
