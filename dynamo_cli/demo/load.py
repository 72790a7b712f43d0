"""Requests that go on while a node dies: reads and writes in turn, through given nodes, each one counted and timed."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

from dynamo_cli import store
from dynamo_cli.client import Client, parse_address
from dynamo_cli.errors import CliError

KEYS = 20


class Request(NamedTuple):
    """How one request went: when it began and ended (`time.monotonic`), and the answer.

    `code` is OK, or the error's; `UNKNOWN` is what a write is told whose node died with it: it may take effect.
    """

    begun: float
    ended: float
    code: str = "OK"
    words: str = ""


class Load(threading.Thread):
    """One client that reads and writes keys of its own in turn at R=W=2, going round `addresses`, until `stop`.

    `written` holds the value of each key that was acknowledged last. A key whose last write is UNKNOWN is left alone
    from then on: it may have that value or the one before.
    """

    def __init__(self, name: str, addresses: Sequence[str], timeout_s: float) -> None:
        super().__init__(name=name, daemon=True)
        self.requests: list[Request] = []
        self.bug: BaseException | None = None
        self.keys = [f"{name}:{i}".encode() for i in range(KEYS)]
        self.written: dict[bytes, bytes] = {}
        self._clients = [Client([parse_address(a)], timeout_s=timeout_s, writer=name) for a in addresses]
        self._halt = threading.Event()

    def run(self) -> None:
        """Ask and ask."""
        try:
            turn = 0
            while not self._halt.is_set() and self.keys:
                key = self.keys[turn % len(self.keys)]
                reader, writer = (self._clients[(turn + i) % len(self._clients)] for i in (0, 1))
                self._read_then_write(reader, writer, key, str(turn).encode())
                turn += 1
        except BaseException as error:  # noqa: BLE001  # shown by whoever joins: a thread's exception is lost otherwise
            self.bug = error
        finally:
            for client in self._clients:
                client.close()

    def _read_then_write(self, reader: Client, writer: Client, key: bytes, value: bytes) -> None:
        begun = time.monotonic()
        try:
            reading = store.get(reader, key, r=2)
        except CliError as error:
            self.requests.append(Request(begun, time.monotonic(), error.code, f"get: {error.message}"))
            return
        middle = time.monotonic()
        self.requests.append(Request(begun, middle))
        try:
            store.put(writer, key, reading.context, value, w=2)
        except CliError as error:
            self.requests.append(Request(middle, time.monotonic(), error.code, f"put: {error.message}"))
            self.written.pop(key, None)
            self.keys.remove(key)
        else:
            self.requests.append(Request(middle, time.monotonic()))
            self.written[key] = value

    def stop(self) -> list[Request]:
        """Ask no more; how all requests went."""
        self._halt.set()
        self.join()
        if self.bug is not None:
            raise self.bug
        return self.requests
