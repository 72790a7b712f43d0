"""The HTTP port: connections, the heads of requests, and the bytes of answers. What is answered is `site`'s.

GET and HEAD, one request a connection: a protocol class on the node's own loop is smaller than any server we could
bring, runs no thread that would read the engine's state while it changes, and keeps its bounds in sight (bytes, lines,
connections, seconds). With one request a connection there is nothing to smuggle behind another one, and a body, which
no request here has, is never looked at.

On a node with TLS it is plain on loopback, where who could listen could read the files, too; elsewhere it is HTTPS, so
that nothing of the node can be read on the way (Prometheus: `scheme: https`, and the CA in `tls_config`).
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, cast

from node.core.limits import HTTP_CONNECTIONS_MAX, HTTP_REQUEST_BYTES_MAX, HTTP_S_MAX
from node.core.limits_http import HTTP_HEADERS_MAX
from node.runtime.tls import TlsPort

TEXT: Final = "text/plain; charset=utf-8"
REASONS: Final = {
    200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    413: "Content Too Large", 421: "Misdirected Request", 429: "Too Many Requests",
    431: "Request Header Fields Too Large", 503: "Service Unavailable",
}  # fmt: skip

ALWAYS: Final = (
    "Cache-Control: no-store\r\nConnection: close\r\n"
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n"
    "Referrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\n"
)
"""With every answer. Scripts and styles are the node's own files, and nothing is asked of anybody else, whatever a key,
a value or a name says; nobody frames the page; no other origin reads an answer (there is no CORS header, either)."""

REQUEST_LINE: Final = re.compile(rb"([A-Z]{1,20}) (/[!-~]*) HTTP/1\.[01]", re.ASCII)
HEADER: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~\x80-\xff]*?)[ \t]*", re.ASCII)
ONCE: Final = ("host", "origin", "authorization")
"""Headers that decide something here: with two of them nobody could say which."""


class Question(NamedTuple):
    """One HTTP request: `path` as it was sent, without the query; header names in lower case; `peer` an IP address."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = {}
    peer: str = ""


class Answer(NamedTuple):
    """One HTTP answer. `headers` are lines with their ends; `delay_s` is how long it waits."""

    status: int
    content_type: str
    body: bytes
    headers: str = ""
    delay_s: float = 0.0


Respond = Callable[[Answer], None]
Route = Callable[[Question, Respond], None]

TOO_LARGE: Final = Answer(431, TEXT, b"the request is too large\n")
NOT_HTTP: Final = Answer(400, TEXT, b"this is the HTTP port of a dyn node\n")


def read_head(head: bytes, peer: str = "") -> Question | Answer:
    """The request that a head is, without its empty line; or what to answer to what is none."""
    first, *lines = head.split(b"\r\n")
    if len(lines) > HTTP_HEADERS_MAX:
        return TOO_LARGE
    request = REQUEST_LINE.fullmatch(first)
    if request is None:
        return NOT_HTTP
    headers: dict[str, str] = {}
    for line in lines:
        header = HEADER.fullmatch(line)
        if header is None:
            return Answer(400, TEXT, b"a header is malformed\n")
        name = header[1].decode().lower()
        if name in headers and name in ONCE:
            return Answer(400, TEXT, b"a header is there twice\n")
        headers[name] = header[2].decode("latin-1")
    path, _, query = request[2].decode().partition("?")
    return Question(request[1].decode(), path, query, headers, peer)


class HttpListener:
    """The HTTP port of one node. `route` answers a request, now or later, once."""

    def __init__(self, route: Route, *, seconds: float = HTTP_S_MAX, tls: TlsPort | None = None) -> None:
        self.route = route
        self.seconds = seconds
        self.tls = tls
        self.open: dict[Connection, None] = {}
        self.answered: Counter[int] = Counter()  # by status
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port. OSError as it comes."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connected, host, port, backlog=HTTP_CONNECTIONS_MAX)
        bound: tuple[str, int] = self._server.sockets[0].getsockname()
        return bound[1]

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

    def make_room(self) -> bool:
        """Whether one more may come in. Of too many, the oldest goes that has not asked yet, or asked in vain: so who
        opens connections and says nothing shuts nobody out who has a question."""
        if len(self.open) < HTTP_CONNECTIONS_MAX:
            return True
        idle = next((connection for connection in self.open if connection.idle), None)
        if idle is None:
            return False
        self.open.pop(idle)
        idle.abort()
        return True


class Connection(asyncio.Protocol):
    """One request, one answer."""

    def __init__(self, listener: HttpListener) -> None:
        self.idle = True
        self._listener = listener
        self._head = b""
        self._head_only = False
        self._asked = False
        self._peer = ""
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody connected; one too many is let go."""
        self._transport = cast(asyncio.Transport, transport)
        if not self._listener.make_room():
            self._transport.abort()
            return
        peer = transport.get_extra_info("peername")
        self._peer = peer[0] if isinstance(peer, tuple) else ""
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
        self._asked, self._head, self.idle = True, b"", False
        question = TOO_LARGE if len(head) > HTTP_REQUEST_BYTES_MAX else read_head(head, self._peer)
        if isinstance(question, Answer):
            self._respond(question)
        else:
            self._head_only = question.method == "HEAD"
            self._listener.route(question, self._respond)

    def abort(self) -> None:
        """End the connection now."""
        if self._transport is not None:
            self._transport.abort()

    def _respond(self, answer: Answer) -> None:
        if answer.delay_s:
            self.idle = True
            asyncio.get_running_loop().call_later(answer.delay_s, self._write, answer)
        else:
            self._write(answer)

    def _write(self, answer: Answer) -> None:
        if self._transport is None:
            return
        self._listener.answered[answer.status] += 1
        head = (
            f"HTTP/1.1 {answer.status} {REASONS[answer.status]}\r\nContent-Type: {answer.content_type}\r\n"
            f"Content-Length: {len(answer.body)}\r\n{ALWAYS}{answer.headers}\r\n"
        )
        self._transport.write(head.encode() + (b"" if self._head_only else answer.body))
        self._transport.close()
