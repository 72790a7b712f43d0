"""Two scenes of the tour: the network is cut in two while both halves write, and becomes whole again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from dynamo_cli import store
from dynamo_cli.demo import cuts
from dynamo_cli.demo.processes import DemoNode
from dynamo_cli.demo.stage import CheckFailed

if TYPE_CHECKING:
    from dynamo_cli.demo.tour import Tour

BASKET = b"basket:7"
ORDERS = [b"order:%d" % number for number in range(30)]
"""Keys written on either side of the cut, so that hints for all who are away are seen."""
FIRST_HINT_S = 2.0
"""How soon after the network is whole the first row must be where it belongs."""
HINTS_S = 20.0
NODES_MIN = 4
"""With fewer, one half is a single node, and W=2 cannot be had there."""
POLL_S = 0.02


class Partition:
    """The cut, from its beginning to its end."""

    def __init__(self, tour: Tour) -> None:
        self.tour = tour
        self.stage = tour.stage
        nodes = tour.cluster.nodes
        self.left, self.right = nodes[:2], nodes[2:]

    @property
    def possible(self) -> bool:
        """Whether both halves can take writes."""
        return len(self.tour.cluster) >= NODES_MIN

    # The cut ---------------------------------------------------------------------------------------------

    def cut(self) -> None:
        """Both halves go on, and neither knows what the other is told."""
        stage, key = self.stage, BASKET.decode()
        left, right = (",".join(node.name for node in half) for half in (self.left, self.right))
        stage.scene(
            "the network is cut in two",
            f"No message passes between {left} and {right} any more; nobody is told. Ada is on one side and Bob on the "
            "other. Both have read the same basket, and both go on writing.",
        )
        stage.dyn(f"put {key} '[\"tea\"]'")
        ada = stage.shell("ada", self.left[0].place.address)
        bob = stage.shell("bob", self.right[-1].place.address)
        try:
            for shell in (ada, bob):
                shell.type(f"get {key}")
            stage.show(f"$ dyn fault cut {left} {right}\n")
            cuts.cut(self.tour.cluster, self.left, self.right)
            cut_at = time.monotonic()
            self._await_views()
            stage.say(f"After {time.monotonic() - cut_at:.1f} s every node calls the other half down:")
            stage.dyn("cluster views")
            ada.type(f'put {key} \'["tea","jam"]\'')
            bob.type(f'put {key} \'["tea","milk"]\'')
        finally:
            ada.close()
            bob.close()
        self._write_orders()
        stage.dyn("cluster hints")
        held = self._hints()
        stage.check(held, f"{held} rows wait on stand-ins, each with a hint that names its owner")

    def _await_views(self) -> None:
        """Wait until every node has noticed that it has lost the other half."""
        for here, there in ((self.left, self.right), (self.right, self.left)):
            for witness in here:
                for node in there:
                    self.tour.await_state(witness.place.address, node, "down")

    def _write_orders(self) -> None:
        """Some more writes on either side: none may be refused."""
        for number, key in enumerate(ORDERS):
            half = self.left if number % 2 else self.right
            address = half[number // 2 % len(half)].place.address
            value = b"by %s" % half[0].name.encode()
            store.put(self.stage.client(address), key, b"", value)
            self.tour.values[key] = value
        taken = all(key in self.tour.values for key in ORDERS)
        self.stage.check(taken, f"{len(ORDERS)} more writes, half of them on each side: none was refused")

    # The end of it ---------------------------------------------------------------------------------------

    def heal(self) -> None:
        """What each half missed is handed over; what both wrote is a conflict, found and shown."""
        stage, key = self.stage, BASKET.decode()
        stage.scene(
            "the network is whole again",
            "Stand-ins hand over what they kept. Where both halves wrote the same key neither value is thrown away.",
        )
        before = self._hints()
        stage.show("$ dyn fault heal\n")
        cuts.heal(self.tour.cluster)
        first_s, all_s = self._await_delivery(before)
        in_time = first_s < FIRST_HINT_S
        stage.check(in_time, f"the first row was handed over after {first_s:.2f} s, all {before} after {all_s:.1f} s")
        for node in self.tour.cluster:
            self.tour.await_state(self.tour.where[0], node, "up")
        stage.dyn(f"get {key}")
        self.tour.everywhere(BASKET, [b'["tea","jam"]', b'["tea","milk"]'])
        stage.dyn(f"merge {key} --union")
        live = self.tour.read(self.tour.where[0], BASKET).live
        self.tour.values[BASKET] = live[0].value or b""
        self.tour.everywhere(BASKET, [self.tour.values[BASKET]])
        stage.check(self._hints() == 0, "no hint is left")

    def _await_delivery(self, before: int) -> tuple[float, float]:
        """Seconds until the first hint was delivered, and until all were."""
        began = time.monotonic()
        first_s = None
        while time.monotonic() - began < HINTS_S:
            held = self._hints()
            if held < before and first_s is None:
                first_s = time.monotonic() - began
            if not held and first_s is not None:
                return first_s, time.monotonic() - began
            time.sleep(POLL_S)
        raise CheckFailed(f"expected: all hints are delivered within {HINTS_S:g} s; found: {self._hints()} left")

    def _hints(self) -> int:
        """Rows that wait, as every node itself says: during a cut no single one can tell of all."""
        return sum(self._hints_of(node) for node in self.tour.cluster)

    def _hints_of(self, node: DemoNode) -> int:
        document: dict[str, Any] = store.document(self.stage.client(node.place.address), "HINTS")
        return sum(hint["keys"] for hint in document["held"] if hint["by"] == node.name)
