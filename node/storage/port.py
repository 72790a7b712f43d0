"""The storage port: what the engine may ask of a disk, whichever disk it is.

Rows are advanced or merged, never overwritten: both are the pure functions of `core.version`, applied inside the
store's transaction. `Effects` are queued with `apply` and are durable when their result comes back; `fetch` and `scan`
see only what is durable. Two stores implement this page and pass the same contract tests: `storage.sqlite` and
`sim.disk`.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final, NamedTuple, Protocol

from node.core.ids import Instant, NodeId
from node.core.row import Clock, Dot, Row

FOREVER: Final[Instant] = float("inf")
"""Until when to do what nobody waits for."""


class Owed(NamedTuple):
    """Hints to keep with a row: the owners who lack it, and when that was found (Unix time in ms, for people)."""

    targets: tuple[NodeId, ...]
    at_ms: int


class Advance(NamedTuple):
    """Write a new version of `key` as this store, over `context`; with `cover`, over all that the row holds too.

    `epoch` is the ring epoch the coordinator decided under; the store refuses another one at commit. `owed` are hints
    to keep in the same transaction. `until`: see `is_late`.
    """

    key: bytes
    value: bytes | None
    context: Clock
    cover: bool
    epoch: int
    written_at_ms: int
    writer: str
    owed: Owed | None = None
    until: Instant = FOREVER


class Merge(NamedTuple):
    """Merge a row that another store sent; `row` in canonical bytes, already checked.

    `decoded` is the same row: whoever checked the bytes has it, and a store need not decode them once more. `owed` are
    hints to keep in the same transaction. `round` is the reap round of the key's partition under which the row was read
    (`engine.reaping`); a store that is in a later one refuses. `until`: see `is_late`.
    """

    key: bytes
    row: bytes
    epoch: int
    decoded: Row | None = None
    owed: Owed | None = None
    round: int = 0
    until: Instant = FOREVER


class Owe(NamedTuple):
    """Keep hints for the row of `key` as it is held already. Nothing is kept for a key without a row."""

    key: bytes
    owed: Owed


class HandOver(NamedTuple):
    """`target` holds `row` durably now: its hint goes, if the key's row is still this one.

    Without `keep` (this store does not own the key) the row goes with its last hint.
    """

    key: bytes
    target: NodeId
    row: bytes
    keep: bool


class Adopt(NamedTuple):
    """Adopt reap round `round` of one of `partitions` partitions, unless the store is there already, or beyond.

    `rows` are keys with the digest of a row each (`wire.rows.row_digest`): in the same transaction the store says of
    which of them it holds something else than that very row.
    """

    partition: int
    partitions: int
    round: int
    rows: tuple[tuple[bytes, bytes], ...] = ()


class Reap(NamedTuple):
    """Drop the row of `key` if it is exactly the one of this digest: every member confirmed that it holds no other."""

    key: bytes
    digest: bytes


class Forget(NamedTuple):
    """Drop the row of `key` if it is exactly the one of this digest: it was read before a reap that this store has
    forgotten (`engine.catchup`), so that nobody can tell what of it is dead."""

    key: bytes
    digest: bytes


class SaveState(NamedTuple):
    """Keep the node's own state (members, ring) under `name`. Ordered with the writes before and after it.

    `epoch`, if given, is the ring epoch from here on: later writes of another epoch are refused.
    """

    name: str
    data: bytes
    epoch: int | None = None


class Recount(NamedTuple):
    """Compute one leaf of the trees anew from its rows: it was found to say something else. The outcome is Saved."""

    leaf: int


class Scrub(NamedTuple):
    """Read about so many rows again, from `leaf` of the trees on and at most to the end of its chunk.

    Each is held to its checksum and to its place, and the leaves to what reads find. What fails is set aside, and its
    leaf counted again, in the same transaction. StorageStopped: the store's own structure is broken.
    """

    leaf: int
    rows: int


Write = Advance | Merge | Owe | HandOver | Adopt | Reap | Forget | SaveState | Recount | Scrub


class Refusal(Enum):
    """Why a store took nothing. The other writes of the batch are not affected.

    UNCLEAR alone is no word that nothing was stored: a commit whose fsync failed may be in the log all the same, and is
    there after a restart.
    """

    EPOCH = "another epoch was adopted"
    ROUND = "older reap round"
    TOO_MANY_SIBLINGS = "too many siblings"
    ROW_TOO_BIG = "row too big"
    DISK_FULL = "disk full"
    STOPPED = "storage stopped"
    UNCLEAR = "storage stopped while it stored this"
    LATE = "its time had passed"


def is_late(write: Write, now: Instant) -> bool:
    """Return whether nobody waits for `write` any more, on the clock of its node.

    Whoever keeps the store's queue asks, before the transaction; a write that is late is refused and never stored.
    """
    return isinstance(write, Advance | Merge) and write.until <= now


class Advanced(NamedTuple):
    """The row after the write, the write's clock and dot, how many live values it replaced, how many there are now.

    `clock` is that of the new version alone (`version.own_clock`), the writer's next context: it covers no sibling that
    its writer did not see.
    """

    row: bytes
    clock: Clock
    dot: Dot
    replaced: int
    siblings: int


class Merged(NamedTuple):
    """The row after the merge, and whether it says more than the row that was sent."""

    row: bytes
    more: bool


class Saved(NamedTuple):
    """The state is kept."""


class Handed(NamedTuple):
    """Whether the hint went (if not, the row has changed since), and the row with it."""

    done: bool
    dropped: bool


class Adopted(NamedTuple):
    """Whether the round was adopted with this write, in which round the partition is now, and what the store holds
    otherwise than it was said: keys with another row, or with one that is in quarantine (which is not "nothing")."""

    done: bool
    partition: int
    partitions: int
    round: int
    differ: tuple[bytes, ...]


class Reaped(NamedTuple):
    """Whether the row went (if not, there was none, or another one). Of `Reap` and `Forget`."""

    dropped: bool


class Scrubbed(NamedTuple):
    """What a `Scrub` came to: how many rows it read, how many of these were damaged, how many leaves said otherwise.

    `leaf` is where the next one begins (0 after the last). `why` part of the file could not be read, "" if all could.
    """

    leaf: int
    rows: int
    damaged: int
    untrue: int
    why: str


class Refused(NamedTuple):
    """Nothing was stored: why, and the particulars for the error message."""

    why: Refusal
    detail: str


Outcome = Advanced | Merged | Saved | Handed | Adopted | Reaped | Scrubbed | Refused


class Unreadable(NamedTuple):
    """The row's checksum does not match: it is quarantined. Neither a value nor "not found"."""

    detail: str


