"""Telling the service manager how we are (sd_notify(3)): a datagram to the socket that NOTIFY_SOCKET names."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress


def notify(environ: Mapping[str, str], *lines: str) -> None:
    """Send `lines`, such as READY=1. Without a manager, or one that listens, nothing happens."""
    address = environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
        manager.sendto("\n".join(lines).encode(), address.replace("@", "\0", 1) if address[0] == "@" else address)
