"""Whoever announces nodes that are none: packets of multicast DNS put together by hand (RFC 1035, section 4; RFC 6763).

with Forger("10.77.0.254") as forger:
    forger.announce("x._dyn._tcp.local.", "198.51.100.1", 7800, {"cluster": "dyn", "node": "…"})
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Mapping, Sequence

from node.runtime.discovery import SERVICE

GROUP = ("224.0.0.251", 5353)
IN, FLUSH = 1, 0x8001
PTR, TXT, SRV, A = 12, 16, 33, 1
TTL_S = 4500
AT_ONCE = 15
"""Nodes that one packet has room for: zeroconf takes 9,000 bytes."""


def name_bytes(name: str) -> bytes:
    """A name as it is in a packet, without compression."""
    labels = [label.encode() for label in name.rstrip(".").split(".")]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def record(name: str, kind: int, data: bytes, *, ttl_s: int = TTL_S) -> bytes:
    """One resource record."""
    kind_and_class = struct.pack("!HHIH", kind, IN if kind == PTR else FLUSH, ttl_s, len(data))
    return name_bytes(name) + kind_and_class + data


def packet(*records: bytes) -> bytes:
    """An unasked answer of these records."""
    return struct.pack("!HHHHHH", 0, 0x8400, 0, len(records), 0, 0) + b"".join(records)


def text_bytes(words: Mapping[str, str | bytes]) -> bytes:
    """The particulars of a service: `name=value`, each with its length before it."""
    values = {name: value.encode() if isinstance(value, str) else value for name, value in words.items()}
    pairs = [name.encode() + b"=" + value for name, value in values.items()]
    return b"".join(bytes([len(pair)]) + pair for pair in pairs) or b"\0"


def pointer(name: str, *, ttl_s: int = TTL_S) -> bytes:
    """The record that says that there is a node of this name."""
    return record(SERVICE, PTR, name_bytes(name), ttl_s=ttl_s)


class Forger:
    """Sends from one address of this machine to whoever listens on that network."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._socket.bind((address, 0))

    def __enter__(self) -> Forger:
        return self

    def __exit__(self, *exc: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send a packet, whatever is in it."""
        self._socket.sendto(data, GROUP)

    def announce(self, node: str, address: str, port: int, words: Mapping[str, str | bytes]) -> None:
        """Announce the name `node`, at an address, with these particulars."""
        self.send(packet(*announcement(node, address, port, words)))

    def claim(self, number: int, address: str, port: int, cluster: str, *, node: str | None = None) -> None:
        """Announce a node as a node of `cluster` would; its id is made from `number`, unless it is given."""
        self.send(packet(*claim(number, address, port, cluster, node)))

    def flood(self, numbers: Sequence[int], cluster: str, place: Callable[[int], tuple[str, int]]) -> None:
        """Claim many nodes in few packets, so that no receiver drops one; `place` has the address and port of each."""
        for start in range(0, len(numbers), AT_ONCE):
            chunk = numbers[start : start + AT_ONCE]
            self.send(packet(*(each for number in chunk for each in claim(number, *place(number), cluster, None))))


def announcement(node: str, address: str, port: int, words: Mapping[str, str | bytes]) -> list[bytes]:
    """The records of one service."""
    name, host = f"{node}.{SERVICE}", f"dyn-{node}.local."
    where = struct.pack("!HHH", 0, 0, port) + name_bytes(host)
    return [
        pointer(name),
        record(name, SRV, where),
        record(name, TXT, text_bytes(words)),
        record(host, A, socket.inet_aton(address)),
    ]


def claim(number: int, address: str, port: int, cluster: str, node: str | None) -> list[bytes]:
    """The records of what says that it is a node of `cluster`."""
    node = f"{number:032x}" if node is None else node
    words = {"cluster": cluster, "id": "0" * 16, "node": node, "port": str(port), "v": "1"}
    return announcement(node, address, port, words)
