"""Listings of keys, page by page: live ones, deleted ones, those whose owners differ; of all nodes, or of one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from dynamo_cli import store
from dynamo_cli import told as telling
from dynamo_cli.client import Client, Word
from dynamo_cli.render.plain import encode

ALL = 2**64
"""Positions that a cursor may have."""

TOMBSTONES, STALE, SIBLINGS = "TOMBSTONES", "STALE", "SIBLINGS"


class Listed(NamedTuple):
    """One key, and what its listing tells of it: {} for live keys."""

    key: bytes
    told: Mapping[str, Any]

    def item(self, which: str) -> dict[str, Any]:
        """The key as JSON shows it."""
        name, enc = encode(self.key)
        return {"key": name, "enc": enc, **_read(which, self.told)}


class Listing:
    """Which keys are wanted, and of whom. `unheard` are the owners that could not be compared, as far as it went.

    `done` is told after each page how far it is, of ALL.
    """

    def __init__(
        self, client: Client, prefix: bytes, which: str = "", *, partition: int | None = None, local: bool = False
    ) -> None:
        self.client = client
        self.prefix = prefix
        self.which = which
        self.unheard: dict[str, None] = {}
        self.done: Callable[[int], None] = lambda position: None
        self._words: list[Word] = [which] if which else []
        self._words += [] if partition is None else ["PARTITION", partition]
        self._words += ["LOCAL"] if local else []

    def __iter__(self) -> Iterator[Listed]:
        """Each key once, a page at a time. Raises CliError."""
        cursor = b"0"
        while True:
            cursor, keys, *more = store.listed(self.client, self.prefix, cursor, self._words)
            told = [store.parsed(about) for about in store.array(more[0], len(keys))] if more else [{}] * len(keys)
            if len(more) > 1:
                self.unheard |= dict.fromkeys(
                    [store.bulk(name).decode("utf-8", "replace") for name in store.array(more[1], 0)]
                )
            yield from map(Listed, keys, told)
            self.done(int(cursor) or ALL)
            if cursor == b"0":
                return


def _read(which: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """What a node told of a key, held to what it may be; unknown is None."""
    if which == TOMBSTONES:
        names = {"deleted_at": telling.word(told, "deleted_at", ""), "writer": telling.word(told, "writer", "")}
        return {**{name: word or None for name, word in names.items()}, "age_s": telling.number(told, "age_s")}
    if which == STALE:
        deleted = told.get("deleted")
        return {
            "behind": telling.words(told, "behind"), "lacking": telling.words(told, "lacking"),
            "versions": telling.whole(told, "versions"), "deleted": deleted if isinstance(deleted, bool) else None,
        }  # fmt: skip
    return {}
