"""Clients: each asks one thing at a time, of any node that is up, and remembers what it has seen.

Every value says whose it is (`key|c2.17`), every write is labelled with its tag, and every kind of request races with
every other on few keys: blind puts, puts over what was read, SETs, deletes of both kinds, STRICT and plain, with
quorums of their own. A write without an answer is *maybe*: the client goes on without knowing.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from node.core.row import Clock
from node.core.version import add, covers
from node.sim.history import Ending, Kind, Record
from node.wire.requests import Failed, Found, Get, Put, Request, Result, Written

if TYPE_CHECKING:
    from node.sim.host import Host
    from node.sim.world import World

EARLY_S = 4.0
"""How long the clients of a cluster that still forms mostly read."""

TIMEOUTS_MS = (50, 300, 1000, 3000)


class Seen:
    """What a client last learned of a key: a context token, and the clock that is in it."""

    __slots__ = ("clock", "token")

    def __init__(self, token: bytes, clock: Clock) -> None:
        self.token = token
        self.clock = clock


class Client:
    """One client. `act` asks the next thing; its answer leads to the next `act`."""

    def __init__(self, workload: Workload, name: str, rng: Random) -> None:
        self.workload = workload
        self.world = workload.world
        self.name = name
        self.rng = rng
        self.seen: dict[bytes, Seen] = {}
        self.asked = 0

    def think(self) -> None:
        """Do the next thing in a while."""
        self.world.agenda.after(self.rng.expovariate(1 / self.world.options.think_s), self.act)

    def act(self) -> None:
        """Ask something of some node."""
        if not self.workload.take():
            self.workload.busy.discard(self.name)
            return
        up = [host for host in self.world.hosts if host.up]
        if not up:
            self.think()
            return
        self.ask(self.rng.choice(up), self.rng.choice(self.workload.keys))

    def ask(self, host: Host, key: bytes) -> None:
        """Draw a request for `key` and send it."""
        options, rng = self.world.options, self.rng
        odd = rng.random() < options.odd_quorums
        quorum = rng.randint(1, options.quorums.n) if odd else None
        strict = rng.random() < options.strict
        timeout_ms = rng.choice(TIMEOUTS_MS)
        kind = self._draw_kind(key)
        self.asked += 1
        tag = f"{self.name}.{self.asked}"
        value = b"%s|%s" % (key, tag.encode()) if kind in (Kind.PUT, Kind.SET) else None
        token, clock = b"", ()  # type: tuple[bytes, Clock | None]
        if kind in (Kind.SET, Kind.DEL):
            clock = None
        elif kind is Kind.DELETE or (kind is Kind.PUT and rng.random() >= options.blind and key in self.seen):
            token, clock = self.seen[key].token, self.seen[key].clock
        now = self.world.agenda.now
        record = Record(
            tag, kind, host.name, key, value, begun=now, deadline=now + timeout_ms / 1000, seen=clock,
            r=quorum if kind is Kind.GET else None, w=quorum if kind is not Kind.GET else None, strict=strict,
        )  # fmt: skip
        request: Request
        if kind is Kind.GET:
            request = Get(key, r=quorum, strict=strict, timeout_ms=timeout_ms)
        else:
            request = Put(
                key,
                value,
                context=token,
                cover=clock is None,
                w=quorum,
                strict=strict,
                timeout_ms=timeout_ms,
                writer=tag,
            )
        self.workload.send(self, host, request, record)

    def _draw_kind(self, key: bytes) -> Kind:
        options, rng = self.world.options, self.rng
        if self.workload.reads_only and rng.random() < 0.95:
            return Kind.GET
        if rng.random() < options.deleting:
            if rng.random() < options.covering:
                return Kind.DEL
            if key in self.seen:
                return Kind.DELETE
        if rng.random() < options.covering:
            return Kind.SET
        return Kind.PUT if rng.random() < 0.6 else Kind.GET

    def answered(self, record: Record, result: Result | None) -> None:
        """Learn from the answer, and go on."""
        if isinstance(result, Found) and result.context:
            self.seen[record.key] = Seen(result.context, result.row.clock)
        elif isinstance(result, Written) and result.context and record.seen is not None:
            clock = record.seen
            for mint in self.world.history.dots_of(record):
                clock = add(clock, mint.dot)
            self.seen[record.key] = Seen(result.context, clock)
        elif record.is_write and record.ending is Ending.UNKNOWN and self.rng.random() < 0.5:
            self.seen.pop(record.key, None)  # read again before the next write
        self.think()


class Workload:
    """All clients of a run, and the bookkeeping of what they asked."""

    def __init__(self, world: World) -> None:
        options = world.options
        self.world = world
        self.keys = [f"k{index}".encode() for index in range(options.keys)]
        self.left = options.ops
        self.clients = [
            Client(self, f"c{index + 1}", world.stream(f"c{index + 1}/client")) for index in range(options.clients)
        ]
        self.busy = {client.name for client in self.clients}
        self._forger = world.stream("forger")
        self._begun = world.agenda.now

    def start(self) -> None:
        """Let every client begin."""
        for client in self.clients:
            client.think()

    @property
    def done(self) -> bool:
        """Whether every request was asked and answered."""
        return not self.busy

    @property
    def reads_only(self) -> bool:
        """Whether the cluster is still forming: hardly anybody writes then."""
        options = self.world.options
        return options.early and options.formation == "join" and self.world.agenda.now < self._begun + EARLY_S

    def take(self) -> bool:
        """Take one request from what is left to ask."""
        self.left -= 1
        return self.left >= 0

    def send(self, client: Client, host: Host, request: Request, record: Record) -> None:
        """Send it, and note how it ends; now and then with a context that is not the key's own."""
        if isinstance(request, Put) and request.context and self._forger.random() < 0.03:
            request, record = self._forge(request, record)
        self.world.history.asked(record)

        def answered(result: Result | None) -> None:
            first = record.ended is None
            record.end(result, self.world.agenda.now)
            if first:
                self._mark(record)
                self.look_at_the_disks(record)
                client.answered(record, result)

        self.world.ask(host, request, answered, record)

    def _forge(self, request: Put, record: Record) -> tuple[Put, Record]:
        """Spoil the context: it must be refused, and nothing may change."""
        token = bytearray(request.context)
        at = self._forger.randrange(len(token))
        token[at] = ord("A") if token[at] != ord("A") else ord("B")
        spoiled = bytes(token) if self._forger.random() < 0.5 else request.context[: len(token) // 2]
        record.forged = True
        return Put(
            request.key,
            request.value,
            context=spoiled,
            w=request.w,
            timeout_ms=request.timeout_ms,
            writer=request.writer,
        ), record

    def _mark(self, record: Record) -> None:
        marks, result = self.world.marks, record.result
        code = result.code if isinstance(result, Failed) else ""
        marks.hit("connection lost", result is None)
        marks.hit("bad context refused", code == "BADCONTEXT")
        marks.hit("quorum unavailable", code == "UNAVAILABLE" and record.is_write)
        marks.hit("read unavailable", code == "UNAVAILABLE" and not record.is_write)
        marks.hit("unknown outcome", code == "UNKNOWN")
        marks.hit("second commit", record.seen is None and len(self.world.history.dots_of(record)) > 1)

    def look_at_the_disks(self, record: Record) -> None:
        """Acknowledged means durable on W nodes now, not soon."""
        result, history = record.result, self.world.history
        if not isinstance(result, Written) or (record.kind is Kind.DEL and not result.acks):
            return
        quorums = history.quorums
        need = min(record.w or quorums.w, quorums.n, self.world.seats)
        reaped = history.buried_by(record.key, self.world.agenda.now)
        if any(covers(reaped, mint.dot) for mint in history.dots_of(record)):
            return  # a delete that all members knew, and the answer comes late
        holders = self.world.holders(record.key, history.dots_of(record))
        holders += [node for node, at in history.lost_disks.items() if at > record.begun and node not in holders]
        if len(holders) < need and record.key not in history.rotten:
            history.note(
                "durable", f"{record!r} was acknowledged by {len(holders)} disks ({', '.join(holders)}) of {need}"
            )
        named = [ack.node for ack in result.acks]
        if len(set(named)) < need:
            history.note("durable", f"{record!r} names {named} where {need} nodes are needed")
