"""Words in, requests out; results in, reply values out; and one table behind all of it."""

from __future__ import annotations

import json

import pytest

from node.core.row import Dot, Row, Version
from node.wire import catalog
from node.wire.commands import ENTRIES, Call, Calls, find, parse
from node.wire.glob import literal_prefix, matcher
from node.wire.replies import ErrorReply, Status, Value
from node.wire.requests import (
    Ack,
    Document,
    Failed,
    Found,
    Get,
    Inspect,
    KeyPage,
    Keys,
    Put,
    Request,
    Result,
    ToldKeys,
    Written,
)
from node.wire.table import BY_NAME, TABLE, arguments_of, arity_of
from node.wire.unsupported import SET_OPTIONS, WHY

EPOCH = 0xA1B2C3D4E5F60718


def split(line: str) -> list[bytes]:
    return [b"" if word == '""' else word.encode() for word in line.split()]


def parsed(line: str, writer: str = "me") -> Call | Calls | ErrorReply:
    words = split(line)
    entry = find(words[0])
    return entry if isinstance(entry, ErrorReply) else parse(entry, words, writer)


def requests_of(line: str) -> list[Request]:
    call = parsed(line)
    assert not isinstance(call, ErrorReply), call
    return [call.request] if isinstance(call, Call) else list(call.requests)


def replied(line: str, *results: Result) -> Value:
    call = parsed(line)
    if isinstance(call, Call):
        assert len(results) == 1
        return call.finish(call.request, results[0], lambda: {EPOCH: "n3"})
    assert isinstance(call, Calls), call
    assert len(results) == len(call.requests)
    return call.finish(call.requests, list(results))


def refused(line: str, code: str, *words: str) -> None:
    reply = parsed(line)
    assert isinstance(reply, ErrorReply), reply
    assert reply.code == code, reply
    for word in words:
        assert word in reply.text, reply


def row(*values: bytes | None) -> Row:
    """A row of siblings."""
    dots = [Dot(EPOCH, 1, n) for n in range(1, len(values) + 1)]
    versions = tuple(Version(dot, (), value, 1000 * dot.n, "me") for dot, value in zip(dots, values, strict=True))
    return Row(tuple(dots[-1:]), versions)


def found(*values: bytes | None, context: bytes = b"ctx") -> Found:
    return Found(row(*values), context)


NOTHING = Found(row(), b"")
DONE = Written(b"new", (Ack("n1", True), Ack("n2", False, "n5")), 2, replaced=True, siblings=1)
NEW = Written(b"new", (), 2, replaced=False, siblings=1)
UNAVAILABLE = Failed("UNAVAILABLE", "needs 2 owners")
UNKNOWN = Failed("UNKNOWN", "wrote 1 of 2")


