"""The verbs of the demo's shell: `\\kill`, `\\restart`, `\\add`, `\\remove`, `\\nodes`, `\\tour`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

from dynamo_cli.call import Call
from dynamo_cli.demo.changing import Changes
from dynamo_cli.demo.processes import DemoCluster, DemoNode, NodeFailed, asking
from dynamo_cli.demo.showing import show_steps
from dynamo_cli.demo.tour import Tour
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.repl.session import Session
from dynamo_cli.repl.verbs import Facility, verb
from dynamo_cli.store import document

NOTICE_S = 5.0
"""How long we watch for the others to notice that a node is gone."""
POLL_S = 0.02


class Demo(Facility):
    """The cluster that the shell has started; what its verbs work on."""

    where = "the shell of dyn demo"

    def __init__(self, cluster: DemoCluster, changes: Changes) -> None:
        self.cluster = cluster
        self.changes = changes


def running(shell: Session, words: Sequence[str]) -> list[str]:
    """The nodes that run, where one may be named."""
    return [node.name for node in shell.facility(Demo).cluster if not node.ended] if not words else []


def every(shell: Session, words: Sequence[str]) -> list[str]:
    """All nodes, where one may be named."""
    return [node.name for node in shell.facility(Demo).cluster] if not words else []


@verb(
    "kill", usage="NODE", summary="End a node at once, as a power cut would (kill -9).", needs=Demo,
    completes=running, danger=True,
)  # fmt: skip
def kill(shell: Session, words: Sequence[str]) -> int:
    """kill -9, then watch another node notice."""
    cluster = shell.facility(Demo).cluster
    node = cluster.find(words[0])
    if node.ended:
        raise CliError(ExitStatus.FAILURE, f"{node.name} does not run", f"Start it: \\restart {node.name}")
    pid = node.kill()
    began = time.monotonic()
    shell.env.write(f"{node.name} killed (kill -9, pid {pid})\n")
    witness = next((other for other in cluster if not other.ended), None)
    if witness is None:
        shell.env.write("no node is left\n")
    elif _noticed(witness, node, began + NOTICE_S):
        took_s = time.monotonic() - began
        shell.env.write(f"{witness.name} calls it down after {took_s:.1f} s. Bring it back: \\restart {node.name}\n")
    else:
        shell.env.write(f"{witness.name} has not noticed yet, {NOTICE_S:g} s later\n")
    return ExitStatus.OK


def _noticed(witness: DemoNode, gone: DemoNode, deadline: float) -> bool:
    while time.monotonic() < deadline:
        with suppress(CliError), asking(witness) as client:
            states = {found["name"]: found["state"] for found in document(client, "STATUS")["nodes"]}
            if states.get(gone.name) == "down":
                return True
        time.sleep(POLL_S)
    return False


@verb("restart", usage="NODE", summary="Start a node again, on the data it left.", needs=Demo, completes=every)
def restart(shell: Session, words: Sequence[str]) -> int:
    """A clean stop if it runs, then the same command again."""
    cluster = shell.facility(Demo).cluster
    node = cluster.find(words[0])
    try:
        took_s = cluster.restart(node)
    except NodeFailed as error:
        shell.env.write("".join(f"{line}\n" for line in error.lines), error=True)
        raise
    shell.env.write(f"{node.name} ready after {took_s:.1f} s (pid {node.pid}), keys: {keys_of(node)}\n")
    return ExitStatus.OK


@verb("add", usage="[NODE]", summary="One node more: it takes over its part, and you see it do so.", needs=Demo)
def add(shell: Session, words: Sequence[str]) -> int:
    """One more process, until the ring has settled with it."""
    return show_steps(Call(shell.env), shell.facility(Demo).changes.add(words[0] if words else None))


@verb(
    "remove", usage="NODE", summary="One node less: it hands over what it holds, and ends.", needs=Demo,
    completes=every, danger=True,
)  # fmt: skip
def remove(shell: Session, words: Sequence[str]) -> int:
    """As `dyn cluster leave` does, and the process and its data go, too."""
    demo = shell.facility(Demo)
    return show_steps(Call(shell.env), demo.changes.remove(demo.cluster.find(words[0]).name))


@verb("nodes", summary="The processes, their ports and their logs.", needs=Demo)
def nodes(shell: Session, words: Sequence[str]) -> int:
    """One line a process."""
    rows = [("NODE", "PID", "CLIENT", "PEER", "HTTP", "LOG")]
    for node in shell.facility(Demo).cluster:
        place = node.place
        pid = str(node.pid) if node.pid is not None else "-"
        ports = (f":{place.port}", f":{place.peer_port}", f":{place.http_port}")
        rows.append((node.name, pid, *ports, str(node.log)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        shell.env.write("  ".join(cells).rstrip() + "\n")
    return ExitStatus.OK


@verb("tour", summary="What dyn does, in a minute: shown, explained and checked.", needs=Demo)
def tour(shell: Session, words: Sequence[str]) -> int:
    """On the cluster as it is; a node that was killed is started first."""
    cluster = shell.facility(Demo).cluster
    for node in cluster:
        if node.ended:
            restart(shell, [node.name])
    return Tour(cluster, shell.env).run()


def keys_of(node: DemoNode) -> int:
    """How many keys a node holds, as it says itself."""
    with asking(node) as client:
        found: int = next(f["keys"] for f in document(client, "STATUS")["nodes"] if f["name"] == node.name)
    return found
