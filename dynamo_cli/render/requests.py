"""A line a request: what `dyn monitor` shows. No rich: there may be hundreds a second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dynamo_cli import told as telling
from dynamo_cli.render.hot import key_text
from dynamo_cli.render.plain import shortened, show
from dynamo_cli.render.rows import Rows, size_text

Document = Mapping[str, Any]

NAMES = ("at", "node", "op", "outcome", "ms", "key", "values", "bytes")
NODE_COLUMNS = 8


def request_rows(requests: Sequence[Document]) -> Rows:
    """Requests of DYN.MONITOR, each with its node: a row a request. Unknown is empty."""
    rows: list[tuple[str, ...]] = []
    for row in requests:
        words = [show(telling.word(row, name, "")) for name in NAMES[:4]]
        figures = ["" if (value := telling.number(row, name)) is None else str(value) for name in ("values", "bytes")]
        ms = telling.number(row, "ms")
        rows.append((*words, "" if ms is None else str(ms), _key(row), *figures))
    return NAMES, rows


def request_line(row: Document, columns: int | None) -> str:
    """One request for people, `12:03:07.402  n1  get  1.3 ms  30 B  cart:7`, cut to `columns`."""
    at, node = telling.word(row, "at", "")[11:23], shortened(show(telling.word(row, "node")), NODE_COLUMNS)
    ms, values, size = (telling.number(row, name) for name in ("ms", "values", "bytes"))
    took = "?" if ms is None else f"{ms:.1f} ms"
    found = shortened(show(telling.word(row, "outcome")), 11)
    if found == "ok" and values is not None and size is not None:
        found = "nothing" if not values else size_text(int(size)) if values == 1 else f"! {values:.0f} values"
    op = shortened(show(telling.word(row, "op")), 3)
    head = f"{show(at):<12}  {node:<{NODE_COLUMNS}}  {op:<3}  {took:>9}  {found:<11}  "
    return (head + _key(row) if columns is None else shortened(head + _key(row), columns)).rstrip() + "\n"


def _key(row: Document) -> str:
    return key_text({"key": telling.word(row, "key", ""), "enc": telling.word(row, "enc", "utf8")})
