"""The world around the nodes: virtual time, network, disks, clients' connections, and the faults that strike them.

The nodes are the very ones that run under sockets and SQLite. Everything here is drawn from the seed, one random
stream for each purpose, so that a new draw in one place does not change all others; equal seeds give equal traces.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import msgspec

from node.core.ids import Instant, NodeId
from node.core.limits import OPERATIONS_MAX
from node.core.row import EMPTY, Row
from node.core.version import covers, merge
from node.engine.config import NodeConfig
from node.engine.events import Asked, Candidate, Received
from node.engine.get import GetOperation
from node.engine.handoff import HandoffOperation
from node.engine.operation import NO_TICKET
from node.engine.outbox import Fact
from node.sim.clock import Agenda, Trace
from node.sim.disk import SimStorage
from node.sim.elastic import Elastic
from node.sim.faults import Fault, Options
from node.sim.history import History, Kind, Mint, Record
from node.sim.host import Host
from node.sim.links import Links
from node.sim.marks import Marks
from node.sim.misfortune import Misfortune
from node.sim.network import Arrival, Network, NetworkOptions
from node.sim.safeguards import STORES, Safeguard, answered_by_nobody, blind, confirmed_by_nobody, gloss
from node.sim.seated import CLUSTER, seat_everybody
from node.storage.port import (
    Advance,
    Advanced,
    Handed,
    Merge,
    Outcome,
    Owe,
    Reaped,
    Refusal,
    Refused,
    Scrubbed,
    Write,
)
from node.wire.codec import decode_batch, encode_batch
from node.wire.framing import HEADER_BYTES
from node.wire.messages import AskLeaf, Confirmed, Forward, Forwarded, Message, Replicate, Replicated, Seal
from node.wire.requests import Failed, Inspect, Request, Result
from node.wire.rows import decode_row

Answered = Callable[[Result | None], None]
"""What to do with the answer to a request; None: the connection broke."""

REQUESTS_MIN = 4
BACKGROUND_MIN = 2
"""Requests that a node always takes on, and rows a second of hints and repair that it always moves: as few as the
simulated disks of a surge can bear."""
SCRUBS = 0.25
SCRUB_PERIOD_S = 120.0
LONG_S = 1e6
"""In some runs stores are scrubbed in so short a period that some rows are read again, half a second a chunk."""

ANNOUNCE_S = 5.0
ANNOUNCED_S = 60.0
"""Discovery repeats itself this often, for so long."""

_encode = msgspec.msgpack.Encoder().encode


class World:
    """Nodes and everything between and under them. `off` is the safeguard that this run goes without."""

    def __init__(self, options: Options, off: Safeguard | None = None) -> None:
        self.options = options
        self.off = off
        self.agenda = Agenda()
        self.trace = Trace()
        self.marks = Marks()
        self.history = History(options.quorums, options.nodes)
        self.network = Network(
            options.network, self.stream("network"), duplicates_forwards=off is Safeguard.FORWARD_ONCE
        )
        self.links = Links(self, self.stream("links"))
        self.hosts = [self._host(index) for index in range(options.nodes)]
        self.by_id = {host.id: host for host in self.hosts}
        self.by_address = {host.address: host for host in self.hosts}
        self.healed = False
        self.misfortune = Misfortune(self)
        self.elastic = Elastic(self)
        self.write_s = 0.0  # what each write that a client waits for costs a disk, beside the sync
        self.looks = False  # whether nodes look at what their clients see
        self._waiting: dict[int, tuple[Host, Answered, Record]] = {}
        self._last_ticket = 0

    def stream(self, purpose: str) -> Random:
        """The random stream of one purpose."""
        return Random(f"{self.options.seed}/{purpose}")

    def _host(self, index: int) -> Host:
        options, name = self.options, f"n{index + 1}"
        rng = self.stream(f"{name}/host")
        founder = options.formation == "ready" or (options.formation == "join" and index == 0)
        config = NodeConfig(
            id=NodeId(rng.randbytes(16).hex()),
            name=name,
            cluster=CLUSTER,
            host=f"10.0.0.{index + 1}",
            zone=f"z{index % options.zones}" if options.zones > 1 else "",
            join=() if founder or options.formation != "join" else ("10.0.0.1:7800",),
            discover=options.formation == "discover",
            quorums=options.quorums,
            partitions=options.partitions,
            requests_min=OPERATIONS_MAX if self.off is Safeguard.ROOM_FOLLOWS_TIME else REQUESTS_MIN,
            background_min=BACKGROUND_MIN,
            scrub_period_s=SCRUB_PERIOD_S if self.stream("scrub").random() < SCRUBS else LONG_S,
        )
        return Host(self, index, config, self._storage(config, rng), self.stream(f"{name}/disk"))

    def _storage(self, config: NodeConfig, rng: Random) -> SimStorage:
        kind = STORES.get(self.off, SimStorage) if self.off is not None else SimStorage
        return kind(config.id, rng.randbytes(16).hex(), rng.getrandbits(64))

    @property
    def members(self) -> list[Host]:
        """The machines that are the cluster's: not those that have not joined yet, or are gone for good."""
        return [host for host in self.hosts if not host.out]

    # Starting --------------------------------------------------------------------------------------------------

    def form(self) -> None:
        """Start the nodes: into a sealed ring at once, or empty, one after the other."""
        rng = self.stream("formation")
        if self.options.formation == "ready":
            seat_everybody(self, rng)
            for host in self.hosts:
                host.out = host.index >= self.options.seated
                self.agenda.after(rng.uniform(0, 0.1), host.boot)
            return
        for host in self.hosts:
            boot_s = rng.choice((0.0, rng.uniform(0, 0.5), rng.uniform(0, 4.0)))
            self.agenda.after(boot_s, host.boot)
            if self.options.formation == "discover":
                for other in self.hosts:
                    heard_s = boot_s + rng.uniform(0.01, 2.0)
                    self.agenda.after(heard_s, self._announce, other, host)
                    self.agenda.after(heard_s, self._announce, host, other)

    def _announce(self, host: Host, other: Host) -> None:
        """`host` hears that there is somebody at the address of `other`, and hears it again after a while."""
        if host.node is not None and other.node is not None:
            host.give(Candidate(other.address))
        if self.agenda.now < ANNOUNCED_S:
            self.agenda.after(ANNOUNCE_S, self._announce, host, other)

    # Clients ---------------------------------------------------------------------------------------------------

    @property
    def seats(self) -> int:
        """How many seats the sealed ring has; while it changes, the fewest that a node can be counting with."""
        rings = [host.node.cluster.ring for host in self.hosts if host.node is not None]
        sealed = [ring for ring in rings if ring is not None and ring.sealed]
        seats = [len(ring.seats) for ring in sealed] + [len(ring.before.seats) for ring in sealed if ring.before]
        return min(seats, default=0)

    def ask(self, host: Host, request: Request, answered: Answered, record: Record) -> None:
        """Send a client's request to a node; `answered` is called once (or, if the node is wrong, more often)."""
        self._last_ticket += 1
        self._waiting[self._last_ticket] = (host, answered, record)
        record.paused_s += max(0.0, host.paused_until - self.agenda.now)
        host.give(Asked(self._last_ticket, request))

    def ask_for_repair(self, host: Host) -> None:
        """Somebody types DYN.REPAIR; nobody waits for the answer."""
        now = self.agenda.now
        record = Record(f"repair.{host.name}", Kind.GET, host.name, b"", None, begun=now, deadline=now + 3)
        self.ask(host, Inspect("repair"), lambda result: record.end(result, self.agenda.now), record)

    def replied(self, host: Host, ticket: int, result: Result) -> None:
        """A node answered."""
        result = gloss(result, self.off)
        self.trace.add(self.agenda.now, host.name, b"reply" + _encode((ticket, result)), (ticket, result))
        at, answered, record = self._waiting[ticket]
        if self.looks and not (isinstance(result, Failed) and result.code == "BUSY"):
            at.took_s.append(self.agenda.now - record.begun)
        answered(result)

    def hang_up(self, host: Host) -> None:
        """A process died: the connections of its clients break."""
        waiting, self._waiting = self._waiting, {}
        for ticket, (at, answered, record) in waiting.items():
            if at is not host:
                self._waiting[ticket] = (at, answered, record)
            elif record.ended is None:
                answered(None)

    def holders(self, key: bytes, mints: Sequence[Mint]) -> list[str]:
        """Names of the nodes on whose disks one of these writes is durable, or was and is covered by now."""
        names = []
        for host in self.hosts:
            row = host.storage.durable_rows().get(key)
            if row is not None and any(covers(decode_row(row).clock, mint.dot) for mint in mints):
                names.append(host.name)
        return names

    # Messages --------------------------------------------------------------------------------------------------

    def send(self, host: Host, peer: NodeId, messages: Sequence[Message]) -> None:
        """One frame to one peer: its messages share nothing but the link."""
        target = self.by_id.get(peer)
        link = self.links.from_host(host, target) if target is not None else None
        if target is None or link is None:
            return
        if self.options.codec:
            messages = [m for data in encode_batch(messages) for m in decode_batch(data[HEADER_BYTES:])]
        for message in messages:
            self._mark_sent(host, message)
            unasked = confirmed_by_nobody(message, self.off)
            if unasked is not None:
                for other in self.hosts:
                    host.give(Received(other.id, unasked))
            believed = answered_by_nobody(message, host.storage, self.off)
            if believed is not None:
                host.give(Received(target.id, believed))
                continue
            if self.off is Safeguard.HINT_UNTIL_ACK and isinstance(message, Replicate) and handed_over(host, message):
                host.give(Received(target.id, Replicated(message.rid, True, None, "")))
            self.deliver(self.network.send(host.index, target.index, self.agenda.now, link, message))

    def deliver(self, arrivals: Sequence[Arrival]) -> None:
        """Let messages arrive when they do."""
        for arrival in arrivals:
            self.agenda.at(arrival.at, self._arrive, arrival)

    def _arrive(self, arrival: Arrival) -> None:
        source, target = (self.hosts[index] for index in arrival.direction)
        link = arrival.link
        if arrival.late and self.healed:
            return
        if link.open[target.index]:
            target.received(source.id, blind(arrival.message, self.off))
        else:
            self.links.unknown_here(link, target, source)

    # Marks -----------------------------------------------------------------------------------------------------

    def _mark_sent(self, host: Host, message: Message) -> None:
        marks = self.marks
        if isinstance(message, Forward):
            marks.hit("forward")
        elif isinstance(message, Forwarded):
            marks.hit("forward refused", bool(message.refused))
        elif isinstance(message, Seal):
            marks.hit("ring sealed for another node")
        elif isinstance(message, Replicate) and host.node is not None:
            asked_by = host.node.shared.pending.get(message.rid)
            marks.hit("strict write-back", isinstance(asked_by, GetOperation))
            marks.hit("stand-in asked", bool(message.hint_for))
            marks.hit("hint delivered", handed_over(host, message))
            marks.hit("read repair", message.rid == NO_TICKET)
        elif isinstance(message, Confirmed):
            marks.hit("confirmation refused", bool(message.refused or message.differ))
        elif isinstance(message, AskLeaf):
            marks.hit("exchange found a difference", not message.after)
        if getattr(message, "refused", "") == Refusal.EPOCH.value:
            marks.hit("epoch refused")

    def decided(self, host: Host, write: Write, outcome: Outcome) -> None:
        """A store took a write, or refused it."""
        marks = self.marks
        if isinstance(write, Advance) and isinstance(outcome, Advanced):
            self.history.took(host.name, write, self.agenda.now)
        marks.hit("hint kept by an owner", isinstance(write, Owe))
        if isinstance(write, Advance) and isinstance(outcome, Advanced):
            marks.hit("stand-in coordinates", not self._owns(host, write.key))
        if isinstance(outcome, Advanced):
            marks.hit("sibling created", outcome.siblings == 2)
            marks.hit("three siblings", outcome.siblings > 2)
            marks.hit("siblings resolved", outcome.replaced > 1)
            versions = decode_row(outcome.row).versions
            dead = sum(version.value is None for version in versions)
            marks.hit("tombstone stored", any(v.value is None and v.dot == outcome.dot for v in versions))
            marks.hit("tombstone beside a value", bool(dead) and outcome.siblings > 0)
        elif isinstance(outcome, Handed):
            marks.hit("row dropped", outcome.dropped)
            marks.hit("row changed before its hint went", not outcome.done)
        elif isinstance(outcome, Reaped):
            marks.hit("reaped", outcome.dropped)
        elif isinstance(outcome, Scrubbed):
            marks.hit("rows scrubbed", outcome.rows > 0)
        elif isinstance(outcome, Refused):
            marks.hit("disk full", outcome.why is Refusal.DISK_FULL)
            marks.hit("epoch refused", outcome.why is Refusal.EPOCH)
            marks.hit("older round refused", outcome.why is Refusal.ROUND)
            marks.hit("write dropped as late", outcome.why is Refusal.LATE and isinstance(write, Advance))
            marks.hit("copy dropped as late", outcome.why is Refusal.LATE and isinstance(write, Merge))

    def _owns(self, host: Host, key: bytes) -> bool:
        return host.node is not None and host.id in host.node.cluster.owners(key)

    def noted(self, host: Host, fact: Fact) -> None:
        """A node told a fact."""
        self.trace.add(self.agenda.now, host.name, b"fact" + fact.kind.encode(), fact)
        marks = self.marks
        marks.hit("seat given", fact.kind == "seated" and fact.fields["nodes"] != 1)
        marks.hit("ring sealed by decider", fact.kind == "sealed")
        marks.hit("yielded", fact.kind == "yielded")
        if fact.kind == "fell_back":
            self.history.note("dots", f"{host.name} stopped, as if its disk had been put back: {fact.fields}")
        marks.hit("store caught up", fact.kind == "caught_up")
        marks.hit("rows behind a reap dropped", fact.kind == "caught_up" and fact.fields["rows"] != 0)
        marks.hit("store rebuilt", fact.kind == "rebuilt")
        if fact.kind in ("moving", "settled") and host.node is not None:
            self.history.decided(host.name, host.node.cluster.state)
        marks.hit("ring moves", fact.kind == "moving")
        marks.hit("ring settled", fact.kind == "settled")
        marks.hit("rows taken in", fact.kind == "took_in" and fact.fields["rows"] != 0)
        marks.hit("rows retired", fact.kind == "retired")
        if fact.kind == "gone":
            marks.hit("node gone", True)
            self.agenda.after(0.0, self._let_go, host)
        marks.hit("silent peer", fact.kind == "peer_silent")
        marks.hit("keys made equal", fact.kind == "repaired")

    def _let_go(self, host: Host) -> None:
        """A node that has left, or was removed, ends; nobody starts it again."""
        host.crash(silently=False)
        host.out = True
        self.history.gone[host.name] = None

    # Faults ----------------------------------------------------------------------------------------------------

    def strike(self, fault: Fault) -> None:
        """Let a fault begin."""
        self.misfortune.strike(fault)

    def let_wait(self, host: Host, end: Instant) -> None:
        """A process stands still until `end`: nobody may blame its requests for that."""
        for at, _, record in self._waiting.values():
            if at is host:
                record.paused_s += max(0.0, end - max(host.paused_until, self.agenda.now))

    def known(self, key: bytes, besides: Host) -> Row:
        """What the disks of all other nodes know of a key, taken together.

        A copy for `besides` counts for nothing: it may just have been handed over, and go. Nor does one that is kept
        for anybody by a node that does not own the key.
        """
        known = EMPTY
        for host in self.members:
            owed = host.storage.owed_to(key)
            row = host.storage.durable_rows().get(key)
            if host is besides or row is None or besides.id in owed or (owed and not self._owns(host, key)):
                continue
            known = merge(known, decode_row(row))
        return known

    def calm(self) -> None:
        """Take the faults of the beginning back, and let messages through."""
        self.deliver(self.network.heal_all(self.agenda.now))
        self.network.change(NetworkOptions())
        for host in self.hosts:
            host.boot()

    def rough(self) -> None:
        """Let the network be as bad as the seed wants it."""
        self.network.change(self.options.network)

    def heal_everything(self) -> None:
        """End every fault: from here on the network is perfect and every node runs."""
        self.healed = True
        self.elastic.give_back()
        for host in self.hosts:
            host.mend()
        self.calm()


def handed_over(host: Host, message: Replicate) -> bool:
    """Whether it is a hint's row on its way to who lacked it."""
    assert host.node is not None, "a message of a node that is down"
    return isinstance(host.node.shared.pending.get(message.rid), HandoffOperation)
