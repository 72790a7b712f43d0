"""The one table of commands: it drives parsing, arity errors, COMMAND, COMMAND DOCS (redis-cli's hints) and HELP.

Syntax, as people read it: `key` a word to fill in, `STRICT` a word to type, `[W n]` an option in any order after the
rest, `key…` one or more, `(key value)…` one or more of both, `A|B` either.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from node.core.limits import ARGUMENTS_MAX


class Command(NamedTuple):
    """One row: `flags` as in Redis' COMMAND, `keys` the positions (first, last, step) of keys, 0 for none."""

    name: str
    syntax: str
    summary: str
    group: str
    flags: tuple[str, ...] = ("readonly",)
    keys: tuple[int, int, int] = (0, 0, 0)


class Argument(NamedTuple):
    """One part of a syntax. `kind` is Redis': string, key, integer, pure-token, oneof, block."""

    name: str
    kind: str
    token: str = ""
    optional: bool = False
    multiple: bool = False
    parts: tuple[Argument, ...] = ()


SINCE: Final = "0.1.0"

_READ: Final = ("readonly",)
_WRITE: Final = ("write", "denyoom")
_ADMIN: Final = ("admin",)
_FAST: Final = ("loading", "stale", "fast")
_OPEN: Final = ("no_auth", "loading", "stale", "fast")
_KEY: Final = (1, 1, 1)
_KEYS: Final = (1, -1, 1)

_DYN = "dyn"
_STRING = "string"
_GENERIC = "generic"
_CONNECTION = "connection"
_SERVER = "server"

TABLE: Final = (
    Command("DYN.GET", "key [R n] [STRICT] [TIMEOUT ms] [WITHCLOCKS] [LOCAL]",
            "All values of a key and the context to write over them", _DYN, _READ, _KEY),
    Command("DYN.PUT", "key context value [W n] [STRICT] [TIMEOUT ms] [RECEIPT]",
            'Write a value over what the context covers; context "" writes blindly', _DYN, _WRITE, _KEY),
    Command("DYN.DEL", "key context [W n] [STRICT] [TIMEOUT ms]",
            "Delete what the context covers", _DYN, _WRITE, _KEY),
    Command("DYN.KEYS", "[PREFIX p] [CURSOR c] [LIMIT n] [SIBLINGS] [TOMBSTONES] [STALE] [PARTITION n] [LOCAL]",
            "A page of the cluster's keys, and the next cursor", _DYN),
    Command("DYN.EXPLAIN", "key [TIMEOUT ms]", "Where a key lives and what each replica holds", _DYN, _READ, _KEY),
    Command("DYN.HISTORY", "key [TIMEOUT ms]", "What replicas hold, and which of it follows which", _DYN, _READ, _KEY),
    Command("DYN.RING", "", "Epoch, members and owners of every partition", _DYN),
    Command("DYN.STATUS", "[TIMEOUT ms]", "Health of the cluster and of every node", _DYN),
    Command("DYN.VIEWS", "[TIMEOUT ms]", "Which node sees which others up", _DYN),
    Command("DYN.STATS", "", "Operations, latencies and queues of this node", _DYN),
    Command("DYN.HINTS", "[TIMEOUT ms]", "Writes kept for nodes that are away", _DYN),
    Command("DYN.TRANSFERS", "[TIMEOUT ms]", "Partitions on the move", _DYN),
    Command("DYN.HOT", "[COUNT n]", "Hot keys, biggest values, most siblings of this node, sampled", _DYN, _ADMIN),
    Command("DYN.MONITOR", "[LISTENER id] [KEY pattern] [OP get,put,del] [RATE n]",
            "Requests of this node since this listener asked last, sampled", _DYN, _ADMIN),
    Command("DYN.EVENTS", "[n]", "What happened in the cluster, newest last", _DYN),
    Command("DYN.CLUSTER", "PLAN|COMMIT|LEAVE|REMOVE|REPLACE|WEIGHT|ABANDON [argument…]",
            "Plan and make changes of the membership", _DYN, _ADMIN),
    Command("DYN.REPAIR", "[key]", "Make replicas equal now", _DYN, _ADMIN),
    Command("DYN.BACKGROUND", "DELIVER|REPAIR|CANCEL|PAUSE|RESUME|LIMIT [argument…]",
            "Steer the hints, repairs and transfers of this node", _DYN, _ADMIN),
    Command("DYN.BACKUP", "path", "Copy this node's store into a file", _DYN, _ADMIN),
    Command("DYN.RESTORE", "key row round cluster [UNDELETE] [TIMEOUT ms]",
            "Merge a row of a backup of this cluster into what its owners hold", _DYN, _ADMIN, _KEY),
    Command("DYN.TRACE", "GET|PUT|DEL key [argument…]",
            "A read or a write, and the way it took: arguments as of DYN.GET, DYN.PUT …", _DYN, _WRITE, (2, 2, 1)),
    Command("DYN.TRACES", "[id]", "The requests that this node followed lately, or the way of one of them", _DYN,
            _ADMIN),
    Command("DYN.FAULT", "CUT|CUT1|HEAL|DELAY|DROP|PAUSE|SKEW|DISK|LIST [argument…]",
            "Break things on purpose (needs --allow-faults)", _DYN, _ADMIN),
    Command("GET", "key", "The value of a key; -SIBLINGS if there are several", _STRING, _READ, _KEY),
    Command("SET", "key value", "Write a value over what the owner of the key holds", _STRING, _WRITE, _KEY),
    Command("MGET", "key…", "The values of several keys", _STRING, _READ, _KEYS),
    Command("MSET", "(key value)…", "Write several keys, each for itself: not atomic", _STRING, _WRITE, (1, -1, 2)),
    Command("STRLEN", "key", "Length of a key's value in bytes", _STRING, _READ, _KEY),
    Command("DEL", "key…", "Delete keys, and count those that had a value", _GENERIC, _WRITE, _KEYS),
    Command("UNLINK", "key…", "As DEL", _GENERIC, _WRITE, _KEYS),
    Command("EXISTS", "key…", "Count the keys that have a value", _GENERIC, _READ, _KEYS),
    Command("TOUCH", "key…", "As EXISTS", _GENERIC, _READ, _KEYS),
    Command("TYPE", "key", '"string" for a key that has a value, else "none"', _GENERIC, _READ, _KEY),
    Command("TTL", "key", "-1: keys do not expire; -2: no such key", _GENERIC, _READ, _KEY),
    Command("PTTL", "key", "As TTL", _GENERIC, _READ, _KEY),
    Command("SCAN", "cursor [MATCH pattern] [COUNT count] [TYPE type]", "A page of the cluster's keys", _GENERIC),
    Command("MEMORY", "USAGE key [SAMPLES count]", "Bytes of a key and its values", _SERVER, _READ, (2, 2, 1)),
    Command("PING", "[message]", "PONG, or the message", _CONNECTION, _FAST),
    Command("ECHO", "message", "The message", _CONNECTION, _FAST),
    Command("HELLO", "[protover] [argument…]", "Choose RESP2 or RESP3, and authenticate", _CONNECTION, _OPEN),
    Command("AUTH", "[username] password", "Authenticate", _CONNECTION, _OPEN),
    Command("QUIT", "", "Close the connection", _CONNECTION, _OPEN),
    Command("RESET", "", "Forget the state of the connection", _CONNECTION, _OPEN),
    Command("SELECT", "index", "There is one database, 0", _CONNECTION, _FAST),
    Command("CLIENT", "ID|GETNAME|SETNAME|SETINFO|INFO|LIST [argument…]",
            "This connection; SETNAME is the writer's label of its versions", _CONNECTION, _FAST),
    Command("COMMAND", "[COUNT|DOCS|INFO|LIST|GETKEYS] [argument…]", "What commands there are", _SERVER, _FAST),
    Command("CONFIG", "GET pattern…", "Settings of this node", _SERVER, _ADMIN),
    Command("INFO", "[section…]", "Figures of this node", _SERVER, _FAST),
    Command("DBSIZE", "", "Keys that this node holds, copies for others included", _SERVER, _FAST),
    Command("TIME", "", "This node's clock: seconds and microseconds", _SERVER, _FAST),
    Command("HELP", "[command]", "This list", _SERVER, _FAST),
)  # fmt: skip

