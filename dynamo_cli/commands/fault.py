"""`dyn fault …`: break a cluster on purpose, see what is broken, and heal it. For nodes started with --allow-faults."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli import faults
from dynamo_cli.arguments import amount, choice, text
from dynamo_cli.asking import Told, members
from dynamo_cli.call import Call, Document, View
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.faults import Order, pairs
from dynamo_cli.options import command
from dynamo_cli.render.faults import fault_rows
from dynamo_cli.render.plain import show
from node.core.limits import FAULT_MS_MAX, FAULT_SKEW_S_MAX

if TYPE_CHECKING:
    from rich.console import RenderableType

SEE = ["fault list", "fault heal", "cluster status"]
EXITS = [1, 3, 5, 7, 9]
NAMES = {"a": "names", "b": "names", "node": "names"}

A = Annotated[str, typer.Argument(metavar="A", parser=text, help="A node by its name, or several: n1,n2.")]
B = Annotated[str, typer.Argument(metavar="B", parser=text, help="The other end, or ends.")]
Node = Annotated[str, typer.Argument(metavar="NODE", parser=text, help="A node by its name, as in ring show.")]


def _send(call: Call, orders: Sequence[Order], ring: dict[str, str] | None = None) -> list[Told]:
    """Send the orders; what the nodes said. If it failed as a whole: show what was done nevertheless, and raise."""
    addresses = ring if ring is not None else members(call.client)
    told = faults.tell(orders, addresses, lambda address: call.env.client_apart((address,), call.options.timeout_s))
    wrong = faults.failure(told, orders)
    if wrong is not None:
        if any(each.document is not None for each in told):
            _show(call, told)
        raise wrong
    return told


def _show(call: Call, told: Sequence[Told]) -> None:
    """Show what is in force at the nodes that were told."""
    call.emit(faults.document(told), View(_screen, fault_rows, lambda d: list(d["nodes"])))
    for each in told:
        if each.document is not None and each.document["note"]:
            call.remark(f"{show(each.node)}: {show(str(each.document['note']))}")


def _give(call: Call, orders: Sequence[Order], ring: dict[str, str] | None = None) -> ExitStatus:
    """Send the orders, and show what is in force then."""
    _show(call, _send(call, orders, ring))
    return ExitStatus.OK


def _screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.faults import fault_screen

    return fault_screen(document)


def _everybody(call: Call, kind: str) -> ExitStatus:
    ring = members(call.client)
    return _give(call, [(name, (kind,)) for name in ring], ring)


@command(
    "fault cut",
    panel="Faults",
    danger="mild",
    guarded=True,
    examples=[
        ("dyn fault cut n1 n2", "neither hears the other any more"),
        ("dyn fault cut n1,n2 n3,n4,n5", "two halves of a cluster"),
        ("dyn fault heal", "all links are whole again"),
    ],
    exits=EXITS,
    see=SEE,
    completes=NAMES,
)
def cut(call: Call, a: A, b: B) -> ExitStatus:
    """Cut links: no message passes between A and B. Their sockets stay, so it is silence that tells them."""
    return _give(call, pairs("CUT", a, b))


@command(
    "fault cut1",
    panel="Faults",
    danger="mild",
    guarded=True,
    examples=[
        ("dyn fault cut1 n1 n2", "n2 no longer hears n1, and n1 still hears n2"),
        ("dyn fault cut1 n1 n2,n3", "the same towards two nodes"),
        ("dyn fault heal", "all links are whole again"),
    ],
    exits=EXITS,
    see=SEE,
    completes=NAMES,
)
def cut1(call: Call, a: A, b: B) -> ExitStatus:
    """Cut links one way: A's messages no longer reach B."""
    return _give(call, pairs("CUT1", a, b))


@command(
    "fault heal",
    panel="Faults",
    danger="mild",
    examples=[
        ("dyn fault heal", "cuts, delays and losses end on every node"),
        ("dyn fault list", "what is left: pauses, clocks and disks are undone one by one"),
        ("dyn fault disk n2 ok", "… like this"),
    ],
    exits=EXITS,
    see=["fault list", "fault disk", "fault skew"],
)
def heal(call: Call) -> ExitStatus:
    """Make every link whole again: no cut, no delay, no loss. Clocks and disks stay as they are."""
    return _everybody(call, "HEAL")


