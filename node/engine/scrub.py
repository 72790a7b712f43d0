"""The scrubber: all rows are read again, over and over: what a disk lost in silence is found while others have it.

    a chunk of the trees ──► Scrub ──► so many rows were held to checksum, place and leaf ──► rest ──► Scrub …
         └── one every SCRUB_PERIOD_S / 256, all of them in one period, then from the first again

What a read finds damaged is set aside and repaired at once; but a row that nobody reads is found by nobody, and one
whose place in the file is damaged is not found even by who reads it. The store sets aside what fails and counts its
leaf again. From then on the trees differ from those of the other owners, and anti-entropy brings the row back. A store
whose own structure is broken, so that it finds some rows and not others, stops: it is to be rebuilt.

Each life of the node begins with another chunk, drawn by lot: one that restarts often comes to all of them.
"""

from __future__ import annotations

from node.core.ids import Instant
from node.core.limits import SCRUB_PAUSE_S, SCRUB_ROWS
from node.core.merkle import CHUNK_LEAVES, CHUNKS
from node.engine.operation import Operation, Shared
from node.engine.outbox import Outbox
from node.storage.port import Outcome, Scrub, Scrubbed

FOREVER: Instant = float("inf")


class Pass:
    """What a pass came to so far: chunks, rows, damaged ones, leaves that said otherwise."""

    __slots__ = ("began", "chunks", "damaged", "rows", "untrue")

    def __init__(self, began: Instant) -> None:
        self.began = began
        self.chunks = self.rows = self.damaged = self.untrue = 0


class Scrubber:
    """Reads one store again and again. `full_at` is when the last pass ended, `why` part of it could not be read."""

    def __init__(self, shared: Shared, first_chunk: int, period_s: float) -> None:
        self.shared = shared
        self.next_at: Instant = FOREVER
        self.running = Pass(0.0)
        self.full_at: Instant | None = None
        self.full: Pass | None = None
        self.why = ""
        self._every_s = period_s / CHUNKS
        self._leaf = first_chunk * CHUNK_LEAVES
        self._chunk_at: Instant = 0.0
        shared.admission.scrubbed = self.figures

    def start(self, now: Instant) -> None:
        """Begin, with the first chunk when its time has come."""
        self.running = Pass(now)
        self.next_at = self._chunk_at = now + self._every_s

    def tick(self, now: Instant, out: Outbox) -> None:
        """Read on, if it is time."""
        if now >= self.next_at:
            self.next_at = FOREVER  # until the disk has answered
            out.persist(ScrubOperation(self).ticket, Scrub(self._leaf, SCRUB_ROWS))

    def scrubbed(self, outcome: Outcome, now: Instant, out: Outbox) -> None:
        """The disk has answered, or takes no writes at all."""
        if not isinstance(outcome, Scrubbed):
            self.next_at = now + self._every_s
            return
        current = self.running
        current.rows += outcome.rows
        current.damaged += outcome.damaged
        current.untrue += outcome.untrue
        if outcome.damaged or outcome.untrue or outcome.why:
            self._tell(outcome, now, out)
        chunk_done = outcome.leaf // CHUNK_LEAVES != self._leaf // CHUNK_LEAVES
        self._leaf = outcome.leaf
        self.next_at = now + max(SCRUB_PAUSE_S, self.shared.admission.pause_s(outcome.rows))
        if chunk_done:
            self._chunk_at += self._every_s
            self.next_at = max(self.next_at, self._chunk_at)
            self._chunk_done(now, out)

    def _tell(self, outcome: Scrubbed, now: Instant, out: Outbox) -> None:
        if outcome.why:
            self.why = outcome.why
        cluster = self.shared.cluster
        fields = {"damaged": outcome.damaged, "untrue_leaves": outcome.untrue, "unreadable": outcome.why}
        cluster.note(now, out, "rot_found", **fields)

    def _chunk_done(self, now: Instant, out: Outbox) -> None:
        current = self.running
        current.chunks += 1
        if current.chunks == CHUNKS:
            self.full, self.full_at, self.running = current, now, Pass(now)
            out.fact("scrubbed", rows=current.rows, damaged=current.damaged, took_s=round(now - current.began, 1))

    def figures(self) -> dict[str, object]:
        """How far the pass is, from 0 to 1, what it came to, and what the last full one did."""
        current, full = self.running, self.full
        return {
            "done": round(current.chunks / CHUNKS, 3),
            "rows": current.rows,
            "damaged": current.damaged,
            "untrue_leaves": current.untrue,
            "last_pass": full and {"rows": full.rows, "damaged": full.damaged, "untrue_leaves": full.untrue},
            "unreadable": self.why,
        }


class ScrubOperation(Operation):
    """One slice, waiting for our disk."""

    __slots__ = ("scrubber",)

    def __init__(self, scrubber: Scrubber) -> None:
        super().__init__(scrubber.shared)
        self.scrubber = scrubber

    def persisted(self, outcome: Outcome, now: Instant, out: Outbox) -> None:
        """It was read."""
        self.end()
        self.scrubber.scrubbed(outcome, now, out)
