"""The client of the command line: one blocking socket, one answer at a time.

A read may be repeated on the next node, so a silent node costs only its share of the deadline. A write is sent once:
after that, no answer means that its outcome is not known, and that is what the user is told.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, NamedTuple

import hiredis

from dynamo_cli.errors import CliError, from_reply
from dynamo_cli.exit_status import ExitStatus

if TYPE_CHECKING:
    from ssl import SSLContext

PORT = 7700
"""Client port of a node that was started without `--port`."""

READ_BYTES = 64 * 1024
GRACE_S = 0.2
"""How much longer than its own deadline a node is listened to: its answer says more than our silence."""

Word = bytes | str | int
Reply = bytes | int | None | list["Reply"]

TLS_WORDS = "this port speaks TLS"
"""How a node tells who did not begin with TLS."""

SPEAKS_TLS = "it speaks TLS"
NO_TLS = "it does not speak TLS"
HINTS = {
    SPEAKS_TLS: "Name the CA that signs its nodes: --tls-ca FILE, or DYN_TLS_CA",
    NO_TLS: "Leave out --tls-ca, and DYN_TLS_CA",
    "its certificate": "Name the CA of that cluster: --tls-ca FILE, or DYN_TLS_CA",
    "it says that our certificate": "Name one of that cluster: --tls-cert FILE --tls-key FILE",
}
"""What to do about a node that cannot be spoken to so, by how the reason begins."""

ALERT = b"\x15\x03"
"""How TLS begins to say that what it heard is not TLS."""

UNCERTAIN = "it may or may not have been written"


class Address(NamedTuple):
    """Where a node listens for clients."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read `HOST:PORT`, `HOST`, `:PORT` or `[v6]:PORT`; raises a usage error."""
    host, colon, port = text.rpartition(":")
    if not colon or (text.count(":") > 1 and not text.startswith("[")) or text.endswith("]"):
        host, port = text, str(PORT)
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise CliError(ExitStatus.USAGE, f"not an address: {text!r}", "Write HOST:PORT, as in 127.0.0.1:7700")
    return Address(host.strip("[]") or "127.0.0.1", int(port))


def packed(words: tuple[Word, ...]) -> bytes:
    """One command as RESP: an array of bulk strings."""
    parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


