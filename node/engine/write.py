"""What a client wants written, before anybody coordinates it."""

from __future__ import annotations

from node.core.ids import Instant
from node.core.row import Clock, Dot
from node.wire.errors import RemoteWireError
from node.wire.rows import decode_row, trusted_row


class Write:
    """What is to be written, independent of who coordinates it. `context` is opened; with `cover` it is a minimum."""

    __slots__ = ("context", "cover", "deadline", "key", "strict", "value", "w", "writer")

    def __init__(
        self,
        key: bytes,
        value: bytes | None,
        *,
        context: Clock,
        cover: bool,
        w: int,
        strict: bool,
        deadline: Instant,
        writer: str,
    ) -> None:
        self.key = key
        self.value = value
        self.context = context
        self.cover = cover
        self.w = w
        self.strict = strict
        self.deadline = deadline
        self.writer = writer


def beside(held: bytes, dot: Dot) -> Clock:
    """What somebody holds beside our write `dot`, as a clock: a SET must cover it before it may answer."""
    try:
        row = decode_row(held)
    except RemoteWireError:
        return ()  # the ack stands; what it added is unreadable and teaches us nothing
    return row.clock if any(version.dot != dot for version in row.versions) else ()


def holds(held: bytes, dot: Dot) -> bool:
    """Whether our write `dot` is still among the versions of our own row."""
    return any(version.dot == dot for version in trusted_row(held).versions)
