"""Ask one node how the cluster is, and every node how it is itself: bounded, and nothing is changed by it.

A node is asked over one connection, closed at the end, for what costs it nothing but to tell. Of keys with siblings a
few are looked at, and without repairing them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dynamo_cli import store
from dynamo_cli.asking import addresses_of, ask, survey
from dynamo_cli.doctor.cluster import Conflict, Heard, Node
from dynamo_cli.errors import CliError
from dynamo_cli.render.plain import quoted, shell_word
from dynamo_cli.told import items, whole

if TYPE_CHECKING:
    from dynamo_cli.call import Call, Document
    from dynamo_cli.client import Client, Reply

PAGES_MAX = 8
"""Pages of keys that are looked through for one with siblings: a page may be empty and not the last."""

CONFLICTS_MAX = 8
"""Keys of those whose values are counted."""


def hear(call: Call, *, keys: bool = True) -> Heard:
    """Ask. `keys`: look also for the key with most siblings, which is the only thing here that names a key."""
    client = call.client
    try:
        status, ring = survey(client, "STATUS"), store.document(client, "RING")
    except CliError as error:
        return Heard(None, None, None, None, None, {}, {}, why=error.message)
    nodes, silent = _nodes(call, addresses_of(ring))
    views, hints, transfers = (_perhaps(client, name) for name in ("VIEWS", "HINTS", "TRANSFERS"))
    conflict = _conflict(client) if keys and whole(status, "siblings") else None
    return Heard(status, ring, views, hints, transfers, nodes, silent, conflict, time.time())


def _nodes(call: Call, addresses: dict[str, str]) -> tuple[dict[str, Node], dict[str, str]]:
    """What each node says of itself, and why those who say nothing do not."""
    more: dict[str, tuple[Mapping[str, str], float, float | None, str, int]] = {}

    def client_of(address: str) -> Client:
        return call.env.client_apart((address,), call.options.timeout_s)

    def ask_more(name: str, asked: Client) -> None:
        with call.timed() as took:
            asked.read("PING")
            took_ms = took()
        began_s = time.time()
        its_s = _time_of(reply_or_none(asked, "TIME"))
        ours_s = (began_s + time.time()) / 2
        ahead_s = None if its_s is None else its_s - ours_s
        more[name] = info_of(asked), took_ms, ahead_s, _setting(asked, "durability"), _faults(asked)

    told = ask(addresses, client_of, "STATS", more=ask_more)
    nodes = {}
    for each in told:
        if each.document is not None and each.node in more:
            nodes[each.node] = Node(each.document, *more[each.node])
    return nodes, {each.node: each.error.message for each in told if each.error is not None}


def info_of(client: Client, *sections: str) -> dict[str, str]:
    """The lines of INFO by name (by default those that say what a node is); {} of who does not tell."""
    reply = reply_or_none(client, "INFO", *(sections or ("server", "dyn")))
    lines = reply.decode(errors="replace").splitlines() if isinstance(reply, bytes) else []
    return {name: value for name, colon, value in (line.partition(":") for line in lines) if colon}


def reply_or_none(client: Client, *words: str) -> Reply:
    """A reply, or None from a node that knows no such command. Raises CliError for one that is silent."""
    try:
        return client.read(*words)
    except CliError as error:
        if error.code in ("ERR", "NOTSUPPORTED"):
            return None
        raise


def _time_of(reply: Reply) -> float | None:
    """Unix time in a reply to TIME: seconds and microseconds."""
    if not isinstance(reply, list) or len(reply) != 2:
        return None
    digits = [part.decode("ascii", "replace") for part in reply if isinstance(part, bytes)]
    if len(digits) != 2 or not all(part.isdigit() and len(part) <= 20 for part in digits):
        return None
    return int(digits[0]) + int(digits[1]) / 1e6


def _setting(client: Client, name: str) -> str:
    reply = reply_or_none(client, "CONFIG", "GET", name)
    value = reply[1] if isinstance(reply, list) and len(reply) > 1 else b""
    return value.decode(errors="replace") if isinstance(value, bytes) else ""


def _faults(client: Client) -> int:
    try:
        return len(items(store.document(client, "FAULT", "LIST"), "faults"))
    except CliError as error:
        if error.code in ("ERR", "NOTSUPPORTED", "DENIED", "PROTOCOL"):
            return 0  # a node that takes no such orders obeys none
        raise


def _perhaps(client: Client, name: str) -> Document | None:
    try:
        return survey(client, name)
    except CliError:
        return None


def in_conflict(client: Client, most: int) -> tuple[list[bytes], bool]:
    """Up to `most` keys that have siblings, and whether there may be more. Raises CliError."""
    found: list[bytes] = []
    cursor = b"0"
    for _ in range(PAGES_MAX):
        cursor, page = store.key_page(client, b"", cursor, siblings=True, page=most)
        found += page
        if cursor == b"0" or len(found) >= most:
            break
    return found[:most], cursor != b"0"


def _conflict(client: Client) -> Conflict | None:
    """The key with most values among the first few that have siblings."""
    try:
        found, _ = in_conflict(client, CONFLICTS_MAX)
        counted = [(_values(client, key), key) for key in found]
    except CliError:
        return None
    values, key = max(counted, default=(0, b""))
    return Conflict(quoted(key), shell_word(key), values) if values > 1 else None


def _values(client: Client, key: bytes) -> int:
    """How many live values a key has, all replicas together. (DYN.EXPLAIN: a read would repair, and so write.)"""
    merged = items(store.document(client, "EXPLAIN", key), "merged")
    return sum(version.get("deleted") is not True for version in merged)
