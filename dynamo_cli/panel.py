"""All members of a cluster, asked again and again: connections that stay, and nobody who is silent holds up the rest.

Each member has a thread of its own while it is asked. One that has not answered by the deadline is told as silent, and
is not asked again until that question has ended: a node that hangs costs one thread, whatever the number of looks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from dynamo_cli import store
from dynamo_cli.asking import SILENT, Told, addresses_of, is_address
from dynamo_cli.call import Call
from dynamo_cli.client import Client, Word
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus

Document = dict[str, Any]

MEMBERS_S = 5.0
"""So often the ring is read again: who joined is asked from then on, who left no more."""

NOT_YET = CliError(ExitStatus.UNKNOWN, "no answer in time")


class _Member:
    """One member, and the question that it was asked last."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.thread: threading.Thread | None = None
        self.document: Document | None = None
        self.error: CliError | None = NOT_YET

    def ask(self, name: str, *words: Word) -> None:
        """Ask for one document, unless the last question has not ended yet."""
        if self.thread is not None and self.thread.is_alive():
            return
        self.document, self.error = None, NOT_YET
        self.thread = threading.Thread(target=self._ask, args=(name, *words), daemon=True)
        self.thread.start()

    def _ask(self, name: str, *words: Word) -> None:
        try:
            document, error = store.document(self.client, name, *words), None
        except CliError as failed:
            document, error = None, failed
        self.document, self.error = document, error


class Panel:
    """The members of the ring. `ring` is the DYN.RING document that was read last; `close` hangs up."""

    def __init__(self, call: Call, *, wait_s: float | None = None) -> None:
        self.call = call
        self.wait_s = call.options.timeout_s if wait_s is None else min(wait_s, call.options.timeout_s)
        self.client = call.client
        self.addresses: dict[str, str] = {}
        self.ring: Document = {}
        self._members: dict[str, _Member] = {}
        self._read_at = 0.0
        self._read_ring()

    def _read_ring(self) -> None:
        self.ring = store.document(self.client, "RING")
        self._read_at = time.monotonic()
        found = {name: address for name, address in addresses_of(self.ring).items() if is_address(address)}
        for name in [name for name in self._members if found.get(name) != self.addresses.get(name)]:
            del self._members[name]  # its socket goes when its last question ends
        self.addresses = found

    def refresh(self, every_s: float = MEMBERS_S) -> None:
        """Read the ring again if it is time. Whoever was asked may be gone: any member will do."""
        if time.monotonic() < self._read_at + every_s:
            return
        try:
            self._read_ring()
        except CliError as error:
            if error.status not in SILENT or not self.addresses:
                raise
            others = tuple(address for address in self.addresses.values() if address != str(self.client.address))
            if self.client is not self.call.client:
                self.client.close()
            self.client = self.call.env.client_apart(others or tuple(self.addresses.values()), self.wait_s)
            self._read_at = time.monotonic()

    def look(
        self, name: str = "STATS", *words: Word, more: Callable[[str], tuple[Word, ...]] = lambda node: ()
    ) -> list[Told]:
        """Ask every member for one document: what each said within `wait_s`, in the order of the ring.

        `more` are further words, for that node alone.
        """
        for node, address in self.addresses.items():
            if node not in self._members:
                self._members[node] = _Member(self.call.env.client_apart((address,), self.wait_s))
            self._members[node].ask(name, *words, *more(node))
        deadline = time.monotonic() + self.wait_s
        told = []
        for node, address in self.addresses.items():
            member = self._members[node]
            if member.thread is not None:
                member.thread.join(max(0.0, deadline - time.monotonic()))
            document, error = member.document, member.error
            told.append(Told(node, address, document, None if document is not None else error or NOT_YET))
        return told

    def close(self) -> None:
        """Hang up; who still waits for an answer ends by its own deadline."""
        for member in self._members.values():
            if member.thread is None or not member.thread.is_alive():
                member.client.close()
        if self.client is not self.call.client:
            self.client.close()
