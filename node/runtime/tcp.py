"""What connections ask of TCP: to say things at once, to notice when nobody hears them, to end without a doubt."""

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
