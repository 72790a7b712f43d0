"""A store in a dictionary behind the client port: what get, put, delete and keys mean, on one node, without quorums."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from queue import Queue
from random import Random
from threading import Thread
from typing import TYPE_CHECKING

import hiredis
import uvloop

from node.core.cluster import Secret
from node.core.context import BadContext, open_token, seal
from node.core.limits import KEY_BYTES_MAX, SIBLINGS_MAX, VALUE_BYTES_MAX
from node.core.row import EMPTY, Actor, Row
from node.core.version import advance
from node.runtime.auth import Password
from node.runtime.clients import ClientListener
from node.runtime.measures import Measures
from node.wire.replies import Value
from node.wire.requests import (
    Ack,
    Document,
    Failed,
    Found,
    Get,
    Inspect,
    KeyPage,
    Keys,
    Put,
    Request,
    Result,
    Written,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

CLUSTER = "c" * 32
SECRETS = (Secret(1, b"s" * 32),)
EPOCH = 0xA1B2C3D4E5F60718


def pack(*words: bytes | str) -> bytes:
    """The bytes of a command."""
    return hiredis.pack_command(words)  # type: ignore[arg-type,no-any-return]  # bytes and str


class FakeStore:
    """Answers at once, or, with `hold`, when the test says so; `failing` answers every request with one error."""

    version = "0.1.0"
    name = "n1"

    def __init__(self) -> None:
        self.measures = Measures(
            lambda: 0.0, totals=lambda: (0, 0, 0, 0, 0), hints=tuple, storage=dict, queues=dict, rng=Random(1)
        )
        self.rows: dict[bytes, Row] = {}
        self.births: dict[bytes, int] = {}
        self.requests: list[Request] = []
        self.flushes = 0
        self.backups: list[tuple[Path, Callable[[Value], None]]] = []
        self.hold = False
        self.held: list[tuple[Request, Callable[[Result], None]]] = []
        self.failing: Failed | None = None

    def submit(self, request: Request, deliver: Callable[[Result], None]) -> None:
        self.requests.append(request)
        if self.hold:
            self.held.append((request, deliver))
        else:
            deliver(self.answer(request))

    def release(self, index: int = 0) -> None:
        """Answer one held request."""
        request, deliver = self.held.pop(index)
        deliver(self.answer(request))

    def back_up(self, target: Path, answer: Callable[[Value], None]) -> None:
        """Keep who asks waiting until the test answers."""
        self.backups.append((target, answer))

    def flush(self) -> None:
        self.flushes += 1

    def answer(self, request: Request) -> Result:
        if self.failing is not None:
            return self.failing
        match request:
            case Get():
                return self._get(request)
            case Put():
                return self._put(request)
            case Inspect():
                document = {"schema": f"dyn.{request.what}/v1", "arguments": [a.decode() for a in request.arguments]}
                return Document(json.dumps(document).encode())
            case Keys():
                return self._keys(request)

    def _get(self, request: Get) -> Result:
        row = self.rows.get(request.key, EMPTY)
        token = seal(row.clock, request.key, CLUSTER, SECRETS) if request.context else b""
        return Failed("ERR", token.why) if isinstance(token, BadContext) else Found(row, token)

    def _put(self, request: Put) -> Result:
        if not request.key or len(request.key) > KEY_BYTES_MAX:
            return Failed("ERR" if not request.key else "TOOBIG", f"the key has {len(request.key)} bytes")
        if request.value is not None and len(request.value) > VALUE_BYTES_MAX:
            return Failed("TOOBIG", f"the value has {len(request.value)} bytes, max-value-bytes is {VALUE_BYTES_MAX}")
        row = self.rows.get(request.key, EMPTY)
        context = row.clock if request.cover else open_token(request.context, request.key, CLUSTER, SECRETS)
        if isinstance(context, BadContext):
            return Failed("BADCONTEXT", f"{context.why}; read the key again, nothing was changed")
        if request.cover and request.value is None and not row.live:
            return Written(b"", (), 1, replaced=False, siblings=0)
        actor = Actor(EPOCH, self.births.setdefault(request.key, len(self.births) + 1))
        after, _ = advance(row, context, actor, request.value, written_at_ms=1_700_000_000_000, writer=request.writer)
        if len(after.live) > SIBLINGS_MAX:
            return Failed("TOOMANYSIBLINGS", f"the key has {len(row.live)} values")
        self.rows[request.key] = after
        token = seal(after.clock, request.key, CLUSTER, SECRETS)
        assert isinstance(token, bytes)
        replaced = len(after.live) < len(row.live) + (request.value is not None)
        return Written(token, (Ack("n1", True),), 1, replaced, len(after.live))

    def _keys(self, request: Keys) -> Result:
        if not request.cursor.isdigit():
            return Failed("ERR", "invalid cursor: begin with 0")
        live = sorted(key for key, row in self.rows.items() if len(row.live) > request.siblings)
        start = int(request.cursor)
        page = live[start : start + request.limit]
        after = start + request.limit
        matching = tuple(key for key in page if key.startswith(request.prefix))
        return KeyPage(str(after).encode() if after < len(live) else b"0", matching)

    # ServerFacts ---------------------------------------------------------------------------------------------

    def names(self) -> Mapping[int, str]:
        return {EPOCH: "n1"}

    def info(self) -> Mapping[str, Mapping[str, object]]:
        return {"server": {"tcp_port": 1}, "node": {"name": "n1"}}

    def config(self) -> Mapping[str, str]:
        return {"max-value-bytes": str(VALUE_BYTES_MAX)}

    def keys(self) -> int:
        return len(self.rows)

    def wall_s(self) -> float:
        return 1_700_000_000.25


class Client:
    """A bare connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def expect(self, data: bytes, *, within_s: float = 30) -> None:
        """Read exactly `data`."""
        got = b""
        try:
            async with asyncio.timeout(within_s):
                while len(got) < len(data):
                    more = await self.reader.read(len(data) - len(got))
                    if not more:
                        break
                    got += more
        except TimeoutError:
            pass
        assert got == data

    async def line(self, within_s: float = 30) -> bytes:
        async with asyncio.timeout(within_s):
            return await self.reader.readline()

    async def ended(self, within_s: float = 30) -> bytes:
        """Everything until the server ends the connection."""
        async with asyncio.timeout(within_s):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except OSError:  # of TLS, too
            pass


