"""Rings by their names: an epoch that nodes know, now, next, or a file that a ring was saved in.

    settled ring of epoch e                    e
    a move from the ring of e - 1 under way    e - 1, e (both at once), e + 1 (the one that it leads to)

Nodes keep no older ring: whoever wants to look back saves one (`dyn ring export --format json --file FILE`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.render.rows import newcomers
from dynamo_cli.ringdiff import MAKE_ONE, NEXT, NOW, after, complete_in
from dynamo_cli.told import items, mapping, number, whole, word, words

Document = dict[str, Any]

SAVED_NEXT_TIME = "Save rings: dyn ring export --format json --file FILE"


def ring_of(name: str, heard: Callable[[], Mapping[str, Any]]) -> Document:
    """The ring of this name as a DYN.RING document. `heard` gives what a node tells now; of a file none is asked.

    Raises CliError: NOT_FOUND for an epoch that no node remembers, or for a file that is not there.
    """
    is_epoch = name.isascii() and name.isdigit()
    if not is_epoch and name not in (NOW, NEXT):
        return saved(Path(name))
    ring = dict(heard())
    epoch, moving = ring["epoch"], ring.get("moving") is not None
    if name == NEXT or (moving and name == str(epoch + 1)):
        return following(ring)
    if moving and name in (NOW, str(epoch - 1)):
        return before(ring)
    if name in (NOW, str(epoch)):
        return ring
    known = f"{epoch - 1}, {epoch} and {epoch + 1}, since it moves" if moving else f"{epoch}"
    raise CliError(ExitStatus.NOT_FOUND, f"no node remembers ring epoch {name}: they know {known}", SAVED_NEXT_TIME)


def before(ring: Mapping[str, Any]) -> Document:
    """Of a ring that moves, the one that it comes from: it owns everything until the move is settled."""
    new = newcomers(ring)
    members = [member for member in ring["members"] if member["name"] not in new]
    stays = [member | {"state": "up", "owns": True} if member["state"] == "leaving" else member for member in members]
    lists = [[name for name in names if name not in new] for names in ring["preference"]]
    return {**ring, "epoch": ring["epoch"] - 1, "members": stays, "preference": lists, "moving": None}


def following(ring: Mapping[str, Any]) -> Document:
    """Of a ring that moves, the one that it leads to. Raises CliError if nothing moves."""
    then = after(ring, whole=True)
    named = {name for names in then.owners for name in names}
    members = [
        member | {"state": "up"} if member["name"] in named else member
        for member in ring["members"]
        if member.get("owns", True) or member["state"] != "leaving"
    ]
    lists = [list(names) for names in then.owners]
    owners = [names[0] for names in lists]
    return {**ring, "epoch": then.epoch, "members": members, "owners": owners, "preference": lists, "moving": None}


def saved(path: Path) -> Document:
    """The ring in a file, with everything that a screen needs of it. Raises CliError."""
    ring = complete_in(path)
    members = [
        {
            "name": member["name"],
            "id": word(member, "id"),
            "address": word(member, "address"),
            "zone": word(member, "zone", ""),
            "weight": whole(member, "weight") or 1,
            "state": word(member, "state", "up"),
            "owns": member.get("owns") is not False,
        }
        for member in items(ring, "members")
    ]
    facts = {"schema": ring["schema"], "epoch": ring["epoch"], "partitions": ring["partitions"], "hash": ring["hash"]}
    quorums = {"n": ring["n"], "r": whole(ring, "r") or 0, "w": whole(ring, "w") or 0}
    lists = {"owners": [names[0] for names in ring["preference"]], "preference": ring["preference"]}
    return {**facts, **quorums, "members": members, **lists, "moving": _move(ring, path)}


def _move(ring: Mapping[str, Any], path: Path) -> Document | None:
    """What a saved ring says of its move, if it moved. Raises CliError for what makes no sense."""
    if ring.get("moving") is None:
        return None
    moving, partitions = mapping(ring, "moving"), ring["partitions"]
    owners, moves = words(moving, "owners"), moving.get("partitions")
    if len(owners) != partitions or not isinstance(moves, list):
        raise usage(f"{path} holds no whole ring: it does not say what moves", MAKE_ONE)
    if not all(isinstance(each, int) and 0 <= each < partitions for each in moves):
        raise usage(f"{path} holds no whole ring: it moves partitions that are not there", MAKE_ONE)
    told = {"epoch": ring["epoch"], "change": word(moving, "change"), "progress": number(moving, "progress") or 0.0}
    return {**told, "owners": owners, "partitions": moves, "bytes_left": None, "eta_s": None}
