"""Redis' patterns: `*`, `?`, `[a-c]`, `[^a]`, and a backslash before what shall be literal."""

from __future__ import annotations

import re
from collections.abc import Callable

_SPECIAL = re.compile(rb"[*?\[\\]")


def literal_prefix(pattern: bytes) -> bytes:
    """Return what every match begins with."""
    match = _SPECIAL.search(pattern)
    return pattern if match is None else pattern[: match.start()]


def matcher(pattern: bytes) -> Callable[[bytes], bool]:
    """Return a test for keys. Its time is bounded: no star takes back what it gave (each finds its first place)."""
    segments = [b""]
    at = 0
    while at < len(pattern):
        char = pattern[at : at + 1]
        at += 1
        if char == b"*":
            segments.append(b"")
        elif char == b"?":
            segments[-1] += b"."
        elif char == b"[":
            group, at = _group(pattern, at)
            segments[-1] += group
        else:
            if char == b"\\" and at < len(pattern):
                char = pattern[at : at + 1]
                at += 1
            segments[-1] += re.escape(char)
    first, *rest = segments
    expression = first
    if rest:
        *middle, last = rest
        expression += b"".join(b"(?>.*?%b)" % segment for segment in middle if segment) + b".*" + last
    compiled = re.compile(expression + rb"\Z", re.DOTALL)
    return lambda key: compiled.match(key) is not None


def _group(pattern: bytes, at: int) -> tuple[bytes, int]:
    """The class that opened before `at`, and where the pattern goes on; one that is never closed ends with it."""
    negated = pattern[at : at + 1] == b"^"
    at += negated
    members = b""
    while at < len(pattern) and pattern[at : at + 1] != b"]":
        if pattern[at : at + 1] == b"\\" and at + 1 < len(pattern):
            at += 1
        low = pattern[at]
        high = low
        if pattern[at + 1 : at + 2] == b"-" and at + 2 < len(pattern):
            high = pattern[at + 2]
            at += 2
        low, high = min(low, high), max(low, high)
        members += b"\\x%02x-\\x%02x" % (low, high)
        at += 1
    at += 1
    if not members:
        return (b"." if negated else b"(?!)"), at
    return b"[%b%b]" % (b"^" if negated else b"", members), at
