"""Labels: the names that people choose for nodes, clusters and zones. A file name, a DNS label, a column of a table."""

from __future__ import annotations

import re
from typing import Final

from node.core.limits import LABEL_BYTES_MAX

_LABEL: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{LABEL_BYTES_MAX - 1}}}")

LABEL_RULE: Final = f"letters, digits, dot, dash and underscore are allowed, {LABEL_BYTES_MAX} at most"


def label(word: str) -> str:
    """The word, if it is a label; raises ValueError with what is allowed."""
    if not _LABEL.fullmatch(word):
        raise ValueError(LABEL_RULE)
    return word
