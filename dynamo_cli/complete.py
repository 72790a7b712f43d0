"""The words that a shell asks for at a Tab."""

from __future__ import annotations

from collections.abc import Sequence


def complete(words: Sequence[str]) -> int:
    """Print the words."""
    return 0
