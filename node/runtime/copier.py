"""Whether TCP is late on a link, and the copies of its frames that then go as datagrams (`node.wire.copies`).

    on time ──of what TCP sent, more than one in LATE_PART was sent again──▶ late ──nothing for LATE_S──▶ on time

On time a frame is written to TCP and nothing else happens; a tenth of a second later the kernel is asked how it fared
(TCP_INFO). Late, each frame goes as a copy, too, and TCP is given no more than it takes: what waits meanwhile, and is
heard as a copy, TCP then replaces by an empty frame, so that it never falls behind by more than what nobody heard.

Where the kernel does not tell (it is Linux' own call), or no datagram passes, there is TCP alone, as before.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import sys
import termios
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from node.core.limits import DOWN_AFTER_S
from node.wire.codec import encode_batch
from node.wire.copies import COPY_RETRY_S, Copy, Heard, Incoming, Outgoing, Seal
from node.wire.framing import HEADER_BYTES

LOOK_S = 0.1
"""How long after a frame the kernel is asked how it fared."""

LATE_PART = 20
"""Of the segments that TCP sent: more than one in so many sent again is late. Fewer it makes good by itself."""

LATE_S = 3.0
"""A link is late for so long after it was."""

RECENT_BYTES_MAX = 256 * 1024
"""Frames that TCP may still have in its hands when it turns out to be late: they are copied, too."""

RECENT_S = 1.0
"""… if they are not older than this: TCP sends again after a fifth of a second and a round trip."""

HELPED_S = 1.0
"""Without a word that copies arrive for so long, nothing is held back from TCP: no datagram passes."""

STUCK_S = 20.0
"""While copies are heard the other side is there, and a TCP that gets nothing through may take so long (some twenty
tries, where its pauses can be kept to a second): without its connection there would be no copies. Else it is given up
after DOWN_AFTER_S, like a cut one."""

TCP_QUEUE_BYTES = 16 * 1024
"""A late TCP is given more when it has less than this: what the kernel has cannot be taken back."""

TCP_INFO: Final = getattr(socket, "TCP_INFO", None) if sys.platform == "linux" else None
INFO_BYTES: Final = 160
"""As much of Linux' struct tcp_info as is read here; what is older than 2016 has less."""

EMPTY: Final = encode_batch(())[0]
"""A frame without messages: in the place of one that was heard already."""


class Health(NamedTuple):
    """How a connection fares: segments sent and sent again since its beginning, the shortest round trip, how many bytes
    may be under way, and whether everything is acknowledged."""

    sent: int
    repeated: int
    round_trip_s: float
    window_bytes: int
    idle: bool


def inquire(sock: socket.socket) -> Health | None:
    """Ask the kernel; None if it does not tell."""
    if TCP_INFO is None:
        return None
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, TCP_INFO, INFO_BYTES)
    except OSError:
        return None
    if len(info) < INFO_BYTES:
        return None

    def number(at: int) -> int:
        return int.from_bytes(info[at : at + 4], sys.byteorder)

    mss, unacked, cwnd, repeated, not_sent, min_rtt_us, sent = map(number, (16, 24, 80, 100, 144, 148, 156))
    round_trip_s = min_rtt_us / 1e6 if min_rtt_us < 0xFFFFFFFF else 0.0
    return Health(sent, repeated, round_trip_s, cwnd * mss, not (unacked or not_sent))


def queued(sock: socket.socket) -> int:
    """Bytes that the kernel has taken and the other side has not acknowledged."""
    return int.from_bytes(fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)


