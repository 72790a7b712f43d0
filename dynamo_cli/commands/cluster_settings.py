"""`dyn cluster settings`: what a cluster was founded with, what its nodes were started with, and what changes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dynamo_cli import store
from dynamo_cli.asking import addresses_of, ask
from dynamo_cli.call import Call, Document, View
from dynamo_cli.client import Client
from dynamo_cli.commands.process import settings_of
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.render.cluster_settings import settings_rows
from dynamo_cli.told import whole, word

if TYPE_CHECKING:
    from rich.console import RenderableType

FOUNDED = {
    "n": "fixed when the cluster was founded; another one: dyn export, dyn import",
    "r": "fixed at founding; for one read: dyn get KEY -r N, or --strict",
    "w": "fixed at founding; for one write: dyn put KEY -w N, or --strict",
    "partitions": "fixed when the cluster was founded",
    "hash": "fixed for all clusters",
}
"""What the ring says, the same to everybody, and what changes it."""

STARTED = {
    "max-value-bytes": "each node: dyn node start --max-value-bytes N",
    "durability": "each node: dyn node start --durability full|normal|memory",
    "weight": "dyn cluster weight NODE W",
    "zone": "dyn cluster zone NODE ZONE",
}
"""What each node says for itself."""

SEATS = ("weight", "zone")
"""Of these the ring knows better: a node was started with what may have been changed since."""


@command(
    "cluster settings",
    panel="Cluster",
    examples=[
        ("dyn cluster settings", "N, R, W and the rest, and what changes each"),
        ("dyn cluster settings -o plain", "a line a setting, for scripts"),
        ("dyn node config n3 --origin", "all that one node runs with"),
    ],
    exits=[5, 7],
    see=["node config", "ring show", "explain"],
)
def settings(call: Call) -> ExitStatus:
    """What the cluster was founded with, and what its nodes run with. Nothing is set here: each line says what sets it.

    Where nodes differ, each is named. A node that does not answer is named, too.
    """
    ring = store.document(call.client, "RING")
    found: dict[str, Mapping[str, str]] = {}

    def more(name: str, client: Client) -> None:
        found[name] = settings_of(client)

    addresses = addresses_of(ring)
    told = ask(addresses, lambda each: call.env.client_apart((each,), call.options.timeout_s), "RING", more=more)
    seats = {name: word(member, "zone", "") for member in ring["members"] if (name := word(member, "name", ""))}
    weights = {name: whole(member, "weight") for member in ring["members"] if (name := word(member, "name", ""))}
    rows: list[Document] = [
        {"name": name, "value": None if ring.get(name) is None else str(ring[name]), "nodes": None, "changed_by": how}
        for name, how in FOUNDED.items()
    ]
    for name, how in STARTED.items():
        each: dict[str, str] = {node: found[node][name] for node in addresses if name in found.get(node, {})}
        if name in SEATS:
            known = seats if name == "zone" else weights
            each = {node: str(value) for node, value in known.items() if value is not None}
        same = len({*each.values()}) == 1
        value = next(iter(each.values())) if same else None
        rows.append({"name": name, "value": value, "nodes": None if same else each, "changed_by": how})
    silent = [{"node": each.node, "because": each.error.message} for each in told if each.error is not None]
    document: Document = {"schema": "dyn.cluster.settings/v1", "settings": rows, "silent": silent}
    call.emit(document, View(_screen, settings_rows, lambda d: list(d["settings"])))
    return ExitStatus.OK


def _screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.cluster_settings import settings_screen

    return settings_screen(document, wide=wide)
