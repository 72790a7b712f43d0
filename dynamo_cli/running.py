"""The process of a node on this machine: found by its port or by its data directory, and stopped as SIGTERM does.

No client can stop a node over the wire: whoever may is whom the system lets send a signal to the process. So that never
another one is hit, two must agree on who it is: the kernel (who listens on that port; who holds the lock of that
directory open) and the node (its answer to INFO; what the lock says).
"""

from __future__ import annotations

import os
import select
import signal
import socket
import stat
from pathlib import Path
from typing import NamedTuple

from dynamo_cli.client import Address
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus

LOCK_FILE = "lock"
LOCK_BYTES_MAX = 256


class Process(NamedTuple):
    """A node's process: its id, and a descriptor that means this very process, also when the id is used again."""

    pid: int
    descriptor: int


def is_here(address: Address) -> bool:
    """Whether an address is one of this machine."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address.host, 0))
        except (OSError, TypeError, ValueError):  # the last two: a node told what no host can be called
            return False
    return True


def by_port(address: Address, told_pid: str) -> Process:
    """The process that listens on an address of this machine, if it is the one the node says it is. Raises CliError."""
    from node.runtime import ports

    if not is_here(address):
        raise CliError(
            ExitStatus.REFUSED, f"{address} is not on this machine, and nodes are stopped where they run",
            "There: dyn node stop",
        )  # fmt: skip
    pid = ports.holder(address.port)
    if pid is None:
        raise CliError(
            ExitStatus.REFUSED, f"the process at {address} belongs to another user, or to another namespace",
            "Be that user (sudo), or ask who started it",
        )  # fmt: skip
    if str(pid) != told_pid:
        raise CliError(
            ExitStatus.REFUSED, f"port {address.port} is that of process {pid}, and another node answers there",
            "Is it a tunnel? Then stop the node where it runs",
        )  # fmt: skip
    return _opened(pid)


def log_of(address: Address, told_pid: str) -> Path | str:
    """The file into which the node at an address of this machine writes its log; or in words why there is none.

    As for stopping, the kernel and the node must agree on the process: the file of another one is nobody's business.
    """
    from node.runtime import ports

    if not is_here(address):
        return f"{address} is not on this machine"
    pid = ports.holder(address.port)
    if pid is None or str(pid) != told_pid:
        return "its process is another user's, or of another namespace"
    try:
        path = Path(os.readlink(f"/proc/{pid}/fd/2"))
        found = os.stat(f"/proc/{pid}/fd/2")
    except OSError:
        return "its process cannot be looked at"
    if stat.S_ISSOCK(found.st_mode):
        return "it goes to the journal (journalctl)"
    if stat.S_ISFIFO(found.st_mode):
        return "it goes to another program"
    if not stat.S_ISREG(found.st_mode):
        return f"it goes to {path}"
    return path if path.exists() else f"{path} is gone"


def by_directory(directory: Path) -> Process:
    """The process that uses a data directory: the one that its lock names, and that has it open. Raises CliError."""
    lock = directory / LOCK_FILE
    try:
        with lock.open("rb") as file:
            word = file.read(LOCK_BYTES_MAX).partition(b"\n")[0]
    except OSError as error:
        raise CliError(ExitStatus.NOT_FOUND, f"{directory} is no data directory of a node: {error.strerror}") from None
    pid = int(word) if word.isdigit() and len(word) < 10 else 0
    try:
        holds = any(_is_same(descriptor, lock) for descriptor in Path(f"/proc/{pid}/fd").iterdir())
    except PermissionError:
        raise CliError(
            ExitStatus.REFUSED, f"process {pid} belongs to another user", "Be that user (sudo), or ask who started it"
        ) from None
    except OSError:
        holds = False
    if not holds:
        raise CliError(ExitStatus.NOT_FOUND, f"no node uses {directory}", "dyn cluster status shows who is up")
    return _opened(pid)


def _is_same(descriptor: Path, lock: Path) -> bool:
    try:
        return descriptor.samefile(lock)
    except OSError:
        return False


def _opened(pid: int) -> Process:
    try:
        return Process(pid, os.pidfd_open(pid))
    except OSError as error:
        raise CliError(ExitStatus.NOT_FOUND, f"process {pid} is gone: {error.strerror}") from None


def stop(process: Process, at_most_s: float) -> bool:
    """Ask a process to stop cleanly; whether it ended in time. Closes its descriptor. Raises CliError."""
    try:
        signal.pidfd_send_signal(process.descriptor, signal.SIGTERM)
        return bool(select.select([process.descriptor], [], [], at_most_s)[0])
    except PermissionError:
        raise CliError(
            ExitStatus.REFUSED, f"process {process.pid} belongs to another user", "Be that user: sudo dyn node stop …"
        ) from None
    except ProcessLookupError:
        return True
    finally:
        os.close(process.descriptor)


def let_go(process: Process) -> None:
    """Nothing is to be done with it."""
    os.close(process.descriptor)
