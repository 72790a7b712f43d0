"""TLS between a connection and a protocol that knows nothing of it.

    TCP ── bytes ──▶ TlsConnection ── ssl.SSLObject, two memory BIOs ──▶ Link, Session, Connection (HTTP)
                     HANDSHAKE ──done, certificate taken──▶ UP ──close──▶ LEAVING ──▶ end
                         └───────── refused: why, told to both sides ──────▲

The loops have a TLS layer of their own (`create_server(ssl=…)`), which does not do here: of a handshake that fails it
tells the server nothing and the other side less (the alert is never sent, so who shows a wrong certificate sees a
connection that ends), and whoever has not finished one is in nobody's count. This one tells why, in one line for the
log, and bounds how many are under way, for how long, and how much of one turn of the loop they take. All else is
OpenSSL's. An end without a close_notify is an end: what is carried here says its own lengths.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, Final, cast

from node.core.limits import HANDSHAKE_S_MAX
from node.runtime.sockets import remote_address
from node.tls import why_of

CLIENT_HANDSHAKES_MAX: Final = 1024
"""TLS handshakes of clients under way: as many as the backlog of the port. One more ends the oldest."""

TURN_HANDSHAKES_MAX: Final = 4
"""Steps of handshakes in one turn of the loop: each costs a millisecond or so (a signature, a chain to verify)."""

HELLO_BYTES_MAX: Final = 17 * 1024
"""What may come before the first answer: one TLS record. A ClientHello has some hundred bytes."""

READ_BYTES: Final = 64 * 1024
HANDSHAKE_RECORD: Final = 0x16
"""First byte of whoever begins to speak TLS (RFC 8446, section 5.1)."""


class TlsError(ConnectionAbortedError):
    """TLS ended a connection: one line that says why."""


class Stage(Enum):
    """Where a connection stands."""

    HANDSHAKE = "handshake"
    UP = "up"
    LEAVING = "leaving"


class TlsPort:
    """One side of TLS, for all connections of a port (`accepts`), or for those that are dialled.

    `fault` says what is wrong with a verified certificate (None: none was shown), "" if nothing is. `refused` is told
    the address of each connection that comes to nothing, and why. The other side hears a TLS alert; `farewell` makes
    what it hears of a fault that TLS does not know of, and `plain` what it hears when its first bytes are no TLS.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        *,
        accepts: bool,
        fault: Callable[[dict[str, Any] | None], str],
        refused: Callable[[str, str], None] = lambda address, why: None,
        farewell: Callable[[str], bytes] = lambda fault: b"",
        plain: Callable[[bytes], bytes] = lambda said: b"",
        handshakes_max: int = CLIENT_HANDSHAKES_MAX,
        seconds: float = HANDSHAKE_S_MAX,
    ) -> None:
        self.context = context
        self.accepts = accepts
        self.fault = fault
        self.farewell = farewell
        self.plain = plain
        self.seconds = seconds
        self.refusals = 0
        self.under_way: dict[TlsConnection, None] = {}
        self._refused = refused
        self._handshakes_max = handshakes_max
        self._due: deque[TlsConnection] = deque()

    def wrap(self, inner: asyncio.Protocol) -> TlsConnection:
        """The protocol to give to TCP. `inner` hears of the connection when it is up, and never if it is not."""
        return TlsConnection(self, inner)

    def close(self) -> None:
        """End every connection that is not up."""
        for connection in list(self.under_way):
            connection.abort()

    # For connections -------------------------------------------------------------------------------------

    def begin(self, connection: TlsConnection) -> None:
        """A handshake begins: of too many, the oldest ends."""
        if len(self.under_way) >= self._handshakes_max:
            oldest = next(iter(self.under_way))
            oldest.refuse(f"{self._handshakes_max} TLS handshakes are under way")
            oldest.abort()
            self.under_way.pop(oldest, None)
        self.under_way[connection] = None

    def refuse(self, address: str, why: str) -> None:
        """A connection comes to nothing."""
        self.refusals += 1
        self._refused(address, why)

    def due(self, connection: TlsConnection) -> None:
        """A handshake can go on: it does so within this turn of the loop, or one of the next."""
        if not self._due:
            asyncio.get_running_loop().call_soon(self._turn)
        self._due.append(connection)

    def _turn(self) -> None:
        for _ in range(min(TURN_HANDSHAKES_MAX, len(self._due))):
            self._due.popleft().shake()
        if self._due:
            asyncio.get_running_loop().call_soon(self._turn)


