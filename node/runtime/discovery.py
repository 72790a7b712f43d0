"""Finding nodes of the same cluster name on the network: multicast DNS (RFC 6762), type `_dyn._tcp.local.` (RFC 6763).

What comes out is addresses to try, no more: whoever is there must still prove the cluster key. Everything happens in
the background, and every failure is one fact: a node without multicast is a node that needs `--join`, not a broken one.

Instance and host names are made from the node id, which nobody else has: there is nothing to probe for, so a node is
announced the moment its socket is open (probing takes 1.6 s, more than half of what a node waits before it founds).
Questions ask for multicast answers from the start: nodes of one host share the port, and a unicast answer reaches but
one of them.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Coroutine
from functools import partial
from hashlib import sha256
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from node.core.ids import NodeId
from node.core.limits import CANDIDATES_MAX
from node.engine.events import Candidate, Event
from node.runtime.links import join_address
from node.wire.codec import PROTOCOL

if TYPE_CHECKING:
    from zeroconf import ServiceStateChange, Zeroconf
    from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

SERVICE: Final = "_dyn._tcp.local."
RESOLVE_MS: Final = 1000
"""How long the particulars of a name may take when they did not come with it."""

CLOSE_S: Final = 1.0
"""A clean stop says goodbye three times in a quarter of a second; a broken network gets no longer than this."""


class Announcement(NamedTuple):
    """What a node says about itself. `cluster_id` is "" without a seat; `host` is where it listens."""

    cluster: str
    cluster_id: str
    node_id: NodeId
    host: str
    peer_port: int


class Discovery:
    """Announces this node and looks for others, from `start` to `close`.

    `announcement` says what to announce now; call `refresh` after a change. Each address found is one `Candidate`,
    while it is announced; at most CANDIDATES_MAX at a time.
    """

    def __init__(
        self,
        announcement: Callable[[], Announcement],
        on_events: Callable[[list[Event]], None],
        on_fact: Callable[[str, dict[str, object]], None],
    ) -> None:
        self._announcement = announcement
        self._on_events = on_events
        self._on_fact = on_fact
        self._said: Announcement | None = None
        self._zeroconf: AsyncZeroconf | None = None
        self._browser: AsyncServiceBrowser | None = None
        self._candidates: dict[str, str] = {}  # service name: address
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed = False
        self._closed = False

    def start(self) -> None:
        """Begin, in the background."""
        self._spawn(self._run)

    def refresh(self) -> None:
        """Announce again if what there is to announce has changed."""
        if self._zeroconf is not None and self._said is not None and self._said != self._announcement():
            self._spawn(self._update)

    async def close(self) -> None:
        """Withdraw the announcement and stop, within about CLOSE_S."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._zeroconf is None:
            return
        if self._browser is not None:
            await self._browser.async_cancel()
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._zeroconf.async_close()
        except failures() as error:
            self._fail(error)

    # The background --------------------------------------------------------------------------------------

    def _spawn(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = asyncio.get_running_loop().create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except failures() as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        """One warning, whatever and however often it fails."""
        if not self._failed:
            self._failed = True
            self._on_fact("discovery-failed", {"why": str(error) or type(error).__name__})

    async def _run(self) -> None:
        """Open the sockets, browse, announce."""
        await asyncio.to_thread(import_module, "zeroconf.asyncio")  # takes 80 ms; requests need not wait for it
        from zeroconf import DNSQuestionType, InterfaceChoice, IPVersion
        from zeroconf.asyncio import AsyncServiceBrowser, AsyncZeroconf

        own = self._said = self._announcement()
        anywhere = is_anywhere(own.host)
        self._zeroconf = AsyncZeroconf(
            interfaces=InterfaceChoice.Default if anywhere else [own.host],
            ip_version=IPVersion.V6Only if not anywhere and ":" in own.host else IPVersion.V4Only,
        )
        await self._zeroconf.zeroconf.async_wait_for_start()
        self._browser = AsyncServiceBrowser(
            self._zeroconf.zeroconf, SERVICE, handlers=[self._changed], question_type=DNSQuestionType.QM
        )
        await (await self._zeroconf.async_register_service(service_info(own), cooperating_responders=True))
        self.refresh()

    async def _update(self) -> None:
        assert self._zeroconf is not None
        self._said = self._announcement()
        await (await self._zeroconf.async_update_service(service_info(self._said)))

    # What others announce --------------------------------------------------------------------------------

    def _changed(self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        """Somebody came, went, or says something else than before."""
        from zeroconf import ServiceStateChange
        from zeroconf.asyncio import AsyncServiceInfo

        if state_change is ServiceStateChange.Removed:
            self._candidates.pop(name, None)
            return
        if self._closed or name in self._candidates or len(self._candidates) >= CANDIDATES_MAX:
            return
        info = AsyncServiceInfo(service_type, name)
        if info.load_from_cache(zeroconf):
            self._consider(info)
        elif len(self._tasks) < CANDIDATES_MAX:
            self._spawn(partial(self._resolve, zeroconf, info))

    async def _resolve(self, zeroconf: Zeroconf, info: AsyncServiceInfo) -> None:
        if await info.async_request(zeroconf, RESOLVE_MS):
            self._consider(info)

    def _consider(self, info: AsyncServiceInfo) -> None:
        """Offer the address of a node that claims our cluster name."""
        own = self._announcement()
        said = info.properties
        if said.get(b"cluster") != own.cluster.encode() or said.get(b"node") in (None, own.node_id.encode()):
            return
        address = usable_address(info.parsed_addresses(), info.port or 0, loopback=is_loopback(own.host))
        if address is None or address in self._candidates.values() or len(self._candidates) >= CANDIDATES_MAX:
            return
        self._candidates[info.name] = address
        self._on_events([Candidate(address)])


def failures() -> tuple[type[Exception], ...]:
    """What a network without multicast, and zeroconf itself, may raise."""
    from zeroconf import Error

    return OSError, RuntimeError, ValueError, TimeoutError, Error


def service_info(own: Announcement) -> AsyncServiceInfo:
    """The records of one node. The cluster id goes out as a hash: it is nobody else's business, equality is."""
    from zeroconf.asyncio import AsyncServiceInfo

    return AsyncServiceInfo(
        SERVICE,
        f"{own.node_id}.{SERVICE}",
        port=own.peer_port,
        properties={
            "cluster": own.cluster,
            "id": sha256(own.cluster_id.encode()).hexdigest()[:16] if own.cluster_id else "",
            "node": own.node_id,
            "port": str(own.peer_port),
            "v": str(PROTOCOL),
        },
        server=f"dyn-{own.node_id}.local.",
        parsed_addresses=[outward_address() if is_anywhere(own.host) else own.host],
    )


def usable_address(addresses: list[str], port: int, *, loopback: bool) -> str | None:
    """host:port to dial: IPv4 first; a loopback address only from nodes that share our loopback, and then no other."""
    if not 1 <= port <= 0xFFFF:
        return None
    usable = [address for address in addresses if is_loopback(address) == loopback and not is_anywhere(address)]
    usable.sort(key=lambda address: ":" in address)
    return join_address(usable[0], port) if usable else None


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_anywhere(host: str) -> bool:
    """Whether `host` stands for every address of the machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return host == ""


def outward_address() -> str:
    """The address that multicast leaves from. Sends nothing. OSError if there is no way out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("224.0.0.251", 5353))
        return str(probe.getsockname()[0])
