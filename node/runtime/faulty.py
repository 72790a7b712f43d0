"""Links that a person may break (`--allow-faults`): a network that swallows, delays and loses what is sent.

    Link ── writes ──▶ FaultyTransport ── what passes, when it is due ──▶ the connection
    Link ◀── frames ── SievedReader ◀── bytes ─────────────────────────── the connection

What a cut link shows is silence, never an end: the connection stays, frames in both directions go nowhere, those of an
opening too (so a dial connects and then hangs), and if the other side closes, that is not heard until the cut is
healed. So detectors of failures notice it, and sockets do not. TCP does not lose the middle of a stream: a link whose
own words, or whose opening, were swallowed ends when it is healed, and is dialled anew.

Whole frames are lost, never a part of one, and only messages are lost by chance: every write of a link is one frame.
A node without the flag has none of this: it makes plain links.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from random import Random
from typing import Any, Literal

from node.core.ids import NodeId
from node.runtime.links import Hub, Link, State
from node.wire.codec import PROTOCOL
from node.wire.faults import CLEAR, Way
from node.wire.framing import HEADER_BYTES, NEED_DATA, FrameReader, Need
from node.wire.handshake import Acceptor, Dialer, Hello, claimed_id


class FaultyNetwork:
    """What makes faulty links and knows them all. `find` gives the node that listens at an address, if it is known."""

    def __init__(self, find: Callable[[str], NodeId | None], rng: Random) -> None:
        self.find = find
        self.rng = rng
        self.links: dict[FaultyLink, None] = {}
        self._ways: Mapping[str, Way] = {}

    def link(self, hub: Hub, opening: Dialer | Acceptor, own: Hello, address: str | None) -> Link:
        """A new link, for the transport."""
        return FaultyLink(self, hub, opening, own, address)

    def way(self, peer: str) -> Way:
        """What is done to the frames of this node."""
        return self._ways.get(peer, CLEAR)

    def change(self, ways: Mapping[str, Way]) -> None:
        """From now on do this. What had been held back on links that are whole again comes through."""
        self._ways = ways
        for link in list(self.links):
            link.settle()


class FaultyLink(Link):
    """A link as the faults in force make it look; without copies as datagrams, which would get around them."""

    copied = False

    def __init__(
        self, network: FaultyNetwork, hub: Hub, opening: Dialer | Acceptor, own: Hello, address: str | None
    ) -> None:
        super().__init__(hub, opening, own, address)
        self._network = network
        self._reader = SievedReader(self._passes)
        self._claimed = ""  # who the other side says it is, while nothing is proven
        self._torn = False  # something was swallowed that a stream cannot go on without
        self._end: tuple[Exception | None] | None = None  # the connection's end, which the cut hides
        self._port: FaultyTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Put ourselves between the link and its connection."""
        self._port = FaultyTransport(transport, self)
        self._network.links[self] = None
        super().connection_made(self._port)

    def connection_lost(self, exc: Exception | None) -> None:
        """The other side's end is not heard through a cut; our own is."""
        if self.way.swallow_in and not self._port.ended:
            self._end = (exc,)
            self._port.gone = True
            return
        self._network.links.pop(self, None)
        super().connection_lost(exc)

    @property
    def way(self) -> Way:
        """What is done to this link's frames now."""
        network = self._network
        if self.peer is not None:
            return network.way(self.peer.node_id)
        return network.way(self._claimed or (self.address and network.find(self.address)) or "")

    @property
    def rng(self) -> Random:
        """The lots by which messages are lost, or late."""
        return self._network.rng

    def settle(self) -> None:
        """The faults changed: let through what nothing holds back any more, and end what cannot go on."""
        way = self.way
        if not way.delay_s and not way.jitter_s:
            self._port.flush()
        if way.swallow_in or way.swallow_out:
            return
        if self._end is not None:
            self.hear_end()
        elif self._torn:
            self.abort()

    def hear_end(self) -> None:
        """The connection ended some time ago: say so."""
        if self._end is not None:
            (exc,), self._end = self._end, None
            self._network.links.pop(self, None)
            super().connection_lost(exc)

    def is_message(self, payload: bytes | memoryview) -> bool:
        """Whether a frame carries messages: neither an opening's nor a word about the link."""
        return self.state is not State.OPENING and payload[:1] == bytes([PROTOCOL])

    def swallow(self, payload: bytes | memoryview) -> None:
        """A frame goes nowhere."""
        self._torn = self._torn or not self.is_message(payload)

    def _passes(self, payload: memoryview) -> bool:
        """Whether a frame that arrived is heard."""
        if self.state is State.OPENING:
            self._claimed = claimed_id(payload) or self._claimed
        if not self.way.swallow_in:
            return True
        self.swallow(payload)
        return False


