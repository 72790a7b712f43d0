"""The HTTP port: `/health` for load balancers, `/metrics` for Prometheus. It reads and answers, nothing else.

Two paths, GET and HEAD, one request a connection: a protocol class on the node's own loop is smaller than any server we
could bring, runs no thread that would read the engine's state while it changes, and keeps its bounds in sight (bytes,
connections, seconds). Rendering the metrics is prometheus-client's, which is imported when somebody first asks.

On a node with TLS it is plain on loopback, where who could listen could read the files, too; elsewhere it is HTTPS, so
that nothing of the node can be read on the way (Prometheus: `scheme: https`, and the CA in `tls_config`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple, cast

import msgspec

from node.core.limits import HTTP_CONNECTIONS_MAX, HTTP_REQUEST_BYTES_MAX, HTTP_S_MAX
from node.runtime.tls import TlsPort
from node.wire.requests import Document, Inspect, Request, Result

JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"
REASONS: Final = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 431: "Too Large",
                  503: "Service Unavailable"}  # fmt: skip


class Answer(NamedTuple):
    """One HTTP answer."""

    status: int
    content_type: str
    body: bytes


class HttpListener:
    """The HTTP port of one node. `submit` asks the engine, `metrics` renders the figures."""

    def __init__(
        self,
        submit: Callable[[Request, Callable[[Result], None]], None],
        metrics: Callable[[], tuple[str, bytes]],
        *,
        seconds: float = HTTP_S_MAX,
        tls: TlsPort | None = None,
    ) -> None:
        self.submit = submit
        self.metrics = metrics
        self.seconds = seconds
        self.tls = tls
        self.open: dict[Connection, None] = {}
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> None:
        """Listen. OSError as it comes."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connected, host, port, backlog=HTTP_CONNECTIONS_MAX)

    def _connected(self) -> asyncio.Protocol:
        return Connection(self) if self.tls is None else self.tls.wrap(Connection(self))

    async def stop(self) -> None:
        """Stop listening and end all connections."""
        if self._server is not None:
            self._server.close()
            if self.tls is not None:
                self.tls.close()
            for connection in list(self.open):
                connection.abort()

    def answer(self, method: str, path: str, respond: Callable[[Answer], None]) -> None:
        """Answer one request, now or later."""
        if method not in ("GET", "HEAD"):
            respond(Answer(405, TEXT, b"this port only reads\n"))
        elif path == "/health":
            self.submit(Inspect("status"), lambda result: respond(health(result)))
        elif path == "/metrics":
            respond(Answer(200, *self.metrics()))
        else:
            respond(Answer(404, TEXT, b"there are /health and /metrics\n"))


def health(result: Result) -> Answer:
    """200 with the status document while every key has its quorums, else 503."""
    if isinstance(result, Document):
        status = msgspec.json.decode(result.json).get("health")
        return Answer(200 if status in ("healthy", "degraded") else 503, JSON, result.json + b"\n")
    why = getattr(result, "text", "no answer")
    document = {"schema": "dyn.status/v1", "health": "critical", "reasons": [why]}
    return Answer(503, JSON, msgspec.json.encode(document) + b"\n")


class Connection(asyncio.Protocol):
    """One request, one answer."""

    def __init__(self, listener: HttpListener) -> None:
        self._listener = listener
        self._head = b""
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._asked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody connected; one too many is let go."""
        self._transport = cast(asyncio.Transport, transport)
        if len(self._listener.open) >= HTTP_CONNECTIONS_MAX:
            self._transport.abort()
            return
        self._listener.open[self] = None
        self._timer = asyncio.get_running_loop().call_later(self._listener.seconds, self.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Gone."""
        self._transport = None
        self._listener.open.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Wait for the empty line; a body is not for us."""
        if self._asked:
            return
        self._head += data
        head, end, _ = self._head.partition(b"\r\n\r\n")
        if not end and len(self._head) <= HTTP_REQUEST_BYTES_MAX:
            return
        self._asked = True
        if len(head) > HTTP_REQUEST_BYTES_MAX:
            self._respond(Answer(431, TEXT, b"the request is too large\n"))
            return
        words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1.") or not words[1].startswith("/"):
            self._respond(Answer(400, TEXT, b"this is the HTTP port of a dyn node\n"))
            return
        self._method = words[0]
        self._listener.answer(words[0], words[1].split("?", 1)[0], self._respond)

    def abort(self) -> None:
        """End the connection now."""
        if self._transport is not None:
            self._transport.abort()

    _method = "GET"

    def _respond(self, answer: Answer) -> None:
        if self._transport is None:
            return
        head = (
            f"HTTP/1.1 {answer.status} {REASONS[answer.status]}\r\nContent-Type: {answer.content_type}\r\n"
            f"Content-Length: {len(answer.body)}\r\nCache-Control: no-store\r\nConnection: close\r\n"
            + ("Allow: GET, HEAD\r\n" if answer.status == 405 else "")
            + "\r\n"
        )
        self._transport.write(head.encode() + (b"" if self._method == "HEAD" else answer.body))
        self._transport.close()
