"""Whose fault it is when bytes and values do not fit: theirs, or ours. Raised in `wire`, converted at the socket."""

from __future__ import annotations


class WireError(Exception):
    """Bytes and values do not fit. `code` is a short constant phrase, `detail` the particulars."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


class RemoteWireError(WireError):
    """The other side broke the protocol: its connection ends, nothing else does."""


class LocalWireError(WireError):
    """We tried to say what the protocol cannot: a defect here, or a value over its limit."""
