"""Real transports on loopback, each with the events it reported, and waiting for a condition instead of a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import uvloop

from node.core.ids import NodeId
from node.engine.events import Event, PeerDown, PeerUp, Received, Stranger
from node.runtime.certificates import Tls
from node.runtime.faulty import FaultyNetwork
from node.runtime.links import Link
from node.runtime.transport import PeerTransport
from node.wire.handshake import Hello
from node.wire.messages import Ping
from tests.helpers.patience import Patience

KEY = b"a cluster key of the tests"
Run = Callable[[Coroutine[Any, Any, None]], None]
"""Runs a coroutine to its end, under the event loop of the test."""

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


async def until(condition: Callable[[], object], what: str = "", seconds: float = 30.0) -> None:
    """Wait until `condition()` is true; fail with `what` if it takes too long."""
    patience = Patience(seconds)
    while not condition():
        assert patience.is_left(), f"waited {seconds} s for {what or condition}"
        await asyncio.sleep(0.002)


class Host:
    """A transport and its ears. `number` gives the node id: a smaller number is a smaller id.

    `faulty`: its links obey `network`; `found` says who listens where.
    """

    def __init__(
        self, number: int, *, cluster: str = "c", key: bytes = KEY, cluster_id: str = "", port: int = 0,
        faulty: bool = False, tls: Tls | None = None,
    ) -> None:  # fmt: skip
        self.id = NodeId(f"{number:032x}")
        self.cluster_id, self.members, self.sealed = cluster_id, 0, False
        self.life = f"life-{id(self)}"
        self.storage_id = f"store-{number}"
        self.port = port
        self.events: list[Event] = []
        self.batches: list[int] = []
        self.facts: list[tuple[str, dict[str, object]]] = []
        self.found: dict[str, NodeId] = {}
        self.network = FaultyNetwork(self.found.get, Random(number))
        self.transport = PeerTransport(
            cluster=cluster,
            cluster_keys=[key],
            hello=self.hello,
            on_events=self.heard,
            on_fact=lambda kind, fields: self.facts.append((kind, fields)),
            rng=Random(number),
            link=self.network.link if faulty else Link,
            tls=tls,
        )

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def hello(self) -> Hello:
        return Hello(
            self.cluster_id, self.id, f"n{self.id[-2:]}", "127.0.0.1", self.port, self.members, self.sealed,
            self.storage_id, self.life,
        )  # fmt: skip

    def heard(self, events: list[Event]) -> None:
        self.events += events
        self.batches.append(len(events))

    async def listen(self) -> Host:
        self.port = await self.transport.listen("127.0.0.1", self.port)
        return self

    def move(self, cluster_id: str, *, members: int = 1, sealed: bool = False) -> None:
        """Get a seat in (or leave) a cluster."""
        self.cluster_id, self.members, self.sealed = cluster_id, members, sealed
        self.transport.refresh()

    def linked(self, *others: Host) -> bool:
        return all(self.transport.is_linked(other.id) for other in others)

    def ups(self, other: Host) -> list[str]:
        """PeerUp and PeerDown of `other`, in order."""
        return [type(e).__name__ for e in self.events if isinstance(e, PeerUp | PeerDown) and e.peer == other.id]

    def pings(self, other: Host) -> list[int]:
        """Numbers of the pings that came from `other`, in order."""
        return [
            e.message.rid
            for e in self.events
            if isinstance(e, Received) and e.peer == other.id and isinstance(e.message, Ping)
        ]

    def strangers(self) -> list[Stranger]:
        return [e for e in self.events if isinstance(e, Stranger)]

    def fact(self, kind: str) -> list[dict[str, object]]:
        return [fields for name, fields in self.facts if name == kind]


@asynccontextmanager
async def hosts(*made: Host) -> AsyncIterator[tuple[Host, ...]]:
    """Every host listening; all closed at the end."""
    try:
        for host in made:
            await host.listen()
        yield made
    finally:
        for host in made:
            await host.transport.close()


def ping(host: Host, other: Host, *numbers: int) -> None:
    """Send one batch of numbered pings."""
    host.transport.send(other.id, [Ping(number) for number in numbers])


async def exchange(a: Host, b: Host, number: int) -> None:
    """Linked at both ends, a message each way arrives."""
    await until(lambda: a.linked(b) and b.linked(a), "both ends")
    ping(a, b, number)
    ping(b, a, number)
    await until(lambda: number in a.pings(b) and number in b.pings(a), f"ping {number}")
