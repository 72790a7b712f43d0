"""Copies of frames as datagrams: the second way for what TCP is late with.

TCP takes a lost packet for a full network: it waits 200 ms and more, then sends one packet at a time. Where a third of
all packets is lost it carries some five packets a second, and everything behind the lost one waits. So a link whose
packets are being lost sends its frames a second time, cut into datagrams that are repeated until they are heard.

    frame number n of this link ──TCP──────────────────────────────▶ Incoming.came(): heard already, or now
               └── parts of it ──UDP, repeated─▶ Incoming.take() ──▶ whole: heard, and not again when TCP brings it
                        ▲                                │
                        └────────── HEARD: these parts, and all that TCP brought up to m ◀──┘

Nothing says a frame's number over TCP: both sides count. A link still delivers every frame once, but one that came as
a copy may overtake others, which the engine bears (the simulator's network does it all the time).

    COPY    link 8 │ kind 1 │ number 8 │ part 2 │ parts 2 │ bytes │ tag 16
    HEARD   link 8 │ kind 1 │ up to 8  │ (number 8 │ part 2) … │ tag 16

The tag is a keyed BLAKE2b under a key that both ends of this one link have from its opening, and the kind says which
end speaks: a datagram from elsewhere, of another link, or sent back, is not heard; one that is repeated says nothing.
Two pure machines; `now` is an argument.
"""

from __future__ import annotations

import hmac
from collections import deque
from hashlib import blake2b
from struct import Struct
from typing import Final, NamedTuple

from node.core.ids import Instant
from node.core.limits import TIMEOUT_MS

KIB: Final = 1024
MIB: Final = 1024 * KIB

COPY_BYTES: Final = 1200
"""Of a frame in one datagram: with its head and tag it passes every network whole (IPv6's least MTU is 1,280)."""

COPY_FRAME_BYTES_MAX: Final = 256 * KIB
"""A longer frame goes over TCP alone: it would keep the window for itself."""

COPIES_BYTES_MAX: Final = 1 * MIB
"""Of the copies that wait at one end, and of the halves of frames at the other."""

COPIES_AHEAD_MAX: Final = 4096
"""So many frames a copy may be ahead of TCP: their numbers are remembered until TCP brings them."""

COPY_S_MAX: Final = TIMEOUT_MS / 1000
"""A copy is repeated for as long as a request waits by default. TCP goes on trying."""

COPY_RETRY_S: Final = 0.025
COPY_RETRY_S_MAX: Final = 0.2
"""Pause before a part is sent again, a quarter longer each time: where 30 % are lost, three of a thousand parts are not
there after 0.2 s, and one of 50,000 after 0.5 s. Twice the round trip where that is more."""

COPY_WINDOW_MAX: Final = 64
COPY_WINDOW_MIN: Final = 2
"""Parts under way at a time: 77 KB, 3 MB a second at the first pause. Where less than a quarter is heard, fewer."""

