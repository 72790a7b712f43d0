"""How long the long tests are: short by default, long with DYN_LONG=1."""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T")
LONG = os.environ.get("DYN_LONG", "") not in ("", "0")


def scale(short: T, long: T) -> T:
    """Return `short`, or `long` when the longer campaigns are switched on."""
    return long if LONG else short
