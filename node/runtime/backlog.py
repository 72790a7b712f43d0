"""What waits for a peer that takes nothing of what is sent: messages, not bytes, so that what is late is left out.

While a connection takes nothing, what would be written stays here. When it does again, a request whose client has given
up is dropped, and one whose client still waits says how long from now on: what it waited here is taken off.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec

from node.core.ids import Instant
from node.core.limits import FRAME_BATCH_BYTES
from node.storage.port import FOREVER
from node.wire.codec import encode_batch
from node.wire.messages import Fetch, Forward, Message, Replicate, Scan, left_ms


class Backlog:
    """Messages in order, each with the time until which somebody waits for it. `bytes` is their size on the wire."""

    __slots__ = ("bytes", "dropped", "_waiting")

    def __init__(self) -> None:
        self.bytes = 0
        self.dropped = 0
        self._waiting: deque[tuple[Message, Instant, int]] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, messages: Sequence[Message], now: Instant) -> int:
        """Let them wait; return the size of the largest. LocalWireError if one cannot be said: none waits then."""
        sizes = [sum(map(len, encode_batch([message]))) for message in messages]
        for message, size in zip(messages, sizes, strict=True):
            left = message.left_ms if isinstance(message, Replicate | Fetch | Forward | Scan) else 0
            self._waiting.append((message, now + left / 1000 if left else FOREVER, size))
        self.bytes += sum(sizes)
        return max(sizes, default=0)

    def take(self, now: Instant) -> list[Message]:
        """Take about a frame's worth from the front, without what is late."""
        taken: list[Message] = []
        taken_bytes = 0
        while self._waiting and taken_bytes < FRAME_BATCH_BYTES:
            message, until, size = self._waiting.popleft()
            self.bytes -= size
            if until <= now:
                self.dropped += 1
                continue
            if until < FOREVER:
                assert isinstance(message, Replicate | Fetch | Forward | Scan), f"{message!r} has no time"
                message = msgspec.structs.replace(message, left_ms=left_ms(until, now))
            taken.append(message)
            taken_bytes += size
        return taken

    def clear(self) -> None:
        """The connection is gone."""
        self._waiting.clear()
        self.bytes = 0
