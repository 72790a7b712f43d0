"""What one write makes of one key's record: the decisions that every store shares, without any disk.

A *record* is a row as one store holds it: the canonical bytes, and the *birth* under which this store advances it.

    Advance ──► absent, or birth None ──► draw a birth ──► dot (epoch, birth, 1)      the birth stays in the record
            └─► a birth of its own ─────────────────────► dot (epoch, birth, n + 1)
    Merge   ──► absent ──► the row as it was sent, birth None
            └─► held   ──► version.merge, birth unchanged

So a birth is used by one unbroken life of one row in one store, and the counter that gives it is committed with it:
whatever happened to the row before (never here, came from a peer, dropped, lost to a bad sector), its new dots are new.

One thing can break that: a store that forgets commits (a restored copy, a disk that lied). It is found out when a row
or a context shows a dot of the present epoch that was never minted. Then the epoch is redrawn before anything else is
minted, in the same transaction: births go on counting, under a name that nobody has seen. A dot of an earlier epoch
of ours proves nothing new and harms nothing, as nothing is minted under it any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from node.core.limits import CLOCK_ENTRIES_MAX, EPOCHS_MAX, ROW_BYTES_MAX, SIBLINGS_MAX
from node.core.rounds import Rounds
from node.core.row import EMPTY, Actor, Clock, Row
from node.core.version import add, advance, join, last_n, merge
from node.storage.port import (
    Adopt,
    Adopted,
    Advance,
    Advanced,
    Forget,
    Merge,
    Merged,
    Outcome,
    Reap,
    Recount,
    Refusal,
    Refused,
    SaveState,
    Scrub,
    Totals,
    Write,
)
from node.wire.rows import encode_row, row_digest, trusted_row


class Record:
    """A row as one store holds it. Never changed, only replaced; `row` is decoded when it is first asked for."""

    __slots__ = ("_digest", "_row", "birth", "data")

    def __init__(self, data: bytes, birth: int | None, row: Row | None = None, digest: int = 0) -> None:
        self.data = data
        self.birth = birth
        self._row = row
        self._digest = digest

    @property
    def row(self) -> Row:
        """The decoded row."""
        if self._row is None:
            self._row = trusted_row(self.data)
        return self._row

    def digest(self, key: bytes) -> int:
        """What stands for this row of `key` in checksum and trees: computed once, also for the write that ends it."""
        if not self._digest:
            self._digest = digest_of(key, self.data)
        return self._digest

    def bare(self) -> Record:
        """The record without its decoded row, which takes more memory than its bytes."""
        return Record(self.data, self.birth, None, self._digest)


def digest_of(key: bytes, data: bytes) -> int:
    """Return what stands for a row in the trees, as a number."""
    return int.from_bytes(row_digest(key, data), "big")


class Names:
    """What names the writes of a store: its dot epochs (the present one last), and the births it has drawn.

    `draw` gives 64 fresh random bits. `mark` and `reset` bracket a transaction: a rolled back one named nothing.
    """

    __slots__ = ("_draw", "births", "epoch", "epochs")

    def __init__(self, epochs: tuple[int, ...], births: int, draw: Callable[[], int]) -> None:
        self.epochs = epochs
        self.epoch = epochs[-1]
        self.births = births
        self._draw = draw

    def birth(self) -> int:
        """Draw a birth: a number this store never used before."""
        self.births += 1
        return self.births

    def redraw(self) -> None:
        """Begin a new dot epoch."""
        self.epoch = self._draw()
        self.epochs = (*self.epochs, self.epoch)[-EPOCHS_MAX:]

    def mark(self) -> tuple[tuple[int, ...], int]:
        """Return what `reset` needs to come back to this moment."""
        return self.epochs, self.births

    def reset(self, mark: tuple[tuple[int, ...], int]) -> None:
        """Forget what was drawn since `mark`."""
        self.epochs, self.births = mark
        self.epoch = self.epochs[-1]

    def never_minted(self, clock: Clock, held: Clock, birth: int | None) -> bool:
        """Whether `clock` shows a write of the present epoch that this store did not make.

        `held` and `birth` are those of the key's record. Under an earlier life of the row nothing is minted any more,
        so how far it got need not be known.
        """
        epoch = self.epoch
        for dot in clock:
            if dot[0] == epoch:
                if dot[1] > self.births:
                    return True
                if dot[1] == birth and dot[2] > last_n(held, Actor(epoch, birth)):
                    return True
        return False


class Counts:
    """A store's totals, kept while records are replaced."""

    __slots__ = ("bytes", "changes", "quarantined", "rows", "siblings")

    def __init__(self, totals: Totals) -> None:
        self.rows, self.bytes, self.siblings, self.quarantined, self.changes = totals

    def replace(self, before: Record | None, after: Record | None) -> None:
        """A key's record became another one (None: there is none)."""
        self.changes += 1
        if before is not None:
            self.rows -= 1
            self.bytes -= len(before.data)
            if len(before.row.versions) > 1:
                self.siblings -= live_values(before.row) > 1
        if after is not None:
            self.rows += 1
            self.bytes += len(after.data)
            if len(after.row.versions) > 1:
                self.siblings += live_values(after.row) > 1

    def set_aside(self, size: int, *, siblings: bool) -> None:
        """A damaged record went to quarantine. What it was counted as is a guess: good enough for people."""
        self.quarantined += 1
        self.lost(size)
        self.siblings = max(self.siblings - siblings, 0)

    def lost(self, size: int) -> None:
        """A line of so many bytes is gone, whatever it was."""
        self.rows = max(self.rows - 1, 0)
        self.bytes = max(self.bytes - size, 0)

    def totals(self) -> Totals:
        """The counts as a value."""
        return Totals(self.rows, self.bytes, self.siblings, self.quarantined, self.changes)


