"""The commands of the wire as functions: what a read found, what a write became. The CLI and the shell share them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from dynamo_cli.client import UNCERTAIN, Client, Reply, Word
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.told import whole


class Version(NamedTuple):
    """One version of a key. `value` None: a tombstone. What only clocks tell is None when they were not asked for."""

    value: bytes | None
    clock: dict[str, int] | None = None
    dot: object = None
    past: dict[str, int] | None = None
    written_at: str | None = None
    writer: str | None = None


class Reading(NamedTuple):
    """What a read found: the causal context (b"" for a key that nobody wrote) and the versions, tombstones too."""

    key: bytes
    context: bytes
    versions: tuple[Version, ...]

    @property
    def live(self) -> tuple[Version, ...]:
        """The versions that have a value: none, one, or siblings."""
        return tuple(version for version in self.versions if version.value is not None)


class Receipt(NamedTuple):
    """What a write became: the new context, and who holds it: (node, durable, the owner it stands in for).

    `siblings`: how many live values the key has now, as the coordinator knows; None if that is not told.
    """

    key: bytes
    context: bytes
    acks: tuple[dict[str, Any], ...]
    w: int | None
    siblings: int | None = None


class Memory:
    """The contexts that a shell has read, by key: the next write of a key replaces what was seen."""

    def __init__(self) -> None:
        self._readings: dict[bytes, tuple[Reading, float]] = {}

    def learn(self, reading: Reading, now_s: float) -> None:
        """A read, or a write, showed this."""
        self._readings.pop(reading.key, None)
        self._readings[reading.key] = (reading, now_s)
        while len(self._readings) > MEMORY_KEYS_MAX:
            del self._readings[next(iter(self._readings))]

    def recall(self, key: bytes) -> tuple[Reading, float] | None:
        """The last reading of a key, and when it was."""
        return self._readings.get(key)

    def forget(self, key: bytes) -> None:
        """The key's context is no longer worth anything."""
        self._readings.pop(key, None)

    def clear(self) -> None:
        """None of it is worth anything: it was of another cluster."""
        self._readings.clear()

    def keys(self) -> tuple[bytes, ...]:
        """The keys read, the latest last."""
        return tuple(self._readings)

    @property
    def conflicts(self) -> int:
        """How many of the keys had siblings when they were last read."""
        return sum(len(reading.live) > 1 for reading, _ in self._readings.values())


MEMORY_KEYS_MAX = 10_000
"""Keys a shell remembers: a context is at most 4 KiB, so this is at most 40 MiB, and in practice one."""


def get(
    client: Client, key: bytes, *, r: int | None = None, strict: bool = False, clocks: bool = False, local: bool = False
) -> Reading:
    """Read a key. With `clocks` every version carries its clock, writer and time.

    `local`: what the node that is asked holds itself, without a quorum.
    """
    words: list[Word] = ["DYN.GET", key, *quorum("R", r, strict), *client.timeout_words]
    words += ["LOCAL"] * local + ["WITHCLOCKS"] * clocks
    reply = client.read(*words)
    return clocked_reading(key, reply) if clocks else bare_reading(key, reply)


def clocked_reading(key: bytes, answer: Reply) -> Reading:
    """What a reply to DYN.GET … WITHCLOCKS says."""
    reply = array(answer, 2)
    context, values = bulk(reply[0]), [bulk(item) for item in array(reply[1], 0)]
    stories = [parsed(item) for item in array(reply[2] if len(reply) > 2 else None, 0)]
    if len(values) != sum(not story.get("deleted") for story in stories):
        raise _strange(reply)
    return Reading(key, context, tuple(_versions(values, stories)))


def bare_reading(key: bytes, answer: Reply) -> Reading:
    """What a reply to DYN.GET without clocks says."""
    reply = array(answer, 2)
    return Reading(key, bulk(reply[0]), tuple(Version(bulk(item)) for item in array(reply[1], 0)))


def _versions(values: list[bytes], stories: list[dict[str, Any]]) -> Iterator[Version]:
    """The stories in their order, each that is not a tombstone's with the next value."""
    remaining = iter(values)
    for story in stories:
        yield Version(
            None if story.get("deleted") else next(remaining),
            story.get("clock"),
            story.get("dot"),
            story.get("past"),
            story.get("written_at"),
            story.get("writer"),
        )