class SievedReader:
    """A reader that some frames fall through. (It has one; a compiled class has no heirs that are not compiled.)"""

    __slots__ = ("_passes", "_reader")

    def __init__(self, passes: Callable[[memoryview], bool]) -> None:
        self._reader = FrameReader()
        self._passes = passes

    def feed(self, data: bytes) -> None:
        """Take what arrived."""
        self._reader.feed(data)

    def raise_limit(self) -> None:
        """The other side has proven the cluster key."""
        self._reader.raise_limit()

    def next_frame(self) -> memoryview | Literal[Need.DATA]:
        """The next frame that is heard."""
        while (payload := self._reader.next_frame()) is not NEED_DATA:
            if self._passes(payload):
                return payload
        return NEED_DATA


class FaultyTransport(asyncio.Transport):
    """A connection as its link sees it. What is delayed waits in one queue: a shorter delay overtakes nothing.

    (When there is no delay any more, `FaultyLink.settle` has emptied the queue.)
    """

    def __init__(self, inner: Any, link: FaultyLink) -> None:  # noqa: ANN401  # uvloop's is none by inheritance
        super().__init__()
        self.gone = False  # the connection is no more, and the link does not know
        self.ended = False  # by ourselves
        self._inner = inner
        self._link = link
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._waiting_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401  # asyncio's signature
        """As the connection says."""
        return self._inner.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        """Bytes that the peer has not taken, and those that are still under way."""
        return self._waiting_bytes + (0 if self.gone else int(self._inner.get_write_buffer_size()))

    def is_closing(self) -> bool:
        """Whether an end was asked for, or came."""
        return self.ended or bool(self._inner.is_closing())

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send one frame, unless it is lost."""
        link = self._link
        way = link.way
        payload = memoryview(data)[HEADER_BYTES:]
        if way.swallow_out or self.gone:
            link.swallow(payload)
        elif way.loss and link.is_message(payload) and link.rng.random() < way.loss:
            return
        elif way.delay_s or way.jitter_s:
            late_s = way.delay_s + link.rng.random() * way.jitter_s
            self._waiting.append((self._loop.time() + late_s, bytes(data)))
            self._waiting_bytes += len(data)
            self._arm()
        else:
            self._inner.write(data)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Send several frames: each has its own fate."""
        for data in list_of_data:
            self.write(data)

    def flush(self) -> None:
        """Send everything that waits now."""
        while self._waiting:
            self._pass_on()
        self._arm()

    def close(self) -> None:
        """End the connection after what waits."""
        self.ended = True
        if self.gone:
            self._loop.call_soon(self._link.hear_end)
        elif not self._waiting:
            self._inner.close()

    def abort(self) -> None:
        """End the connection now."""
        self.ended = True
        self._waiting.clear()
        self._waiting_bytes = 0
        self._arm()
        if self.gone:
            self._loop.call_soon(self._link.hear_end)
        else:
            self._inner.abort()

    def _pass_on(self) -> None:
        _, data = self._waiting.popleft()
        self._waiting_bytes -= len(data)
        if self._link.way.swallow_out or self.gone:
            self._link.swallow(memoryview(data)[HEADER_BYTES:])
        else:
            self._inner.write(data)

    def _arm(self) -> None:
        """Wake up for the first that waits."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._waiting[0][0], self._due) if self._waiting else None
        if not self._waiting and self.ended and not self.gone:
            self._inner.close()

    def _due(self) -> None:
        now = self._loop.time()
        while self._waiting and self._waiting[0][0] <= now:
            self._pass_on()
        self._arm()
