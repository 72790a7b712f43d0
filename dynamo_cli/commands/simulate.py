"""`dyn ring simulate`: what a change of members would move, and how even the ring would be; nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli import store
from dynamo_cli.arguments import count, natural, text
from dynamo_cli.call import Call, Document, View
from dynamo_cli.errors import usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.render.simulate import simulate_rows
from node.core.limits import MEMBERS_MAX, PARTITIONS_MAX, REPLICAS_MAX, WEIGHT_MAX

if TYPE_CHECKING:
    from rich.console import RenderableType

    from dynamo_cli.whatif import Ring, Step

PARTITIONS = 256
"""Q of a cluster that is founded without saying more (interface)."""

REPLICAS = 3


@command(
    "ring simulate",
    panel="Ring",
    examples=[
        ("dyn ring simulate --add 1", "one node more in the cluster that is asked"),
        ("dyn ring simulate --remove n3 --keys 1000000", "without n3; about how many rows would move"),
        ("dyn ring simulate --nodes 5 --zones a,b,c --add 2", "a ring that does not exist; no node is asked"),
    ],
    exits=[3, 5, 7],
    see=["ring show", "ring owner"],
    completes={"remove": "names"},
)
def simulate(
    call: Call,
    nodes: Annotated[
        int | None, typer.Option("--nodes", metavar="N", parser=count, help="Begin with N new nodes; asks nobody.")
    ] = None,
    zones: Annotated[
        str, typer.Option("--zones", metavar="A,B", parser=text, help="Zones of new nodes, by turns.")
    ] = "",
    partitions: Annotated[
        int | None, typer.Option("--partitions", metavar="Q", parser=count, help=f"With --nodes; default {PARTITIONS}.")
    ] = None,
    replicas: Annotated[
        int | None, typer.Option("--replicas", metavar="N", parser=count, help=f"With --nodes; default {REPLICAS}.")
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", metavar="NODE", parser=text, help="NODE leaves; may be repeated.")
    ] = None,
    weight: Annotated[
        list[str] | None,
        typer.Option("--weight", metavar="NODE=W", parser=text, help="NODE weighs W; as often."),
    ] = None,
    add: Annotated[int, typer.Option("--add", metavar="K", parser=natural, help="K nodes join.")] = 0,
    keys: Annotated[
        int | None, typer.Option("--keys", metavar="M", parser=natural, help="Say how many rows of M keys would move.")
    ] = None,
) -> ExitStatus:
    """Say what a change would move, and how even the ring would be. It is computed as nodes do; nothing is changed.

    Changes come in this order: who leaves, who gets another weight, who joins; each is a step with moves of its own.
    """
    from dynamo_cli import whatif

    if nodes is None and (partitions or replicas):
        raise usage("--partitions and --replicas are the cluster's own", "Or begin with a new one: --nodes N")
    named = [zone.strip() for zone in zones.split(",")]
    more = add - len(remove or [])  # who leaves goes first
    if nodes:
        _check("--nodes", nodes, MEMBERS_MAX, "nodes")
        _check("--add", nodes + more, MEMBERS_MAX, "nodes")
    begin = _new(nodes, named, partitions, replicas) if nodes else whatif.live(store.document(call.client, "RING"))
    _check("--add", len(begin.seats) + more, MEMBERS_MAX, "nodes")
    steps: list[Step] = []
    ring = begin
    for change in _changes(begin, remove or [], weight or [], [named[i % len(named)] for i in range(add)]):
        steps.append(change(ring))
        ring = steps[-1].ring
    document = whatif.document(begin, steps, keys)
    call.emit(document, View(_screen, simulate_rows, lambda d: list(d["nodes"])))
    return ExitStatus.OK


def _new(nodes: int, zones: list[str], partitions: int | None, replicas: int | None) -> Ring:
    from dynamo_cli import whatif

    partitions, replicas = partitions or PARTITIONS, replicas or REPLICAS
    _check("--partitions", partitions, PARTITIONS_MAX, "partitions")
    _check("--replicas", replicas, REPLICAS_MAX, "replicas")
    if partitions & (partitions - 1):
        raise usage(f"{partitions} partitions: it must be a power of two", "As in --partitions 256")
    return whatif.fresh(nodes, zones, partitions, replicas)


def _changes(begin: Ring, remove: list[str], weight: list[str], zones: list[str]) -> Iterator[Callable[[Ring], Step]]:
    """Who leaves, who gets another weight, who joins: a node in each of `zones`."""
    from dynamo_cli import whatif

    for name in remove:
        yield partial(whatif.remove, name=name)
    for words in weight:
        name, equals, number = words.rpartition("=")
        if not equals or not number.isascii() or not number.isdigit() or not 1 <= int(number) <= WEIGHT_MAX:
            raise usage(f"{words!r} is no weight", f"Write NODE=W, W from 1 to {WEIGHT_MAX}, as in --weight n1=2")
        yield partial(whatif.weigh, name=name, weight=int(number))
    for zone in zones:
        yield partial(whatif.add, zone=zone, taken=begin.names.values())


def _check(option: str, number: int, most: int, what: str) -> None:
    if number > most:
        raise usage(f"{option}: {number} {what} are more than a cluster may have", f"At most {most}")


def _screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.simulate import simulate_screen

    return simulate_screen(document, wide=wide)
