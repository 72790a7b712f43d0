"""A store's Merkle leaves and its file: what is saved, what is marked, and what a crash leaves to be scanned again.

The leaves live in memory (`core.merkle`) and follow the rows after each commit. Kept as rows of the file, in the
transaction of the write, they cost a third of all write throughput. So the file holds two things about a chunk of them:

    trees    its leaves, as they were in a quiet moment or at a clean stop
    dirty    a mark: rows of this chunk changed since. The first write after a save sets it, in its own transaction

(Saved whenever the log is folded in, they cost 30 ms each time under load, and nothing was won: a moment later every
chunk is marked again.)

A chunk that is saved and not marked is *clean*: it is believed at open. Every other chunk is computed from the rows, in
slices between the transactions of the writing thread, which owns everything here but `digests`. As the one thread scans
and writes, a write needs no special case: behind the scan it changes the leaf, before it the scan will see it.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Iterable
from contextlib import closing, suppress
from itertools import islice
from typing import NamedTuple

from node.core.limits import SCAN_PAGE_BYTES, TREE_LEAF_BITS, TREE_SLICE_ROWS
from node.core.merkle import CHUNK_BYTES, CHUNK_LEAVES, CHUNKS, LEAVES, Trees, chunk_of, leaf_of
from node.storage import tables
from node.storage.port import Scrub, Scrubbed
from node.storage.records import Record, digest_of

_LOAD = "SELECT chunk, leaves, checksum FROM trees WHERE chunk NOT IN (SELECT chunk FROM dirty) ORDER BY chunk"
_SAVE = "REPLACE INTO trees (chunk, leaves, checksum) VALUES (?, ?, ?)"
_MARK = "INSERT OR IGNORE INTO dirty (chunk) VALUES (?)"

_LEAF_SHIFT = 64 - TREE_LEAF_BITS
_PER_LEAF = 1 << _LEAF_SHIFT
"""Positions of one leaf."""

RECOUNTS = 16
"""Leaves that a slice computes again; each has a few rows."""


class Seen(NamedTuple):
    """What a scan saw: the digests of leaves with rows, the last leaf that it saw whole, rows, and damaged ones.

    `keys` are those of the others.
    """

    digests: dict[int, int]
    last: int
    rows: int
    damaged: int
    keys: list[bytes]


class Looked(NamedTuple):
    """What a scrub came to, and which leaves say something else than their rows."""

    outcome: Scrubbed
    untrue: tuple[int, ...]

    @property
    def strange(self) -> bool:
        """Whether something is amiss that no damaged row explains: then the file's own structure may be."""
        return bool(self.outcome.why or (self.untrue and not self.outcome.damaged))


