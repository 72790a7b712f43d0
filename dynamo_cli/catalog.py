"""What commands there are, as frozen data: for help pages, completions, the README and the shell.

Reads typer's own objects (beside `arguments`, no other module does); a test holds it to the command line as it behaves.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from dynamo_cli.app import GROUPS, entries, tree
from dynamo_cli.line import GLOBALS, PREFIX


class ParameterSpec(NamedTuple):
    """One argument (`flags` empty) or option. `completes`: `keys`, `files`, `nodes`, `names`, or words; "" nothing."""

    name: str
    flags: tuple[str, ...]
    metavar: str
    help: str
    required: bool
    takes_value: bool
    repeats: bool
    is_global: bool
    completes: str


class CommandSpec(NamedTuple):
    """One command. `path` is its words after `dyn`; () is `dyn` itself. `runs` is False for a mere group."""

    path: tuple[str, ...]
    summary: str
    description: str
    panel: str
    parameters: tuple[ParameterSpec, ...]
    examples: tuple[tuple[str, str], ...]
    exits: tuple[int, ...]
    see: tuple[str, ...]
    subcommands: tuple[str, ...]
    runs: bool
    danger: str
    risky: tuple[str, ...]

    def may_change(self, words: Iterable[str]) -> bool:
        """Whether the command may change something, with these words behind it."""
        return bool(self.danger) or any(word.partition("=")[0] in self.risky for word in words)

    @property
    def name(self) -> str:
        """The command as it is typed."""
        return " ".join(("dyn", *self.path))

    @property
    def arguments(self) -> tuple[ParameterSpec, ...]:
        """What stands without a flag."""
        return tuple(parameter for parameter in self.parameters if not parameter.flags)

    @property
    def own_options(self) -> tuple[ParameterSpec, ...]:
        """The options that are this command's alone."""
        return tuple(parameter for parameter in self.parameters if parameter.flags and not parameter.is_global)

    @property
    def global_options(self) -> tuple[ParameterSpec, ...]:
        """The options that every command takes."""
        return tuple(parameter for parameter in self.parameters if parameter.is_global)


COMPLETES = {
    "context": "contexts",
    "confirmed": "contexts",
    "nodes": "nodes",
    "output": "table wide plain json jsonl csv value",
    "color": "auto always never",
} | dict.fromkeys(("tls_ca", "tls_cert", "tls_key"), "files")
"""What completes the values of the global options."""


LOADING = threading.RLock()
"""Held while the commands are loaded: a shell does so in a thread, while somebody begins to type."""


def catalog() -> tuple[CommandSpec, ...]:
    """Every command and group of the tree, parents first, in the order of the help page. Any thread may ask."""
    with LOADING:
        return _catalog()


@functools.cache
def _catalog() -> tuple[CommandSpec, ...]:
    return tuple(_walk(tree(), ()))


def _first_sentence(text: str) -> str:
    return text.split(". ", maxsplit=1)[0].rstrip(".") + "." if text else ""


def find(path: tuple[str, ...]) -> CommandSpec | None:
    """The command of these words."""
    return next((spec for spec in catalog() if spec.path == path), None)


def _walk(command: Any, path: tuple[str, ...]) -> Iterator[CommandSpec]:  # noqa: ANN401  # typer's own class
    table = entries()
    entered = table.get(path)
    names = dict.fromkeys(p[len(path)] for p in table if p[: len(path)] == path and len(p) > len(path))
    made = [name for name in getattr(command, "commands", {}) if name in names]
    children = [name for name in names if (*path, name) in table and name in made]  # also such as hold others
    children += [name for name in made if name not in children]
    description = (entered.function.__doc__ if entered else None) or GROUPS.get(" ".join(path), "")
    lines = [line.strip() for line in description.strip().splitlines() if line.strip()]
    completes = entered.completes if entered else {}
    yield CommandSpec(
        path,
        _first_sentence(" ".join(lines)),
        " ".join(lines),
        entered.panel if entered else PANEL_OF_GROUPS.get(path[0], ""),
        tuple(_parameter(parameter, completes) for parameter in command.params),
        entered.examples if entered else (),
        entered.exits if entered else (),
        entered.see if entered else (),
        tuple(children),
        entered is not None,
        entered.danger if entered else "",
        entered.risky if entered else (),
    )
    for name in children:
        yield from _walk(command.commands[name], (*path, name))


PANEL_OF_GROUPS = dict.fromkeys(("context", "config", "alias"), "Configure") | {
    "node": "Node",
    "key": "Data",
    "fault": "Faults",
    "debug": "Help",
    "schema": "Help",
}


def _parameter(parameter: Any, completes: dict[str, str]) -> ParameterSpec:  # noqa: ANN401  # typer's own class
    name = parameter.name.removeprefix(PREFIX)
    is_global = parameter.name.startswith(PREFIX)
    is_option = parameter.param_type_name == "option"
    takes_value = not (is_option and parameter.is_flag)
    metavar = parameter.metavar or parameter.name.upper()
    return ParameterSpec(
        name,
        tuple(parameter.opts) if is_option else (),
        metavar if takes_value else "",
        parameter.help or "",
        bool(parameter.required),
        takes_value,
        bool(parameter.multiple if is_option else parameter.nargs == -1),
        is_global and (name in GLOBALS or name == "help"),
        (COMPLETES if is_global else completes).get(name, ""),
    )
