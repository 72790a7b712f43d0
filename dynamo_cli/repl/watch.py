"""The cluster's state for prompt and toolbar, asked for in the background: no keystroke ever waits for a node."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from dynamo_cli import store
from dynamo_cli.client import Client
from dynamo_cli.errors import CliError
from dynamo_cli.render.plain import show

INTERVAL_S = 2.0


class State(NamedTuple):
    """What was heard last. `document` None: no node answered, and `why`; without that, none was asked yet."""

    document: dict[str, Any] | None
    why: str

    @property
    def words(self) -> str:
        """How the cluster is, in a few words."""
        if self.document:
            return f"{self.up} of {self.total} nodes up"
        return f"no node answers: {show(self.why)}" if self.why else "no node has answered yet"

    @property
    def up(self) -> int:
        """Nodes that are up."""
        return sum(node["state"] == "up" for node in self.document["nodes"]) if self.document else 0

    @property
    def total(self) -> int:
        """Members."""
        return len(self.document["nodes"]) if self.document else 0

    @property
    def addresses(self) -> list[str]:
        """Client addresses of all members."""
        return [node["address"] for node in self.document["nodes"]] if self.document else []

    @property
    def names(self) -> list[str]:
        """Names of all members."""
        return [node["name"] for node in self.document["nodes"]] if self.document else []


def news(before: State, after: State) -> list[str]:
    """What happened between two looks that somebody at a prompt wants to know; nothing before the first answer."""
    old, new = before.document, after.document
    if new is None:
        return [] if old is None else [f"no node answers: {show(after.why)}"]
    if old is None:
        return [f"{show(new.get('answered_by') or 'a node')} answers again"] if before.why else []
    was, now = ({node["name"]: node["state"] for node in document["nodes"]} for document in (old, new))
    told = [f"{show(name)} is {state}" for name, state in now.items() if was.get(name, state) != state]
    told += [f"{show(name)} has joined" for name in now if name not in was]
    told += [f"{show(name)} has left" for name in was if name not in now]
    one, other = old.get("answered_by"), new.get("answered_by")
    if one and other and one != other:
        told.append(f"{show(other)} answers in place of {show(one)}")
    if new["epoch"] != old["epoch"]:
        told.append(f"ring epoch {new['epoch']}")
    if new["health"] != old["health"]:
        told.append(f"the cluster is {new['health']}")
    if new["siblings"] and not old["siblings"]:
        told.append(f"siblings: {new['siblings']} (keys --siblings)")
    return told


class Watcher:
    """Asks for DYN.STATUS every INTERVAL_S with a client of its own.

    `changed` is called after each answer, in a thread, with what happened since the one before.
    """

    def __init__(self, client: Callable[[], Client], changed: Callable[[list[str]], None] = lambda told: None) -> None:
        self._client = client
        self._changed = changed
        self._stop = threading.Event()
        self._heard = threading.Event()
        self.state = State(None, "")
        self._thread = threading.Thread(target=self._watch, name="watcher", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more; a question under way ends by its own deadline."""
        self._stop.set()

    def wait(self, seconds: float) -> None:
        """Wait for the first answer, but no longer than that."""
        self._heard.wait(seconds)

    def look(self) -> State:
        """Ask once, now."""
        client = self._client()
        try:
            self.state = State(store.document(client, "STATUS"), "")
        except CliError as error:
            self.state = State(None, error.message)
        finally:
            client.close()
        return self.state

    def _watch(self) -> None:
        while not self._stop.is_set():
            before, after = self.state, self.look()
            self._heard.set()
            self._changed(news(before, after))
            self._stop.wait(INTERVAL_S)
