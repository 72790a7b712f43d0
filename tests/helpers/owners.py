"""Two owners or more, with stores and without sockets: messages arrive at once, and every byte of them is counted.

Time passes only when nothing is left to do; so a test says how long it waits, and takes no longer than the work.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from random import Random

from node.core.cluster import Quorums
from node.core.ids import NodeId
from node.engine.config import NodeConfig
from node.engine.events import (
    Asked,
    Digested,
    Event,
    Loaded,
    Measured,
    OwedHere,
    PeerDown,
    PeerUp,
    Persisted,
    Reached,
    Received,
    ScannedHere,
    TombstonesHere,
)
from node.engine.kept import STATE_RING
from node.engine.node import Node
from node.engine.outbox import Outbox
from node.sim.disk import SimStorage
from node.storage.port import Identity, Merge, SaveState, Storage, Unreadable
from node.wire.codec import encode_batch
from node.wire.messages import Message
from node.wire.requests import Document, Inspect, Request, Result
from node.wire.rows import encode_row
from tests.helpers.engine import EPOCH, member, node_id, row_of, sealed_ring

QUIET = ("Gossip", "Ping", "Pong")


class Owner:
    """One node: an engine upon a store."""

    def __init__(
        self, name: str, names: Sequence[str], store: Storage, partitions: int, quorums: Quorums, epoch: int
    ) -> None:
        self.name = name
        self.id = node_id(name)
        self.store = store
        config = NodeConfig(self.id, name, "dyn", join=("127.0.0.1:1",))
        identity = Identity(f"store-{name}", self.id, (epoch,), 1, "", 0)
        state = {kept: data for kept, data in store.load_state().items() if kept != STATE_RING}
        self.node = Node(config, identity, state, rng=Random(name), entropy=Random(2).randbytes, wall_offset_s=0.0)
        self.node.cluster.adopt(sealed_ring(list(names), quorums, partitions))
        self.node.cluster.durable_epoch = self.node.cluster.epoch
        for other in names:
            if other != name:
                self.node.cluster.learn(member(other))
        store.apply([SaveState(STATE_RING, b"", EPOCH)])
        self.inbox: list[Event] = []
        self.slow = False
        """Its store answers no question about its trees."""


def up(owner: Owner) -> PeerUp:
    """The link to a node is open."""
    return PeerUp(owner.id, owner.name, "c1", f"127.0.0.1:780{owner.name[1:]}")


class Owners:
    """Some nodes of one ring, all linked. `wire` counts messages by kind, `wire_bytes` their bytes, gossip aside."""

    def __init__(self, stores: Sequence[Storage], partitions: int = 64, quorums: Quorums = Quorums(3, 2, 2)) -> None:
        names = [f"n{i + 1}" for i in range(len(stores))]
        self.now = 100.0
        self.wire: Counter[str] = Counter()
        self.wire_bytes = 0
        self.lost: list[str] = []
        """Kinds of messages that do not arrive."""
        self.replies: dict[tuple[str, int], Result] = {}
        self.all = [
            Owner(name, names, store, partitions, quorums, int(name[1:]))
            for name, store in zip(names, stores, strict=True)
        ]
        self.by_id = {owner.id: owner for owner in self.all}
        for owner in self.all:
            out = Outbox()
            owner.node.start(self.now, out)
            owner.inbox += [up(other) for other in self.all if other is not owner]
        self.settle()
        self.forget()

    def forget(self) -> None:
        """Count anew."""
        self.wire.clear()
        self.wire_bytes = 0

    def ask(self, at: int, request: Request, ticket: int = 1) -> None:
        """A client asks a node; `replies` has the answer once it came."""
        self.all[at].inbox.append(Asked(ticket, request))
        self.settle()

    def restart(self, at: int, epoch: int) -> None:
        """A node starts anew from what its store holds, under this dot epoch."""
        for other in range(len(self.all)):
            if other != at:
                self.cut(at, other)
        before = self.all[at]
        while before.store.work_due:
            before.store.work()
        names = [owner.name for owner in self.all]
        state = before.node.cluster.state
        again = Owner(before.name, names, before.store, state.partitions, state.quorums, epoch)
        self.all[at] = self.by_id[again.id] = again
        again.node.start(self.now, Outbox())
        for other in range(len(self.all)):
            if other != at:
                self.heal(at, other)

    def cut(self, one: int, other: int) -> None:
        """The link between two nodes breaks."""
        self.all[one].inbox.append(PeerDown(self.all[other].id))
        self.all[other].inbox.append(PeerDown(self.all[one].id))
        self.settle()

    def heal(self, one: int, other: int) -> None:
        """… and is there again."""
        for here, there in ((self.all[one], self.all[other]), (self.all[other], self.all[one])):
            here.inbox.append(up(there))
        self.settle()

    def settle(self) -> None:
        """Let everything happen that needs no time."""
        for _ in range(100_000):
            busy = [owner for owner in self.all if owner.inbox]
            if not busy:
                return
            for owner in busy:
                events, owner.inbox = owner.inbox, []
                out = Outbox()
                for event in events:
                    owner.node.step(event, self.now, out)
                self._perform(owner, out)
        raise AssertionError("they never come to rest")

    def wait(self, seconds: float) -> None:
        """Let time pass, deadline by deadline."""
        end = self.now + seconds
        while True:
            at = min(owner.node.next_deadline() for owner in self.all)
            if at > end:
                break
            self.now = max(self.now, at)
            for owner in self.all:
                for link in owner.node.cluster.links.values():
                    link.heard_at = self.now
                if owner.node.next_deadline() <= self.now:
                    owner.inbox.append(Reached())
            self.settle()
        self.now = end

    def _perform(self, owner: Owner, out: Outbox) -> None:
        store, inbox = owner.store, owner.inbox
        if out.persists:
            outcomes = store.apply([write for _, write in out.persists])
            inbox.append(Persisted([(t, o) for (t, _), o in zip(out.persists, outcomes, strict=True)]))
        for ticket, key in out.loads:
            row = store.fetch(key)
            inbox.append(Loaded(ticket, None if isinstance(row, Unreadable) else row, not isinstance(row, Unreadable)))
        for ticket, partition, partitions, after, limit in out.scans:
            page = store.scan(partition, partitions, after, limit)
            inbox.append(ScannedHere(ticket, page.items, page.after is not None))
        for ticket, target, after, limit in out.owed:
            page = store.owed(target, after, limit)
            inbox.append(OwedHere(ticket, page.items, page.after))
        for ticket, after, limit in out.tombstones:
            dead = store.tombstones(after, limit)
            inbox.append(TombstonesHere(ticket, dead.items, dead.after))
        for ticket, bits, prefixes, deeper in out.digests:
            if not owner.slow:
                inbox.append(Digested(ticket, tuple(store.digests(bits, prefix, deeper) for prefix in prefixes)))
        inbox += [Measured(ticket, {}) for ticket in out.measures]
        for peer, messages in out.sends.items():
            self._send(owner, peer, messages)
        for ticket, result in out.replies:
            self.replies[owner.name, ticket] = result

    def _send(self, owner: Owner, peer: NodeId, messages: list[Message]) -> None:
        if peer not in owner.node.cluster.links:
            return
        loud = [message for message in messages if type(message).__name__ not in QUIET]
        self.wire.update(type(message).__name__ for message in loud)
        self.wire_bytes += sum(len(frame) for frame in encode_batch(loud)) if loud else 0
        self.by_id[peer].inbox += [
            Received(owner.id, message) for message in messages if type(message).__name__ not in self.lost
        ]


# Shorthand ---------------------------------------------------------------------------------------------------

ROW = encode_row(row_of(b"v"))
OTHER = encode_row(row_of(b"w", epoch=2))


def sims(count: int) -> list[SimStorage]:
    return [SimStorage("a" * 32, f"{i}" * 32, 0x1000 + i) for i in range(count)]


def fill(stores: list[Storage], keys: list[bytes], row: bytes = ROW) -> None:
    for store in stores:
        store.apply([Merge(key, row, EPOCH) for key in keys])


def keys(count: int) -> list[bytes]:
    return [b"key:%d" % i for i in range(count)]


def equal(owners: Owners) -> bool:
    """Whether all stores hold the same (of three nodes each owns everything)."""
    held = [dict(owner.store.scan(0, 1, b"", 10**6).items) for owner in owners.all]
    return all(rows == held[0] for rows in held)


def repair(owners: Owners, at: int = 0, key: bytes = b"") -> dict[str, object]:
    """DYN.REPAIR at a node, until it is answered."""
    owners.replies.clear()
    owners.ask(at, Inspect("repair", key))
    for _ in range(100):
        if owners.replies:
            break
        owners.wait(0.05)
    ((_, result),) = owners.replies.items()
    assert isinstance(result, Document)
    document = json.loads(result.json)
    assert isinstance(document, dict)
    return document
