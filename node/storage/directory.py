"""The data directory: for its owner's eyes only, used by one process at a time, its names durable.

`lock` is locked while a process uses the directory. It holds four lines: that process' id, the token of its run (a
store's file that was put back from a copy has another one), whether the disk failed during it, and the token that the
file is about to get. Both tokens are the file's own: a power cut may come before the file has the new one, or after.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from node.storage.errors import StoreInUse, UnwritableDirectory

FILE = "node.db"
"""The store."""

LOCK_FILE = "lock"
LOCK_BYTES_MAX = 256
"""It always has this size and is replaced by one write of less than a sector: never torn, and no space is needed."""


def prepare(directory: Path) -> None:
    """Make the data directory with mode 0700 unless it exists. Raises UnwritableDirectory."""
    hint = "Choose another --data-dir, or correct its owner and mode"
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir(mode=0o700, exist_ok=True)
        sync(directory.parent)
    except (FileExistsError, NotADirectoryError):
        raise UnwritableDirectory(
            f"the data directory {directory} is or lies in a file, not a directory", hint
        ) from None
    except OSError as error:
        raise UnwritableDirectory(f"the data directory {directory} cannot be made: {error.strerror}", hint) from error
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        raise UnwritableDirectory(f"the data directory {directory} is not writable for this user", hint)


def sync(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def space(directory: Path) -> tuple[int, int]:
    """How many bytes of the directory's file system are free for us, and how many it has."""
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize


class DirectoryLock:
    """Held as long as a process uses the directory; the kernel lets go of it when the process dies."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        lines = os.pread(descriptor, LOCK_BYTES_MAX, 0).decode("ascii", "replace").split("\n")
        self.token = lines[1] if len(lines) > 1 else ""
        self._coming = lines[3] if len(lines) > 3 else ""
        self.failed = lines[2:3] == ["failed"]
        self._disowned = False
        self._mine = self.token

    @classmethod
    def take(cls, directory: Path) -> DirectoryLock:
        """Lock the directory. Raises StoreInUse naming the process that has it, UnwritableDirectory if it cannot."""
        try:
            descriptor = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UnwritableDirectory(f"{directory / LOCK_FILE} cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, LOCK_BYTES_MAX, 0).decode("ascii", "replace").partition("\n")[0] or "unknown"
            os.close(descriptor)
            message = f"the data directory {directory} is in use by process {holder}"
            raise StoreInUse(message, "Stop that node first, or choose another --data-dir") from None
        except OSError as error:
            os.close(descriptor)
            raise UnwritableDirectory(f"{directory / LOCK_FILE} cannot be locked: {error.strerror}") from error
        return cls(descriptor)

    def recognise(self, token: str) -> None:
        """The file says that its token is this one: that is ours, too, if it was about to get it."""
        if token and token == self._coming:
            self.token = token

    def write(self, token: str, *, failed: bool = False, coming: str = "") -> None:
        """Note our process, its token, whether the disk failed it, and the token that is to follow. Raises OSError."""
        self._mine = token
        if self._disowned:
            token = coming = ""
        lines = f"{os.getpid()}\n{token}\n{'failed' if failed else ''}\n{coming}\n"
        os.pwrite(self._descriptor, lines.encode().ljust(LOCK_BYTES_MAX, b"\n"), 0)
        os.fsync(self._descriptor)
        self.token = token

    def disown(self) -> None:
        """The file is not to be believed: whoever opens it next shall take it for a copy. Raises OSError."""
        self._disowned = True
        self.write(self._mine)

    def own(self) -> None:
        """What follows from the file being a copy is noted in it: from here on it is ours. Raises OSError."""
        self._disowned = False
        self.write(self._mine)

    def release(self) -> None:
        """Let the next process have it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
