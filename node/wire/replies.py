"""Reply values, as RESP2 or RESP3 bytes (https://redis.io/docs/latest/develop/reference/protocol-spec/).

A reply is a Python value: bytes and str are bulk strings, None is nil, and int, bool, float, list, dict say what they
are; `Status` is a simple string, `Verbatim` text for people, `Tags` a set of simple strings, `ErrorReply` an error.
RESP2 has no maps, booleans and doubles: there they are flat arrays, 0 or 1, and text. Two types of RESP3 are never
sent, because clients in use break on them: attributes (`|`) and bulk errors (`!`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple


class Status(NamedTuple):
    """A simple string: one short line without CR and LF."""

    text: str


class Verbatim(NamedTuple):
    """Text for people (INFO)."""

    text: str


class Tags(NamedTuple):
    """A set of simple strings: the flags of a command."""

    tags: tuple[str, ...]


class ErrorReply(NamedTuple):
    """An error: a prefix of the interface, and one line."""

    code: str
    text: str


Value = (
    bytes | str | int | float | None | Status | Verbatim | Tags | ErrorReply | Sequence["Value"] | Mapping[str, "Value"]
)
"""What a command answers."""

OK: Final = Status("OK")
OK_BYTES: Final = b"+OK\r\n"

_UNSAFE: Final = dict.fromkeys([*range(32), 127], " ")


def encode(value: Value, *, resp3: bool) -> bytes:
    """Return the bytes of a reply."""
    if type(value) is bytes:
        return b"$%d\r\n%b\r\n" % (len(value), value)
    if value is OK:
        return OK_BYTES
    if value is None:
        return b"_\r\n" if resp3 else b"$-1\r\n"
    parts: list[bytes] = []
    _append(value, parts, resp3=resp3)
    return b"".join(parts)


def encode_error(code: str, text: str) -> bytes:
    """Return an error reply: one line, whatever the text holds."""
    return f"-{code} {text}".translate(_UNSAFE).encode(errors="replace") + b"\r\n"


def _append(value: Value, parts: list[bytes], *, resp3: bool) -> None:
    match value:
        case bytes():
            parts.append(b"$%d\r\n%b\r\n" % (len(value), value))
        case str():
            data = value.encode()
            parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
        case bool():
            parts.append((b"#t\r\n" if value else b"#f\r\n") if resp3 else b":%d\r\n" % value)
        case int():
            parts.append(b":%d\r\n" % value)
        case None:
            parts.append(b"_\r\n" if resp3 else b"$-1\r\n")
        case float():
            text = repr(value).encode()
            parts.append(b",%b\r\n" % text if resp3 else b"$%d\r\n%b\r\n" % (len(text), text))
        case Status(text=text_):
            parts.append(b"+%b\r\n" % text_.translate(_UNSAFE).encode())
        case ErrorReply(code=code, text=text_):
            parts.append(encode_error(code, text_))
        case Verbatim(text=text_):
            data = text_.encode()
            parts.append(
                b"=%d\r\ntxt:%b\r\n" % (len(data) + 4, data) if resp3 else b"$%d\r\n%b\r\n" % (len(data), data)
            )
        case Tags(tags=tags):
            parts.append(b"%b%d\r\n" % (b"~" if resp3 else b"*", len(tags)))
            parts.extend(b"+%b\r\n" % tag.encode() for tag in tags)
        case Mapping():
            parts.append(b"%%%d\r\n" % len(value) if resp3 else b"*%d\r\n" % (2 * len(value)))
            for key, item in value.items():
                _append(key, parts, resp3=resp3)
                _append(item, parts, resp3=resp3)
        case _:
            parts.append(b"*%d\r\n" % len(value))
            for item in value:
                _append(item, parts, resp3=resp3)
