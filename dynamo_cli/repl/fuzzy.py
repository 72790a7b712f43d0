"""How well a word fits what was typed: as its beginning, at the beginning of one of its parts, within, or strewn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

SEPARATORS = " :/._-,\\"
FUZZY_MIN = 2
"""A single letter is in nearly every word: it completes only what begins with it."""


class Fit(NamedTuple):
    """How a word fits; the smaller the better. `at` are the places of the typed letters in it."""

    rank: int
    gaps: int
    length: int
    at: tuple[int, ...]


def fit(typed: str, candidate: str) -> Fit | None:
    """The fit, or None: its letters do not all occur in that order. Case counts only for a beginning."""
    if candidate.startswith(typed):
        rank = -1 if candidate == typed else 0
        return Fit(rank, 0, 0, tuple(range(len(typed))))  # beginnings stay in the order in which they came
    if len(typed) < FUZZY_MIN:
        return None
    low, word = candidate.lower(), typed.lower()
    places = [at for at in range(len(low)) if low.startswith(word, at)]
    if places:
        best = min(places, key=lambda at: not _begins_part(low, at))
        rank = 1 if _begins_part(low, best) else 2
        return Fit(rank, 0, len(candidate), tuple(range(best, best + len(word))))
    at = _strewn(word, low)
    return None if at is None else Fit(3, at[-1] - at[0] - len(at) + 1, len(candidate), at)


def _begins_part(word: str, at: int) -> bool:
    return at == 0 or word[at - 1] in SEPARATORS


def _strewn(typed: str, candidate: str) -> tuple[int, ...] | None:
    """The letters in their order, each as early as may be: from the beginning of a part."""
    for start, letter in enumerate(candidate):
        if letter != typed[0] or not _begins_part(candidate, start):
            continue
        at = [start]
        for wanted in typed[1:]:
            following = candidate.find(wanted, at[-1] + 1)
            if following < 0:
                break
            at.append(following)
        if len(at) == len(typed):
            return tuple(at)
    return None


def best(typed: str, candidates: Sequence[str]) -> list[tuple[int, Fit]]:
    """The candidates that fit, best first: the place of each in `candidates`, and its fit."""
    fits = [(index, found) for index, candidate in enumerate(candidates) if (found := fit(typed, candidate))]
    return sorted(fits, key=lambda item: item[1][:3])
