"""The node's place in the world: events in, one step each, effects out. Nothing here knows what a key or a ring is.

Batching is what makes it fast. Events are stepped as they come and their effects gather in one outbox; one *flush* a
turn of the loop performs them all: every local read, one frame a peer, one hand-over to the disk thread, every reply.
So all commands of all sockets that were readable in a turn share one frame, one transaction and one write.

    commands, frames, Persisted ──step──► outbox ──flush, once a turn──► loads ─► sends ─► persists ─► replies

A local read is answered at once and its consequences join the same flush. An assertion that fails inside a step is our
bug: it is not caught, the loop's exception handler ends the process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

from node.core.ids import NodeId
from node.engine.events import (
    Asked,
    Digested,
    Event,
    Loaded,
    Measured,
    OwedHere,
    Persisted,
    Reached,
    ScannedHere,
    TombstonesHere,
)
from node.engine.node import Node
from node.engine.outbox import Outbox
from node.storage.port import Outcome, Page, StorageStopped, Unreadable, Write
from node.wire.messages import Message
from node.wire.requests import Request, Result

if TYPE_CHECKING:
    from node.runtime.measures import Measures

STOPPED: Final[bytes | Unreadable | None] = Unreadable("storage stopped")
NO_PAGE: Final = Page((), None)

Deliver = Callable[[Result], None]


class Store(Protocol):
    """What the driver asks of the store. Reads are answered at once, outcomes come to `Driver.persisted`."""

    def fetch_many(self, keys: Sequence[bytes]) -> list[bytes | Unreadable | None]:
        """Return the rows of `keys`, in order."""

    def scan(self, partition: int, partitions: int, after: bytes, limit: int) -> Page:
        """Return a page of rows."""

    def owed(self, target: NodeId, after: bytes, limit: int) -> Page:
        """Return a page of rows that `target` lacks."""

    def tombstones(self, after: bytes, limit: int) -> Page:
        """Return a page of tombstones that are kept for nobody."""

    def digests(self, bits: int, prefix: int, deeper: int) -> bytes:
        """Return digests of the parts of a span."""

    def submit(self, writes: Sequence[tuple[int, Write]]) -> None:
        """Queue writes for the next transaction."""


class Links(Protocol):
    """The peer transport."""

    def send(self, peer: NodeId, messages: Sequence[Message]) -> None:
        """Queue one frame."""

    def dial(self, address: str, *, keep: bool = True) -> None:
        """Keep a link open, or stop doing so."""


class Driver:
    """Runs one engine. All methods are called on the event loop's thread."""

    def __init__(
        self,
        node: Node,
        store: Store,
        links: Links,
        measures: Measures,
        on_fact: Callable[[str, dict[str, object]], None],
        on_change: Callable[[], None],
    ) -> None:
        self.node = node
        self.loop = asyncio.get_running_loop()
        self.flushes = 0
        self.events = 0
        self._step = node.step
        self._store = store
        self._links = links
        self._measures = measures
        self._on_fact = on_fact
        self._on_change = on_change
        self._out = Outbox()
        self._asked: dict[int, tuple[Deliver, float, Request]] = {}
        self._ticket = 0
        self._scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = float("inf")
        self._look_at = 0.0
        self._stopped = False

    def start(self) -> None:
        """Begin."""
        self.node.start(monotonic(), self._out)
        self._schedule()

    def stop(self) -> None:
        """No step and no effect from here on."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    @property
    def in_flight(self) -> int:
        """Clients' requests without an answer."""
        return len(self._asked)

    # Events in -------------------------------------------------------------------------------------------

    def submit(self, request: Request, deliver: Deliver) -> None:
        """A client asks; `deliver` is called once with the answer, in a later turn of the loop or in the flush."""
        if self._stopped:
            return
        now = monotonic()
        self._ticket = ticket = self._ticket + 1
        self._asked[ticket] = deliver, now, request
        self.events += 1
        self._step(Asked(ticket, request), now, self._out)
        if not self._scheduled:
            self._schedule()

    def happened(self, events: Sequence[Event]) -> None:
        """The transport, or discovery, has events of one read."""
        if self._stopped:
            return
        step, out, now = self._step, self._out, monotonic()
        self.events += len(events)
        for event in events:
            step(event, now, out)
        if not self._scheduled:
            self._schedule()

    def persisted(self, outcomes: list[tuple[int, Outcome]]) -> None:
        """One transaction is durable."""
        if self._stopped:
            return
        self.events += 1
        self._step(Persisted(outcomes), monotonic(), self._out)
        if not self._scheduled:
            self._schedule()

    def nudge(self) -> None:
        """All commands of one read have been submitted: nothing to do, the flush of this turn is on its way."""

    # Effects out -----------------------------------------------------------------------------------------

    def _schedule(self) -> None:
        self._scheduled = True
        self.loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Perform everything that was wished for since the last time."""
        if self._stopped:
            return
        self._scheduled = True  # what follows is ours: no second flush for it
        self.flushes += 1
        out = self._out
        while out.loads or out.scans or out.measures or out.owed or out.digests or out.tombstones:
            self._read(out)
        self._out = Outbox()
        if out.facts:
            self._tell(out)  # first: our greeting must have changed before a message goes out that builds on it
        if out.sends:
            send = self._links.send
            for peer, messages in out.sends.items():
                send(peer, messages)
        if out.persists:
            self._store.submit(out.persists)
        self._scheduled = False
        if out.replies:
            self._reply(out)
        if out.dials:
            for address, keep in out.dials:
                self._links.dial(address, keep=keep)
        self._arm()

    def _read(self, out: Outbox) -> None:
        """Answer what was asked of the local store, and of us; the steps may ask for more."""
        step, now = self._step, monotonic()
        loads, out.loads = out.loads, []
        if loads:
            try:
                rows = self._store.fetch_many([key for _, key in loads])
            except StorageStopped:
                rows = [STOPPED] * len(loads)
            for (ticket, _), row in zip(loads, rows, strict=True):
                if type(row) is Unreadable:
                    step(Loaded(ticket, None, False), now, out)
                else:
                    step(Loaded(ticket, row, True), now, out)  # type: ignore[arg-type]  # not Unreadable
        scans, out.scans = out.scans, []
        for ticket, partition, partitions, after, limit in scans:
            try:
                page = self._store.scan(partition, partitions, after, limit)
            except StorageStopped:
                step(ScannedHere(ticket, (), False, readable=False), now, out)
            else:
                step(ScannedHere(ticket, page.items, page.after is not None), now, out)
        owed, out.owed = out.owed, []
        for ticket, target, after, limit in owed:
            try:
                page = self._store.owed(target, after, limit)
            except StorageStopped:
                page = NO_PAGE
            step(OwedHere(ticket, page.items, page.after), now, out)
        tombstones, out.tombstones = out.tombstones, []
        for ticket, after, limit in tombstones:
            try:
                page = self._store.tombstones(after, limit)
            except StorageStopped:
                page = NO_PAGE
            step(TombstonesHere(ticket, page.items, page.after), now, out)
        digests, out.digests = out.digests, []
        for ticket, bits, prefixes, deeper in digests:
            told = tuple([self._store.digests(bits, prefix, deeper) for prefix in prefixes])
            step(Digested(ticket, told), now, out)
        measures, out.measures = out.measures, []
        for ticket in measures:
            step(Measured(ticket, self._measures.figures()), now, out)

    def _reply(self, out: Outbox) -> None:
        asked, done, now = self._asked, self._measures.done, monotonic()
        for ticket, result in out.replies:
            deliver, since, request = asked.pop(ticket)
            done(request, result, now - since)
            deliver(result)

    def _tell(self, out: Outbox) -> None:
        for kind, fields in out.facts:
            self._on_fact(kind, fields)
        self._on_change()

    # Time ------------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        """See that `Reached` comes when the node wants it. A timer that is due too early is left: it looks again."""
        at = self.node.next_deadline()
        if at < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = at
            # A loop rounds to its millisecond, possibly down: one more, or the node would be asked before its time.
            self._timer = self.loop.call_later(max(0.0, at - monotonic()) + 0.001, self._reached)

    def _looked(self, now: float) -> Reached:
        """The event; once a second with what clients see."""
        if now < self._look_at:
            return Reached()
        self._look_at = now + 1.0
        return Reached(True, self._measures.look_p99_ms(), self._measures.changes())

    def _reached(self) -> None:
        self._timer = None
        self._timer_at = float("inf")
        if self._stopped:
            return
        now = monotonic()
        if self.node.next_deadline() <= now:
            self.events += 1
            self._step(self._looked(now), now, self._out)
            self._measures.tick()
            if not self._scheduled:
                self._schedule()
        else:
            self._arm()
