"""What happened, as the checkers see it: every request with its ending, and a ledger of every write that was minted.

The ledger is filled from outside the engine, at the disks: it knows each dot, the value it names and what its write
had seen, whatever the nodes later say about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final, NamedTuple

from node.core.cluster import Quorums, RingState
from node.core.ids import Instant
from node.core.row import Clock, Dot, Row
from node.core.version import covers, descends, join
from node.storage.port import Advance, Advanced, Forget, Handed, HandOver, Merge, Merged, Outcome, Reap, Reaped, Write
from node.wire.requests import Failed, Found, Result, Written
from node.wire.rows import decode_row

SLACK_S: Final = 0.1
"""How much later than its deadline a request may end, or be begun."""


class Ending(Enum):
    """The three honest ways in which a request may end, and the two in which it may not."""

    OK = "ok"
    NOT_DONE = "not done"
    UNKNOWN = "unknown"
    PENDING = "no answer"
    TWICE = "answered twice"


class Kind(Enum):
    """What a client asked."""

    GET = "get"
    PUT = "put"
    DELETE = "delete"
    SET = "set"
    DEL = "del"


class Record:
    """One request of one client. `seen` is what its context covers, None if it covers whatever is there.

    `tag` is its name for ever (`c2.17`): a write carries it as its label, so that the ledger knows whose dot is whose.
    `paused_s` is how long its node stood still while it ran.
    """

    __slots__ = (
        "begun", "client", "deadline", "ended", "ending", "forged", "key", "kind", "node", "paused_s", "r", "result",
        "seen", "strict", "tag", "value", "w",
    )  # fmt: skip

    def __init__(
        self, tag: str, kind: Kind, node: str, key: bytes, value: bytes | None, *, begun: Instant, deadline: Instant,
        seen: Clock | None = (), r: int | None = None, w: int | None = None, strict: bool = False,
    ) -> None:  # fmt: skip
        self.tag = tag
        self.client = tag.partition(".")[0]
        self.kind = kind
        self.node = node
        self.key = key
        self.value = value
        self.begun = begun
        self.deadline = deadline
        self.seen = seen
        self.r = r
        self.w = w
        self.strict = strict
        self.ended: Instant | None = None
        self.ending = Ending.PENDING
        self.result: Result | None = None
        self.paused_s = 0.0
        self.forged = False

    @property
    def is_write(self) -> bool:
        """Whether it may have changed something."""
        return self.kind is not Kind.GET

    def end(self, result: Result | None, now: Instant) -> None:
        """Note the answer; None is a connection that broke."""
        if self.ended is not None:
            self.ending = Ending.TWICE
            return
        self.ended = now
        self.result = result
        self.ending = ending_of(result)

    def __repr__(self) -> str:
        what = f" {self.value!r}" if self.value is not None else ""
        how = f" ({self.result.code})" if isinstance(self.result, Failed) else ""
        ask = f"{self.tag} {self.kind.value} {self.key!r}{what} at {self.node}, t={self.begun:.3f}"
        return f"{ask}: {self.ending.value}{how}"


def ending_of(result: Result | None) -> Ending:
    """Translate an answer: a broken connection leaves a write open."""
    if result is None:
        return Ending.UNKNOWN
    if isinstance(result, Found | Written):
        return Ending.OK
    return Ending.UNKNOWN if isinstance(result, Failed) and result.code == "UNKNOWN" else Ending.NOT_DONE


class Mint(NamedTuple):
    """One write that a store committed: where, its dot, its value, what it had seen, when."""

    node: str
    key: bytes
    dot: Dot
    value: bytes | None
    tag: str
    past: Clock
    at: Instant


class History:
    """Everything the checkers may look at. `evidence` holds, by invariant, what was caught while it happened,
    `hints` and `tombstones` how many each node still keeps at the end, `buried` what was reaped: when, up to which
    clock. `gone` are nodes that left, or were removed: what they alone had of a write, nobody was promised.
    """

    def __init__(self, quorums: Quorums, members: int) -> None:
        self.quorums = quorums
        self.members = members
        self.requests: list[Record] = []
        self.mints: dict[Dot, Mint] = {}
        self.by_tag: dict[str, list[Mint]] = {}
        self.evidence: dict[str, list[str]] = {}
        self.final: dict[str, Mapping[bytes, Row]] = {}
        self.rings: dict[str, tuple[str, int, bool]] = {}
        self.left_over: dict[str, int] = {}
        self.hints: dict[str, int] = {}
        self.tombstones: dict[str, int] = {}
        self.buried: dict[bytes, list[tuple[Instant, Clock]]] = {}
        self.unhealed: list[str] = []
        self.owners: dict[bytes, tuple[str, ...]] = {}
        self.roots: dict[int, dict[str, bytes]] = {}
        self.rotten: dict[bytes, None] = {}
        self.lost_disks: dict[str, Instant] = {}
        self.gone: dict[str, None] = {}
        self._decided: dict[tuple[str, int], RingState] = {}
        self._held: dict[tuple[str, bytes], tuple[bytes, Row]] = {}
        self._asked: dict[str, Record] = {}

    def note(self, invariant: str, evidence: str) -> None:
        """Remember a violation that shows only in the moment it happens."""
        self.evidence.setdefault(invariant, []).append(evidence)

    def decided(self, node: str, ring: RingState) -> None:
        """A node adopted a ring: of each epoch of a cluster there is one, for ever."""
        known = self._decided.setdefault((ring.cluster_id, ring.epoch), ring)
        if known != ring:
            self.note(
                "clusters", f"{node} has another ring of epoch {ring.epoch}: {ring.change} and not {known.change}"
            )

    def took(self, node: str, write: Advance, at: Instant) -> None:
        """A store took a write on. It should not, for a client of its own node that has its answer by then.

        (A forward counts from when it was read: who held it up, and how long, is not known to whoever reads it.)
        """
        record = self._asked.get(write.writer)
        if record is None or record.node != node:
            return
        late_s = at - record.deadline - record.paused_s
        if late_s > SLACK_S:
            self.note("recovers", f"{node} begins to store {record!r} {late_s:.3f} s after its deadline")

    def asked(self, record: Record) -> None:
        """A client asks."""
        self.requests.append(record)
        self._asked[record.tag] = record

    def stored(self, node: str, write: Write, outcome: Outcome, at: Instant) -> None:
        """A store said, or made durable, that `write` had this outcome."""
        if isinstance(write, Advance) and isinstance(outcome, Advanced):
            row = decode_row(outcome.row)
            self._minted(node, write, outcome, row, at)
            self._kept(node, write.key, outcome.row, row)
        elif isinstance(write, Merge) and isinstance(outcome, Merged):
            self._kept(node, write.key, outcome.row, None)
        elif isinstance(write, HandOver) and isinstance(outcome, Handed) and outcome.dropped:
            self._held.pop((node, write.key), None)
        elif isinstance(write, Forget) and isinstance(outcome, Reaped) and outcome.dropped:
            self._held.pop((node, write.key), None)
        elif isinstance(write, Reap) and isinstance(outcome, Reaped) and outcome.dropped:
            self._reaped(node, write.key, at)

    def _reaped(self, node: str, key: bytes, at: Instant) -> None:
        """A store let go of a tombstone: what that covered may never be seen again, and it need not be left."""
        held = self._held.pop((node, key), None)
        if held is None:
            return
        row = held[1]
        if row.live:
            self.note("no loss", f"{node} reaped {key!r}, which held {[version.value for version in row.live]}")
        graves = self.buried.setdefault(key, [])
        graves.append((at, join(graves[-1][1] if graves else (), row.clock)))

    def buried_by(self, key: bytes, at: Instant) -> Clock:
        """What had been reaped of a key by some time: all that anybody knew of it may be forgotten from then on."""
        return next((clock for since, clock in reversed(self.buried.get(key, [])) if since <= at), ())

    def forgot(self, node: str, key: bytes) -> None:
        """A store lost a row through a fault."""
        self._held.pop((node, key), None)
        self.rotten[key] = None

    def replaced(self, node: str, durable: Mapping[bytes, bytes], at: Instant) -> None:
        """A store lost its disk and got another one: what it acknowledged before counts as durable as it was then."""
        self.lost_disks[node] = at
        self.crashed(node, durable)

    def crashed(self, node: str, durable: Mapping[bytes, bytes]) -> None:
        """A store fell back to what is durable: it is held to that from here on."""
        for held_by, key in [held for held in self._held if held[0] == node]:
            row = durable.get(key)
            if row is None:
                del self._held[held_by, key]
            else:
                self._held[held_by, key] = (row, decode_row(row))

    def dots_of(self, record: Record) -> list[Mint]:
        """The dots that this write got; a SET may have two, an unfinished one none."""
        return self.by_tag.get(record.tag, [])

    def _minted(self, node: str, write: Advance, outcome: Advanced, row: Row, at: Instant) -> None:
        version = next((version for version in row.versions if version.dot == outcome.dot), None)
        if version is None:
            self.note("no loss", f"{node} minted {outcome.dot} for {write.key!r}, and its row does not hold it")
            return
        mint = Mint(node, write.key, outcome.dot, version.value, write.writer, version.past, at)
        known = self.mints.get(outcome.dot)
        if known is None:
            self.mints[outcome.dot] = mint
            self.by_tag.setdefault(mint.tag, []).append(mint)
        elif known[:6] != mint[:6]:
            self.note("dots", f"{outcome.dot} names {known.value!r} of {known.node} and {mint.value!r} of {node}")

    def _kept(self, node: str, key: bytes, data: bytes, row: Row | None) -> None:
        """A store never forgets: its clock only grows, and what it dropped stays dropped."""
        before = self._held.get((node, key))
        if before is not None and before[0] == data:
            return
        now = decode_row(data) if row is None else row
        self._held[node, key] = (data, now)
        if key in self.buried:
            for version in now.live:
                if covers(self.buried[key][-1][1], version.dot):
                    self.note("no resurrection", f"{node} holds {version.value!r} ({version.dot}), reaped before")
        if before is None:
            return
        old = before[1]
        if not descends(now.clock, old.clock):
            self.note("monotonic", f"{node} held {key!r} with clock {old.clock} and then with {now.clock}")
        kept = {version.dot for version in old.versions}
        for version in now.versions:
            if version.dot not in kept and covers(old.clock, version.dot):
                self.note("no resurrection", f"{node} had dropped {version.dot} of {key!r} and holds it again")
