"""`dyn hot`: hot keys, biggest values and most siblings, as the nodes saw them in the requests that they sampled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli import told as telling
from dynamo_cli import watching
from dynamo_cli.arguments import choice
from dynamo_cli.arguments import count as whole
from dynamo_cli.asking import Told
from dynamo_cli.call import Call, Document, View
from dynamo_cli.commands.ring import placement
from dynamo_cli.errors import usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.panel import Panel
from dynamo_cli.render.hot import hot_rows, key_of
from dynamo_cli.watching import Interval, Watch

if TYPE_CHECKING:
    from rich.console import RenderableType

KEYS = 10
KEYS_MAX = 256
"""As many as a node counts (`node.core.limits_watch.HOT_KEYS`)."""

BY = ("cluster", "node")

LISTS = ("hot", "biggest", "siblings")


@command(
    "hot",
    panel="Observe",
    examples=[
        ("dyn hot", "the hot keys, the biggest and the most divergent of the cluster"),
        ("dyn hot --by node -o plain", "of each node, a line a key, for scripts"),
        ("dyn hot --watch", "in place; what was hot half a minute ago goes"),
        ("dyn hot --exact", "the biggest and the most divergent of all keys: every one of them is read"),
    ],
    exits=[5, 7],
    see=["monitor", "key explain", "keys"],
    completes={"by": " ".join(BY)},
)
def hot(
    call: Call,
    count: Annotated[
        int, typer.Option("--count", metavar="N", parser=whole, help=f"Keys of each list; default {KEYS}.")
    ] = KEYS,
    by: Annotated[
        str, typer.Option("--by", metavar="|".join(BY), parser=choice(*BY), help="Of all nodes together, or of each.")
    ] = BY[0],
    exact: Annotated[
        bool, typer.Option("--exact", help="Read every key for what is biggest and has most siblings: takes long.")
    ] = False,
    watch: Watch = False,
    interval: Interval = None,
) -> ExitStatus:
    """The keys that most requests are for, the biggest that were read or written, and those with most siblings.

    Nodes look at one request in 64: what comes often or was seen lately is here, and nothing is scanned for it.
    All keys with siblings are told by: dyn keys --siblings.
    """
    if count > KEYS_MAX:
        raise usage(f"{count} keys are more than a node counts", f"At most {KEYS_MAX}")
    every_s = watching.every(watch, interval)
    if exact and (every_s is not None or by == "node"):
        raise usage("--exact reads every key of the cluster, once", "Leave --watch and --by away")
    panel, view = Panel(call), View(_screen, hot_rows)
    asked = count if by == "node" else KEYS_MAX  # what is little on each node may be much together
    try:
        if every_s is not None:
            watching.watch(call, lambda wide: _look(panel, by, count, asked), view, every_s)
        else:
            document = _look(panel, by, count, asked)
            call.emit(_exactly(call, panel, document, count) if exact else document, view)
            call.suggest("dyn key explain KEY", "dyn monitor --key KEY", "dyn keys --siblings")
    finally:
        panel.close()
    return ExitStatus.OK


def _look(panel: Panel, by: str, count: int, asked: int) -> Document:
    panel.refresh()
    document = hot_document(panel.look("HOT", "COUNT", asked), by, count)
    for name in LISTS:
        for entry in document[name]:
            _place(entry, panel)
    return document


def _exactly(call: Call, panel: Panel, document: Document, count: int) -> Document:
    """The document with two of its lists made of all keys: what is hot stays an estimate."""
    from dynamo_cli.weighing import weigh

    call.note("reading every key of the cluster: Ctrl-C ends it, and nothing is changed")
    weighed = weigh(call.client, count)
    if weighed.failed:
        call.note(f"{weighed.failed:,} keys could not be read, and may be missing here")
    for entry in (*weighed.biggest, *weighed.siblings):
        _place(entry, panel)
    return {**document, "exact": True, "biggest": weighed.biggest, "siblings": weighed.siblings}


def _place(entry: Document, panel: Panel) -> None:
    """Add where a key lives."""
    place = placement(key_of(entry), panel.ring)
    entry |= {"partition": place["partition"], "owners": place["owners"]}


def hot_document(told: Sequence[Told], by: str, count: int) -> Document:
    """dyn.hot.keys/v1: what the nodes told, together or of each. An estimate is told as such: `sampled`, `one_in`."""
    documents = [(each.node, each.document) for each in told if each.document is not None]
    groups = [("", documents)] if by == BY[0] else [(node, [(node, document)]) for node, document in documents]
    listed: Document = {name: [] for name in LISTS}
    for node, group in groups:
        for name, rows in (("hot", _hot(group)), ("biggest", _most(group, "biggest", "bytes")),
                           ("siblings", _most(group, "siblings", "values"))):  # fmt: skip
            listed[name] += [{"node": node or None, **row} for row in rows[:count]]
    silent = [{"node": each.node, "because": each.error.message} for each in told if each.error is not None]
    over_s = [seconds for _, document in documents if (seconds := telling.number(document, "over_s")) is not None]
    return {
        "schema": "dyn.hot.keys/v1",
        "by": by,
        "one_in": next((telling.whole(document, "one_in") for _, document in documents), None),
        "sampled": sum(telling.whole(document, "sampled") or 0 for _, document in documents),
        "over_s": max(over_s, default=None),
        "exact": False,
        **listed,
        "silent": silent,
    }


Group = Sequence[tuple[str, Document]]


def _hot(group: Group) -> list[Document]:
    """The keys by requests a second, of these nodes together; `error` is what they may have been counted too little."""
    total = sum(telling.whole(document, "sampled") or 0 for _, document in group)
    found: dict[tuple[str, str], Document] = {}
    for node, document in group:
        for row in telling.items(document, "hot"):
            key = telling.word(row, "key", ""), telling.word(row, "enc", "utf8")
            entry = found.setdefault(
                key, {"key": key[0], "enc": key[1], "reads": 0, "writes": 0, "uncounted_max": 0, "per_s": 0.0, "at": []}
            )
            for name in ("reads", "writes", "uncounted_max"):
                entry[name] += telling.whole(row, name) or 0
            entry["per_s"] = round(entry["per_s"] + (telling.number(row, "per_s") or 0.0), 1)
            entry["at"].append(node)
    for entry in found.values():
        entry["share"] = round((entry["reads"] + entry["writes"]) / total, 4) if total else None
    return sorted(found.values(), key=lambda entry: (-entry["per_s"], entry["key"]))


def _most(group: Group, name: str, figure: str) -> list[Document]:
    """The keys by a figure of which the greatest counts, with who saw it."""
    found: dict[tuple[str, str], Document] = {}
    for node, document in group:
        for row in telling.items(document, name):
            key, value = (telling.word(row, "key", ""), telling.word(row, "enc", "utf8")), telling.whole(row, figure)
            if value is not None and value > found.get(key, {figure: -1})[figure]:
                ago = telling.number(row, "seen_s_ago")
                found[key] = {"key": key[0], "enc": key[1], figure: value, "seen_s_ago": ago, "at": [node]}
    return sorted(found.values(), key=lambda entry: (-entry[figure], entry["key"]))


def _screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.hot import hot_screen

    return hot_screen(document, wide=wide)
