"""Results of requests as reply values: one function for each way in which a command answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from node.core.row import Version
from node.core.version import own_clock
from node.wire.clocks import Namer
from node.wire.replies import OK, ErrorReply, Status, Value
from node.wire.requests import Document, Failed, Found, Get, KeyPage, Put, Request, Result, ToldKeys, Written
from node.wire.text import as_text, as_time

Names = Callable[[], Mapping[int, str]]
"""Gives node names by dot epoch, for clocks that people read."""


def shown_key(key: bytes, most: int = 64) -> str:
    """Return a key as error messages show it: cut, and in base64 if it is no text."""
    text, encoding = as_text(key)
    text = text if len(text) <= most else text[:most] + "…"
    return text if encoding == "utf8" else f"base64:{text}"


def failed(result: Result) -> ErrorReply:
    """The error of a request that was not done, or whose outcome is not known."""
    assert isinstance(result, Failed), f"no reply is made of {result!r}"
    return ErrorReply(result.code, result.text)


def ok(request: Request, result: Result, names: Names) -> Value:
    """SET."""
    return OK if type(result) is Written else failed(result)


def one_value(request: Request, result: Result, names: Names) -> Value:
    """GET: one value, nil, or an error that names the way out of siblings."""
    if type(result) is not Found:
        return failed(result)
    versions = result.row.versions
    if len(versions) == 1:
        return versions[0].value
    live = result.row.live
    if len(live) > 1:
        assert isinstance(request, Get), "a read was answered"
        return _siblings(request.key, len(live))
    return live[0].value if live else None


def _siblings(key: bytes, count: int) -> ErrorReply:
    shown = shown_key(key)
    return ErrorReply(
        "SIBLINGS",
        f"{shown} has {count} values whose writers did not see each other; DYN.GET {shown} shows them and gives the "
        f"context, DYN.PUT {shown} <context> <value> replaces them",
    )


def length(request: Request, result: Result, names: Names) -> Value:
    """STRLEN."""
    value = one_value(request, result, names)
    return len(value) if isinstance(value, bytes) else 0 if value is None else value


def type_of(request: Request, result: Result, names: Names) -> Value:
    """TYPE."""
    if not isinstance(result, Found):
        return failed(result)
    return Status("string" if result.row.live else "none")


def ttl(request: Request, result: Result, names: Names) -> Value:
    """TTL: keys do not expire."""
    if not isinstance(result, Found):
        return failed(result)
    return -1 if result.row.live else -2


def memory_usage(request: Request, result: Result, names: Names) -> Value:
    """MEMORY USAGE: the key and its values."""
    if not isinstance(result, Found):
        return failed(result)
    assert isinstance(request, Get), "a read was answered"
    return len(request.key) + sum(len(v.value or b"") for v in result.row.live) if result.row.live else None


def all_values(requests: tuple[Request, ...], results: list[Result]) -> Value:
    """MGET: one key with siblings makes the whole reply an error."""
    values: list[Value] = []
    for request, result in zip(requests, results, strict=True):
        value = one_value(request, result, dict)
        if isinstance(value, ErrorReply):
            return value
        values.append(value)
    return values


def count_live(requests: tuple[Request, ...], results: list[Result]) -> Value:
    """EXISTS."""
    bad = [result for result in results if not isinstance(result, Found)]
    if bad:
        return failed(bad[0])
    return sum(isinstance(result, Found) and bool(result.row.live) for result in results)


def all_ok(requests: tuple[Request, ...], results: list[Result]) -> Value:
    """MSET."""
    return _partly(requests, results) or OK


def count_replaced(requests: tuple[Request, ...], results: list[Result]) -> Value:
    """DEL: how many keys had a value."""
    replaced = sum(isinstance(result, Written) and result.replaced for result in results)
    return _partly(requests, results) or replaced


def _partly(requests: tuple[Request, ...], results: list[Result]) -> ErrorReply | None:
    """What went wrong with several writes. Only if nothing was done at all may the answer say so."""
    pairs = list(zip(requests, results, strict=True))
    failures = [(request, result) for request, result in pairs if isinstance(result, Failed)]
    if not failures:
        return None
    request, first = failures[0]
    assert isinstance(request, Put), "a write was answered"
    if len(failures) == len(pairs) and all(result.code == first.code for _, result in failures):
        return ErrorReply(first.code, first.text)
    done = len(pairs) - len(failures)
    return ErrorReply(
        "UNKNOWN",
        f"{done} of {len(pairs)} keys were written, each for itself; "
        f"{shown_key(request.key)}: {first.code} {first.text}",
    )


def values(request: Request, result: Result, names: Names) -> Value:
    """DYN.GET: the context, and all live values."""
    if type(result) is not Found:
        return failed(result)
    return [result.context, [version.value for version in result.row.live]]


def values_and_clocks(request: Request, result: Result, names: Names) -> Value:
    """The third array tells first of the values, in their order, then of tombstones."""
    if type(result) is not Found:
        return failed(result)
    row = result.row
    namer = Namer([row.clock], names())
    shown = [*row.live, *(version for version in row.versions if version.value is None)]
    return [result.context, [version.value for version in row.live], [_clock_json(v, namer) for v in shown]]


def _clock_json(version: Version, namer: Namer) -> bytes:
    return msgspec.json.encode(
        {
            "dot": namer.dot(version.dot),
            "clock": namer.clock(own_clock(version)),
            "past": namer.clock(version.past),
            "written_at": as_time(version.written_at_ms),
            "writer": version.writer,
            "deleted": version.value is None,
        }
    )


def new_context(request: Request, result: Result, names: Names) -> Value:
    """DYN.PUT and DYN.DEL."""
    return result.context if type(result) is Written else failed(result)


def receipt(request: Request, result: Result, names: Names) -> Value:
    """DYN.PUT … RECEIPT."""
    if type(result) is not Written:
        return failed(result)
    acks = [{"node": ack.node, "durable": ack.durable, "hint_for": ack.hint_for} for ack in result.acks]
    return [result.context, msgspec.json.encode({"acks": acks, "w": result.w, "siblings": result.siblings})]


def document(request: Request, result: Result, names: Names) -> Value:
    """A JSON document."""
    return result.json if isinstance(result, Document) else failed(result)


def page(request: Request, result: Result, names: Names) -> Value:
    """DYN.KEYS: the next cursor, and keys; of deleted and of stale ones what is told of each, and who was not heard."""
    if isinstance(result, ToldKeys):
        return [result.cursor, list(result.keys), list(result.told), [name.encode() for name in result.unheard]]
    return [result.cursor, list(result.keys)] if isinstance(result, KeyPage) else failed(result)
