"""The demo's network, cut in two and healed: each node is told at the address that we gave it."""

from __future__ import annotations

from collections.abc import Sequence

from dynamo_cli import faults
from dynamo_cli.demo.seen import Cluster, Node, late, tell


def cut(cluster: Cluster, left: Sequence[Node], right: Sequence[Node]) -> None:
    """Cut every link between two groups of nodes. Raises CliError if a link has no end that did it."""
    names = [",".join(node.name for node in nodes) for nodes in (left, right)]
    tell(cluster, faults.pairs("CUT", *names))


def heal(cluster: Cluster) -> None:
    """Make every link whole again, as late as this demo's are. A node that does not run has no faults when it is back.

    Raises CliError.
    """
    tell(cluster, [(node.name, ("HEAL",)) for node in cluster])
    late(cluster)
