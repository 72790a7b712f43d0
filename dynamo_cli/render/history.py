"""Screens of one key's versions: the graph of which follows which, two side by side, and where the key lives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.text import Text

from dynamo_cli.render.graph import draw
from dynamo_cli.render.key_rows import version_name, versions_of
from dynamo_cli.render.plain import clock_text, decode, exact, quoted, show, sibling_label
from dynamo_cli.render.rows import duration_text, size_text, time_text
from dynamo_cli.render.siblings import value_text
from dynamo_cli.render.table import bare_table

Document = Mapping[str, Any]

MARKS = {"current": ("●", "*"), "replaced": ("○", "o"), "gone": ("·", "."), "deleted": ("✗", "x")}
"""Signs of events that have no letter, and what stands for them where there is only ASCII."""
GONE = "read once; every replica that answers has replaced it"
PAIRS_SHOWN = 3
"""Siblings whose pairs are told one by one."""


class HistoryScreen:
    """A dyn.history/v1 document; `wide` cuts nothing."""

    def __init__(self, document: Document, *, wide: bool = False) -> None:
        self.document = document
        self.wide = wide
        self.events = document["events"]
        self.siblings = sum(event["sibling"] is not None for event in versions_of(document))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Yield the heading, the graph, what is concurrent, and who did not tell."""
        document, versions = self.document, versions_of(self.document)
        key = quoted(decode(document["key"], document["enc"]))
        place = f"partition {document['partition']}   epoch {document['epoch']}"
        head = Text.assemble(("key  ", "label"), key, (f"   {_count(len(versions), 'version')}   {place}", "quiet"))
        yield self._fitted(head)
        if not self.events:
            yield Text("no node that answers has ever seen it")
        else:
            yield Text()
            yield from self._graph(ascii_only=console.safe_box)
            yield Text()
            yield from self._words()
        if document["left_out"]:
            yield Text(f"and {document['left_out']:,} older versions, which are not drawn", style="quiet")
        for replica in document["replicas"]:
            if not replica["told"]:
                away = f" for {duration_text(replica['down_s'])}" if replica["down_s"] is not None else ""
                state = f"{show(replica['state'])}{away}" if replica["state"] != "up" else show(replica["note"])
                yield Text(f"{show(replica['node'])} is {state}: what it holds is not known", style="warn")

    def _graph(self, *, ascii_only: bool) -> Iterator[Text]:
        marks = [self._mark(event, ascii_only=ascii_only) for event in self.events]
        lines = draw([event["parents"] for event in self.events], marks, ascii_only=ascii_only)
        columns = max(cell_len(line.graph) for line in lines) + 2
        for line in lines:
            graph = Text(line.graph.ljust(columns), style="quiet")
            if line.event is None:
                yield graph
                continue
            event = self.events[line.event]
            if event["kind"] == "gone":
                yield self._fitted(graph + Text.assemble((clock_text(event["clock"]), "clock"), (f"  {GONE}", "quiet")))
                continue
            yield self._fitted(graph + self._value(event))
            yield self._fitted(Text(line.below.ljust(columns), style="quiet") + self._story(event))

    def _mark(self, event: Document, *, ascii_only: bool) -> str:
        if event["kind"] == "version" and event["sibling"] is not None and self.siblings > 1:
            return sibling_label(event["sibling"])
        kind = event["kind"]
        if kind == "version":
            kind = "deleted" if event["deleted"] else "current" if event["current"] else "replaced"
        return MARKS[kind][ascii_only]

    def _value(self, event: Document) -> Text:
        line = Text.assemble((show(event["dot"]), "label"), "  ", (clock_text(event["clock"]), "clock"), "  ")
        if event["deleted"]:
            return line.append("deleted", style="bad")
        line.append(value_text(decode(event["value"], event["enc"])), style="value")
        return line.append(f" … {size_text(event['bytes'])}" if event["cut"] else "", style="quiet")

    def _story(self, event: Document) -> Text:
        """Who wrote it, when, and after reading what."""
        by = f"by {show(event['writer'])}  " if event["writer"] else ""
        read = [self._read(self.events[at]) for at in event["parents"]]
        after = f"after {' and '.join(read)}" if read else "having read nothing"
        held = f"  on {' '.join(map(show, event['held_by']))}"
        replaced = "" if event["current"] else "  replaced"
        return Text(f"{by}{time_text(event['written_at'])}  {after}{held}{replaced}", style="quiet")

    def _read(self, event: Document) -> str:
        if event["kind"] == "gone":
            return clock_text(event["clock"])
        name = version_name(event) if self.siblings > 1 else str(event["dot"])
        return show(name)

    def _words(self) -> Iterator[Text]:
        """Which versions are concurrent, and why."""
        live = sorted((e for e in versions_of(self.document) if e["sibling"] is not None), key=lambda e: e["sibling"])
        if len(live) < 2:
            return
        names = [sibling_label(event["sibling"]) for event in live]
        who = "neither writer had seen the other's" if len(live) == 2 else "no writer had seen another's"
        yield Text(f"{', '.join(names[:-1])} and {names[-1]} are concurrent: {who}", style="warn")
        if len(live) <= PAIRS_SHOWN:
            for a, one in zip(names, live, strict=True):
                lack = [name for name in names if name != a]
                verb = "lacks" if len(lack) == 1 else "lack"
                yield Text(f"  {a} has {show(one['dot'])}, which {' and '.join(lack)} {verb}", style="quiet")

    def _fitted(self, line: Text) -> Text:
        line.no_wrap = not self.wide
        line.overflow = "ellipsis"
        return line


