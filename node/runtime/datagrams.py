"""The datagram socket of a node, on the number of its peer port: copies of frames, of all links."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import cast

from node.wire.copies import LINK_BYTES

Hear = Callable[[bytes], None]


class Datagrams(asyncio.DatagramProtocol):
    """Sends datagrams, and hands those that arrive to the link they name. Nothing is proven here: links do that."""

    def __init__(self) -> None:
        self._ears: dict[bytes, Hear] = {}
        self._transport: asyncio.DatagramTransport | None = None
        self._v6 = False

    async def listen(self, host: str, port: int) -> str:
        """Take host:port; return why that is not possible, or ""."""
        loop = asyncio.get_running_loop()
        try:
            infos = await loop.getaddrinfo(host or None, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
            family, _, _, _, address = infos[0]
            sock = socket.socket(family, socket.SOCK_DGRAM)
            try:
                sock.setblocking(False)
                sock.bind(address)
                await loop.create_datagram_endpoint(lambda: self, sock=sock)
            except OSError:
                sock.close()
                raise
        except OSError as error:
            return error.strerror or str(error)
        self._v6 = family == socket.AF_INET6
        return ""

    def listen_for(self, link: bytes, hear: Hear) -> None:
        """Give datagrams that name `link` to `hear`."""
        self._ears[link] = hear

    def ignore(self, link: bytes) -> None:
        """That link is gone."""
        self._ears.pop(link, None)

    def way_to(self, host: str, port: int) -> Hear | None:
        """What sends a datagram there, or loses it; None if there is no way from our socket."""
        if self._transport is None or (":" in host) != self._v6 or "%" in host:
            return None

        def post(datagram: bytes) -> None:
            with suppress(OSError, ValueError, RuntimeError):  # it is lost, as any other may be: TCP has the frame, too
                if self._transport is not None:
                    self._transport.sendto(datagram, (host, port))

        return post

    def close(self) -> None:
        """Stop."""
        self._ears.clear()
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    # What the loop calls ---------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        """A datagram arrived, from whomever."""
        hear = self._ears.get(data[:LINK_BYTES])
        if hear is not None:
            hear(data)

    def error_received(self, exc: Exception) -> None:
        """One that we sent was refused, as on a machine where nobody listens: TCP says what that means."""
