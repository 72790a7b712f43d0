"""A line of the shell as the arguments of a command: `get k r=3` is what `dyn get k -r 3` is outside.

Words are split like a POSIX shell's. `word=value` after the command is the option of that name, where the command has
one; Redis' upper-case names mean the command of the same meaning.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from dynamo_cli.catalog import CommandSpec, find
from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus

REDIS = {"SET": "put", "GET": "get", "DEL": "del", "KEYS": "keys"}
"""Redis' words for ours."""

LEAVE = ("exit", "quit", "bye")
ELSEWHERE = (("shell",), ("node", "start"), ("demo",), ("completion",))
"""Commands that make no sense within the shell, or would hold it up."""

WRITES = ("put", "del", "merge", "import", "bench", "fault")
"""Commands that `--read-only` refuses."""
READS = (("fault", "list"),)
"""… and those of them that change nothing."""
RING_VERBS = ("commit", "leave", "remove", "replace", "weight", "abandon", "rotate")
CHANGES = (*(("cluster", verb) for verb in RING_VERBS), ("node", "data", "restore"))
"""Commands that change the ring, or what nodes hold: a shell with `--read-only` refuses them, too."""


def split(line: str) -> list[str]:
    """The words of a line; raises a usage error for an open quote. A comment begins with # at a word's start."""
    try:
        return shlex.split(line, comments=True)
    except ValueError as error:
        raise usage(f"{error}".lower(), "Close the quote, or escape it with \\") from None


def is_open(text: str) -> bool:
    """Whether a line ends within quotes or after a backslash, so that the next one belongs to it."""
    try:
        shlex.split(text.lstrip().removeprefix("\\"), comments=True)
    except ValueError:
        return True
    return False


def path_of(words: Sequence[str]) -> tuple[str, ...]:
    """The words of a line that name its command: the longest path that there is."""
    for length in (3, 2, 1):
        path = tuple(words[:length])
        if len(path) == length and find(path) is not None:
            return path
    return ()


def arguments(words: Sequence[str], *, read_only: bool = False) -> list[str]:
    """The command line that these words mean; raises a usage error, or REFUSED for a write in a read-only shell."""
    words = [REDIS.get(words[0], words[0]), *words[1:]]
    if words[0] == "dyn":
        words = words[1:] or ["help"]
    path = path_of(words)
    elsewhere = next((there for there in ELSEWHERE if tuple(words[: len(there)]) == there), None)
    if elsewhere is not None:
        raise CliError(
            ExitStatus.REFUSED, f"{' '.join(elsewhere)} does not run within the shell", "Use another terminal"
        )
    writes = path[:1] and (path[0] in WRITES or path[-1] == "repair" or path in CHANGES)
    if read_only and writes and path not in READS:
        raise CliError(
            ExitStatus.REFUSED, f"this shell is read-only: {' '.join(path)} is refused", "Start it without --read-only"
        )
    spec = find(path) if path else None
    if spec is None:
        return words
    options = _named_options(spec)
    rest = [_option(word, options) for word in words[len(path) :]]
    return [*path, *(part for parts in rest for part in parts)]


def _named_options(spec: CommandSpec) -> dict[str, str]:
    """Option flags by the name that stands before `=`: `r` for -r, `ctx` for --ctx."""
    return {flag.lstrip("-"): flag for option in spec.parameters for flag in option.flags if option.takes_value}


def _option(word: str, options: dict[str, str]) -> tuple[str, ...]:
    name, equals, value = word.partition("=")
    flag = options.get(name) if equals and not word.startswith("-") else None
    return (flag, value) if flag is not None else (word,)
