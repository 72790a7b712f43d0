"""Scenes of the tour: the network is cut in two while both halves write, and becomes whole again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from dynamo_cli import store
from dynamo_cli.commands.ring import placement
from dynamo_cli.demo import cuts
from dynamo_cli.demo.seen import Node
from dynamo_cli.demo.stage import CheckFailed
from dynamo_cli.exit_status import ExitStatus

if TYPE_CHECKING:
    from dynamo_cli.demo.tour import Tour

BASKET = b"basket:7"
ORDERS = [b"order:%d" % number for number in range(30)]
"""Keys written on either side of the cut, so that hints for all who are away are seen."""
DOUBTFUL = [b"ledger:%d" % number for number in range(64)]
"""Of these one has its owners where the tour needs them."""
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
        stage.read(
            "Sockets do not close in such a cut: it is silence that tells, and it takes the nodes a few seconds to "
            "trust it. Then owners that cannot be reached are stood in for by the next nodes on the ring (a sloppy "
            "quorum): W=2 is W=2 of whoever is there. A stand-in keeps the row apart, with a hint of whose it is."
        )
        stage.dyn(f"put {key} '[\"tea\"]'")
        ada = stage.shell("ada", self.left[0].place.address)
        bob = stage.shell("bob", self.right[-1].place.address)
        try:
            for shell in (ada, bob):
                shell.type(f"get {key}")
            stage.act(f"dyn fault cut {left} {right}")
            self.tour.undo.callback(cuts.heal, self.tour.cluster)
            cuts.cut(self.tour.cluster, self.left, self.right)
            cut_at = time.monotonic()
            self._await_views()
            stage.say(f"After {time.monotonic() - cut_at:.1f} s every node calls the other half down:")
            stage.dyn("cluster views")
            stage.read("Each row is a node that speaks, each column one that it speaks of. Now both write the basket:")
            ada.type(f'put {key} \'["tea","jam"]\'')
            bob.type(f'put {key} \'["tea","milk"]\'')
        finally:
            ada.close()
            bob.close()
        self._write_orders()
        stage.dyn("cluster hints")
        held = self._hints()
        stage.check(held, f"{held} rows wait on stand-ins, each with a hint that names its owner")

    def strict(self) -> None:
        """Who wants the owners themselves, and no stand-ins, is refused where they are not."""
        stage, key = self.stage, self._doubtful()
        owners = placement(key, store.document(stage.client(self.tour.where[0]), "RING"))["owners"]
        far = [name for name in owners if name in {node.name for node in self.right}]
        stage.scene(
            "what STRICT refuses",
            f"{key.decode()} has the owners {', '.join(owners)}, and {' and '.join(far)} are beyond the cut. A strict "
            "write wants W=2 of these themselves: better no answer than one that the other half does not know of.",
        )
        stage.read(
            "It is a choice for each request, not for the store. With --strict and R+W>N a read sees the last write "
            "that was acknowledged, wherever the cut is; the price is that one side is refused until it has healed. "
            "Nothing is left behind by the refusal: exit code 6 says that nothing was stored anywhere."
        )
        here, there = self.left[0].place.port, self.right[-1].place.port
        stage.dyn(f"-n :{here} put {key.decode()} 100 --strict", ExitStatus.UNAVAILABLE)
        stage.dyn(f"-n :{there} put {key.decode()} 200 --strict")
        self.tour.values[key] = b"200"
        live = self.tour.read(self.right[-1].place.address, key).live
        stage.check([v.value for v in live] == [b"200"], "the side with a quorum of owners has taken its write", live)

    def _doubtful(self) -> bytes:
        """A key whose owners are a quorum on the right side of the cut, and none on the left."""
        ring = store.document(self.stage.client(self.tour.where[0]), "RING")
        right = {node.name for node in self.right}
        for key in DOUBTFUL:
            there = sum(name in right for name in placement(key, ring)["owners"])
            if there >= ring["w"] and len(placement(key, ring)["owners"]) - there < ring["w"]:
                return key
        raise CheckFailed(f"expected: one of {len(DOUBTFUL)} keys has a quorum of its owners in {sorted(right)}")

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
        stage.read(
            "A hint is handed over as soon as its owner is heard again; what no hint knows of, the comparison of trees "
            "that goes on in the background finds. Each node calls the others up by itself."
        )
        before = self._hints()
        stage.act("dyn fault heal")
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

    def _hints_of(self, node: Node) -> int:
        document: dict[str, Any] = store.document(self.stage.client(node.place.address), "HINTS")
        return sum(hint["keys"] for hint in document["held"] if hint["by"] == node.name)
