"""DYN.HOT's and DYN.MONITOR's words: what somebody who looks at single requests may ask for.

DYN.HOT [COUNT n]                                        hot keys, biggest values, most siblings
DYN.MONITOR [LISTENER id] [KEY pattern] [OP get,put,del] [RATE n]
                                                         requests since the listener asked last; 0: a new one
"""

from __future__ import annotations

from typing import Final, NamedTuple

from node.core.limits_watch import HOT_KEYS, HOT_SHOWN, MONITOR_RATE, MONITOR_RATE_MAX
from node.wire.answers import shown_key
from node.wire.replies import ErrorReply

Words = list[bytes]

OPERATIONS: Final = ("get", "put", "del")


class Monitor(NamedTuple):
    """One question of a listener; `listener` 0: it is new."""

    listener: int = 0
    pattern: bytes = b"*"
    operations: tuple[str, ...] = OPERATIONS
    rate: int = MONITOR_RATE


def parse_hot(words: Words) -> int | ErrorReply:
    """How many keys of each list DYN.HOT shall tell."""
    options = _options(words, (b"COUNT",))
    if isinstance(options, ErrorReply):
        return options
    return _number("COUNT", options.get(b"COUNT"), HOT_SHOWN, 1, HOT_KEYS)


def parse_monitor(words: Words) -> Monitor | ErrorReply:
    """What DYN.MONITOR asks for."""
    options = _options(words, (b"LISTENER", b"KEY", b"OP", b"RATE"))
    if isinstance(options, ErrorReply):
        return options
    listener = _number("LISTENER", options.get(b"LISTENER"), 0, 0, 2**31 - 1)
    if isinstance(listener, ErrorReply):
        return listener
    rate = _number("RATE", options.get(b"RATE"), MONITOR_RATE, 1, MONITOR_RATE_MAX)
    if isinstance(rate, ErrorReply):
        return rate
    wanted = options.get(b"OP", ",".join(OPERATIONS).encode()).lower().split(b",")
    operations = tuple([name for name in OPERATIONS if name.encode() in wanted])
    if len(operations) != len(wanted):
        return ErrorReply("ERR", f"OP is some of {','.join(OPERATIONS)}, not '{shown_key(options[b'OP'])}'")
    return Monitor(listener, options.get(b"KEY", b"*"), operations, rate)


def _options(words: Words, names: tuple[bytes, ...]) -> dict[bytes, bytes] | ErrorReply:
    """Pairs of a name and a value, each at most once."""
    found: dict[bytes, bytes] = {}
    for at in range(1, len(words), 2):
        name = words[at].upper()
        if name not in names or name in found:
            return ErrorReply("ERR", f"syntax error: unexpected '{shown_key(words[at])}'")
        if at + 1 == len(words):
            return ErrorReply("ERR", f"syntax error: {name.decode()} needs a value")
        found[name] = words[at + 1]
    return found


def _number(name: str, word: bytes | None, usual: int, least: int, most: int) -> int | ErrorReply:
    if word is None:
        return usual
    if word.isdigit() and len(word) <= 10 and least <= int(word) <= most:
        return int(word)
    return ErrorReply("ERR", f"{name} must be a number from {least} to {most}, not '{shown_key(word)}'")
