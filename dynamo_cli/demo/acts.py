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
        raise CliError(ExitStatus.FAILURE, f"{name} does not run", f"Start it: dyn demo restart {name}")
    document = did("killed", node, cluster)
    node.kill()
    document["node"]["state"] = "ended"  # of the process that it was
    yield {"step": "done", "document": document}


def pause(changes: Changes, name: str) -> Iterator[Step]:
    """Stop a node's process where it is (SIGSTOP). Raises CliError."""
    cluster = changes.cluster
    node = cluster.find(name)
    if node.ended:
        raise CliError(ExitStatus.FAILURE, f"{name} does not run", f"Start it: \\restart {name}")
    node.pause()
    yield {"step": "done", "document": did("paused", node, cluster)}


def resume(changes: Changes, name: str) -> Iterator[Step]:
    """Let a node's process go on that was stopped (SIGCONT). Raises CliError."""
    cluster = changes.cluster
    node = cluster.find(name)
    if not node.paused:
        raise CliError(ExitStatus.FAILURE, f"{name} is not paused", f"Pause it: \\pause {name}")
    node.resume()
    yield {"step": "done", "document": did("resumed", node, cluster)}


def restart(changes: Changes, name: str) -> Iterator[Step]:
    """Start a node's process again, after a clean stop if it runs. Raises CliError, NodeFailed among others."""
    cluster = changes.cluster
    node = cluster.find(name)
    with changes.alone():
        took_s = cluster.restart(node)
    yield {"step": "done", "document": did("restarted", node, cluster, took_s)}


ACTS: dict[str, Callable[[Changes, str], Iterator[Step]]] = {
    "kill": kill, "pause": pause, "resume": resume, "restart": restart,
}  # fmt: skip
"""Orders about one node's process, by their word."""
