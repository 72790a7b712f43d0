"""What the nodes of a demo make of what is done to them: who calls whom suspect and down, hints, siblings, faults.

Everything here is asked of the nodes, each for itself: during a cut none of them can tell of all.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

from dynamo_cli import store
from dynamo_cli.client import Word
from dynamo_cli.demo.processes import asking
from dynamo_cli.demo.seen import Cluster, Node
from dynamo_cli.errors import CliError

Document = dict[str, Any]

NOTICE_S = 8.0
"""How long we watch for the others to notice that a node is gone: twice as long as they take."""
HANDED_OVER_S = 8.0
"""How long we watch hints being handed over."""
POLL_S = 0.05
LOOK_S = 1.0
"""Between two looks at the faults in force, for the prompt."""
SIBLINGS_MAX = 1000
SIBLINGS_S = 0.5
"""When no further node is asked for siblings any more."""


def ask(node: Node, name: str, *words: Word) -> Document | None:
    """One document of a node; None if it does not answer."""
    if node.ended or node.paused:
        return None
    with suppress(CliError), asking(node) as client:
        return store.document(client, name, *words)
    return None


def until_states(
    views: Iterable[tuple[Node, Node]], states: Sequence[str], *, most_s: float = NOTICE_S
) -> dict[str, float]:
    """Watch until every witness of `views` (a witness, and whom it watches) has called the other the last of `states`.

    The seconds after which all of them had called each of the states; a state that was not reached in time is missing.
    """
    pairs, began, reached = list(views), time.monotonic(), {}
    while True:
        seen = {witness.name: ask(witness, "STATUS") for witness in {one.name: one for one, _ in pairs}.values()}
        found = [_state(seen[witness.name], other.name) for witness, other in pairs]
        for at, state in enumerate(states):
            if state not in reached and all(one in states[at:] for one in found):
                reached[state] = time.monotonic() - began
        if states[-1] in reached or time.monotonic() - began > most_s:
            return reached
        time.sleep(POLL_S)


def _state(status: Document | None, name: str) -> str | None:
    if status is None:
        return None
    return next((str(node["state"]) for node in status["nodes"] if node["name"] == name), None)


def hints_for(cluster: Cluster, owner: str | None = None) -> int:
    """Rows that wait on stand-ins, for one owner or for all: as each stand-in says of itself."""
    held = 0
    for node in cluster:
        document = ask(node, "HINTS")
        for hint in document["held"] if document is not None else ():
            if hint["by"] == node.name and owner in (None, hint["for"]):
                held += hint["keys"]
    return held


def until_handed_over(cluster: Cluster, owner: str | None = None, *, most_s: float = HANDED_OVER_S) -> float | None:
    """Watch until no hint waits any more; the seconds it took, None if some still do."""
    began = time.monotonic()
    while hints_for(cluster, owner):
        if time.monotonic() - began > most_s:
            return None
        time.sleep(POLL_S)
    return time.monotonic() - began


def siblings_of(cluster: Cluster) -> list[bytes] | None:
    """Keys with siblings, the first SIBLINGS_MAX at most; None if no node tells soon: where links are slow."""
    deadline = time.monotonic() + SIBLINGS_S
    for node in cluster:
        if not node.ended and not node.paused and time.monotonic() < deadline:
            with suppress(CliError), asking(node) as client:
                found: list[bytes] = []
                for page in store.keys(client, b"", siblings=True):
                    found += page
                    if len(found) >= SIBLINGS_MAX:
                        break
                return found[:SIBLINGS_MAX]
    return None


def health_of(cluster: Cluster, leaving_out: Iterable[str] = ()) -> str:
    """What a node says of keys that can be read and written, in words; "" if none tells."""
    status = next((found for node in cluster if node.name not in leaving_out and (found := ask(node, "STATUS"))), None)
    if status is None:
        return ""
    for reason in status["reasons"]:
        if "quorum" in reason:
            return str(reason)
    return f"every key can be read and written (R={status['r']} W={status['w']})"


def is_its_own(fault: Document, cluster: Cluster) -> bool:
    """Whether a fault is the latency that the demo was started with."""
    return fault["kind"] == "delay" and fault["ms"] == cluster.latency_ms and not fault.get("jitter_ms")


class Faults(threading.Thread):
    """The faults in force, looked at now and then, whoever ordered them; until `stop`. `marks` are for the prompt."""

    def __init__(self, cluster: Cluster, changed: Callable[[], None] = lambda: None) -> None:
        super().__init__(name="faults", daemon=True)
        self._cluster = cluster
        self._changed = changed
        self._halt = threading.Event()
        self.marks = ""

    def run(self) -> None:
        """Look and look."""
        while not self._halt.wait(LOOK_S):
            self.look()

    def look(self) -> None:
        """Look once."""
        with suppress(CliError):  # one that is gone has no faults
            self._cluster.look()
        kinds = {
            fault["kind"]
            for node in self._cluster
            for fault in (ask(node, "FAULT", "LIST") or {"faults": ()})["faults"]
            if not is_its_own(fault, self._cluster)
        }
        words = [word for word, those in MARKS.items() if kinds & those]
        if any(node.paused for node in self._cluster):
            words.append("PAUSED")
        before, self.marks = self.marks, " ".join(words)
        if self.marks != before:
            self._changed()

    def stop(self) -> None:
        """Look no more."""
        self._halt.set()


MARKS = {
    "CUT": {"cut", "cut1"},
    "SLOW": {"delay"},
    "LOSS": {"drop"},
    "SKEW": {"skew"},
    "DISK": {"disk"},
}
"""A word for the prompt for kinds of faults."""
