"""Context tokens: what a reader knew, sealed, to be given back with its write.

A token is opaque to clients and fits one word of any protocol: canonical base64url without padding of

    version  key id  clock                                                              MAC
    1 byte   1 byte  per dot epoch: epoch, count, then (birth's step, n) for each       16 bytes

The clock's epochs are 8 bytes, its other numbers varints (7 bits a byte, lowest first, no padding); births are
sorted, so only their steps are told. The MAC (HMAC-SHA256, cut to 16 bytes) is over the cluster id, the key and
everything before it: a token of another key, cluster or secret is a forgery like any other. It is no secret what a
token says, only that a member of the cluster said it.

The empty clock is the empty token: who saw nothing needs no proof of it.
"""

from __future__ import annotations

import hmac
from base64 import b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from node.core.cluster import Secret
from node.core.limits import CONTEXT_TOKEN_BYTES_MAX
from node.core.row import Clock, Dot
from node.core.version import check_clock

VERSION: Final = 1
MAC_BYTES: Final = 16
HEAD_BYTES: Final = 2
EPOCH_BYTES: Final = 8
VARINT_BYTES_MAX: Final = 9
"""63 bits, the range of births and counters."""


@dataclass(frozen=True, slots=True)
class BadContext:
    """Why there is no context, in words that can stand before a semicolon in an error message."""

    why: str


MALFORMED: Final = BadContext("this is no context token")
FOREIGN: Final = BadContext("the context is of another key or cluster, or was altered")
RETIRED: Final = BadContext("the context was sealed with a secret this cluster no longer knows")
TOO_LONG: Final = BadContext(f"the context is longer than {CONTEXT_TOKEN_BYTES_MAX} bytes")


def seal(clock: Clock, key: bytes, cluster_id: str, secrets: tuple[Secret, ...]) -> bytes | BadContext:
    """Return the token of `clock` for `key`, under the first of `secrets`, the present one.

    A clock whose token would be over CONTEXT_TOKEN_BYTES_MAX has none: BadContext.
    """
    if not clock:
        return b""
    key_id, secret = secrets[0]
    body = bytes((VERSION, key_id)) + _packed(clock)
    token = urlsafe_b64encode(body + _mac(body, key, cluster_id, secret)).rstrip(b"=")
    return token if len(token) <= CONTEXT_TOKEN_BYTES_MAX else TOO_LONG


def open_token(token: bytes, key: bytes, cluster_id: str, secrets: tuple[Secret, ...]) -> Clock | BadContext:
    """Return the clock in `token`, or why it is no token of this key, this cluster and one of `secrets`."""
    if not token:
        return ()
    if len(token) > CONTEXT_TOKEN_BYTES_MAX:
        return TOO_LONG
    try:
        data = b64decode(token + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except Base64Error:
        return MALFORMED
    if urlsafe_b64encode(data).rstrip(b"=") != token or len(data) < HEAD_BYTES + MAC_BYTES or data[0] != VERSION:
        return MALFORMED
    body, mac = data[:-MAC_BYTES], data[-MAC_BYTES:]
    known = [secret for key_id, secret in secrets if key_id == body[1]]
    if not known:
        return RETIRED
    if not any(hmac.compare_digest(mac, _mac(body, key, cluster_id, secret)) for secret in known):
        return FOREIGN
    clock = _unpacked(body[HEAD_BYTES:])
    return MALFORMED if clock is None else clock


def _mac(body: bytes, key: bytes, cluster_id: str, secret: bytes) -> bytes:
    """What only a holder of `secret` can compute. The lengths keep cluster, key and body apart."""
    cluster = cluster_id.encode()
    bound = b"dyn context%d,%d:%b%b%b" % (len(cluster), len(key), cluster, key, body)
    return hmac.digest(secret, bound, "sha256")[:MAC_BYTES]


def _packed(clock: Clock) -> bytes:
    out = bytearray()
    for epoch, group in groupby(clock, lambda dot: dot.epoch):
        dots = list(group)
        out += epoch.to_bytes(EPOCH_BYTES, "big")
        _put(out, len(dots))
        last = 0
        for dot in dots:
            _put(out, dot.birth - last)
            _put(out, dot.n)
            last = dot.birth
    return bytes(out)


def _unpacked(data: bytes) -> Clock | None:
    """The clock in `data`; None unless it is exactly what `_packed` makes of a well-formed one that is not empty."""
    dots: list[Dot] = []
    at, last_epoch = 0, -1
    try:
        while at < len(data):
            epoch = int.from_bytes(data[at : at + EPOCH_BYTES], "big")
            count, at = _take(data, at + EPOCH_BYTES)
            birth = 0
            for _ in range(count):
                step, at = _take(data, at)
                n, at = _take(data, at)
                birth += step
                dots.append(Dot(epoch, birth, n))
            if epoch <= last_epoch or count == 0:
                return None
            last_epoch = epoch
        check_clock(tuple(dots))
    except (IndexError, ValueError):
        return None
    return tuple(dots) or None


def _put(out: bytearray, number: int) -> None:
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)


def _take(data: bytes, at: int) -> tuple[int, int]:
    """The varint at `at` and where the next one begins; IndexError when there is none, or one longer than need be."""
    number = data[at]
    if number < 0x80:
        return number, at + 1
    number &= 0x7F
    for shift in range(7, 7 * VARINT_BYTES_MAX, 7):
        at += 1
        byte = data[at]
        number |= (byte & 0x7F) << shift
        if 0 < byte < 0x80:
            return number, at + 1
        if byte == 0:
            break
    raise IndexError("no varint")
