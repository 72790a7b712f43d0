"""The screen of `dyn top`: a snapshot and what the keys chose in, exactly so many lines of so many columns out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dynamo_cli import told as telling
from dynamo_cli.render.cluster import HEALTH_STYLES, STATE_STYLES
from dynamo_cli.render.flow import count_text, ms_text, rate_text
from dynamo_cli.render.plain import shortened, show
from dynamo_cli.render.ring import strip
from dynamo_cli.render.rows import by_name, duration_text

Document = Mapping[str, Any]

SORTS = ("name", "reads", "writes", "p99", "keys", "hints")
"""What the rows can be sorted by. Figures: the greatest first."""

EVENT_LINES = 5
"""Lines that events get before the ring gets more than one."""

EVENT_STYLES = {"warn": "warn", "error": "bad"}
HELP = (
    Text("Figures are the nodes' own; percentiles are of the last interval's requests."),
    Text("READS, WRITES, FAILS, P99: clients' requests at that node, a second, and ms."),
    Text("KEYS: rows it holds, copies included. HINTS: rows it keeps for others."),
    Text("?: not known. -: no such request. silent: it does not answer us."),
    Text("The strip: the letter of the primary of each partition (dyn ring show)."),
)

NODE_COLUMNS = 10
NODE_LINES_MIN = 3


class Choice(NamedTuple):
    """What the keys chose."""

    sort: str = "name"
    paused: bool = False
    interval_s: float = 1.0
    help: bool = False


class Shown(NamedTuple):
    """What is drawn: the documents of a snapshot."""

    stat: Document
    ring: Document
    status: Document | None
    silent: str
    events: Sequence[Document]


def top_screen(shown: Shown, choice: Choice, columns: int, lines: int) -> RenderableType:
    """The whole screen. What there is no room for is counted or left out: the nodes come first, then the events."""
    above = [_head(shown, choice, columns), *_totals(shown.stat), _waits(shown), Text()]
    room = lines - len(above) - 2  # the heading of the table, and the last line
    nodes = _rows(shown, choice)
    rows = max(NODE_LINES_MIN, room - (len(HELP) + 1 if choice.help else 0))
    kept = nodes if len(nodes) <= rows else nodes[: rows - 1]
    more = [Text(f"… {len(nodes) - len(kept)} more", style="quiet")] if len(kept) < len(nodes) else []
    room -= len(kept) + len(more)
    below = [Text(), *(line.copy() for line in HELP)][:room] if choice.help else _below(shown, room)
    empty = [Text()] * (room - len(below))
    for line in (*above, *below):
        line.truncate(columns, overflow="ellipsis")
    return Group(*above, _table(kept), *more, *below, *empty, _keys(choice, columns))


def _head(shown: Shown, choice: Choice, columns: int) -> Text:
    """Which cluster, how it is, and when that was seen."""
    status, ring = shown.status, shown.ring
    line = Text.assemble(("dyn top  ", "quiet"), (show(telling.word(status, "cluster")), "label"), "  ")
    if status is not None:
        health = telling.word(status, "health")
        nodes = telling.items(status, "nodes")
        up = sum(telling.word(node, "state") == "up" for node in nodes)
        line.append(show(health).upper(), style=HEALTH_STYLES.get(health, "bad"))
        line.append(f"  {up} of {len(nodes)} up")
    quorums = "  ".join(f"{name.upper()}={ring.get(name)}" for name in ("n", "r", "w"))
    line.append(f"  {quorums}  epoch {ring.get('epoch')}", style="quiet")
    when = f"{'PAUSED ' if choice.paused else ''}{str(shown.stat['at'])[11:19]} UTC"
    line.truncate(max(0, columns - len(when) - 2), overflow="ellipsis")
    line.append(" " * max(2, columns - line.cell_len - len(when)))
    return line.append(when, style="warn" if choice.paused else "quiet")


def _totals(stat: Document) -> list[Text]:
    """Reads and writes of all nodes that told."""
    total, lines = stat["total"], []
    for name in ("read", "write"):
        latency = total[f"{name}_ms"] or {}
        figures = "   ".join(f"{label} {ms_text(latency.get(key)):>6}" for label, key in PERCENTILES)
        rate = rate_text(total[f"{name}s_s"])
        lines.append(Text.assemble((f"{name + 's':<7}", "label"), f"{rate:>9}/s   {figures}   ms"))
    return lines


PERCENTILES = (("p50", "p50"), ("p99", "p99"), ("p99.9", "p999"))


def _waits(shown: Shown) -> Text:
    """What is wrong or waits, in one line."""
    total, moving = shown.stat["total"], telling.mapping(shown.ring, "moving")
    parts = [
        (f"failures {rate_text(total['failures_s'])}/s", "bad" if total["failures_s"] else ""),
        (f"siblings {count_text(total['siblings'])}", "warn" if total["siblings"] else ""),
        (f"hints {count_text(total['hints'])}", "warn" if total["hints"] else ""),
        (f"repairs {rate_text(total['repairs_s'])}/s", ""),
    ]
    if moving:
        parts.append((f"moving: {show(telling.word(moving, 'change'))}", "warn"))
    if shown.silent:
        parts.append((f"status: {show(shown.silent)}", "bad"))
    return Text("   ").join(Text(words, style=style) for words, style in parts)


def _rows(shown: Shown, choice: Choice) -> list[dict[str, Any]]:
    """Every node with its state and its figures, sorted."""
    states = {telling.word(node, "name"): node for node in telling.items(shown.status, "nodes")}
    rows = by_name([{**row, "name": row["node"]} for row in shown.stat["nodes"]])
    found = []
    for row in rows:
        state = telling.word(states.get(row["name"]), "state", "?" if shown.status is None else "-")
        p99s = [latency.get("p99") or 0.0 for latency in (row["read_ms"], row["write_ms"]) if latency]
        found.append({**row, "state": state, "p99": max(p99s, default=0.0)})
    by: dict[str, Callable[[dict[str, Any]], float]] = {
        "reads": lambda row: row["reads_s"] or 0.0,
        "writes": lambda row: row["writes_s"] or 0.0,
        "p99": lambda row: row["p99"],
        "keys": lambda row: row["keys"] or 0.0,
        "hints": lambda row: row["hints"] or 0.0,
    }
    return sorted(found, key=lambda row: -by[choice.sort](row)) if choice.sort in by else found


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table(box=None, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="heading")
    for name, width in (("STATE", 7), ("NODE", NODE_COLUMNS)):
        table.add_column(name, no_wrap=True, overflow="ellipsis", width=width)
    for name, width in (("READS/S", 8), ("WRITES/S", 8), ("FAILS", 5), ("R P99", 6), ("W P99", 6), ("KEYS", 7),
                        ("HINTS", 5), ("UP", 7)):  # fmt: skip
        table.add_column(name, justify="right", no_wrap=True, overflow="ellipsis", width=width)
    for row in rows:
        uptime_s = row["uptime_s"]
        silent = row["unknown_because"] is not None
        state = "silent" if silent and row["state"] == "up" else row["state"]
        table.add_row(
            Text(show(state), style=STATE_STYLES.get(state, "bad")),
            Text(show(row["name"]), style="label"),
            rate_text(row["reads_s"]),
            rate_text(row["writes_s"]),
            Text(rate_text(row["failures_s"]), style="bad" if row["failures_s"] else ""),
            *("?" if row[name] is None else ms_text(row[name].get("p99")) for name in ("read_ms", "write_ms")),
            count_text(row["keys"]),
            Text(count_text(row["hints"]), style="warn" if row["hints"] else ""),
            "?" if uptime_s is None else duration_text(uptime_s),
        )
    return table


def _below(shown: Shown, room: int) -> list[Text]:
    """The ring as a strip and the last events, as far as there is room."""
    if room < 3:
        return []
    rows = strip(shown.ring)
    events = shown.events[-max(EVENT_LINES, room - len(rows) - 2) :]
    kept = rows[: max(1, room - 2 - len(events))]
    parts = [Text(), *kept]
    events = events[-max(0, room - len(parts) - 1) :] if room - len(parts) > 1 else ()
    if events:
        parts.append(Text())
    for event in events:
        line = Text.assemble((event["at"][11:19] or "?", "quiet"), "  ", (shortened(show(event["by"]), 12), "label"))
        line.append(f"  {show(event['said'])}", style=EVENT_STYLES.get(event["level"], ""))
        parts.append(line)
    return parts


def _keys(choice: Choice, columns: int) -> Text:
    words = f"q quit   p {'go on' if choice.paused else 'pause'}   s sort: {choice.sort}   + - every "
    return Text(shortened(f"{words}{choice.interval_s:g} s   ? help", columns), style="quiet")