BY_NAME: Final[Mapping[bytes, Command]] = {command.name.encode(): command for command in TABLE}

# Syntax ----------------------------------------------------------------------------------------------------

_TOKEN: Final = re.compile(r"[\[\]()]|…|[^\s\[\]()…]+")
_INTEGERS: Final = frozenset(("n", "ms", "count", "index", "protover"))


def arguments_of(syntax: str) -> tuple[Argument, ...]:
    """Read a syntax."""
    return _sequence(iter([*_TOKEN.findall(syntax), ""]), "")


def _sequence(tokens: Iterator[str], end: str) -> tuple[Argument, ...]:
    found: list[Argument] = []
    for token in tokens:
        if token == end:
            break
        if token == "[":
            found.append(_grouped(_sequence(tokens, "]"))._replace(optional=True))
        elif token == "(":
            found.append(_grouped(_sequence(tokens, ")")))
        elif token == "…":
            found[-1] = found[-1]._replace(multiple=True)
        else:
            found.append(_word(token))
    return tuple(found)


def _grouped(parts: tuple[Argument, ...]) -> Argument:
    """`[W n]` is the argument n behind the token W; other groups are blocks."""
    if len(parts) == 1:
        return parts[0]
    if len(parts) == 2 and parts[0].kind == "pure-token":
        return parts[1]._replace(token=parts[0].token)
    return Argument("item", "block", parts=parts)


def _word(token: str) -> Argument:
    if "|" in token:
        return Argument("subcommand", "oneof", parts=tuple(map(_word, token.split("|"))))
    if token.isupper():
        return Argument(token.lower(), "pure-token", token)
    return Argument(token, "key" if token == "key" else "integer" if token in _INTEGERS else "string")


class Shape(NamedTuple):
    """How many words a command has, its name counted, and its options: whether each takes a value."""

    least: int
    most: int
    required: int
    options: Mapping[bytes, bool]


def shape_of(command: Command) -> Shape:
    """Derive the shape from the syntax."""
    least = most = 1
    options: dict[bytes, bool] = {}
    for argument in arguments_of(command.syntax):
        words = len(argument.parts) if argument.kind == "block" else 1
        if argument.optional and argument.token:
            options[argument.token.encode()] = argument.kind != "pure-token"
            most += 1 if argument.kind == "pure-token" else 2
        else:
            least += 0 if argument.optional else words
            most += words
        if argument.multiple:
            most = ARGUMENTS_MAX
    return Shape(least, most, least, options)


def arity_of(command: Command) -> int:
    """Redis' arity: the number of words, negative for "at least"."""
    shape = shape_of(command)
    return shape.least if shape.least == shape.most else -shape.least
