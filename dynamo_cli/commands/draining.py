"""`dyn node config` and `dyn node drain`: what a node runs with; its end, once its hints are handed over."""

from __future__ import annotations

import time
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli import running, store
from dynamo_cli.arguments import seconds_long
from dynamo_cli.call import Call, Document, View
from dynamo_cli.client import Client
from dynamo_cli.commands.process import STOP_S, ClientOf, NodeName, found, settings_of
from dynamo_cli.doctor.hear import info_of
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.progress import remarks
from dynamo_cli.render.draining import drain_rows
from dynamo_cli.render.node_config import config_rows
from dynamo_cli.render.plain import show
from dynamo_cli.repairing import ANSWER_S
from dynamo_cli.told import items, whole

if TYPE_CHECKING:
    from rich.console import RenderableType

DRAIN_S = 60.0
"""As long as hints are waited for: what their owners do not take by then goes on waiting, in the node's store."""

PAUSE_S = 0.25
"""Between two tries of hints that nobody takes."""


@command(
    "node config",
    panel="Node",
    examples=[
        ("dyn node config", "what the node that is asked runs with"),
        ("dyn node config n3 --origin", "another one, and who set what"),
        ("dyn node config --field settings.0.value", "one of them, for scripts"),
    ],
    exits=[3, 5, 7],
    see=["node start", "node info", "config show"],
    completes={"node": "names"},
)
def node_config(
    call: Call,
    node: NodeName = None,
    origin: Annotated[bool, typer.Option("--origin", help="Say who set each: flag, environment, file, default.")] = (
        False
    ),
) -> ExitStatus:
    """What a node runs with. Secrets are never told; of files that hold one, the name is."""
    from dynamo_cli.node_config import of_node

    with ClientOf(call, node) as client:
        name, settings = info_of(client).get("node", node or "?"), settings_of(client)
        document = of_node(name, str(client.address), settings)
    screen = partial(_config_screen, origin=origin)
    call.emit(document, View(screen, config_rows, lambda d: list(d["settings"])))
    return ExitStatus.OK


@command(
    "node drain",
    panel="Node",
    examples=[
        ("dyn node drain n3", "hand over the hints of a node of this machine, and stop it"),
        ("dyn node drain n3 --for 600", "wait for owners that are slow"),
        ("dyn -n :7701 node drain", "the one on that port"),
    ],
    exits=[3, 5, 7, 8, 9],
    see=["node stop", "cluster hints", "cluster leave"],
    completes={"node": "names"},
    danger="moderate",
)
def node_drain(
    call: Call,
    node: NodeName = None,
    at_most: Annotated[
        float, typer.Option("--for", metavar="S", parser=seconds_long, help="Deliver so long at most; default 60.")
    ] = DRAIN_S,
) -> ExitStatus:
    """Stop a node of this machine once it keeps nothing for others any more: its hints are delivered first.

    Until then it serves as ever. What is left after that time stays in its store, and is delivered when it starts
    again: exit 8 says so. As dyn node stop, it asks first if the nodes that remain cannot meet R and W.
    """
    name, process, address = found(call, node)
    begun = time.monotonic()
    try:
        with closing(call.env.client_apart((str(address),), max(ANSWER_S, call.options.timeout_s))) as client:
            delivered, held = _deliver(call, client, begun + at_most)
    except BaseException:
        running.let_go(process)
        raise
    if not running.stop(process, STOP_S):
        raise CliError(
            ExitStatus.UNKNOWN, f"{name} (pid {process.pid}) was told to stop and has not in {STOP_S:g} s",
            f"Wait, or end it at once: kill -9 {process.pid}",
        )  # fmt: skip
    document: Document = {
        "schema": "dyn.node.drain/v1",
        "node": name,
        "pid": process.pid,
        "delivered": delivered,
        "left": held,
        "took_s": round(time.monotonic() - begun, 3),
    }
    call.emit(document, View(_drain_screen, drain_rows))
    return ExitStatus.UNHEALTHY if held else ExitStatus.OK


def _deliver(call: Call, client: Client, until: float) -> tuple[int, list[Document]]:
    """Have the node hand over what it keeps, until it is time: how many rows went, and what is left."""
    delivered = 0
    with remarks(call, "draining") as remark:
        while True:
            told = store.document(client, "BACKGROUND", "DELIVER")
            delivered += sum(whole(done, "keys") or 0 for done in items(told, "delivered"))
            held = [dict(hint) for hint in items(told, "held")]
            if not held or time.monotonic() >= until:
                return delivered, held
            remark(f"{sum(whole(hint, 'keys') or 0 for hint in held):,} rows wait; {show(_why(held[0]))}")
            time.sleep(PAUSE_S)


def _why(hint: Document) -> str:
    return str(hint.get("waits_because"))


def _config_screen(document: Document, wide: bool, *, origin: bool) -> RenderableType:
    from dynamo_cli.render.node_config import config_screen

    return config_screen(document, origin=origin or wide)


def _drain_screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.draining import drain_screen

    return drain_screen(document)
