"""The password of the client port: compared in constant time, never shown."""

from __future__ import annotations

import hmac
from hashlib import sha256
from ipaddress import ip_address

from node.core.limits import AUTH_DELAY_S

USER = b"default"
"""The only user name that AUTH takes."""


class Password:
    """What a client must know. Only a digest stays in memory."""

    __slots__ = ("_digest",)

    def __init__(self, secret: bytes) -> None:
        assert secret, "a password is not empty"
        self._digest = sha256(secret).digest()

    def matches(self, user: bytes, secret: bytes) -> bool:
        """Compare in time that does not depend on where they differ."""
        right_user = hmac.compare_digest(user, USER)
        return hmac.compare_digest(sha256(secret).digest(), self._digest) and right_user

    def __repr__(self) -> str:
        return "Password(…)"


def delay_s(attempts: int) -> float:
    """How long the answer to the n-th wrong password of a connection waits."""
    return AUTH_DELAY_S * float(2 ** (attempts - 1))


def is_loopback(host: str) -> bool:
    """Whether a peer's address is this machine's own; what is no address (a socket file) is."""
    try:
        address = ip_address(host.split("%", 1)[0])
    except ValueError:
        return True
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
