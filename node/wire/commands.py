"""Commands that ask the store: words in, typed requests out, and results into reply values.

A row of ENTRIES says how a command is parsed. What parsing gives is a `Call` (one request) or `Calls` (several,
answered together), each with the function that makes the reply; or an `ErrorReply` at once. Commands about the
connection and the server (PING, INFO …) are in ENTRIES for their arity and are answered by the session.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from node.core.limits import ARGUMENTS_MAX, PARTITIONS_MAX, SCAN_LIMIT, SCAN_LIMIT_MAX, TIMEOUT_MS, TIMEOUT_MS_MAX
from node.wire import answers
from node.wire.answers import Names, shown_key
from node.wire.glob import literal_prefix, matcher
from node.wire.replies import ErrorReply, Value
from node.wire.requests import Get, Inspect, KeyPage, Keys, Put, Request, Result
from node.wire.table import BY_NAME, Command, shape_of
from node.wire.unsupported import SET_OPTIONS, WHY

Words = list[bytes]
Finish = Callable[[Request, Result, Names], Value]
FinishAll = Callable[[tuple[Request, ...], list[Result]], Value]


class Call(NamedTuple):
    """One request, and what makes a reply of its result. `key` is what it reads or writes, None for neither."""

    request: Request
    finish: Finish
    key: bytes | None
    writes: bool


class Calls(NamedTuple):
    """Several requests and what makes one reply of their results."""

    requests: tuple[Get | Put, ...]
    finish: FinishAll
    writes: bool


Parsed = Call | Calls | ErrorReply
Parse = Callable[[Words, str], Parsed]
"""From the words of a command and the writer's label."""


