"""Client requests, from bytes: RESP arrays of bulk strings, and inline commands, as they arrive in pieces.

    take ──┬── fast   whole chunk to hiredis: nothing in it can make the parser allocate more than it was sent
           └── walk   byte by byte, bounds first: inline commands, long headers, halves of commands, strangers

Both read the same language (a test feeds them the same bytes). hiredis allocates an array as long as its header says,
so a chunk with a long header never reaches it; and hiredis keeps no half command: what is incomplete waits here, as
bytes, with the length that is worth another look. So a header of 2^31, a value that arrives in crumbs and a client
that says nothing all cost what was actually received, bounded by `Limits`.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import Any, Final, NamedTuple

import hiredis

from node.core.limits import (
    ARGUMENTS_MAX,
    BULK_BYTES_MAX,
    COMMAND_BYTES_MAX,
    INLINE_BYTES_MAX,
    PREAUTH_ARGUMENTS_MAX,
    PREAUTH_BULK_BYTES_MAX,
)
from node.wire.errors import RemoteWireError


class Limits(NamedTuple):
    """What a client may send. `kept_bytes` of one command stay in memory, longer ones are skipped up to `bulk_bytes`.

    With `one_by_one`, `take` gives one command at a time, so that an AUTH among them may change the limits.
    """

    arguments: int
    bulk_bytes: int
    kept_bytes: int
    inline_bytes: int
    one_by_one: bool


OPEN: Final = Limits(ARGUMENTS_MAX, BULK_BYTES_MAX, COMMAND_BYTES_MAX, INLINE_BYTES_MAX, one_by_one=False)
PREAUTH: Final = Limits(
    PREAUTH_ARGUMENTS_MAX,
    PREAUTH_BULK_BYTES_MAX,
    PREAUTH_ARGUMENTS_MAX * PREAUTH_BULK_BYTES_MAX,
    PREAUTH_BULK_BYTES_MAX,
    one_by_one=True,
)


ARGUMENT_COST_BYTES: Final = 48
"""What an argument of a half command costs beside its bytes: many short ones would hardly count else."""


class Oversized(NamedTuple):
    """A command whose arguments were too long to keep: its name (b"" if that was the long one) and its length."""

    name: bytes
    bytes: int


Item = list[bytes] | Oversized

HTTP: Final = "HTTP"
"""Code of the error that ends a connection without a word: a browser must not be able to make us say anything."""

_STAR: Final = ord("*")
_DOLLAR: Final = ord("$")
_MARK: Final = b":0\r\n"
_LONG_ARRAY: Final = re.compile(rb"\*(?:0|\d{4})")
_OTHER_TEXT: Final = re.compile(rb"\n[+=(]")  # hiredis takes other kinds of text for bulk strings
_SHORT_BULK: Final = re.compile(rb"\$(0|[1-9]\d{0,3})\r\n")
_NUMBER: Final = re.compile(rb"0|-?[1-9]\d{0,17}")
_HEADER_BYTES_MAX: Final = 24
_BLANK: Final = re.compile(rb"[\s\0]*")
_PLAIN: Final = re.compile(rb"""[^\s\0"']+""")
_DOUBLE: Final = re.compile(rb""""((?:[^"\\]|\\.)*)"(?=[\s\0]|$)""", re.DOTALL)
_SINGLE: Final = re.compile(rb"""'((?:[^'\\]|\\.)*)'(?=[\s\0]|$)""", re.DOTALL)
_ESCAPE: Final = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_ESCAPES: Final = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}