def compare_screen(document: Document, *, wide: bool = False) -> RenderableType:
    """A dyn.compare/v1 document: the verdict, the reason, and both versions."""
    a, b = document["a"], document["b"]
    one, other, order = _named(a), _named(b), document["order"]
    verdict = f"{one} is {order} {other}" if order in ("before", "after") else f"{one} and {other} are {order}"
    style = "warn" if order == "concurrent" else "good"
    lines: list[RenderableType] = [Text(verdict, style=style), *(Text(f"  {show(why)}") for why in document["why"])]
    lines.append(Text())
    for version in (a, b) if order != "same" else (a,):
        value = "deleted" if version["deleted"] else value_text(decode(version["value"], version["enc"]))
        line = Text.assemble((_named(version), "label"), "  ", (clock_text(version["clock"]), "clock"), f"  {value}")
        line.no_wrap, line.overflow = not wide, "ellipsis"
        by = f"by {show(version['writer'])}  " if version["writer"] else ""
        state = "" if version["current"] else "  replaced"
        story = f"    {by}{time_text(version['written_at'])}  read {clock_text(version['past'])}"
        held = Text(f"{story}  on {' '.join(map(show, version['held_by']))}{state}", style="quiet")
        held.no_wrap, held.overflow = not wide, "ellipsis"
        lines += [line, held]
    return Group(*lines)


def _named(version: Document) -> str:
    """`A (n3:2)`, or the dot alone for one that has no letter."""
    name, dot = show(version["name"]), show(version["dot"])
    return dot if name == dot else f"{name} ({dot})"


def locate_screen(document: Document, *, wide: bool = False) -> RenderableType:
    """A dyn.locate/v1 document: a row a key."""
    table = bare_table()
    for name in ("KEY", "PARTITION", "OWNERS", "THEN"):
        table.add_column(name, overflow="fold" if wide else "ellipsis", no_wrap=not wide)
    n = document["n"]
    for place in document["keys"]:
        nodes = [show(node) for node in place["preference"]]
        table.add_row(
            Text(exact(decode(place["key"], place["enc"])), style="label"),
            str(place["partition"]),
            " ".join(nodes[:n]),
            Text(" ".join(nodes[n:]) or "-", style="quiet"),
        )
    return table


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
