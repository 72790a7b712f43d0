"""What a key became: when two reads of it show different things, and how a change is told. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from dynamo_cli.render.plain import clock_text, encode, exact, shortened, show
from dynamo_cli.store import Reading, Version

KNOWN_MAX = 100_000
"""Keys whose last state is remembered: 16 bytes each and the key. Of one that was forgotten a state is told again."""

NAMES = ("written_at", "change", "key", "value", "clock", "writer")
VALUE, SIBLINGS, DELETED = "value", "siblings", "deleted"

Document = dict[str, Any]


def kind(reading: Reading) -> str:
    """What the key is now."""
    return (DELETED, VALUE)[len(reading.live)] if len(reading.live) < 2 else SIBLINGS


class Known:
    """The last state of each key, to tell a change from another look at the same."""

    def __init__(self) -> None:
        self._states: dict[bytes, bytes] = {}

    def changed(self, reading: Reading) -> bool:
        """Whether it differs from what was seen of its key before, or is the first of it; from now on it is known."""
        state = _state(reading.live)
        before = self._states.pop(reading.key, None)
        self._states[reading.key] = state
        while len(self._states) > KNOWN_MAX:
            del self._states[next(iter(self._states))]
        return before != state


def _state(versions: Iterable[Version]) -> bytes:
    """The live versions in 16 bytes. A context alone would not do: it changes with the secret that seals it."""
    digest = hashlib.blake2b(digest_size=16)
    for each in sorted(repr((v.dot, v.written_at, v.writer, v.value)) for v in versions):
        digest.update(b"%d:" % len(each) + each.encode("utf-8", "surrogatepass"))
    return digest.digest()


def written_at(reading: Reading) -> str | None:
    """When the latest version was written, a tombstone too; None if nobody says."""
    return max((version.written_at for version in reading.versions if version.written_at), default=None)


def change_document(reading: Reading, values: list[Document]) -> Document:
    """The document dyn.watch/v1; `values` as in dyn.get/v1."""
    key, enc = encode(reading.key)
    context = reading.context.decode("ascii", "replace")
    return {
        "schema": "dyn.watch/v1", "key": key, "enc": enc, "change": kind(reading), "written_at": written_at(reading),
        "context": context, "values": values,
    }  # fmt: skip


def change_rows(reading: Reading) -> list[tuple[str, ...]]:
    """A row a value, and one for a key without any."""
    head = kind(reading), exact(reading.key)
    if not reading.live:
        return [(show(written_at(reading) or ""), *head, "", "", "")]
    return [
        (show(version.written_at or ""), *head, exact(version.value or b""), clock_text(version.clock),
         show(version.writer or ""))
        for version in reading.live
    ]  # fmt: skip


def change_line(reading: Reading, columns: int | None) -> str:
    """For people: `12:03:07.402  cart:7  milk  {n2:1}  by ada`, cut to `columns`."""
    at = show((written_at(reading) or "")[11:23])
    live = reading.live
    if not live:
        words = "deleted"
    elif len(live) == 1:
        by = f"  by {show(live[0].writer)}" if live[0].writer else ""
        words = f"{show(live[0].value or b'')}  {clock_text(live[0].clock)}{by}"
    else:
        words = f"! {len(live)} siblings: {' | '.join(show(version.value or b'') for version in live)}"
    line = f"{at:<12}  {exact(reading.key)}  {words}"
    return (line if columns is None else shortened(line, columns)).rstrip() + "\n"