class Files(NamedTuple):
    """The files of TLS: who signs nodes, and what we show, if anything. (A key may stand beside its certificate.)"""

    ca: str | None
    cert: str | None
    key: str | None


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while a write was under way. Like any Ctrl-C it ends the command, and it says what is not known."""


class Unreachable(Exception):
    """A node could not be spoken to; nothing was asked of it."""


class Connection:
    """One connection to one node, authenticated and named. `deadline` is an instant of `time.monotonic`."""

    def __init__(
        self,
        address: Address,
        deadline: float,
        *,
        password: str | None,
        writer: str,
        tls: SSLContext | None = None,
    ) -> None:
        self.address = address
        self._reader = hiredis.Reader(replyError=hiredis.ReplyError)
        try:
            self._socket = socket.create_connection(address, timeout=_left(deadline))
        except TimeoutError:
            raise Unreachable("no answer") from None
        except (OSError, ValueError) as error:  # ValueError: a NUL, or what no host name may be (UnicodeError)
            raise Unreachable(reason_of(error)) from None
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if tls is not None:
                from dynamo_cli.tls import secured

                self._socket.settimeout(_left(deadline))
                self._socket = secured(self._socket, tls)
            self._introduce(deadline, password, writer)
        except (OSError, hiredis.HiredisError) as error:
            self.close()
            raise Unreachable(reason_of(error)) from None
        except (CliError, Unreachable):
            self.close()
            raise

    def _introduce(self, deadline: float, password: str | None, writer: str) -> None:
        # Waiting for these answers tells a node that is frozen from one that works, before a write is sent to it.
        words: list[tuple[Word, ...]] = [("AUTH", password)] if password else []
        words.append(("CLIENT", "SETNAME", writer))
        self.send(*words)
        for _ in words:
            try:
                self.receive(deadline)
            except CliError as error:
                if error.message.startswith(TLS_WORDS):
                    raise Unreachable(SPEAKS_TLS) from None
                if error.message.startswith("your certificate"):
                    error.hint = HINTS["it says that our certificate"]
                if error.code != "ERR":  # Redis says ERR to a password where none is set, and to names it cannot take
                    error.message = f"{self.address} refuses us: {error.message}"
                    raise

    def send(self, *requests: tuple[Word, ...]) -> None:
        """Send commands, in order."""
        self._socket.sendall(b"".join(map(packed, requests)))

    def receive(self, deadline: float) -> Reply:
        """Wait for one reply. Raises CliError for an error reply, TimeoutError, and OSError when the node hung up."""
        while True:
            reply = self._reader.gets()
            if reply is not False:
                break
            self._socket.settimeout(_left(deadline))
            data = self._socket.recv(READ_BYTES)
            if not data:
                raise ConnectionResetError("the node closed the connection")
            if data.startswith(ALERT):
                raise ConnectionAbortedError(SPEAKS_TLS)
            self._reader.feed(data)
        if isinstance(reply, hiredis.ReplyError):
            raise from_reply(str(reply))
        return reply  # type: ignore[no-any-return]  # hiredis.Reader.gets is Any; RESP2 without encoding is Reply

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


class Client:
    """Asks the first of `addresses` that answers; keeps that connection until it fails.

    Every request ends within `timeout_s` (and GRACE_S), by an answer or by a CliError.
    """

    def __init__(
        self,
        addresses: Sequence[Address],
        *,
        timeout_s: float = 3.0,
        password: Callable[[], str | None] = lambda: None,
        writer: str = "dyn",
        tls: Files | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        assert addresses, "a client without addresses"
        self.addresses = tuple(addresses)
        self.timeout_s = timeout_s
        self._password = password
        self._writer = writer
        self._tls = tls
        self._tell = tell or (lambda text: None)
        self._context: SSLContext | None = None
        self._connection: Connection | None = None
        self.waiting: Callable[[str], AbstractContextManager[None]] = lambda nodes: nullcontext()
        """What is around every request, for who wants to say that it takes long; it is told whom we ask."""

    @property
    def address(self) -> Address:
        """The node that answers, or the first that will be asked."""
        return self._connection.address if self._connection else self.addresses[0]

    @property
    def timeout_words(self) -> tuple[Word, ...]:
        """The deadline as the server's commands take it."""
        return "TIMEOUT", max(1, round(self.timeout_s * 1000))

    def read(self, *words: Word) -> Reply:
        """Ask something that changes nothing: a node that fails is left for the next one."""
        with self.waiting(self._whom()):
            return self._read(words)

    def _read(self, words: tuple[Word, ...]) -> Reply:
        deadline = time.monotonic() + self.timeout_s + GRACE_S
        failures: dict[Address, str] = {}
        while True:
            connection = self._connect(deadline, failures)
            try:
                with self._told(connection, words):
                    connection.send(words)
                    return connection.receive(self._share(deadline, len(failures)))
            except (OSError, hiredis.HiredisError) as error:
                self.close()
                failures[connection.address] = reason_of(error)
            except KeyboardInterrupt:
                self.close()  # the answer would be taken for that of the next question
                raise

    def write(self, *words: Word) -> Reply:
        """Ask for a change, once. No answer is an error with status UNKNOWN."""
        with self.waiting(self._whom()):
            return self._write(words)

    def _whom(self) -> str:
        """Whom a request is for, in words: hosts that a node told are in it, so it is made safe where it is shown."""
        if self._connection is not None or len(self.addresses) == 1:
            return str(self.address)
        return f"{self.addresses[0]} and {len(self.addresses) - 1} more"

    def _write(self, words: tuple[Word, ...]) -> Reply:
        deadline = time.monotonic() + self.timeout_s + GRACE_S
        connection = self._connect(deadline, {})
        try:
            with self._told(connection, words):
                connection.send(words)
                return connection.receive(deadline)
        except (OSError, hiredis.HiredisError) as error:
            self.close()
            why = f"no answer from {connection.address} in {self.timeout_s:g} s"
            if not isinstance(error, TimeoutError):
                why = f"{connection.address} hung up ({reason_of(error)})"
            raise CliError(
                ExitStatus.UNKNOWN, f"outcome unknown: {why}; {UNCERTAIN}", "Look before writing again: dyn get KEY"
            ) from None
        except KeyboardInterrupt:
            self.close()
            raise Interrupted(
                f"outcome unknown: interrupted before {connection.address} answered; {UNCERTAIN}"
            ) from None

    def batch(self, requests: Sequence[tuple[Word, ...]], *, writes: bool) -> list[Reply | CliError]:
        """Send several commands in one go; return a reply, or the error that it is, for each.

        Reads may be repeated on the next node. Of writes none is: raises UNKNOWN if a connection fails under them.
        """
        deadline = time.monotonic() + self.timeout_s + GRACE_S
        failures: dict[Address, str] = {}
        while True:
            connection = self._connect(deadline, failures)
            try:
                with self._told(connection, (requests[0][0], f"and {len(requests) - 1} more")):
                    connection.send(*requests)
                    return [self._outcome(connection) for _ in requests]
            except (OSError, hiredis.HiredisError) as error:
                self.close()
                failures[connection.address] = reason_of(error)
                if writes:
                    why = f"{connection.address}: {reason_of(error)}"
                    raise CliError(ExitStatus.UNKNOWN, f"outcome unknown: {why}; {UNCERTAIN}") from None
            except KeyboardInterrupt:
                self.close()
                if writes:
                    raise Interrupted(f"outcome unknown: interrupted; {UNCERTAIN}") from None
                raise

    @contextmanager
    def _told(self, connection: Connection, words: Sequence[Word]) -> Iterator[None]:
        """Tell what is asked of whom, and how long it took."""
        begun, ending = time.monotonic(), "answered"
        try:
            yield
        except (OSError, hiredis.HiredisError) as error:
            ending = f"failed ({reason_of(error)})"
            raise
        except CliError as error:
            ending = f"refused ({error.code})"
            raise
        finally:
            took_ms = (time.monotonic() - begun) * 1000
            self._tell(f"{connection.address}: {_words(words)}: {ending} in {took_ms:.1f} ms")

    def _outcome(self, connection: Connection) -> Reply | CliError:
        """The next reply of a batch; each has its own time, as the node counts it from when it comes to the command."""
        try:
            return connection.receive(time.monotonic() + self.timeout_s + GRACE_S)
        except CliError as error:
            return error

    def _connect(self, deadline: float, failures: dict[Address, str]) -> Connection:
        if self._connection is not None:
            return self._connection
        for address in self.addresses:
            if address in failures:
                continue
            try:
                share = self._share(deadline, len(failures))
                password = self._password()
                tls = self._secured()
                self._connection = Connection(address, share, password=password, writer=self._writer, tls=tls)
                return self._connection
            except Unreachable as failure:
                failures[address] = str(failure)
        raise self._gave_up(failures)

    def _secured(self) -> SSLContext | None:
        """What connections are made with, made when the first one is. Raises CliError."""
        if self._tls is not None and self._context is None:
            from dynamo_cli.tls import context_of

            self._context = context_of(self._tls)
        return self._context

    def _share(self, deadline: float, tried: int) -> float:
        """The instant until which one node may keep us, so that those after it get their turn."""
        now = time.monotonic()
        return now + (deadline - now) / max(1, len(self.addresses) - tried)

    def _gave_up(self, failures: dict[Address, str]) -> CliError:
        reasons = ", ".join(f"{address} ({reason})" for address, reason in failures.items())
        if "no answer in time" in failures.values():
            return CliError(ExitStatus.UNKNOWN, f"no answer from {reasons}", "Allow more time: --timeout 10")
        start = "Start a node: dyn node start, or name one: -n HOST:PORT"
        return CliError(ExitStatus.UNREACHABLE, f"cannot reach {reasons}", hint_for(failures.values()) or start)

    def close(self) -> None:
        """Hang up; the next request connects again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def hint_for(reasons: Iterable[str]) -> str:
    """What to type about nodes that cannot be spoken to for these reasons, if that is more than starting one."""
    return next((hint for reason in reasons for begin, hint in HINTS.items() if reason.startswith(begin)), "")


def _words(words: Sequence[Word]) -> str:
    """The first words of a request, as they may be shown: no values, which may be long, or nobody's business."""
    return " ".join(w.decode("utf-8", "backslashreplace") if isinstance(w, bytes) else str(w) for w in words[:2])


def _left(deadline: float) -> float:
    return max(0.001, deadline - time.monotonic())


def reason_of(error: Exception) -> str:
    """Why a node cannot be spoken to, in a word or two."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, hiredis.HiredisError):
        return "does not speak RESP"
    if isinstance(error, socket.gaierror | ValueError):
        return "no such host"
    if isinstance(error, OSError) and hasattr(error, "reason"):
        return _tls_reason(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error)


def _tls_reason(error: OSError) -> str:
    """What an error of TLS (it alone has a `reason`) means."""
    import ssl

    from node.tls import why_of

    return why_of(error) if isinstance(error, ssl.SSLError) else str(error)