class Identity(NamedTuple):
    """Whose file this is. `epochs`: the dot epochs this store has used, the present one last.

    `starts`: how often it was opened, this time included. `run`: random, drawn when it was. `changes`: as in `Totals`.
    """

    storage_id: str
    node_id: str
    epochs: tuple[int, ...]
    starts: int
    run: str
    changes: int


class Totals(NamedTuple):
    """What the store holds: keys (rows), bytes of rows, rows with more than one live value, quarantined rows.

    `changes` is how often a row came, changed or went since there is the store: one of which others have heard of more
    was put back.
    """

    rows: int
    bytes: int
    siblings: int
    quarantined: int
    changes: int


class Page(NamedTuple):
    """Rows in order of position, then key. `after` (a position, 8 bytes) continues the scan; None: nothing follows."""

    items: tuple[tuple[bytes, bytes], ...]
    after: bytes | None


class HintTotals(NamedTuple):
    """The hints kept for one owner: how many rows it lacks, their bytes, and when the oldest was made (Unix ms)."""

    target: NodeId
    rows: int
    bytes: int
    oldest_ms: int


class Storage(Protocol):
    """One store. Not thread-safe: its owner calls it from one thread (`fetch`, `scan`, `totals`: the readers' one)."""

    @property
    def identity(self) -> Identity:
        """Who this store is."""

    def apply(self, writes: Sequence[Write]) -> list[Outcome]:
        """Do all `writes` in order in one transaction, make it durable, and return one outcome each.

        Raises StorageStopped if the disk failed in a way after which nothing it says can be trusted.
        """

    def fetch(self, key: bytes) -> bytes | Unreadable | None:
        """Return the row of `key` in canonical bytes, None if there is none."""

    def scan(self, partition: int, partitions: int, after: bytes, limit: int) -> Page:
        """Return about `limit` rows of one of `partitions` partitions, in order of position.

        `after` is b"" to begin, else 8 bytes: the position (`scan_position`) of the last row seen; only rows beyond it
        follow. Rows of one position are never split between pages, so a page may hold a few rows more.
        """

    def owed(self, target: NodeId, after: bytes, limit: int) -> Page:
        """Return about `limit` of the rows that `target` lacks, as `scan` does, bounded in bytes, too.

        A hint without a readable row comes with b"": hand it over with that, and it goes.
        """

    def hint_totals(self) -> tuple[HintTotals, ...]:
        """Return the hints kept, by target. Cheap: kept, not counted."""

    def tombstones(self, after: bytes, limit: int) -> Page:
        """Return about `limit` rows of which every version is a tombstone, and that are kept for nobody else.

        Pages as in `scan`, over all partitions. A page costs what it looks at, not what the store holds.
        """

    def tombstone_count(self) -> int:
        """Return how many rows are nothing but tombstones. Cheap: kept, not counted."""

    def digests(self, bits: int, prefix: int, deeper: int) -> bytes:
        """Return the digests of the 2^deeper parts of a span of the hash space, 16 bytes each (`core.merkle`).

        From memory, about what is durable; b"" while that is not known (after a crash, until the rows were scanned).
        """

    @property
    def work_due(self) -> bool:
        """Whether there is something for `work` to do."""

    def work(self) -> None:
        """Do one bounded slice of what waits for a quiet moment: set damaged rows aside, scan rows for the trees.

        Belongs to whoever calls `apply`, between two calls. Raises StorageStopped as `apply` does.
        """

    def save(self) -> None:
        """Save the trees, so that a crash leaves less to be scanned: for a moment without writes.

        Belongs to whoever calls `apply`, between two calls. Raises StorageStopped as `apply` does.
        """

    def load_state(self) -> dict[str, bytes]:
        """Return everything `SaveState` kept, by name."""

    def totals(self) -> Totals:
        """Return the store's counts. Cheap: kept, not counted."""

    def close(self) -> None:
        """Release the file. A clean close is remembered."""


class StorageStopped(Exception):
    """The disk failed (EIO, failed fsync): nothing more is acknowledged until the node restarts and checks."""
