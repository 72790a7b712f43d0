"""One question to every member of the ring, at the same time: a node that is silent costs its own time, and no more."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any, NamedTuple

from dynamo_cli import store
from dynamo_cli.client import Client, Word, parse_address
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.render.rows import by_name
from dynamo_cli.told import items, word
from node.core.limits import SURVEY_MS_MAX

SILENT = (ExitStatus.UNREACHABLE, ExitStatus.UNKNOWN)


SURVEY_SHARE = 80
"""Per cent of its part of a short deadline that a node may wait for the others: its answer takes time, too."""


class Told(NamedTuple):
    """What one node said: its document, or why there is none."""

    node: str
    address: str
    document: dict[str, Any] | None
    error: CliError | None

    @property
    def silent(self) -> bool:
        """Whether the node does not answer at all."""
        return self.error is not None and self.error.status in SILENT


def survey(client: Client, name: str) -> dict[str, Any]:
    """A document for which the node that is asked asks all others: in time for us to hear who was silent."""
    share_ms = round(client.timeout_s * 1000) // len(client.addresses)
    words = ("TIMEOUT", max(1, share_ms * SURVEY_SHARE // 100)) if share_ms <= SURVEY_MS_MAX else ()
    return store.document(client, name, *words)


def members(client: Client) -> dict[str, str]:
    """Where each member of the ring takes clients, by name."""
    return addresses_of(store.document(client, "RING"))


def addresses_of(ring: Mapping[str, Any]) -> dict[str, str]:
    """The same of a DYN.RING document, by name. A member without name or address cannot be asked, and is left out."""
    told = [each for each in items(ring, "members") if word(each, "name", "") and word(each, "address", "")]
    return {member["name"]: member["address"] for member in by_name(told)}


def is_address(text: str) -> bool:
    """Whether this may be where a node listens: a member may say of itself what it likes."""
    try:
        parse_address(text)
    except CliError:
        return False
    return True


def ask(
    addresses: dict[str, str],
    client_of: Callable[[str], Client],
    name: str,
    *words: Word,
    more: Callable[[str, Client], None] = lambda name, client: None,
) -> list[Told]:
    """Ask every node for one document of the interface, each on a connection of its own; their words, in that order.

    `more` may ask each for more, on that connection; what it raises is as if the document had not come.
    Ctrl-C leaves at once: whoever still waits for a node ends by its own deadline.
    """
    told: dict[str, Told] = {}

    def one(node: str, address: str) -> None:
        try:
            with closing(client_of(address)) as client:
                document = store.document(client, name, *words)
                more(node, client)
                told[node] = Told(node, address, document, None)
        except CliError as error:
            told[node] = Told(node, address, None, error)

    threads = [threading.Thread(target=one, args=item, daemon=True) for item in addresses.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [told[node] for node in addresses]
