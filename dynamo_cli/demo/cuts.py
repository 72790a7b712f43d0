"""The demo's network, cut in two and healed: each node is told at the address that we gave it."""

from __future__ import annotations

from collections.abc import Sequence

from dynamo_cli import faults
from dynamo_cli.client import Client, parse_address
from dynamo_cli.demo.processes import ASK_S, DemoCluster, DemoNode
from dynamo_cli.faults import Order


def cut(cluster: DemoCluster, left: Sequence[DemoNode], right: Sequence[DemoNode]) -> None:
    """Cut every link between two groups of nodes. Raises CliError if a link has no end that did it."""
    names = [",".join(node.name for node in nodes) for nodes in (left, right)]
    _give(cluster, faults.pairs("CUT", *names))


def heal(cluster: DemoCluster) -> None:
    """Make every link whole again. A node that does not run has no faults when it comes back."""
    _give(cluster, [(node.name, ("HEAL",)) for node in cluster])


def _give(cluster: DemoCluster, orders: Sequence[Order]) -> None:
    addresses = {node.name: node.place.address for node in cluster}
    told = faults.tell(orders, addresses, _client)
    wrong = faults.failure(told, orders)
    if wrong is not None:
        raise wrong


def _client(address: str) -> Client:
    return Client([parse_address(address)], timeout_s=ASK_S, writer="demo")
