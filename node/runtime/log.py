"""Facts as lines: what happened, in words for people or as JSON for programs, one line each, on one stream.

    2026-11-23T12:03:07.412Z INFO  n2 is up (127.0.0.1:7802)
    {"at":"2026-11-23T12:03:07.412Z","level":"info","kind":"peer_up","node":"n2","address":"127.0.0.1:7802"}

A kind that repeats is thinned: after LOG_BURST lines one an interval, which says how many were left out. What comes
from others is shortened and its control characters are shown as escapes, so that nobody writes our log for us.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, TextIO

from node.core.limits import LOG_BURST, LOG_INTERVAL_S, LOG_KINDS_MAX
from node.words import LEVELS, in_words, level_of, plain

ENDS: Final = {
    "seat_taken": "another store has its seat",
    "fell_back": "its disk was put back",
    "gone": "it is no member any more",
    "other_partitions": "its cluster is not the one it was started for",
}
"""Facts after which a node must not go on, and why it then stops."""


class Log:
    """Writes facts to `stream`. `wall_s` and `now` are the clocks for the time shown and for the rate.

    What matters less than `least`, one of LEVELS, is not written.
    """

    def __init__(
        self,
        stream: TextIO,
        wall_s: Callable[[], float],
        now: Callable[[], float],
        *,
        form: str = "text",
        least: str = LEVELS[0],
    ) -> None:
        self._stream = stream
        self._wall_s = wall_s
        self._now = now
        self._as_json = form == "json"
        self._least = LEVELS.index(least)
        self._rates: dict[str, Rate] = {}
        self._gone = False

    def fact(self, kind: str, fields: dict[str, object]) -> None:
        """Write one line, unless its kind has had its share, or matters too little."""
        if LEVELS.index(level_of(kind)) < self._least:
            return
        rate = self._rates.get(kind)
        if rate is None:
            if len(self._rates) >= LOG_KINDS_MAX:
                return
            rate = self._rates[kind] = Rate(self._now())
        omitted = rate.admit(self._now())
        if omitted is None or self._gone:
            return
        at = datetime.fromtimestamp(self._wall_s(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = (as_json if self._as_json else as_text)(at, level_of(kind), kind, fields, omitted)
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            self._gone = True  # whoever read our log is gone: serving is worth more than saying so


class Rate:
    """How many lines of one kind may still come: LOG_BURST, and one more an interval."""

    __slots__ = ("_at", "_left", "_omitted")

    def __init__(self, now: float) -> None:
        self._at = now
        self._left = float(LOG_BURST)
        self._omitted = 0

    def admit(self, now: float) -> int | None:
        """How many lines were left out before this one, or None to leave this one out."""
        self._left = min(LOG_BURST, self._left + (now - self._at) / LOG_INTERVAL_S)
        self._at = now
        if self._left < 1:
            self._omitted += 1
            return None
        self._left -= 1
        omitted, self._omitted = self._omitted, 0
        return omitted


def as_text(at: str, level: str, kind: str, fields: dict[str, object], omitted: int) -> str:
    """One line for people."""
    more = f" ({omitted} more of these not shown)" if omitted else ""
    return f"{at} {level.upper():5} {in_words(kind, fields)}{more}"


def as_json(at: str, level: str, kind: str, fields: dict[str, object], omitted: int) -> str:
    """One line for programs."""
    document: dict[str, object] = {"at": at, "level": level, "kind": kind}
    for name, value in fields.items():
        document[name] = value if value is None or isinstance(value, bool | int | float) else plain(value)
    if omitted:
        document["omitted"] = omitted
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))
