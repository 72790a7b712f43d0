"""What pages of rows of one partition say: which keys a listing keeps, and what it tells of each. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from node.core.ids import NodeId, scan_position
from node.core.row import EMPTY, Row
from node.core.version import merge
from node.wire.requests import Keys
from node.wire.rows import decode_row
from node.wire.text import as_time

Items = tuple[tuple[bytes, bytes], ...]
Page = tuple[Items, bool]
"""(key, row) in order of position, then key; whether more follow."""


def end_of(pages: list[Page]) -> bytes | None:
    """The position beyond which nothing is certain; None if the pages reach the end.

    A page that says `more` knows nothing beyond its last row, so nothing beyond the smallest such position is certain.
    """
    ends = [scan_position(items[-1][0]) for items, more in pages if more and items]
    return min(ends) if ends else None


def merge_pages(pages: list[Page]) -> tuple[list[tuple[bytes, Row]], bytes | None]:
    """Merge several owners' pages: (key, merged row) in order, and where to go on (None: at the end)."""
    end = end_of(pages)
    rows: dict[bytes, Row] = {}
    for items, _ in pages:
        for key, row in items:
            if end is None or scan_position(key) <= end:
                rows[key] = merge(rows.get(key, EMPTY), decode_row(row))
    ordered = sorted(rows, key=lambda key: (scan_position(key), key))
    return [(key, rows[key]) for key in ordered], end


def kept(request: Keys, row: Row) -> bool:
    """Whether a listing keeps a key with this merged row (STALE apart: that is said by rows which differ)."""
    if request.tombstones:
        return bool(row.versions) and not row.live
    return len(row.live) >= (2 if request.siblings else 1)


def deletion(row: Row, wall_ms: int) -> bytes:
    """What is told of a deleted key: when its latest tombstone was written, how long ago that is, and by whom."""
    last = max(row.versions, key=lambda version: version.written_at_ms)
    age_s = round(max(0, wall_ms - last.written_at_ms) / 1000, 3)
    return msgspec.json.encode({"deleted_at": as_time(last.written_at_ms), "age_s": age_s, "writer": last.writer})


def differences(pages: Mapping[NodeId, Page]) -> tuple[list[tuple[bytes, dict[NodeId, bytes | None]]], bytes | None]:
    """Keys of which these owners do not all hold the same row: each with the row of each owner (None: nothing).

    Rows are without values, so they differ as bytes exactly when their clocks or their versions do.
    """
    end = end_of(list(pages.values()))
    held: dict[bytes, dict[NodeId, bytes | None]] = {}
    for node, (items, _) in pages.items():
        for key, row in items:
            if end is None or scan_position(key) <= end:
                held.setdefault(key, dict.fromkeys(pages))[node] = row
    apart = [key for key, rows in held.items() if any(row != next(iter(rows.values())) for row in rows.values())]
    return [(key, held[key]) for key in sorted(apart, key=lambda key: (scan_position(key), key))], end


def difference(rows: Mapping[NodeId, bytes | None], names: Mapping[NodeId, str]) -> bytes:
    """What is told of a stale key: who holds nothing of it, who less than all hold together, and if that is deleted."""
    decoded = {node: decode_row(row) for node, row in rows.items() if row is not None}
    together = EMPTY
    for row in decoded.values():
        together = merge(together, row)
    return msgspec.json.encode({
        "lacking": [names[node] for node in rows if node not in decoded],
        "behind": [names[node] for node, row in decoded.items() if row != together],
        "versions": len(together.versions),
        "deleted": not together.live,
    })  # fmt: skip
