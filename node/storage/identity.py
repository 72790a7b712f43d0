"""Whose file this is, and whether it may go on minting dots under its epoch (design, section 3).

A file that forgot commits, or that has a twin, must not: its next dots might name something else already. So the epoch
is redrawn, before anything is written, when

* the machine, device, inode or its time of birth is another one than recorded: the file is a copy, or was moved;
* the token of the last run is not the one that `lock` beside it remembers: the file was put back from a copy;
* the last stop was unclean while less than every acknowledgement was synced;
* other nodes knew more of this store's past than it did (`engine.gossip`): a whole machine was put back, lock and
  inode with it. The node has stopped then, and left no token in `lock`;
* the last start found any of this, and failed before it was noted what follows from it.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from node.core.limits import EPOCHS_MAX
from node.storage.born import born_ns
from node.storage.errors import BrokenStore, ForeignStore
from node.storage.port import Identity

FULL = "full"
"""Every commit is synced before it is acknowledged."""

NORMAL = "normal"
"""Only checkpoints are: a power cut may take back the last acknowledged writes, a killed process nothing."""

MEMORY = "memory"
"""Nothing is before a clean stop: a power cut may take back everything and break the file, a killed process nothing."""

SYNCHRONOUS = {FULL: "FULL", NORMAL: "NORMAL", MEMORY: "OFF"}

Entropy = Callable[[int], bytes]


class Place(NamedTuple):
    """Where a file lies: the machine's id (machine-id(5)), the device, the inode, and its birth (0: unknown)."""

    machine: str
    device: int
    inode: int
    born_ns: int

    def may_be(self, other: Place) -> bool:
        """Whether nothing speaks against both being one place."""
        known = self.born_ns and other.born_ns
        return self[:3] == other[:3] and (self.born_ns == other.born_ns or not known)


class FileIdentity(NamedTuple):
    """The one line of table `identity`. `epochs`: the dot epochs used, the present one last. `starts`: how often it was
    claimed."""

    storage_id: str
    node_id: str
    epochs: tuple[int, ...]
    place: Place
    token: str
    clean: bool
    durability: str
    starts: int

    def told(self, changes: int) -> Identity:
        """What others may know of it: while a run lasts, its token tells it from every other."""
        return Identity(self.storage_id, self.node_id, self.epochs, self.starts, self.token, changes)


def checksum(*parts: object) -> int:
    """64 bits of BLAKE2b over the parts, as SQLite's signed integer. For lines that are seldom read."""
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=8).digest(), "big", signed=True)


def place_of(path: Path) -> Place:
    """Where the file at `path` lies now."""
    found = os.stat(path)
    return Place(_machine_id(), found.st_dev, found.st_ino, born_ns(path))


def _machine_id() -> str:
    """The machine's id, or "" where there is none."""
    for candidate in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        try:
            return Path(candidate).read_text(encoding="ascii", errors="replace").strip()
        except OSError:
            continue
    return ""


def draw_epoch(entropy: Entropy) -> int:
    """Return a new dot epoch: 64 random bits."""
    return int.from_bytes(entropy(8), "big")


def load(connection: sqlite3.Connection, path: Path) -> FileIdentity | None:
    """Return what the file says of itself, None if it is new. Raises BrokenStore if its checksum does not match."""
    found = connection.execute(
        "SELECT storage_id, node_id, epochs, machine, device, inode, born_ns, token, clean, durability,"
        " starts, checksum FROM identity"
    ).fetchone()
    if found is None:
        return None
    if checksum(*found[:-1]) != found[-1]:
        raise BrokenStore(f"{path} is damaged: its identity does not match its checksum", REBUILD)
    storage_id, node_id, epochs, machine, device, inode, born, token, clean, durability, starts = found[:-1]
    place = Place(machine, device, inode, born)
    return FileIdentity(storage_id, node_id, tuple(json.loads(epochs)), place, token, bool(clean), durability, starts)


def save(connection: sqlite3.Connection, identity: FileIdentity) -> None:
    """Write the line. In whatever transaction is open, else in its own."""
    storage_id, node_id, epochs, place, token, clean, durability, starts = identity
    values = (storage_id, node_id, json.dumps(epochs), *place, token, int(clean), durability, starts)
    connection.execute(
        "REPLACE INTO identity (one, storage_id, node_id, epochs, machine, device, inode, born_ns, token, clean,"
        " durability, starts, checksum) VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*values, checksum(*values)),
    )


def claim(
    found: FileIdentity | None, path: Path, node_id: str | None, durability: str, token: str, entropy: Entropy
) -> tuple[FileIdentity, str]:
    """Return the identity under which this run goes on, and why its epoch was redrawn ("" if it was not).

    `token` is the one that `lock` remembers. Raises ForeignStore if the file is another node's.
    """
    place, ours = place_of(path), entropy(16).hex()
    if found is None:
        first = (draw_epoch(entropy),)
        node_id, storage_id = node_id or entropy(16).hex(), entropy(16).hex()
        return FileIdentity(storage_id, node_id, first, place, ours, False, durability, starts=1), ""
    if node_id is not None and found.node_id != node_id:
        message = f"{path} belongs to node {found.node_id}, and this is node {node_id}"
        raise ForeignStore(message, "Choose another --data-dir")
    why = _why_redraw(found, place, token)
    epochs = (*found.epochs, draw_epoch(entropy))[-EPOCHS_MAX:] if why else found.epochs
    mine = found._replace(epochs=epochs, place=place, token=ours, clean=False, durability=durability)
    return mine._replace(starts=found.starts + 1), why


def _why_redraw(found: FileIdentity, place: Place, token: str) -> str:
    if not place.may_be(found.place):
        return "the file is a copy, or was moved to another disk or machine"
    if token != found.token:
        return "the file, or the lock beside it, was put back from a copy"
    if not found.clean and found.durability != FULL:
        return f"the last stop was unclean, under durability {found.durability}"
    return ""


REBUILD = "Move it away and start again with --seat ID (dyn ring show -o json): it is rebuilt from the other owners"
"""What to do about a store that is lost. (Without --seat the start is refused, and the refusal names the ID.)"""