class Refused(Exception):
    """The words of a command make no request; raised and caught in this module."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.reply = ErrorReply(code, text)


class Entry(NamedTuple):
    """A row of the table, ready for use. `parse` is None for commands that the session answers."""

    command: Command
    least: int
    most: int
    parse: Parse | None


def find(name: bytes) -> Entry | ErrorReply:
    """Return the entry of a command by its name as typed, or what to say to one that is not here."""
    entry = ENTRIES.get(name.upper())
    if entry is not None:
        return entry
    why = WHY.get(name.upper())
    if why is not None:
        return ErrorReply("NOTSUPPORTED", f"{name.upper().decode()}: {why}")
    return ErrorReply("ERR", f"unknown command '{shown_key(name)}'; HELP lists the commands")


def parse(entry: Entry, words: Words, writer: str) -> Parsed:
    """Parse a command of the store, arity included."""
    assert entry.parse is not None, f"{entry.command.name} is answered by the session"
    if not entry.least <= len(words) <= entry.most:
        return wrong_arity(entry)
    try:
        return entry.parse(words, writer)
    except Refused as refused:
        return refused.reply


def wrong_arity(entry: Entry) -> ErrorReply:
    """Say how the command is written."""
    command = entry.command
    usage = f"{command.name} {command.syntax}".strip()
    return ErrorReply("ERR", f"wrong number of arguments for '{command.name.lower()}' command; usage: {usage}")


# Options ---------------------------------------------------------------------------------------------------


def _options(words: Words, entry_name: bytes) -> dict[bytes, bytes]:
    """The options of a command, b"" for those without a value. Any order; unknown or repeated ones are refused."""
    shape = _SHAPES[entry_name]
    found: dict[bytes, bytes] = {}
    at = shape.required
    while at < len(words):
        name = words[at].upper()
        if name not in shape.options:
            raise Refused("ERR", f"syntax error: unexpected '{shown_key(words[at])}'; {_usage(entry_name)}")
        if name in found:
            raise Refused("ERR", f"syntax error: {name.decode()} twice")
        value = b""
        if shape.options[name]:
            at += 1
            if at == len(words):
                raise Refused("ERR", f"syntax error: {name.decode()} needs a value; {_usage(entry_name)}")
            value = words[at]
        found[name] = value
        at += 1
    return found


def _usage(name: bytes) -> str:
    command = BY_NAME[name]
    return f"usage: {command.name} {command.syntax}"


def _integer(name: str, word: bytes, least: int, most: int) -> int:
    if word.isdigit() and len(word) <= 10 and least <= int(word) <= most:
        return int(word)
    raise Refused("ERR", f"{name} must be a number from {least} to {most}, not '{shown_key(word)}'")


def _quorum(options: dict[bytes, bytes], name: bytes) -> int | None:
    word = options.get(name)
    if word is None:
        return None
    if word.isdigit() and len(word) <= 4 and int(word) > 0:
        return int(word)  # the engine knows N
    raise Refused("ERR", f"{name.decode()} must be 1 to N, not '{shown_key(word)}'")


def _timeout(options: dict[bytes, bytes]) -> int:
    word = options.get(b"TIMEOUT")
    return TIMEOUT_MS if word is None else _integer("TIMEOUT", word, 1, TIMEOUT_MS_MAX)


# Redis' commands -------------------------------------------------------------------------------------------


def _get(words: Words, writer: str) -> Parsed:
    return Call(Get(words[1], context=False), answers.one_value, words[1], False)


def _set(words: Words, writer: str) -> Parsed:
    return Call(Put(words[1], words[2], cover=True, writer=writer), answers.ok, words[1], True)


def _set_options(words: Words, writer: str) -> Parsed:
    """SET with more words: none of its options can be honoured, and none is ignored."""
    name = words[3].upper()
    why = SET_OPTIONS.get(name)
    if why is not None:
        raise Refused("NOTSUPPORTED", f"SET … {name.decode()}: {why}")
    raise Refused("ERR", f"syntax error: unexpected '{shown_key(words[3])}'; usage: SET key value")


def _set_any(words: Words, writer: str) -> Parsed:
    return _set(words, writer) if len(words) == 3 else _set_options(words, writer)


def _read_with(finish: Finish) -> Parse:
    def parse_one(words: Words, writer: str) -> Parsed:
        return Call(Get(words[1], context=False), finish, words[1], False)

    return parse_one


def _read_all_with(finish: FinishAll) -> Parse:
    def parse_all(words: Words, writer: str) -> Parsed:
        return Calls(tuple(Get(key, context=False) for key in words[1:]), finish, False)

    return parse_all


def _mset(words: Words, writer: str) -> Parsed:
    if len(words) % 2 == 0:
        return wrong_arity(ENTRIES[b"MSET"])
    last = dict(zip(words[1::2], words[2::2], strict=True))  # of a key named twice the last value counts
    return Calls(tuple(Put(key, value, cover=True, writer=writer) for key, value in last.items()), answers.all_ok, True)


def _del(words: Words, writer: str) -> Parsed:
    keys = dict.fromkeys(words[1:])
    return Calls(tuple(Put(key, None, cover=True, writer=writer) for key in keys), answers.count_replaced, True)


def _scan(words: Words, writer: str) -> Parsed:
    options = _options(words, b"SCAN")
    pattern = options.get(b"MATCH", b"*")
    count = options.get(b"COUNT")
    limit = SCAN_LIMIT if count is None else min(_integer("COUNT", count, 1, 10**9), SCAN_LIMIT_MAX)
    strings = options.get(b"TYPE", b"string").lower() == b"string"
    matches = matcher(pattern)

    def finish(request: Request, result: Result, names: Names) -> Value:
        if not isinstance(result, KeyPage):
            return answers.failed(result)
        return [result.cursor, [key for key in result.keys if strings and matches(key)]]

    return Call(Keys(literal_prefix(pattern), words[1], limit), finish, None, False)


def _memory(words: Words, writer: str) -> Parsed:
    if words[1].upper() != b"USAGE" or len(words) < 3:
        raise Refused("NOTSUPPORTED", "only MEMORY USAGE key")
    return Call(Get(words[2], context=False), answers.memory_usage, words[2], False)


# dyn's own -------------------------------------------------------------------------------------------------


def _dyn_get(words: Words, writer: str) -> Parsed:
    if len(words) == 2:
        return Call(Get(words[1]), answers.values, words[1], False)
    options = _options(words, b"DYN.GET")
    local = b"LOCAL" in options
    if local and (b"R" in options or b"STRICT" in options):
        raise Refused("ERR", "LOCAL asks no other node: neither R nor STRICT goes with it")
    request = Get(words[1], _quorum(options, b"R"), b"STRICT" in options, timeout_ms=_timeout(options), local=local)
    return Call(request, answers.values_and_clocks if b"WITHCLOCKS" in options else answers.values, words[1], False)


def _dyn_put(words: Words, writer: str) -> Parsed:
    if len(words) == 4:
        return Call(Put(words[1], words[3], words[2], writer=writer), answers.new_context, words[1], True)
    options = _options(words, b"DYN.PUT")
    request = Put(
        words[1], words[3], words[2],
        w=_quorum(options, b"W"), strict=b"STRICT" in options, timeout_ms=_timeout(options), writer=writer,
    )  # fmt: skip
    return Call(request, answers.receipt if b"RECEIPT" in options else answers.new_context, words[1], True)


def _dyn_del(words: Words, writer: str) -> Parsed:
    options = _options(words, b"DYN.DEL")
    if not words[2]:
        raise Refused("BADCONTEXT", f"a delete needs the context of a read: DYN.GET {shown_key(words[1])} gives it")
    request = Put(
        words[1], None, words[2],
        w=_quorum(options, b"W"), strict=b"STRICT" in options, timeout_ms=_timeout(options), writer=writer,
    )  # fmt: skip
    return Call(request, answers.new_context, words[1], True)


def _dyn_keys(words: Words, writer: str) -> Parsed:
    options = _options(words, b"DYN.KEYS")
    limit, partition = options.get(b"LIMIT"), options.get(b"PARTITION")
    which = [name.decode() for name in (b"SIBLINGS", b"TOMBSTONES", b"STALE") if name in options]
    if len(which) > 1:
        raise Refused("ERR", f"{which[0]} and {which[1]} are of different keys: ask for one of them")
    if b"STALE" in options and b"LOCAL" in options:
        raise Refused("ERR", "STALE compares several owners, and LOCAL asks one node")
    request = Keys(
        options.get(b"PREFIX", b""),
        options.get(b"CURSOR", b"0"),
        SCAN_LIMIT if limit is None else _integer("LIMIT", limit, 1, SCAN_LIMIT_MAX),
        b"SIBLINGS" in options,
        tombstones=b"TOMBSTONES" in options,
        stale=b"STALE" in options,
        partition=None if partition is None else _integer("PARTITION", partition, 0, PARTITIONS_MAX - 1),
        local=b"LOCAL" in options,
    )
    return Call(request, answers.page, None, False)


def _inspect_key(words: Words, writer: str) -> Parsed:
    options = _options(words, words[0].upper())
    what = words[0].lower().removeprefix(b"dyn.").decode()
    return Call(Inspect(what, words[1], timeout_ms=_timeout(options)), answers.document, words[1], False)


def _inspect(words: Words, writer: str) -> Parsed:
    what = words[0].lower().removeprefix(b"dyn.").decode()
    return Call(Inspect(what, arguments=tuple(words[1:])), answers.document, None, False)


def _survey(words: Words, writer: str) -> Parsed:
    """A document for which others are asked, each of whom may be silent for so long."""
    what = words[0].lower().removeprefix(b"dyn.").decode()
    options = _options(words, words[0].upper())
    return Call(Inspect(what, timeout_ms=_timeout(options)), answers.document, None, False)


def _repair(words: Words, writer: str) -> Parsed:
    key = words[1] if len(words) > 1 else None
    if key == b"":
        raise Refused("ERR", "the key is empty")
    return Call(Inspect("repair", key or b""), answers.document, key, True)


def _restore(words: Words, writer: str) -> Parsed:
    options = _options(words, b"DYN.RESTORE")
    if not (words[3].isdigit() and len(words[3]) <= 19 and int(words[3]) < 2**63):
        raise Refused("ERR", f"the reap round must be a number, not '{shown_key(words[3])}'")
    arguments = (words[2], words[3], words[4], b"UNDELETE" if b"UNDELETE" in options else b"")
    request = Inspect("restore", words[1], arguments, _timeout(options))
    return Call(request, answers.document, words[1], True)


def _trace(words: Words, writer: str) -> Parsed:
    """DYN.TRACE GET key …: what follows the verb is as in DYN.GET, DYN.PUT and DYN.DEL."""
    entry = ENTRIES.get(b"DYN." + words[1].upper()) if words[1].upper() in TRACED else None
    if entry is None:
        raise Refused("ERR", f"what can be traced is GET, PUT or DEL, not '{shown_key(words[1])}'")
    parsed = parse(entry, [entry.command.name.encode(), *words[2:]], writer)
    if type(parsed) is not Call:
        return parsed
    request = parsed.request
    assert isinstance(request, Get | Put), "TRACED are reads and writes"
    return parsed._replace(
        request=Inspect("trace", request.key, timeout_ms=request.timeout_ms, of=request), finish=answers.document
    )


TRACED: Final = (b"GET", b"PUT", b"DEL")


_PARSERS: Final[dict[str, Parse]] = {
    "GET": _get,
    "SET": _set_any,
    "MGET": _read_all_with(answers.all_values),
    "MSET": _mset,
    "STRLEN": _read_with(answers.length),
    "DEL": _del,
    "UNLINK": _del,
    "EXISTS": _read_all_with(answers.count_live),
    "TOUCH": _read_all_with(answers.count_live),
    "TYPE": _read_with(answers.type_of),
    "TTL": _read_with(answers.ttl),
    "PTTL": _read_with(answers.ttl),
    "SCAN": _scan,
    "MEMORY": _memory,
    "DYN.GET": _dyn_get,
    "DYN.PUT": _dyn_put,
    "DYN.DEL": _dyn_del,
    "DYN.KEYS": _dyn_keys,
    "DYN.EXPLAIN": _inspect_key,
    "DYN.HISTORY": _inspect_key,
    "DYN.RING": _inspect,
    "DYN.STATUS": _survey,
    "DYN.VIEWS": _survey,
    "DYN.STATS": _inspect,
    "DYN.HINTS": _survey,
    "DYN.TRANSFERS": _survey,
    "DYN.EVENTS": _inspect,
    "DYN.CLUSTER": _inspect,
    "DYN.REPAIR": _repair,
    "DYN.BACKGROUND": _inspect,
    "DYN.RESTORE": _restore,
    "DYN.TRACE": _trace,
    "DYN.TRACES": _inspect,
}
_LENIENT: Final = {"SET": ARGUMENTS_MAX}
"""Commands whose parser looks at surplus words itself, because they deserve more than "wrong number"."""

_SHAPES: Final = {name: shape_of(command) for name, command in BY_NAME.items()}

ENTRIES: Final[dict[bytes, Entry]] = {
    name: Entry(
        command,
        _SHAPES[name].least,
        _LENIENT.get(command.name, ARGUMENTS_MAX if _SHAPES[name].options else _SHAPES[name].most),
        _PARSERS.get(command.name),
    )
    for name, command in BY_NAME.items()
}
"""All commands by their upper-case name. Surplus words of a command with options are its options' business."""
