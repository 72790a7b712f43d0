"""A disk in memory that forgets what was not synced: `storage.port` for the simulator.

    stage ──► pending ──► sync ──► durable          fetch and scan see what is durable
                 └ crash: gone

It shares every decision with the real store (`storage.records`) and passes the same contract tests. Its faults are
switches that the world throws: `crash`, `wipe`, `put_back`, `corrupt`, `full`, `fail_fetch`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from random import Random

from node.core.ids import NodeId, scan_position
from node.core.limits import SCAN_PAGE_BYTES
from node.core.merkle import CHUNK_LEAVES, CHUNKS, LEAVES, Trees, chunk_of, leaf_of_key
from node.core.rounds import STATE_ROUNDS, Rounds
from node.storage.port import (
    Adopt,
    Advance,
    Forget,
    Handed,
    HandOver,
    HintTotals,
    Identity,
    Merge,
    Outcome,
    Owe,
    Owed,
    Page,
    Reap,
    Reaped,
    Recount,
    Refusal,
    Refused,
    Saved,
    SaveState,
    Scrub,
    Scrubbed,
    Totals,
    Unreadable,
    Write,
)
from node.storage.records import (
    Counts,
    Names,
    Record,
    adopt_round,
    advance_record,
    digest_of,
    is_dead,
    is_exactly,
    merge_record,
    refuse_round,
)

NOTHING = Totals(0, 0, 0, 0, 0)
_FILE = (
    "_storage_id", "_mark", "_rows", "_rotten", "_hints", "_state", "_ring_epoch", "_rounds",
    "_saved", "_dirty", "_starts",
)  # fmt: skip
"""What is in the file; the rest is in memory, or a switch of the world."""


class SimStorage:
    """One simulated store. `epoch` is its first dot epoch; later ones follow from it, so that runs repeat.

    `full` refuses every write for want of space, `fail_fetch` finds every row damaged.
    """

    def __init__(self, node_id: str, storage_id: str, epoch: int) -> None:
        self._node_id, self._storage_id = node_id, storage_id
        self._starts, self._run = 0, ""
        self._random = Random(f"{storage_id}/{epoch}")
        self.names = Names((epoch,), 0, self._draw)
        self.full = self.fail_fetch = False
        self._rows: dict[bytes, Record] = {}
        self._rotten: dict[bytes, None] = {}
        self._hints: dict[tuple[NodeId, bytes], tuple[int, int]] = {}
        self._state: dict[str, bytes] = {}
        self._ring_epoch: int | None = None
        self._rounds = Rounds()
        self._counts = Counts(NOTHING)
        self._saved: dict[int, bytes] = {}
        self._dirty: dict[int, None] = {}
        self._trees = Trees(known=True)
        self._forget()

    def _draw(self) -> int:
        return self._random.getrandbits(64)

    def _forget(self) -> None:
        """Begin a transaction at what is durable."""
        self._pending: dict[bytes, Record | None] = {}
        self._pending_hints: dict[tuple[NodeId, bytes], tuple[int, int] | None] = {}
        self._pending_state: dict[str, bytes] = {}
        self._pending_epoch = self._ring_epoch
        self._pending_rounds = self._rounds
        self._pending_recounts: dict[int, None] = {}
        self._mark = self.names.mark()

    # The port ------------------------------------------------------------------------------------------------

    @property
    def identity(self) -> Identity:
        """Who this store is."""
        told = (self._starts, self._run, self._counts.changes)
        return Identity(self._storage_id, self._node_id, self.names.epochs, *told)

    def apply(self, writes: Sequence[Write]) -> list[Outcome]:
        """Do all writes and make them durable at once."""
        outcomes = self.stage(writes)
        self.sync()
        return outcomes

    def fetch(self, key: bytes) -> bytes | Unreadable | None:
        """Return the durable row of `key`."""
        if self.fail_fetch or key in self._rotten:
            return Unreadable("the row's checksum does not match")
        return self._rows[key].data if key in self._rows else None

    def scan(self, partition: int, partitions: int, after: bytes, limit: int) -> Page:
        """Return a page of durable rows of one partition."""
        keys = [k for k in self._rows if int.from_bytes(scan_position(k), "big") * partitions >> 64 == partition]
        return self._page(keys, after, limit)

    def owed(self, target: NodeId, after: bytes, limit: int) -> Page:
        """Return a page of the durable rows that `target` lacks."""
        return self._page([key for owed_to, key in self._hints if owed_to == target], after, limit)

    def tombstones(self, after: bytes, limit: int) -> Page:
        """Return a page of durable rows that are tombstones and kept for nobody."""
        return self._page(self._dead(), after, limit, {key for _, key in self._hints})

    def _page(self, keys: list[bytes], after: bytes, limit: int, besides: Collection[bytes] = ()) -> Page:
        items: list[tuple[bytes, bytes]] = []
        page_bytes = 0
        last = after
        for position, key in sorted((scan_position(key), key) for key in keys):
            if after and position <= after:
                continue
            if (len(items) >= limit or page_bytes >= SCAN_PAGE_BYTES) and position != last:
                return Page(tuple(items), last)
            if key not in besides:
                record = self._rows.get(key)
                items.append((key, record.data if record is not None else b""))
                page_bytes += len(items[-1][1])
            last = position
        return Page(tuple(items), None)

    def tombstone_count(self) -> int:
        """Return how many durable rows are tombstones."""
        return len(self._dead())

    def _dead(self) -> list[bytes]:
        return [key for key, record in self._rows.items() if is_dead(record.row)]

    def owed_to(self, key: bytes) -> list[NodeId]:
        """For whom a key's row is kept."""
        return [target for target, kept in self._hints if kept == key]

    def hint_totals(self) -> tuple[HintTotals, ...]:
        """Return the durable hints, by target."""
        targets = sorted({target for target, _ in self._hints})
        held = {target: [hint for (to, _), hint in self._hints.items() if to == target] for target in targets}
        return tuple(
            HintTotals(target, len(hints), sum(size for size, _ in hints), min(at_ms for _, at_ms in hints))
            for target, hints in held.items()
        )

    def digests(self, bits: int, prefix: int, deeper: int) -> bytes:
        """Return digests of the parts of a span."""
        return self._trees.digests(bits, prefix, deeper)

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
        if isinstance(write, Recount):
            self._pending_recounts[write.leaf] = None
            return Saved()
        if isinstance(write, Scrub):
            return self._scrub(write)
        if isinstance(write, Adopt):
            return self._adopt(write)
        before = self._held(write.key)
        if isinstance(write, Reap | Forget):
            dropped = self._may_go(write, before)
            if dropped:
                self._pending[write.key] = None
            return Reaped(dropped)
        if isinstance(write, Owe):
            self._owe(write.key, before, write.owed)
            return Saved()
        if isinstance(write, HandOver):
            return self._hand_over(write, before)
        if write.epoch != self._pending_epoch:
            return Refused(Refusal.EPOCH, f"the ring's epoch is {self._pending_epoch}, not {write.epoch}")
        refused = refuse_round(write, self._pending_rounds) if isinstance(write, Merge) else None
        if refused is not None:
            return refused
        after, outcome = self._decide(before, write)
        if after is not None and after is not before:
            self._pending[write.key] = after
        if write.owed is not None and not isinstance(outcome, Refused):
            self._owe(write.key, after, write.owed)
        return outcome

    def _may_go(self, write: Reap | Forget, record: Record | None) -> bool:
        return is_exactly(write, record)

    def _scrub(self, write: Scrub) -> Scrubbed:
        """Count rows: damage is known at once here (`corrupt`), and there is none to be found."""
        last = (chunk_of(write.leaf) + 1) * CHUNK_LEAVES - 1
        leaves = sorted(leaf for leaf in map(leaf_of_key, self._rows) if write.leaf <= leaf <= last)
        rows = next((at for at in range(write.rows, len(leaves)) if leaves[at] != leaves[at - 1]), len(leaves))
        return Scrubbed([*leaves, (last + 1) % LEAVES][rows], rows, 0, 0, "")

    def _held(self, key: bytes) -> Record | None:
        """The key's record as the writes staged so far leave it."""
        return self._pending[key] if key in self._pending else self._rows.get(key)

    def _adopt(self, write: Adopt) -> Outcome:
        self._pending_rounds, outcome = adopt_round(write, self._pending_rounds, self._held, self._rotten.__contains__)
        self._pending_state[STATE_ROUNDS] = self._pending_rounds.to_bytes()
        return outcome

    def _owe(self, key: bytes, record: Record | None, owed: Owed) -> None:
        hints = self._hints | self._pending_hints
        for target in owed.targets:
            if record is not None and hints.get((target, key)) is None:
                self._pending_hints[target, key] = (len(record.data), owed.at_ms)

    def _hand_over(self, write: HandOver, record: Record | None) -> Handed:
        if record is not None and record.data != write.row:
            return Handed(done=False, dropped=False)
        self._pending_hints[write.target, write.key] = None
        hints = self._hints | self._pending_hints
        kept = any(key == write.key and hint is not None for (_, key), hint in hints.items())
        dropped = record is not None and not write.keep and not kept
        if dropped:
            self._pending[write.key] = None
        return Handed(done=True, dropped=dropped)

    def _decide(self, record: Record | None, write: Advance | Merge) -> tuple[Record | None, Outcome]:
        if isinstance(write, Advance):
            return advance_record(record, write, self.names)
        return merge_record(record, write, self.names)

    def sync(self) -> None:
        """Make what was staged durable."""
        for key, record in self._pending.items():
            self._counts.replace(self._rows.get(key), record)
            self._follow(key, self._rows.get(key), record)
            if record is None:
                self._rows.pop(key, None)
                continue
            self._rows[key] = record
            if self._rotten and key in self._rotten:
                del self._rotten[key]
                self._counts.quarantined -= 1
        for place, hint in self._pending_hints.items():
            if hint is None:
                self._hints.pop(place, None)
            else:
                self._hints[place] = hint
        for leaf in self._pending_recounts:
            self._touch(chunk_of(leaf))
            if self._trees.knows(leaf):
                self._trees.set_leaf(leaf, self._count(leaf))
        self._state |= self._pending_state
        self._ring_epoch, self._rounds = self._pending_epoch, self._pending_rounds
        self._forget()

    def durable_rows(self) -> dict[bytes, bytes]:
        """The rows that a crash would leave."""
        return {key: record.data for key, record in self._rows.items()}

    # The trees -----------------------------------------------------------------------------------------------

    def _follow(self, key: bytes, before: Record | None, after: Record | None) -> None:
        """A durable row became another one: so does its leaf, and the mark of its chunk is durable with it."""
        leaf = leaf_of_key(key)
        self._touch(chunk_of(leaf))
        delta = (before.digest(key) if before else 0) ^ (after.digest(key) if after else 0)
        self._trees.toggle([(leaf, delta)])

    def _touch(self, chunk: int) -> None:
        """What was saved of this chunk is not to be believed after a crash."""
        self._dirty[chunk] = None

    def _count(self, leaf: int) -> int:
        """Compute a leaf from the durable rows."""
        digest = 0
        for key, record in self._rows.items():
            if leaf_of_key(key) == leaf:
                digest ^= digest_of(key, record.data)
        return digest

    @property
    def work_due(self) -> bool:
        """Whether rows are to be scanned for the trees."""
        return self._trees.unknown() is not None

    def work(self) -> None:
        """Scan up to the next row that is not counted yet."""
        leaves = sorted(leaf_of_key(key) for key in self._rows)
        while (unknown := self._trees.unknown()) is not None:
            first, last = unknown
            leaf = next((leaf for leaf in leaves if first <= leaf <= last), None)
            if leaf is not None:
                self._trees.set_leaf(leaf, self._count(leaf))
                self._trees.learned(leaf)
                return
            self._trees.learned(last)

    def save(self) -> None:
        """Save every chunk that is known and clear its mark."""
        for chunk in range(CHUNKS):
            if (chunk in self._dirty or chunk not in self._saved) and self._trees.is_known(chunk):
                self._saved[chunk] = self._trees.save(chunk)
                self._dirty.pop(chunk, None)

    def untrue_leaves(self) -> list[int]:
        """Leaves that claim to say what the durable rows say, and do not. None, unless something is wrong."""
        leaves = dict.fromkeys(sorted(leaf_of_key(key) for key in [*self._rows, *self._rotten]))
        return [leaf for leaf in leaves if self._trees.knows(leaf) and self._trees.leaf(leaf) != self._count(leaf)]

    # Faults --------------------------------------------------------------------------------------------------

    def opened(self, run: str) -> None:
        """A process begins with this file."""
        self._starts, self._run = self._starts + 1, run

    def crash(self) -> None:
        """The process ends: what was not synced was never there."""
        self.names.reset(self._mark)
        self._forget()
        self._trees = Trees(known=not self._rows)
        for chunk, leaves in self._saved.items():
            if chunk not in self._dirty:
                self._trees.load(chunk, leaves)

    def corrupt(self, key: bytes) -> None:
        """Damage the durable row of `key`: it is quarantined, which is to say lost and known to be."""
        self.drop(key)
        self._rotten[key] = None
        self._counts.quarantined += 1

    def drop(self, key: bytes) -> None:
        """Remove the durable row of `key`, as a stand-in does that has handed it off."""
        record = self._rows.pop(key)
        self._counts.replace(record, None)
        self._follow(key, record, None)

    def wipe(self) -> None:
        """The disk was replaced by an empty one: another store, which knows nothing of the first."""
        self._put(SimStorage(self._node_id, self._random.randbytes(16).hex(), self._draw()).copy())

    def copy(self) -> dict[str, object]:
        """Copy the file: all that is durable."""
        held = {name: getattr(self, name) for name in _FILE}
        return {name: dict(value) if isinstance(value, dict) else value for name, value in held.items()}

    def put_back(self, copied: dict[str, object]) -> None:
        """The file was replaced by this copy, which is used up by it; opened, it draws a new dot epoch."""
        self._put(copied)
        self.names.redraw()
        self._forget()

    def _put(self, copied: dict[str, object]) -> None:
        for name, value in copied.items():
            setattr(self, name, value)
        self._counts = Counts(NOTHING._replace(quarantined=len(self._rotten)))
        for record in self._rows.values():
            self._counts.replace(None, record)
        self.names = Names(*self._mark, self._draw)
        self.crash()
