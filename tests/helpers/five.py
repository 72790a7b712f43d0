"""Node n1 of five, and a key it owns: the smallest cluster in which there are stand-ins."""

from __future__ import annotations

from node.storage.port import Advance, Merge, Owe
from node.wire.messages import Replicate, Replicated
from node.wire.requests import Put, Written
from tests.helpers.engine import Engine, node_id

NAMES = ("n1", "n2", "n3", "n4", "n5")


class Five:
    """n1 of five nodes (or more), and a key it owns: `owners` and `stand_ins` by name, n1 first among the owners."""

    def __init__(self, nodes: int = 5) -> None:
        self.engine = engine = Engine(nodes=nodes)
        keys = (b"key%d" % i for i in range(1000))
        self.key = next(k for k in keys if engine.owners(k)[0] == node_id("n1"))
        names = {node_id(name): name for name in (f"n{number + 1}" for number in range(nodes))}
        preference = [names[node] for node in engine.node.cluster.preference_list(self.key)]
        self.owners, self.stand_ins = preference[:3], preference[3:]

    def put(self, *, strict: bool = False) -> int:
        return self.engine.ask(Put(self.key, b"v", cover=True, strict=strict))

    def asked(self, name: str) -> list[Replicate]:
        return [m for m in self.engine.sent(name) if isinstance(m, Replicate)]

    def ack(self, name: str, refused: str = "") -> None:
        self.engine.receive(name, Replicated(self.asked(name)[-1].rid, not refused, None, refused))

    def acks(self, ticket: int) -> list[tuple[str, str | None]]:
        result = self.engine.replies[ticket]
        assert isinstance(result, Written), result
        return [(ack.node, ack.hint_for) for ack in result.acks]

    def owed(self) -> list[tuple[str, ...]]:
        """For whom this node wants to keep hints, write by write."""
        names = {node_id(name): name for name in NAMES}
        writes = [w for _, w in self.engine.out.persists if isinstance(w, Advance | Merge | Owe)]
        return [tuple(names[t] for t in w.owed.targets) for w in writes if w.owed is not None]
