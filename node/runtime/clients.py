"""The client port: accepts connections, and carries requests to the driver and results back.

The driver gives two callables: `submit(request, deliver)` takes one request and calls `deliver(result)` exactly once,
now or later, on the event loop's thread; `flush()` says that all commands of one read have been submitted, so that it
may act on them in one go. Replies of one turn of the loop leave in one write per connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from node.core.limits import CLIENTS_MAX, COMMAND_S_MAX, COMMANDS_TURN_MAX, INPUT_BYTES_MAX, OUTPUT_S_MAX, PREAUTH_S_MAX
from node.runtime.auth import Password, is_loopback
from node.runtime.facts import ServerFacts
from node.runtime.housekeeping import REDIS_VERSION
from node.runtime.session import Session
from node.runtime.slots import Submit
from node.runtime.tls import TlsPort
from node.wire.faults import Order
from node.wire.replies import Value

__all__ = ["ClientListener", "Submit"]

DRAIN_S = 0.2
"""At a clean stop: a client that has asked nothing for so long is not about to."""

POLL_S = 0.01
"""How often a stopping node looks whether its clients have their answers."""


class ClientListener:
    """All client connections of one node. Limits are arguments only so that tests need not wait for the real ones."""

    def __init__(
        self,
        submit: Submit,
        flush: Callable[[], None],
        facts: ServerFacts,
        *,
        password: Password | None = None,
        clients_max: int = CLIENTS_MAX,
        preauth_s: float = PREAUTH_S_MAX,
        output_s: float = OUTPUT_S_MAX,
        command_s: float = COMMAND_S_MAX,
        input_bytes_max: int = INPUT_BYTES_MAX,
        full: Callable[[], bool] = lambda: False,
        tls: TlsPort | None = None,
    ) -> None:
        self.submit = submit
        self.full = full  # whether a request for a key is refused: asked before it is even parsed
        self.flush = flush
        self.facts = facts
        self.password = password
        self.tls = tls
        self.faults: Callable[[Order], Value] | None = None  # obeys DYN.FAULT, on a node that takes it
        self.clients_max = clients_max
        self.preauth_s = preauth_s
        self.output_s = output_s
        self.command_s = command_s
        self.input_bytes_max = input_bytes_max
        self.held_bytes = 0
        self.sessions: dict[int, Session] = {}
        self.leaving = False  # a connection ends with the reply after which nothing is left to say
        self.accepted = 0
        self.rejected = 0
        self.overflowed = 0
        self.refused_passwords = 0
        self.loop: asyncio.AbstractEventLoop
        self._commands_of_gone = 0
        self._marked: list[Session] = []
        self.left = COMMANDS_TURN_MAX  # commands that this turn of the loop still takes on
        self.behind: dict[Session, None] = {}  # whose turn comes later
        self._turning = False
        self._server: asyncio.Server | None = None
        self._started_at = 0.0

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port. OSError as it comes: a taken port is the caller's to explain."""
        self.loop = asyncio.get_running_loop()
        self._started_at = self.loop.time()
        self._server = await self.loop.create_server(self._connected, host, port, backlog=1024)
        bound: tuple[str, int] = self._server.sockets[0].getsockname()
        return bound[1]

    async def stop(self) -> None:
        """Stop listening and end all connections; what is in flight is not waited for."""
        if self._server is None:
            return
        self._server.close()
        if self.tls is not None:
            self.tls.close()
        for session in list(self.sessions.values()):
            session.abort()
        await self._server.wait_closed()
        self._server = None

    async def wind_down(self, seconds: float) -> None:
        """Stop listening; end each connection with the replies to what was asked on it, in at most so many seconds.

        The end comes with a reply, or when nothing was asked for DRAIN_S: so no request is on its way meanwhile, and a
        client that keeps connections sees that one is at its end before it asks anything else on it.
        """
        self.leaving = True
        if self._server is not None:
            self._server.close()
        began = self.loop.time()
        while any(not session.closing for session in self.sessions.values()) or not self.idle:
            if self.loop.time() >= began + (DRAIN_S if self.idle else seconds):
                break
            await asyncio.sleep(POLL_S)
        for session in list(self.sessions.values()):
            session.close()

    @property
    def idle(self) -> bool:
        """Whether no client waits for a reply."""
        return not any(session.owes for session in self.sessions.values())

    # For sessions ------------------------------------------------------------------------------------------

    def _connected(self) -> asyncio.Protocol:
        self.accepted += 1
        session = Session(self, self.accepted)
        return session if self.tls is None else self.tls.wrap(session)

    def admit(self, session: Session) -> tuple[str, str] | None:
        """Take a connection in, or say why not: error code and text."""
        assert session.transport is not None, "a connection has a transport"
        peer = session.transport.get_extra_info("peername")
        host, port = (peer[0], peer[1]) if isinstance(peer, tuple) else ("", 0)
        session.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        refusal = None
        if self.password is None and not is_loopback(host):
            refusal = (
                "DENIED",
                "this node has no client password, so it answers its own machine only; see --password-file",
            )
        elif len(self.sessions) >= self.clients_max:
            refusal = "ERR", f"max number of clients reached ({self.clients_max})"
        if refusal is None:
            self.sessions[session.id] = session
        else:
            self.rejected += 1
        return refusal

    def gone(self, session: Session) -> None:
        """A connection ended."""
        self.hold(session, 0)
        if self.sessions.pop(session.id, None) is not None:
            self._commands_of_gone += session.commands

    def hold(self, session: Session, held_bytes: int) -> bool:
        """A session keeps so many bytes of a half command; False if that is too much, all of them together."""
        more = held_bytes - session.held_bytes
        self.held_bytes += more
        session.held_bytes = held_bytes
        return more <= 0 or self.held_bytes <= self.input_bytes_max

    def begin_turn(self) -> None:
        """Commands came: some now, the others in turns, between which peers are heard. What was begun comes first."""
        if not self._turning:
            self._turning = True
            self.loop.call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._turning = False
        self.left = COMMANDS_TURN_MAX
        behind, self.behind = self.behind, {}
        for session in behind:  # those for whom nothing is left this time keep their order
            self._guard(session, session.pump)

    def mark(self, session: Session) -> None:
        """A session has something to write: all that have write at the end of this turn of the loop."""
        if not self._marked:
            self.loop.call_soon(self._flush_marked)
        self._marked.append(session)

    def _flush_marked(self) -> None:
        marked, self._marked = self._marked, []
        for session in marked:
            self._guard(session, session.flush)

    def _guard(self, session: Session, do: Callable[[], None]) -> None:
        """What goes wrong with one client ends its connection, and nobody else's."""
        try:
            do()
        except Exception as error:  # noqa: BLE001  # told as what it is: an exception that nobody caught
            session.abort()
            self.loop.call_exception_handler({"message": f"client {session.address}", "exception": error})

    # Facts -------------------------------------------------------------------------------------------------

    @property
    def commands(self) -> int:
        """Commands taken since start."""
        return self._commands_of_gone + sum(session.commands for session in self.sessions.values())

    def info(self) -> dict[str, dict[str, object]]:
        """INFO: our sections, and what the node adds to them."""
        sections: dict[str, dict[str, object]] = {
            "server": {
                "redis_version": REDIS_VERSION,
                "redis_mode": "standalone",
                "dyn_version": self.facts.version,
                "uptime_in_seconds": int(self.loop.time() - self._started_at),
            },
            "clients": {"connected_clients": len(self.sessions), "maxclients": self.clients_max, "blocked_clients": 0},
            "stats": {
                "total_connections_received": self.accepted,
                "total_commands_processed": self.commands,
                "rejected_connections": self.rejected,
                "rejected_tls_connections": 0 if self.tls is None else self.tls.refusals,
                "client_output_buffer_limit_disconnections": self.overflowed,
                "acl_access_denied_auth": self.refused_passwords,
            },
            "keyspace": {"db0": f"keys={self.facts.keys()},expires=0,avg_ttl=0"},
        }
        for name, fields in self.facts.info().items():
            sections.setdefault(name, {}).update(fields)
        return sections

    def settings(self) -> Mapping[str, str]:
        """CONFIG GET: the node's settings, and two that benchmark tools ask for."""
        return {"save": "", "appendonly": "yes", "maxclients": str(self.clients_max), **self.facts.config()}
