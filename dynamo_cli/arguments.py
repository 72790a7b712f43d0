"""Parsers of option values: they say in words what is wrong with one.

Every parameter names its parser, and `parse_by_ourselves` makes typer use nothing else: keys stay bytes, and starting
stays quick.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer

from node.core.limits import TIMEOUT_MS_MAX

SPAN_DIGITS_MAX = 4
"""So much of any unit lies within the years that a clock can tell."""

SIZE_DIGITS_MAX = 13
"""So much of any unit is more than a disk has."""

RATE_MAX = 200_000
"""Requests a second that one generator may be asked for: more than it can send."""

TIMEOUT_S_MAX = TIMEOUT_MS_MAX / 1000
"""As long as a node lets a request take."""


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


def some(word: str) -> str:
    """A word that is not empty."""
    if not word:
        raise ValueError("it is empty")
    return word


def seconds(word: str | float, *, most: float = TIMEOUT_S_MAX) -> float:
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
    if not 0 < number <= most:
        raise ValueError(f"{word!r} is not between 0 and {most:g} seconds")
    return number


def seconds_long(word: str | float) -> float:
    """A duration of up to a day."""
    return seconds(word, most=86_400)


def rate(word: str | float) -> float:
    """Requests a second: `500`, or `0.5`."""
    return float(amount(0.01, RATE_MAX)(str(word)))


def span(word: str | float) -> float:
    """How long ago: `90s`, `10m`, `2h` or `1d`, in seconds."""
    given = str(word)
    unit_s = {"s": 1, "m": 60, "h": 3600, "d": 86_400}.get(given[-1:])
    digits = given[:-1] if unit_s else given
    if not (digits.isascii() and digits.isdigit()) or len(digits) > SPAN_DIGITS_MAX:
        raise ValueError(f"{word!r} is no time such as 90s, 10m, 2h or 1d")
    return float(int(digits) * (unit_s or 1))


def amount(least: float, most: float) -> Callable[[str], str]:
    """A parser for a number between two: the word itself, to be sent on as it was typed."""

    def parse(word: str) -> str:
        try:
            number = float(word) if word.isascii() and "_" not in word else None
        except ValueError:
            number = None
        if number is None or not least <= number <= most:
            raise ValueError(f"{word!r} is not a number from {least:g} to {most:.0f}")
        return word

    return parse


SIZES = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}


def size_or_none(word: str) -> str:
    """A number of bytes, as `65536`, `500K`, `10M` or `1G`, or the word `none`: what a node is told."""
    if word.lower() == "none":
        return "NONE"
    unit = word[-1:].upper() if word[-1:].upper() in SIZES else ""
    digits = word.removesuffix(word[-1:]) if unit else word
    if not (digits.isascii() and digits.isdigit()) or len(digits) > SIZE_DIGITS_MAX:
        raise ValueError(f"{word!r} is no number of bytes such as 500K or 10M, and not none")
    return str(int(digits) * SIZES[unit])


def choice(*words: str) -> type[str]:
    """A parser for one of a few words."""

    class Word(str):
        __slots__ = ()

        def __new__(cls, word: str) -> Word:
            if word not in words:
                raise ValueError(f"{word!r} is none of {', '.join(words)}")
            return super().__new__(cls, word)

    return Word


class Parsed:
    """How a parameter's words become its value: its own parser, and nothing else.

    typer's way goes through a pydantic validator per parameter, whose import alone takes as long as all the rest of
    `dyn get`. Here typer finds this in its place; a typer that no longer looks for it is slower, not wrong.
    """

    def __init__(self, parser: Any) -> None:  # noqa: ANN401  # str to anything
        self.parser = parser

    def coerce(self, value: Any, param: Any, ctx: typer.Context) -> Any:  # noqa: ANN401
        """Parse the word, or each word, of one parameter."""
        several = param.multiple or param.nargs == -1
        if value is None:
            return () if several else None
        try:
            return [self.parser(word) for word in value] if several else self.parser(value)
        except ValueError as error:
            raise typer.BadParameter(str(error), ctx=ctx, param=param) from None


def parse_by_ourselves(command: Any) -> None:  # noqa: ANN401  # typer's own class
    """Give every parameter of a command tree its parser directly."""
    for parameter in command.params:
        parser = parameter.type_descriptor.parameter_info.parser
        if parser is not None:
            parameter._runtime_param = Parsed(parser)
    for child in getattr(command, "commands", {}).values():
        parse_by_ourselves(child)


def label(word: str) -> str:
    """A name as nodes, clusters and zones have them; of files, too."""
    from node.core import labels

    try:
        return labels.label(word)
    except ValueError as error:
        raise ValueError(f"{word!r}: {error}") from None
