"""A whole pass of the scrubber over one store."""

from __future__ import annotations

from node.core.ids import scan_position
from node.core.merkle import CHUNKS, chunk_of, leaf_of
from node.storage.port import Scrub, Scrubbed
from tests.helpers.stores import Scribe

ROOT = (0, 0, 3)
ROWS = 64


def leaf(key: bytes) -> int:
    return leaf_of(int.from_bytes(scan_position(key), "big"))


def scrub(scribe: Scribe, rows: int = ROWS) -> tuple[int, int, int]:
    """A whole pass: rows, damaged ones, untrue leaves. It visits each chunk, and ends."""
    at = total = damaged = untrue = 0
    chunks = [0]
    while True:
        (outcome,) = scribe.apply(Scrub(at, rows))
        assert isinstance(outcome, Scrubbed)
        assert outcome.why == ""
        total, damaged, untrue = total + outcome.rows, damaged + outcome.damaged, untrue + outcome.untrue
        if outcome.leaf == 0:
            assert chunks == list(range(CHUNKS))
            return total, damaged, untrue
        assert outcome.leaf > at, "it goes on"
        assert chunk_of(outcome.leaf) <= chunk_of(at) + 1, "a chunk at most"
        if chunk_of(outcome.leaf) != chunk_of(at):
            chunks.append(chunk_of(outcome.leaf))
        at = outcome.leaf


def settle(scribe: Scribe) -> bytes:
    while scribe.handle.store.work_due:
        scribe.handle.store.work()
    return scribe.handle.store.digests(*ROOT)
