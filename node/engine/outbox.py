"""Everything a node may want done. A step writes its wishes here; the driver, or the simulator, performs them.

The effects of one step may be performed in any order, except that persists keep theirs.
"""

from __future__ import annotations

from typing import NamedTuple

from node.core.ids import NodeId
from node.storage.port import Write
from node.wire.messages import Message
from node.wire.requests import Result


class Fact(NamedTuple):
    """Something that happened, for the log, the event list and the checkers."""

    kind: str
    fields: dict[str, object]


class Outbox:
    """The effects of one or more steps, in order. The verbs are the only way to fill it."""

    __slots__ = (
        "dials", "digests", "facts", "loads", "measures", "owed", "persists", "replies", "scans", "sends", "tombstones",
    )  # fmt: skip

    def __init__(self) -> None:
        self.sends: dict[NodeId, list[Message]] = {}
        self.persists: list[tuple[int, Write]] = []
        self.loads: list[tuple[int, bytes]] = []
        self.scans: list[tuple[int, int, int, bytes, int]] = []
        self.owed: list[tuple[int, NodeId, bytes, int]] = []
        self.tombstones: list[tuple[int, bytes, int]] = []
        self.digests: list[tuple[int, int, tuple[int, ...], int]] = []
        self.measures: list[int] = []
        self.replies: list[tuple[int, Result]] = []
        self.dials: list[tuple[str, bool]] = []
        self.facts: list[Fact] = []

    def send(self, peer: NodeId, message: Message) -> None:
        """Say `message` to `peer`, at most once; it is lost if there is no link."""
        try:
            self.sends[peer].append(message)
        except KeyError:
            self.sends[peer] = [message]

    def persist(self, ticket: int, write: Write) -> None:
        """Store `write`; `Persisted` brings the ticket back when it is durable."""
        self.persists.append((ticket, write))

    def load(self, ticket: int, key: bytes) -> None:
        """Read the local row of `key`; `Loaded` answers."""
        self.loads.append((ticket, key))

    def scan(self, ticket: int, partition: int, partitions: int, after: bytes, limit: int) -> None:
        """Read a page of local rows of a partition; `ScannedHere` answers."""
        self.scans.append((ticket, partition, partitions, after, limit))

    def read_owed(self, ticket: int, target: NodeId, after: bytes, limit: int) -> None:
        """Read a page of local rows that `target` lacks; `OwedHere` answers."""
        self.owed.append((ticket, target, after, limit))

    def read_tombstones(self, ticket: int, after: bytes, limit: int) -> None:
        """Read a page of local tombstones that are kept for nobody; `TombstonesHere` answers."""
        self.tombstones.append((ticket, after, limit))

    def digest(self, ticket: int, bits: int, prefixes: tuple[int, ...], deeper: int) -> None:
        """Ask our own trees about spans of the hash space; `Digested` answers."""
        self.digests.append((ticket, bits, prefixes, deeper))

    def measure(self, ticket: int) -> None:
        """Ask the runtime for its figures; `Measured` answers."""
        self.measures.append(ticket)

    def reply(self, ticket: int, result: Result) -> None:
        """Answer the client's request `ticket`: exactly once."""
        self.replies.append((ticket, result))

    def dial(self, address: str, *, keep: bool = True) -> None:
        """Keep a link to host:port open (`keep=False`: stop doing so)."""
        self.dials.append((address, keep))

    def fact(self, kind: str, **fields: object) -> None:
        """Note that something happened."""
        self.facts.append(Fact(kind, fields))
