"""Frames on a byte stream: 4 bytes of length, big-endian, and so many bytes of payload.

    ┌────────┬─────────┐┌────────┬─────────┐┌────────┬──
    │ length │ payload ││ length │ payload ││ length │ …
    └────────┴─────────┘└────────┴─────────┘└────────┴──

The reader keeps what it was fed as it came and joins the pieces of a frame once, when the last one is there: a frame of
many reads costs one copy, many frames of one read cost none. A length over the limit is refused when it is seen;
nothing is ever allocated because of a length alone.
"""

from __future__ import annotations

from enum import Enum
from struct import Struct
from typing import Final, Literal

from node.core.limits import FRAME_BYTES_MAX, HANDSHAKE_FRAME_BYTES_MAX
from node.wire.errors import LocalWireError, RemoteWireError

HEADER_BYTES: Final = 4
_unpack_size: Final = Struct(">I").unpack_from

PIECES_MAX: Final = 4096
"""Pieces of one frame before they are joined early: a sender of single bytes must not cost a hundred for each."""


class Need(Enum):
    """The one value of `NEED_DATA`."""

    DATA = "data"


NEED_DATA: Final = Need.DATA
"""What a reader returns until more bytes are fed."""


def frame(payload: bytes) -> bytes:
    """Return `payload` as one frame; LocalWireError if it is longer than any reader would take."""
    size = len(payload)
    if size > FRAME_BYTES_MAX:
        raise LocalWireError("frame too large", f"{size} bytes, limit {FRAME_BYTES_MAX}")
    return size.to_bytes(HEADER_BYTES, "big") + payload


class FrameReader:
    """Cuts a stream into payloads: `feed` what arrived, then `next_frame` until NEED_DATA.

    `limit_bytes` is what the other side may say at once; raise it with `raise_limit` once it has proven itself. After a
    RemoteWireError the stream has no meaning any more, and neither has the reader.
    """

    __slots__ = ("_at", "_chunk", "_limit_bytes", "_missing", "_pieces")

    def __init__(self, limit_bytes: int = HANDSHAKE_FRAME_BYTES_MAX) -> None:
        self._limit_bytes = limit_bytes
        self._chunk: memoryview = memoryview(b"")  # what arrived last; everything before `_at` was handed out
        self._at = 0
        self._pieces: list[memoryview] = []  # the beginning of a frame that spans several reads
        self._missing = 0  # … and how many bytes it lacks for the next decision; 0 when there are no pieces

    def raise_limit(self) -> None:
        """The other side has proven the cluster key: from here on it may send whole rows."""
        self._limit_bytes = FRAME_BYTES_MAX

    @property
    def buffered_bytes(self) -> int:
        """Bytes fed and not yet handed out."""
        return sum(map(len, self._pieces)) + len(self._chunk) - self._at

    def feed(self, data: bytes) -> None:
        """Take what arrived. Every frame of the previous data must have been taken out before."""
        assert self._at == len(self._chunk), f"{len(self._chunk) - self._at} bytes were not looked at"
        self._chunk = memoryview(data)
        self._at = 0

    def next_frame(self) -> memoryview | Literal[Need.DATA]:
        """Return the next payload, or NEED_DATA; RemoteWireError if it is longer than the limit."""
        if self._pieces:
            return self._next_spanning()
        chunk, at = self._chunk, self._at
        have = len(chunk) - at
        if have >= HEADER_BYTES:
            size = self._size_at(chunk, at)
            end = at + HEADER_BYTES + size
            if end <= len(chunk):
                self._at = end
                return chunk[at + HEADER_BYTES : end]
            self._keep(end - len(chunk))
        elif have:
            self._keep(HEADER_BYTES - have)
        return NEED_DATA

    def _keep(self, missing: int) -> None:
        """Set the rest of the chunk aside: `missing` further bytes complete a header, or a frame."""
        self._pieces.append(self._chunk[self._at :])
        self._at = len(self._chunk)
        self._missing = missing

    def _next_spanning(self) -> memoryview | Literal[Need.DATA]:
        """`next_frame` for a frame that began in an earlier chunk."""
        taken = self._chunk[self._at : self._at + self._missing]
        if taken:
            self._at += len(taken)
            self._missing -= len(taken)
            self._pieces.append(taken)
        if self._missing and len(self._pieces) < PIECES_MAX:
            return NEED_DATA
        whole = memoryview(b"".join(self._pieces))
        if self._missing:
            self._pieces = [whole]
            return NEED_DATA
        size = self._size_at(whole, 0)
        if len(whole) == HEADER_BYTES + size:
            self._pieces.clear()
            return whole[HEADER_BYTES:]
        self._pieces = [whole]  # only the header was complete; now the payload is what is missing
        self._missing = HEADER_BYTES + size - len(whole)
        return self._next_spanning()

    def _size_at(self, data: memoryview, at: int) -> int:
        """The length in the header at `at`; RemoteWireError if nobody may send so much."""
        size: int = _unpack_size(data, at)[0]
        if size > self._limit_bytes:
            raise RemoteWireError("frame too large", f"{size} bytes, limit {self._limit_bytes}")
        return size
