"""A node's life: what is opened in which order, how it becomes ready, how it stops. Owns every part, decides nothing.

    ports free? ─► secrets ─► data directory, store ─► engine ─► peer, client and HTTP port ─► discovery
                                                                       │ seat
    SIGTERM ─► no new clients ─► requests in flight end ─► links ─► store closed ─► exit 0      ready

Everything that can be wrong with a machine is a StartError, one sentence, before the first line of the log.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable
from random import Random
from secrets import token_bytes, token_hex
from time import monotonic
from typing import NamedTuple

import uvloop

from node import __version__
from node.core.ids import NodeId
from node.core.limits import STOP_S_MAX
from node.engine.config import NodeConfig
from node.engine.events import Event
from node.engine.node import Node
from node.runtime import clock, driver, ports
from node.runtime.about import About
from node.runtime.certificates import EXPIRES_SOON_S, Tls, open_tls
from node.runtime.clients import ClientListener
from node.runtime.config import NodeSettings, StartError
from node.runtime.discovery import Announcement, Discovery, is_anywhere, outward_address
from node.runtime.driver import Driver
from node.runtime.faulty import FaultyNetwork
from node.runtime.hangup import on_hangup
from node.runtime.http import HttpListener
from node.runtime.keys import Secrets, read_secrets
from node.runtime.links import Link
from node.runtime.log import ENDS, Log
from node.runtime.measures import Measures
from node.runtime.notify import notify
from node.runtime.sockets import join_address
from node.runtime.store import Store
from node.runtime.switches import Switches
from node.runtime.transport import PeerTransport
from node.runtime.watchdog import keep_telling
from node.storage.port import HintTotals
from node.wire.handshake import Hello
from node.wire.versions import NEWEST, OLDEST

TURN_S = 0.0005
"""How long one of a node's two busy threads keeps the interpreter while the other one waits for it. The storage thread
gives it up at every row that it writes; at Python's 5 ms it then waited for the loop longer than for the disk."""


class Ready(NamedTuple):
    """A node that may be used: what the ready line says, and a little more for a banner."""

    name: str
    cluster: str
    client: str
    peer: str
    http: str
    pid: int
    data_dir: str
    members: int
    seconds: float

    def line(self) -> str:
        """The line that scripts wait for."""
        return (
            f"ready {self.name} cluster={self.cluster} client={self.client} peer={self.peer} http={self.http} "
            f"pid={self.pid}"
        )


def serve(settings: NodeSettings, ready: Callable[[Ready], None]) -> int:
    """Run a node until it is told to stop; return the exit status. `ready` is called once. Raises StartError."""
    began = monotonic()
    ports.check_ports(settings)
    secrets = read_secrets(settings, os.environ)
    tls = open_tls(settings)
    store = Store.open(settings)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(Server(settings, secrets, store, ready, began, tls).run())
    finally:
        store.close()


