"""The screen and the rows of `dyn slo`: a row an objective, with what the paper asks for and where it says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamo_cli.render.plain import show
from dynamo_cli.render.rows import Rows, duration_text
from dynamo_cli.render.table import table_of

if TYPE_CHECKING:
    from rich.console import RenderableType

Document = Mapping[str, Any]

VERDICTS = {True: ("kept", "good"), False: ("! missed", "bad"), None: ("too few", "quiet")}


def slo_rows(document: Document) -> Rows:
    """A dyn.slo/v1 document: a row an objective. Unknown is empty."""
    names = ("objective", "target", "value", "unit", "met", "bad", "samples", "node", "paper")
    rows: list[tuple[str, ...]] = []
    for each in document["objectives"]:
        told = {**each, "objective": each["name"], "met": None if each["met"] is None else str(each["met"]).lower()}
        rows.append(tuple("" if told[name] is None else show(str(told[name])) for name in names))
    return names, rows


def slo_screen(document: Document) -> RenderableType:
    """The same for people, made for 80 columns."""
    from rich.console import Group
    from rich.text import Text

    since = "since they started" if document["since_start"] else "measured"
    over = f", {duration_text(document['over_s'])}" if document["over_s"] else ""
    head = f"{document['answered']} of {document['members']} nodes told; {since}{over}"
    table = table_of(
        ("OBJECTIVE", False), ("TARGET", False), ("NOW", True), ("OF", True), ("", False), ("PAPER", False)
    )
    for each in document["objectives"]:
        word, style = VERDICTS[each["met"]]
        table.add_row(
            Text(each["name"], style="label"),
            each["target"],
            _value(each),
            f"{each['samples']:,}",
            Text(word, style=style),
            Text(each["paper"].replace("section ", ""), style="quiet"),
        )
    lines: list[RenderableType] = [Text.assemble(("slo  ", "quiet"), head), Text(), table]
    missed = [each for each in document["objectives"] if each["met"] is False]
    lines += [Text(f"  ! {_why(each)}", style="warn") for each in missed]
    for silent in document["silent"]:
        lines.append(Text(f"  ! {show(silent['node'])} tells nothing: {show(silent['because'])}", style="warn"))
    return Group(*lines)


def _value(objective: Document) -> str:
    value = objective["value"]
    if value is None:
        return "?"
    if objective["unit"] == "ms":
        return f"{value:.1f} ms"
    if objective["name"] == "balance":
        return f"{value:+.0%}"
    return f"{value:.4%}"


def _why(objective: Document) -> str:
    """What missed it, and the command that shows more."""
    bad, samples = objective["bad"], objective["samples"]
    return {
        "latency": f"{bad:,} of {samples:,} requests took 300 ms or more: dyn node stats",
        "divergence": f"{bad:,} of {samples:,} reads found several versions: dyn keys --siblings",
        "balance": f"{bad} nodes are off by more than 15%, {show(objective['node'] or '?')} most: dyn ring show",
        "availability": f"{bad:,} of {samples:,} requests were not served: dyn cluster events --level warn",
    }[objective["name"]]
