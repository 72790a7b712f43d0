"""What a node reads of its own store: answered after a moment, from what is durable then.

A disk that failed is believed nothing: each row is unreadable, there is nothing to scan, and no tree is ready.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.core.ids import NodeId
from node.engine.events import Digested, Loaded, OwedHere, ScannedHere, TombstonesHere
from node.engine.outbox import Outbox
from node.storage.port import Unreadable

if TYPE_CHECKING:
    from node.sim.host import Host


class Reads:
    """The reads of one machine. Those of a process that is gone by then are void."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def ask(self, out: Outbox) -> None:
        """Have everything read that is wanted."""
        life, after_a_moment = self._host.life, self._host.world.agenda.after
        for ticket, key in out.loads:
            after_a_moment(self._moment_s(), self._load, life, ticket, key)
        for ticket, partition, partitions, after, limit in out.scans:
            after_a_moment(self._moment_s(), self._scan, life, ticket, partition, partitions, after, limit)
        for ticket, target, after, limit in out.owed:
            after_a_moment(self._moment_s(), self._list_owed, life, ticket, target, after, limit)
        for ticket, after, limit in out.tombstones:
            after_a_moment(self._moment_s(), self._list_tombstones, life, ticket, after, limit)
        for ticket, bits, prefixes, deeper in out.digests:
            after_a_moment(self._moment_s(), self._digest, life, ticket, bits, prefixes, deeper)

    def _moment_s(self) -> float:
        return self._host.rng.uniform(0, self._host.world.options.load_s_max)

    def _load(self, life: int, ticket: int, key: bytes) -> None:
        host = self._host
        if host.life != life:
            return
        row = host.storage.fetch(key)
        if host.broken or isinstance(row, Unreadable):
            host.give(Loaded(ticket, None, False))
        else:
            host.give(Loaded(ticket, row, True))

    def _scan(self, life: int, ticket: int, partition: int, partitions: int, after: bytes, limit: int) -> None:
        host = self._host
        if host.life != life:
            return
        page = host.storage.scan(partition, partitions, after, limit)
        if host.broken:
            host.give(ScannedHere(ticket, (), False, readable=False))
        else:
            host.give(ScannedHere(ticket, page.items, page.after is not None))

    def _list_owed(self, life: int, ticket: int, target: NodeId, after: bytes, limit: int) -> None:
        host = self._host
        if host.life != life:
            return
        page = host.storage.owed(target, after, limit)
        host.give(OwedHere(ticket, (), None) if host.broken else OwedHere(ticket, page.items, page.after))

    def _list_tombstones(self, life: int, ticket: int, after: bytes, limit: int) -> None:
        host = self._host
        if host.life != life:
            return
        page = host.storage.tombstones(after, limit)
        host.give(TombstonesHere(ticket, (), None) if host.broken else TombstonesHere(ticket, page.items, page.after))

    def _digest(self, life: int, ticket: int, bits: int, prefixes: tuple[int, ...], deeper: int) -> None:
        host = self._host
        if host.life != life:
            return
        told = tuple(b"" if host.broken else host.storage.digests(bits, prefix, deeper) for prefix in prefixes)
        host.world.marks.hit("tree not ready", any(not digests for digests in told))
        host.give(Digested(ticket, told))
