"""Verbs of every shell: what there is, and the way out."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

from dynamo_cli.errors import usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.repl.verbs import Verb, named, verb

if TYPE_CHECKING:
    from dynamo_cli.repl.session import Session

INCLUDES_MAX = 8
"""Scripts that include scripts."""

COLUMNS = 79
"""Of a page of help: as wide as those of the commands."""
LABEL_COLUMNS = 26
FOOT = """
Commands: help; one of them: COMMAND ?
A line: words as in sh; r=3 is -r 3, via=n2 asks through n2; | at its end pipes
into a command of the system; # begins a comment. Keys: \\keys
"""


def _names(shell: Session, words: Sequence[str]) -> list[str]:
    return [found.name for found in shell.verbs] if not words else []


@verb("help", usage="[VERB]", summary="The shell's own verbs, or one of them.", completes=_names, also=["?", "h"])
def show_help(shell: Session, words: Sequence[str]) -> int:
    """List what this session has; commands have their own `help`."""
    if words:
        found = named(words[0].removeprefix("\\"), shell.has)
        others = "".join(f"  \\{name}" for name in found.also)
        shell.env.write(f"{found.typed}{others and f'   also{others}'}\n{page([found], label=False)}")
        return ExitStatus.OK
    shell.env.write(page(shell.verbs) + FOOT)
    return ExitStatus.OK


def page(verbs: Sequence[Verb], *, label: bool = True) -> str:
    """Two columns: how it is typed, and what it does."""
    lines = []
    for found in verbs:
        indent = LABEL_COLUMNS if label else 2
        rest = wrap(found.summary, COLUMNS - indent)
        typed = found.typed if label else ""
        if label and len(typed) > indent - 4:
            lines.append(f"  {typed}")
            typed = ""
        lines.append(f"{f'  {typed}' if typed else '':<{indent}}{rest[0]}")
        lines += [f"{'':<{indent}}{line}" for line in rest[1:]]
    return "".join(f"{line}\n" for line in lines)


@verb("i", usage="FILE", summary="Run a script, up to its first error.", completes="files", danger=True)
def include(shell: Session, words: Sequence[str]) -> int:
    """A script may include others, INCLUDES_MAX deep."""
    from dynamo_cli.repl.script import lines_in, open_script, run_script

    if shell.depth >= INCLUDES_MAX:
        raise usage(f"scripts include each other more than {INCLUDES_MAX} deep", "Does one include itself?")
    shell.depth += 1
    try:
        with open_script(words[0], shell.env.stdin) as script:
            return run_script(shell, lines_in(script, words[0]), keep_going=False)
    finally:
        shell.depth -= 1


@verb("q", summary="Leave the shell.", also=["quit", "exit"])
def leave(shell: Session, words: Sequence[str]) -> int:
    """End after this line."""
    shell.left = True
    return ExitStatus.OK
