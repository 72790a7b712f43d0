"""Everything that can happen to a node. `Node.step` takes one of these and the time; nothing else moves the engine."""

from __future__ import annotations

import msgspec

from node.core.ids import NodeId
from node.storage.port import Outcome
from node.wire.messages import Message
from node.wire.requests import Request


class Asked(msgspec.Struct, frozen=True, gc=False):
    """A client asked. The answer is a `reply` effect with the same ticket, exactly once."""

    ticket: int
    request: Request


class Received(msgspec.Struct, frozen=True, gc=False):
    """A peer that has proven the cluster key said something."""

    peer: NodeId
    message: Message


class PeerUp(msgspec.Struct, frozen=True, gc=False):
    """A link to a peer is open. `cluster_id` is "" for a node without a seat. `address` is its host:peer_port."""

    peer: NodeId
    name: str
    cluster_id: str
    address: str


class PeerDown(msgspec.Struct, frozen=True, gc=False):
    """The last link to a peer is gone; what was sent may or may not have arrived."""

    peer: NodeId


class Stranger(msgspec.Struct, frozen=True, gc=False):
    """A node of the same cluster name and key but of another cluster showed itself (no link was made).

    `members` and `sealed` describe its cluster: a one-member cluster without writes may yield to it.
    """

    peer: NodeId
    name: str
    cluster_id: str
    address: str
    members: int
    sealed: bool


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """Discovery offers an address to try. No trust attaches to it."""

    address: str


class Withdrawn(msgspec.Struct, frozen=True, gc=False):
    """Discovery does not offer an address any more: nobody announces it, or it did not answer and others wait."""

    address: str


class Persisted(msgspec.Struct, frozen=True, gc=False):
    """One transaction is durable: (ticket, outcome) in the order of the `persist` effects."""

    outcomes: list[tuple[int, Outcome]]


class Loaded(msgspec.Struct, frozen=True, gc=False):
    """A `load` effect came back. `readable` is False for a quarantined row, which is no evidence of anything."""

    ticket: int
    row: bytes | None
    readable: bool


class ScannedHere(msgspec.Struct, frozen=True, gc=False):
    """A `scan` effect came back: rows in canonical bytes, in order; `more` if the partition goes on.

    Not `readable`: the disk failed, and that nothing came says nothing.
    """

    ticket: int
    items: tuple[tuple[bytes, bytes], ...]
    more: bool
    readable: bool = True


class OwedHere(msgspec.Struct, frozen=True, gc=False):
    """An `owed` effect came back: rows that the target lacks (b"": lost here), and where the next page begins."""

    ticket: int
    items: tuple[tuple[bytes, bytes], ...]
    after: bytes | None


class TombstonesHere(msgspec.Struct, frozen=True, gc=False):
    """A `read_tombstones` effect came back: rows of tombstones, and where the next page begins."""

    ticket: int
    items: tuple[tuple[bytes, bytes], ...]
    after: bytes | None


class Digested(msgspec.Struct, frozen=True, gc=False):
    """A `digest` effect came back: for every prefix its digests put together, b"" while they are not known."""

    ticket: int
    digests: tuple[bytes, ...]


class Measured(msgspec.Struct, frozen=True, gc=False):
    """The runtime's own figures, JSON-ready, for status and stats: answer to a `measure` effect."""

    ticket: int
    figures: dict[str, object]


class Reached(msgspec.Struct, frozen=True, gc=False):
    """The time that `next_deadline` named has come.

    `looked`: the runtime has looked, about once a second, at what clients see; `p99_ms` is it, None without clients.
    `changes` is how often a row of the store has changed, durably; 0 if that was not looked at.
    """

    looked: bool = False
    p99_ms: float | None = None
    changes: int = 0


Event = (
    Asked | Received | PeerUp | PeerDown | Stranger | Candidate | Withdrawn | Persisted | Loaded | ScannedHere
    | OwedHere | TombstonesHere | Digested | Measured | Reached
)  # fmt: skip
