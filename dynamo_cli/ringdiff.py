"""Two rings side by side: which partitions have other owners, and what each node gains and loses by that."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.render.rows import newcomers
from dynamo_cli.whatif import live

NOW, NEXT = "now", "next"
SCHEMA = "dyn.ring/v1"
MAKE_ONE = "Make one: dyn ring export --format json --file FILE"


class Owned(NamedTuple):
    """Who owns what: per partition its owners by name, the primary first."""

    of: str
    epoch: int
    n: int
    owners: tuple[tuple[str, ...], ...]


def now(document: Mapping[str, Any], of: str = NOW) -> Owned:
    """The ring of a DYN.RING document; while it moves the one that it comes from, which owns everything until then."""
    new, n = newcomers(document), document["n"]
    owners = tuple(tuple(name for name in names[:n] if name not in new) for names in document["preference"])
    return Owned(of, document["epoch"], n, owners)


def after(document: Mapping[str, Any], *, whole: bool = False) -> Owned:
    """The ring that a move under way leads to: that of the epoch in which it will be settled.

    `whole`: with the stand-ins behind the owners. Raises CliError if nothing moves.
    """
    if document.get("moving") is None:
        raise CliError(
            ExitStatus.NOT_FOUND, f"nothing moves: ring epoch {document['epoch']} is settled", "See: dyn ring show"
        )
    ring = live(document)
    n = len(ring.names) if whole else ring.n
    owners = tuple(tuple(ring.names[node] for node in nodes[:n]) for nodes in ring.lists)
    return Owned(NEXT, document["moving"]["epoch"] + 1, ring.n, owners)


def in_file(path: Path) -> Owned:
    """The ring in a file; raises CliError for one that is not there, or is none."""
    return now(document_in(path), str(path))


def document_in(path: Path) -> dict[str, Any]:
    """The DYN.RING document in a file, as dyn ring export writes it; raises CliError as `in_file` does."""
    try:
        document = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise CliError(ExitStatus.NOT_FOUND, f"cannot read {path}: {error.strerror}", MAKE_ONE) from None
    except (ValueError, RecursionError):
        document = None
    if not _is_ring(document):
        raise usage(f"{path} holds no ring", MAKE_ONE)
    return document


def complete_in(path: Path) -> dict[str, Any]:
    """The ring in a file, if it says where each key lives. Raises CliError."""
    ring = document_in(path)
    preference, partitions, n = ring["preference"], ring.get("partitions"), ring["n"]
    if partitions != len(preference) or ring.get("hash") != "md5" or not all(preference) or n < 1:
        raise usage(f"{path} holds no whole ring: it does not say where each key lives", MAKE_ONE)
    return ring


def _is_ring(document: object) -> TypeGuard[dict[str, Any]]:
    """Whether it is a document as DYN.RING gives it, as far as it is looked at here."""
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        return False
    preference, members = document.get("preference"), document.get("members")
    numbers = (document.get("epoch"), document.get("n"))
    return (
        all(isinstance(number, int) and number >= 0 for number in numbers)
        and isinstance(members, list)
        and all(isinstance(member, dict) and isinstance(member.get("name"), str) for member in members)
        and isinstance(preference, list)
        and all(isinstance(names, list) and all(isinstance(name, str) for name in names) for names in preference)
    )


def diff(a: Owned, b: Owned) -> dict[str, Any]:
    """The two as a dyn.ring.diff/v1 document."""
    if len(a.owners) != len(b.owners):
        raise usage(
            f"{a.of} has {len(a.owners)} partitions and {b.of} has {len(b.owners)}",
            "Rings of one cluster have the same for ever",
        )
    partitions, reordered = [], 0
    gained: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    for partition, (before, then) in enumerate(zip(a.owners, b.owners, strict=True)):
        gains, loses = [n for n in then if n not in before], [n for n in before if n not in then]
        reordered += before != then and not gains and not loses
        if gains or loses:
            row = {"partition": partition, "a": list(before), "b": list(then), "gained_by": gains, "lost_by": loses}
            partitions.append(row)
        gained.update(gains)
        lost.update(loses)
    return {
        "schema": "dyn.ring.diff/v1",
        "a": {"ring": a.of, "epoch": a.epoch},
        "b": {"ring": b.of, "epoch": b.epoch},
        "total": len(a.owners),
        "partitions": partitions,
        "reordered": reordered,
        "nodes": _nodes(a, b, gained, lost),
    }


def _nodes(a: Owned, b: Owned, gained: Counter[str], lost: Counter[str]) -> list[dict[str, Any]]:
    """What each node of either ring has in both: primaries, replicas, and what came and went."""
    primaries = [Counter(owners[0] for owners in ring.owners if owners) for ring in (a, b)]
    replicas = [Counter(name for owners in ring.owners for name in owners) for ring in (a, b)]
    return [
        {
            "name": name,
            "primaries": {"a": primaries[0][name], "b": primaries[1][name]},
            "replicas": {"a": replicas[0][name], "b": replicas[1][name]},
            "gained": gained[name],
            "lost": lost[name],
        }
        for name in dict.fromkeys([*replicas[0], *replicas[1]])
    ]
