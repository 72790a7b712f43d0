"""The screen and the rows of `dyn cluster transfers`: how far each node is that takes something in, why it waits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamo_cli.render.plain import show
from dynamo_cli.render.rows import Rows, by_name, duration_text, size_text, spans_text
from dynamo_cli.render.table import NAME_COLUMNS, SPANS_SHOWN, table_of

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

Document = Mapping[str, Any]

STUCK_S = 60.0
"""Without progress for so long, something is wrong, and is said before anything else."""


def transfer_rows(document: Document) -> Rows:
    """A dyn.transfers/v1 document: a row a node that takes something in. Unknown is empty."""
    names = ("epoch", "node", "holds", "todo", "total", "rows", "bytes", "rate_bps", "eta_s", "idle_s",
             "waits_because", "paused_s", "limit_bps")  # fmt: skip
    rows: list[tuple[str, ...]] = []
    for taker in _takers(document):
        cells = [document["epoch"], taker["node"], str(taker["holds"]).lower()]
        cells += [taker.get(name) for name in names[3:10]]
        cells.append("; ".join(_reasons(document, taker["node"])))
        cells += [taker.get(name) for name in names[11:]]
        rows.append(tuple("" if cell is None else show(str(cell)) for cell in cells))
    return names, rows


def transfers_screen(document: Document, *, wide: bool = False) -> RenderableType:
    """A dyn.transfers/v1 document, made for 80 columns; `wide` shows every partition, too."""
    from rich.console import Group
    from rich.text import Text

    if document["state"] != "moving":
        return Text(_settled_line(document))
    head = Text.assemble(("transfers  ", "quiet"), (show(document["change"] or ""), "label"))
    head.append(f"   epoch {document['epoch']} is moving", style="quiet")
    lines: list[RenderableType] = [head, Text()]
    if not document["takers"]:
        return Group(*lines, Text("nobody has anything to take in: about to settle"))
    lines.append(_table(document, wide=wide))
    waiting = _waiting(document, wide=wide)
    lines += [Text(), *waiting] if waiting else []
    if wide and document["moves"]:
        lines += [Text(), _partitions(document)]
    return Group(*lines)


def _settled_line(document: Document) -> str:
    change = f" ({show(document['change'])})" if document["change"] else ""
    return f"nothing moves: ring epoch {document['epoch']} is settled{change}"


def _takers(document: Document) -> list[Document]:
    return by_name([{"name": taker["node"], **taker} for taker in document["takers"]])


def _reasons(document: Document, node: str) -> list[str]:
    """Why partitions of a node wait, each reason once."""
    moves = [move for move in document["moves"] if move["to"] == node and move["waits_because"]]
    return sorted({reason for move in moves for reason in move["waits_because"].split("; ")})


def _table(document: Document, *, wide: bool) -> Table:
    """A row a node: what it has taken in of what it has to, and when the last came."""
    from rich.text import Text

    table = table_of(("NODE", False), ("TAKEN IN", True), ("ROWS", True), ("PROGRESS", True), ("WAITS BECAUSE", False))
    table.columns[0].max_width = None if wide else NAME_COLUMNS
    table.columns[-1].no_wrap, table.columns[-1].overflow = False, "fold"
    for taker in _takers(document):
        rows = taker["rows"]
        state, style = _state(document, taker)
        table.add_row(
            Text(show(taker["node"]), style="label"),
            _taken_in(taker),
            "?" if rows is None else f"{rows:,}",
            _progress(taker, waits=bool(_reasons(document, taker["node"]))),
            Text(state, style=style),
        )
    return table


def _progress(taker: Document, *, waits: bool) -> str:
    """At which pace it goes and how long that takes; of what waits, or is done, when the last came."""
    rate, eta_s, idle_s = taker.get("rate_bps"), taker.get("eta_s"), taker["idle_s"]
    if rate is not None and eta_s and not waits and not taker["holds"]:
        return f"{size_text(rate)}/s, {duration_text(eta_s)} left"
    return "?" if idle_s is None else f"{duration_text(idle_s)} ago"


def _taken_in(taker: Document) -> str:
    """Partitions that were compared to the end, of all. A node tells of so many at most: then those that are left."""
    todo, total = taker["todo"], taker["total"]
    if todo is None or total is None or taker["rows"] is None:
        return "?"
    return f"{total - todo:,}/{total:,}" if total >= todo else f"{todo:,} to go"


def _state(document: Document, taker: Document) -> tuple[str, str]:
    if taker["holds"]:
        return "holds its part", "good"
    reasons = _reasons(document, taker["node"])
    if _is_paused(taker):
        return f"an operator paused it {duration_text(taker['paused_s'])} ago", "warn"
    if reasons:
        return "; ".join(map(show, reasons)), "warn"
    if taker["todo"] is None:
        return "it does not answer", "warn"
    if taker["rows"] is None:
        return "it has not begun", "quiet"
    if taker["todo"] and taker.get("limit_bps"):
        return f"an operator limits it to {size_text(taker['limit_bps'])}/s", "quiet"
    return ("-", "") if taker["todo"] else ("it hands over what it keeps for others", "quiet")


def _is_paused(taker: Document) -> bool:
    """Whether somebody said that it shall wait: it is no stall, however long it lasts."""
    return taker.get("paused_s") is not None and not taker["holds"]


def _waiting(document: Document, *, wide: bool) -> list[Text]:
    """Partitions that wait, by node and reason: those of a node without progress first."""
    from rich.text import Text

    idle = {taker["node"]: taker["idle_s"] or 0.0 for taker in document["takers"]}
    paused = [taker["node"] for taker in document["takers"] if _is_paused(taker)]
    groups: dict[tuple[str, str], list[int]] = {}
    for move in document["moves"]:
        if move["waits_because"] and move["to"] not in paused:
            reason = "; ".join(sorted(move["waits_because"].split("; ")))  # the same for the same nodes in any order
            groups.setdefault((move["to"], reason), []).append(move["partition"])
    lines = [Text("what is paused goes on with: dyn cluster transfers resume", style="warn")] if paused else []
    for (node, reason), partitions in sorted(groups.items(), key=lambda group: -idle.get(group[0][0], 0.0)):
        since_s = idle.get(node, 0.0)
        stuck = since_s >= STUCK_S
        which = spans_text(partitions, None if wide else SPANS_SHOWN)
        begin = f"no progress for {int(since_s)} s because" if stuck else "waits because"
        plural = "s" if len(partitions) > 1 else ""
        lines.append(Text(f"{begin} {show(reason)}: partition{plural} {which}", style="bad" if stuck else "warn"))
    return lines


def _partitions(document: Document) -> Table:
    """A row a partition: from whom it comes, and with how many of those it was compared."""
    table = table_of(("PARTITION", True), ("FROM", False), ("TO", False), ("COMPARED", True), ("WAITS BECAUSE", False))
    for move in document["moves"]:
        table.add_row(
            str(move["partition"]),
            " ".join(map(show, move["sources"])),
            show(move["to"]),
            f"{move['done']}/{move['total']}",
            show(move["waits_because"] or "-"),
        )
    return table


def progress_line(document: Document) -> str:
    """How far all of it is, in one line, and what it waits for if that is long."""
    takers = document["takers"]
    hold = sum(taker["holds"] for taker in takers)
    rows = sum(taker["rows"] or 0 for taker in takers)
    left = sum(taker["todo"] or 0 for taker in takers)
    line = f"{hold} of {len(takers)} nodes hold their part, {left:,} partitions to go, {rows:,} rows came"
    paused = [show(taker["node"]) for taker in takers if _is_paused(taker)]
    if paused:
        return f"{line}; paused by an operator: {', '.join(paused)}"
    stuck = [taker for taker in takers if (taker["idle_s"] or 0.0) >= STUCK_S and not taker["holds"]]
    reasons = [reason for taker in stuck for reason in _reasons(document, taker["node"])]
    return f"{line}; waits because {show(reasons[0])}" if reasons else line
