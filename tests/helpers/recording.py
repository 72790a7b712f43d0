"""Records what a process does to the files of one directory: the calls that reach the C library, and their bytes.

Why a library that is preloaded (recorder.c): the process is then the real store on the SQLite that it really uses, and
nothing in it knows that it is watched. A VFS in Python (apsw) would bring an SQLite of its own, and strace is a tool
that a machine with Python and a C compiler need not have.
"""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.helpers.tools import need

HEAD = struct.Struct("=IiQQ")
OPEN, CLOSE, WRITE, TRUNCATE, SYNC, UNLINK, RENAME, MKDIR, START = map(ord, "ocwtsurm!")


class Call(NamedTuple):
    """One call that succeeded. `at`: offset of a write, size of a truncation, flags of an open."""

    kind: int
    fd: int
    at: int
    data: bytes


def build(folder: Path) -> Path:
    """Compile the recorder into `folder`. Skips the test where there is no C compiler."""
    library = folder / "recorder.so"
    source = Path(__file__).with_name("recorder.c")
    compiler = need("cc", package="gcc")
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", library, source], check=True)
    return library


def record(library: Path, root: Path, log: Path, command: Sequence[str], *, cwd: Path) -> None:
    """Run `command`; what it does below `root` is appended to `log`. AssertionError if it ends badly."""
    env = dict(os.environ, LD_PRELOAD=str(library), RECORD_ROOT=str(root), RECORD_LOG=str(log))
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"exit {done.returncode}: {done.stderr}"


def calls(log: Path) -> Iterator[Call]:
    """The calls of a log, in order."""
    data = log.read_bytes()
    at = 0
    while at < len(data):
        kind, fd, where, length = HEAD.unpack_from(data, at)
        at += HEAD.size
        yield Call(kind, fd, where, data[at : at + length])
        at += length
