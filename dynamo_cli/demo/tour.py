"""The tour: what dyn does, chapter by chapter, on a real cluster. Each scene shows commands, runs them, checks itself.

Nothing in it is made up: every figure comes from a node. A check that fails ends the tour with what was expected. The
same scenes are read at a terminal, where a reader types the commands, may leave, and finds the place again; and played
in a pipe, where they check themselves.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any, NamedTuple

from dynamo_cli import store
from dynamo_cli.commands.ring import placement
from dynamo_cli.demo.basics import CART, MEMBERS, Basics
from dynamo_cli.demo.control import DemoFailed
from dynamo_cli.demo.facility import Demo
from dynamo_cli.demo.growth import NODES_MIN as GROWTH_NODES_MIN
from dynamo_cli.demo.growth import Growth
from dynamo_cli.demo.loss import Loss
from dynamo_cli.demo.partition import BASKET, ORDERS, Partition
from dynamo_cli.demo.partition import NODES_MIN as PARTITION_NODES_MIN
from dynamo_cli.demo.processes import NodeFailed
from dynamo_cli.demo.reader import Left
from dynamo_cli.demo.seen import Node
from dynamo_cli.demo.stage import TIMEOUT_S, CheckFailed, Stage
from dynamo_cli.environment import Environment
from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus

NODES_MIN = 3
"""With one of three dead, R=W=2 can still be had."""
POLL_S = 0.02
AGREE_S = 10.0
NRW = "3/2/2"
"""What its scenes are about."""
PLACE = "tour.json"
"""The file in the demo's folder that says which chapter a reader has reached."""


def check_enough(count: int) -> None:
    """Raise a usage error if there are too few nodes for the tour."""
    if count < NODES_MIN:
        raise usage(f"the tour needs {NODES_MIN} nodes, not {count}", "Leave --nodes away, or use a terminal")


def check_quorums(nrw: str) -> None:
    """Raise a usage error for a cluster of other quorums than those that the tour shows."""
    if nrw != NRW:
        raise usage(f"the tour is about N/R/W {NRW}, not {nrw}", "Leave --nrw away, or the tour")


class Chapter(NamedTuple):
    """Scenes that belong together: a reader who leaves between them begins the first again."""

    title: str
    scenes: tuple[Callable[[], None], ...]
    nodes_min: int = 0


