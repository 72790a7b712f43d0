"""The user's own words for commands, made and forgotten within the shell: `\\alias`, `\\unalias`. See `dyn alias`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dynamo_cli.app import run
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.render.plain import show
from dynamo_cli.repl.parse import arguments
from dynamo_cli.repl.verbs import verb

if TYPE_CHECKING:
    from dynamo_cli.repl.session import Session


def _names(shell: Session, words: Sequence[str]) -> list[str]:
    return list(shell.env.aliases) if not words else []


@verb("alias", usage="[NAME] [COMMAND]", takes_line=True, completes=_names,
      summary="Your words for commands, or one of them; or make one: $1 $2 $@ are what follows it.")  # fmt: skip
def alias(shell: Session, words: Sequence[str]) -> int:
    """`alias ls`, or `alias set`: the command is the rest of the line, as it was typed."""
    name, _, meaning = words[0].partition(" ")
    if not name:
        return _run(shell, "ls")
    if meaning.strip():
        return _run(shell, "set", "--", name, meaning.strip())
    shell.env.begin_line()
    known = shell.env.aliases
    if name not in known:
        raise CliError(ExitStatus.NOT_FOUND, f"no alias {name!r}", f"Make it: \\alias {name} COMMAND")
    shell.env.write(f"{show(name)} stands for: {show(known[name])}\n")
    return ExitStatus.OK


@verb("unalias", usage="NAME", summary="Forget a word of yours.", completes=_names)
def forget(shell: Session, words: Sequence[str]) -> int:
    """`alias rm`."""
    return _run(shell, "rm", "--", words[0])


def _run(shell: Session, *words: str) -> int:
    shell.env.begin_line()
    return run(arguments(["alias", *words], read_only=shell.read_only), shell.env)