class Server:
    """One running node."""

    def __init__(
        self,
        settings: NodeSettings,
        secrets: Secrets,
        store: Store,
        ready: Callable[[Ready], None],
        began: float,
        tls: Tls | None = None,
    ) -> None:
        self.settings = settings
        self.store = store
        self.began = began
        self.switches: Switches | None = None
        self.log = Log(sys.stderr, self.wall_s, monotonic, form=settings.log_format, least=settings.log_level)
        self.config = node_config(settings, store)
        self._secrets, self.tls = secrets, tls
        self._tell_ready: Callable[[Ready], None] | None = ready
        self._life = token_hex(8)
        self._stop_code = 0

    async def run(self) -> int:
        """Open everything, serve until told to stop, close everything; return the exit status."""
        self.loop = asyncio.get_running_loop()
        self._stopping: asyncio.Future[str] = self.loop.create_future()
        self.loop.set_exception_handler(self._exception)
        for number in (signal.SIGTERM, signal.SIGINT):
            self.loop.add_signal_handler(number, self._signalled, number)
        on_hangup(self.loop, self._read_secrets_again, self._signalled)
        self._build()
        try:
            await self._open()
            why = await self._stopping
            await self._wind_down(why)
        finally:
            await self._close()
        return self._stop_code

    def _build(self) -> None:
        """Make the parts and join them."""
        self.node = Node(
            self.config,
            self.store.identity,
            self.store.state,
            rng=Random(token_bytes(16)),
            entropy=token_bytes,
            wall_offset_s=clock.wall_offset_s(),
        )
        self.hello = self._hello()
        self.measures = Measures(
            monotonic,
            totals=self.store.totals,
            hints=self._hints,
            storage=self.store.figures,
            queues=self.queue_lengths,
            tombstones=self.store.tombstone_count,
        )
        self.discovery = Discovery(self._announcement, self._happened, self._fact)
        network = FaultyNetwork(self.node.cluster.member_at, Random(token_bytes(16))) if self.store.switch else None
        self.transport = PeerTransport(
            cluster=self.settings.cluster,
            cluster_keys=self._secrets.keys,
            hello=lambda: self.hello,
            on_events=self._happened,
            on_fact=self._fact,
            rng=Random(token_bytes(16)),
            link=network.link if network else Link,
            on_failed=self.discovery.failed,
            tls=self.tls,
        )
        if network:
            self.switches = Switches(self.node, self.transport, network, self.store, self.loop, self._fact)
        self.driver = Driver(self.node, self.store, self.transport, self.measures, self._fact, self._changed)
        self.about = About(self)
        self.clients = ClientListener(
            self.driver.submit,
            self.driver.nudge,
            self.about,
            password=self._secrets.password,
            full=self.node.shared.load.turns_away,
            tls=self.tls.client_port(self._no_tls) if self.tls else None,
        )
        self.clients.faults = self.switches.obey if self.switches else None
        https = self.tls.http_port(self._no_tls, self.settings.listen) if self.tls else None
        self.http = HttpListener(self.about.site().answer, tls=https)

    def _no_tls(self, address: str, why: str) -> None:
        self._fact("client-no-tls", {"address": address, "why": why})

    def _hints(self) -> tuple[HintTotals, ...]:
        """What is owed to whom, as the store says now: it may have become another one since."""
        return self.store.hint_totals()

    async def _open(self) -> None:
        """Start the store's thread and the engine, and open the ports."""
        settings = self.settings
        self.log.fact(
            "started",
            {
                "version": __version__, "node": self.config.name, "cluster": settings.cluster,
                "client": self._at(settings.port), "peer": self._at(settings.peer_port), "data": settings.data_dir,
                "tls": self.tls is not None,
            },
        )  # fmt: skip
        if self.tls is not None and (left_s := self.tls.expires_at - clock.wall_s()) < EXPIRES_SOON_S:
            self.log.fact("certificate-ends", {"days": int(left_s / 86_400), "file": settings.tls_cert})
        if self.store.redrawn:
            self.log.fact("epoch-redrawn", {"why": self.store.redrawn})
        self.store.start(self.loop, self.driver.persisted, self._storage_stopped)
        self.driver.start()
        for port, listen in (
            (settings.peer_port, self.transport.listen),
            (settings.port, self.clients.start),
            (settings.http_port, self.http.start),
        ):
            try:
                await listen(settings.listen, port)
            except OSError as error:
                raise ports.explain(error, settings, port) from None
        if settings.discover == "mdns":
            self.discovery.start()
        self._listening = True
        self._changed()

    # While it runs ---------------------------------------------------------------------------------------

    _listening = False

    def _happened(self, events: list[Event]) -> None:
        self.driver.happened(events)

    def _changed(self) -> None:
        """The engine noted something: our greeting, the announcement and our readiness may be others now."""
        hello = self._hello()
        if hello != self.hello:
            self.hello = hello
            self.transport.refresh()
            self.discovery.refresh()
        if self._tell_ready is not None and self._listening and self.node.view().ready:
            tell, self._tell_ready = self._tell_ready, None
            settle_memory()
            sys.setswitchinterval(TURN_S)
            tell(self._readiness())
            notify(os.environ, "READY=1", f"STATUS=node {self.config.name} of cluster {self.config.cluster}")
            keep_telling(os.environ, self.loop)

    def _hello(self) -> Hello:
        view = self.node.view()
        return Hello(
            view.cluster_id, self.config.id, self.config.name, self.settings.listen, self.config.peer_port,
            view.members, view.sealed, self.store.identity.storage_id, self._life, NEWEST, OLDEST, __version__,
        )  # fmt: skip

    def _announcement(self) -> Announcement:
        return Announcement(
            self.config.cluster, self.node.view().cluster_id, self.config.id, self.settings.listen,
            self.config.peer_port,
        )  # fmt: skip

    def _readiness(self) -> Ready:
        settings = self.settings
        return Ready(
            name=self.config.name,
            cluster=self.config.cluster,
            client=self._at(settings.port),
            peer=self._at(settings.peer_port),
            http=self._at(settings.http_port),
            pid=os.getpid(),
            data_dir=str(settings.data_dir),
            members=self.node.view().members,
            seconds=monotonic() - self.began,
        )

    def _at(self, port: int) -> str:
        return join_address(self.settings.listen, port)

    def wall_s(self) -> float:
        """Unix time in seconds, as this node believes it to be."""
        return clock.wall_s() + (self.switches.skew_s if self.switches else 0.0)

    @property
    def peers_up(self) -> int:
        """Members, other than this node, that answer it."""
        return sum(self.node.cluster.is_up(member.id) for member in self.node.cluster.others())

    def queue_lengths(self) -> dict[str, object]:
        """What waits: for the disk, for answers, for peers to read."""
        return {
            "disk_writes": self.store.queued,
            "requests": self.driver.in_flight,
            "requests_max": self.node.shared.load.bound,
            "requests_refused": self.node.shared.load.refused,
            "peer_bytes": sum(self.transport.queued_bytes().values()),
            "clients": len(self.clients.sessions),
        }

    def _fact(self, kind: str, fields: dict[str, object]) -> None:
        """Log what happened. A node whose seat another store has taken, or whose disk fell back, must not go on."""
        self.log.fact(kind, fields)
        if kind == "fell_back":
            self.store.disown()
        if kind in ENDS:
            self._stop_code = 1
            if not self._stopping.done():
                self._stopping.set_result(ENDS[kind])

    def _storage_stopped(self, why: str) -> None:
        """The disk failed: every write is refused from here on, and a read of it is no evidence of anything."""
        self.store.distrust(why)
        self.log.fact("storage-stopped", {"why": why})
        notify(os.environ, "STATUS=the disk failed: " + why)

    def _read_secrets_again(self) -> None:
        """The files may hold another cluster key, or another password. What cannot be read changes nothing."""
        try:
            self._secrets = read_secrets(self.settings, os.environ)
        except StartError as error:
            self.log.fact("secrets-not-read", {"why": str(error)})
            return
        self.clients.password = self._secrets.password
        self.log.fact("secrets-read", {"links": self.transport.rekey(self._secrets.keys)})

    # The end ---------------------------------------------------------------------------------------------

    def _signalled(self, number: signal.Signals = signal.SIGHUP) -> None:
        """Stop cleanly; the second Ctrl-C stops at once (what was acknowledged is on the disk)."""
        if not self._stopping.done():
            self._stopping.set_result("Ctrl-C" if number == signal.SIGINT else number.name)
        elif number == signal.SIGINT:
            os._exit(130)

    def _exception(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        """An exception nobody caught. In the engine or its driver it is our bug, after which nothing can be trusted."""
        error = context.get("exception")
        if not isinstance(error, BaseException):
            self.log.fact("loop", {"message": context.get("message")})
            return
        frames = traceback.extract_tb(error.__traceback__)
        text = f"{type(error).__name__}: {error}"
        if any(frame.filename == driver.__file__ for frame in frames):
            sys.stderr.write("".join(traceback.format_exception(error)))
            self.log.fact("bug", {"error": text})
            self._stop_code = 1
            if not self._stopping.done():
                self._stopping.set_result("bug")
        else:
            where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else context.get("message")
            self.log.fact("exception", {"error": text, "at": where})

    async def _wind_down(self, why: str) -> None:
        """Take no more clients, and let the requests in flight end."""
        notify(os.environ, "STOPPING=1")
        self.log.fact("stopping", {"why": why, "in_flight": self.driver.in_flight})
        await self.clients.wind_down(STOP_S_MAX if self._stop_code == 0 else 0.0)

    async def _close(self) -> None:
        """Close what is open, whatever happened before."""
        self.driver.stop()
        await self.http.stop()
        await self.clients.stop()
        await asyncio.gather(self.discovery.close(), self.transport.close())
        await self.loop.run_in_executor(None, self.store.stop)
        if self._listening:
            self.log.fact("stopped", {"uptime_s": self.about.uptime_s(), "keys": self.store.totals().rows})


def node_config(settings: NodeSettings, store: Store) -> NodeConfig:
    """The engine's part of the settings."""
    host = settings.listen
    if is_anywhere(host):
        try:
            host = outward_address(settings.join)
        except OSError:
            host = "::1" if ":" in host else "127.0.0.1"
    return NodeConfig(
        id=NodeId(store.identity.node_id),
        name=store.name,
        cluster=settings.cluster,
        host=host,
        port=settings.port,
        peer_port=settings.peer_port,
        http_port=settings.http_port,
        zone=settings.zone,
        weight=settings.weight,
        join=settings.join,
        discover=settings.discover == "mdns",
        quorums=settings.nrw,
        partitions=settings.partitions,
        durable=settings.durability == "full",
        value_bytes_max=settings.max_value_bytes,
        replace=settings.replace,
    )


def settle_memory() -> None:
    """What is alive now stays: the collector need not look at it again, and looks less often at the rest.

    Requests make no cycles (messages are not even tracked), so a collection finds next to nothing; with the default
    thresholds it ran some hundred times a second under load.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
