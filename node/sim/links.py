"""Links between hosts, as TCP would have them: two ends that may disagree about whether the link is open.

    kill       the peer's end closes at once (reset), unless a cut keeps the news away
    power cut  nothing is said: the peer's end stays open until it times out, or until something sent over it
               reaches a machine that is back and knows no such link
    cut        nothing is said; both ends may time out
    restart    dials again; the peer may still think the old link open, and then gets the new one in its place

A message belongs to the link it was sent over: it is never delivered to a later life of the receiver.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from node.engine.events import PeerDown, PeerUp, Stranger
from node.sim.network import Link

if TYPE_CHECKING:
    from node.sim.host import Host
    from node.sim.world import World

RETRY_S = 0.3
"""A dial that failed is repeated after about this long."""

STRANGER_RETRY_S = 1.0
"""… and so is one that met another cluster."""


class Links:
    """All links of the world: at most one current one for each pair of hosts."""

    def __init__(self, world: World, rng: Random) -> None:
        self.world = world
        self.rng = rng
        self._links: dict[tuple[int, int], Link] = {}

    def from_host(self, source: Host, target: Host) -> Link | None:
        """The link over which `source` would now send, if it thinks it has one."""
        link = self._links.get(_pair(source, target))
        return link if link is not None and link.open[source.index] else None

    def dial(self, host: Host, address: str, *, keep: bool) -> None:
        """Keep trying to have a link to `address`, or stop."""
        if not keep:
            host.wishes.pop(address, None)
        elif address not in host.wishes:
            host.wishes[address] = None
            self._try_later(host, address, 0.0)

    def _try_later(self, host: Host, address: str, delay_s: float) -> None:
        self.world.agenda.after(delay_s * self.rng.uniform(0.5, 1.5), self._try, host, host.life, address)

    def _try(self, host: Host, life: int, address: str) -> None:
        if host.life != life or address not in host.wishes:
            return
        peer = self.world.by_address.get(address)
        if peer is None or peer is host or self.from_host(host, peer) is not None:
            return
        network = self.world.network
        if peer.up and not host.paused and not peer.paused and network.connected(host.index, peer.index):
            delay_s = network.delay_s() + network.delay_s()
            self.world.agenda.after(delay_s, self._greet, host, life, peer, peer.life, address)
        else:
            self._try_later(host, address, RETRY_S)

    def _greet(self, host: Host, life: int, peer: Host, peer_life: int, address: str) -> None:
        """Both ends have proven the key. Two clusters do not link."""
        if host.life != life or host.node is None or self.from_host(host, peer) is not None:
            return
        if peer.life != peer_life or peer.node is None or not self.world.network.connected(host.index, peer.index):
            self._try_later(host, address, RETRY_S)
            return
        mine, theirs = host.node.view(), peer.node.view()
        if mine.cluster_id and theirs.cluster_id and mine.cluster_id != theirs.cluster_id:
            host.give(Stranger(peer.id, peer.name, theirs.cluster_id, peer.address, theirs.members, theirs.sealed))
            peer.give(Stranger(host.id, host.name, mine.cluster_id, host.address, mine.members, mine.sealed))
            self._try_later(host, address, STRANGER_RETRY_S)
            return
        old = self._links.get(_pair(host, peer))
        self._links[_pair(host, peer)] = Link(host.index, peer.index)
        for end, other, view in (host, peer, theirs), (peer, host, mine):
            if old is not None and old.open[end.index]:
                old.open[end.index] = False
                self.world.marks.hit("link replaced")
                if self.rng.random() < 0.5:
                    end.give(PeerDown(other.id))
            end.give(PeerUp(other.id, other.name, view.cluster_id, other.address))

    def close_end(self, link: Link, host: Host, peer: Host) -> None:
        """`host` learns that the link is gone, if it did not know."""
        if not link.open[host.index]:
            return
        link.open[host.index] = False
        if host.up:
            host.give(PeerDown(peer.id))
            if peer.address in host.wishes:
                self._try_later(host, peer.address, RETRY_S)

    def died(self, host: Host, *, silently: bool) -> None:
        """A process is gone, and its ends of all links with it."""
        for peer in self.world.hosts:
            link = self._links.get(_pair(host, peer))
            if peer is host or link is None or not link.open[host.index]:
                continue
            link.open[host.index] = False
            if not link.open[peer.index]:
                continue
            if silently or not self.world.network.passes(host.index, peer.index):
                self.world.marks.hit("half-open link")
                self._time_out_later(link, peer, host)
            else:
                self.world.agenda.after(self.world.network.delay_s(), self.close_end, link, peer, host)

    def cut(self, source: Host, target: Host) -> None:
        """Nothing gets from `source` to `target` any more: the ends may time out."""
        link = self._links.get(_pair(source, target))
        if link is not None:
            for host, peer in (source, target), (target, source):
                self._time_out_later(link, host, peer)

    def unknown_here(self, link: Link, host: Host, peer: Host) -> None:
        """Something arrived at `host` for a link it does not have: it says so to the sender."""
        if host.up and link.open[peer.index] and self.world.network.passes(host.index, peer.index):
            self.world.agenda.after(self.world.network.delay_s(), self.close_end, link, peer, host)

    def _time_out_later(self, link: Link, host: Host, peer: Host) -> None:
        delay_s = self.world.options.tcp_timeout_s * self.rng.uniform(0.5, 1.5)
        self.world.agenda.after(delay_s, self._time_out, link, host, peer)

    def _time_out(self, link: Link, host: Host, peer: Host) -> None:
        if not link.open[peer.index] or not self.world.network.connected(host.index, peer.index):
            self.close_end(link, host, peer)


def _pair(a: Host, b: Host) -> tuple[int, int]:
    return (a.index, b.index) if a.index < b.index else (b.index, a.index)
