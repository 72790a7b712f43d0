"""The screen and the rows of a plan: what a change of the ring would move, and how even the ring is after it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamo_cli.render.plain import show
from dynamo_cli.render.rows import Rows, by_name, duration_text, size_text
from dynamo_cli.render.table import NAME_COLUMNS, ROWS_SHOWN, change_text, table_of

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

Document = Mapping[str, Any]


def plan_rows(document: Document) -> Rows:
    """A dyn.plan/v1 document: a row a pair of nodes. Unknown is empty."""
    names = ("from", "to", "partitions", "keys", "bytes")
    rows: list[tuple[str, ...]] = [
        tuple("" if move[name] is None else show(str(move[name])) for name in names) for move in document["moves"]
    ]
    return names, rows


def plan_screen(document: Document, *, wide: bool = False, commit: bool = True) -> RenderableType:
    """A dyn.plan/v1 document, made for 80 columns. `commit`: its last line is the command that does it."""
    from rich.console import Group
    from rich.text import Text

    head = Text.assemble(("plan  ", "quiet"), (show(document["change"]), "label"))
    lines: list[RenderableType] = [head.append(f"   ring epoch {document['epoch']}", style="quiet"), Text()]
    if document["moves"]:
        lines += [_moves(document, wide=wide), *_left_out(len(document["moves"]), wide=wide), Text()]
    lines += [_balance(document, wide=wide), *_left_out(len(_names(document)), wide=wide), Text(), *_facts(document)]
    if _is_risky(document):
        lines += [Text(), _steps(document)]
    if commit:
        stake = document.get("lost", 0) + document.get("doubtful", 0)
        accept = f" --accept-loss {stake}" if stake else ""
        command = Text(f"dyn cluster commit {show(document['id'])}{accept}", style="command", overflow="fold")
        lines += [Text(), command]
    return Group(*lines)


def _moves(document: Document, *, wide: bool) -> Table:
    """A row a pair of nodes, those with most to do if not all can be shown, and the sums."""
    from rich.text import Text

    moves = document["moves"]
    if not wide and len(moves) > ROWS_SHOWN:
        least = sorted((move["partitions"] for move in moves), reverse=True)[ROWS_SHOWN - 1]
        moves = [move for move in moves if move["partitions"] >= least][:ROWS_SHOWN]
    table = table_of(("FROM", False), ("TO", False), ("PARTITIONS", True), ("KEYS", True), ("SIZE", True))
    for column in table.columns[:2]:
        column.max_width = None if wide else NAME_COLUMNS
    for move in moves:
        table.add_row(
            Text(show(move["from"]), style="label"),
            Text(show(move["to"]), style="label"),
            *_figures(move["partitions"], move["keys"], move["bytes"]),
        )
    copies = sum(move["partitions"] for move in document["moves"])
    table.add_row(*(Text(cell, style="quiet") for cell in ("in all", "", *_figures(
        copies, document["keys"], document["bytes"]))))  # fmt: skip
    return table


def _figures(partitions: int, keys: int | None, size: int | None) -> tuple[str, str, str]:
    return f"{partitions:,}", "?" if keys is None else f"{keys:,}", "?" if size is None else size_text(size)


def _left_out(rows: int, *, wide: bool) -> list[RenderableType]:
    from rich.text import Text

    left = 0 if wide else rows - ROWS_SHOWN
    return [Text(f"… {left} more: -o wide", style="quiet")] if left > 0 else []


def _names(document: Document) -> list[str]:
    held = {**document["before"]["replicas"], **document["after"]["replicas"]}
    return [node["name"] for node in by_name([{"name": name} for name in held])]


def _balance(document: Document, *, wide: bool) -> Table:
    """A row a node: what it is primary for, and how many replicas it keeps, before and after."""
    from rich.text import Text

    before, after = document["before"], document["after"]
    table = table_of(("NODE", False), ("PRIMARY", True), ("REPLICAS", True))
    table.columns[0].max_width = None if wide else 2 * NAME_COLUMNS
    for name in _names(document) if wide else _names(document)[:ROWS_SHOWN]:
        held = [change_text(before[what].get(name, 0), after[what].get(name, 0)) for what in ("partitions", "replicas")]
        table.add_row(Text(show(name), style="label"), *held)
    return table


def _facts(document: Document) -> list[Text]:
    from rich.text import Text

    moving, risk = document["partitions"], document["at_risk"]
    even = change_text(document["before"]["efficiency"], document["after"]["efficiency"], ".2f")
    lines = [
        Text(f"moves       {moving:,} partitions get other owners" if moving else "moves       nothing"),
        Text(f"efficiency  {even}: mean by greatest number of replicas"),
    ]
    if risk:
        lines.append(Text(f"at risk     {risk:,} partitions have an owner that does not answer", style="warn"))
    elif not _is_risky(document):
        lines.append(Text("at risk     none: every partition has all its owners", style="good"))
    lines += _stake(document)
    if moving:
        lines.append(Text(f"takes       {_takes(document)}"))
    return lines + _hindrances(document)


STEPS = {"now": "now", "moving": "while it moves", "settled": "when it is settled"}
RISKS = {"short": "AN OWNER SILENT", "one_left": "ONE LEFT", "none_left": "NONE LEFT", "no_quorum": "NO STRICT QUORUM"}


def _is_risky(document: Document) -> bool:
    """Whether at any step of it a partition has an owner that does not answer."""
    return any(step.get(risk) for step in document.get("steps") or () for risk in RISKS)


def _steps(document: Document) -> Table:
    """A row a step of the change: how many partitions are at which risk, if nobody comes or goes meanwhile."""
    from rich.text import Text

    table = table_of(("PARTITIONS WITH", False), *((title, True) for title in RISKS.values()))
    for step in document["steps"]:
        counts = [step.get(risk) or 0 for risk in RISKS]
        style = "bad" if any(counts[1:]) else "warn" if counts[0] else ""
        table.add_row(STEPS.get(step["step"], show(str(step["step"]))), *(Text(f"{n:,}", style=style) for n in counts))
    return table


def _hindrances(document: Document) -> list[Text]:
    """What would keep the change from being decided, or from coming to its end."""
    from rich.text import Text

    lines = []
    waits, votes = document.get("waits"), document.get("votes")
    if waits:
        names = ", ".join(map(show, waits["nodes"]))
        lines.append(
            Text(f"waits       for {names}: {waits['partitions']:,} partitions cannot be taken in without", style="bad")
        )
    if votes and votes["up"] < votes["needed"]:
        text = f"votes       {votes['up']} of {votes['voters']} voters answer, {votes['needed']} are needed"
        lines.append(Text(text, style="bad"))
    return lines


def _stake(document: Document) -> list[Text]:
    """What may be lost with nodes that are removed."""
    from rich.text import Text

    lost, doubtful = document.get("lost", 0), document.get("doubtful", 0)
    lines = [Text(f"lost        {lost:,} partitions: no owner of them is left", style="bad")] if lost else []
    if doubtful:
        text = f"in doubt    {doubtful:,} partitions: what only these nodes have acknowledged is lost"
        lines.append(Text(text, style="bad"))
    return lines


def _takes(document: Document) -> str:
    """How long it takes, and at which pace who is last may take in now."""
    pace, about = document.get("pace"), _about(document["seconds"])
    if not pace or document["seconds"] is None:
        return about
    return f"{about}: {show(pace['node'])}, the slowest, is granted {pace['rows_s']:,} rows/s now"


def _about(seconds: float | None) -> str:
    if seconds is None:
        return "nobody could say how long"
    return f"about {duration_text(seconds)}" if seconds >= 1 else "a moment"


def at_stake(document: Document) -> str:
    """Why a removal may cost data, in one line."""
    lost, doubtful = document.get("lost", 0), document.get("doubtful", 0)
    parts = [f"{lost:,} partitions keep no owner"] if lost else []
    parts += [f"in {doubtful:,} partitions these nodes may have acknowledged writes alone"] if doubtful else []
    return " and ".join(parts) or "nothing is at stake"


def question(document: Document) -> str:
    """What is asked before it is done."""
    size = "" if document["bytes"] is None else f", {size_text(document['bytes'])} to copy"
    moving = f"{document['partitions']:,} partitions move{size}" if document["partitions"] else "nothing moves"
    return f"{show(document['change'])}: {moving}. Do it?"


def change_line(document: Document) -> str:
    """What a dyn.change/v1 document says, in one line."""
    change = show(document["change"] or "")
    if document["state"] == "moving":
        return f"epoch {document['epoch']} moves: {change}"
    return f"epoch {document['epoch']} is settled: {change or 'the ring is what it was, and nothing moves'}"


def force_screen(name: str) -> RenderableType:
    """What it risks to remove the other one of two nodes by force."""
    from rich.text import Text

    who = show(name)
    return Text(
        f"! Of two nodes neither decides alone: by force this one goes on without {who}.\n"
        f"! If {who} is alive after all, it goes on with the old ring,\n"
        "! and what it took alone is lost.",
        style="warn",
    )
