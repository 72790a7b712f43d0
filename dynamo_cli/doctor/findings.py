"""What a check of `dyn doctor` is, and what it finds: values. Every check has an id that stays from release to release.

`warn` is what somebody should look at, `fail` what costs requests or data. What was not told is not checked.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

OK, WARN, FAIL = "ok", "warn", "fail"

LOCAL = "host"
"""What stands before the dot in the ids of checks of this machine."""


class Finding(NamedTuple):
    """What one check found. `fix` is a command, or what to do, "" where nothing is wrong.

    `does`: the words of that command where `dyn doctor --fix` may run it, because nothing can be lost by it.
    """

    id: str
    level: str
    text: str
    fix: str = ""
    does: tuple[str, ...] = ()


def mended_by(check: str, level: str, text: str, *does: str) -> Finding:
    """A finding that `dyn doctor --fix` mends by this command."""
    return Finding(check, level, text, shlex.join(does), does)


class Check(NamedTuple):
    """What a check looks at, why that matters and when it is content, and the term of `dyn explain` that it is about.

    `also` are commands that show more. `mends`: what `--fix` does about it, "" if that is for a person.
    """

    looks: str
    why: str
    term: str = ""
    also: tuple[str, ...] = ()
    mends: str = ""


def part_of(check: str) -> str:
    """What stands before the dot of an id."""
    return check.partition(".")[0]


def known(checks: Mapping[str, Check]) -> dict[str, None]:
    """The words by which checks can be named: ids, and what stands before their dots."""
    return dict.fromkeys([*checks, *map(part_of, checks)])


def chosen(wanted: Sequence[str], only: str | None = None, skipped: Sequence[str] = ()) -> Callable[[str], bool]:
    """Whether a check, by its id, is to be made: named (or nothing is), on the side asked for, and not skipped."""

    def named(check: str, words: Sequence[str]) -> bool:
        return any(word in (check, part_of(check)) for word in words)

    def is_wanted(check: str) -> bool:
        side = "local" if part_of(check) == LOCAL else "cluster"
        return (not wanted or named(check, wanted)) and only in (None, side) and not named(check, skipped)

    return is_wanted