@pytest.mark.parametrize(
    ("line", "want"),
    [
        ("GET k", [Get(b"k", context=False)]),
        ("get k", [Get(b"k", context=False)]),
        ("SET k v", [Put(b"k", b"v", cover=True, writer="me")]),
        ("STRLEN k", [Get(b"k", context=False)]),
        ("MGET a b a", [Get(key, context=False) for key in (b"a", b"b", b"a")]),
        ("MSET a 1 b 2", [Put(b"a", b"1", cover=True, writer="me"), Put(b"b", b"2", cover=True, writer="me")]),
        ("MSET a 1 a 2", [Put(b"a", b"2", cover=True, writer="me")]),
        ("DEL a b a", [Put(b"a", None, cover=True, writer="me"), Put(b"b", None, cover=True, writer="me")]),
        ("EXISTS a a", [Get(b"a", context=False), Get(b"a", context=False)]),
        ("MEMORY usage k", [Get(b"k", context=False)]),
        ("SCAN 0", [Keys()]),
        ("SCAN 7 match user:*:x count 5000 type string", [Keys(b"user:", b"7", 1000)]),
        ("DYN.GET k", [Get(b"k")]),
        ("DYN.GET k R 2 STRICT TIMEOUT 50 WITHCLOCKS", [Get(b"k", 2, True, timeout_ms=50)]),
        ("DYN.GET k withclocks timeout 50 strict r 2", [Get(b"k", 2, True, timeout_ms=50)]),
        ("DYN.GET k LOCAL", [Get(b"k", local=True)]),
        ("DYN.TRACE GET k LOCAL", [Inspect("trace", b"k", of=Get(b"k", local=True))]),
        ('DYN.PUT k "" v', [Put(b"k", b"v", writer="me")]),
        ("DYN.PUT k c v W 1 STRICT TIMEOUT 9 RECEIPT", [Put(b"k", b"v", b"c", False, 1, True, 9, "me")]),
        ("DYN.DEL k c W 3", [Put(b"k", None, b"c", w=3, writer="me")]),
        ("DYN.KEYS", [Keys()]),
        ("DYN.KEYS PREFIX p CURSOR 12 LIMIT 10 SIBLINGS", [Keys(b"p", b"12", 10, True)]),
        ("DYN.KEYS TOMBSTONES PARTITION 7", [Keys(tombstones=True, partition=7)]),
        ("DYN.KEYS STALE CURSOR 5", [Keys(cursor=b"5", stale=True)]),
        ("DYN.KEYS LOCAL SIBLINGS", [Keys(siblings=True, local=True)]),
        ("DYN.EXPLAIN k TIMEOUT 100", [Inspect("explain", b"k", timeout_ms=100)]),
        ("DYN.HISTORY k", [Inspect("history", b"k")]),
        ("DYN.TRACE get k R 2", [Inspect("trace", b"k", of=Get(b"k", 2))]),
        (
            "DYN.TRACE PUT k c v W 1 TIMEOUT 9",
            [Inspect("trace", b"k", (), 9, Put(b"k", b"v", b"c", w=1, timeout_ms=9, writer="me"))],
        ),
        ("dyn.ring", [Inspect("ring")]),
        ("DYN.REPAIR", [Inspect("repair")]),
        ("DYN.REPAIR k", [Inspect("repair", b"k")]),
        ("DYN.BACKGROUND LIMIT 65536", [Inspect("background", arguments=(b"LIMIT", b"65536"))]),
        ("DYN.RESTORE k row 7 c", [Inspect("restore", b"k", (b"row", b"7", b"c", b""))]),
        ("DYN.RESTORE k row 0 c UNDELETE", [Inspect("restore", b"k", (b"row", b"0", b"c", b"UNDELETE"))]),
        ("DYN.RESTORE k row 0 c TIMEOUT 9", [Inspect("restore", b"k", (b"row", b"0", b"c", b""), 9)]),
        ("DYN.EVENTS 5", [Inspect("events", arguments=(b"5",))]),
    ],
)
def test_requests(line: str, want: list[Request]) -> None:
    assert requests_of(line) == want


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("FOO", "ERR", ["unknown command 'FOO'"]),
        ("GET", "ERR", ["wrong number of arguments for 'get'", "usage: GET key"]),
        ("GET a b", "ERR", ["wrong number of arguments"]),
        ("MSET a", "ERR", ["wrong number"]),
        ("MSET a 1 b", "ERR", ["wrong number"]),
        ("DYN.PUT k c", "ERR", ["wrong number"]),
        ("DYN.GET k R 0", "ERR", ["R must be"]),
        ("DYN.GET k R -1", "ERR", ["R must be"]),
        ("DYN.GET k R 99999999999999999999", "ERR", ["R must be"]),
        ("DYN.GET k R", "ERR", ["R needs a value"]),
        ("DYN.GET k R 1 R 2", "ERR", ["twice"]),
        ("DYN.GET k W 1", "ERR", ["unexpected 'W'", "usage: DYN.GET key"]),
        ("DYN.GET k LOCAL R 1", "ERR", ["asks no other node"]),
        ("DYN.GET k STRICT LOCAL", "ERR", ["asks no other node"]),
        ("DYN.PUT k c v W 0", "ERR", ["W must be"]),
        ("DYN.GET k TIMEOUT 0", "ERR", ["TIMEOUT must be"]),
        ("DYN.GET k TIMEOUT 60001", "ERR", ["TIMEOUT must be"]),
        ("DYN.GET k TIMEOUT x", "ERR", ["TIMEOUT must be"]),
        ('DYN.DEL k ""', "BADCONTEXT", ["DYN.GET k"]),
        ("DYN.KEYS LIMIT 0", "ERR", ["LIMIT must be"]),
        ("DYN.KEYS LIMIT 1001", "ERR", ["LIMIT must be"]),
        ("DYN.KEYS SIBLINGS STALE", "ERR", ["SIBLINGS and STALE are of different keys"]),
        ("DYN.KEYS STALE LOCAL", "ERR", ["LOCAL asks one node"]),
        ("DYN.KEYS PARTITION 4096", "ERR", ["PARTITION must be"]),
        ("DYN.KEYS PARTITION", "ERR", ["PARTITION needs a value"]),
        ("SET k v EX 5", "NOTSUPPORTED", ["EX", "expire"]),
        ("SET k v nx", "NOTSUPPORTED", ["NX", "DYN.PUT"]),
        ("SET k v FOO", "ERR", ["syntax error"]),
        ("INCR k", "NOTSUPPORTED", ["DYN.PUT"]),
        ("setnx k v", "NOTSUPPORTED", ["DYN.PUT"]),
        ("MULTI", "NOTSUPPORTED", ["transactions"]),
        ("EXPIRE k 5", "NOTSUPPORTED", ["expire"]),
        ("KEYS *", "NOTSUPPORTED", ["SCAN"]),
        ("CLUSTER SLOTS", "NOTSUPPORTED", ["DYN.RING"]),
        ('DYN.REPAIR ""', "ERR", ["key is empty"]),
        ("DYN.REPAIR k more", "ERR", ["wrong number"]),
        ("DYN.RESTORE k row x c", "ERR", ["reap round must be a number"]),
        ("DYN.RESTORE k row 9223372036854775808 c", "ERR", ["reap round must be a number"]),
        ("DYN.RESTORE k row 1 c R 1", "ERR", ["unexpected 'R'"]),
        ("DYN.RESTORE k row 1", "ERR", ["wrong number", "usage: DYN.RESTORE key row round cluster"]),
        ("DYN.TRACE", "ERR", ["wrong number", "usage: DYN.TRACE GET|PUT|DEL key"]),
        ("DYN.TRACE SET k v", "ERR", ["GET, PUT or DEL", "SET"]),
        ("DYN.TRACE GET k W 1", "ERR", ["unexpected 'W'"]),
        ("DYN.TRACE PUT k", "ERR", ["wrong number", "usage: DYN.PUT"]),
        ('DYN.TRACE DEL k ""', "BADCONTEXT", ["DYN.GET k"]),
        ("MEMORY DOCTOR x", "NOTSUPPORTED", []),
    ],
)
def test_refusals(line: str, code: str, words: list[str]) -> None:
    refused(line, code, *words)


