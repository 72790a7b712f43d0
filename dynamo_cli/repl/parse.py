"""A line of the shell as the arguments of a command: `get k r=3` is what `dyn get k -r 3` is outside.

Words are split like a POSIX shell's. `word=value` after the command is the option of that name, where the command has
one; Redis' upper-case names mean the command of the same meaning.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from dynamo_cli.catalog import CommandSpec, find
from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.repl.verbs import is_dangerous as is_dangerous_verb
from dynamo_cli.repl.verbs import parts_of
from dynamo_cli.repl.words import split as words_of

REDIS = {"SET": "put", "GET": "get", "DEL": "del", "KEYS": "keys"}
"""Redis' words for ours."""

LEAVE = ("exit", "quit", "bye")
SECRET = re.compile(r"\b(auth|password|passwd|secret|token|hello)\b", re.IGNORECASE)
"""A line with one of these words is never written to a file."""

ELSEWHERE = (("shell",), ("node", "start"), ("demo",), ("completion",))
"""Commands that make no sense within the shell, or would hold it up."""


def split(line: str) -> list[str]:
    """The words of a line; raises a usage error for an open quote. A comment begins with # at a word's start."""
    try:
        return words_of(line)
    except ValueError as error:
        raise usage(str(error), "Close the quote, or escape it with \\") from None


def located(words: Sequence[str]) -> tuple[tuple[str, ...], int]:
    """The command that words name, and how many of them it takes: the global options before it and within it, too."""
    root = find(())
    assert root is not None, "no command table"
    valued = {flag for option in root.parameters if option.takes_value for flag in option.flags}
    path: tuple[str, ...] = ()
    at = end = 0
    while at < len(words):
        if words[at].startswith("-"):
            at += 1 + (words[at] in valued)
        elif find((*path, words[at])) is not None:
            path = (*path, words[at])
            at = end = at + 1
        else:
            break
    return path, end


def path_of(words: Sequence[str]) -> tuple[str, ...]:
    """The words of a line that name its command: the longest path that there is."""
    return located(words)[0]


def arguments(words: Sequence[str], *, read_only: bool = False) -> list[str]:
    """The command line that these words mean; raises a usage error, or REFUSED for a write in a read-only shell."""
    words = [REDIS.get(words[0], words[0]), *words[1:]]
    if words[0] == "dyn":
        words = words[1:] or ["help"]
    path, end = located(words)
    elsewhere = next((there for there in ELSEWHERE if path[: len(there)] == there), None)
    if elsewhere is not None:
        raise CliError(
            ExitStatus.REFUSED, f"{' '.join(elsewhere)} does not run within the shell", "Use another terminal"
        )
    spec = find(path)
    assert spec is not None, "located finds what is there"
    if read_only and spec.may_change(words[end:]):
        raise CliError(
            ExitStatus.REFUSED, f"this shell is read-only: {' '.join(path)} is refused", "Start it without --read-only"
        )
    if words[end:] == ["?"]:
        return ["help", *path]
    options = _named_options(spec)
    close = words.index("--", end) if "--" in words[end:] else len(words)  # behind it nothing is an option
    rest = [_option(word, options) for word in words[end:close]]
    return [*words[:end], *(part for parts in rest for part in parts), *words[close:]]


def is_dangerous(words: Sequence[str]) -> bool:
    """Whether the command of these words may change something; so, too, one that is not known."""
    words = [word for word in (REDIS.get(words[0], words[0]), *words[1:]) if word != "dyn"] if words else []
    spec = find(path_of(words))
    return spec is None or not spec.path or spec.may_change(words)


def is_dangerous_line(line: str) -> bool:
    """Whether a line may change something. One that is not understood may."""
    line = line.strip()
    if line.startswith("\\"):
        return is_dangerous_verb(parts_of(line)[0])
    return is_dangerous(line.lower().split())


def is_private(line: str) -> bool:
    """Whether a line must not be remembered: it begins with a space, or may hold a secret."""
    return line.startswith(" ") or SECRET.search(line) is not None


def _named_options(spec: CommandSpec) -> dict[str, str]:
    """Option flags by the name that stands before `=`: `r` for -r, `ctx` for --ctx."""
    return {flag.lstrip("-"): flag for option in spec.parameters for flag in option.flags if option.takes_value}


def _option(word: str, options: dict[str, str]) -> tuple[str, ...]:
    name, equals, value = word.partition("=")
    flag = options.get(name) if equals and not word.startswith("-") else None
    return (flag, value) if flag is not None else (word,)
