"""One connection of a measurement: what is under way on it, and how it is made."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import hiredis

from dynamo_cli.client import SPEAKS_TLS, TLS_WORDS, Address, Unreachable, hint_for, packed, reason_of
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus

if TYPE_CHECKING:
    from ssl import SSLContext

    from dynamo_cli.tls import Unblocked

READ_BYTES = 256 * 1024


class Access(NamedTuple):
    """How connections are made: with which password, over TLS or not, and how long that may take."""

    password: str | None
    timeout_s: float
    tls: SSLContext | None


class Lane:
    """One connection and its batch under way: `ops[i]` was meant to be sent at `intended[i]`, all were at `sent_at`."""

    def __init__(self, address: Address, access: Access) -> None:
        self.access = access
        self.sent_at = 0.0
        self.clear()
        self.connect(address)

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def clear(self) -> None:
        """Nothing is under way."""
        self.ops: Sequence[str] = ()
        self.intended: Sequence[float] = ()
        self.replies = 0
        self.rest = b""

    @property
    def waiting(self) -> int:
        """Requests that are not answered yet."""
        return len(self.ops) - self.replies

    def connect(self, address: Address) -> None:
        """Connect, anew perhaps and to another node. Raises CliError."""
        self.address = address
        self.reader = hiredis.Reader(replyError=hiredis.ReplyError)
        try:
            plain = socket.create_connection(address, timeout=self.access.timeout_s)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket = self._ready(plain)
        except Unreachable as error:
            raise unreachable(address, str(error)) from None
        except (OSError, ValueError) as error:  # ValueError: what no host name may be
            raise unreachable(address, reason_of(error)) from None

    def _ready(self, plain: socket.socket) -> socket.socket | Unblocked:
        """The connection for the selector, after TLS and password."""
        if self.access.tls is not None:
            from dynamo_cli.tls import Unblocked, secured

            made = secured(plain, self.access.tls)
            self._introduce(made)
            return Unblocked(made)
        self._introduce(plain)
        plain.setblocking(False)
        return plain

    def _introduce(self, made: socket.socket) -> None:
        """Say the password, if there is one, and wait for the answer."""
        if not self.access.password:
            return
        made.sendall(packed(("AUTH", self.access.password)))
        while (reply := self.reader.gets()) is False:
            data = made.recv(READ_BYTES)
            if not data:
                raise ConnectionResetError("the node closed the connection")
            self.reader.feed(data)
        if isinstance(reply, hiredis.ReplyError):
            raise Unreachable(SPEAKS_TLS) if TLS_WORDS in str(reply) else CliError(ExitStatus.REFUSED, str(reply))


def unreachable(address: Address, why: str) -> CliError:
    """The error for a node that cannot be spoken to."""
    hint = hint_for([why]) or "Start one: dyn node start"
    return CliError(ExitStatus.UNREACHABLE, f"cannot reach {address} ({why})", hint)