@pytest.mark.parametrize(
    ("line", "results", "want"),
    [
        ("GET k", [found(b"v")], b"v"),
        ("GET k", [found(b"")], b""),
        ("GET k", [NOTHING], None),
        ("GET k", [found(None)], None),
        ("GET k", [found(None, b"v")], b"v"),
        ("GET k", [UNAVAILABLE], ErrorReply("UNAVAILABLE", "needs 2 owners")),
        ("STRLEN k", [found(b"four")], 4),
        ("STRLEN k", [NOTHING], 0),
        ("MGET a b c", [found(b"1"), NOTHING, found(None)], [b"1", None, None]),
        ("MGET a b", [found(b"1"), UNAVAILABLE], ErrorReply("UNAVAILABLE", "needs 2 owners")),
        ("EXISTS a b c d", [found(b"1"), NOTHING, found(None), found(b"x", b"y")], 2),
        ("EXISTS a", [UNAVAILABLE], ErrorReply("UNAVAILABLE", "needs 2 owners")),
        ("TYPE a", [found(b"1", b"2")], Status("string")),
        ("TYPE a", [found(None)], Status("none")),
        ("TTL a", [found(b"1")], -1),
        ("PTTL a", [NOTHING], -2),
        ("MEMORY USAGE key", [found(b"12", b"345")], 8),
        ("MEMORY USAGE key", [NOTHING], None),
        ("SET k v", [DONE], Status("OK")),
        ("SET k v", [UNKNOWN], ErrorReply("UNKNOWN", "wrote 1 of 2")),
        ("MSET a 1 b 2", [DONE, NEW], Status("OK")),
        ("MSET a 1 b 2", [UNAVAILABLE, UNAVAILABLE], ErrorReply("UNAVAILABLE", "needs 2 owners")),
        ("DEL a b", [DONE, NEW], 1),
        ("SCAN 0 MATCH a*c", [KeyPage(b"9", (b"abc", b"abd", b"ac"))], [b"9", [b"abc", b"ac"]]),
        ("SCAN 0 TYPE hash", [KeyPage(b"0", (b"abc",))], [b"0", []]),
        ("DYN.KEYS", [KeyPage(b"0", (b"a", b"b"))], [b"0", [b"a", b"b"]]),
        ("DYN.KEYS STALE", [ToldKeys(b"7", (b"a",), (b"{}",), ("n5",))], [b"7", [b"a"], [b"{}"], [b"n5"]]),
        ("DYN.KEYS TOMBSTONES", [ToldKeys(b"0", (), (), ())], [b"0", [], [], []]),
        ("DYN.GET k", [NOTHING], [b"", []]),
        ("DYN.GET k", [found(None)], [b"ctx", []]),
        ("DYN.GET k", [found(b"a", b"b")], [b"ctx", [b"a", b"b"]]),
        ("DYN.GET k", [UNAVAILABLE], ErrorReply("UNAVAILABLE", "needs 2 owners")),
        ("DYN.GET k WITHCLOCKS", [NOTHING], [b"", [], []]),
        ("DYN.PUT k c v", [DONE], b"new"),
        ("DYN.PUT k c v", [UNKNOWN], ErrorReply("UNKNOWN", "wrote 1 of 2")),
        ("DYN.DEL k c", [DONE], b"new"),
        ("DYN.RING", [Document(b"{}")], b"{}"),
        ("DYN.RING", [Failed("BUSY", "no")], ErrorReply("BUSY", "no")),
    ],
)
def test_replies(line: str, results: list[Result], want: Value) -> None:
    assert replied(line, *results) == want