@command(
    "fault delay",
    panel="Faults",
    danger="mild",
    guarded=True,
    examples=[
        ("dyn fault delay n1 n2 200", "each message between them 200 ms late, in order"),
        ("dyn fault delay n1 n2,n3 50 --jitter 20", "n1 is far away: 50 to 70 ms"),
        ("dyn fault delay n1 n2 0", "no longer"),
    ],
    exits=EXITS,
    see=SEE,
    completes=NAMES,
)
def delay(
    call: Call,
    a: A,
    b: B,
    ms: Annotated[
        str, typer.Argument(metavar="MS", parser=amount(0, FAULT_MS_MAX), help="Milliseconds each way; 0: none.")
    ],
    jitter: Annotated[
        str,
        typer.Option(
            "--jitter", metavar="MS", parser=amount(0, FAULT_MS_MAX), help="And up to so many more, by lot; default 0."
        ),
    ] = "0",
) -> ExitStatus:
    """Make links slow: each message between A and B is late by MS, and none overtakes another."""
    return _give(call, pairs("DELAY", a, b, ms, *([jitter] if float(jitter) else [])))


@command(
    "fault drop",
    panel="Faults",
    danger="mild",
    guarded=True,
    examples=[
        ("dyn fault drop n1 n2 30", "of the messages each way, 30 % are lost"),
        ("dyn fault drop n1,n2 n3 5", "between two nodes and a third"),
        ("dyn fault drop n1 n2 0", "no longer"),
    ],
    exits=EXITS,
    see=SEE,
    completes=NAMES,
)
def drop(
    call: Call,
    a: A,
    b: B,
    percent: Annotated[
        str, typer.Argument(metavar="PERCENT", parser=amount(0, 100), help="Of the messages each way; 0: none.")
    ],
) -> ExitStatus:
    """Make links lose messages: PERCENT of those between A and B, by lot."""
    return _give(call, pairs("DROP", a, b, percent))


@command(
    "fault pause",
    panel="Faults",
    danger="mild",
    guarded=True,
    examples=[
        ("dyn fault pause n3 2000", "n3 neither reads nor answers for two seconds"),
        ("dyn fault pause n3 10000", "long enough to be called down"),
        ("dyn cluster status", "what the others make of it"),
    ],
    exits=EXITS,
    see=SEE,
    completes=NAMES,
)
def pause(
    call: Call,
    node: Node,
    ms: Annotated[str, typer.Argument(metavar="MS", parser=amount(1, FAULT_MS_MAX), help="Milliseconds.")],
) -> ExitStatus:
    """Hold a node up: for MS it neither reads nor answers, and then it goes on as if nothing had been."""
    return _give(call, [(node, ("PAUSE", ms))])


@command(
    "fault skew",
    panel="Faults",
    danger="mild",
    guarded=True,
    examples=[
        ("dyn fault skew n2 3600", "n2's wall clock is an hour ahead"),
        ("dyn fault skew n2 86400 --behind", "a day behind"),
        ("dyn fault skew n2 0", "right again"),
    ],
    exits=EXITS,
    see=SEE,
    completes=NAMES,
)
def skew(
    call: Call,
    node: Node,
    seconds: Annotated[
        str, typer.Argument(metavar="S", parser=amount(0, FAULT_SKEW_S_MAX), help="Seconds ahead; 0: right.")
    ],
    behind: Annotated[bool, typer.Option("--behind", help="So many seconds behind, not ahead.")] = False,
) -> ExitStatus:
    """Set a node's wall clock wrong. Nothing that decides uses it: times that people see are off, and that is all."""
    return _give(call, [(node, ("SKEW", f"-{seconds}" if behind else seconds))])


@command(
    "fault disk",
    panel="Faults",
    danger="mild",
    guarded=True,
    examples=[
        ("dyn fault disk n2 full", "n2 stores nothing, and reads go on, until …"),
        ("dyn fault disk n2 ok", "… there is space again"),
        ("dyn fault disk n2 error", "its store stops, for ever: only a restart brings it back"),
    ],
    exits=EXITS,
    see=SEE,
    completes={**NAMES, "state": "full error ok"},
)
def disk(
    call: Call,
    node: Node,
    state: Annotated[
        str,
        typer.Argument(metavar="full|error|ok", parser=choice("full", "error", "ok"), help="What the disk is."),
    ],
) -> ExitStatus:
    """Fill a node's disk, or break it. A full one recovers with `ok`; a store that had an error is done for."""
    told = _send(call, [(node, ("DISK", state))])
    _show(call, told)
    in_force = [fault["state"] for each in told for fault in faults.in_force(each) if fault["kind"] == "disk"] or ["ok"]
    if in_force != [state]:
        raise CliError(ExitStatus.REFUSED, f"the disk of {node} stays as it is", "Restart that node")
    return ExitStatus.OK


@command(
    "fault list",
    panel="Faults",
    examples=[
        ("dyn fault list", "what is broken, node by node"),
        ("dyn fault list -o plain", "one fault a line"),
        ("dyn fault list --json", "for programs"),
    ],
    exits=EXITS,
    see=["fault cut", "fault heal"],
)
def list_faults(call: Call) -> ExitStatus:
    """List the faults in force on every node. They end with the node's process at the latest."""
    return _everybody(call, "LIST")
