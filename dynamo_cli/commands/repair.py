"""`dyn cluster repair`, `dyn key repair`: compare replicas now and make them equal, a node's or those of one key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli import store
from dynamo_cli.arguments import text
from dynamo_cli.call import Call, Document, View
from dynamo_cli.commands.values import Key
from dynamo_cli.errors import usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.render.plain import show
from dynamo_cli.render.rows import cancel_rows, key_repair_rows, repair_rows

if TYPE_CHECKING:
    from rich.console import RenderableType


@command(
    "cluster repair",
    panel="Cluster",
    danger="mild",
    examples=[
        ("dyn cluster repair", "compare and repair until the node is through"),
        ("dyn cluster repair n3", "what another node owns, by its name"),
        ("dyn cluster repair 17 42", "two partitions alone, by each of their owners in turn"),
        ("dyn cluster repair --check", "exit 8 unless everything was compared and is equal now, for scripts"),
        ("dyn cluster repair n3 --cancel", "give up the pass of n3 that is under way"),
    ],
    exits=[3, 5, 7, 8],
    see=["key repair", "cluster status"],
    completes={"what": "names"},
)
def repair(
    call: Call,
    what: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NODE|PARTITION]…", parser=text, help="Whose, or which; default: the node asked."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Exit 8 unless all was compared and every key could be repaired.")
    ] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Give up the pass that was asked for.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Stay until the pass is over.")] = True,
) -> ExitStatus:
    """Compare all partitions that a node owns with their other owners, and make equal what differs.

    Nodes do so by themselves all the time; this begins a pass at once. What is compared are trees of digests, so a
    cluster that is in order takes a moment whatever it holds. A pass goes on when nobody waits for it any more.
    """
    from dynamo_cli import repairing

    if cancel:
        if check:
            raise usage("--check is of a pass that is made, and --cancel of none", "Leave one away")
        return _cancel(call, what or [])
    document = repairing.repair(call, what or [], wait=wait)
    passes = document.get("passes") or [document]
    call.emit(document, View(_pass_screen, repair_rows, lambda d: list(d.get("passes") or [d])))
    wanting = any(p["running"] or p["left_out"] or p["failed"] or p.get("cancelled") for p in passes)
    return ExitStatus.UNHEALTHY if check and (wanting or document.get("silent")) else ExitStatus.OK


def _cancel(call: Call, names: list[str]) -> ExitStatus:
    """Give up the passes of these nodes; of the one asked, if none is named."""
    from dynamo_cli.repairing import cancel

    told = cancel(call, names)
    for each in told if call.for_people else ():
        done = "gives up the pass that was asked for" if each["cancelled"] else "has no pass to give up"
        call.say(f"{show(each['node'])} {done}")
    if not call.for_people:
        nodes = [{"node": each["node"], "cancelled": each["cancelled"]} for each in told]
        document = told[0] if len(told) == 1 else {"schema": "dyn.repair.cancels/v1", "nodes": nodes}
        call.emit(document, View(_pass_screen, cancel_rows, lambda d: list(d.get("nodes") or [d])))
    return ExitStatus.OK


@command(
    "key repair",
    panel="Data",
    danger="mild",
    examples=[
        ("dyn key repair cart:7", "read all owners, merge, and bring up to date those that lack something"),
        ("dyn key repair cart:7 --json", "what each owner had, and what it got"),
        ("dyn key repair cart:7 && dyn key explain cart:7", "and what it is like then"),
    ],
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
    from dynamo_cli.render.repair import pass_screen, passes_screen

    return (passes_screen if "passes" in document else pass_screen)(document, wide=wide)


def _key_screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.repair import key_screen

    return key_screen(document, wide=wide)
