"""The versions of a dyn.history/v1 document: which one a name means, and which of two comes after the other. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.render.key_rows import version_name, versions_of
from dynamo_cli.render.plain import decode, quoted, sibling_label

Document = Mapping[str, Any]

CONCURRENT, BEFORE, AFTER, SAME = "concurrent", "before", "after", "same"

TOLD = (
    "dot", "clock", "past", "value", "enc", "cut", "bytes", "deleted", "written_at", "writer", "current", "held_by",
)  # fmt: skip
"""What a comparison repeats of each version."""


def version_called(history: Document, name: str) -> Document:
    """The version of this name: a letter, as get gives siblings, or a dot such as n3:2. Raises CliError."""
    there = versions_of(history)
    for event in there:
        if name == event["dot"] or (event["sibling"] is not None and name.upper() == sibling_label(event["sibling"])):
            return event
    key = quoted(decode(history["key"], history["enc"]))
    if not there:
        raise CliError(ExitStatus.NOT_FOUND, f"no node that answers holds anything of {key}", "See: dyn keys")
    names = f"There are {', '.join(map(version_name, there))}"
    if ":" in name:
        raise CliError(ExitStatus.NOT_FOUND, f"no node that answers holds the version {name!r}", names)
    raise usage(f"no version {name!r}", names)


def compare(history: Document, a: Document, b: Document) -> dict[str, Any]:
    """A dyn.compare/v1 document: whether `a` is before `b`, after it, or neither, and the reason in words."""
    order = CONCURRENT
    if a["id"] == b["id"]:
        order = SAME
    elif _follows(history, b, a):
        order = BEFORE
    elif _follows(history, a, b):
        order = AFTER
    told = {side: {name: event[name] for name in TOLD} for side, event in (("a", a), ("b", b))}
    document = {"schema": "dyn.compare/v1", "key": history["key"], "enc": history["enc"]}
    named = {
        side: story | {"name": version_name(event)} for (side, story), event in zip(told.items(), (a, b), strict=True)
    }
    return document | named | {"order": order, "why": _why(order, a, b)}


def _follows(history: Document, later: Document, earlier: Document) -> bool:
    """Whether the writer of `later` had seen `earlier`: read it, or something that follows it."""
    parents = {event["id"]: event["parents"] for event in history["events"]}
    todo, seen = list(later["parents"]), set()
    while todo:
        at = todo.pop()
        if at == earlier["id"]:
            return True
        if at not in seen:
            seen.add(at)
            todo += parents.get(at, [])
    return False


def _why(order: str, a: Document, b: Document) -> list[str]:
    if order == SAME:
        return [f"both are the write {a['dot']}"]
    if order == CONCURRENT:
        return [_lacks(a, b), _lacks(b, a)]
    earlier, later = (a, b) if order == BEFORE else (b, a)
    first, then = version_name(earlier), version_name(later)
    return [f"whoever wrote {then} had seen {earlier['dot']}", f"so {then} replaces {first} wherever both arrive"]


def _lacks(one: Document, other: Document) -> str:
    name, dot, whose = version_name(one), one["dot"], version_name(other)
    return f"{whose} lacks {dot}" if name == dot else f"{name} has {dot}, which {whose} lacks"
