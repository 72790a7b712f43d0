"""What a cluster does a second: the figures of all its nodes at two moments, and the difference between them.

A `Meter` is told what the nodes said, look by look, and makes a dyn.stat/v1 document of each two. Nothing in it is made
up: what a node did not tell is null, and totals are of those nodes that told, of which there is a count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dynamo_cli.asking import Told
from dynamo_cli.rates import Between, between, merged, number, percentiles_ms

Document = dict[str, Any]

READS, WRITES = ("get",), ("put", "del")

FAILURES = ("UNAVAILABLE", "UNKNOWN", "BUSY", "DISKFULL")
"""Errors by which a request was not served. Others tell a client what is wrong with its request."""


def failures(errors: Mapping[str, int]) -> int:
    """How many requests for keys were not served, of a table such as {"get UNAVAILABLE": 3}."""
    return sum(
        count
        for name, count in errors.items()
        if name.partition(" ")[2] in FAILURES and name.partition(" ")[0] in READS + WRITES
    )


class Meter:
    """Remembers what each node said the last time. `now` is any clock that does not go back, `at` RFC 3339."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[float, Document]] = {}

    def step(self, told: Sequence[Told], now: float, at: str) -> Document:
        """The next look: a dyn.stat/v1 document of what came since the last one."""
        rows, pieces = [], []
        for each in told:
            before = self._before.get(each.node)
            piece = between(before[1], each.document, now - before[0]) if before is not None else None
            if each.document is not None:
                self._before[each.node] = now, each.document
            else:
                self._before.pop(each.node, None)
            if piece is not None:
                pieces.append(piece)
            rows.append(_row(each, piece))
        return {
            "schema": "dyn.stat/v1",
            "at": at,
            "members": len(told),
            "answered": sum(each.document is not None for each in told),
            "total": _total(rows, pieces),
            "nodes": rows,
        }


def _row(told: Told, piece: Between | None) -> Document:
    """One node: its rates over the interval, and what it holds now."""
    document = told.document or {}
    row: Document = {"node": told.node, "over_s": round(piece.seconds, 3) if piece else None, **_rates(piece)}
    for name in ("keys", "siblings", "hints", "uptime_s"):
        row[name] = document.get(name) if isinstance(document.get(name), int | float) else None
    why = told.error.message if told.error else None
    return {**row, "unknown_because": why}


def _rates(piece: Between | None) -> Document:
    if piece is None:
        return dict.fromkeys(("reads_s", "writes_s", "failures_s", "repairs_s", "read_ms", "write_ms", "siblings_s"))
    a_second = 1 / piece.seconds
    return {
        "reads_s": round(sum(piece.ops[name] for name in READS) * a_second, 1),
        "writes_s": round(sum(piece.ops[name] for name in WRITES) * a_second, 1),
        "failures_s": round(failures(piece.errors) * a_second, 1),
        "repairs_s": round(piece.repairs * a_second, 1),
        "read_ms": percentiles_ms(merged([piece.histogram], READS)),
        "write_ms": percentiles_ms(merged([piece.histogram], WRITES)),
        "siblings_s": round(sum(n for versions, n in piece.versions.items() if versions > 1) * a_second, 1),
    }


def _total(rows: Sequence[Document], pieces: Sequence[Between]) -> Document:
    """All nodes that told, together. Percentiles are of all their requests; siblings are those of who has most."""
    total: Document = {
        name: round(sum(row[name] for row in rows if row[name] is not None), 1) if pieces else None
        for name in ("reads_s", "writes_s", "failures_s", "repairs_s", "siblings_s")
    }
    histograms = [piece.histogram for piece in pieces]
    total["read_ms"] = percentiles_ms(merged(histograms, READS)) if pieces else None
    total["write_ms"] = percentiles_ms(merged(histograms, WRITES)) if pieces else None
    held = {name: [row[name] for row in rows if row[name] is not None] for name in ("siblings", "hints")}
    total["siblings"] = max(held["siblings"], default=None)
    total["hints"] = sum(number(hints, 0) for hints in held["hints"]) if held["hints"] else None
    return total
