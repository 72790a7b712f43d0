"""Which demos there are on this machine: a small file for each in the state directory, which the demo keeps locked.

The lock is the kernel's (flock), so it ends with the process however that goes, and no later process of the same number
can pass for it. A file that nobody holds is of a kept demo that is stopped; of a temporary one it is a leftover.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus

FOLDER = "demos"
ENTRY_BYTES_MAX = 64 * 1024
NAMES_MAX = 1000
POLL_S = 0.02
CLAIM_S = 0.3
"""How long an entry must stay held to be a running demo's."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Entry(NamedTuple):
    """One demo. `pid` is its process while it runs, `by` what holds it: a shell, the tour, or the background.

    `addresses`: of its nodes at its start.
    """

    name: str
    folder: Path
    base_port: int
    temporary: bool
    pid: int
    started_at: str
    by: str
    addresses: tuple[str, ...] = ()
    running: bool = False

    @property
    def document(self) -> dict[str, Any]:
        """For its file, and for programs."""
        return {
            "name": self.name, "folder": str(self.folder), "base_port": self.base_port, "temporary": self.temporary,
            "pid": self.pid, "started_at": self.started_at, "by": self.by, "addresses": list(self.addresses),
        }  # fmt: skip


class Held:
    """The entry of a running demo, which this process holds."""

    def __init__(self, path: Path, file: IO[bytes], name: str) -> None:
        self.path = path
        self.name = name
        self._file = file

    def write(self, entry: Entry) -> None:
        """Write down what it is."""
        self._file.seek(0)
        self._file.truncate()
        self._file.write(json.dumps(entry.document).encode() + b"\n")
        self._file.flush()

    def close(self, *, forget: bool) -> None:
        """It no longer runs; `forget`: and there is nothing left of it."""
        if forget:
            self.path.unlink(missing_ok=True)
        self._file.close()


def claim(state: Path, wanted: str, folder: Path | None) -> Held:
    """Hold an entry under this name, or one like it if another demo has it. `folder`: of a kept demo, else None.

    Raises CliError if the demo in this folder runs already, OSError if nothing can be written there.
    """
    base = state / FOLDER
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    for entry in entries(state):
        if folder is not None and entry.folder == folder and entry.running:
            raise CliError(
                ExitStatus.REFUSED, f"the demo in {folder} runs already, as {entry.name}",
                f"End it: dyn demo stop {entry.name}",
            )  # fmt: skip
    stem = wanted if _NAME.fullmatch(wanted) else "demo"
    for number in range(1, NAMES_MAX):
        name = stem if number == 1 else f"{stem}-{number}"
        path = base / f"{name}.json"
        file = _locked(path, CLAIM_S)
        if file is None:
            continue
        before = _read(file)
        if before is None or before.temporary or before.folder == folder:
            return Held(path, file, name)
        file.close()
    raise CliError(ExitStatus.FAILURE, f"there are {NAMES_MAX} demos of the name {stem}", "See: dyn demo ls")


def _locked(path: Path, patience_s: float = 0.0) -> IO[bytes] | None:
    """The file, locked by us alone; None if somebody holds it. Who only looks holds it for a moment: hence patience."""
    deadline = time.monotonic() + patience_s
    while True:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b")
        if _flock(file, fcntl.LOCK_EX):
            if _is_at(file, path):
                return file
        elif time.monotonic() >= deadline:
            file.close()
            return None
        file.close()  # if it is no longer there, who held it has just unlinked it: ours has no name any more
        time.sleep(POLL_S)


def _flock(file: IO[bytes], kind: int) -> bool:
    """Take a lock, if it can be had now."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_at(file: IO[bytes], path: Path) -> bool:
    """Whether an open file is the one of this name."""
    with suppress(OSError):
        return os.fstat(file.fileno()).st_ino == path.stat().st_ino
    return False


def _read(file: IO[bytes]) -> Entry | None:
    """What an entry says; None if it says nothing that makes sense."""
    file.seek(0)
    try:
        found = json.loads(file.read(ENTRY_BYTES_MAX))
        addresses = tuple(map(str, found.get("addresses") or ()))  # those of an earlier dyn have none
        entry = Entry(
            str(found["name"]), Path(found["folder"]), int(found["base_port"]), bool(found["temporary"]),
            int(found["pid"]), str(found["started_at"]), str(found["by"]), addresses,
        )  # fmt: skip
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return entry if entry.folder.is_absolute() else None


def entries(state: Path) -> list[Entry]:
    """All demos, by name. What is left of a temporary one that ended is removed."""
    found = []
    for path in sorted((state / FOLDER).glob("*.json"), key=lambda path: path.stem):
        try:
            with path.open("r+b") as file:
                running = not _flock(file, fcntl.LOCK_SH)
                entry = _read(file)
                if entry is None or (entry.temporary and not running):
                    _remove(file, path)
                    continue
                found.append(entry._replace(name=path.stem, running=running))
        except OSError:
            continue
    return found


def remove_left(path: Path) -> None:
    """Remove the entry of a temporary demo that has ended, unless another one has taken its name."""
    with suppress(OSError), path.open("r+b") as file:
        entry = _read(file)
        if entry is None or entry.temporary:
            _remove(file, path)


def _remove(file: IO[bytes], path: Path) -> None:
    """Remove an entry that nobody holds."""
    if _flock(file, fcntl.LOCK_EX) and _is_at(file, path):
        path.unlink(missing_ok=True)


def find(state: Path, name: str | None, *, running: bool) -> Entry:
    """The demo of this name; without one the only demo that runs. Raises CliError."""
    known = entries(state)
    if name is not None:
        for entry in known:
            if entry.name == name:
                return entry
        raise CliError(ExitStatus.NOT_FOUND, f"no demo {name!r}", "See which there are: dyn demo ls")
    some = [entry for entry in known if entry.running or not running]
    if len(some) == 1:
        return some[0]
    if not some:
        raise CliError(ExitStatus.NOT_FOUND, "no demo runs", "Start one: dyn demo --background")
    names = ", ".join(entry.name for entry in some)
    raise CliError(ExitStatus.USAGE, f"there are {len(some)} demos: {names}", "Name one of them")


def stop(state: Path, entry: Entry) -> bool:
    """Ask a demo's process to end, as a supervisor would (SIGTERM); False if it does not run any more."""
    try:
        process = os.pidfd_open(entry.pid)
    except OSError:
        return False
    try:
        # The descriptor is of one process for good. If its demo is held now, then by that process, and no other one.
        if not any(other.name == entry.name and other.running and other.pid == entry.pid for other in entries(state)):
            return False
        signal.pidfd_send_signal(process, signal.SIGTERM)
    except ProcessLookupError:
        return False
    finally:
        os.close(process)
    return True


def is_running(state: Path, entry: Entry) -> bool:
    """Whether the same run of a demo goes on."""
    return any(
        other.running and (other.name, other.started_at, other.pid) == (entry.name, entry.started_at, entry.pid)
        for other in entries(state)
    )


@contextmanager
def forgotten(state: Path, entry: Entry) -> Iterator[None]:
    """Hold a stopped demo's entry while its data is removed, and remove it, too. Raises CliError if it runs."""
    file = _locked(state / FOLDER / f"{entry.name}.json", CLAIM_S)
    if file is None:
        raise CliError(ExitStatus.REFUSED, f"{entry.name} runs", f"End it first: dyn demo stop {entry.name}")
    with file:
        yield
        (state / FOLDER / f"{entry.name}.json").unlink(missing_ok=True)
