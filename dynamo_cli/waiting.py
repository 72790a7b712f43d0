"""A line that says for whom we wait, when an answer takes long: nobody sits before a terminal that says nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dynamo_cli.render.plain import shortened, show

AFTER_S = 0.7
"""Sooner it would only flicker."""
NODES_COLUMNS = 40
"""So much of a host's name: a line that wraps cannot be taken away."""


class Waiting:
    """Shows the line through `write`, which takes text for a terminal, and takes it away once there is an answer."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._lock = threading.Lock()

    @contextmanager
    def __call__(self, nodes: str) -> Iterator[None]:
        """Wait for these nodes."""
        state = {"over": False, "shown": False}

        def tell() -> None:
            with self._lock:
                if not state["over"]:
                    state["shown"] = True
                    self._write(f"\r\x1b[Kwaiting for {shortened(show(nodes), NODES_COLUMNS)} ...")

        timer = threading.Timer(AFTER_S, tell)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            with self._lock:
                state["over"] = True
                if state["shown"]:
                    self._write("\r\x1b[K")
