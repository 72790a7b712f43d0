"""Nodes of a demo that ended although nobody wanted them to: noticed, and told once, with the end of their log."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from dynamo_cli.demo.seen import Cluster, Node
from dynamo_cli.render.plain import show

if TYPE_CHECKING:
    from dynamo_cli.environment import Environment

LOOK_S = 0.5
"""Between two looks at the processes."""


class Crashes(threading.Thread):
    """Looks at the nodes of a demo, and says of each one that has crashed what it said last; until `stop`."""

    def __init__(self, cluster: Cluster, tell: Callable[[str], None]) -> None:
        super().__init__(name="crashes", daemon=True)
        self._cluster = cluster
        self._tell = tell
        self._known: dict[str, int] = {}
        self._halt = threading.Event()

    def run(self) -> None:
        """Look and look."""
        while not self._halt.wait(LOOK_S):
            for node in self._cluster:
                if node.crashed and self._known.get(node.name) != node.starts:
                    self._known[node.name] = node.starts
                    self._tell(crash_text(node))

    def stop(self) -> None:
        """Look no more."""
        self._halt.set()


def crash_text(node: Node) -> str:
    """What became of a node, and its last words."""
    lines = [f"{node.name} {node.how}, and nobody asked for that. The end of its log:"]
    lines += [f"  {node.name} | {show(line)}" for line in node.last_lines]
    return "\n".join([*lines, f"Start it again: \\restart {node.name}, or dyn demo restart {node.name}"])


def above_the_prompt(env: Environment) -> Callable[[str], None]:
    """A function, for any thread, that shows text above the line that is being typed, which stays as it is."""
    from prompt_toolkit.application import get_app_or_none, run_in_terminal

    def tell(text: str) -> None:
        write = partial(env.write, f"{text}\n", error=True)
        app = get_app_or_none()
        if app is not None and app.is_running and app.loop is not None:
            app.loop.call_soon_threadsafe(lambda: run_in_terminal(write), context=app.context)
        else:
            write()

    return tell
