"""Bytes and times as JSON shows them: one rule for every document, reply and screen."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime


def as_text(data: bytes) -> tuple[str, str]:
    """Return the text for `data` and its encoding: ("…", "utf8"), or base64 where it is no UTF-8."""
    try:
        return data.decode(), "utf8"
    except UnicodeDecodeError:
        return b64encode(data).decode(), "base64"


def as_time(unix_ms: int) -> str:
    """Return Unix milliseconds as RFC 3339 in UTC: `2026-11-23T12:03:11.402Z`. Out of range: clamped, not an error."""
    clamped = min(max(unix_ms, 0), 253_402_300_799_999)
    return datetime.fromtimestamp(clamped / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