@pytest.mark.parametrize("line", ["GET cart", "STRLEN cart", "MGET cart"])
def test_siblings_name_the_way_out(line: str) -> None:
    reply = replied(line, found(b"a", b"b", None))
    assert isinstance(reply, ErrorReply)
    assert reply.code == "SIBLINGS"
    assert "cart has 2 values" in reply.text
    assert "DYN.GET cart" in reply.text
    assert "DYN.PUT cart" in reply.text


def test_a_key_in_an_error_is_short_and_text() -> None:
    call = parse(ENTRIES[b"GET"], [b"GET", b"\xff" * 4000], "")
    assert isinstance(call, Call)
    reply = call.finish(call.request, found(b"a", b"b"), dict)
    assert isinstance(reply, ErrorReply)
    assert "base64:" in reply.text
    assert len(reply.text) < 500


@pytest.mark.parametrize("line", ["MSET a 1 b 2", "DEL a b"])
@pytest.mark.parametrize("results", [[DONE, UNAVAILABLE], [UNAVAILABLE, UNKNOWN], [UNKNOWN, DONE]])
def test_partly_done_is_never_not_done(line: str, results: list[Result]) -> None:
    """`UNAVAILABLE` promises that nothing was stored: of several writes it may stand only if it stands for all."""
    reply = replied(line, *results)
    assert isinstance(reply, ErrorReply)
    assert reply.code == "UNKNOWN"


def test_clocks() -> None:
    reply = replied("DYN.GET k WITHCLOCKS", found(None, b"v"))
    assert isinstance(reply, list)
    assert reply[:2] == [b"ctx", [b"v"]]
    assert [json.loads(text) for text in reply[2]] == [
        {"dot": "n3:2", "clock": {"n3": 2}, "past": {}, "written_at": "1970-01-01T00:00:02.000Z", "writer": "me",
         "deleted": False},
        {"dot": "n3:1", "clock": {"n3": 1}, "past": {}, "written_at": "1970-01-01T00:00:01.000Z", "writer": "me",
         "deleted": True},
    ]  # fmt: skip


def test_receipt() -> None:
    reply = replied("DYN.PUT k c v RECEIPT", DONE)
    assert isinstance(reply, list)
    context, receipt = reply
    assert context == b"new"
    assert json.loads(receipt) == {
        "acks": [
            {"node": "n1", "durable": True, "hint_for": None},
            {"node": "n2", "durable": False, "hint_for": "n5"},
        ],
        "w": 2,
        "siblings": 1,
    }


