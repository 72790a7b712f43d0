"""The screen and the rows of `dyn hot`: three short tables of keys."""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamo_cli.render.plain import decode, exact, shortened, show
from dynamo_cli.render.rows import Rows, duration_text, size_text
from dynamo_cli.render.table import NAME_COLUMNS, table_of

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

Document = Mapping[str, Any]

KEY_COLUMNS = 40
"""Width that a key gets at most, unless `wide`."""

OWNERS_SHOWN = 3


def hot_rows(document: Document) -> Rows:
    """A dyn.hot.keys/v1 document: a row a key of each list. Unknown is empty."""
    names = ("list", "node", "key", "per_s", "share", "reads", "writes", "bytes", "values", "at", "partition", "owners")
    rows: list[tuple[str, ...]] = []
    for name in ("hot", "biggest", "siblings"):
        for entry in document[name]:
            figures = ("" if entry.get(each) is None else str(entry[each]) for each in names[3:9])
            at, owners = (show(",".join(entry[each])) for each in ("at", "owners"))
            rows.append(
                (name, show(entry["node"] or ""), key_text(entry), *figures, at, str(entry["partition"]), owners)
            )
    return names, rows


def key_of(entry: Document) -> bytes:
    """The bytes of a key; one that is no base64 although it says so as it came."""
    try:
        return decode(entry["key"], entry["enc"])
    except (binascii.Error, ValueError):
        return str(entry["key"]).encode("utf-8", "surrogateescape")


def key_text(entry: Document) -> str:
    """A key as safe text."""
    return exact(key_of(entry))


def hot_screen(document: Document, *, wide: bool = False) -> RenderableType:
    """The same for people, made for 80 columns."""
    from rich.console import Group
    from rich.text import Text

    head = "no node told anything"
    if document["one_in"] is not None:
        span = "" if document["over_s"] is None else f" over the last {document['over_s']:.0f} s"
        head = f"{document['sampled']:,} requests sampled{span}, one in {document['one_in']}: estimates"
    lines: list[RenderableType] = [Text(head, style="quiet")]
    if document["exact"]:
        lines.append(Text("what is biggest and has most siblings is of every key, read just now", style="quiet"))
    tables = (("hot", "REQ/S", _rate), ("biggest", "BYTES", _bytes), ("siblings", "VALUES", _values))
    for name, figure, told in tables:
        if document[name]:
            lines += [Text(), _table(document, name, figure, told, wide=wide)]
    if not any(document[name] for name, _, _ in tables):
        lines.append(Text("no request for a key was sampled: nothing is hot"))
    for silent in document["silent"]:
        lines.append(Text(f"  ! {show(silent['node'])} tells nothing: {show(silent['because'])}", style="warn"))
    return Group(*lines)


TITLES = {"hot": "HOT", "biggest": "BIGGEST", "siblings": "MOST SIBLINGS"}


def _table(document: Document, name: str, figure: str, told: Any, *, wide: bool) -> Table:  # noqa: ANN401
    from rich.text import Text

    by_node = document["by"] == "node"
    more = [("SHARE", True), ("READS", True)] if name == "hot" else [("SEEN", True)]
    table = table_of(
        *([("NODE", False)] if by_node else []), (TITLES[name], False), (figure, True), *more,
        ("OWNERS", False),
    )  # fmt: skip
    for entry in document[name]:
        key, owners = key_text(entry), entry["owners"]
        more_owners = " …" if len(owners) > OWNERS_SHOWN and not wide else ""
        nodes = " ".join(map(show, owners if wide else owners[:OWNERS_SHOWN])) + more_owners
        table.add_row(
            *([shortened(show(entry["node"] or ""), NAME_COLUMNS)] if by_node else []),
            Text(key if wide else shortened(key, KEY_COLUMNS), style="label"),
            *told(entry),
            nodes,
        )
    return table


def _rate(entry: Document) -> tuple[str, ...]:
    count = entry["reads"] + entry["writes"]
    share = "?" if entry["share"] is None else f"{entry['share']:.1%}"
    return f"{entry['per_s']:,.1f}", share, f"{entry['reads'] / count:.0%}" if count else "-"


def _ago(entry: Document) -> str:
    return "?" if entry["seen_s_ago"] is None else f"{duration_text(entry['seen_s_ago'])} ago"


def _bytes(entry: Document) -> tuple[str, ...]:
    return size_text(entry["bytes"]), _ago(entry)


def _values(entry: Document) -> tuple[str, ...]:
    return f"{entry['values']:,}", _ago(entry)
