"""One real engine, alone: events go in by hand, effects come out to be looked at, time passes when a test says so."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from node.core import ring
from node.core.cluster import Member, Quorums, RingState, Seat, Secret
from node.core.ids import NodeId, partition_of
from node.core.row import EMPTY, Actor, Clock, Row
from node.core.version import add, advance, join
from node.engine.config import NodeConfig
from node.engine.events import Asked, Event, Loaded, OwedHere, PeerDown, PeerUp, Persisted, Reached, Received
from node.engine.kept import STATE_TICKET
from node.engine.node import Node
from node.engine.outbox import Outbox
from node.storage.port import Advance, Advanced, Handed, HandOver, Identity, Merge, Merged, Outcome, Saved, Write
from node.wire.messages import Message
from node.wire.requests import Request, Result
from node.wire.rows import encode_row

EPOCH = 7
SECRETS = (Secret(1, b"s" * 32),)
PAPER = Quorums(3, 2, 2)


def node_id(name: str) -> NodeId:
    """The id of the node called n1, n2 …"""
    return NodeId(f"{int(name[1:]):032x}")


def member(name: str) -> Member:
    """A member record with the ports its number suggests."""
    number = int(name[1:])
    return Member(
        node_id(name), name, "127.0.0.1", 7700 + number, 7800 + number, 7900 + number, "", 1, f"store-{name}",
        (number,), 1,
    )  # fmt: skip


def sealed_ring(names: list[str], quorums: Quorums = PAPER, partitions: int = 64) -> RingState:
    """A ring of the named nodes, ready for writes."""
    seats: tuple[Seat, ...] = (Seat(node_id(names[0]), "", 1),)
    owners = ring.found(seats[0], partitions)
    for name in names[1:]:
        seats, owners = ring.join(seats, owners, Seat(node_id(name), "", 1), quorums.n)
    return RingState("c1", "dyn", EPOCH, True, node_id("n1"), quorums, seats, owners, SECRETS)


def row_of(*values: bytes, epoch: int = 1, context: Clock = ()) -> Row:
    """A row with one sibling per value, all written by the store with this dot epoch under `context`."""
    row = EMPTY
    for value in values:
        row, _ = advance(row, context, Actor(epoch, 1), value, written_at_ms=0, writer="")
    return row


def key_of(*names: str) -> bytes:
    """A key whose owners, in the order of its preference list, are these three of three nodes."""
    state = sealed_ring(["n1", "n2", "n3"])
    lists = ring.preference_lists(state.seats, state.owners, 3)
    wanted = tuple(node_id(name) for name in names)
    return next(k for k in (b"k%d" % i for i in range(1000)) if lists[partition_of(k, state.partitions)] == wanted)


KEY = key_of("n1", "n2", "n3")
"""Its owners are n1, n2, n3 in this order, in a ring of three."""


class Engine:
    """Node n1 of a cluster of `nodes`, all linked, with everything it ever did in lists.

    What it stores waits to be reported durable; its rings are so at once, unless `stores_rings` is switched off.
    """

    stores_rings = True

    def __init__(self, nodes: int = 3, quorums: Quorums = PAPER, *, me: str = "n1", seed: int = 1) -> None:
        names = [f"n{i + 1}" for i in range(nodes)]
        config = NodeConfig(node_id(me), me, "dyn", join=("127.0.0.1:1",))
        identity = Identity(f"store-{me}", node_id(me), (int(me[1:]),), 1, "first", 0)
        self.node = Node(config, identity, {}, rng=Random(seed), entropy=Random(2).randbytes, wall_offset_s=0.0)
        self.settle_in(sealed_ring(names, quorums))
        for name in names:
            if name != me:
                self.node.cluster.learn(member(name))
        self.now = 100.0
        self.out = Outbox()
        self.do(lambda: self.node.start(self.now, self.out))
        for name in names:
            if name != me:
                self.step(PeerUp(node_id(name), name, "c1", f"127.0.0.1:{7800 + int(name[1:])}"))
        for ticket, *_ in self.out.owed:
            self.owed(ticket, ())
        self.clear()
        self._ticket = 0

    def clear(self) -> None:
        """Forget the effects so far."""
        self.out = Outbox()

    def settle_in(self, ring: RingState) -> None:
        """This is its ring, durably."""
        self.node.cluster.adopt(ring)
        self.node.cluster.durable_epoch = ring.epoch

    def step(self, event: Event) -> None:
        """Let something happen."""
        self.do(lambda: self.node.step(event, self.now, self.out))

    def do(self, happen: Callable[[], None]) -> None:
        """Let something happen, and what it has stored under STATE_TICKET be durable."""
        known = sum(ticket == STATE_TICKET for ticket, _ in self.out.persists)
        happen()
        saved = sum(ticket == STATE_TICKET for ticket, _ in self.out.persists) - known
        if saved and self.stores_rings:
            self.node.step(Persisted([(STATE_TICKET, Saved())] * saved), self.now, self.out)

    def ask(self, request: Request) -> int:
        """A client asks; the ticket finds the answer in `replies`."""
        self._ticket += 1
        self.step(Asked(self._ticket, request))
        return self._ticket

    def receive(self, name: str, message: Message) -> None:
        """A peer says something."""
        self.step(Received(node_id(name), message))

    def down(self, name: str) -> None:
        """The link to a peer breaks."""
        self.step_down(node_id(name))

    def step_down(self, node: NodeId) -> None:
        """The link to a node breaks."""
        self.step(PeerDown(node))

    def up(self, name: str) -> None:
        """A link to a peer opens."""
        self.step(PeerUp(node_id(name), name, "c1", f"127.0.0.1:{7800 + int(name[1:])}"))

    def owed(self, ticket: int, items: tuple[tuple[bytes, bytes], ...], after: bytes | None = None) -> None:
        """Answer a wish to know what somebody is owed: this, and no more unless it goes on `after`."""
        self.step(OwedHere(ticket, items, after))

    def clear_owed(self) -> None:
        """Forget who was to be looked up."""
        self.out.owed.clear()

    def handed_over(self, outcome: Handed) -> None:
        """Report the oldest wish to let a hint go as done."""
        ticket = next(ticket for ticket, write in self.out.persists if isinstance(write, HandOver))
        self.step(Persisted([(ticket, outcome)]))

    def handed(self) -> list[HandOver]:
        """The hints that may go."""
        return [write for _, write in self.out.persists if isinstance(write, HandOver)]

    def pass_time(self, seconds: float) -> None:
        """Time passes, and nobody says anything."""
        self.now += seconds
        self.step(Reached())

    def wait(self, seconds: float) -> None:
        """Time passes; peers count as heard, and as having answered."""
        self.now += seconds
        for link in self.node.cluster.links.values():
            link.heard_at, link.asked_at = self.now, None
        self.step(Reached())

    def take_persist(self) -> tuple[int, Write]:
        """The oldest write that wants to be stored, with its ticket."""
        while True:
            ticket, write = self.out.persists.pop(0)
            if isinstance(write, Advance | Merge):
                return ticket, write

    def store(self, held: Row = EMPTY) -> Row:
        """Store the oldest wanted write over `held` and report it durable; return the row."""
        ticket, write = self.take_persist()
        outcome: Outcome
        if isinstance(write, Advance):
            covered = join(held.clock, write.context) if write.cover else write.context
            row, dot = advance(held, covered, Actor(1, 1), write.value, written_at_ms=0, writer=write.writer)
            live = len(row.live)
            outcome = Advanced(encode_row(row), add(covered, dot), dot, len(held.live) - live + 1, live)
        else:
            assert isinstance(write, Merge)
            row = held
            outcome = Merged(write.row, False)
        self.step(Persisted([(ticket, outcome)]))
        return row

    def persisted(self, outcome: Outcome) -> None:
        """Report this outcome for the oldest wanted write."""
        ticket, _ = self.take_persist()
        self.step(Persisted([(ticket, outcome)]))

    def load(self, row: Row | None, *, readable: bool = True) -> None:
        """Answer the oldest wanted load."""
        ticket, _ = self.out.loads.pop(0)
        self.step(Loaded(ticket, None if row is None else encode_row(row), readable))

    def sent(self, name: str) -> list[Message]:
        """What was said to a peer, gossip aside."""
        quiet = {"Gossip", "Ping", "Pong"}
        return [m for m in self.out.sends.get(node_id(name), []) if type(m).__name__ not in quiet]

    @property
    def replies(self) -> dict[int, Result]:
        """Answers by ticket; each at most once."""
        answers: dict[int, Result] = {}
        for ticket, result in self.out.replies:
            assert ticket not in answers, f"ticket {ticket} was answered twice"
            answers[ticket] = result
        return answers

    def key_owned_by_others(self) -> bytes:
        """A key this node does not own."""
        return next(k for k in (b"key%d" % i for i in range(1000)) if self.node.config.id not in self.owners(k))

    def owners(self, key: bytes) -> tuple[NodeId, ...]:
        """The owners of a key."""
        return self.node.cluster.owners(key)
