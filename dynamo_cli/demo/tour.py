"""The tour: what dyn does, scene by scene, on a real cluster. Each scene shows commands, runs them, and checks itself.

Nothing in it is made up: every figure comes from a node. A check that fails ends the tour with what was expected.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from dynamo_cli import store
from dynamo_cli.commands.ring import placement
from dynamo_cli.demo.load import Load, Request
from dynamo_cli.demo.partition import BASKET, ORDERS, Partition
from dynamo_cli.demo.processes import CLUSTER, DemoCluster, DemoNode, NodeFailed
from dynamo_cli.demo.stage import TIMEOUT_S, CheckFailed, Stage
from dynamo_cli.environment import Environment
from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus

CART = b"cart:42"
MEMBERS = {b"user:ada": b"Ada Lovelace", b"user:bob": b"Bob Kahn", b"user:cyd": b"Cyd Charisse"}
NODES_MIN = 3
"""With one of three dead, R=W=2 can still be had."""
LOAD_REQUESTS = 100
"""Requests before the kill, and at least as many after it."""
LOAD_S = 10.0
"""How long these may take on a busy machine."""
POLL_S = 0.02
AGREE_S = 10.0


def check_enough(count: int) -> None:
    """Raise a usage error if there are too few nodes for the tour."""
    if count < NODES_MIN:
        raise usage(f"the tour needs {NODES_MIN} nodes, not {count}", "Leave --nodes away, or use a terminal")


class Tour:
    """One performance on one cluster, whose nodes all run."""

    def __init__(self, cluster: DemoCluster, outer: Environment) -> None:
        self.cluster = cluster
        self.stage = Stage(
            outer, {"DYN_NODES": cluster.addresses[0], "DYN_WRITER": "you", "DYN_TIMEOUT": f"{TIMEOUT_S:g}"}
        )
        self.where = [node.place.address for node in cluster]
        self.values: dict[bytes, bytes] = {}
        self.victim: DemoNode | None = None
        self.keys_before = 0

    def run(self) -> ExitStatus:
        """Play all scenes; exit status 0 when every check holds."""
        began = time.monotonic()
        stage = self.stage
        partition = Partition(self)
        parted = (partition.cut, partition.heal) if partition.possible else ()
        scenes = (
            self.one_cluster, self.ring, self.writes, self.conflict, self.siblings, self.merge, *parted, self.death,
            self.return_, self.end,
        )  # fmt: skip
        try:
            check_enough(len(self.cluster))
            self._clean()
            for scene in scenes:
                if stage.scenes and not stage.goes_on():
                    return ExitStatus.OK
                scene()
        except (CheckFailed, CliError) as error:
            lines = error.lines if isinstance(error, NodeFailed) else []
            why = error.line() if isinstance(error, CliError) else str(error)
            stage.env.write("".join(f"{line}\n" for line in lines))
            stage.env.write(f"FAIL  {why}\n\ntour: failed in scene {stage.scenes}, check {stage.checks}\n")
            return ExitStatus.FAILURE
        finally:
            stage.close()
        took_s = time.monotonic() - began
        stage.env.write(f"\ntour: {stage.scenes} scenes, {stage.checks} checks, all ok in {took_s:.1f} s\n")
        return ExitStatus.OK

    # Scenes ----------------------------------------------------------------------------------------------

    def one_cluster(self) -> None:
        """Status, before the first write."""
        count = len(self.cluster)
        self.stage.scene(
            f"{count} nodes, one cluster",
            f"n1 founded the cluster {CLUSTER!r}; the others joined it. There is no leader: any node "
            "takes any request. Each of these is a process of its own, with its own disk.",
        )
        self.stage.dyn("cluster status")
        status = self._status(self.where[0])
        names = sorted(node["name"] for node in status["nodes"] if node["state"] == "up")
        self.stage.check(names == sorted(n.name for n in self.cluster), f"all {count} nodes are members and up", names)
        self.stage.check(status["health"] == "healthy", "the cluster is healthy", status["health"])
        self.stage.check(status["views_agree"], "all nodes agree on members and epoch")

    def ring(self) -> None:
        """The ring, and where one key lives on it."""
        self.stage.scene(
            "the ring",
            "The hash of a key is its place on a ring of equal partitions. A letter is the primary "
            "owner of one partition; walking on, the next different nodes keep its other replicas.",
        )
        self.stage.dyn("ring show")
        self.stage.dyn(f"ring owner {CART.decode()} user:ada")
        rings = [store.document(self.stage.client(address), "RING") for address in self.where]
        one = rings[0]
        n = one["n"]
        same = all(ring["epoch"] == one["epoch"] and ring["preference"] == one["preference"] for ring in rings)
        self.stage.check(same, f"all nodes know the same ring, epoch {one['epoch']}")
        owners = [names[:n] for names in one["preference"]]
        self.stage.check(all(len(set(o)) == n for o in owners), f"each partition has {n} owners on {n} different nodes")
        counts = [one["owners"].count(node.name) for node in self.cluster]
        fair = max(counts) - min(counts) <= 1
        self.stage.check(fair, f"each node is primary of {min(counts)} or {max(counts)} partitions", counts)

    def writes(self) -> None:
        """Writes through some nodes, reads through others."""
        self.stage.scene(
            "any node takes any request",
            "Each write goes to another node, and is read back through the next one. OK means: W=2 "
            "nodes have committed it with fsync.",
        )
        for turn, (key, value) in enumerate(MEMBERS.items()):
            there, here = self._port(2 * turn), self._port(2 * turn + 1)
            self.stage.dyn(f"-n {there} put {key.decode()} '{value.decode()}'")
            self.values[key] = value
            self.stage.dyn(f"-n {here} get {key.decode()}")
        for key, value in self.values.items():
            self.everywhere(key, [value])
        self.stage.dyn("keys user:")
        listed = [key for page in store.keys(self.stage.client(self.where[-1]), b"user:") for key in page]
        self.stage.check(sorted(listed) == sorted(MEMBERS), "the list of keys names each key once", listed)

    def conflict(self) -> None:
        """Two writers who read the same, and write through two nodes."""
        ours, theirs = self._owners()[:2]
        self.stage.scene(
            "two writers who do not see each other",
            f"Ada's shell is on {ours.name}, Bob's on {theirs.name}. Both read the same cart; then both write. Each "
            "write carries the context of what its writer had read: it replaces that, and nothing else.",
        )
        self.stage.dyn(f"put {CART.decode()} '[\"milk\"]'")
        ada, bob = self.stage.shell("ada", ours.place.address), self.stage.shell("bob", theirs.place.address)
        try:
            for shell in (ada, bob):
                shell.type(f"get {CART.decode()}")
            ada.type(f'put {CART.decode()} \'["milk","eggs"]\'')
            bob.type(f'put {CART.decode()} \'["milk","beer"]\'')
        finally:
            ada.close()
            bob.close()
        self.stage.say("No lock, no refusal, and no clock decides who is right: both writes were taken.")
        self.everywhere(CART, [b'["milk","beer"]', b'["milk","eggs"]'])

    def siblings(self) -> None:
        """Both values, and the clocks that prove that neither saw the other."""
        cart = CART.decode()
        self.stage.scene(
            "siblings, and the clocks that prove them",
            "Each write is an event at the node that took it: n1:2 is the second one at n1. A clock says which events "
            "a version has seen; where neither has seen the other's, nobody can say that one replaces the other.",
        )
        self.stage.dyn(f"get {cart}")
        found = self.read(self.where[0], CART)
        self.stage.check(len(found.live) == 2, "there are 2 siblings", len(found.live))
        a, b = found.live
        self.stage.check(not (_saw(a, b) or _saw(b, a)), f"neither has seen the other's event, {a.dot} and {b.dot}")
        writers = sorted(version.writer or "" for version in found.live)
        self.stage.check(writers == ["ada", "bob"], "they name their writers, ada and bob", writers)
        self.stage.say("A program that wants one value is told, and never handed an arbitrary one:")
        self.stage.dyn(f"get {cart} --one", ExitStatus.CONFLICT)
        refusal = ""
        try:
            self.stage.ask(self.where[2], "GET", CART)
        except CliError as error:
            refusal = error.code
        self.stage.check(refusal == "SIBLINGS", "a Redis client's GET is answered -SIBLINGS", refusal or "a value")

    def merge(self) -> None:
        """One write over both."""
        cart = CART.decode()
        self.stage.scene("the merge", "One more write, with a context that covers both siblings, replaces both.")
        before = [version.clock or {} for version in self.read(self.where[0], CART).live]
        self.stage.dyn(f"merge {cart} --union")
        self.stage.dyn(f"-n {self._port(4)} get {cart}")
        self.values[CART] = b'["milk","eggs","beer"]'
        after = self.read(self.where[0], CART)
        if after.live and after.live[0].value != self.values[CART]:
            self.values[CART] = b'["milk","beer","eggs"]'  # which sibling is A, and so comes first, is theirs to say
        self.everywhere(CART, [self.values[CART]])
        covers = all(_contains(after.live[0].clock or {}, clock) for clock in before)
        self.stage.check(covers, "its clock contains the clocks of both siblings")

    def death(self) -> None:
        """kill -9 under load."""
        victim = next(node for node in self._owners() if node is not self.cluster.nodes[0])  # n1 takes our commands
        self.stage.scene(
            "a node dies",
            f"{victim.name} is an owner of {CART.decode()}. It gets kill -9 while two clients read and write "
            f"through the others, at R=W=2, each request with a deadline of {TIMEOUT_S * 1000:,.0f} ms.",
        )
        self.victim = victim
        others = [node.place.address for node in self.cluster if node is not victim]
        loads = [Load(name, others[i:] + others[:i], TIMEOUT_S) for i, name in enumerate(("load:a", "load:b"))]
        for load in loads:
            load.start()
        try:
            self._count(loads, LOAD_REQUESTS)
            self.keys_before = self._keys_of(victim, victim.place.address)
            self.stage.show(f"$ kill -9 {victim.pid}\n")
            killed = time.monotonic()
            victim.kill()
            self.await_state(others[0], victim, "down")
            noticed_s = time.monotonic() - killed
            self._count(loads, LOAD_REQUESTS + sum(len(load.requests) for load in loads))
        finally:
            requests = [request for load in loads for request in load.stop()]
        self.stage.say(f"After {noticed_s:.2f} s the others call it down:")
        self.stage.dyn("cluster status")
        self._judge(victim, requests, killed, killed + noticed_s)
        for load in loads:
            self.values |= load.written
        self.stage.dyn(f"get {CART.decode()}")
        self.everywhere(CART, [self.values[CART]])

    def _judge(self, victim: DemoNode, requests: list[Request], killed: float, noticed: float) -> None:
        """Check the answers: OK, or the truth about a write that was under way through the node that died."""
        after = [request for request in requests if request.ended > killed]
        unclear = [request for request in after if request.code == "UNKNOWN" and request.begun < noticed]
        wrong = [request for request in requests if request.code != "OK" and request not in unclear]
        self.stage.check(
            not wrong,
            f"all {len(requests)} requests were answered, {len(after)} of them after the kill",
            f"{len(wrong)} failed, such as {wrong[:1]}",
        )
        if unclear:
            self.stage.note(
                f'{len(unclear)} of them with "outcome unknown": under way through {victim.name} as it died, which is '
                "the truth, and what a client has to know"
            )
        slowest_ms = max(request.ended - request.begun for request in after) * 1000
        in_time = slowest_ms < TIMEOUT_S * 1000
        self.stage.check(in_time, f"the slowest took {slowest_ms:.0f} ms, within its deadline")

    def return_(self) -> None:
        """The same command again."""
        victim = self.victim
        assert victim is not None
        self.stage.scene(
            "it comes back",
            f"{victim.name} is started again with the same command, on the data directory that it left.",
        )
        took_s = self.cluster.restart(victim)
        self.stage.close()  # our connections to it died with it
        self.stage.show(f"{victim.ready_line}\n")
        self.stage.check(victim.pid, f"{victim.name} is ready after {took_s:.1f} s, as a new process")
        self.await_state(self.where[0], victim, "up")
        keys = self._keys_of(victim, victim.place.address)
        self.stage.check(
            keys >= self.keys_before, f"it holds the {self.keys_before} keys it had when it was killed", keys
        )
        self.stage.say("What each owner holds of the cart:")
        self.stage.dyn(f"key explain {CART.decode()}")
        story = store.document(self.stage.client(self.where[0]), "EXPLAIN", CART)
        held = next((r["versions"] for r in story["replicas"] if r["node"] == victim.name), None)
        self.stage.check(held, f"{victim.name} has its copy of {CART.decode()}", story["verdict"])
        self.everywhere(CART, [self.values[CART]])

    def end(self) -> None:
        """Everything is as before, and nothing was lost."""
        self.stage.scene("all is well")
        self.stage.dyn("cluster status --wait healthy --for 20")
        status = self._status(self.where[0])
        self.stage.check(status["health"] == "healthy", "the cluster is healthy", status["reasons"])
        self.stage.check(status["siblings"] == 0, "no key has siblings", status["siblings"])
        lost = []
        for turn, (key, value) in enumerate(self.values.items()):
            live = self.read(self.where[turn % len(self.where)], key).live
            if [version.value for version in live] != [value]:
                lost.append(key.decode())
        self.stage.check(not lost, f"all {len(self.values)} keys have the value that was acknowledged last", lost)

    # Means -----------------------------------------------------------------------------------------------

    def _port(self, turn: int) -> str:
        """A node, as short as it can be typed."""
        return f":{self.cluster.nodes[turn % len(self.cluster)].place.port}"

    def _status(self, address: str) -> dict[str, Any]:
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

    def _owners(self) -> list[DemoNode]:
        """The owners of the cart, the primary first."""
        ring = store.document(self.stage.client(self.where[0]), "RING")
        return [self.cluster.find(name) for name in placement(CART, ring)["owners"]]

    def _keys_of(self, node: DemoNode, address: str) -> int:
        keys: int = next(n["keys"] for n in self._status(address)["nodes"] if n["name"] == node.name)
        return keys

    def await_state(self, address: str, node: DemoNode, state: str) -> None:
        """Wait until a node says of another that it is up, or down."""
        deadline = time.monotonic() + AGREE_S
        found = None
        while time.monotonic() < deadline:
            with suppress(CliError):
                found = next(n["state"] for n in self._status(address)["nodes"] if n["name"] == node.name)
                if found == state:
                    return
            time.sleep(POLL_S)
        raise CheckFailed(f"expected: {node.name} is called {state} within {AGREE_S:g} s; found: {found}")

    def _count(self, loads: list[Load], enough: int) -> None:
        """Wait until the clients have made so many requests."""
        deadline = time.monotonic() + LOAD_S
        while sum(len(load.requests) for load in loads) < enough and any(load.is_alive() for load in loads):
            if time.monotonic() > deadline:
                raise CheckFailed(f"expected: {enough} requests are answered within {LOAD_S:g} s")
            time.sleep(POLL_S)


def _contains(one: dict[str, int], other: dict[str, int]) -> bool:
    """Whether a clock has seen everything that another has."""
    return all(one.get(node, 0) >= n for node, n in other.items())


def _saw(version: store.Version, other: store.Version) -> bool:
    """Whether the writer of a version had seen another's event."""
    node, _, n = str(other.dot).rpartition(":")
    return (version.past or {}).get(node, 0) >= int(n)
