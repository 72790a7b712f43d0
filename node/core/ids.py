"""Names for the small values that everything else is built from.

Only types and the two pure functions that place a key: nothing here knows of time, sockets or files.
"""

from __future__ import annotations

from hashlib import md5
from typing import NewType

NodeId = NewType("NodeId", str)
"""A node's identity: 32 lower-case hex digits, drawn once, kept in its data directory."""

PartitionId = int
"""0 … Q-1: the top log2 Q bits of a key's position."""

Instant = float
"""Seconds on the caller's monotonic clock. Only differences mean anything."""

POSITION_BITS = 128
"""Length of a position in bits: MD5, as in the paper (section 4.2)."""


def position(key: bytes) -> int:
    """Return the key's place in the hash space: its MD5 as an unsigned 128-bit integer."""
    return int.from_bytes(md5(key, usedforsecurity=False).digest(), "big")


def partition_of(key: bytes, partitions: int) -> PartitionId:
    """Return the partition of `key` among `partitions` equal ones (a power of two, at most 2**16)."""
    top = int.from_bytes(md5(key, usedforsecurity=False).digest()[:8], "big")
    return top * partitions >> 64


def scan_position(key: bytes) -> bytes:
    """Return the top 64 bits of the key's position, big-endian: the order in which stores keep and list rows."""
    return md5(key, usedforsecurity=False).digest()[:8]
