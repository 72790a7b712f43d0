"""Several commands at one prompt: pasted, or typed in multi-line mode. None runs before somebody says so."""

from __future__ import annotations

from collections.abc import Callable

from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.render.plain import shortened, show
from dynamo_cli.repl.session import Session
from dynamo_cli.repl.words import commands_in

LINE_COLUMNS = 60


def run_typed(shell: Session, text: str, ask: Callable[[str], str]) -> None:
    """Run what was typed at one prompt. `ask` puts a question and returns the answer."""
    commands = [command.strip("\n") for command in commands_in(text) if command.strip()]
    if len(commands) <= 1:
        shell.run(text)
        return
    answer = ask(f"{len(commands)} commands were pasted: run [a]ll, [o]ne by one, or [c]ancel? ")
    if answer in ("a", "all"):
        run_all(shell, commands)
    elif answer in ("o", "one"):
        _one_by_one(shell, commands, ask)
    else:
        shell.env.write("nothing ran\n", error=True)


def run_all(shell: Session, commands: list[str]) -> None:
    """One after the other, each shown, up to the first that fails: what follows may rely on it."""
    for number, command in enumerate(commands, 1):
        shell.env.write(f"> {_short(command)}\n", error=True)
        status = shell.run(command)
        if shell.left:
            return
        if status != ExitStatus.OK and number < len(commands):
            shell.env.write(f"stopped: {len(commands) - number} of {len(commands)} commands did not run\n", error=True)
            return


def _one_by_one(shell: Session, commands: list[str], ask: Callable[[str], str]) -> None:
    for number, command in enumerate(commands, 1):
        answer = ask(f"{number}/{len(commands)}  {_short(command)}   [y]es, [n]o, [a]ll, [q]uit? ")
        if answer in ("a", "all"):
            run_all(shell, commands[number - 1 :])
            return
        if answer in ("q", "quit"):
            return
        if answer in ("y", "yes") and (shell.run(command) == ExitStatus.INTERRUPTED or shell.left):
            return


def _short(command: str) -> str:
    return shortened(show(command), LINE_COLUMNS)
