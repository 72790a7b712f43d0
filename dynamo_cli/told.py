"""What nodes told, read without trust: a field that is missing, or of another sort, is unknown and never an exception.

A node of another release may leave a field out, or have it mean more; a screen then shows what it knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def mapping(value: object, name: str) -> Mapping[str, Any]:
    """A field that is an object; empty if it is not."""
    found = value.get(name) if isinstance(value, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def items(value: object, name: str) -> list[Mapping[str, Any]]:
    """A field that is a list of objects: those in it."""
    found = value.get(name) if isinstance(value, Mapping) else None
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def words(value: object, name: str) -> list[str]:
    """A field that is a list of texts: those in it."""
    found = value.get(name) if isinstance(value, Mapping) else None
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


def word(value: object, name: str, unknown: str = "?") -> str:
    """A field that is a text; `unknown` if it is not."""
    found = value.get(name) if isinstance(value, Mapping) else None
    return found if isinstance(found, str) else unknown


def number(value: object, name: str) -> float | None:
    """A field that is a number; None if it is not (a truth value is none)."""
    found = value.get(name) if isinstance(value, Mapping) else None
    return found if isinstance(found, int | float) and not isinstance(found, bool) else None


def whole(value: object, name: str) -> int | None:
    """A field that is a whole number; None if it is not."""
    found = value.get(name) if isinstance(value, Mapping) else None
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def text(value: float | None) -> str:
    """A figure for people: `?` for what is not known."""
    return "?" if value is None else f"{value:,}"