LINK_BYTES: Final = 8
TAG_BYTES: Final = 16
PARTS_MAX: Final = -(-COPY_FRAME_BYTES_MAX // COPY_BYTES)
HEARD_PARTS: Final = 64
"""Parts that one HEARD names, those that came last: a lost HEARD is made good by the next one."""

ROUND_S: Final = 0.1
"""The window is looked at so often."""

_COPY: Final = Struct(">8sBQHH")
_HEARD: Final = Struct(">8sBQ")
_PART: Final = Struct(">QH")
DATAGRAM_BYTES_MAX: Final = TAG_BYTES + max(_COPY.size + COPY_BYTES, _HEARD.size + HEARD_PARTS * _PART.size)
"""What is longer is nobody's: its tag is not even computed."""

_KIND_COPY: Final = 0
_KIND_HEARD: Final = 2

PartId = tuple[int, int]
"""The number of a frame, and which part of it."""


class Copy(NamedTuple):
    """A part of a frame."""

    number: int
    part: int
    parts: int
    data: bytes


class Heard(NamedTuple):
    """What the other side has: all frames up to `upto` over TCP, and these parts."""

    upto: int
    parts: tuple[PartId, ...]


class Seal:
    """Writes and reads the datagrams of one end of one link. `dialled`: this end dialled it."""

    __slots__ = ("_key", "_mine", "_theirs", "link")

    def __init__(self, link: bytes, key: bytes, *, dialled: bool) -> None:
        self.link = link
        self._key = key
        self._mine, self._theirs = (1, 0) if dialled else (0, 1)

    def copy(self, copy: Copy) -> bytes:
        """A COPY."""
        kind = _KIND_COPY + self._mine
        return self._sealed(_COPY.pack(self.link, kind, copy.number, copy.part, copy.parts) + copy.data)

    def heard(self, heard: Heard) -> bytes:
        """A HEARD."""
        parts = b"".join([_PART.pack(number, part) for number, part in heard.parts])
        return self._sealed(_HEARD.pack(self.link, _KIND_HEARD + self._mine, heard.upto) + parts)

    def open(self, datagram: bytes) -> Copy | Heard | None:
        """What the other end said; None if it did not say this."""
        if len(datagram) > DATAGRAM_BYTES_MAX:
            return None
        body, tag = datagram[:-TAG_BYTES], datagram[-TAG_BYTES:]
        if len(body) < _HEARD.size or not hmac.compare_digest(tag, self._tag(body)):
            return None
        kind = body[LINK_BYTES]
        if kind == _KIND_COPY + self._theirs and _COPY.size < len(body) <= _COPY.size + COPY_BYTES:
            _, _, number, part, parts = _COPY.unpack_from(body)
            return Copy(number, part, parts, body[_COPY.size :]) if part < parts <= PARTS_MAX else None
        if kind == _KIND_HEARD + self._theirs and not (len(body) - _HEARD.size) % _PART.size:
            upto = _HEARD.unpack_from(body)[2]
            return Heard(upto, tuple(_PART.iter_unpack(body[_HEARD.size :])))
        return None

    def _sealed(self, body: bytes) -> bytes:
        return body + self._tag(body)

    def _tag(self, body: bytes) -> bytes:
        return blake2b(body, key=self._key, digest_size=TAG_BYTES).digest()


class Flying:
    """A part that was sent and of which nothing was heard: when it is due again, and when it is given up."""

    __slots__ = ("copy", "due", "tries", "until")

    def __init__(self, copy: Copy, until: Instant) -> None:
        self.copy = copy
        self.until = until
        self.tries = 0
        self.due: Instant = 0.0


class Outgoing:
    """Copies on their way to the other end: repeated until they are heard, or of no use any more.

    So many fly at a time (`window`): fewer when less than a quarter of what is sent is heard, which is a network that
    is full, or closed to datagrams. `retry_s` is the first pause between two tries.
    """

    __slots__ = ("_flying", "_heard", "_left", "_round_at", "_sent", "_waiting", "retry_s", "waiting_bytes", "window")

    def __init__(self) -> None:
        self.retry_s = COPY_RETRY_S
        self.window = COPY_WINDOW_MAX
        self.waiting_bytes = 0
        self._waiting: deque[Flying] = deque()
        self._flying: dict[PartId, Flying] = {}
        self._left: dict[int, int] = {}  # parts of a frame that were not heard yet
        self._round_at: Instant = 0.0
        self._sent = self._heard = 0

    def __len__(self) -> int:
        """Frames of which something is not heard yet."""
        return len(self._left)

    def add(self, number: int, payload: bytes | memoryview, now: Instant) -> bool:
        """Take a frame's payload; False if it is too long, or too much waits already: TCP alone has it then."""
        size = len(payload)
        if size > COPY_FRAME_BYTES_MAX or self.waiting_bytes + size > COPIES_BYTES_MAX or not size:
            return False
        parts = -(-size // COPY_BYTES)
        for part in range(parts):
            data = bytes(payload[part * COPY_BYTES : (part + 1) * COPY_BYTES])
            self._waiting.append(Flying(Copy(number, part, parts, data), now + COPY_S_MAX))
        self.waiting_bytes += size
        self._left[number] = parts
        return True

    def heard(self, heard: Heard) -> list[int]:
        """The other end has these; return the numbers of the frames that it now has whole, as copies."""
        whole = []
        for part in heard.parts:
            flying = self._flying.pop(part, None)
            if flying is not None:
                self._heard += 1
                self.waiting_bytes -= len(flying.copy.data)
                if part[0] in self._left:
                    self._left[part[0]] -= 1
                    if not self._left[part[0]]:
                        del self._left[part[0]]
                        whole.append(part[0])
        for number in [number for number in self._left if number <= heard.upto]:
            del self._left[number]
        return whole

    def due(self, now: Instant) -> list[Copy]:
        """What is to be sent now."""
        self._look(now)
        copies = []
        for part, flying in list(self._flying.items()):
            if flying.copy.number not in self._left or now >= flying.until:
                self._forget(flying.copy)
                del self._flying[part]
            elif now >= flying.due:
                copies.append(self._try(flying, now))
        while self._waiting and len(self._flying) < self.window:
            flying = self._waiting.popleft()
            if flying.copy.number not in self._left or now >= flying.until:
                self._forget(flying.copy)
                continue
            self._flying[flying.copy.number, flying.copy.part] = flying
            copies.append(self._try(flying, now))
        return copies

    def next_at(self) -> Instant | None:
        """When `due` has something again, if nothing is heard before; None for never."""
        return min([flying.due for flying in self._flying.values()], default=None)

    def _try(self, flying: Flying, now: Instant) -> Copy:
        flying.due = now + min(self.retry_s * 1.25**flying.tries, max(COPY_RETRY_S_MAX, self.retry_s))
        flying.tries += 1
        self._sent += 1
        return flying.copy

    def _forget(self, copy: Copy) -> None:
        """It came over TCP, or nobody waits for it any more."""
        self.waiting_bytes -= len(copy.data)
        self._left.pop(copy.number, None)

    def _look(self, now: Instant) -> None:
        """Once a round: fewer copies at a time if most of them are not heard, more if they are."""
        if now - self._round_at < max(ROUND_S, 2 * self.retry_s):
            return
        if self._sent and self._heard * 4 < self._sent:
            self.window = max(self.window // 2, COPY_WINDOW_MIN)
        elif self._heard:
            self.window = min(self.window + COPY_WINDOW_MAX // 8, COPY_WINDOW_MAX)
        self._round_at = now
        self._sent = self._heard = 0


class Incoming:
    """The frames of one link as they come, over TCP and as copies: each is heard once.

    What is not told as heard is sent again, so a part may be refused at any time, but never forgotten.
    """

    __slots__ = ("_bytes", "_early", "_last", "_parts", "came_count")

    def __init__(self) -> None:
        self.came_count = 0  # frames that TCP brought
        self._early: dict[int, None] = {}  # frames that came whole as copies, and not yet over TCP
        self._parts: dict[int, dict[int, bytes]] = {}
        self._bytes = 0
        self._last: deque[PartId] = deque(maxlen=HEARD_PARTS)

    def came(self) -> bool:
        """TCP brought the next frame: whether it is news."""
        self.came_count = number = self.came_count + 1
        if self._parts:
            self._drop_parts(number)
        if self._early and number in self._early:
            del self._early[number]
            return False
        return True

    def take(self, copy: Copy) -> bytes | None:
        """A part came as a copy; return the payload of its frame if this makes it whole, and it is news."""
        number, part = copy.number, copy.part
        if number <= self.came_count or number in self._early:
            self._last.append((number, part))
            return None
        if number > self.came_count + COPIES_AHEAD_MAX or self._bytes + len(copy.data) > COPIES_BYTES_MAX:
            return None
        parts = self._parts.setdefault(number, {})
        if part not in parts:
            parts[part] = copy.data
            self._bytes += len(copy.data)
        self._last.append((number, part))
        if len(parts) < copy.parts:
            return None
        payload = b"".join([parts[index] for index in sorted(parts)])
        self._drop_parts(number)
        self._early[number] = None
        return payload

    def heard(self) -> Heard:
        """What to tell the other end."""
        return Heard(self.came_count, tuple(dict.fromkeys(self._last)))

    def _drop_parts(self, number: int) -> None:
        for data in self._parts.pop(number, {}).values():
            self._bytes -= len(data)
