"""How connections of one node are opened: as whom, with which cluster keys, and whether under TLS."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from secrets import token_bytes
from typing import cast

from node.core.limits import DIAL_S_MAX
from node.runtime.certificates import Tls
from node.runtime.links import Hub, Link
from node.runtime.sockets import split_address
from node.runtime.tls import TlsConnection
from node.wire.handshake import NONCE_BYTES, Acceptor, Dialer, Hello, Keys, Outcome, Reason, Rejected, derive_keys

MakeLink = Callable[[Hub, Dialer | Acceptor, Hello, str | None], Link]


class Openings:
    """Makes the links of `hub`. `keys` come from the cluster keys: it dials with the first, and lets in any of them."""

    def __init__(
        self, hub: Hub, cluster: str, cluster_keys: Sequence[bytes], hello: Callable[[], Hello], link: MakeLink,
        tls: Tls | None,
    ) -> None:  # fmt: skip
        self._hub = hub
        self._cluster = cluster
        self._hello = hello
        self._link = link
        self._accepted_tls = tls.peer_port(self._no_tls) if tls is not None else None
        self._dialled_tls = tls.dialler() if tls is not None else None
        self.keys: tuple[Keys, ...] = ()
        self.take(cluster_keys)

    def take(self, cluster_keys: Sequence[bytes]) -> None:
        """These are the cluster keys from now on."""
        self.keys = tuple(map(derive_keys, cluster_keys))

    @property
    def encrypted(self) -> bool:
        """Whether all links are TLS."""
        return self._accepted_tls is not None

    @property
    def tls_refusals(self) -> int:
        """How many connections were turned away because of TLS."""
        return 0 if self._accepted_tls is None else self._accepted_tls.refusals

    def close(self) -> None:
        """End the handshakes of TLS that are under way."""
        for tls in filter(None, (self._accepted_tls, self._dialled_tls)):
            tls.close()

    def _no_tls(self, address: str, why: str) -> None:
        self._hub.fact("peer-rejected", address=address, why=f"{Reason.TLS.value} ({why})")

    def accepted(self) -> asyncio.Protocol:
        """Somebody connected."""
        own = self._hello()
        link = self._link(self._hub, Acceptor(self.keys, self._cluster, own, token_bytes(NONCE_BYTES)), own, None)
        return link if self._accepted_tls is None else self._accepted_tls.wrap(link)

    async def dial(self, address: str) -> Outcome:
        """Dial once. Raises OSError, or TimeoutError after DIAL_S_MAX without a connection."""
        loop = asyncio.get_running_loop()
        host, port = split_address(address)

        def dialled() -> Link | TlsConnection:
            own = self._hello()
            opening = Dialer(self.keys[0], self._cluster, own, token_bytes(NONCE_BYTES))
            link = self._link(self._hub, opening, own, address)
            return link if self._dialled_tls is None else self._dialled_tls.wrap(link)

        async with asyncio.timeout(DIAL_S_MAX):
            _, link = await loop.create_connection(dialled, host, port)
        if isinstance(link, TlsConnection):
            why = await asyncio.shield(link.opened)
            if why:
                return Rejected(Reason.TLS, why)
            link = cast(Link, link.inner)
        return await link.ended
