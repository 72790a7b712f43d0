"""DYN.FAULT obeyed: which faults are in force on this node, and how they come into force.

They live in this object alone: whoever restarts the node is rid of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from node.core.ids import NodeId
from node.engine.operation import NO_TICKET
from node.runtime import clock
from node.storage.port import SaveState
from node.wire.faults import CLEAR, LINK_KINDS, SCHEMA, Order, described, spoken, way_to, with_order
from node.wire.replies import ErrorReply, Value

if TYPE_CHECKING:
    import asyncio

    from node.engine.node import Node
    from node.runtime.faulty import FaultyNetwork
    from node.runtime.store import Store
    from node.runtime.transport import PeerTransport

ANSWER_S: Final = 0.02
"""Before a pause begins, its own answer leaves."""

PROBE: Final = "fault"
"""The state that a broken disk is asked to keep, so that the store finds out now. It never does."""

STOPPED: Final = "the store has stopped for ever: DISK ok does not bring it back, a restart of the node does"


class Switches:
    """The faults of one node, and the parts that they break."""

    def __init__(
        self,
        node: Node,
        transport: PeerTransport,
        network: FaultyNetwork,
        store: Store,
        loop: asyncio.AbstractEventLoop,
        on_fact: Callable[[str, dict[str, object]], None],
    ) -> None:
        self.skew_s = 0.0
        self._node = node
        self._transport = transport
        self._network = network
        self._store = store
        assert store.switch is not None, "a store that was opened without a switch"
        self._disk = store.switch
        self._loop = loop
        self._on_fact = on_fact
        self._links: tuple[Order, ...] = ()
        self._pause = Order("PAUSE")
        self._pauses = 0

    def obey(self, order: Order) -> Value:
        """Do as ordered; the document of what is in force then, or why not."""
        if order.kind in LINK_KINDS:
            wrong = self._wrong_names(order)
            if wrong:
                return ErrorReply("ERR", wrong)
            self._set_links(with_order(self._links, order))
        elif order.kind == "HEAL":
            self._set_links(())
        elif order.kind == "PAUSE":
            self._pause, self._pauses = order, self._pauses + 1
            self._loop.call_later(ANSWER_S, self._sleep, order.amount / 1000)
        elif order.kind == "SKEW":
            self.skew_s = order.amount
            self._node.shared.wall_offset_s = clock.wall_offset_s() + order.amount
        elif order.kind == "DISK":
            self._set_disk(order.state)
        if order.kind != "LIST":
            self._on_fact("fault", {"order": spoken(order)})
        return msgspec.json.encode(self.document())

    def document(self) -> dict[str, object]:
        """What is in force."""
        faults = [*self._links]
        if self._pauses:
            faults.append(self._pause)
        if self.skew_s:
            faults.append(Order("SKEW", amount=self.skew_s))
        if self._disk.state != "ok":
            faults.append(Order("DISK", state=self._disk.state))
        note = STOPPED if self._disk.state == "error" else None
        return {
            "schema": SCHEMA, "node": self._node.config.name, "faults": [described(fault) for fault in faults],
            "note": note,
        }  # fmt: skip

    # Links -----------------------------------------------------------------------------------------------

    def _wrong_names(self, order: Order) -> str:
        """Why an order about two nodes is not for us, "" if it is."""
        me = self._node.config.name
        names = sorted(self._members())
        unknown = [name for name in (order.a, order.b) if name not in names]
        if unknown:
            return f"no node {unknown[0][:64]!a} in the ring: there are {', '.join(names)}"
        if me not in (order.a, order.b):
            return f"this is {me}, which only breaks links of its own: tell {order.a} and {order.b}, as dyn fault does"
        return ""

    def _members(self) -> Mapping[str, NodeId]:
        cluster = self._node.cluster
        return {member.name: member.id for member in cluster.members.values()}

    def _set_links(self, links: tuple[Order, ...]) -> None:
        me = self._node.config.name
        self._links = links
        ways = {node: way_to(links, me, name) for name, node in self._members().items()}
        self._network.change({node: way for node, way in ways.items() if way != CLEAR})
        self._transport.retry_now()

    # The rest --------------------------------------------------------------------------------------------

    def _sleep(self, seconds: float) -> None:
        """Neither read nor answer: what is asked meanwhile waits in the sockets, and timers are late."""
        time.sleep(seconds)
        self._pauses -= 1

    def _set_disk(self, state: str) -> None:
        if self._disk.state == "error":
            return  # a store that has stopped does not go on
        self._disk.state = state
        if state == "error":
            self._store.submit([(NO_TICKET, SaveState(PROBE, b""))])
