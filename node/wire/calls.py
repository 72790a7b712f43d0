"""What an application's client asks and hears: words of commands, typed answers, typed errors.

Shared by the synchronous and the asyncio client, which add the connections (`node.client`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Generic, NamedTuple, TypeVar

from node.core.limits import TIMEOUT_MS

Bytes = bytes | str
"""Keys and values: text is sent as UTF-8; what comes back is always bytes."""

T = TypeVar("T")


class Siblings(NamedTuple):
    """What a key holds: its live values (none, one, or several to merge), and the context to write over them."""

    values: tuple[bytes, ...]
    context: bytes

    @property
    def value(self) -> bytes | None:
        """The value, or None if there is none. ConflictError if there are several."""
        if len(self.values) > 1:
            raise ConflictError("SIBLINGS", f"{len(self.values)} values, and no writer of one had seen the other")
        return self.values[0] if self.values else None


# Errors ----------------------------------------------------------------------------------------------------


class DynError(Exception):
    """Something went wrong: `code` is the error prefix of the wire, `text` the rest of the line."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text


class Unreachable(DynError):
    """No endpoint could be connected to, or none answered a read. Of a write: nothing was sent."""


class Unavailable(DynError):
    """The quorum cannot be met. Nothing was stored anywhere."""


class OutcomeUnknown(DynError):
    """The write may take effect, or not. Read the key before writing again."""


class ConflictError(DynError):
    """One value was asked for, and the key has several."""


class BadContext(DynError):
    """The context is not one that this cluster gave for this key. Nothing was changed."""


class TooBig(DynError):
    """Key, value or command is over its limit. Nothing was stored."""


class TooManySiblings(DynError):
    """The key has as many values as it may: read it, merge them, and put with the context. Nothing was stored."""


class Busy(DynError):
    """The node has too much to do. Nothing was done; try again in a moment."""


class DiskFull(DynError):
    """The coordinator's disk is full. Nothing was stored."""


class Denied(DynError):
    """The node does not talk to this client: no password, a wrong one, or from elsewhere without one."""


class NotSupported(DynError):
    """The cluster has no such operation."""


class BadRequest(DynError):
    """The request makes no sense: an R above N, an empty key."""


ERRORS: Final[dict[str, type[DynError]]] = {
    "UNAVAILABLE": Unavailable,
    "UNKNOWN": OutcomeUnknown,
    "SIBLINGS": ConflictError,
    "BADCONTEXT": BadContext,
    "TOOBIG": TooBig,
    "TOOMANYSIBLINGS": TooManySiblings,
    "BUSY": Busy,
    "DISKFULL": DiskFull,
    "DENIED": Denied,
    "NOAUTH": Denied,
    "WRONGPASS": Denied,
    "NOTSUPPORTED": NotSupported,
    "ERR": BadRequest,
}


def error_of(line: str) -> DynError:
    """Return the typed error of an error reply, `CODE text`."""
    code, _, text = line.partition(" ")
    return ERRORS.get(code, DynError)(code, text)


def failure(request: Request[Any], error: Exception, *, sent: bool) -> DynError:
    """Return what a broken connection means for the request that was on it."""
    why = str(error) or type(error).__name__
    if sent and request.writes:
        return OutcomeUnknown("UNKNOWN", f"no answer: {why}; the write may still take effect")
    return Unreachable("UNREACHABLE", why)


# Requests: words out, reply in -----------------------------------------------------------------------------


class Request(NamedTuple, Generic[T]):
    """One command, whether it writes, how long it may take, and what its reply means."""

    words: tuple[Bytes, ...]
    writes: bool
    timeout_s: float
    read: Callable[[Any], T]


def _siblings(reply: tuple[bytes, list[bytes]]) -> Siblings:
    context, values = reply
    return Siblings(tuple(values), context)


def _same(reply: bytes) -> bytes:
    return reply


def get_request(key: Bytes, r: int | None, timeout_ms: int, *, strict: bool) -> Request[Siblings]:
    """DYN.GET."""
    words = ("DYN.GET", key, *_options("R", r, timeout_ms, strict=strict))
    return Request(words, False, timeout_ms / 1000, _siblings)


def put_request(
    key: Bytes, value: Bytes, context: Bytes, w: int | None, timeout_ms: int, *, strict: bool
) -> Request[bytes]:
    """DYN.PUT."""
    words = ("DYN.PUT", key, context, value, *_options("W", w, timeout_ms, strict=strict))
    return Request(words, True, timeout_ms / 1000, _same)


def delete_request(key: Bytes, context: Bytes, w: int | None, timeout_ms: int, *, strict: bool) -> Request[bytes]:
    """DYN.DEL."""
    words = ("DYN.DEL", key, context, *_options("W", w, timeout_ms, strict=strict))
    return Request(words, True, timeout_ms / 1000, _same)


def _options(name: str, quorum: int | None, timeout_ms: int, *, strict: bool) -> tuple[str, ...]:
    words: tuple[str, ...] = () if quorum is None else (name, str(quorum))
    if strict:
        words += ("STRICT",)
    return words if timeout_ms == TIMEOUT_MS else (*words, "TIMEOUT", str(timeout_ms))
