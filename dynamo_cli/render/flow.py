"""One line an interval: the rows and the text of `dyn stat`. No rich: a line every second is drawn for a whole day."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynamo_cli.render.rows import Rows

Document = Mapping[str, Any]

WIDTHS = (8, 5, 7, 7, 5, 5, 5, 5, 5, 4, 6, 6)
"""Of the columns of a line: with a blank between them 79."""

ABOVE = ("", "", "reads", "writes", "fails", "read", "ms", "write", "ms", "", "", "repair")
BELOW = ("TIME", "NODES", "/s", "/s", "/s", "p50", "p99", "p50", "p99", "SIBL", "HINTS", "/s")

NAMES = (
    "at", "answered", "members", "reads_s", "writes_s", "failures_s", "read_p50_ms", "read_p99_ms", "write_p50_ms",
    "write_p99_ms", "siblings", "hints", "repairs_s",
)  # fmt: skip


def stat_rows(document: Document) -> Rows:
    """A dyn.stat/v1 document: one row. Unknown is empty."""
    total = document["total"]
    read, write = total["read_ms"] or {}, total["write_ms"] or {}
    cells = (
        document["at"], document["answered"], document["members"], total["reads_s"], total["writes_s"],
        total["failures_s"], read.get("p50"), read.get("p99"), write.get("p50"), write.get("p99"), total["siblings"],
        total["hints"], total["repairs_s"],
    )  # fmt: skip
    return NAMES, [tuple("" if cell is None else str(cell) for cell in cells)]


def header() -> str:
    """The two lines above the figures."""
    return _line(ABOVE) + _line(BELOW)


def stat_line(document: Document) -> str:
    """The same as a line for people."""
    total = document["total"]
    read, write = total["read_ms"] or {}, total["write_ms"] or {}
    return _line(
        (
            document["at"][11:19],
            f"{document['answered']}/{document['members']}",
            rate_text(total["reads_s"]),
            rate_text(total["writes_s"]),
            rate_text(total["failures_s"]),
            *(ms_text(each.get(name)) for each in (read, write) for name in ("p50", "p99")),
            count_text(total["siblings"]),
            count_text(total["hints"]),
            rate_text(total["repairs_s"]),
        )
    )


def rate_text(value: float | None) -> str:
    """So many a second: whole from 10 on."""
    if value is None:
        return "?"
    return count_text(round(value)) if value >= 9.95 or value == 0 else f"{value:.1f}"


def count_text(value: float | None) -> str:
    """A number of things in at most 7 columns."""
    if value is None:
        return "?"
    return f"{value:,.0f}" if value < 1_000_000 else f"{value / 1_000_000:.1f}M"


def ms_text(value: float | None) -> str:
    """Milliseconds in at most 5 columns; seconds where they are many. "-": there was no such request."""
    if value is None:
        return "-"
    return f"{value:.1f}" if value < 999.95 else f"{value / 1000:.1f}s"


def _line(cells: tuple[str, ...]) -> str:
    return " ".join(cell.rjust(width) for cell, width in zip(cells, WIDTHS, strict=True)).rstrip() + "\n"
