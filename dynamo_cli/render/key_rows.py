"""One key in the plain and csv formats: where it is, the versions there are, and how two of them compare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynamo_cli.render.plain import clock_text, decode, exact, show, sibling_label
from dynamo_cli.render.rows import Rows

Document = Mapping[str, Any]


def versions_of(history: Document) -> list[Document]:
    """The events that are versions which somebody holds, oldest first."""
    return [event for event in history["events"] if event["kind"] == "version"]


def version_name(event: Document) -> str:
    """A version by its letter, as get gives it, or by its dot if it has none."""
    return str(event["dot"]) if event["sibling"] is None else sibling_label(event["sibling"])


def locate_rows(document: Document) -> Rows:
    """A dyn.locate/v1 document: a line a key; the first N of the preference list are its owners."""
    rows = [
        (exact(decode(place["key"], place["enc"])), str(place["partition"]), ",".join(map(show, place["preference"])))
        for place in document["keys"]
    ]
    return ("key", "partition", "preference"), list(rows)


def history_rows(document: Document) -> Rows:
    """A dyn.history/v1 document: a line an event, oldest first; `after` are the ids of those that it follows."""
    names = ("id", "after", "kind", "dot", "clock", "value", "deleted", "written_at", "writer", "held_by")
    rows: list[tuple[str, ...]] = []
    for event in document["events"]:
        about = (str(event["id"]), ",".join(map(str, event["parents"])))
        if event["kind"] == "version":
            value = "" if event["deleted"] else exact(decode(event["value"], event["enc"]))
            kind = "current" if event["current"] else "replaced"
            story = (value, str(event["deleted"]).lower(), show(event["written_at"] or ""), show(event["writer"] or ""))
            rows.append((*about, kind, show(event["dot"]), clock_text(event["clock"]), *story,
                         ",".join(map(show, event["held_by"]))))  # fmt: skip
        else:
            rows.append((*about, "gone", "", clock_text(event["clock"]), "", "", "", "", ""))
    return names, rows


def compare_rows(document: Document) -> Rows:
    """A dyn.compare/v1 document: one line."""
    a, b = document["a"], document["b"]
    return ("a", "order", "b", "why"), [
        (show(a["dot"]), document["order"], show(b["dot"]), "; ".join(map(show, document["why"])))
    ]
