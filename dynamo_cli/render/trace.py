"""The way of one request, step by step: who asked what of whom, how long that took, and what was told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from dynamo_cli.render.plain import decode, quoted, show
from dynamo_cli.render.table import bare_table

Document = Mapping[str, Any]

NOTES = ("down", "silent", "ring", "wait", "answer")
"""Steps that are asked of nobody."""
SAME_MS = 0.003
"""Three times were rounded to a thousandth of a millisecond: so far apart they are the same."""


def trace_screen(document: Document, *, wide: bool = False) -> RenderableType:
    """A dyn.trace/v1 document."""
    key = quoted(decode(document["key"], document["enc"]))
    owners = " ".join(_owner(owner) for owner in document["owners"])
    head = Text.assemble((f"{document['op']} ", "label"), key, (f"   owners {owners}", "quiet"))
    head.append(f"   partition {document['partition']}   epoch {document['epoch']}", style="quiet")
    head.no_wrap, head.overflow = not wide, "ellipsis"
    table = bare_table()
    for name, right in (("AT MS", True), ("NODE", False), ("STEP", False), ("TOOK MS", True), ("TOLD", False)):
        table.add_column(name, justify="right" if right else "left", no_wrap=not wide, overflow="ellipsis")
    for step in document["steps"]:
        table.add_row(
            f"{step['at_ms']:.2f}",
            Text(show(step["node"]), style="label"),
            Text(step_text(step), style="bad" if step["what"] in ("down", "silent") else "default"),
            Text("" if step["took_ms"] is None else f"{step['took_ms']:.2f}"),
            _told(step),
        )
    return Group(head, table, *(Text(line, style="quiet") for line in closing(document)))


def _owner(owner: Document) -> str:
    name, state = show(owner["node"]), show(owner["state"])
    return name if state == "up" else f"{name} ({state})"


def step_text(step: Document) -> str:
    """What a step is, in words."""
    what, peer = step["what"], show(step["peer"] or "")
    hints = " and ".join(map(show, step["hint_for"]))
    if what == "answer":
        return f"answers {peer or 'the client'}"
    if what == "commit":
        return "commits" + (f", with a hint for {hints}" if hints else "")
    if what == "replicate":
        return f"sends it to {peer}" + (f" in the place of {hints}" if hints else "")
    words = {
        "load": "reads its own row",
        "fetch": f"asks {peer}",
        "merge": "writes the merged row",
        "repair": f"repairs {peer or 'its own row'}",
        "hint": f"keeps a hint for {hints}",
        "forward": f"hands it to {peer}",
        "ping": f"asks whether {peer} is there",
        "ask": f"asks {peer} for the ring",
        "down": f"{peer} is down",
        "silent": f"{peer} does not answer",
        "ring": "goes on under another ring",
        "wait": "waits",
        "persist": "stores its state",
    }
    return words.get(what, f"{show(what)} {peer}".rstrip())


def _told(step: Document) -> Text:
    if step["note"]:
        return Text(show(step["note"]), style="quiet" if step["note"] == "durable" else "warn")
    if step["versions"] is not None:
        versions = " ".join(map(show, step["versions"])) or "nothing"
        return Text(f"{versions}, behind", style="warn") if step["behind"] else Text(versions, style="clock")
    unanswered = step["awaited"] and step["took_ms"] is None
    return Text("no answer" if unanswered else "", style="warn")


def closing(document: Document) -> list[str]:
    """How long it took, whom the answer waited for, and what is not known."""
    answered, lines = document["answered_ms"], []
    if answered is None:
        lines.append(f"no answer in {document['followed_ms']:.2f} ms")
    else:
        last = slowest(document)
        waited = (
            ""
            if last is None
            else f", which waited for {'the disk of ' if last['peer'] is None else ''}"
            + show(last["peer"] or last["node"])
        )
        lines.append(f"answered after {answered:.2f} ms{waited}")
    nodes = {step["node"] for step in document["steps"]} - {document["node"]}
    if nodes:
        lines.append(f"clocks are not compared: the steps of {' '.join(map(show, sorted(nodes)))} are put into the "
                     f"middle of the time that {show(document['node'])} waited")  # fmt: skip
    if document["untold"]:
        lines.append(f"{' '.join(map(show, document['untold']))} coordinated it, and did not tell how")
    if document["dropped"]:
        lines.append(f"{document['dropped']:,} more steps were not kept")
    if (name := document.get("id")) is not None:
        lines.append(f"again: dyn trace show {show(str(name))}")
    return lines


def slowest(document: Document) -> Document | None:
    """The step whose end the answer waited for: the last that was told at the node that coordinated."""
    coordinator = next((s["node"] for s in document["steps"] if s["what"] == "answer" and s["peer"]), document["node"])
    answered = [s["at_ms"] for s in document["steps"] if s["what"] == "answer" and s["node"] == coordinator]
    if not answered:
        return None
    told = [
        step
        for step in document["steps"]
        if step["node"] == coordinator and step["awaited"] and step["took_ms"] is not None and step["what"] not in NOTES
        if step["at_ms"] + step["took_ms"] <= answered[0] + SAME_MS
    ]
    return max(told, key=lambda step: step["at_ms"] + step["took_ms"], default=None)
