"""`dyn cluster repair`, `dyn key repair`: compare replicas now and make them equal, a node's or those of one key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli import store
from dynamo_cli.call import Call, Document, View
from dynamo_cli.commands.values import Key
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.render.plain import show
from dynamo_cli.render.rows import key_repair_rows, repair_rows

if TYPE_CHECKING:
    from rich.console import RenderableType


@command(
    "cluster repair",
    panel="Cluster",
    danger="mild",
    examples=[
        ("dyn cluster repair", "compare and repair until the node is through"),
        ("dyn cluster repair --check", "exit 8 unless everything was compared and is equal now, for scripts"),
        ("dyn -n :7701 cluster repair", "what another node owns"),
    ],
    exits=[5, 7, 8],
    see=["key repair", "cluster status"],
)
def repair(
    call: Call,
    check: Annotated[
        bool, typer.Option("--check", help="Exit 8 unless all was compared and every key could be repaired.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Stay until the pass is over.")] = True,
) -> ExitStatus:
    """Compare all partitions that a node owns with their other owners, and make equal what differs.

    Nodes do so by themselves all the time; this begins a pass at once. What is compared are trees of digests, so a
    cluster that is in order takes a moment whatever it holds.
    """
    document = store.document(call.client, "REPAIR")
    while wait and document["running"]:
        if call.env.stderr_is_terminal and call.for_people:
            call.note(f"{document['compared']} of {document['total']} compared, {document['repaired']} keys repaired …")
        document = store.document(call.client, "REPAIR")
    call.emit(document, View(_pass_screen, repair_rows))
    wanting = document["running"] or document["left_out"] or document["failed"]
    return ExitStatus.UNHEALTHY if check and wanting else ExitStatus.OK


@command(
    "key repair",
    panel="Data",
    danger="mild",
    examples=[("dyn key repair cart:7", "read all owners, merge, and bring up to date those that lack something")],
    exits=[3, 5, 6],
    see=["key explain", "cluster repair"],
    completes={"key": "keys"},
)
def key_repair(call: Call, key: Key) -> ExitStatus:
    """Make one key equal on all its owners now. Values in conflict stay in conflict: `dyn merge` settles them."""
    document = store.document(call.client, "REPAIR", key)
    call.emit(document, View(_key_screen, key_repair_rows, lambda d: list(d["owners"])))
    behind = [show(owner["node"]) for owner in document["owners"] if owner["note"]]
    if behind:
        call.remark(f"Left as they are: {', '.join(behind)}. They are repaired when they answer again.")
    found = [owner["found"] for owner in document["owners"] if owner["found"] is not None]
    if not found:
        return ExitStatus.UNAVAILABLE
    return ExitStatus.NOT_FOUND if set(found) == {"nothing"} else ExitStatus.OK


def _pass_screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.repair import pass_screen

    return pass_screen(document, wide=wide)


def _key_screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.repair import key_screen

    return key_screen(document, wide=wide)