def put(
    client: Client, key: bytes, context: bytes, value: bytes, *, w: int | None = None, strict: bool = False
) -> Receipt:
    """Write a value over what `context` covers; b"" is a blind write."""
    words = ["DYN.PUT", key, context, value, *quorum("W", w, strict), *client.timeout_words, "RECEIPT"]
    return _receipt(key, client.write(*words))


def delete(client: Client, key: bytes, context: bytes, *, w: int | None = None, strict: bool = False) -> Receipt:
    """Delete what `context` covers."""
    reply = client.write("DYN.DEL", key, context, *quorum("W", w, strict), *client.timeout_words)
    return Receipt(key, bulk(reply), (), None)


def _receipt(key: bytes, reply: Reply) -> Receipt:
    if isinstance(reply, bytes):
        return Receipt(key, reply, (), None)
    parts = array(reply, 2)
    story = parsed(parts[1])
    return Receipt(key, bulk(parts[0]), tuple(story.get("acks") or ()), story.get("w"), whole(story, "siblings"))


def keys(client: Client, prefix: bytes, *, siblings: bool = False, page: int = 1000) -> Iterator[list[bytes]]:
    """The cluster's live keys that begin with `prefix`, page by page."""
    cursor = b"0"
    while True:
        cursor, found = key_page(client, prefix, cursor, siblings=siblings, page=page)
        yield found
        if cursor == b"0":
            return


def key_page(
    client: Client, prefix: bytes, cursor: bytes, *, siblings: bool = False, page: int = 1000
) -> tuple[bytes, list[bytes]]:
    """One page of them, and the cursor of the next: the first position not seen, of 2^64; 0 begins and ends."""
    cursor, found, *_ = listed(client, prefix, cursor, ["SIBLINGS"] if siblings else [], page=page)
    return cursor, found


def listed(
    client: Client, prefix: bytes, cursor: bytes, more: Sequence[Word], *, page: int = 1000
) -> tuple[bytes, list[bytes], *tuple[Reply, ...]]:
    """One page of a listing with further words: the next cursor, keys, and whatever else the node tells of them."""
    reply = array(client.read("DYN.KEYS", "PREFIX", prefix, "CURSOR", cursor, "LIMIT", page, *more), 2)
    cursor = bulk(reply[0])
    if not cursor.isdigit():
        raise _strange(reply)
    return cursor, [bulk(item) for item in array(reply[1], 0)], *reply[2:]


def document(client: Client, name: str, *words: Word) -> dict[str, Any]:
    """One JSON document of the interface, such as `RING`."""
    return parsed(client.read(f"DYN.{name}", *words))


def change(client: Client, *words: Word) -> dict[str, Any]:
    """Ask for a change of the ring (DYN.CLUSTER), once: what was decided. Raises CliError, REFUSED among others."""
    try:
        return parsed(client.write("DYN.CLUSTER", *words))
    except CliError as error:
        if error.status != ExitStatus.UNKNOWN:
            raise
        message = error.message.replace(UNCERTAIN, "the change may or may not be decided")
        raise CliError(error.status, message, "See what became of it: dyn cluster transfers", code=error.code) from None


def quorum(letter: str, count: int | None, strict: bool) -> list[Word]:
    """The words that ask for R or W, and for owners only."""
    words: list[Word] = [] if count is None else [letter, count]
    return [*words, "STRICT"] if strict else words


def array(reply: Reply, length: int) -> list[Reply]:
    """A reply that is an array of at least so many. Raises CliError."""
    if not isinstance(reply, list) or len(reply) < length:
        raise _strange(reply)
    return reply


def bulk(reply: Reply) -> bytes:
    """A reply that is a bulk string. Raises CliError."""
    if not isinstance(reply, bytes):
        raise _strange(reply)
    return reply


def parsed(reply: Reply) -> dict[str, Any]:
    """The JSON document of a reply."""
    import json

    try:
        found = json.loads(bulk(reply))
    except ValueError:
        raise _strange(reply) from None
    if not isinstance(found, dict):
        raise _strange(reply)
    return found


def _strange(reply: Reply) -> CliError:
    return CliError(
        ExitStatus.FAILURE,
        f"the server's answer makes no sense: {str(reply)[:60]}",
        "Is it a dyn node? redis-cli -p PORT INFO",
        code="PROTOCOL",
    )