class RequestReader:
    """Feed it what the socket gave; take commands until there is none. After `error` is set it reads no further."""

    __slots__ = ("error", "limits", "_at", "_buffer", "_command", "_need", "_reader", "_skip")

    def __init__(self, limits: Limits = OPEN) -> None:
        self.limits = limits
        self.error: RemoteWireError | None = None
        self._reader = hiredis.Reader()
        self._buffer: bytes | bytearray = b""
        self._at = 0
        self._need = 1
        self._skip = 0
        self._command: _Command | None = None

    def feed(self, data: bytes) -> None:
        """Add what arrived."""
        if not self._buffer:
            self._buffer = data
            return
        if isinstance(self._buffer, bytes):
            self._buffer = bytearray(self._buffer)
        self._buffer += data

    @property
    def held_bytes(self) -> int:
        """Bytes in memory that are no command yet."""
        return len(self._buffer) + (self._command.kept_bytes if self._command is not None else 0)

    def take(self) -> list[Item]:
        """Return commands that are complete, in order; an empty list when more bytes are needed (or `error` is set)."""
        if len(self._buffer) < self._need or self.error is not None:
            return []
        if self._command is None and not self.limits.one_by_one and self._buffer[0] == _STAR:
            items = self._fast()
            if items is not None:
                return items
        return self._walk()

    # The fast way ------------------------------------------------------------------------------------------

    def _fast(self) -> list[Item] | None:
        """Let hiredis parse the chunk. None, and nothing consumed: this one needs a careful look."""
        if len(self._buffer) > self.limits.kept_bytes:
            return None
        data = self._buffer if isinstance(self._buffer, bytes) else bytes(self._buffer)
        if b">" in data or b"~" in data or _LONG_ARRAY.search(data) is not None or _OTHER_TEXT.search(data) is not None:
            return None
        if data.endswith(b"\r\n"):
            items = self._parse(data, mark=_MARK)
            if items and type(items[-1]) is int:
                items.pop()
                if _are_requests(items):
                    self._buffer = b""
                    return items
            self._reader = hiredis.Reader()
        items = self._parse(data, mark=b"")
        self._reader = hiredis.Reader()
        if items is None or not _are_requests(items):
            return None
        return items + self._rest(data, items)

    def _parse(self, data: bytes, *, mark: bytes) -> list[Any] | None:
        """Everything that is complete. The mark comes out as a number of its own only if nothing is left before it."""
        reader = self._reader
        items: list[Any] = []
        try:
            reader.feed(data)
            if mark:
                reader.feed(mark)
            while (item := reader.gets()) is not False:
                items.append(item)
        except hiredis.ProtocolError:
            return None
        return items

    def _rest(self, data: bytes, items: list[list[bytes]]) -> list[Item]:
        """hiredis stopped inside something: find where that began, keep it as bytes, and look at its headers.

        Most often it is half a command. A line that begins like a bulk string is a command all the same.
        """
        at = 0
        for item in items:
            words: tuple[Any, ...] = tuple(item)
            at += len(hiredis.pack_command(words))
        self._buffer = bytearray(data[at:])
        return self._walk()

    # The careful way ---------------------------------------------------------------------------------------

    def _walk(self) -> list[Item]:
        """Read commands with every bound checked before it matters. Leaves `_need` at what the next look needs."""
        items: list[Item] = []
        self._at = 0
        one = self.limits.one_by_one or self._command is not None
        try:
            while self._at < len(self._buffer):
                item = self._next()
                if item is None:
                    break
                if not item:
                    continue
                items.append(item)
                if one:
                    break
        except RemoteWireError as error:
            self.error = error
            self._buffer = b""
            return items
        if self._at == len(self._buffer):
            self._buffer = b""
        elif self._at:
            if isinstance(self._buffer, bytes):
                self._buffer = bytearray(self._buffer)
            del self._buffer[: self._at]
        self._at = 0
        return items

    def _next(self) -> Item | None:
        """One command, [] for an empty one, None if it is not all there yet."""
        buffer = self._buffer
        command = self._command
        if command is None:
            if buffer[self._at] != _STAR:
                return self._inline()
            count = self._number(self._at + 1, "invalid multibulk length", "too big mbulk count string")
            if count is None:
                return None
            if count > self.limits.arguments:
                raise RemoteWireError("invalid multibulk length" if not self.limits.one_by_one else _UNAUTHENTICATED[0])
            self._need = 1
            if count <= 0:
                return []
            command = self._command = _Command(count)
        while command.missing:
            if not (self._short(command) or self._argument(command)):
                return None
        self._command = None
        self._need = 1
        return Oversized(command.name, command.bytes) if command.skipped else command.arguments

    def _short(self, command: _Command) -> bool:
        """Read one argument of the usual kind: short and there. Anything else is for `_argument`."""
        match = None if self._skip or command.skipped else _SHORT_BULK.match(self._buffer, self._at)
        if match is None:
            return False
        start = match.end()
        end = start + int(match[1])
        if end + 2 > len(self._buffer) or command.bytes + end - start > self.limits.kept_bytes:
            return False
        command.bytes += end - start
        command.add(bytes(self._buffer[start:end]))
        self._at = end + 2
        return True

    def _argument(self, command: _Command) -> bool:
        """Read one argument into `command`; False if it is not all there yet."""
        if not self._skip:
            if self._at >= len(self._buffer):
                self._need = 1
                return False
            if self._buffer[self._at] != _DOLLAR:
                got = chr(self._buffer[self._at])
                raise RemoteWireError(f"expected '$', got {got!r}")
            start = self._at
            length = self._number(start + 1, "invalid bulk length", "too big bulk count string")
            if length is None:
                return False
            if not 0 <= length <= self.limits.bulk_bytes:
                raise RemoteWireError("invalid bulk length" if not self.limits.one_by_one else _UNAUTHENTICATED[1])
            command.bytes += length
            if command.bytes <= self.limits.kept_bytes:
                return self._kept(command, start, length)
            command.skipped = True
            command.drop()
            self._skip = length + 2
        dropped = min(self._skip, len(self._buffer) - self._at)
        self._at += dropped
        self._skip -= dropped
        self._need = 1
        if not self._skip:
            command.missing -= 1
        return not self._skip

    def _kept(self, command: _Command, start: int, length: int) -> bool:
        end = self._at + length + 2
        if end > len(self._buffer):
            command.bytes -= length
            self._at = start
            self._need = end - start
            return False
        with memoryview(self._buffer) as view:
            argument = bytes(view[self._at : end - 2])
        command.add(argument)
        self._at = end
        return True

    def _number(self, start: int, invalid: str, endless: str) -> int | None:
        """The number of a header line that begins at `start`, the cursor moved behind it; None if it goes on."""
        end = self._buffer.find(b"\r\n", start, start + _HEADER_BYTES_MAX)
        if end < 0:
            have = len(self._buffer) - start
            if have >= _HEADER_BYTES_MAX:
                raise RemoteWireError(endless)
            self._need = len(self._buffer) - self._at + 1
            return None
        digits = bytes(self._buffer[start:end])
        if _NUMBER.fullmatch(digits) is None:
            raise RemoteWireError(invalid)
        self._at = end + 2
        return int(digits)

    def _inline(self) -> list[bytes] | None:
        """A line typed by hand (or an HTTP request, which ends the connection)."""
        bound = self._at + self.limits.inline_bytes
        end = self._buffer.find(b"\n", self._at, bound)
        if end < 0:
            if len(self._buffer) >= bound:
                raise RemoteWireError("too big inline request")
            self._need = len(self._buffer) - self._at + 1
            return None
        line = bytes(self._buffer[self._at : end]).removesuffix(b"\r")
        self._at = end + 1
        self._need = 1
        if looks_like_http(line):
            raise RemoteWireError(HTTP)
        words = split_line(line)
        if words is None:
            raise RemoteWireError("unbalanced quotes in request")
        return words