class Port:
    """A listening client port over a fake store."""

    def __init__(self, store: FakeStore, listener: ClientListener, number: int) -> None:
        self.store = store
        self.listener = listener
        self.number = number
        self.clients: list[Client] = []

    async def connect(self) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.number, limit=2**26))
        self.clients.append(client)
        return client


@asynccontextmanager
async def serving(listener: ClientListener | None = None, store: FakeStore | None = None) -> AsyncIterator[Port]:
    """Serve on a free port of loopback until the end of the block."""
    store = store or FakeStore()
    listener = listener or ClientListener(store.submit, store.flush, store)
    port = Port(store, listener, await listener.start("127.0.0.1", 0))
    try:
        yield port
    finally:
        for client in port.clients:
            await client.close()
        await listener.stop()


@contextmanager
def serving_blocking_clients(password: Password | None = None) -> Iterator[Port]:
    """The same on a thread of its own, for clients that block."""
    started: Queue[tuple[Port, asyncio.AbstractEventLoop, asyncio.Event]] = Queue()

    async def serve() -> None:
        store = FakeStore()
        listener = ClientListener(store.submit, store.flush, store, password=password)
        async with serving(listener, store) as port:
            end = asyncio.Event()
            started.put((port, asyncio.get_running_loop(), end))
            await end.wait()

    thread = Thread(target=uvloop.run, args=(serve(),))
    thread.start()
    port, loop, end = started.get(timeout=30)
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join(10)