# The table -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arity"),
    [
        ("GET", 2),
        ("SET", 3),
        ("MGET", -2),
        ("MSET", -3),
        ("DYN.GET", -2),
        ("DYN.PUT", -4),
        ("DYN.RING", 1),
        ("PING", -1),
    ],
)
def test_arity(name: str, arity: int) -> None:
    assert arity_of(BY_NAME[name.encode()]) == arity


def test_every_row_is_complete() -> None:
    assert len(BY_NAME) == len(TABLE)
    for command in TABLE:
        assert command.summary
        assert not command.summary.endswith(".")
        entry = ENTRIES[command.name.encode()]
        assert entry.least <= entry.most
        (docs,) = catalog.docs_of(command.name.encode()).values()
        assert isinstance(docs, dict)
        assert ("arguments" in docs) == bool(command.syntax)
        info = catalog.info_of(command.name.encode())
        assert isinstance(info, list)
        assert len(info) == 10


def test_no_command_is_both_here_and_not() -> None:
    assert not BY_NAME.keys() & WHY.keys()
    assert all(SET_OPTIONS.values())
    assert all(name == name.upper() for name in WHY)


def test_syntax() -> None:
    key, r, strict, *_ = arguments_of("key [R n] [STRICT] [TIMEOUT ms]")
    assert (key.kind, key.optional) == ("key", False)
    assert (r.kind, r.token, r.optional) == ("integer", "R", True)
    assert (strict.kind, strict.token, strict.optional) == ("pure-token", "STRICT", True)
    (block,) = arguments_of("(key value)…")
    assert (block.kind, block.multiple, len(block.parts)) == ("block", True, 2)
    choice, rest = arguments_of("A|B [argument…]")
    assert (choice.kind, [part.token for part in choice.parts]) == ("oneof", ["A", "B"])
    assert (rest.optional, rest.multiple) == (True, True)


def test_keys_of_a_command() -> None:
    assert catalog.keys_of([b"mset", b"a", b"1", b"b", b"2"]) == [b"a", b"b"]
    assert catalog.keys_of([b"get", b"a"]) == [b"a"]
    assert catalog.keys_of([b"del", b"a", b"b"]) == [b"a", b"b"]
    assert catalog.keys_of([b"ping"]) == []


def test_help() -> None:
    lines = catalog.help_lines([])
    assert len(lines) == len(TABLE)
    (line,) = catalog.help_lines([b"dyn.get"])
    assert isinstance(line, Status)
    assert line.text.startswith("DYN.GET key [R n]")


# Patterns --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        (b"*", [b"", b"a", b"\n"], []),
        (b"a*", [b"a", b"ab"], [b"ba", b""]),
        (b"*a", [b"a", b"ba"], [b"ab"]),
        (b"a*b*c", [b"abc", b"axbxc", b"abbcbc"], [b"ac", b"abcd"]),
        (b"a?c", [b"abc", b"a\nc"], [b"ac", b"abbc"]),
        (b"[a-c]x", [b"ax", b"cx"], [b"dx", b"x"]),
        (b"[^a-c]x", [b"dx"], [b"ax"]),
        (b"[c-a]", [b"b"], [b"d"]),
        (b"[\\]]", [b"]"], [b"\\"]),
        (b"[a", [b"a"], [b"[a"]),
        (b"\\*", [b"*"], [b"a"]),
        (b"\\", [b"\\"], [b""]),
        (b"a.b", [b"a.b"], [b"axb"]),
        (b"[]", [], [b"", b"]"]),
        (b"[\xff]", [b"\xff"], [b"\xfe"]),
    ],
)
def test_patterns(pattern: bytes, yes: list[bytes], no: list[bytes]) -> None:
    matches = matcher(pattern)
    assert [key for key in yes if not matches(key)] == []
    assert [key for key in no if matches(key)] == []


def test_a_pattern_cannot_take_for_ever() -> None:
    assert not matcher(b"*a" * 200 + b"b")(b"a" * 4096)


@pytest.mark.parametrize(
    ("pattern", "prefix"), [(b"a*", b"a"), (b"abc", b"abc"), (b"a\\*", b"a"), (b"*", b""), (b"u:[1]", b"u:")]
)
def test_literal_prefix(pattern: bytes, prefix: bytes) -> None:
    assert literal_prefix(pattern) == prefix