class Copier:
    """The frames of one link, both ways. It begins with the link's first frame: both ends count from there.

    `post` sends a datagram to the other end; `take` hears the payload of a frame that came as a copy; `begun` is called
    when TCP becomes late.
    """

    def __init__(
        self,
        seal: Seal,
        transport: asyncio.Transport,
        post: Callable[[bytes], None],
        take: Callable[[bytes], None],
        begun: Callable[[], None],
    ) -> None:
        self.late = False
        self.held_bytes = 0
        self.posted = 0
        self._seal = seal
        self._transport = transport
        self._sock: socket.socket = transport.get_extra_info("socket")
        self._post = post
        self._take = take
        self._begun = begun
        self._loop = asyncio.get_running_loop()
        self._incoming = Incoming()
        self._outgoing = Outgoing()
        self._count = 0
        self._recent: deque[tuple[float, int, bytes]] = deque()
        self._recent_bytes = 0
        self._held: dict[int, bytes] = {}
        self._helped_at = -HELPED_S
        self._late_until = 0.0
        self._spared = False
        self._last = Health(0, 0, 0.0, 0, True)
        self._look_timer: asyncio.TimerHandle | None = None
        self._fly_timer: asyncio.TimerHandle | None = None
        self._fly_at = 0.0
        self._telling: asyncio.Handle | None = None

    # Frames out ------------------------------------------------------------------------------------------

    def send(self, frames: list[bytes]) -> None:
        """Send frames, in order."""
        now = self._loop.time()
        if self.late:
            for data in frames:
                self._count += 1
                self._outgoing.add(self._count, memoryview(data)[HEADER_BYTES:], now)
                self._held[self._count] = data
                self.held_bytes += len(data)
            self._fly(now)
            self._pour(now)
        else:
            for data in frames:
                self._count += 1
                self._recent.append((now, self._count, data))
                self._recent_bytes += len(data)
            if len(frames) == 1:
                self._transport.write(frames[0])
            else:
                self._transport.writelines(frames)
            while self._recent_bytes > RECENT_BYTES_MAX:
                self._forget_oldest()
        if self._look_timer is None:
            self._look_timer = self._loop.call_later(LOOK_S, self._look)

    def pour_all(self) -> None:
        """Give TCP everything that is held back: the link is to say something else, or its last."""
        for data in self._held.values():
            self._transport.write(data)
        self._held.clear()
        self.held_bytes = 0

    def _pour(self, now: float) -> None:
        """Give TCP as much as it takes; everything, where copies are of no help."""
        if not self._held:
            return
        if now - self._helped_at >= HELPED_S:
            self.pour_all()
            return
        if self._transport.get_write_buffer_size():
            return
        room = max(TCP_QUEUE_BYTES, 4 * self._last.window_bytes) - queued(self._sock)
        while self._held and room > 0:
            number = next(iter(self._held))
            data = self._held.pop(number)
            self.held_bytes -= len(data)
            room -= len(data)
            self._transport.write(data)

    def _fly(self, now: float) -> None:
        """Send the copies that are due, and wake up for the next ones."""
        for copy in self._outgoing.due(now):
            self.posted += 1
            self._post(self._seal.copy(copy))
        at = self._outgoing.next_at()
        if at is None:
            return
        if self._fly_timer is not None:
            if self._fly_at <= at:
                return
            self._fly_timer.cancel()
        self._fly_at = at
        self._fly_timer = self._loop.call_at(at, self._flown)

    def _flown(self) -> None:
        self._fly_timer = None
        self._fly(self._loop.time())

    # Whether TCP is late ---------------------------------------------------------------------------------

    def _look(self) -> None:
        self._look_timer = None
        health = inquire(self._sock)
        if health is None:
            self._recent.clear()
            self._recent_bytes = 0
            return
        now = self._loop.time()
        sent, repeated = health.sent - self._last.sent, health.repeated - self._last.repeated
        self._last = health
        if repeated and repeated * LATE_PART > sent:
            self._late_until = now + LATE_S
            self._outgoing.retry_s = max(COPY_RETRY_S, 2 * health.round_trip_s)
            if not self.late:
                self._begin(now)
        elif self.late and now >= self._late_until and health.idle and not self._held:  # it has caught up, too
            self.late = False
            self.pour_all()
        self._spare(self.late and now - self._helped_at < DOWN_AFTER_S)
        if self.late:
            self._fly(now)
            self._pour(now)
        while self._recent and (health.idle or now - self._recent[0][0] > RECENT_S):
            self._forget_oldest()
        if self.late or not health.idle:
            self._look_timer = self._loop.call_later(LOOK_S, self._look)

    def _spare(self, spared: bool) -> None:
        """Let TCP take longer, or no longer, before the connection is given up."""
        if spared != self._spared and hasattr(socket, "TCP_USER_TIMEOUT"):
            self._spared = spared
            seconds = STUCK_S if spared else DOWN_AFTER_S
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1000))

    def _begin(self, now: float) -> None:
        """TCP is late: what it may have in its hands goes as copies first."""
        self.late = True
        self._begun()
        for _, number, data in self._recent:
            self._outgoing.add(number, memoryview(data)[HEADER_BYTES:], now)

    def _forget_oldest(self) -> None:
        self._recent_bytes -= len(self._recent.popleft()[2])

    # Frames in -------------------------------------------------------------------------------------------

    def came(self) -> bool:
        """TCP brought a frame: whether it is news."""
        return self._incoming.came()

    def hear(self, datagram: bytes) -> None:
        """A datagram for this link came."""
        said = self._seal.open(datagram)
        if isinstance(said, Copy):
            payload = self._incoming.take(said)
            if self._telling is None:
                self._telling = self._loop.call_soon(self._tell)
            if payload is not None:
                self._take(payload)
        elif isinstance(said, Heard):
            now = self._loop.time()
            self._helped_at = now
            for number in self._outgoing.heard(said):
                if number in self._held:
                    self.held_bytes += len(EMPTY) - len(self._held[number])
                    self._held[number] = EMPTY
            self._fly(now)
            self._pour(now)

    def _tell(self) -> None:
        """One HEARD for all copies of a turn of the loop."""
        self._telling = None
        self._post(self._seal.heard(self._incoming.heard()))

    def close(self) -> None:
        """The link is gone."""
        for timer in self._look_timer, self._fly_timer, self._telling:
            if timer is not None:
                timer.cancel()
        self._post = self._take = _nothing


def _nothing(data: bytes) -> None:
    """Where a link's datagrams go when it is gone."""
