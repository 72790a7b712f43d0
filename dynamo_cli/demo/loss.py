"""Scenes of the tour about a node that dies while clients go on, and comes back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from dynamo_cli import store
from dynamo_cli.demo.basics import CART
from dynamo_cli.demo.load import Load, Request
from dynamo_cli.demo.seen import Node
from dynamo_cli.demo.stage import TIMEOUT_S, CheckFailed, Stage

if TYPE_CHECKING:
    from dynamo_cli.demo.tour import Tour

LOAD_REQUESTS = 100
"""Requests before the kill, and at least as many after it."""
LOAD_S = 10.0
"""How long these may take on a busy machine."""
POLL_S = 0.02


class Loss:
    """A node that dies."""

    def __init__(self, tour: Tour) -> None:
        self.tour = tour
        self.stage: Stage = tour.stage
        self.cluster = tour.cluster
        self.where = tour.where
        self.victim: Node | None = None
        self.keys_before = 0

    def death(self) -> None:
        """kill -9 under load."""
        victim = next(node for node in self.tour.owners() if node is not self.cluster.nodes[0])  # n1 takes our commands
        self.stage.scene(
            "a node dies",
            f"{victim.name} is an owner of {CART.decode()}. It gets kill -9 while two clients read and write "
            f"through the others, at R=W=2, each request with a deadline of {TIMEOUT_S * 1000:,.0f} ms.",
        )
        self.stage.read(
            "This is what happens to machines. The clients are programs of this tour, and they do not stop for it: "
            "every request is counted and timed, and each answer must be OK, or the truth. When a node dies with a "
            "write of yours under way, the truth is that nobody can know whether it was stored; the next read tells."
        )
        self.victim = victim
        self.stage.act(f"kill -9 {victim.pid}")
        others = [node.place.address for node in self.cluster if node is not victim]
        loads = [Load(name, others[i:] + others[:i], TIMEOUT_S) for i, name in enumerate(("load:a", "load:b"))]
        for load in loads:
            load.start()
        try:
            self._count(loads, LOAD_REQUESTS)
            self.keys_before = self.tour.keys_of(victim, victim.place.address)
            killed = time.monotonic()
            self.tour.demo.order("kill", victim.name)
            self.tour.undo.callback(self._bring_back)
            self.tour.await_state(others[0], victim, "down")
            noticed_s = time.monotonic() - killed
            self._count(loads, LOAD_REQUESTS + sum(len(load.requests) for load in loads))
        finally:
            requests = [request for load in loads for request in load.stop()]
        self.stage.say(f"After {noticed_s:.2f} s the others call it down:")
        self.stage.dyn("cluster status")
        self._judge(victim, requests, killed, killed + noticed_s)
        for load in loads:
            self.tour.values |= load.written
        self.stage.dyn(f"get {CART.decode()}")
        self.tour.everywhere(CART, [self.tour.values[CART]])

    def _judge(self, victim: Node, requests: list[Request], killed: float, noticed: float) -> None:
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
        self.stage.read(
            "A node keeps what it acknowledged: it was on the disk before the OK. What was written while it was away "
            "stand-ins kept for it, and hand over now. A node that comes back with an empty disk is not believed "
            "until the other owners have rebuilt what its seat had acknowledged."
        )
        self.stage.act(f"dyn demo restart {victim.name}")
        took_s = self.tour.demo.order("restart", victim.name)["took_s"]
        self.stage.close()  # our connections to it died with it
        self.stage.show(f"{victim.ready_line}\n")
        self.stage.check(victim.pid, f"{victim.name} is ready after {took_s:.1f} s, as a new process")
        self.tour.await_state(self.where[0], victim, "up")
        keys = self.tour.keys_of(victim, victim.place.address)
        self.stage.check(
            keys >= self.keys_before, f"it holds the {self.keys_before} keys it had when it was killed", keys
        )
        self.stage.say("What each owner holds of the cart:")
        self.stage.dyn(f"key explain {CART.decode()}")
        story = store.document(self.stage.client(self.where[0]), "EXPLAIN", CART)
        held = next((r["versions"] for r in story["replicas"] if r["node"] == victim.name), None)
        self.stage.check(held, f"{victim.name} has its copy of {CART.decode()}", story["verdict"])
        self.stage.say("And a repair by hand, which compares the owners now instead of when it is their turn:")
        self.stage.dyn(f"key repair {CART.decode()}")
        self.tour.everywhere(CART, [self.tour.values[CART]])

    def _bring_back(self) -> None:
        """Leave no node dead behind a reader who leaves here."""
        assert self.victim is not None
        if self.victim.ended and self.stage.reader is not None:
            self.tour.demo.order("restart", self.victim.name)

    def _count(self, loads: list[Load], enough: int) -> None:
        """Wait until the clients have made so many requests."""
        deadline = time.monotonic() + LOAD_S
        while sum(len(load.requests) for load in loads) < enough and any(load.is_alive() for load in loads):
            if time.monotonic() > deadline:
                raise CheckFailed(f"expected: {enough} requests are answered within {LOAD_S:g} s")
            time.sleep(POLL_S)
