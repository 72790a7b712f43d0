"""A row of a backup merged into what its owners hold: as knowledge, with its dots and clocks, never as a new write.

    client    DYN.RESTORE key row round cluster ──► any node, which reads all owners (`engine.repair`)
              known     what they hold covers the row already: nothing of it is sent
              merged    the owners that lack it have it now, durably, W of them at least
              older     the row is of a reap round that is over: refused, unless the client says UNDELETE

Nothing newer is ever overwritten: merging keeps every version that the row has not seen. The danger is the other way
round. A tombstone that all members confirmed is dropped, and with it goes the proof that the row is dead. So the row
comes with the reap round in which its store was when the backup was made, and in a later one nobody can tell whether it
was deleted or lost (`engine.reaping`: every store would refuse it). A person can: with UNDELETE the row is taken for
what is known now. A tombstone alone of an older round says nothing that is missed, and counts as known.
"""

from __future__ import annotations

import msgspec

from node.core.ids import Instant, NodeId
from node.core.row import EMPTY, Row
from node.core.version import merge
from node.engine.operation import Shared, Then, unavailable, unknown
from node.engine.outbox import Outbox
from node.engine.repair import KeyReport, RepairKey
from node.storage.port import Refusal
from node.wire.errors import RemoteWireError
from node.wire.requests import Document, Failed
from node.wire.rows import decode_row, merged_row
from node.wire.text import as_text

KNOWN, MERGED, OLDER = "known", "merged", "older"


class Outside:
    """A row from outside: as it was decoded and checked, its reap round, and whether that is not to matter."""

    __slots__ = ("round", "row", "undelete")

    def __init__(self, row: Row, number: int, *, undelete: bool) -> None:
        self.row = row
        self.round = number
        self.undelete = undelete


def from_outside(shared: Shared, arguments: tuple[bytes, ...]) -> Outside | Failed:
    """Read the arguments of a DYN.RESTORE, or say what is wrong with them. Trusts nothing."""
    data, number, cluster_id, undelete = arguments
    mine = shared.cluster.cluster_id
    if cluster_id != mine.encode():
        theirs = cluster_id[: len(mine)].decode("ascii", "replace")
        return Failed("ERR", f"the row is of cluster {theirs}, and this is cluster {mine}")
    try:
        row = decode_row(data)
    except RemoteWireError as error:
        return Failed("ERR", f"no row of a backup: {error.detail or error.code}")
    if row == EMPTY:
        return Failed("ERR", "no row of a backup: it is empty")
    return Outside(row, int(number), undelete=bool(undelete))


class RestoreKey(RepairKey):
    """A repair in which a row from outside takes part. Refused before anything is stored if fewer than W owners can be
    read; the row may then have come to none of them."""

    __slots__ = ("answer", "need", "outside", "traced", "verdict")

    def __init__(self, shared: Shared, key: bytes, outside: Outside, answer: Then) -> None:
        owners = shared.cluster.owners(key)
        super().__init__(shared, key, owners, self._restored)
        self.outside = outside
        self.answer = answer
        self.need = min(shared.cluster.state.quorums.w, len(owners))
        self.verdict = ""
        self.traced = False

    def _write_back(self, now: Instant, out: Outbox) -> None:
        """Decide what becomes of the row, now that the owners have said what they hold."""
        outside, held = self.outside, merged_row(self.rows.values())
        if len(self.rows) < self.need:
            self._finish(now, out)
            return
        self.traced = held != EMPTY
        merged = merge(held, outside.row)
        newest = max(self.shared.rounds.of(self.key), *self.rounds.values())
        is_older = outside.round < newest
        number = self._lowest_round()
        if merged == held or (is_older and not outside.row.live):
            self.verdict = KNOWN
            self._bring(held, number, now, out)
        elif is_older and not outside.undelete:
            self.verdict = OLDER
            self._bring(held, number, now, out)
        else:
            self.verdict = MERGED
            known_in = newest if outside.undelete else outside.round
            self._bring(merged, min(number, known_in) if self.traced else known_in, now, out)

    def _restored(self, report: KeyReport, now: Instant, out: Outbox) -> None:
        name = self.shared.cluster.name
        failed = ", ".join(f"{name(node)} {why}" for node, why in report.failed.items())
        have = len(self._holders(report))
        if not self.verdict:
            text = f"{len(self.rows)} of the {self.need} owners needed can be read ({failed}); nothing was stored"
            self.answer(unavailable(text), out)
        elif self.verdict == MERGED and have < self.need:
            if all(why == f"refused ({Refusal.ROUND.value})" for why in report.failed.values()) and not have:
                self.verdict = OLDER
                self._tell(report, out)
            else:
                self.answer(unknown(f"merged on {have} of {self.need} owners ({failed})"), out)
        else:
            self._tell(report, out)

    def _holders(self, report: KeyReport) -> tuple[NodeId, ...]:
        """Who holds what was merged, durably."""
        same = [node for node, held in self.rows.items() if held == self.merged and node not in report.failed]
        return (*same, *report.repaired)

    def _tell(self, report: KeyReport, out: Outbox) -> None:
        key, enc = as_text(self.key)
        document = {
            "schema": "dyn.restore.key/v1",
            "key": key,
            "enc": enc,
            "verdict": self.verdict,
            "traced": self.traced,
            "live": len(self.outside.row.live),
            "held_by": [self.shared.cluster.name(node) for node in self._holders(report)],
        }
        self.answer(Document(msgspec.json.encode(document)), out)