def advance_record(record: Record | None, write: Advance, names: Names) -> tuple[Record | None, Outcome]:
    """Return the key's record after a client's write, and what to tell; the very same record if it is refused."""
    row, birth = (EMPTY, None) if record is None else (record.row, record.birth)
    if names.never_minted(write.context, row.clock, birth):
        names.redraw()
    context = join(row.clock, write.context) if write.cover else write.context
    born = names.births
    actor = Actor(names.epoch, names.birth() if birth is None else birth)
    new, dot = advance(row, context, actor, write.value, written_at_ms=write.written_at_ms, writer=write.writer)
    data = encode_row(new)
    refused = _refusal(row, 0 if record is None else len(record.data), new, len(data))
    if refused is not None:
        names.births = born
        return record, refused
    siblings = live_values(new)
    replaced = live_values(row) + (write.value is not None) - siblings
    return Record(data, actor.birth, new), Advanced(data, add(context, dot), dot, replaced, siblings)


def live_values(row: Row) -> int:
    """How many values a reader would get."""
    live = 0
    for version in row.versions:
        if version.value is not None:
            live += 1
    return live


def keys_of(writes: Sequence[Write]) -> list[bytes]:
    """The keys whose records a store must look at to do these writes."""
    keys: list[bytes] = []
    for write in writes:
        if isinstance(write, Adopt):
            keys += [key for key, _ in write.rows]
        elif not isinstance(write, SaveState | Recount | Scrub):
            keys.append(write.key)
    return keys


def is_dead(row: Row) -> bool:
    """Whether every version is a tombstone: whoever reads the row finds nothing."""
    versions = row.versions
    if not versions or versions[0].value is not None:
        return False
    return len(versions) == 1 or live_values(row) == 0


def is_dead_record(record: Record | None) -> bool:
    """`is_dead` of what a store holds, which may be nothing."""
    return record is not None and is_dead(record.row)


def refuse_round(write: Merge, rounds: Rounds) -> Refused | None:
    """Why a row that was read under an older reap round is not merged, whatever is held here, or None.

    Held rows are no exception: one that was written anew after the reap does not know what the reaped tombstone knew,
    and would take the dead value in as its sibling.
    """
    here = rounds.of(write.key)
    if write.round >= here:
        return None
    return Refused(Refusal.ROUND, f"the partition is in reap round {here}, the row is of round {write.round}")


def adopt_round(
    write: Adopt, rounds: Rounds, holds: Callable[[bytes], Record | None], is_aside: Callable[[bytes], bool]
) -> tuple[Rounds, Adopted]:
    """Return the rounds after the write, and what to tell. `holds` gives a key's record, `is_aside` says whether it is
    in quarantine, where it is no evidence of anything."""
    after = rounds.adopted(write.partition, write.partitions, write.round)
    here = after.at(write.partition, write.partitions)
    if after is rounds:
        return rounds, Adopted(False, write.partition, write.partitions, here, ())
    differ = []
    for key, digest in write.rows:
        record = holds(key)
        if is_aside(key) if record is None else row_digest(key, record.data) != digest:
            differ.append(key)
    return after, Adopted(True, write.partition, write.partitions, here, tuple(differ))


def is_exactly(write: Reap | Forget, record: Record | None) -> bool:
    """Whether the key's record is exactly the one that shall go."""
    return record is not None and row_digest(write.key, record.data) == write.digest


def _refusal(row: Row, row_bytes: int, new: Row, new_bytes: int) -> Refused | None:
    """Why a client's write is too much. One that leaves the row no larger than it was is always taken: the way out."""
    if len(new.versions) > SIBLINGS_MAX and len(new.versions) > len(row.versions):
        return Refused(Refusal.TOO_MANY_SIBLINGS, f"{len(row.versions)} siblings, limit {SIBLINGS_MAX}")
    if new_bytes > ROW_BYTES_MAX and new_bytes > row_bytes:
        return Refused(Refusal.ROW_TOO_BIG, f"the key's versions come to {new_bytes} bytes, limit {ROW_BYTES_MAX}")
    if len(new.clock) > CLOCK_ENTRIES_MAX:
        return Refused(Refusal.ROW_TOO_BIG, f"clock of {len(new.clock)} entries, limit {CLOCK_ENTRIES_MAX}")
    return None


def merge_record(record: Record | None, write: Merge, names: Names) -> tuple[Record, Outcome]:
    """Return the key's record after a peer's row, and what to tell; the very same record if it says nothing new.

    Knowledge is never refused: no limit binds it.
    """
    if record is not None and record.data == write.row:
        return record, Merged(write.row, more=False)
    sent = trusted_row(write.row) if write.decoded is None else write.decoded
    if record is None:
        if names.never_minted(sent.clock, (), None):
            names.redraw()
        return Record(write.row, None, sent), Merged(write.row, more=False)
    held = record.row
    if names.never_minted(sent.clock, held.clock, record.birth):
        names.redraw()
    merged = merge(held, sent)
    if merged is held:
        return record, Merged(record.data, more=True)
    if merged is sent:
        return Record(write.row, record.birth, sent), Merged(write.row, more=False)
    data = encode_row(merged)
    return Record(data, record.birth, merged), Merged(data, more=data != write.row)
