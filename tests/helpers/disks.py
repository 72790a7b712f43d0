"""Small file systems of their own, and how to fill them. They need root, and a machine that lets it mount."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.helpers.tools import need

TMPFS, EXT4 = "tmpfs", "ext4"
MIB = 1024 * 1024


@contextmanager
def small_disk(folder: Path, kind: str, size_bytes: int = 16 * MIB) -> Iterator[Path]:
    """Mount a file system of this kind and size below `folder`. Skips the test where that cannot be."""
    if os.geteuid() != 0:
        pytest.skip("mounting a file system needs root, and this is another user")
    mount = need("mount", package="mount")
    at = folder / kind
    at.mkdir()
    if kind == TMPFS:
        command = [mount, "-t", TMPFS, "-o", f"size={size_bytes},mode=700", "none", str(at)]
    else:
        image = folder / "image"
        with image.open("wb") as file:
            file.truncate(size_bytes)
        make = need("mkfs.ext4", package="e2fsprogs")
        subprocess.run([make, "-q", "-m", "0", str(image)], check=True)
        command = [mount, "-o", "loop", str(image), str(at)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine mounts no {kind}, not even for root: {done.stderr.strip()}")
    try:
        yield at
    finally:
        subprocess.run(["umount", str(at)], check=True)


def free_bytes(at: Path) -> int:
    """What a file system has left."""
    found = os.statvfs(at)
    return found.f_bavail * found.f_frsize


def fill(at: Path, *, leave: int = 0) -> Path:
    """A file of somebody else's takes all the room but `leave` bytes."""
    foreign = at / "foreign"
    with foreign.open("ab", buffering=0) as file:
        for size in (64 * 1024, 512, 1):
            try:
                while free_bytes(at) - size >= leave and file.write(bytes(size)) == size:
                    pass
            except OSError:  # full
                continue
    return foreign
