"""One connection to a peer: its opening, its frames, its last words. Which of several links is used is `transport`'s.

    OPENING ──proven──▶ UP ──Goodbye said──▶ LEAVING ──▶ CLOSED     (every state: end of connection ──▶ CLOSED)

All work is done inside the loop's callbacks; there is no task per connection, and no await.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from enum import Enum
from typing import Literal, Protocol, cast

from node.core.ids import NodeId
from node.core.limits import HANDSHAKE_S_MAX, LINGER_S_MAX, PEER_QUEUE_BYTES_MAX
from node.engine.events import Event, Received
from node.runtime.backlog import Backlog
from node.runtime.copier import Copier
from node.runtime.sockets import remote_address, tune
from node.runtime.tls import TlsError
from node.wire.codec import PROTOCOL, decode_batch, encode_batch
from node.wire.copies import Seal
from node.wire.errors import LocalWireError, RemoteWireError
from node.wire.framing import NEED_DATA, FrameReader, Need, frame
from node.wire.handshake import Acceptor, Dialer, Hello, Keys, Outcome, Reason, Rejected
from node.wire.link import Goodbye, Moved, decode_link, encode_link
from node.wire.messages import Message


class State(Enum):
    """Where a link stands."""

    OPENING = "opening"
    UP = "up"
    LEAVING = "leaving"
    CLOSED = "closed"


class Hub(Protocol):
    """What a link tells its owner. Events wait in `pending` until `flush`: one call of the driver per read."""

    pending: list[Event]

    def flush(self) -> None:
        """Hand the pending events over."""

    def opening(self, link: Link) -> None:
        """Connected; nothing is proven."""

    def opened(self, link: Link) -> None:
        """`link.peer` holds the cluster key."""

    def rejected(self, link: Link, outcome: Rejected) -> None:
        """The opening failed; the connection is about to end."""

    def word(self, link: Link, word: Moved | Goodbye) -> None:
        """The peer said something about the link."""

    def lingered(self, link: Link) -> None:
        """The peer should have said Goodbye by now, and did not."""

    def lost(self, link: Link, why: str) -> None:
        """The connection is gone. `why` is empty when it was closed in the ordinary way."""

    def copier(self, link: Link, seal: Seal, transport: asyncio.Transport) -> Copier | None:
        """The second way for the frames of a link that has just been proven; None if there is none."""

    def fact(self, kind: str, **fields: object) -> None:
        """Something that people should know happened."""


class Reader(Protocol):
    """What cuts a stream into frames."""

    def feed(self, data: bytes) -> None:
        """Take what arrived."""

    def next_frame(self) -> memoryview | Literal[Need.DATA]:
        """Return the next payload, or NEED_DATA."""

    def raise_limit(self) -> None:
        """The other side has proven the cluster key."""


class Link(asyncio.Protocol):
    """A connection, dialled (`address`) or accepted (`address` is None).

    `copied`: its frames may go as datagrams, too.
    """

    copied = True

    def __init__(self, hub: Hub, opening: Dialer | Acceptor, own: Hello, address: str | None) -> None:
        self.state = State.OPENING
        self.peer: Hello | None = None
        self.address = address
        self.told = own.cluster_id  # the cluster id that the peer believes we have
        self.dialler = own.node_id if address is not None else ""
        self.ended: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()  # how its opening ended
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.remote = address or ""
        self._hub = hub
        self._opening = opening
        self._reader: Reader = FrameReader()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._backlog = Backlog()
        self._stuck = False  # the connection takes no more for now
        self._copier: Copier | None = None
        self._giant_bytes = 0  # size of the largest frame waiting that is longer than the queue may be

    @property
    def peer_id(self) -> NodeId:
        """The proven id of the other side."""
        assert self.peer is not None, "nothing is proven yet"
        return NodeId(self.peer.node_id)

    @property
    def seal(self) -> Seal | None:
        """The seal of this link's datagrams, once the other side is proven."""
        return self._opening.seal

    @property
    def keys(self) -> Keys:
        """Of the cluster key that the other side has proven."""
        return self._opening.keys

    @property
    def queued_bytes(self) -> int:
        """Bytes that the peer has not taken yet."""
        written = self._transport.get_write_buffer_size() if self._transport is not None else 0
        held = self._copier.held_bytes if self._copier is not None else 0
        return written + self._backlog.bytes + held

    # What the loop calls ---------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands; a dialler speaks first."""
        self._transport = cast(asyncio.Transport, transport)
        tune(transport.get_extra_info("socket"))
        self.remote = self.address or remote_address(transport.get_extra_info("peername"))
        self.deadline(HANDSHAKE_S_MAX)
        self._hub.opening(self)
        if isinstance(self._opening, Dialer):
            self._transport.write(frame(self._opening.first))

    def data_received(self, data: bytes) -> None:
        """Bytes arrived: messages become events, in order, and the driver is called once."""
        if self.state is State.CLOSED:
            return
        reader, pending = self._reader, self._hub.pending
        try:
            reader.feed(data)
            while (payload := reader.next_frame()) is not NEED_DATA:
                if self.state is State.OPENING:
                    self._open(payload)
                elif len(payload) and payload[0] == PROTOCOL:
                    if self._copier is not None and not self._copier.came():
                        continue  # it was heard as a copy
                    peer = self.peer_id
                    pending += [Received(peer, message) for message in decode_batch(payload)]
                else:
                    self._hub.word(self, decode_link(payload))
                if cast(State, self.state) is State.CLOSED:
                    break
        except RemoteWireError as error:
            self._broken(error)
        self._hub.flush()

    def copy_came(self, payload: bytes) -> None:
        """A frame came, as a copy: TCP is late with it."""
        if self.state in (State.UP, State.LEAVING):
            try:
                peer = self.peer_id
                self._hub.pending += [Received(peer, message) for message in decode_batch(payload)]
            except RemoteWireError as error:
                self._broken(error)
            self._hub.flush()

    def datagram_came(self, datagram: bytes) -> None:
        """A datagram for this link came."""
        if self._copier is not None:
            self._copier.hear(datagram)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection ended, by whomever."""
        self._finish(str(exc) if exc is not None else "", Reason.TLS if isinstance(exc, TlsError) else Reason.MALFORMED)
        self._hub.flush()

    def pause_writing(self) -> None:
        """The peer does not read: what is said from now on waits as messages, which may become late."""
        self._stuck = True

    def resume_writing(self) -> None:
        """It reads again."""
        self._stuck = False
        while self._backlog and not self._stuck:
            self._catch_up()

    # What the owner calls --------------------------------------------------------------------------------

    def send(self, messages: Sequence[Message]) -> bool:
        """Queue `messages` in as few frames as possible; False if the peer takes so little that the queue is full."""
        try:
            if self._copier is not None and self._copier.late:
                while self._backlog:
                    self._catch_up()  # what TCP does not take goes as copies
            elif self._stuck or self._backlog:
                self._note_giant(self._backlog.put(messages, self._now()))
                return self.queued_bytes <= PEER_QUEUE_BYTES_MAX + self._giant_bytes
            frames = encode_batch(messages)
        except LocalWireError as error:
            self._hub.fact("message-not-sent", peer=self.peer_id, code=error.code, detail=error.detail)
            return True
        assert self._transport is not None
        waiting = self.queued_bytes
        if not waiting:
            self._giant_bytes = 0
        for data in frames:
            self._note_giant(len(data))
            waiting += len(data)
        if waiting > PEER_QUEUE_BYTES_MAX + self._giant_bytes:
            return False
        self._write(frames)
        return True

    def say(self, word: Moved | Goodbye) -> None:
        """Tell the peer something about this link, after all that was said before."""
        assert self._transport is not None
        while self._backlog:
            self._catch_up()
        if self._copier is not None:
            self._copier.pour_all()
        self._transport.write(frame(encode_link(word)))
        if isinstance(word, Moved):
            self.told = word.cluster_id
        else:
            self.state = State.LEAVING

    def deadline(self, seconds: float) -> None:
        """End the connection unless this is called again, or `forever`, within `seconds`."""
        self.forever()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._expire)

    def forever(self) -> None:
        """No deadline any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def close(self) -> None:
        """End the connection once what is queued has been taken, or after LINGER_S_MAX."""
        while self._backlog:
            self._catch_up()
        self.state = State.CLOSED
        if self._copier is not None:
            self._copier.pour_all()
        if self._transport is not None:
            self.deadline(LINGER_S_MAX)
            self._transport.close()

    def abort(self) -> None:
        """End the connection now; what is queued is lost."""
        self.state = State.CLOSED
        if self._transport is not None:
            self._transport.abort()

    def _note_giant(self, size: int) -> None:
        if size > PEER_QUEUE_BYTES_MAX:
            self._giant_bytes = max(self._giant_bytes, size)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _catch_up(self) -> None:
        """Write what waited longest, as far as somebody still waits for it."""
        messages = self._backlog.take(self._now())
        if messages:
            self._write(encode_batch(messages))

    def _write(self, frames: list[bytes]) -> None:
        if self._copier is not None:
            self._copier.send(frames)
        elif self._transport is not None:
            self._transport.writelines(frames)

    # The rest --------------------------------------------------------------------------------------------

    def _open(self, payload: memoryview) -> None:
        """One frame of the opening."""
        assert self._transport is not None
        answer, outcome = self._opening.receive(payload)
        if answer is not None:
            self._transport.write(frame(answer))
        if outcome is None:
            return
        if isinstance(outcome, Rejected):
            self.state = State.CLOSED
            self._hub.rejected(self, outcome)
            self.close()
        else:
            self.peer = outcome.peer
            self.dialler = self.dialler or outcome.peer.node_id
            self.state = State.UP
            self.forever()
            self._reader.raise_limit()
            assert self.seal is not None, "a proven opening gives a seal"
            self._copier = self._hub.copier(self, self.seal, self._transport)
            self._hub.opened(self)
        self._resolve(outcome)

    def _broken(self, error: RemoteWireError) -> None:
        """The other side's bytes mean nothing."""
        if self.state is State.OPENING:
            outcome = Rejected(Reason.MALFORMED, str(error))
            self._hub.rejected(self, outcome)
            self._resolve(outcome)
        else:
            self._hub.fact("peer-broke-protocol", peer=self.peer_id, address=self.remote, error=str(error))
        self.abort()

    def _expire(self) -> None:
        self._timer = None
        if self.state is State.OPENING:
            outcome = Rejected(Reason.MALFORMED, f"nothing proven in {HANDSHAKE_S_MAX:g} s")
            self._hub.rejected(self, outcome)
            self._resolve(outcome)
        if self.state is State.UP:
            self._hub.lingered(self)
        else:
            self.abort()
        self._hub.flush()

    def _finish(self, why: str, reason: Reason) -> None:
        """The connection is gone: tell everybody once."""
        self.state = State.CLOSED
        self.forever()
        self._backlog.clear()
        self._transport = None
        if self._copier is not None:
            self._copier.close()
            self._copier = None
        self._resolve(Rejected(reason, why or "it hung up"))
        if not self.gone.done():
            self.gone.set_result(None)
        self._hub.lost(self, why)

    def _resolve(self, outcome: Outcome) -> None:
        if not self.ended.done():
            self.ended.set_result(outcome)
