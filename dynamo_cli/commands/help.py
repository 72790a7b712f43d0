"""`dyn help`."""

from __future__ import annotations


def help_page(path: tuple[str, ...]) -> str:
    """The help page of a command."""
    return " ".join(("dyn", *path)) + "\n"
