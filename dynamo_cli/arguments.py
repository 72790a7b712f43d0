"""Parsers of option values: they say in words what is wrong with one.

Every parameter names a parser: keys stay bytes, and typer builds no validator per type, which would cost each start.
"""

from __future__ import annotations


def text(word: str) -> str:
    """Any valid text."""
    try:
        word.encode()
    except UnicodeEncodeError:
        raise ValueError("not valid UTF-8") from None
    return word


def count(word: str | int) -> int:
    """A number of things: 1 or more."""
    number = natural(word)
    if number < 1:
        raise ValueError(f"{number} is not 1 or more")
    return number


def natural(word: str | int) -> int:
    """A number, 0 or more."""
    if not (str(word).isascii() and str(word).isdigit()):
        raise ValueError(f"{word!r} is not a whole number")
    return int(word)


def seconds(word: str | float) -> float:
    """A duration: `2`, `0.5`, `2s` or `500ms`."""
    digits = str(word)
    scale = 1.0
    for suffix, factor in (("ms", 0.001), ("s", 1.0)):
        if digits.endswith(suffix):
            digits, scale = digits.removesuffix(suffix), factor
            break
    try:
        number = float(digits) * scale
    except ValueError:
        raise ValueError(f"{word!r} is no duration in seconds") from None
    if not 0 < number <= SECONDS_MAX:
        raise ValueError(f"{word!r} is not between 0 and {SECONDS_MAX} seconds")
    return number


SECONDS_MAX = 60
"""As long as a node lets a request take (`node.core.limits.TIMEOUT_MS_MAX`)."""


def choice(*words: str) -> type[str]:
    """A parser for one of a few words."""

    class Word(str):
        __slots__ = ()

        def __new__(cls, word: str) -> Word:
            if word not in words:
                raise ValueError(f"{word!r} is none of {', '.join(words)}")
            return super().__new__(cls, word)

    return Word
