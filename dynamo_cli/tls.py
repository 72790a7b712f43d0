"""The command line's side of TLS. Imported only where TLS is spoken: the `ssl` module takes time to load.

Whoever answers must show a certificate of the CA that was named, of the role node (`node.core.roles`). Names of hosts
are not compared: nodes are reached under many addresses, and move; what counts is that the cluster's CA signed them.
"""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

from dynamo_cli.client import NO_TLS, Files, Unreachable
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from node.core.roles import NODE, fault_of
from node.tls import REASONS, client_context, why_of

READ_BYTES_MAX = 1024 * 1024
"""What one `recv` may gather from several records."""


def context_of(files: Files) -> ssl.SSLContext:
    """What connections are made with; CliError if a file cannot be used."""
    for name, path in files._asdict().items():
        if path is not None:
            try:
                with Path(path).expanduser().open("rb"):
                    pass
            except OSError as error:
                raise _unusable(f"cannot read the TLS file {path}: {error.strerror}", name) from None
    ca, cert, key = (None if path is None else Path(path).expanduser() for path in files)
    assert ca is not None, "TLS without a CA"
    try:
        client_context(ca)
    except ssl.SSLError:
        raise _unusable(f"{ca} holds no certificate (PEM)", "ca") from None
    try:
        return client_context(ca, cert, key)
    except ssl.SSLError:
        raise _unusable(f"{cert} and {key or cert} are no certificate and its key (PEM)", "cert") from None


def _unusable(why: str, name: str) -> CliError:
    return CliError(ExitStatus.REFUSED, why, f"Name another file: --tls-{name} FILE")


def secured(plain: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
    """Speak TLS on a connection, within its timeout. Raises Unreachable, or TimeoutError."""
    try:
        made = context.wrap_socket(plain)
    except ssl.SSLError as error:
        why = why_of(error)
        raise Unreachable(NO_TLS if why == REASONS["WRONG_VERSION_NUMBER"] else why) from None
    except TimeoutError:
        raise
    except OSError:  # EOF, or a reset
        raise Unreachable("it hung up in the TLS handshake") from None
    fault = fault_of(made.getpeercert() or {}, (NODE,), None)
    if fault:
        made.close()
        raise Unreachable(f"its certificate {fault}")
    return made


class Unblocked:
    """A TLS connection for a selector: a `recv` takes all that can be deciphered, so that none is left unseen."""

    def __init__(self, made: ssl.SSLSocket) -> None:
        made.setblocking(False)
        self._made = made

    def fileno(self) -> int:
        """For selectors."""
        return self._made.fileno()

    def recv(self, size: int) -> bytes:
        """What came. Raises BlockingIOError if that is nothing, OSError."""
        data = b""
        while len(data) < READ_BYTES_MAX:
            try:
                piece = self._made.recv(size)
            except ssl.SSLWantReadError:
                break
            if not piece:
                return data
            data += piece
        if not data:
            raise BlockingIOError
        return data

    def send(self, data: bytes) -> int:
        """Send what fits. Raises BlockingIOError if that is nothing, OSError."""
        try:
            return self._made.send(data)
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            raise BlockingIOError from None

    def close(self) -> None:
        """Hang up."""
        self._made.close()