class TlsConnection(asyncio.Protocol, asyncio.Transport):
    """One connection: a protocol to TCP, a transport to `inner`. `opened` gets "" or why there is no TLS with it."""

    def __init__(self, port: TlsPort, inner: asyncio.Protocol) -> None:
        super().__init__()
        self.inner = inner
        self.remote = ""
        self.opened: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._port = port
        self._stage = Stage.HANDSHAKE
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = port.context.wrap_bio(self._incoming, self._outgoing, server_side=port.accepts)
        self._tcp: asyncio.Transport
        self._timer: asyncio.TimerHandle | None = None
        self._heard = not port.accepts  # something of the other side
        self._waits = False  # for its turn
        self._ended = False  # the other side has said its last
        self._broken: TlsError | None = None

    # What TCP calls --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TCP stands; a dialler speaks first."""
        self._tcp = cast(asyncio.Transport, transport)
        self.remote = remote_address(transport.get_extra_info("peername"))
        self._timer = asyncio.get_running_loop().call_later(self._port.seconds, self._expire)
        self._port.begin(self)
        if not self._port.accepts:
            self.shake()

    def data_received(self, data: bytes) -> None:
        """Bytes arrived; those that a refused one still says are nobody's."""
        if self._stage is Stage.LEAVING:
            return
        if not self._heard:
            self._heard = True
            if data[0] != HANDSHAKE_RECORD or len(data) > HELLO_BYTES_MAX:
                self.refuse("it does not speak TLS", plain=self._port.plain(data))
                return
        self._incoming.write(data)
        if self._stage is Stage.UP:
            self._read()
        elif not self._waits:
            self._waits = True
            self._tcp.pause_reading()
            self._port.due(self)

    def eof_received(self) -> bool:
        """The other side closed its half of TCP."""
        if self._stage is Stage.HANDSHAKE:
            self.refuse("it hung up in the TLS handshake")
        elif self._stage is Stage.UP:
            return self._end()
        return False

    def pause_writing(self) -> None:
        """The other side does not read."""
        if self._stage is Stage.UP:
            self.inner.pause_writing()

    def resume_writing(self) -> None:
        """It reads again."""
        if self._stage is Stage.UP:
            self.inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """TCP is gone."""
        if self._stage is Stage.HANDSHAKE:
            self.refuse("it hung up in the TLS handshake")
        self._stage = Stage.LEAVING
        self._settled()
        if self.opened.result() == "":
            self.inner.connection_lost(self._broken or exc)

    # The handshake ---------------------------------------------------------------------------------------

    def shake(self) -> None:
        """Go on with the handshake, as far as what arrived carries."""
        if self._stage is not Stage.HANDSHAKE or self._tcp.is_closing():
            return
        if self._waits:
            self._waits = False
            self._tcp.resume_reading()
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._pour()
            return
        except ssl.SSLError as error:
            self._pour()
            self.refuse(why_of(error))
            return
        fault = self._port.fault(self._tls.getpeercert())
        if fault:
            self._stage = Stage.UP
            self.write(self._port.farewell(fault))
            self._say_last()
            self.refuse(f"its certificate {fault}")
            return
        self._pour()
        self._stage = Stage.UP
        self._settled()
        self.opened.set_result("")
        self.inner.connection_made(self)
        if self._incoming.pending:
            self._read()

    def refuse(self, why: str, *, plain: bytes = b"") -> None:
        """There will be no TLS with it. It shall hear what was said: to close on unread bytes would reset TCP."""
        if self.opened.done():
            return
        self._stage = Stage.LEAVING
        self.opened.set_result(why)
        self._port.refuse(self.remote, why)
        if not self._tcp.is_closing():
            self._tcp.write(plain)
            if self._tcp.can_write_eof() and self._port.accepts:
                self._tcp.write_eof()
            else:
                self._tcp.close()

    def _settled(self) -> None:
        self._port.under_way.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self._timer = None
        self.refuse(f"no TLS handshake in {self._port.seconds:g} s")
        self._tcp.abort()

    # Bytes in and out ------------------------------------------------------------------------------------

    def _read(self) -> None:
        """Hand on what can be deciphered: everything of one read of TCP at once."""
        pieces, broken, ended = [], None, False
        try:
            while piece := self._tls.read(READ_BYTES):
                pieces.append(piece)
            ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            broken = error
        self._pour()
        if pieces:
            self.inner.data_received(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if broken is not None:
            self._break(broken)
        elif ended and not self._end():
            self.close()

    def _end(self) -> bool:
        """The other side has said its last; whether it may still be told something."""
        if self._stage is not Stage.UP:
            return False
        if not self._ended:
            self._ended = True
            if not self.inner.eof_received():
                self._say_last()
                return False
        return True

    def _break(self, error: ssl.SSLError) -> None:
        """What came is no TLS that we share, or the other side says so of ours."""
        self._broken = TlsError(why_of(error))
        self._stage = Stage.LEAVING
        self._tcp.close()

    def _pour(self) -> None:
        if self._outgoing.pending and not self._tcp.is_closing():
            self._tcp.write(self._outgoing.read())

    def _say_last(self) -> None:
        """Send a close_notify. Nothing is read any more, so whether one comes back is nobody's concern."""
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            pass
        self._pour()

    # What the inner protocol calls -----------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes."""
        rest = memoryview(data)
        if self._stage is not Stage.UP or not rest:
            return
        try:
            while rest:
                rest = rest[self._tls.write(rest) :]  # a record at a time
        except ssl.SSLError as error:
            self._break(error)
        self._pour()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Send several pieces, in as few records as they need."""
        self.write(b"".join(list_of_data))

    def close(self) -> None:
        """End the connection after what was written."""
        if self._stage is Stage.UP:
            self._say_last()
        self._stage = Stage.LEAVING
        self._tcp.close()

    def abort(self) -> None:
        """End the connection now."""
        if not self.opened.done():
            self._stage = Stage.LEAVING
            self.opened.set_result("it was ended here")
        self._tcp.abort()

    def can_write_eof(self) -> bool:
        """TLS has a last word for each direction (close_notify)."""
        return self._tcp.can_write_eof()

    def write_eof(self) -> None:
        """Say the last word; what the other side says from here on is dropped, until it ends, too."""
        if self._stage is Stage.UP:
            self._say_last()
            self._stage = Stage.LEAVING
            self._tcp.write_eof()

    def is_closing(self) -> bool:
        """Whether the end has begun."""
        return self._tcp.is_closing()

    def pause_reading(self) -> None:
        """Leave bytes in the socket."""
        self._tcp.pause_reading()

    def resume_reading(self) -> None:
        """Fetch them again."""
        self._tcp.resume_reading()

    def get_write_buffer_size(self) -> int:
        """Bytes, enciphered, that the other side has not taken."""
        return self._tcp.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """When `pause_writing` is called."""
        self._tcp.set_write_buffer_limits(high, low)

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401  # asyncio's signature
        """As TCP says, and `peercert` and `ssl_object`."""
        if name == "peercert":
            return self._tls.getpeercert()
        return self._tls if name == "ssl_object" else self._tcp.get_extra_info(name, default)
