"""Merkle trees over the hash space: what two stores compare so that they need not compare their rows (paper, 4.7).

The hash space is cut into 2^LEAF_BITS *leaves* of equal size, whatever the number of partitions. A leaf's digest is the
XOR of the digests of its rows, so that a write changes it by the row before and the row after, in any order, without
looking at its neighbours. Everything above the leaves is computed when somebody asks, and nobody stores it.

A *span* (bits, prefix) is every position whose first `bits` bits are `prefix`: a node of the tree over the whole space.
A partition of Q = 2^b is the span (b, partition), and the tree of that partition is what lies below it:

    bits   0 ………… log2 Q ………… log2 Q + 5 ………… LEAF_BITS = 18
           everything   a partition's root  its branches     the leaves: 1,024 a partition for Q = 256

So memory is bounded once and for all (2^18 leaves of 16 bytes, 4 MiB) and a larger Q has fewer leaves a partition: 64
for the largest, 4,096. With a million rows in a store, a leaf has about four.

Leaves are kept in *chunks* of 1,024, made when the first row comes. A chunk is what is saved, marked and rescanned as
one. Its first `known` leaves say what the rows say; the rest is not known yet (a crash left it behind the rows, and the
scan has not come so far). A store that cannot tell says None, never a guess.

One thread writes here and another reads: each leaf is replaced in one step of the interpreter, and a chunk's digest is
kept with the number of the chunk's change, which the writer moves on after the leaf. A reader may so miss the very last
write, as it may miss it in the rows; whoever finds a difference reads both rows again.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

from node.core.ids import scan_position
from node.core.limits import TREE_CHUNK_BITS, TREE_DIGEST_BYTES, TREE_LEAF_BITS

LEAVES: Final = 1 << TREE_LEAF_BITS
CHUNKS: Final = 1 << TREE_CHUNK_BITS
CHUNK_LEAVES: Final = LEAVES // CHUNKS
CHUNK_BYTES: Final = CHUNK_LEAVES * TREE_DIGEST_BYTES

_IN_CHUNK: Final = TREE_LEAF_BITS - TREE_CHUNK_BITS
_MASK: Final = CHUNK_LEAVES - 1
_SIZE: Final = TREE_DIGEST_BYTES
_EMPTY_CHUNK: Final = bytes(CHUNK_BYTES)


def leaf_of(position: int) -> int:
    """Return the leaf of a 64-bit position: its first LEAF_BITS bits."""
    return position >> (64 - TREE_LEAF_BITS)


def leaf_of_key(key: bytes) -> int:
    """Return the leaf of a key."""
    return leaf_of(int.from_bytes(scan_position(key), "big"))


def chunk_of(leaf: int) -> int:
    """Return the chunk of a leaf."""
    return leaf >> _IN_CHUNK


def hash_of(leaves: bytes | bytearray) -> bytes:
    """Return what stands for these leaves."""
    return blake2b(leaves, digest_size=TREE_DIGEST_BYTES).digest()


_EMPTY_HASH: Final = hash_of(_EMPTY_CHUNK)


class Trees:
    """The leaves of one store. `known`: whether they say what its rows say from the beginning (an empty store)."""

    __slots__ = ("_chunks", "_hashes", "_known", "_versions")

    def __init__(self, *, known: bool) -> None:
        self._chunks: list[bytearray | None] = [None] * CHUNKS
        self._known: list[int] = [CHUNK_LEAVES if known else 0] * CHUNKS
        self._versions: list[int] = [0] * CHUNKS
        self._hashes: list[tuple[int, bytes]] = [(0, _EMPTY_HASH)] * CHUNKS

    # The writer ----------------------------------------------------------------------------------------------

    def toggle(self, changes: Iterable[tuple[int, int]]) -> None:
        """Rows of these leaves changed, each by the XOR of its digests before and after. Unknown leaves wait."""
        chunks, known, versions = self._chunks, self._known, self._versions
        for leaf, delta in changes:
            number, at = leaf >> _IN_CHUNK, leaf & _MASK
            if at >= known[number]:
                continue
            chunk = chunks[number]
            if chunk is None:
                chunk = chunks[number] = bytearray(CHUNK_BYTES)
            at *= _SIZE
            end = at + _SIZE
            chunk[at:end] = (int.from_bytes(chunk[at:end], "big") ^ delta).to_bytes(_SIZE, "big")
            versions[number] += 1

    def set_leaf(self, leaf: int, digest: int) -> None:
        """Replace a leaf, known or not: it was computed from its rows."""
        number = leaf >> _IN_CHUNK
        chunk = self._chunks[number]
        if chunk is None:
            if not digest:
                return
            chunk = self._chunks[number] = bytearray(CHUNK_BYTES)
        at = (leaf & _MASK) * TREE_DIGEST_BYTES
        chunk[at : at + TREE_DIGEST_BYTES] = digest.to_bytes(TREE_DIGEST_BYTES, "big")
        self._versions[number] += 1

    def load(self, number: int, leaves: bytes) -> None:
        """Take a chunk as it was saved; all of it is known."""
        assert len(leaves) in (0, CHUNK_BYTES), f"a chunk of {len(leaves)} bytes"
        self._chunks[number] = bytearray(leaves) if leaves else None
        self._known[number] = CHUNK_LEAVES
        self._versions[number] += 1

    def save(self, number: int) -> bytes:
        """Return a chunk's leaves, b"" if it never had a row; only one that is wholly known is worth saving."""
        assert self._known[number] == CHUNK_LEAVES, f"chunk {number} is not known"
        return bytes(self._chunks[number] or b"")

    def is_known(self, number: int) -> bool:
        """Whether all of a chunk says what the rows say."""
        return self._known[number] == CHUNK_LEAVES

    def knows(self, leaf: int) -> bool:
        """Whether this leaf says what its rows say."""
        return leaf & _MASK < self._known[leaf >> _IN_CHUNK]

    def unknown(self) -> tuple[int, int] | None:
        """The first leaf that is not known, and the last of its chunk; None if everything is."""
        for number, known in enumerate(self._known):
            if known < CHUNK_LEAVES:
                first = number << _IN_CHUNK
                return first + known, first + CHUNK_LEAVES - 1
        return None

    def learned(self, leaf: int) -> None:
        """The leaves of this one's chunk are known up to it, itself included."""
        self._known[leaf >> _IN_CHUNK] = (leaf & _MASK) + 1

    # The reader ----------------------------------------------------------------------------------------------

    def leaf(self, leaf: int) -> int:
        """The digest of one leaf, as a number; 0 for one without rows."""
        chunk = self._chunks[leaf >> _IN_CHUNK]
        if chunk is None:
            return 0
        at = (leaf & _MASK) * TREE_DIGEST_BYTES
        return int.from_bytes(chunk[at : at + TREE_DIGEST_BYTES], "big")

    def digest(self, bits: int, prefix: int) -> bytes | None:
        """The digest of a span, a leaf's own or what stands for its leaves; None while some of them are not known."""
        if bits < TREE_CHUNK_BITS:
            first, count = prefix << (TREE_CHUNK_BITS - bits), 1 << (TREE_CHUNK_BITS - bits)
            below = [self._chunk_digest(number) for number in range(first, first + count)]
            known = [digest for digest in below if digest is not None]
            return hash_of(b"".join(known)) if len(known) == count else None
        number = prefix >> (bits - TREE_CHUNK_BITS)
        if bits == TREE_CHUNK_BITS:
            return self._chunk_digest(number)
        first, count = prefix << (TREE_LEAF_BITS - bits), 1 << (TREE_LEAF_BITS - bits)
        if self._known[number] < CHUNK_LEAVES:
            return None
        at = (first & _MASK) * TREE_DIGEST_BYTES
        leaves = bytes((self._chunks[number] or _EMPTY_CHUNK)[at : at + count * TREE_DIGEST_BYTES])
        return leaves if count == 1 else hash_of(leaves)

    def digests(self, bits: int, prefix: int, deeper: int) -> bytes:
        """The digests of the 2^deeper spans that a span consists of, in order, put together; b"" if not known."""
        first = prefix << deeper
        below = [self.digest(bits + deeper, first + child) for child in range(1 << deeper)]
        known = [digest for digest in below if digest is not None]
        return b"".join(known) if len(known) == len(below) else b""

    def _chunk_digest(self, number: int) -> bytes | None:
        """The digest of a chunk: computed when it is first asked for after a change."""
        if self._known[number] < CHUNK_LEAVES:
            return None
        if self._chunks[number] is None:
            return _EMPTY_HASH
        version = self._versions[number]  # before the leaves: what is computed of later ones is computed once more
        kept, digest = self._hashes[number]
        if kept != version:
            digest = hash_of(bytes(self._chunks[number] or _EMPTY_CHUNK))
            self._hashes[number] = (version, digest)
        return digest


def differing(bits: int, prefix: int, mine: bytes, theirs: bytes) -> list[tuple[int, int]]:
    """The spans below (bits, prefix) in which two answers of `digests` differ. Both must have told equally many."""
    count = len(mine) // TREE_DIGEST_BYTES
    assert len(mine) == len(theirs) and count & (count - 1) == 0, f"{len(mine)} and {len(theirs)} bytes of digests"
    deeper = count.bit_length() - 1
    size = TREE_DIGEST_BYTES
    return [
        (bits + deeper, (prefix << deeper) + child)
        for child in range(count)
        if mine[child * size : child * size + size] != theirs[child * size : child * size + size]
    ]
