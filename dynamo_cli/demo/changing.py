"""One node more in a running demo, or one less, step by step, for whoever shows it.

Each step is a JSON-ready object, as it may come from another process (`demo.control`):

    started  the process of a new node runs; or it is decided that one leaves. `node`: who and where it is
    moving   how far it is: `transfers`, the dyn.transfers/v1 document of a node that stays
    done     the ring is settled. `document`: dyn.demo/v1
"""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dynamo_cli import store
from dynamo_cli.demo.processes import (
    READY_S,
    RECORD,
    STOP_S,
    DemoCluster,
    DemoNode,
    NodeFailed,
    asking,
    places_of,
)
from dynamo_cli.demo.room import check_ports
from dynamo_cli.demo.seen import NODES_MAX, late
from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus
from node.runtime.config import SettingError, load_settings

Step = dict[str, Any]
Document = dict[str, Any]

LOOK_S = 0.25
"""Between two looks at a move: a demo has little data, and a person watches."""
GONE_S = 15.0
"""How long a node that has left may take to end by itself: it sees to it first that the others know."""
RECORD_BYTES_MAX = 64 * 1024


class Changes:
    """Adds and removes nodes of one demo, one at a time."""

    def __init__(self, cluster: DemoCluster) -> None:
        self.cluster = cluster
        self._lock = threading.Lock()

    def add(self, name: str | None = None) -> Iterator[Step]:
        """Start one more node and wait until the ring has settled with it. Raises CliError, NodeFailed among others."""
        with self.alone():
            node = self._placed(name)
            witness = self._witness(node)
            began = time.monotonic()
            node.start()
            self.cluster.nodes = [*self.cluster.nodes, node]
            self._record()
            yield {"step": "started", "node": described(node)}
            try:
                yield from self._until_in(node, witness)
            except NodeFailed:
                self._forget(node)
                raise
            self.cluster.settle(time.monotonic() + READY_S)
            late(self.cluster, about=node.name)
            yield self._done("added", node, witness, time.monotonic() - began)

    def remove(self, name: str) -> Iterator[Step]:
        """Have a node hand over what it holds and leave, or, if it does not run, the others do without it.

        Its data goes with it, its log stays. Raises CliError, with which nothing has changed unless it says so.
        """
        with self.alone():
            node = self.cluster.find(name)
            witness = self._witness(node)
            began = time.monotonic()
            before = ring_of(witness)
            described_now = described(node)
            if any(member["name"] == name for member in before["members"]):
                decided = self._decide("REMOVE" if node.ended else "LEAVE", node, witness)
                node.ends_as_told = True
                yield {"step": "started", "node": described_now, "change": decided["change"]}
                yield from self._until_out(node, witness, decided)
            elif not node.ended:
                raise CliError(ExitStatus.REFUSED, f"{name} has no seat yet", f"Its log: {node.log}")
            self._end(node)
            self._forget(node)
            shutil.rmtree(node.data, ignore_errors=True)
            self.cluster.settle(time.monotonic() + READY_S)
            yield self._done("removed", node, witness, time.monotonic() - began, before["owners"].count(name))

    # Parts of both ---------------------------------------------------------------------------------------

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One change at a time, whoever asks for it."""
        if not self._lock.acquire(blocking=False):
            raise CliError(
                ExitStatus.REFUSED, "another node is being added or removed", "See: dyn cluster transfers --watch"
            )
        try:
            yield
        finally:
            self._lock.release()

    def _witness(self, node: DemoNode) -> DemoNode:
        """Another node that runs, and tells of the change."""
        for other in self.cluster:
            if other is not node and not other.ended:
                return other
        raise CliError(ExitStatus.REFUSED, f"no other node than {node.name} runs", "Start one: dyn demo restart NODE")

    def _done(self, what: str, node: DemoNode, witness: DemoNode, took_s: float, had: int | None = None) -> Step:
        ring = ring_of(witness)
        document = did(what, node, self.cluster, took_s)
        document["epoch"] = ring["epoch"]
        document["partitions"] = ring["owners"].count(node.name) if had is None else had
        return {"step": "done", "document": document}

    def _record(self) -> None:
        """Note who is there, for the next time that a kept demo is started."""
        if not self.cluster.temporary:
            write_record(self.cluster)

    def _forget(self, node: DemoNode) -> None:
        self.cluster.nodes = [other for other in self.cluster.nodes if other is not node]
        self._record()

    # Adding ----------------------------------------------------------------------------------------------

    def _placed(self, name: str | None) -> DemoNode:
        """A node at the first free place, not started yet."""
        base = self.cluster.base_port
        taken = {node.name: node.place.port - base for node in self.cluster}
        number = next(i for i in range(1, NODES_MAX + 2) if i not in taken.values() and f"n{i}" not in taken)
        name = f"n{number}" if name is None else name
        if why := why_no_name(name, self.cluster.folder):
            raise usage(why, "Leave it away, and the node gets one")
        if len(taken) >= NODES_MAX:
            raise CliError(ExitStatus.REFUSED, f"a demo has at most {NODES_MAX} nodes", "Remove one first")
        if name in taken or (self.cluster.folder / name).exists():
            raise CliError(ExitStatus.REFUSED, f"the name {name} is taken", "Choose another one")
        (place,) = places_of({name: number}, base)
        check_ports([place])
        return self.cluster.made(place, [node.place for node in self.cluster if not node.ended])

    def _until_in(self, node: DemoNode, witness: DemoNode) -> Iterator[Step]:
        """Tell how far the move is until the node is ready: it has its seat then, and what it owns."""
        while not node.ready_line:
            if node.ended:
                raise NodeFailed(node, node.how)
            document = transfers_of(witness)
            if document is not None and document["state"] == "moving":
                yield {"step": "moving", "transfers": document}
            time.sleep(LOOK_S)

    # Removing --------------------------------------------------------------------------------------------

    def _decide(self, verb: str, node: DemoNode, witness: DemoNode) -> Document:
        """Plan it and have just that decided: a dyn.change/v1 document."""
        with asking(witness, STOP_S) as client:
            plan = store.document(client, "CLUSTER", "PLAN", verb, node.name)
            return {**store.change(client, "COMMIT", plan["id"]), "change": plan["change"]}

    def _until_out(self, node: DemoNode, witness: DemoNode, decided: Document) -> Iterator[Step]:
        """Tell how far the move is until the ring has settled without the node."""
        while True:
            document = transfers_of(witness)
            if document is not None and document["state"] != "moving" and document["epoch"] > decided["epoch"] - 1:
                if any(member["name"] == node.name for member in ring_of(witness)["members"]):
                    raise CliError(
                        ExitStatus.FAILURE, f"given up: {decided['change']}; {node.name} is still a member",
                        "See why: dyn cluster events", code="ABANDONED",
                    )  # fmt: skip
                return
            if document is not None:
                yield {"step": "moving", "transfers": document}
            time.sleep(LOOK_S)

    def _end(self, node: DemoNode) -> None:
        """Wait for the process to end by itself, as a node does that has left."""
        deadline = time.monotonic() + GONE_S
        while not node.ended and time.monotonic() < deadline:
            time.sleep(LOOK_S)
        node.terminate()
        node.wait()


def why_no_name(name: str, folder: Path) -> str:
    """Why a node cannot have this name, as the node itself would say; "" if it can."""
    try:
        load_settings(environ={"HOME": str(folder)}, cwd=folder, name=name)
    except SettingError as error:
        return error.message if error.message.startswith("--name ") else ""
    return ""


def did(what: str, node: DemoNode, cluster: DemoCluster, took_s: float = 0.0) -> Document:
    """What became of an order: a dyn.demo/v1 document."""
    return {
        "schema": "dyn.demo/v1", "did": what, "node": described(node), "epoch": None, "partitions": None,
        "nodes": [other.name for other in cluster], "took_s": round(took_s, 2),
    }  # fmt: skip


def state_of(node: DemoNode) -> str:
    """What its process does: up, paused, ended (as it was told to) or crashed."""
    if not node.ended:
        return "paused" if node.paused else "up"
    return "crashed" if node.crashed else "ended"


def described(node: DemoNode) -> Document:
    """Who a node is, and where."""
    place = node.place
    return {
        "name": node.name, "address": place.address, "peer_port": place.peer_port, "http_port": place.http_port,
        "pid": node.pid, "log": str(node.log), "state": state_of(node),
    }  # fmt: skip


def ring_of(node: DemoNode) -> Document:
    """The ring that a node knows. Raises CliError."""
    with asking(node, STOP_S) as client:
        return store.document(client, "RING")


def transfers_of(node: DemoNode) -> Document | None:
    """What a node knows of the move, None if it does not answer just now."""
    with suppress(CliError), asking(node) as client:
        return store.document(client, "TRANSFERS")
    return None


# The record of a kept demo -------------------------------------------------------------------------------


def write_record(cluster: DemoCluster) -> None:
    """Write down which nodes a demo has."""
    numbers = {node.name: node.place.port - cluster.base_port for node in cluster}
    path = cluster.folder / RECORD
    new = path.with_suffix(".new")
    new.write_text(json.dumps(numbers) + "\n")
    new.replace(path)


def read_record(folder: Path) -> dict[str, int]:
    """Numbers of the nodes that a kept demo has, by name; {} for one of before, or none. Raises CliError."""
    try:
        found = json.loads((folder / RECORD).read_bytes()[:RECORD_BYTES_MAX])
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise _broken(folder, str(error)) from None
    if not isinstance(found, Mapping) or not all(
        type(number) is int and 1 <= number <= NODES_MAX and not why_no_name(name, folder)
        for name, number in found.items()
    ):
        raise _broken(folder, "it is not a list of nodes and their numbers")
    return dict(found)


def _broken(folder: Path, why: str) -> CliError:
    return CliError(ExitStatus.FAILURE, f"cannot read {folder / RECORD}: {why}", "Delete it, or name another folder")


def numbers_wanted(kept: Mapping[str, int], count: int | None, default: int) -> dict[str, int]:
    """Which nodes to start: those of a kept demo, and with `count` at least n1 to that; of a new one `default`."""
    if count is None and kept:
        return dict(kept)
    names = {number: f"n{number}" for number in range(1, (default if count is None else count) + 1)}
    names |= {number: name for name, number in kept.items()}
    return {name: number for number, name in names.items()}
