"""The biggest keys and those with most siblings, exactly: every key of the cluster is read, in bounded windows."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import Any, NamedTuple

from dynamo_cli import store
from dynamo_cli.client import Client
from dynamo_cli.errors import CliError
from dynamo_cli.render.plain import encode
from dynamo_cli.windows import get_many

Document = dict[str, Any]

WINDOW_KEYS = 64
"""Keys that are read in one go."""


class Weighed(NamedTuple):
    """What was found; `read` keys were, `failed` could not be."""

    biggest: list[Document]
    siblings: list[Document]
    read: int
    failed: int


class _Greatest:
    """The keys with the greatest figures of all that were shown to it."""

    def __init__(self, name: str, most: int, least: int) -> None:
        self._name = name
        self._most = most
        self._least = least
        self._heap: list[tuple[int, bytes]] = []

    def add(self, key: bytes, figure: int) -> None:
        if figure >= self._least:
            (heapq.heappush if len(self._heap) < self._most else heapq.heappushpop)(self._heap, (figure, key))

    def rows(self) -> list[Document]:
        rows: list[Document] = []
        for figure, key in sorted(self._heap, key=lambda found: (-found[0], found[1])):
            text, enc = encode(key)
            rows.append({"node": None, "key": text, "enc": enc, self._name: figure, "seen_s_ago": 0.0, "at": []})
        return rows


def weigh(client: Client, most: int) -> Weighed:
    """Read every key, and keep so many of each list. Raises CliError if keys cannot be listed any more."""
    biggest, several = _Greatest("bytes", most, 0), _Greatest("values", most, 2)
    read = failed = 0
    for page in store.keys(client, b""):
        for window in _windows(page):
            for key, reading in zip(window, get_many(client, window), strict=True):
                if isinstance(reading, CliError):
                    failed += 1
                    continue
                read += 1
                values = [version.value for version in reading.live if version.value is not None]
                if values:  # it may have been deleted meanwhile
                    biggest.add(key, sum(map(len, values)))
                    several.add(key, len(values))
    return Weighed(biggest.rows(), several.rows(), read, failed)


def _windows(keys: list[bytes]) -> Iterable[list[bytes]]:
    return (keys[at : at + WINDOW_KEYS] for at in range(0, len(keys), WINDOW_KEYS))
