"""What a demo does to a node's process and the ring does not decide: kill it, stop and continue it, start it again."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dynamo_cli.demo.changing import Changes, Step, did
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus


def kill(changes: Changes, name: str) -> Iterator[Step]:
    """End a node's process at once, as a power cut would. Raises CliError."""
    cluster = changes.cluster
    node = cluster.find(name)
    if node.ended:
        raise CliError(ExitStatus.FAILURE, f"{name} does not run", f"Start it: \\restart {name}")
    document = did("killed", node, cluster)
    node.kill()
    yield {"step": "done", "document": document}


def restart(changes: Changes, name: str) -> Iterator[Step]:
    """Start a node's process again, after a clean stop if it runs. Raises CliError, NodeFailed among others."""
    cluster = changes.cluster
    node = cluster.find(name)
    with changes.alone():
        took_s = cluster.restart(node)
    yield {"step": "done", "document": did("restarted", node, cluster, took_s)}


ACTS: dict[str, Callable[[Changes, str], Iterator[Step]]] = {"kill": kill, "restart": restart}
"""Orders about one node's process, by their word."""
