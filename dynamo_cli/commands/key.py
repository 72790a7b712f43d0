"""`dyn key locate`, `history`, `compare`: where a key lives, which versions there are, and which follows which."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli import store
from dynamo_cli.arguments import text
from dynamo_cli.call import Call, Document, View
from dynamo_cli.commands.ring import placement
from dynamo_cli.commands.values import Key, Keys
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.render.key_rows import compare_rows, history_rows, locate_rows

if TYPE_CHECKING:
    from rich.console import RenderableType

Version = Annotated[str, typer.Argument(metavar="A", parser=text, help="A letter, as get shows it, or a dot: n3:2.")]
Other = Annotated[str, typer.Argument(metavar="B", parser=text, help="The other version.")]


@command(
    "key locate",
    panel="Data",
    examples=[
        ("dyn key locate cart:7 user:1", "a line a key: partition and preference list"),
        ("dyn key locate cart:7 --ring ring.json", "on a ring of dyn ring export --format json; no node is asked"),
        ("dyn key locate cart:7 --no-header | cut -f3 | cut -d, -f1", "its first owner, in a script"),
    ],
    exits=[3, 5, 7],
    see=["ring owner", "key explain", "ring export"],
    completes={"keys": "keys", "ring": "files"},
)
def locate(
    call: Call,
    keys: Keys,
    ring: Annotated[
        Path | None, typer.Option("--ring", metavar="FILE", parser=Path, help="A ring in a file: ask no node.")
    ] = None,
) -> ExitStatus:
    """Say where keys live, a line each: the key, its partition, and its preference list, owners first."""
    if ring is None:
        known = store.document(call.client, "RING")
    else:
        from dynamo_cli.ringdiff import complete_in

        known = complete_in(ring)
    document: Document = {"schema": "dyn.locate/v1", "epoch": known["epoch"], "n": known["n"], "keys": []}
    for key in keys:
        place = placement(key, known)
        place["preference"] = [*place["owners"], *place["stand_ins"]]
        document["keys"].append({name: place[name] for name in ("key", "enc", "md5", "partition", "preference")})
    call.emit(document, View(_locate_screen, locate_rows, lambda d: list(d["keys"])))
    return ExitStatus.OK


@command(
    "key history",
    panel="Data",
    examples=[
        ("dyn key history cart:7", "the versions that nodes hold, drawn: who wrote what after reading what"),
        ("dyn key history cart:7 -o wide", "nothing cut"),
        ("dyn key history cart:7 --json", "every event with its parents"),
    ],
    exits=[3, 5, 6, 7],
    see=["key compare", "key explain", "merge"],
    completes={"key": "keys"},
)
def history(call: Call, key: Key) -> ExitStatus:
    """Draw which version of a key follows which.

    It is what the replicas that answer hold, stale ones too. Of versions that all of them have replaced nothing is left
    but their events in the clocks of others: those are drawn as what somebody had read, without a value.
    """
    document = store.document(call.client, "HISTORY", key)
    call.emit(document, View(_history_screen, history_rows, lambda d: list(d["events"])))
    return ExitStatus.OK if document["events"] else ExitStatus.NOT_FOUND


@command(
    "key compare",
    panel="Data",
    examples=[
        ("dyn key compare cart:7 A B", "two siblings: why neither replaces the other"),
        ("dyn key compare cart:7 n3:1 A", "an old version on a stale replica, by its dot, and a new one"),
        ("dyn key compare cart:7 A B --no-header | cut -f2", "before, after, concurrent or same, in a script"),
    ],
    exits=[3, 5, 6, 7],
    see=["key history", "merge"],
    completes={"key": "keys"},
)
def compare(call: Call, key: Key, a: Version, b: Other) -> ExitStatus:
    """Say which of two versions came first, or that neither writer had seen the other, and why."""
    from dynamo_cli import lineage

    told = store.document(call.client, "HISTORY", key)
    document = lineage.compare(told, lineage.version_called(told, a), lineage.version_called(told, b))
    call.emit(document, View(_compare_screen, compare_rows))
    return ExitStatus.OK


def _locate_screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.history import locate_screen

    return locate_screen(document, wide=wide)


def _history_screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.history import HistoryScreen

    return HistoryScreen(document, wide=wide)


def _compare_screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.history import compare_screen

    return compare_screen(document, wide=wide)
