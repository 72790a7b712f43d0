"""The sockets of peers and clients: how they are set, how they end, and how addresses are written."""

from __future__ import annotations

import contextlib
import socket
import sys

from node.core.limits import DOWN_AFTER_S

KEEPALIVE_S = 15
"""A connection nobody uses is probed after this long: the table of a router in between forgets it sooner than we do."""

TCP_THIN_LINEAR_TIMEOUTS = 16
"""Of Linux (netinet/tcp.h): a connection with little to say tries again every 200 ms, not after pauses that double."""

TCP_RTO_MAX_MS = 44
"""Of Linux, from 6.15: longest pause between two tries of any connection, here the shortest that it takes."""

ANYWHERE = ("", "0.0.0.0", "::")


def tune(sock: socket.socket | None) -> None:
    """No waiting for a full segment; a silent end is probed, and given up when nothing sent is acknowledged.

    TCP would go on for a quarter of an hour, at intervals that double: after a cut of twenty seconds, ten more passed
    before it tried again. A new dial, whose pauses are short, is through within two or three.
    """
    if sock is None:
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "linux":
        sock.setsockopt(socket.IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, 1)
        with contextlib.suppress(OSError):  # a kernel before 6.15
            sock.setsockopt(socket.IPPROTO_TCP, TCP_RTO_MAX_MS, 1000)
    times = {
        "TCP_KEEPIDLE": KEEPALIVE_S, "TCP_KEEPINTVL": KEEPALIVE_S // 3, "TCP_KEEPCNT": 3,
        "TCP_USER_TIMEOUT": round(DOWN_AFTER_S * 1000),
    }  # fmt: skip
    for option, value in times.items():
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def cork(sock: socket.socket | None) -> None:
    """Hold back what is written until the end of the connection, so that both arrive at once (tcp(7)).

    A client that reads a last reply, and learns only after it that the connection is at its end, may have asked again.
    """
    if sock is not None and sys.platform == "linux":
        with contextlib.suppress(OSError):  # a socket file
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)


def remote_address(peername: tuple[str, int] | None) -> str:
    """host:port of the other end of an accepted connection."""
    return join_address(peername[0], peername[1]) if peername else ""


def join_address(host: str, port: int) -> str:
    """host:port, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def split_address(address: str) -> tuple[str, int]:
    """The host and port of `host:port` or `[v6]:port`; ValueError if it is neither."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or not 1 <= int(port[:6]) <= 0xFFFF:
        raise ValueError(f"not host:port: {address!r}")
    return host.removeprefix("[").removesuffix("]"), int(port)


def listening_address(host: str, port: int, remote: str) -> str:
    """Where to dial a node: what it says, or, if it listens everywhere, where it comes from."""
    if host in ANYWHERE and remote:
        host = split_address(remote)[0]
    return join_address(host, port)
