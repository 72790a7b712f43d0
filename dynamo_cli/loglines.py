"""The lines of a node's log, as they were written (text or JSON), read back: when, how bad, and what."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from node.words import LEVELS, in_words

_TEXT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z) ([A-Z]+) +(.*)", re.DOTALL)


class Line(NamedTuple):
    """One line. `at` (RFC 3339) and `level` are None where it says neither, as in a traceback."""

    at: str | None
    level: str | None
    text: str


def parsed(line: str) -> Line:
    """What a line says, in either form; one of another form is text."""
    found = _TEXT.fullmatch(line)
    if found and found[2].lower() in LEVELS:
        return Line(found[1], found[2].lower(), found[3])
    if line.startswith("{"):
        try:
            fields = json.loads(line)
        except ValueError:
            fields = None
        if isinstance(fields, dict):
            at, level, kind = (fields.pop(name, None) for name in ("at", "level", "kind"))
            if isinstance(at, str) and level in LEVELS and isinstance(kind, str):
                return Line(at, level, in_words(kind, fields))
    return Line(None, None, line)


class Filter:
    """Which lines are wanted. One without a time or a level goes with the line before it."""

    def __init__(self, *, level: str = LEVELS[0], since: datetime | None = None) -> None:
        self._least = LEVELS.index(level)
        self._since = since
        self._goes_on = self._least == 0 and since is None

    def __call__(self, lines: Iterable[Line]) -> Iterator[Line]:
        """Those of `lines` that are wanted; what was said before is remembered from call to call."""
        for line in lines:
            if line.level is not None:
                self._goes_on = LEVELS.index(line.level) >= self._least and self._is_recent(line.at)
            if self._goes_on:
                yield line

    def _is_recent(self, at: str | None) -> bool:
        if self._since is None:
            return True
        try:
            return datetime.fromisoformat(at or "") >= self._since
        except (TypeError, ValueError):  # no time, or one without a zone
            return True
