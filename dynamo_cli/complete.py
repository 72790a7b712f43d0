"""The words that a shell asks for at a Tab: `dyn __complete keys|nodes|names|contexts PREFIX [-n NODE]… [-c CONTEXT]`.

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

from dynamo_cli import contexts
from dynamo_cli.errors import CliError
from dynamo_cli.layers import Layers

WAIT_S = 0.8
"""All the time a Tab may take."""
CALLS_MAX = 10
"""Pages asked for: a page may come back empty, its cursor not yet 0."""
WORDS_MAX = 200
"""More words than this help nobody to choose."""
REPLY_BYTES_MAX = 4 * 1024 * 1024


def complete(words: Sequence[str]) -> int:
    """Print the words that complete what was typed, one a line."""
    kind, prefix, nodes, context = _parse(words)
    try:
        if kind == "contexts":
            there = (*contexts.names(os.environ), *contexts.demos(os.environ), contexts.NONE)
            found = {name.encode() for name in there}
        else:
            layers = Layers(os.environ, context)
            asked = nodes or (layers.text("nodes") or "127.0.0.1:7700").replace(",", " ").split()
            link = _Link(asked, _password(layers))
            found = set(_keys(link, os.fsencode(prefix)) if kind == "keys" else _members(link, kind))
    except (CliError, OSError, ValueError):
        return 0
    lines = [word.decode() for word in sorted(found)[:WORDS_MAX] if _typable(word)]
    sys.stdout.write("".join(f"{line}\n" for line in lines if kind == "keys" or line.startswith(prefix)))
    return 0


def _parse(words: Sequence[str]) -> tuple[str, str, list[str], str | None]:
    """What is asked for, how it begins, and the nodes and the context that the line names."""
    plain: list[str] = []
    nodes: list[str] = []
    context = None
    rest = iter(words)
    for word in rest:
        if word in ("-n", "--node"):
            nodes += next(rest, "").replace(",", " ").split()
        elif word in ("-c", "--context"):
            context = next(rest, "") or None
        else:
            plain.append(word)
    return plain[0] if plain else "", plain[1] if len(plain) > 1 else "", nodes, context


def _typable(word: bytes) -> bool:
    try:
        return word.decode().isprintable()
    except UnicodeDecodeError:
        return False


class _Link:
    """One connection, for a few questions in the time of one Tab."""

    def __init__(self, nodes: Sequence[str], password: bytes) -> None:
        self._deadline = time.monotonic() + WAIT_S
        self._socket = self._connect(nodes)
        self._replies: BinaryIO = self._socket.makefile("rb")
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


def _password(layers: Layers) -> bytes:
    """As `environment.password_of`."""
    found = layers.find("password-file")
    here = layers.environ.get("DYN_PASSWORD", "") if layers.named is None else ""
    if found is None or (here and found.origin != "DYN_PASSWORD_FILE"):
        return os.fsencode(here)
    with open(os.path.expanduser(str(found.value)), "rb") as file:
        return file.read(4096).rstrip(b"\r\n")


def _keys(link: _Link, prefix: bytes) -> Iterator[bytes]:
    cursor, found = b"0", 0
    for _ in range(CALLS_MAX):
        reply = link.ask(b"DYN.KEYS", b"PREFIX", prefix, b"CURSOR", cursor, b"LIMIT", b"%d" % WORDS_MAX)
        if not isinstance(reply, list) or len(reply) != 2 or not isinstance(reply[1], list):
            return
        cursor = reply[0]
        yield from (key for key in reply[1] if isinstance(key, bytes))
        found += len(reply[1])
        if cursor == b"0" or found >= WORDS_MAX:
            return


def _members(link: _Link, kind: str) -> Iterator[bytes]:
    """Addresses of the members, or their names."""
    import json

    reply = link.ask(b"DYN.RING")
    if isinstance(reply, bytes):
        yield from (
            member["name" if kind == "names" else "address"].encode() for member in json.loads(reply)["members"]
        )
