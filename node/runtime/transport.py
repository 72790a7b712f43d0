"""Peers over TCP: who has a link, by which of several, and how bytes become events.

At most one link per peer carries what we send. Two nodes that dial each other have two links for a moment; both sides
keep the one that the smaller node id dialled. The side that *accepted* the kept link is the last to see it stand, so it
says Goodbye on the other one; the dialler, who has used the kept link already, then closes. Nothing is lost and no
PeerDown is seen. If no Goodbye comes, the link we prefer is dead at its other end, and the one that lives replaces it.

A link made without a seat stays when its ends get theirs: whoever's cluster id changes says Moved first. Two ends that
turn out to be in different clusters are strangers then, and part.

Runs in one event loop, of asyncio or uvloop. Calls back with events, several at a time, and with facts; logs nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from random import Random

import msgspec

from node.core.ids import NodeId
from node.core.limits import HALF_OPEN_MAX, LINGER_S_MAX, PEERS_MAX
from node.engine.events import Event, PeerDown, PeerUp, Stranger
from node.runtime.certificates import Tls
from node.runtime.copier import Copier
from node.runtime.datagrams import Datagrams
from node.runtime.dialer import Redialer
from node.runtime.links import Link, State
from node.runtime.openings import MakeLink, Openings
from node.runtime.sockets import listening_address
from node.wire.copies import Seal
from node.wire.handshake import Foreign, Hello, Rejected, judge
from node.wire.link import Goodbye, Moved
from node.wire.messages import Message, Wait

CLOSE_S = 0.5
"""What peers get at a clean stop to take what is queued for them."""

REKEY_S = 5.0
"""How long a link outlives its key: all nodes read the new one meanwhile, if they are told at about the same time."""


class Peer:
    """A node with at least one link. `hello` is its latest word; `links[0]` carries what we send."""

    __slots__ = ("hello", "links")

    def __init__(self, hello: Hello, link: Link) -> None:
        self.hello = hello
        self.links = [link]


class PeerTransport:
    """The peer port of one node.

    `hello` says what this node is now (its `life` must differ at every start); call `refresh`, or `send`, after a
    change. `on_events` gets the events of one read; `on_fact` gets (kind, fields). `link` makes the links: another
    class is for nodes that may be given faults (`faulty`). `on_failed` gets the address of every dial that failed. With
    `tls` all links are TLS, both ends showing that they are nodes of this cluster, and nothing goes as a datagram.
    """

    def __init__(
        self,
        *,
        cluster: str,
        cluster_keys: Sequence[bytes],
        hello: Callable[[], Hello],
        on_events: Callable[[list[Event]], None],
        on_fact: Callable[[str, dict[str, object]], None],
        rng: Random,
        link: MakeLink = Link,
        on_failed: Callable[[str], None] = lambda address: None,
        tls: Tls | None = None,
    ) -> None:
        self.pending: list[Event] = []
        self._hello = hello
        self._on_events = on_events
        self._on_fact = on_fact
        self._told = hello().cluster_id
        self._peers: dict[NodeId, Peer] = {}
        self._half_open: dict[Link, None] = {}
        self._all: dict[Link, None] = {}
        self._server: asyncio.Server | None = None
        self._datagrams = Datagrams()
        self._flushing = False
        self._closed = False
        self._openings = Openings(self, cluster, cluster_keys, hello, link, tls)
        self._dialer = Redialer(self._openings.dial, self._may_rest, on_fact, rng, on_failed)

    # What the driver calls -------------------------------------------------------------------------------

    async def listen(self, host: str, port: int) -> int:
        """Accept peers at host:port (0: any free one), return the port. OSError, of errno EADDRINUSE if it is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._openings.accepted, host, port, backlog=HALF_OPEN_MAX)
        port = int(self._server.sockets[0].getsockname()[1])
        if self._openings.encrypted:
            return port
        why = await self._datagrams.listen(host, port)
        if why:
            self.fact("no-datagrams", port=port, why=why)
        return port

    def dial(self, address: str, *, keep: bool = True) -> None:
        """Keep a link to host:port open, from now on; with `keep=False` stop dialling it."""
        if keep:
            self._dialer.keep(address)
        else:
            self._dialer.forget(address)

    def send(self, peer: NodeId, messages: Sequence[Message]) -> None:
        """Queue `messages` for `peer`: one frame, one write. Without a link they are lost, as the contract says."""
        self.refresh()
        entry = self._peers.get(peer)
        if entry is not None and not entry.links[0].send(messages):
            self.fact("peer-queue-full", peer=peer, queued_bytes=entry.links[0].queued_bytes)
            self.drop(peer)

    def drop(self, peer: NodeId) -> None:
        """End every link to `peer`, now: it does not answer. PeerDown follows; addresses stay dialled."""
        entry = self._peers.get(peer)
        if entry is not None:
            self._part(peer, entry)
            self._flush_soon()

    def refresh(self) -> None:
        """Look at our own hello: if the cluster id changed, tell every peer, and part with strangers."""
        own = self._hello()
        if own.cluster_id == self._told:
            return
        self._told = own.cluster_id
        for peer, entry in list(self._peers.items()):
            for link in entry.links:
                if link.state is State.UP:
                    link.say(Moved(own.cluster_id, own.members, own.sealed))
            self._judge(peer, entry, own)
        self._dialer.retry_now()
        self._flush_soon()

    def rekey(self, cluster_keys: Sequence[bytes]) -> int:
        """Dial with the first of these keys from now on, and let in whoever has any of them.

        What we dialled is dialled anew under the first, and the old link goes once the new one stands. A link by a key
        that is none of them any more ends after REKEY_S, by when its dialler should have done the same.
        Return how many links stood by another than the first.
        """
        self._openings.take(cluster_keys)
        keys = self._openings.keys
        links = [link for link in self._all if link.state is State.UP and link.keys != keys[0]]
        for link in links:
            if link.keys not in keys:
                asyncio.get_running_loop().call_later(REKEY_S, link.close)
        self._dialer.retry_now()
        return len(links)

    def retry_now(self) -> None:
        """Dial everybody without a link again, at once: the network is another one now."""
        self._dialer.retry_now()

    def is_linked(self, peer: NodeId) -> bool:
        """Whether `peer` has a link."""
        return peer in self._peers

    def _may_rest(self, peer: NodeId) -> bool:
        """Whether `peer` need not be dialled: it has a link, and not one of our dialling under a key that is to go."""
        entry = self._peers.get(peer)
        return entry is not None and (entry.links[0].address is None or entry.links[0].keys == self._openings.keys[0])

    def queued_bytes(self) -> dict[NodeId, int]:
        """Bytes that each linked peer has not taken yet."""
        return {peer: sum(link.queued_bytes for link in entry.links) for peer, entry in self._peers.items()}

    async def close(self) -> None:
        """Stop listening and dialling, end every link; no event follows. Takes CLOSE_S at most."""
        self._closed = True
        if self._server is not None:
            self._server.close()
        await self._dialer.close()
        self._openings.close()
        for link in list(self._all):
            link.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await asyncio.gather(*(link.gone for link in self._all))
        for link in list(self._all):
            link.abort()
        self._datagrams.close()

    # What links call -------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Hand the pending events over."""
        if self.pending and not self._closed:
            events, self.pending = self.pending, []
            self._on_events(events)

    def fact(self, kind: str, **fields: object) -> None:
        """Something that people should know happened."""
        if not self._closed:
            self._on_fact(kind, fields)

    def opening(self, link: Link) -> None:
        """A connection stands. Of too many accepted ones that prove nothing, the oldest ends."""
        self._all[link] = None
        if link.address is not None:
            return
        if len(self._half_open) >= HALF_OPEN_MAX:
            oldest = next(iter(self._half_open))
            del self._half_open[oldest]
            self.fact("peer-rejected", address=oldest.remote, why=f"{HALF_OPEN_MAX} connections have proven nothing")
            oldest.abort()
        self._half_open[link] = None

    def rejected(self, link: Link, outcome: Rejected) -> None:
        """An opening failed. The dialler reports its own failures once per address."""
        if link.address is None:
            self.fact("peer-rejected", address=link.remote, why=outcome.words, detail=outcome.detail)

    def opened(self, link: Link) -> None:
        """A node proved the key: a new peer, one more link to a known one, or a stranger."""
        self._half_open.pop(link, None)
        assert link.peer is not None
        peer, hello = link.peer_id, link.peer
        own = self._hello()
        if link.told != own.cluster_id:
            link.say(Moved(own.cluster_id, own.members, own.sealed))
        entry = self._peers.get(peer)
        if entry is not None and entry.hello.storage_id != hello.storage_id and entry.hello.life != hello.life:
            self.fact("peer-rejected", address=link.remote, why="its node id is in use by another store", peer=peer)
            why = f"{entry.hello.name} has this node's id, and answers: only the seat of a dead node can be taken"
            link.send([Wait(True, why, ())])
            link.close()
        elif isinstance(judge(own, hello), Foreign):
            self._meet_stranger(hello, link)
            link.close()
        elif entry is not None and entry.hello.life == hello.life:
            self._second(entry, link, own)
        else:
            if entry is not None:
                self._part(peer, entry)  # it started anew: the old links are dead, whatever TCP believes
            self._first(peer, link)

    def word(self, link: Link, word: Moved | Goodbye) -> None:
        """The peer moved to another cluster id, or has said its last on one of two links."""
        peer = link.peer_id
        entry = self._peers.get(peer)
        if entry is None or link not in entry.links:
            return
        if isinstance(word, Moved):
            entry.hello = msgspec.structs.replace(
                entry.hello, cluster_id=word.cluster_id, members=word.members, sealed=word.sealed
            )
            self._judge(peer, entry, self._hello())
        else:
            link.close()
            self._remove(peer, entry, link)

    def lingered(self, link: Link) -> None:
        """No Goodbye on a superfluous link: its dialler, if it is the peer, does not have the link we prefer."""
        entry = self._peers.get(link.peer_id)
        if entry is None or link not in entry.links:
            link.abort()
            return
        kept = entry.links[0]
        dead = kept if link.dialler != kept.dialler else link
        dead.abort()
        self._remove(link.peer_id, entry, dead)

    def copier(self, link: Link, seal: Seal, transport: asyncio.Transport) -> Copier | None:
        """Datagrams for a link; none if it may be given faults, which they would get around."""
        assert link.peer is not None
        host = transport.get_extra_info("peername")[0]  # what was dialled may be a name
        way = self._datagrams.way_to(host, link.peer.peer_port) if link.copied else None
        if way is None:
            return None
        self._datagrams.listen_for(seal.link, link.datagram_came)
        begun = partial(self.fact, "peer-late", peer=link.peer_id, address=link.remote)
        return Copier(seal, transport, way, link.copy_came, begun)

    def lost(self, link: Link, why: str) -> None:
        """A connection ended."""
        if link.seal is not None:
            self._datagrams.ignore(link.seal.link)
        self._all.pop(link, None)
        self._half_open.pop(link, None)
        if link.peer is None:
            return
        peer = link.peer_id
        entry = self._peers.get(peer)
        if entry is not None and link in entry.links:
            if why:
                self.fact("peer-link-lost", peer=peer, address=link.remote, why=why)
            self._remove(peer, entry, link)

    # Which link ------------------------------------------------------------------------------------------

    def _first(self, peer: NodeId, link: Link) -> None:
        """The first link to `peer`."""
        assert link.peer is not None
        if len(self._peers) >= PEERS_MAX:
            self.fact("peer-rejected", address=link.remote, why=f"{PEERS_MAX} peers are linked already")
            link.abort()
            return
        self._peers[peer] = Peer(link.peer, link)
        address = listening_address(link.peer.host, link.peer.peer_port, link.remote)
        self._dialer.linked(peer, address)
        self.pending.append(PeerUp(peer, link.peer.name, link.peer.cluster_id, address))

    def _second(self, entry: Peer, link: Link, own: Hello) -> None:
        """One more link to a peer: one is kept, the other one leaves."""
        kept = entry.links[0]
        if link.dialler <= kept.dialler:  # the same dialler twice: it knows what became of its first
            entry.links.insert(0, link)
            kept, other = link, kept
        else:
            entry.links.append(link)
            other = link
        if kept.dialler != own.node_id:
            other.say(Goodbye())
        other.deadline(LINGER_S_MAX)

    def _remove(self, peer: NodeId, entry: Peer, link: Link) -> None:
        """One link less; the last one that can carry anything takes the peer with it."""
        entry.links.remove(link)
        usable = [other for other in entry.links if other.state is State.UP]
        if usable:
            usable[0].forever()
            entry.links = usable + [other for other in entry.links if other.state is not State.UP]
        else:
            self._part(peer, entry)

    def _part(self, peer: NodeId, entry: Peer) -> None:
        """No link to `peer` any more."""
        del self._peers[peer]
        for link in entry.links:
            link.abort()
        self.pending.append(PeerDown(peer))
        self._dialer.unlinked(peer)

    # Strangers -------------------------------------------------------------------------------------------

    def _judge(self, peer: NodeId, entry: Peer, own: Hello) -> None:
        """Part with a peer that turned out to be of another cluster."""
        if not isinstance(judge(own, entry.hello), Foreign):
            return
        links, entry.links = entry.links, []
        for link in links:
            link.close()  # not abort: our Moved, which tells the other side, may still be queued
        self._part(peer, entry)
        self._meet_stranger(entry.hello, links[0])

    def _meet_stranger(self, hello: Hello, link: Link) -> None:
        peer, address = NodeId(hello.node_id), listening_address(hello.host, hello.peer_port, link.remote)
        self.pending.append(Stranger(peer, hello.name, hello.cluster_id, address, hello.members, hello.sealed))

    # Connections -----------------------------------------------------------------------------------------

    @property
    def tls_refusals(self) -> int:
        """How many connections were turned away because of TLS."""
        return self._openings.tls_refusals

    def _flush_soon(self) -> None:
        """Flush outside of the driver's own call: it is in the middle of a step."""
        if self.pending and not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush_now)

    def _flush_now(self) -> None:
        self._flushing = False
        self.flush()
