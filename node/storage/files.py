"""The data directory: owner-only, used by one process at a time, durable where it must be."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from node.storage.errors import StorageError

LOCK_FILE = "lock"


def prepare_directory(directory: Path) -> None:
    """Make the data directory, readable by its owner only. Raises StorageError."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(directory, os.W_OK | os.X_OK):
            raise StorageError(f"the data directory {directory} is not writable")
        sync_directory(directory.parent)
    except FileExistsError:
        raise StorageError(f"the data directory {directory} is a file") from None
    except OSError as error:
        raise StorageError(f"the data directory {directory} cannot be made: {error.strerror}") from error


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def free_bytes(directory: Path) -> int:
    """Free space for an ordinary user on the directory's file system."""
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize


class DirectoryLock:
    """Held as long as a process uses the directory; the kernel lets go of it when the process dies."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, directory: Path) -> DirectoryLock:
        """Lock the directory. Raises StorageError naming the process that has it."""
        descriptor = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            message = f"the data directory {directory} is in use by process {holder}"
            raise StorageError(message, "Stop that node, or start this one with another --data-dir") from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, b"%d\n" % os.getpid())
        return cls(descriptor)

    def release(self) -> None:
        """Let the next process have it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