class Tour:
    """One performance on one demo, whose nodes all run, whoever has started it."""

    def __init__(self, demo: Demo, outer: Environment) -> None:
        self.demo = demo
        self.cluster = cluster = demo.cluster
        self.stage = Stage(outer, {"DYN_NODES": self.where[0], "DYN_WRITER": "you", "DYN_TIMEOUT": f"{TIMEOUT_S:g}"})
        self.values: dict[bytes, bytes] = {}
        self.undo = ExitStack()
        """What must be undone when a chapter is left in its middle."""
        basics, partition, loss, growth = Basics(self), Partition(self), Loss(self), Growth(self)
        every = (
            Chapter("one cluster", (basics.one_cluster,)),
            Chapter("the ring", (basics.ring,)),
            Chapter("reads and writes", (basics.writes,)),
            Chapter("a conflict and its merge", (basics.conflict, basics.siblings, basics.merge)),
            Chapter("a network that is cut in two", (partition.cut, partition.strict, partition.heal),
                    PARTITION_NODES_MIN),
            Chapter("a node that dies", (loss.death, loss.return_)),
            Chapter("one node more", (growth.join,), GROWTH_NODES_MIN),
            Chapter("the end", (self.end,)),
        )  # fmt: skip
        self.chapters = [chapter for chapter in every if len(cluster) >= chapter.nodes_min]

    @property
    def where(self) -> list[str]:
        """Client addresses of all nodes."""
        return [node.place.address for node in self.cluster]

    @property
    def place(self) -> int:
        """The chapter that a reader has reached, 0 at the beginning."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            found = json.loads((self.cluster.folder / PLACE).read_bytes())["chapter"]
            return found if type(found) is int and 0 < found < len(self.chapters) else 0
        return 0

    def run(self, begin: int = 0) -> ExitStatus:
        """Play from a chapter on; exit status 0 when every check holds."""
        began = time.monotonic()
        stage = self.stage
        chapter, played = begin, 0
        stage.scenes = sum(len(before.scenes) for before in self.chapters[:begin])
        try:
            check_enough(len(self.cluster))
            ring = store.document(stage.client(self.where[0]), "RING")
            check_quorums(f"{ring['n']}/{ring['r']}/{ring['w']}")
            self._clean()
            self._prepare(begin)
            for chapter in range(begin, len(self.chapters)):
                self._note(chapter)
                with self.undo:
                    for scene in self.chapters[chapter].scenes:
                        if played:
                            stage.goes_on()
                        scene()
                        played += 1
            self._note(0)
        except Left:
            return self._left(chapter)
        except (CheckFailed, CliError) as error:
            return self._failed(error)
        finally:
            stage.close()
        took_s = time.monotonic() - began
        stage.env.write(f"\ntour: {played} scenes, {stage.checks} checks, all ok in {took_s:.1f} s\n")
        return ExitStatus.OK

    def _failed(self, error: CheckFailed | CliError) -> ExitStatus:
        stage = self.stage
        lines = error.lines if isinstance(error, NodeFailed | DemoFailed) else []
        why = error.line() if isinstance(error, CliError) else str(error)
        stage.env.write("".join(f"{line}\n" for line in lines))
        stage.env.write(f"FAIL  {why}\n\ntour: failed in scene {stage.scenes}, check {stage.checks}\n")
        if stage.strayed:
            stage.env.write("It may come of what else was typed. The chapter once more: \\tour\n")
        return ExitStatus.FAILURE

    def _left(self, chapter: int) -> ExitStatus:
        where = f"chapter {chapter + 1} of {len(self.chapters)}, {self.chapters[chapter].title}"
        self.stage.env.write(f"\nThe tour is left in {where}. It goes on there: \\tour\n")
        return ExitStatus.OK

    def _note(self, chapter: int) -> None:
        """Remember where a reader is."""
        if self.stage.reader is not None:
            with suppress(OSError):
                (self.cluster.folder / PLACE).write_text(json.dumps({"chapter": chapter}) + "\n")

    def _prepare(self, begin: int) -> None:
        """Write what the chapters before `begin` would have."""
        if begin:
            client = self.stage.client(self.where[0])
            for key, value in {**MEMBERS, CART: b'["milk"]'}.items():
                store.put(client, key, store.get(client, key).context, value)
                self.values[key] = value

    def end(self) -> None:
        """Everything is as before, and nothing was lost."""
        stage = self.stage
        stage.scene("all is well")
        stage.dyn("cluster status --wait healthy --for 20")
        status = self.status(self.where[0])
        stage.check(status["health"] == "healthy", "the cluster is healthy", status["reasons"])
        if stage.reader is None:  # a reader may have some of their own
            stage.check(status["siblings"] == 0, "no key has siblings", status["siblings"])
        lost = []
        for turn, (key, value) in enumerate(self.values.items()):
            live = self.read(self.where[turn % len(self.where)], key).live
            if [version.value for version in live] != [value]:
                lost.append(key.decode())
        stage.check(not lost, f"all {len(self.values)} keys have the value that was acknowledged last", lost)
        stage.read(
            "That was dyn: no leader, writes that are always taken, conflicts that are kept and shown instead of "
            "decided by a clock, and repairs that need nobody. From here: dyn help, dyn explain TERM, \\help for the "
            "verbs that break things, and dyn bench --fault 'kill n2 @3s; heal @7s' to see it under load."
        )

    # Means -----------------------------------------------------------------------------------------------

    def port(self, turn: int) -> str:
        """A node, as short as it can be typed."""
        return f":{self.cluster.nodes[turn % len(self.cluster)].place.port}"

    def status(self, address: str) -> dict[str, Any]:
        """DYN.STATUS, as one node tells it."""
        return store.document(self.stage.client(address), "STATUS")

    def read(self, address: str, key: bytes) -> store.Reading:
        """What one node answers, with its clocks."""
        return store.get(self.stage.client(address), key, clocks=True)

    def _clean(self) -> None:
        """Delete what an earlier tour left, so that this one begins like the first."""
        client = self.stage.client(self.where[0])
        for key in (CART, BASKET, *MEMBERS, *ORDERS):
            reading = store.get(client, key)
            if reading.live:
                store.delete(client, key, reading.context)

    def everywhere(self, key: bytes, values: list[bytes]) -> None:
        """Check that every running node answers with these values."""
        running = [node for node in self.cluster if not node.ended]
        wrong = {}
        for node in running:
            found = sorted(v.value or b"" for v in self.read(node.place.address, key).live)
            if found != sorted(values):
                wrong[node.name] = found
        what = "the same value" if len(values) == 1 else "both values" if len(values) == 2 else f"{len(values)} values"
        self.stage.check(not wrong, f"all {len(running)} nodes answer {key.decode()} with {what}", wrong)

    def owners(self) -> list[Node]:
        """The owners of the cart, the primary first."""
        ring = store.document(self.stage.client(self.where[0]), "RING")
        return [self.cluster.find(name) for name in placement(CART, ring)["owners"]]

    def keys_of(self, node: Node, address: str) -> int:
        """How many keys a node holds, as the one at an address says."""
        keys: int = next(n["keys"] for n in self.status(address)["nodes"] if n["name"] == node.name)
        return keys

    def await_state(self, address: str, node: Node, state: str) -> None:
        """Wait until a node says of another that it is up, or down."""
        deadline = time.monotonic() + AGREE_S
        found = None
        while time.monotonic() < deadline:
            with suppress(CliError):
                found = next(n["state"] for n in self.status(address)["nodes"] if n["name"] == node.name)
                if found == state:
                    return
            time.sleep(POLL_S)
        raise CheckFailed(f"expected: {node.name} is called {state} within {AGREE_S:g} s; found: {found}")
