"""What a disk may hold after a power cut, by what was written, synced, created and removed before it.

A file has what was synced, and *pending* calls since. Of these a disk may have done any, in any order, and of each any
sectors: so every sector comes from its own moment since the last sync. Sizes, as those of journalling file systems,
go through their moments in order; a sector that is within the size and never came is zeros. What a truncation cut off
does not come back once it was done, and nothing that was written behind it is there before.

A name is durable when its directory was synced (`Names.SYNCED`: what was created or removed since may be so or not, in
any combination), or at once (`Names.AT_ONCE`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from random import Random

from tests.helpers import recording
from tests.helpers.recording import Call

PAGE_BYTES = 4096
SECTOR_BYTES = 512


class Names(Enum):
    """When the names in a directory are durable."""

    SYNCED = "after fsync"
    AT_ONCE = "at once"


class Write:
    """Pending: `data` at `at`; a truncation to `at` if there is none."""

    __slots__ = ("at", "data")

    def __init__(self, at: int, data: bytes | None) -> None:
        self.at = at
        self.data = data


def write(content: bytearray, at: int, data: bytes) -> None:
    """As pwrite does."""
    if len(content) < at:
        content.extend(bytes(at - len(content)))
    content[at : at + len(data)] = data


def truncate(content: bytearray, size: int) -> None:
    """As ftruncate does."""
    del content[size:]
    content.extend(bytes(size - len(content)))


def do(content: bytearray, pending: Iterable[Write]) -> bytearray:
    for one in pending:
        if one.data is None:
            truncate(content, one.at)
        else:
            write(content, one.at, one.data)
    return content


class File:
    """One file, whatever its names."""

    def __init__(self, content: bytes = b"") -> None:
        self.synced = bytearray(content)
        self.pending: list[Write] = []

    def sync(self) -> None:
        do(self.synced, self.pending)
        self.pending.clear()

    def after_cut(self, rng: Random) -> bytes:
        """One of the contents that a power cut may leave."""
        how = rng.randrange(6)
        pending = self.pending
        if how == 0 or not pending:
            return bytes(self.synced)
        if how == 1:
            return bytes(do(bytearray(self.synced), pending))
        sector = rng.choice((SECTOR_BYTES, PAGE_BYTES))
        if how == 2:  # in order, the last one torn
            whole = rng.randrange(len(pending))
            return bytes(do(bytearray(self.synced), [*pending[:whole], *torn(pending[whole], sector, rng)]))
        if how == 3:  # calls out of order: each was done or not
            return bytes(do(bytearray(self.synced), self._some(rng.random(), rng)))
        return bytes(self._sectors(sector, rng))

    def _some(self, share: float, rng: Random) -> list[Write]:
        """Some of the calls; nothing that was written behind a truncation that was not done."""
        chosen: list[Write] = []
        cut = None
        for one in self.pending:
            if rng.random() < share and (cut is None or (one.data is not None and one.at + len(one.data) <= cut)):
                chosen.append(one)
            elif one.data is None:
                cut = one.at if cut is None else min(cut, one.at)
        return chosen

    def _sectors(self, sector: int, rng: Random) -> bytearray:
        """Each sector from a moment of its own, within the moment of the size."""
        pending = self.pending
        moment = rng.choice((len(pending), rng.randint(0, len(pending))))
        size = len(do(bytearray(self.synced), pending[:moment]))
        content = bytearray(self.synced)
        versions: dict[int, list[bytes]] = {}
        newest = bytearray(self.synced)
        cut: int | None = None  # below it the truncation that was not done changes nothing
        for at, one in enumerate(pending):
            if one.data is None and at >= moment:
                cut = one.at if cut is None else min(cut, one.at)
                continue
            if one.data is None:
                truncate(newest, one.at)
                truncate(content, one.at)  # nothing older comes back
                versions = {
                    number: [version[: one.at - number * sector] for version in held]
                    for number, held in versions.items()
                    if number * sector < one.at
                }
                continue
            if cut is not None and one.at + len(one.data) > cut:
                continue
            write(newest, one.at, one.data)
            for number in range(one.at // sector, (one.at + len(one.data) - 1) // sector + 1):
                held = bytes(newest[number * sector : (number + 1) * sector])
                versions.setdefault(number, []).append(held)
        share = rng.choice((0.1, 0.5, 0.9))
        for number, seen in versions.items():
            if rng.random() < share:
                write(content, number * sector, rng.choice((seen[-1], rng.choice(seen))))
        truncate(content, size)
        return content


def torn(one: Write, sector: int, rng: Random) -> list[Write]:
    """Some sectors of a write, or the truncation, done or not."""
    if one.data is None:
        return [one] if rng.random() < 0.5 else []
    parts: list[Write] = []
    at, end = one.at, one.at + len(one.data)
    while at < end:
        until = min((at // sector + 1) * sector, end)
        if rng.random() < 0.5:
            parts.append(Write(at, one.data[at - one.at : until - one.at]))
        at = until
    return parts


class Platter:
    """The files below `root`. Starts with what is there, all of it durable; `take` follows a recording."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self.names: dict[str, File] = {}
        self.kept: dict[str, File] = {}
        self.unsynced: list[tuple[str, File | None]] = []
        self.open: dict[int, str | File] = {}
        for path in sorted(root.rglob("*")):
            self.names[str(path)] = File(path.read_bytes() if path.is_file() else b"")
        self.kept = dict(self.names)

    def take(self, call: Call) -> tuple[str, bytes] | None:
        """Do what the process did. Returns a write's path and bytes."""
        if call.kind == recording.START:
            self.open.clear()
        elif call.kind == recording.OPEN:
            self._open(call)
        elif call.kind == recording.CLOSE:
            self.open.pop(call.fd, None)
        elif call.kind == recording.UNLINK:
            self._name(call.data.decode(), None)
        elif call.kind == recording.MKDIR:
            self._name(call.data.decode(), File())
        elif call.kind == recording.RENAME:
            old, new = call.data.decode().split("\0")
            file = self.names[old]
            self._name(new, file)
            self._name(old, None)
        else:
            return self._file(call)
        return None

    def _open(self, call: Call) -> None:
        path = os.path.normpath(call.data.decode())
        if call.at & os.O_DIRECTORY or os.path.isdir(path):
            self.open[call.fd] = path
            return
        if path not in self.names:
            self._name(path, File())
        file = self.names[path]
        if call.at & os.O_TRUNC:
            file.pending.append(Write(0, None))
        self.open[call.fd] = file

    def _file(self, call: Call) -> tuple[str, bytes] | None:
        file = self.open[call.fd]
        if call.kind == recording.SYNC:
            if isinstance(file, str):
                self._sync_names(file)
            else:
                file.sync()
            return None
        assert isinstance(file, File), f"a directory was written: {file}"
        file.pending.append(Write(call.at, call.data if call.kind == recording.WRITE else None))
        path = next((name for name, named in self.names.items() if named is file), "")
        return path, call.data

    def _name(self, path: str, file: File | None) -> None:
        if file is None:
            self.names.pop(path, None)
        else:
            self.names[path] = file
        self.unsynced.append((path, file))

    def _sync_names(self, folder: str) -> None:
        rest = []
        for path, file in self.unsynced:
            if os.path.dirname(path) != folder:
                rest.append((path, file))
            elif file is None:
                self.kept.pop(path, None)
            else:
                self.kept[path] = file
        self.unsynced = rest

    def image(self, folder: Path, into: Path, model: Names, rng: Random) -> None:
        """Write to `into` what may be in `folder` (below the root) after a power cut now."""
        names = dict(self.names)
        if model is Names.SYNCED:
            names = dict(self.kept)
            share = rng.choice((0.0, 0.5, 1.0))
            for path, file in self.unsynced:
                if rng.random() >= share:
                    continue
                if file is None:
                    names.pop(path, None)
                else:
                    names[path] = file
        if str(folder) not in names:
            return
        into.mkdir(mode=0o700)
        for path, file in names.items():
            if os.path.dirname(path) == str(folder) and not path.endswith("-shm"):
                (into / os.path.basename(path)).write_bytes(file.after_cut(rng))
