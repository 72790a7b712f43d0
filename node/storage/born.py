"""When a file came into being: statx(2), which Python's `os.stat` does not show on Linux.

An inode alone does not name a file: ext4 gives the number of a file that was removed to the next one that is made, so
that a directory which is removed and put back from a copy mostly has the inodes it had.
"""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path

_AT_FDCWD = -100
_STATX_BTIME = 0x800
_STATX_BYTES = 256
_MASK_AT = 0
_BTIME_AT = 80


def born_ns(path: Path) -> int:
    """Return when the file at `path` was made, in nanoseconds of Unix time; 0 where that is not known."""
    statx = getattr(ctypes.CDLL(None), "statx", None)
    found = ctypes.create_string_buffer(_STATX_BYTES)
    if statx is None:  # macOS, BSD
        return int(getattr(os.stat(path), "st_birthtime", 0) * 10**9)
    if statx(_AT_FDCWD, os.fsencode(path), 0, _STATX_BTIME, found):
        return 0
    (mask,) = struct.unpack_from("=I", found, _MASK_AT)
    seconds, nanoseconds = struct.unpack_from("=qI", found, _BTIME_AT)
    return int(seconds * 10**9 + nanoseconds) if mask & _STATX_BTIME else 0
