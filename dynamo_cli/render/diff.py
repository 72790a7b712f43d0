"""The screen and the rows of `dyn ring diff`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamo_cli.render.plain import show
from dynamo_cli.render.rows import Rows, by_name, spans_text
from dynamo_cli.render.table import NAME_COLUMNS, ROWS_SHOWN, SPANS_SHOWN, change_text, table_of

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

Document = Mapping[str, Any]


def diff_rows(document: Document) -> Rows:
    """A dyn.ring.diff/v1 document: a row a partition that has other owners."""
    names = ("epoch_a", "epoch_b", "partition", "owners_a", "owners_b", "gained_by", "lost_by")
    epochs = (str(document["a"]["epoch"]), str(document["b"]["epoch"]))
    rows: list[tuple[str, ...]] = [
        (*epochs, str(row["partition"]), *(",".join(map(show, row[at])) for at in ("a", "b", "gained_by", "lost_by")))
        for row in document["partitions"]
    ]
    return names, rows


def diff_screen(document: Document, *, wide: bool = False) -> RenderableType:
    """A dyn.ring.diff/v1 document, made for 80 columns; `wide` has a row for each partition."""
    from rich.console import Group
    from rich.text import Text

    a, b, changed = document["a"], document["b"], document["partitions"]
    of = [show(ring["ring"].rpartition("/")[2]) for ring in (a, b)]
    head = Text.assemble(("ring  ", "quiet"), (of[0], "label"), (f" epoch {a['epoch']}   to   ", "quiet"))
    head.append(of[1], style="label").append(f" epoch {b['epoch']}", style="quiet")
    reordered = document["reordered"]
    more = f"; {reordered:,} have the same in another order" if reordered else ""
    if not changed:
        return Group(head, Text(f"no partition of {document['total']:,} has other owners{more}"))
    told = Text(f"{len(changed):,} of {document['total']:,} partitions have other owners{more}")
    details = _partitions(document) if wide else _groups(document)
    return Group(head, told, Text(), _nodes(document, wide=wide), *_left(document, wide=wide), Text(), details)


def _nodes(document: Document, *, wide: bool) -> Table:
    """A row a node: what it has in both, and what came and went."""
    from rich.text import Text

    table = table_of(("NODE", False), ("PRIMARY", True), ("REPLICAS", True), ("GAINS", True), ("LOSES", True))
    table.columns[0].max_width = None if wide else NAME_COLUMNS
    for node in by_name(document["nodes"])[: None if wide else ROWS_SHOWN]:
        held = [change_text(node[what]["a"], node[what]["b"]) for what in ("primaries", "replicas")]
        came = Text(f"{node['gained']:,}" if node["gained"] else "", style="good")
        went = Text(f"{node['lost']:,}" if node["lost"] else "", style="warn")
        table.add_row(Text(show(node["name"]), style="label"), *held, came, went)
    return table


def _left(document: Document, *, wide: bool) -> list[RenderableType]:
    from rich.text import Text

    left = 0 if wide else len(document["nodes"]) - ROWS_SHOWN
    return [Text(f"… {left} nodes more: -o wide", style="quiet")] if left > 0 else []


def _groups(document: Document) -> RenderableType:
    """The partitions by who gains and who loses them, the largest groups first."""
    from rich.console import Group
    from rich.text import Text

    groups: dict[tuple[str, str], list[int]] = {}
    for row in document["partitions"]:
        who = (" ".join(map(show, row["gained_by"])) or "-", " ".join(map(show, row["lost_by"])) or "-")
        groups.setdefault(who, []).append(row["partition"])
    table = table_of(("GAINED BY", False), ("LOST BY", False), ("COUNT", True), ("PARTITIONS", False))
    for column in table.columns[:2]:
        column.max_width = NAME_COLUMNS
    table.columns[-1].no_wrap = False
    largest = sorted(groups.items(), key=lambda group: (-len(group[1]), group[1]))
    for (gains, loses), partitions in largest[:ROWS_SHOWN]:
        table.add_row(Text(gains, style="label"), loses, f"{len(partitions):,}", spans_text(partitions, SPANS_SHOWN))
    left = len(groups) - ROWS_SHOWN
    return Group(table, *([Text(f"… {left} groups more: -o wide", style="quiet")] if left > 0 else []))


def _partitions(document: Document) -> Table:
    table = table_of(("PARTITION", True), ("OWNERS", False), ("THEN", False), ("GAINED BY", False), ("LOST BY", False))
    for row in document["partitions"]:
        told = (" ".join(map(show, row[at])) or "-" for at in ("a", "b", "gained_by", "lost_by"))
        table.add_row(str(row["partition"]), *told)
    return table
