"""What a ring would be after a change: the functions by which nodes decide it, on values, without a node.

A ring is grown by one member at a time, as nodes do, so each change is a step with moves of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from itertools import count
from typing import Any, NamedTuple

from dynamo_cli.errors import no_node, usage
from node.core.cluster import Seat
from node.core.ids import NodeId
from node.core.moves import Preference, balance, plan
from node.core.ring import found, join, leave, preference_lists, reweigh


class Ring(NamedTuple):
    """Seats with their names, and who is the primary of each partition (as an index of `seats`)."""

    names: dict[NodeId, str]
    seats: tuple[Seat, ...]
    owners: tuple[int, ...]
    n: int

    @property
    def lists(self) -> Preference:
        """The preference list of every partition."""
        return preference_lists(self.seats, self.owners, self.n)


class Step(NamedTuple):
    """One change: in words, the ring after it, replicas that move for it and how few could, and from whom to whom."""

    change: str
    ring: Ring
    moves: int
    least: int
    gains: Mapping[NodeId, int]
    gives: Mapping[NodeId, int]


def fresh(nodes: int, zones: Iterable[str], partitions: int, n: int) -> Ring:
    """A ring of nodes n1, n2 …, one after another, in the zones by turns."""
    names = list(zones) or [""]
    first = _seat(1, names[0])
    ring = Ring({first.id: "n1"}, (first,), found(first, partitions), n)
    for number in range(2, nodes + 1):
        ring = add(ring, names[(number - 1) % len(names)]).ring
    return ring


def live(document: Mapping[str, Any]) -> Ring:
    """The ring of a DYN.RING document; while it moves, the one that it leads to. Members without a seat are not in it.

    (Who leaves has no seat in that one, and who joins has.)
    """
    members = [member for member in document["members"] if member.get("owns", True)]
    owners = (document.get("moving") or document)["owners"]
    seats = tuple(Seat(NodeId(member["id"]), member["zone"], member["weight"]) for member in members)
    names = {seat.id: member["name"] for seat, member in zip(seats, members, strict=True)}
    at = {member["name"]: index for index, member in enumerate(members)}
    return Ring(names, seats, tuple(at[name] for name in owners), document["n"])


def add(ring: Ring, zone: str = "", taken: Iterable[str] = ()) -> Step:
    """A node joins, under the first name that nobody has, nor had before (`taken`)."""
    used = {*taken, *ring.names.values()}
    number = next(i for i in range(1, len(used) + 2) if f"n{i}" not in used)
    name, seat = f"n{number}", _seat(number, zone, ring.names)
    seats, owners = join(ring.seats, ring.owners, seat, ring.n)
    return _step(f"{name} joins", ring, Ring({**ring.names, seat.id: name}, seats, owners, ring.n))


def remove(ring: Ring, name: str) -> Step:
    """A node leaves. Raises CliError for one that is not there, and for the last."""
    node = _named(ring, name)
    if len(ring.seats) == 1:
        raise usage(f"{name} is the last node", "A ring has one at least")
    seats, owners = leave(ring.seats, ring.owners, (node,), ring.n)
    names = {other: known for other, known in ring.names.items() if other != node}
    return _step(f"{name} leaves", ring, Ring(names, seats, owners, ring.n))


def weigh(ring: Ring, name: str, weight: int) -> Step:
    """A node gets another weight. Raises CliError for one that is not there."""
    seats, owners = reweigh(ring.seats, ring.owners, _named(ring, name), weight, ring.n)
    return _step(f"{name} weighs {weight}", ring, ring._replace(seats=seats, owners=owners))


def _step(change: str, before: Ring, after: Ring) -> Step:
    moves = plan(before.lists, after.lists, after.n)
    held, holds = balance(before.lists, after.n).replicas, balance(after.lists, after.n).replicas
    least = sum(max(0, holds[node] - held.get(node, 0)) for node in holds)
    gives = Counter(move.loses for move in moves if move.loses is not None)
    return Step(change, after, len(moves), least, Counter(move.gains for move in moves), gives)


def _seat(number: int, zone: str, taken: Container[NodeId] = ()) -> Seat:
    """A seat with an id that nobody has, in the order of names where there is a choice."""
    ids = (NodeId(f"{candidate:032x}") for candidate in count(number))
    return Seat(next(node for node in ids if node not in taken), zone, 1)


def _named(ring: Ring, name: str) -> NodeId:
    for node, known in ring.names.items():
        if known == name:
            return node
    raise no_node(name, sorted(ring.names.values()), " in this ring")


def document(begin: Ring, steps: list[Step], keys: int | None) -> dict[str, Any]:
    """The whole as a document: the steps, the nodes before and after, and the ring as it would be."""
    end = steps[-1].ring if steps else begin
    before, after = balance(begin.lists, begin.n), balance(end.lists, end.n)
    names, seats = {**begin.names, **end.names}, {seat.id: seat for seat in (*begin.seats, *end.seats)}
    all_replicas = sum(after.replicas.values())
    nodes = [
        {
            "name": name,
            "zone": seats[node].zone,
            "weight": seats[node].weight,
            "primaries": {"before": before.primaries.get(node, 0), "after": after.primaries.get(node, 0)},
            "replicas": {"before": before.replicas.get(node, 0), "after": after.replicas.get(node, 0)},
            "gains": sum(step.gains.get(node, 0) for step in steps),
            "gives": sum(step.gives.get(node, 0) for step in steps),
        }
        for node, name in names.items()
    ]
    moves = sum(step.moves for step in steps)
    return {
        "schema": "dyn.ring.simulate/v1",
        "steps": [_step_document(step) for step in steps],
        "nodes": nodes,
        "moves": moves,
        "replicas": all_replicas,
        "keys": None if keys is None else {"total": keys, "rows_moved": round(keys * moves / len(end.owners))},
        "ring": _ring_document(end),
    }


def _step_document(step: Step) -> dict[str, Any]:
    found_balance = balance(step.ring.lists, step.ring.n)
    primaries = found_balance.primaries.values()
    return {
        "change": step.change,
        "moves": step.moves,
        "of_all": step.moves / sum(found_balance.replicas.values()),
        "least": step.least,
        "worst_by_mean": 1 / found_balance.efficiency,
        "primaries": [min(primaries), max(primaries)],
    }


def _ring_document(ring: Ring) -> dict[str, Any]:
    """As DYN.RING tells it, as far as there is something to tell."""
    names = ring.names
    members = [
        {"name": names[seat.id], "zone": seat.zone, "weight": seat.weight, "state": "up", "address": ""}
        for seat in ring.seats
    ]
    return {
        "partitions": len(ring.owners),
        "n": ring.n,
        "members": members,
        "owners": [names[ring.seats[owner].id] for owner in ring.owners],
        "preference": [[names[node] for node in nodes] for nodes in ring.lists],
    }
