"""Nodes that begin without a seat: what they do, event by event, with nothing around them."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from node.engine.config import NodeConfig
from node.engine.events import PeerUp, Persisted, Reached, Received
from node.engine.kept import STATE_REBUILDING, TOOK_SEAT, forgetful
from node.engine.node import Node
from node.engine.outbox import Outbox
from node.engine.seats import DECISION_TICKET
from node.storage.port import Identity, Saved, SaveState
from node.wire.messages import Join, Message
from tests.helpers.engine import member, node_id


class Newcomer:
    """A node that starts with nothing, or with the `state` of a store."""

    def __init__(
        self,
        name: str = "n1",
        *,
        join: tuple[str, ...] = (),
        discover: bool = False,
        rebuilding: bool = False,
        state: Mapping[str, bytes] | None = None,
        holds: bool = False,
        partitions: int | None = None,
    ) -> None:
        self.holds = holds
        config = NodeConfig(node_id(name), name, "dyn", join=join, discover=discover, partitions=partitions)
        state = {**(state or {}), **({STATE_REBUILDING: TOOK_SEAT.encode()} if rebuilding else {})}
        identity = Identity(f"store-{name}", node_id(name), (int(name[1:]),), 1, "", 0)
        self.node = Node(config, identity, state, rng=Random(1), entropy=Random(2).randbytes, wall_offset_s=0.0)
        self.now = 10.0
        self.out = Outbox()
        self.node.start(self.now, self.out)
        self._let_found()

    def _let_found(self) -> None:
        """What it founds is durable at once, unless a test `holds` it."""
        waits = any(ticket == DECISION_TICKET for ticket, _ in self.out.persists)
        if waits and not self.holds and not self.node.view().seated:
            self.out.persists = [each for each in self.out.persists if each[0] != DECISION_TICKET]
            self.node.step(Persisted([(DECISION_TICKET, Saved())]), self.now, self.out)

    def step(self, event: object) -> None:
        """Let something happen; only its effects remain in `out`."""
        self.out = Outbox()
        self.node.step(event, self.now, self.out)  # type: ignore[arg-type]  # tests pass events

    def receive(self, name: str, message: Message) -> None:
        """A peer says something."""
        self.step(Received(node_id(name), message))

    def link(self, name: str, cluster_id: str = "") -> None:
        """A link to `name` opens."""
        self.step(PeerUp(node_id(name), name, cluster_id, f"127.0.0.1:{7800 + int(name[1:])}"))

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds
        self.step(Reached())
        self._let_found()

    def decided(self) -> SaveState:
        """The decision that waits for the disk."""
        ((_, write),) = [entry for entry in self.out.persists if entry[0] == DECISION_TICKET]
        assert isinstance(write, SaveState)
        return write

    def stored(self) -> None:
        """The decision is durable."""
        self.step(Persisted([(DECISION_TICKET, Saved())]))

    def sent(self, name: str) -> list[Message]:
        """What was said to a peer by the last event."""
        return self.out.sends.get(node_id(name), [])

    def put_back(self, *, join: tuple[str, ...] = ()) -> Newcomer:
        """The same node, started again from a copy of its store as it is now."""
        out = Outbox()
        self.node.cluster.save_ring(self.node.cluster.state, out)
        self.node.cluster.save_members(out)
        kept = [write for _, write in out.persists] + list(forgetful("put back from a copy"))
        state = {write.name: write.data for write in kept if isinstance(write, SaveState)}
        return Newcomer(self.node.config.name, join=join, state=state)

    def joined_by(self, *names: str) -> None:
        """These join, one after the other."""
        for name in names:
            self.link(name)
            self.receive(name, Join(member(name)))
            self.stored()


def seated_member() -> Newcomer:
    """n2, a member of n1's cluster of three, unsealed."""
    founder = Newcomer("n1")
    founder.joined_by("n2", "n3")
    newcomer = Newcomer("n2", join=("127.0.0.1:7801",))
    newcomer.link("n1", founder.node.cluster.cluster_id)
    newcomer.receive("n1", founder.node.seats.gossip(node_id("n2"), ring=True, reply=False))
    assert newcomer.node.view().seated
    return newcomer
