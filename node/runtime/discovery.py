"""Finding nodes of the same cluster name on the network: multicast DNS (RFC 6762), type `_dyn._tcp.local.` (RFC 6763).

What comes out is addresses to try, no more: whoever is there must still prove the cluster key. Anybody can announce
anything, so they are few at a time, a bounded number a second, and none has its place for good (`candidates`).

Everything happens in the background, and every failure is one fact: a node without multicast is a node that needs
`--join`, not a broken one. Mostly nothing fails there: packets are just not passed on. So a node listens for its own
announcement, which comes back to it wherever multicast works.

Instance and host names are made from the node id, which nobody else has: there is nothing to probe for, so a node is
announced the moment its socket is open (probing takes 1.6 s, more than half of what a node waits before it founds).
Questions ask for multicast answers from the start: nodes of one host share the port, and a unicast answer reaches but
one of them.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from hashlib import sha256
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from node.core.ids import NodeId
from node.core.limits_discovery import CANDIDATES_AGAIN_S, CANDIDATES_PER_S, HEARD_S, RESOLVES_MAX
from node.engine.events import Candidate, Event, Withdrawn
from node.runtime.candidates import Candidates
from node.runtime.sockets import join_address, split_address
from node.wire.codec import PROTOCOL

if TYPE_CHECKING:
    from zeroconf import ServiceStateChange, Zeroconf
    from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

SERVICE: Final = "_dyn._tcp.local."
GROUP: Final = ("224.0.0.251", 5353)
"""Where multicast DNS is spoken (RFC 6762, section 3)."""

PTR: Final = 12
IN: Final = 1
"""Type and class of the record that has a name of our service (RFC 1035)."""

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
    CANDIDATES_PER_S a second, and one `Withdrawn` when it is not announced any more, or when it `failed` and others
    wait; at most CANDIDATES_MAX at a time.
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
        self._candidates = Candidates()
        self._wake = asyncio.Event()
        self._resolving = 0
        self._heard = asyncio.Event()
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
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            self._on_fact("discovery-failed", {"why": why})

    async def _run(self) -> None:
        """Open the sockets, browse, announce."""
        await asyncio.to_thread(import_module, "zeroconf.asyncio")  # takes 80 ms; requests need not wait for it
        from zeroconf import DNSQuestionType, InterfaceChoice, IPVersion
        from zeroconf.asyncio import AsyncServiceBrowser, AsyncZeroconf

        own = self._said = self._announcement()
        info = service_info(own)  # first: it says best what is wrong where no route leads out
        anywhere = is_anywhere(own.host)
        self._zeroconf = AsyncZeroconf(
            interfaces=InterfaceChoice.Default if anywhere else [own.host],
            ip_version=IPVersion.V6Only if not anywhere and ":" in own.host else IPVersion.V4Only,
        )
        await self._zeroconf.zeroconf.async_wait_for_start()
        self._browser = AsyncServiceBrowser(
            self._zeroconf.zeroconf, SERVICE, handlers=[self._changed], question_type=DNSQuestionType.QM
        )
        self._spawn(self._try)
        await (await self._zeroconf.async_register_service(info, cooperating_responders=True))
        self.refresh()
        try:
            async with asyncio.timeout(HEARD_S):
                await self._heard.wait()
        except TimeoutError:
            raise OSError(f"multicast from {own.host} does not come back to it") from None

    async def _update(self) -> None:
        assert self._zeroconf is not None
        self._said = self._announcement()
        await (await self._zeroconf.async_update_service(service_info(self._said)))

    # What others announce --------------------------------------------------------------------------------

    def failed(self, address: str) -> None:
        """Whoever was to be at an address did not prove to be of our cluster, or was not there."""
        self._withdraw(self._candidates.failed(address))

    def _changed(self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        """Somebody came, went, or says something else than before."""
        from zeroconf import ServiceStateChange

        if self._closed:
            return
        if name == f"{self._announcement().node_id}.{SERVICE}":
            self._heard.set()
        elif state_change is ServiceStateChange.Removed:
            self._withdraw(self._candidates.gone(name))
        else:
            self._candidates.heard(name)
            self._wake.set()

    def _withdraw(self, addresses: tuple[str, ...]) -> None:
        if addresses and not self._closed:
            self._on_events([Withdrawn(address) for address in addresses])
            self._wake.set()

    async def _try(self) -> None:
        """Give one name after the other a place, at a bounded rate; when all had theirs, begin again."""
        loop = asyncio.get_running_loop()
        again_at = loop.time() + CANDIDATES_AGAIN_S
        while True:
            for name in iter(self._candidates.next, None):
                await asyncio.sleep(1 / CANDIDATES_PER_S if self._look_at(name) else 0)
            if loop.time() >= again_at:
                again_at = loop.time() + CANDIDATES_AGAIN_S
                self._candidates.again(self._announced())
                continue
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(again_at):
                    await self._wake.wait()

    def _announced(self) -> list[str]:
        """Every name that zeroconf remembers, in the order in which it heard of them. (It remembers 10,000 records.)"""
        assert self._zeroconf is not None
        found = self._zeroconf.zeroconf.cache.get_all_by_details(SERVICE, PTR, IN)
        return [str(getattr(pointer, "alias", "")) for pointer in found]

    def _look_at(self, name: str) -> bool:
        """Offer the address of a name that claims our cluster, if its particulars are known; whether it was offered."""
        from zeroconf.asyncio import AsyncServiceInfo

        assert self._zeroconf is not None
        try:
            info = AsyncServiceInfo(SERVICE, name)
            if info.load_from_cache(self._zeroconf.zeroconf):
                return self._consider(info)
        except failures():  # of what somebody has put together by hand
            return False
        if self._resolving < RESOLVES_MAX:
            self._resolving += 1
            self._spawn(partial(self._resolve, info))
        return False

    async def _resolve(self, info: AsyncServiceInfo) -> None:
        """Ask for the particulars of a name."""
        assert self._zeroconf is not None
        try:
            with suppress(*failures()):
                if await info.async_request(self._zeroconf.zeroconf, RESOLVE_MS):
                    self._candidates.heard(info.name)
        finally:
            self._resolving -= 1
            self._wake.set()

    def _consider(self, info: AsyncServiceInfo) -> bool:
        """Offer the address of a node that claims our cluster name."""
        own = self._announcement()
        said = info.properties
        if said.get(b"cluster") != own.cluster.encode() or said.get(b"node") in (None, own.node_id.encode()):
            return False
        address = usable_address(info.parsed_addresses(), info.port or 0, loopback=is_loopback(own.host))
        if address is None or address == join_address(own.host, own.peer_port):
            return False
        offered, left = self._candidates.take(info.name, address)
        self._withdraw(left)
        if offered:
            self._on_events([Candidate(address)])
        return offered


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


def outward_address(seeds: Sequence[str] = ()) -> str:
    """The address that multicast leaves from; without a route for it the one towards the first seed that has one.

    Sends nothing. OSError if there is no way out.
    """
    why: OSError | None = None
    for host, port in (GROUP, *map(split_address, seeds)):
        try:
            with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.connect((host, port))
                return str(probe.getsockname()[0])
        except OSError as error:
            why = why or error
    assert why is not None, "somewhere was tried"
    raise why
