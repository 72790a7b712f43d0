"""DYN.FAULT sent to the nodes that it concerns: who must be told, and what became of it.

A link is broken by its two ends, each for itself, so an order about two nodes goes to both. One end is enough for a
cut, which is why a node that does not answer spoils nothing: it comes back without faults, and the other end holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from dynamo_cli import store
from dynamo_cli.asking import Told
from dynamo_cli.client import Client, Word
from dynamo_cli.errors import CliError, no_node, usage

Order = tuple[str, tuple[Word, ...]]
"""A node's name, and the words after DYN.FAULT."""


def group(text: str) -> tuple[str, ...]:
    """Names with commas between them; raises a usage error if one is missing."""
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise usage(f"{text!r} is no list of node names", "Write n1, or n1,n2")
    return tuple(dict.fromkeys(names))


def pairs(kind: str, a: str, b: str, *amount: Word) -> list[Order]:
    """One order for each two nodes of two groups, for both of them. Raises a usage error if the groups overlap."""
    left, right = group(a), group(b)
    both = [name for name in left if name in right]
    if both:
        raise usage(f"{both[0]} is on both sides", "Name each node once, as in: dyn fault cut n1,n2 n3,n4,n5")
    return [(end, (kind, one, other, *amount)) for one in left for other in right for end in (one, other)]


def in_force(told: Told) -> list[dict[str, Any]]:
    """The faults that a node obeys, as it said last."""
    return list(told.document["faults"]) if told.document is not None else []


def tell(orders: Iterable[Order], addresses: dict[str, str], client_of: Callable[[str], Client]) -> list[Told]:
    """Send every order to its node; what each node said, in the order in which they were first told.

    Raises NOT_FOUND for a node that is not in the ring, before anything was sent.
    """
    orders = list(orders)
    unknown = [name for name, _ in orders if name not in addresses]
    if unknown:
        raise no_node(unknown[0], sorted(addresses), " in the ring")
    told: dict[str, Told] = {}
    clients: dict[str, Client] = {}
    for name, words in orders:
        before = told.get(name)
        if before is not None and before.error is not None:
            continue
        address = addresses[name]
        if name not in clients:
            clients[name] = client_of(address)
        try:
            told[name] = Told(name, address, store.document(clients[name], "FAULT", *words), None)
        except CliError as error:
            told[name] = Told(name, address, None, error)
    for client in clients.values():
        client.close()
    return list(told.values())


def failure(told: Sequence[Told], orders: Sequence[Order]) -> CliError | None:
    """What makes the whole a failure: a node that refused, or an order that nobody took."""
    for each in told:
        if each.error is not None and not each.silent:
            return CliError(
                each.error.status, f"{each.node}: {each.error.message}", each.error.hint, code=each.error.code
            )
    took = {each.node for each in told if each.error is None}
    for _, words in orders:
        if not any(name in took for name, same in orders if same == words):
            silent = next(each for each in told if each.silent)
            assert silent.error is not None
            return CliError(silent.error.status, f"{silent.node}: {silent.error.message}", silent.error.hint)
    return None


def document(told: Sequence[Told]) -> dict[str, Any]:
    """What the nodes said, as one document."""
    nodes = [
        {
            "node": each.node,
            "address": each.address,
            "faults": in_force(each) if each.document is not None else None,
            "note": each.document["note"] if each.document is not None else None,
            "error": each.error.message if each.error is not None else None,
        }
        for each in told
    ]
    return {"schema": "dyn.fault.nodes/v1", "nodes": nodes}
