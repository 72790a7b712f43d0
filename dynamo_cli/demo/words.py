"""The words that the demo adds to its shell: `\\kill`, `\\restart`, `\\add`, `\\remove`, `\\nodes`, `\\tour`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

from dynamo_cli.call import Call
from dynamo_cli.demo.changing import Changes
from dynamo_cli.demo.processes import DemoCluster, DemoNode, NodeFailed, asking
from dynamo_cli.demo.showing import show_steps
from dynamo_cli.demo.tour import Tour
from dynamo_cli.environment import Environment
from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.repl.session import Word
from dynamo_cli.store import document

NOTICE_S = 5.0
"""How long we watch for the others to notice that a node is gone."""
POLL_S = 0.02


class DemoWords:
    """What the words do, for one demo and one shell."""

    def __init__(self, cluster: DemoCluster, env: Environment, changes: Changes) -> None:
        self.cluster = cluster
        self.env = env
        self.changes = changes

    def table(self) -> dict[str, Word]:
        """The words by name."""
        return {
            "\\kill": Word(self.kill, "NODE", "End a node at once, as a power cut would (kill -9).", self._running),
            "\\restart": Word(self.restart, "NODE", "Start a node again, on the data it left.", self._all),
            "\\add": Word(self.add, "[NODE]", "One node more: it takes over its part, and you see it do so."),
            "\\remove": Word(self.remove, "NODE", "One node less: it hands over what it holds, and ends.", self._all),
            "\\nodes": Word(self.nodes, "", "The processes, their ports and their logs."),
            "\\tour": Word(self.tour, "", "What dyn does, in a minute: shown, explained and checked."),
        }

    def kill(self, words: Sequence[str]) -> int:
        """`\\kill n2`: kill -9, then watch another node notice."""
        node = self._named("\\kill", words)
        if node.ended:
            raise CliError(ExitStatus.FAILURE, f"{node.name} does not run", f"Start it: \\restart {node.name}")
        pid = node.kill()
        began = time.monotonic()
        self.env.write(f"{node.name} killed (kill -9, pid {pid})\n")
        witness = next((other for other in self.cluster if not other.ended), None)
        if witness is None:
            self.env.write("no node is left\n")
        elif self._noticed(witness, node, began + NOTICE_S):
            took_s = time.monotonic() - began
            self.env.write(f"{witness.name} calls it down after {took_s:.1f} s. Bring it back: \\restart {node.name}\n")
        else:
            self.env.write(f"{witness.name} has not noticed yet, {NOTICE_S:g} s later\n")
        return ExitStatus.OK

    def _noticed(self, witness: DemoNode, gone: DemoNode, deadline: float) -> bool:
        while time.monotonic() < deadline:
            with suppress(CliError), asking(witness) as client:
                states = {found["name"]: found["state"] for found in document(client, "STATUS")["nodes"]}
                if states.get(gone.name) == "down":
                    return True
            time.sleep(POLL_S)
        return False

    def restart(self, words: Sequence[str]) -> int:
        """`\\restart n2`: a clean stop if it runs, then the same command again."""
        node = self._named("\\restart", words)
        try:
            took_s = self.cluster.restart(node)
        except NodeFailed as error:
            self.env.write("".join(f"{line}\n" for line in error.lines), error=True)
            raise
        self.env.write(f"{node.name} ready after {took_s:.1f} s (pid {node.pid}), keys: {keys_of(node)}\n")
        return ExitStatus.OK

    def add(self, words: Sequence[str]) -> int:
        """`\\add` or `\\add n9`: one more process, until the ring has settled with it."""
        if len(words) > 1:
            raise usage("\\add takes one name, or none", "Write: \\add")
        return show_steps(Call(self.env), self.changes.add(words[0] if words else None))

    def remove(self, words: Sequence[str]) -> int:
        """`\\remove n2`: as `dyn cluster leave` does, and the process and its data go, too."""
        return show_steps(Call(self.env), self.changes.remove(self._named("\\remove", words).name))

    def nodes(self, words: Sequence[str]) -> int:
        """`\\nodes`: one line a process."""
        if words:
            raise usage("\\nodes takes no words", "Write: \\nodes")
        rows = [("NODE", "PID", "CLIENT", "PEER", "HTTP", "LOG")]
        for node in self.cluster:
            place = node.place
            pid = str(node.pid) if node.pid is not None else "-"
            ports = (f":{place.port}", f":{place.peer_port}", f":{place.http_port}")
            rows.append((node.name, pid, *ports, str(node.log)))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
            self.env.write("  ".join(cells).rstrip() + "\n")
        return ExitStatus.OK

    def tour(self, words: Sequence[str]) -> int:
        """`\\tour`: on the cluster as it is; a node that was killed is started first."""
        if words:
            raise usage("\\tour takes no words", "Write: \\tour")
        for node in self.cluster:
            if node.ended:
                self.restart([node.name])
        return Tour(self.cluster, self.env).run()

    def _named(self, word: str, words: Sequence[str]) -> DemoNode:
        if len(words) != 1:
            raise usage(f"{word} takes one node", f"Write: {word} {self.cluster.nodes[-1].name}")
        return self.cluster.find(words[0])

    def _running(self) -> list[str]:
        return [node.name for node in self.cluster if not node.ended]

    def _all(self) -> list[str]:
        return [node.name for node in self.cluster]


def keys_of(node: DemoNode) -> int:
    """How many keys a node holds, as it says itself."""
    with asking(node) as client:
        found: int = next(f["keys"] for f in document(client, "STATUS")["nodes"] if f["name"] == node.name)
    return found