_UNAUTHENTICATED: Final = ("unauthenticated multibulk length", "unauthenticated bulk length")


def _are_requests(items: list[Any]) -> bool:
    """Whether hiredis found arrays of bulk strings and nothing else."""
    if items and set(map(type, items)) != {list}:
        return False
    try:
        b"".join(chain.from_iterable(items))
    except TypeError:
        return False
    return True


class _Command:
    """A command of which not everything has arrived."""

    __slots__ = ("arguments", "bytes", "kept_bytes", "missing", "name", "skipped")

    def __init__(self, missing: int) -> None:
        self.missing = missing
        self.arguments: list[bytes] = []
        self.name = b""
        self.bytes = 0
        self.kept_bytes = 0
        self.skipped = False

    def add(self, argument: bytes) -> None:
        """One more argument; an oversized command keeps none of them."""
        self.missing -= 1
        if not self.arguments and not self.skipped:
            self.name = argument[:64]
        if not self.skipped:
            self.arguments.append(argument)
            self.kept_bytes += len(argument) + ARGUMENT_COST_BYTES

    def drop(self) -> None:
        """Forget the arguments: there is more than may be kept."""
        self.arguments = []
        self.kept_bytes = 0


def looks_like_http(line: bytes) -> bool:
    """Whether a line is the beginning of an HTTP request: `POST …`, `Host: …`, `… HTTP/1.1`."""
    words = line.split(None, 1)
    first = words[0].lower() if words else b""
    return first in (b"post", b"host:") or b" HTTP/1." in line or b" HTTP/2" in line


def split_line(line: bytes) -> list[bytes] | None:
    r"""Return the words of an inline command, None if its quotes do not close.

    As in Redis: "…" with \n, \r, \t, \b, \a, \xHH, and '…' with \' only; a closing quote ends the word.
    """
    if b'"' not in line and b"'" not in line and b"\0" not in line:
        return line.split()
    words: list[bytes] = []
    at = _BLANK.match(line).end()  # type: ignore[union-attr]  # matches the empty string too
    while at < len(line):
        word = b""
        plain = _PLAIN.match(line, at)
        if plain is not None:
            word, at = plain[0], plain.end()
        if at < len(line) and line[at] in b"\"'":
            quoted = (_DOUBLE if line[at] == ord('"') else _SINGLE).match(line, at)
            if quoted is None:
                return None
            word += _ESCAPE.sub(_unescape, quoted[1]) if quoted.re is _DOUBLE else quoted[1].replace(b"\\'", b"'")
            at = quoted.end()
        words.append(word)
        at = _BLANK.match(line, at).end()  # type: ignore[union-attr]  # matches the empty string too
    return words


def _unescape(match: re.Match[bytes]) -> bytes:
    if match[1] is not None:
        return bytes([int(match[1], 16)])
    return _ESCAPES.get(match[2], match[2])
