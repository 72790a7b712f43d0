"""A small RESP server with scripted answers: a real socket to test the command line against, and nothing behind it.

`FakeNode(replies)` answers each command by its first word. A reply is a value (bytes, int, None, list), an `Err`, HANG
(say nothing), HANG_UP (close the connection), or a function of the arguments that returns one of these.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import hiredis


class Err(NamedTuple):
    """An error reply: `Err("UNAVAILABLE no")`."""

    text: str


class Sentinel(NamedTuple):
    """Something other than a reply."""

    name: str


HANG = Sentinel("hang")
HANG_UP = Sentinel("hang up")

Reply = Any


class FakeNode:
    """Listens on a port of 127.0.0.1 until closed. `asked` is what it was asked, without the introduction."""

    def __init__(self, replies: dict[str, Reply], *, port: int = 0) -> None:
        self.replies: dict[str, Reply] = {"CLIENT": b"OK", **replies}
        self.asked: list[tuple[bytes, ...]] = []
        self.introductions: list[tuple[bytes, ...]] = []
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self._open = [self._listener]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        """Stop listening and hang up on everybody."""
        for opened in self._open:
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
            opened.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        reader = hiredis.Reader()
        with contextlib.suppress(OSError), connection:
            while data := connection.recv(65536):
                reader.feed(data)
                while (words := reader.gets()) is not False:
                    answer = self._answer(words)
                    if answer is HANG_UP:
                        return
                    if answer is not HANG:
                        connection.sendall(packed(answer))

    def _answer(self, words: list[bytes]) -> Reply:
        name = words[0].decode().upper()
        (self.introductions if name in ("CLIENT", "AUTH") else self.asked).append(tuple(words))
        answer = self.replies.get(name, Err(f"ERR unknown command '{name}'"))
        return answer(*words[1:]) if callable(answer) else answer


def packed(value: Reply) -> bytes:
    """A value as RESP2. A dict is a JSON document."""
    if isinstance(value, Err):
        return b"-%s\r\n" % value.text.encode()
    if isinstance(value, dict):
        value = json.dumps(value).encode()
    if value is None:
        return b"$-1\r\n"
    if isinstance(value, int):
        return b":%d\r\n" % value
    if isinstance(value, bytes):
        return b"$%d\r\n%s\r\n" % (len(value), value)
    return b"*%d\r\n%s" % (len(value), b"".join(map(packed, value)))


@contextlib.contextmanager
def fake_node(replies: dict[str, Reply] | None = None, **more: Reply) -> Iterator[FakeNode]:
    """A fake node for the length of a test. `DYN_GET=…` stands for `DYN.GET`."""
    node = FakeNode({**(replies or {}), **{name.replace("_", "."): reply for name, reply in more.items()}})
    try:
        yield node
    finally:
        node.close()


def version(value: bytes | None, clock: dict[str, int], *, writer: str = "ada@host", **more: object) -> tuple[Any, ...]:
    """One version for `reading`: its value and its story."""
    node, n = next(reversed(clock.items()))
    story = {"dot": f"{node}:{n}", "clock": clock, "written_at": "2026-11-23T12:03:11.402Z", "writer": writer}
    return value, {**story, "deleted": value is None, **more}


def reading(*versions: tuple[Any, ...], context: bytes = b"c0ntext") -> Callable[..., Reply]:
    """A reply to DYN.GET that holds these versions."""

    def answer(*words: bytes) -> Reply:
        values = [value for value, _ in versions if value is not None]
        stories = [json.dumps(story).encode() for _, story in versions]
        found: list[Reply] = [context if versions else b"", values]
        return [*found, stories] if b"WITHCLOCKS" in words else found

    return answer


RECEIPT = [b"c0ntext2", {"acks": [{"node": "n1", "durable": True, "hint_for": None}], "w": 1, "siblings": 1}]
"""A reply to DYN.PUT … RECEIPT."""
