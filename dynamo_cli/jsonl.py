"""The file of `dyn export`: JSON lines, each whole in itself, so that a cut file is worth all its whole lines.

    {"schema":"dyn.export/v1","cluster":"dyn","cluster_id":"1dfa…","prefix":"","enc":"utf8"}
    {"key":"cart:7","enc":"utf8","values":[{"value":"milk","enc":"utf8"},{"value":"3q0=","enc":"base64"}]}
    {"schema":"dyn.export.end/v1","keys":1,"values":2,"siblings":1,"bytes":12}

With contexts the first line has "contexts":true and each key "context":"…": what it was when its values were read.

A key's values are all its siblings. What is not UTF-8, or has control characters that JSON writes long, is base64. The
last line says that it is complete, and what it holds: `siblings` keys with several values, `bytes` of keys and values.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.render.plain import encode, json_text
from node.core.limits import CONTEXT_TOKEN_BYTES_MAX, KEY_BYTES_MAX, SIBLINGS_MAX, VALUE_BYTES_CEILING
from node.core.limits_backup import EXPORT_LINE_BYTES_MAX

HEADER, END = "dyn.export/v1", "dyn.export.end/v1"

COUNTED = ("keys", "values", "siblings", "bytes")

_CONTROLS = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class Header(NamedTuple):
    """Where an export comes from, and whether it has the contexts of its keys."""

    cluster: str
    cluster_id: str
    prefix: bytes
    contexts: bool = False

    def line(self) -> bytes:
        """The first line of a file."""
        prefix, enc = encode(self.prefix)
        document = {"schema": HEADER, "cluster": self.cluster, "cluster_id": self.cluster_id}
        more = {"contexts": True} if self.contexts else {}
        return json_text({**document, "prefix": prefix, "enc": enc, **more}).encode()


class Counts(NamedTuple):
    """What the lines of a file come to."""

    keys: int = 0
    values: int = 0
    siblings: int = 0
    size_bytes: int = 0

    def with_entry(self, entry: Entry) -> Counts:
        """These and one key more."""
        several = len(entry.values) > 1
        return Counts(
            self.keys + 1, self.values + len(entry.values), self.siblings + several, self.size_bytes + entry.size_bytes
        )

    def told(self) -> dict[str, int]:
        """The counts as documents name them."""
        return dict(zip(COUNTED, self, strict=True))

    def line(self) -> bytes:
        """The last line of a complete file."""
        return json_text({"schema": END, **self.told()}).encode()


class Entry(NamedTuple):
    """One key with all its values, the line that it stands in, from 1, and its context, b"" if that is not told."""

    key: bytes
    values: tuple[bytes, ...]
    number: int = 0
    context: bytes = b""

    @property
    def size_bytes(self) -> int:
        """Of the key and its values."""
        return len(self.key) + sum(map(len, self.values))

    def line(self) -> bytes:
        """The entry as a line."""
        key, enc = encoded(self.key)
        values = [dict(zip(("value", "enc"), encoded(value), strict=True)) for value in self.values]
        more = {"context": self.context.decode("ascii", "replace")} if self.context else {}
        return json_text({"key": key, "enc": enc, "values": values, **more}).encode()


def encoded(data: bytes) -> tuple[str, str]:
    """Bytes as text that stays on a line or two, and how: utf8, or base64."""
    return (base64.b64encode(data).decode(), "base64") if _CONTROLS.search(data) else encode(data)


class BadLine(CliError):
    """A line is none of ours."""

    def __init__(self, number: int, why: str) -> None:
        message = f"line {number} is no line of an export: {why}"
        super().__init__(ExitStatus.FAILURE, message, "What stands before it is whole", code="BADLINE")


def lines_of(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a file with their numbers, from 1; what follows the last end of line without it.

    Raises BadLine for one that is too long to be ours.
    """
    number = 0
    while line := file.readline(EXPORT_LINE_BYTES_MAX + 1):
        number += 1
        if len(line) > EXPORT_LINE_BYTES_MAX:
            raise BadLine(number, f"it is longer than {EXPORT_LINE_BYTES_MAX} bytes")
        yield number, line


def read_line(number: int, line: bytes) -> Header | Entry | Counts:
    """What one line says. Raises BadLine."""
    import json

    if not line.endswith(b"\n"):
        raise BadLine(number, "it has no end: the file was cut off here")
    try:
        document = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadLine(number, f"it is not JSON ({error})") from None
    if not isinstance(document, dict):
        raise BadLine(number, "it is no JSON object")
    schema = document.get("schema")
    try:
        if schema == HEADER:
            texts = _text(document, "cluster"), _text(document, "cluster_id")
            return Header(*texts, _bytes(document, "prefix"), document.get("contexts") is True)
        if schema == END:
            return Counts(*(_count(document, name) for name in COUNTED))
        if schema is None:
            return _entry(number, document)
    except ValueError as error:
        raise BadLine(number, str(error)) from None
    raise BadLine(number, f"it has the schema {str(schema)[:64]!a}")


def _entry(number: int, document: dict[str, object]) -> Entry:
    key, values = checked_key(_bytes(document, "key")), document.get("values")
    if not isinstance(values, list):
        raise ValueError('"values" is no list')
    found = []
    for value in values:
        if not isinstance(value, dict):
            raise ValueError("a value is no JSON object")
        found.append(_bytes(value, "value"))
    context = _text(document, "context") if "context" in document else ""
    return Entry(key, checked_values(found), number, checked_context(context))


def checked_key(key: bytes) -> bytes:
    """A key of a file. Raises ValueError for one that no cluster would take."""
    if not 0 < len(key) <= KEY_BYTES_MAX:
        raise ValueError(f"its key has {len(key)} bytes, 1 to {KEY_BYTES_MAX} are allowed")
    return key


def checked_values(values: list[bytes]) -> tuple[bytes, ...]:
    """The values of a key. Raises ValueError."""
    if not 0 < len(values) <= SIBLINGS_MAX:
        raise ValueError(f"its key has {len(values)} values, 1 to {SIBLINGS_MAX} are allowed")
    for value in values:
        if len(value) > VALUE_BYTES_CEILING:
            raise ValueError(f"a value has {len(value)} bytes, {VALUE_BYTES_CEILING} are allowed")
    return tuple(values)


def checked_context(context: str) -> bytes:
    """A context as it may be one: what it covers only a node can tell. Raises ValueError."""
    if not context.isascii() or not context.isprintable() or len(context) > CONTEXT_TOKEN_BYTES_MAX:
        raise ValueError("its context is none")
    return context.encode()


def _text(document: dict[str, object], name: str) -> str:
    found = document.get(name)
    if not isinstance(found, str):
        raise ValueError(f'it has no text "{name}"')
    return found


def _bytes(document: dict[str, object], name: str) -> bytes:
    return decoded(name, _text(document, name), _text(document, "enc"))


def decoded(name: str, text: str, enc: str) -> bytes:
    """The bytes that a text stands for. Raises ValueError."""
    if enc == "base64":
        try:
            return base64.b64decode(text, validate=True)
        except binascii.Error:
            raise ValueError(f'"{name}" is not base64') from None
    if enc != "utf8":
        raise ValueError('"enc" is neither utf8 nor base64')
    return text.encode()  # a lone surrogate is no text: UnicodeEncodeError is a ValueError


def _count(document: dict[str, object], name: str) -> int:
    found = document.get(name)
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise ValueError(f'it has no number "{name}"')
    return found
