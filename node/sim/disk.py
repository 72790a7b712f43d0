"""A disk in memory that forgets what was not synced: `storage.port` for the simulator.

    stage ──► pending ──► sync ──► durable          fetch and scan see what is durable
                 └ crash: gone

It shares every decision with the real store (`storage.records`) and passes the same contract tests. Its faults are
switches that the world throws: `crash`, `wipe`, `corrupt`, `full`, `fail_fetch`.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from node.core.ids import scan_position
from node.core.limits import SCAN_PAGE_BYTES
from node.storage.port import (
    Advance,
    Identity,
    Merge,
    Outcome,
    Page,
    Refusal,
    Refused,
    Saved,
    SaveState,
    Totals,
    Unreadable,
    Write,
)
from node.storage.records import Counts, Names, Record, advance_record, merge_record

NOTHING = Totals(0, 0, 0, 0)


class SimStorage:
    """One simulated store. `epoch` is its first dot epoch; later ones follow from it, so that runs repeat."""

    def __init__(self, node_id: str, storage_id: str, epoch: int) -> None:
        self._node_id = node_id
        self._storage_id = storage_id
        self._random = Random(f"{storage_id}/{epoch}")
        self.names = Names((epoch,), 0, self._draw)
        self.full = False
        """Every write is refused for want of space."""
        self.fail_fetch = False
        """Every read finds its row damaged."""
        self._rows: dict[bytes, Record] = {}
        self._rotten: dict[bytes, None] = {}
        self._state: dict[str, bytes] = {}
        self._ring_epoch: int | None = None
        self._counts = Counts(NOTHING)
        self._forget()

    def _draw(self) -> int:
        return self._random.getrandbits(64)

    def _forget(self) -> None:
        """Begin a transaction at what is durable."""
        self._pending: dict[bytes, Record] = {}
        self._pending_state: dict[str, bytes] = {}
        self._pending_epoch = self._ring_epoch
        self._mark = self.names.mark()

    # The port ------------------------------------------------------------------------------------------------

    @property
    def identity(self) -> Identity:
        """Who this store is."""
        return Identity(self._storage_id, self._node_id, self.names.epochs)

    def apply(self, writes: Sequence[Write]) -> list[Outcome]:
        """Do all writes and make them durable at once."""
        outcomes = self.stage(writes)
        self.sync()
        return outcomes

    def fetch(self, key: bytes) -> bytes | Unreadable | None:
        """Return the durable row of `key`."""
        if self.fail_fetch or key in self._rotten:
            return Unreadable("the row's checksum does not match")
        record = self._rows.get(key)
        return None if record is None else record.data

    def scan(self, partition: int, partitions: int, after: bytes, limit: int) -> Page:
        """Return a page of durable rows of one partition."""
        items: list[tuple[bytes, bytes]] = []
        page_bytes = 0
        last = after
        for position, key in sorted((scan_position(key), key) for key in self._rows):
            if int.from_bytes(position, "big") * partitions >> 64 != partition or (after and position <= after):
                continue
            if (len(items) >= limit or page_bytes >= SCAN_PAGE_BYTES) and position != last:
                return Page(tuple(items), last)
            items.append((key, self._rows[key].data))
            page_bytes += len(items[-1][1])
            last = position
        return Page(tuple(items), None)

    def load_state(self) -> dict[str, bytes]:
        """Return everything that `SaveState` kept."""
        return dict(self._state)

    def totals(self) -> Totals:
        """Return the counts of what is durable."""
        return self._counts.totals()

    def close(self) -> None:
        """Nothing is open."""

    # The disk ------------------------------------------------------------------------------------------------

    def stage(self, writes: Sequence[Write]) -> list[Outcome]:
        """Decide all writes, on top of those staged before; none is durable until `sync`."""
        if self.full:
            return [Refused(Refusal.DISK_FULL, "no space left on the simulated disk") for _ in writes]
        return [self._stage(write) for write in writes]

    def _stage(self, write: Write) -> Outcome:
        if isinstance(write, SaveState):
            self._pending_state[write.name] = write.data
            if write.epoch is not None:
                self._pending_epoch = write.epoch
            return Saved()
        if write.epoch != self._pending_epoch:
            return Refused(Refusal.EPOCH, f"the ring's epoch is {self._pending_epoch}, not {write.epoch}")
        before = self._pending.get(write.key) or self._rows.get(write.key)
        after, outcome = self._decide(before, write)
        if after is not None and after is not before:
            self._pending[write.key] = after
        return outcome

    def _decide(self, record: Record | None, write: Advance | Merge) -> tuple[Record | None, Outcome]:
        if isinstance(write, Advance):
            return advance_record(record, write, self.names)
        return merge_record(record, write, self.names)

    def sync(self) -> None:
        """Make what was staged durable."""
        for key, record in self._pending.items():
            self._counts.replace(self._rows.get(key), record)
            self._rows[key] = record
            if self._rotten and key in self._rotten:
                del self._rotten[key]
                self._counts.quarantined -= 1
        self._state |= self._pending_state
        self._ring_epoch = self._pending_epoch
        self._forget()

    def durable_rows(self) -> dict[bytes, bytes]:
        """The rows that a crash would leave."""
        return {key: record.data for key, record in self._rows.items()}

    # Faults --------------------------------------------------------------------------------------------------

    def crash(self) -> None:
        """The process ends: what was not synced was never there."""
        self.names.reset(self._mark)
        self._forget()

    def corrupt(self, key: bytes) -> None:
        """Damage the durable row of `key`: it is quarantined, which is to say lost and known to be."""
        self._counts.replace(self._rows.pop(key), None)
        self._rotten[key] = None
        self._counts.quarantined += 1

    def drop(self, key: bytes) -> None:
        """Remove the durable row of `key`, as a stand-in does that has handed it off."""
        self._counts.replace(self._rows.pop(key), None)

    def wipe(self) -> None:
        """The disk was replaced by an empty one: another store, which knows nothing of the first."""
        self._storage_id = self._random.randbytes(16).hex()
        self.names = Names((self._draw(),), 0, self._draw)
        self._rows.clear()
        self._rotten.clear()
        self._state.clear()
        self._ring_epoch = None
        self._counts = Counts(NOTHING)
        self._forget()