class StoredTrees:
    """The trees of one open file. `suspects` takes the keys of rows that fail their checksum in a scan."""

    def __init__(self, writer: sqlite3.Connection, suspects: deque[bytes]) -> None:
        self._writer = writer
        self._suspects = suspects
        self._deltas: dict[bytes, int] = {}
        self._recounts: dict[int, None] = {}
        self.misplaced: list[tuple[int, bytes, int]] = []
        """Lines where nobody looks for them, their position or key being damaged: position, key, bytes of the row."""
        self._waiting: dict[int, None] = {}
        self._staged: list[tuple[int, int]] = []
        self._marks: list[int] = []
        self._trees = Trees(known=_is_empty(writer))
        self._clean: dict[int, None] = {}
        for chunk, leaves, kept in writer.execute(_LOAD).fetchall():
            if not (isinstance(chunk, int) and 0 <= chunk < CHUNKS and isinstance(leaves, bytes)):
                continue  # a damaged line may hold anything
            if len(leaves) in (0, CHUNK_BYTES) and _checksum(chunk, leaves) == kept:
                self._trees.load(chunk, leaves)
                self._clean[chunk] = None
        self.digests = self._trees.digests
        self.given_up = ""
        self.scanning = self._trees.unknown() is not None

    # One transaction -----------------------------------------------------------------------------------------

    def replace(self, key: bytes, before: Record | None, after: Record | None) -> None:
        """A key's record becomes another one in this transaction (None: there is none)."""
        delta = 0 if before is None else before.digest(key)
        if after is not None:
            delta ^= after.digest(key)
        self._deltas[key] = self._deltas.get(key, 0) ^ delta

    def recount(self, leaf: int) -> None:
        """Compute this leaf from the rows soon after the transaction is committed."""
        self._recounts[leaf] = None

    def damaged(self, keys: Iterable[bytes]) -> None:
        """These rows were set aside: what they added to their leaves nobody can tell any more."""
        for key in keys:
            self.recount(leaf_of(tables.position_of(key) + tables.FLIP))

    def stage(self, lines: Iterable[tables.Line]) -> None:
        """Mark what this transaction changes, before its commit. `lines` are those of the rows it wrote."""
        deltas = self._deltas
        staged = self._staged = [((line[0] + tables.FLIP) >> _LEAF_SHIFT, deltas.pop(line[1], 0)) for line in lines]
        for key, delta in deltas.items():
            staged.append((leaf_of(tables.position_of(key) + tables.FLIP), delta))
        clean = self._clean
        if not clean:
            return
        changed = dict.fromkeys(
            [chunk_of(leaf) for leaf, _ in self._staged] + [chunk_of(leaf) for leaf in self._recounts]
        )
        self._marks = [chunk for chunk in changed if chunk in clean]
        if self._marks:
            self._writer.executemany(_MARK, [(chunk,) for chunk in self._marks])

    def committed(self) -> None:
        """What was staged is in the file: follow it."""
        for chunk in self._marks:
            del self._clean[chunk]
        self._trees.toggle(self._staged)
        if self._recounts:
            self._waiting |= self._recounts
            self.scanning = not self.given_up
        self.forget()

    def drop_misplaced(self) -> list[int]:
        """Remove lines where nobody finds them: whose they were is not known, and the other owners have them.

        Returns how large their rows were. Within a transaction.
        """
        misplaced, self.misplaced = self.misplaced, []
        tables.drop_at(self._writer, [(position, key) for position, key, _ in misplaced])
        return [size for _, _, size in misplaced]

    def forget(self) -> None:
        """The transaction was rolled back."""
        self._deltas, self._recounts, self._staged, self._marks = {}, {}, [], []

    # Between transactions ------------------------------------------------------------------------------------

    @property
    def work_due(self) -> bool:
        """Whether there are rows to be scanned, or lines to be dropped."""
        return self.scanning or bool(self.misplaced)

    def unsaved(self) -> list[int]:
        """The chunks that are worth saving."""
        wrong = {chunk_of(leaf) for leaf in self._waiting}
        return [c for c in range(CHUNKS) if c not in self._clean and c not in wrong and self._trees.is_known(c)]

    def save(self) -> None:
        """Write every known chunk that is not clean, and clear the marks: one transaction. Raises sqlite3.Error."""
        trees, unsaved = self._trees, self.unsaved()
        if not unsaved:
            return
        lines = []
        for chunk in unsaved:
            leaves = trees.save(chunk)
            lines.append((chunk, leaves, _checksum(chunk, leaves)))
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            self._writer.executemany(_SAVE, lines)
            self._writer.executemany("DELETE FROM dirty WHERE chunk = ?", [(chunk,) for chunk in unsaved])
            self._writer.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._writer.execute("ROLLBACK")
            raise
        self._clean |= dict.fromkeys(unsaved)

    def rescan(self) -> None:
        """Scan some leaves that are said to be wrong, and one slice of those not known.

        A file of which a page cannot be read ends that for this run: its chunk, and those after it, stay unknown.
        """
        try:
            self._rescan()
        except sqlite3.Error as error:
            self.given_up = str(error)
            self.scanning = False

    def _rescan(self) -> None:
        for leaf in list(islice(self._waiting, RECOUNTS)):
            if self._trees.knows(leaf):
                self._trees.set_leaf(leaf, self._found(self._scan(leaf, leaf)).digests.get(leaf, 0))
            del self._waiting[leaf]
        unknown = self._trees.unknown()
        if unknown is not None:
            seen = self._scan(*unknown)
            for leaf, digest in seen.digests.items():
                self._trees.set_leaf(leaf, digest)
            self._trees.learned(seen.last)
        self.scanning = bool(self._waiting) or self._trees.unknown() is not None

    def scrub(self, write: Scrub) -> Looked:
        """Read rows again and hold them, and the leaves, to what they should be. Before its transaction begins."""
        last = (chunk_of(write.leaf) + 1) * CHUNK_LEAVES - 1
        try:
            seen = self._found(self._scan(write.leaf, last, write.rows))
        except sqlite3.Error as error:
            return Looked(Scrubbed((last + 1) % LEAVES, 0, 0, 0, str(error)), ())
        trees, digests = self._trees, seen.digests
        leaves = range(write.leaf, seen.last + 1)
        untrue = tuple([leaf for leaf in leaves if trees.knows(leaf) and trees.leaf(leaf) != digests.get(leaf, 0)])
        return Looked(Scrubbed((seen.last + 1) % LEAVES, seen.rows, seen.damaged, len(untrue), ""), untrue)

    def _scan(self, first: int, last: int, rows: int = TREE_SLICE_ROWS) -> Seen:
        """Read the rows of leaves from `first` on, at most to `last`, about so many; damaged ones are noted."""
        digests: dict[int, int] = {}
        keys: list[bytes] = []
        size = seen = damaged = 0
        leaf = first
        with closing(tables.read_range(self._writer, first * _PER_LEAF, (last + 1) * _PER_LEAF - 1)) as lines:
            for position, key, row, birth, kept in lines:
                if not isinstance(key, bytes) or tables.position_of(key) != position:
                    self.misplaced.append((position, key, len(row) if isinstance(row, bytes) else 0))
                    damaged += 1
                    continue
                at = leaf_of(position + tables.FLIP)
                if at != leaf and (seen >= rows or size >= SCAN_PAGE_BYTES):
                    return Seen(digests, at - 1, seen + damaged, damaged, keys)
                leaf = at
                digest = digest_of(key, row) if tables.is_line(position, key, row, birth) else 0
                if digest and tables.checksum_of(digest, birth) == kept:
                    digests[at] = digests.get(at, 0) ^ digest
                    keys.append(key)
                    seen += 1
                    size += len(row)
                else:
                    self._suspects.append(key)
                    damaged += 1
        return Seen(digests, last, seen + damaged, damaged, keys)

    def _found(self, seen: Seen) -> Seen:
        """What reads find of the rows that a scan saw. With a damaged inner page they do not come to all of them."""
        digests: dict[int, int] = {}
        records, _ = tables.read_batch(self._writer, seen.keys)
        found = {key: record for key in seen.keys if (record := records.get(key)) is not None}
        for key, record in found.items():
            leaf = leaf_of(tables.position_of(key) + tables.FLIP)
            digests[leaf] = digests.get(leaf, 0) ^ record.digest(key)
        lost = len(seen.keys) - len(found)
        return seen._replace(digests=digests, damaged=seen.damaged + lost)


def _is_empty(writer: sqlite3.Connection) -> bool:
    """Whether there is no row. A file too damaged to tell may have some."""
    try:
        return writer.execute("SELECT 1 FROM rows LIMIT 1").fetchone() is None
    except sqlite3.DatabaseError:
        return False


def _checksum(chunk: int, leaves: bytes) -> int:
    """What a saved chunk is verified against."""
    return tables.checksum_of(digest_of(b"tree %d" % chunk, leaves), None)
