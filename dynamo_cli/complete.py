"""The words that a shell asks for at a Tab: `dyn __complete keys PREFIX [-n NODE]…`, `dyn __complete nodes`, `… names`.

A person waits for it with a finger on the key, so it imports next to nothing, asks one node, and gives up early. It
says nothing on failure: a completion that prints errors ruins the line being typed.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from typing import BinaryIO

WAIT_S = 0.8
"""All the time a Tab may take."""
CALLS_MAX = 10
"""Pages asked for: a page may come back empty, its cursor not yet 0."""
WORDS_MAX = 200
"""More words than this help nobody to choose."""
REPLY_BYTES_MAX = 4 * 1024 * 1024


def complete(words: Sequence[str]) -> int:
    """Print the words that complete what was typed, one a line."""
    kind, prefix, nodes = _parse(words)
    try:
        found = sorted(set(_keys(nodes, os.fsencode(prefix)) if kind == "keys" else _members(nodes, kind)))
    except (OSError, ValueError):
        return 0
    lines = [word.decode() for word in found[:WORDS_MAX] if _typable(word)]
    sys.stdout.write("".join(f"{line}\n" for line in lines if kind == "keys" or line.startswith(prefix)))
    return 0


def _parse(words: Sequence[str]) -> tuple[str, str, list[str]]:
    plain, nodes = [], []
    rest = iter(words)
    for word in rest:
        if word in ("-n", "--node"):
            nodes.append(next(rest, ""))
        else:
            plain.append(word)
    if not any(nodes):
        nodes = os.environ.get("DYN_NODES", "").replace(",", " ").split() or ["127.0.0.1:7700"]
    return plain[0] if plain else "", plain[1] if len(plain) > 1 else "", [node for node in nodes if node]


def _typable(word: bytes) -> bool:
    try:
        return word.decode().isprintable()
    except UnicodeDecodeError:
        return False


class _Link:
    """One connection, for a few questions in the time of one Tab."""

    def __init__(self, nodes: Sequence[str]) -> None:
        self._deadline = time.monotonic() + WAIT_S
        self._socket = self._connect(nodes)
        self._replies: BinaryIO = self._socket.makefile("rb")
        password = _password()
        if password:
            self.ask(b"AUTH", password)

    def _connect(self, nodes: Sequence[str]) -> socket.socket:
        for node in nodes:
            host, _, port = node.rpartition(":") if ":" in node else (node, "", "7700")
            try:
                return socket.create_connection((host.strip("[]") or "127.0.0.1", int(port)), timeout=self._left())
            except OSError:
                continue
        raise OSError("nobody there")

    def _left(self) -> float:
        return max(0.001, self._deadline - time.monotonic())

    def ask(self, *words: bytes) -> object:
        """Ask and wait for the answer; an error reply is None."""
        self._socket.settimeout(self._left())
        self._socket.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
        return self._reply()

    def _reply(self) -> object:
        line = self._replies.readline(REPLY_BYTES_MAX).rstrip(b"\r\n")
        kind, rest = line[:1], line[1:]
        if kind == b"$":
            size = int(rest)
            if not -1 <= size <= REPLY_BYTES_MAX:
                raise ValueError("too long an answer")
            return None if size < 0 else self._replies.read(size + 2)[:-2]
        if kind == b"*":
            return [self._reply() for _ in range(min(int(rest), REPLY_BYTES_MAX))]
        if kind not in (b"+", b":", b"-"):
            raise ValueError("not RESP")
        return None


def _password() -> bytes:
    name = os.environ.get("DYN_PASSWORD_FILE")
    if not name:
        return os.fsencode(os.environ.get("DYN_PASSWORD", ""))
    with open(name, "rb") as file:
        return file.read(4096).rstrip(b"\r\n")


def _keys(nodes: Sequence[str], prefix: bytes) -> Iterator[bytes]:
    link, cursor, found = _Link(nodes), b"0", 0
    for _ in range(CALLS_MAX):
        reply = link.ask(b"DYN.KEYS", b"PREFIX", prefix, b"CURSOR", cursor, b"LIMIT", b"%d" % WORDS_MAX)
        if not isinstance(reply, list) or len(reply) != 2 or not isinstance(reply[1], list):
            return
        cursor = reply[0]
        yield from (key for key in reply[1] if isinstance(key, bytes))
        found += len(reply[1])
        if cursor == b"0" or found >= WORDS_MAX:
            return


def _members(nodes: Sequence[str], kind: str) -> Iterator[bytes]:
    """Addresses of the members, or their names."""
    import json

    reply = _Link(nodes).ask(b"DYN.RING")
    if isinstance(reply, bytes):
        yield from (
            member["name" if kind == "names" else "address"].encode() for member in json.loads(reply)["members"]
        )
