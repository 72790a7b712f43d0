"""The table of commands as clients ask for it: COMMAND, COMMAND DOCS, COMMAND INFO, COMMAND LIST, HELP."""

from __future__ import annotations

from functools import cache

from node.wire.replies import Status, Tags, Value
from node.wire.table import BY_NAME, SINCE, TABLE, Argument, Command, arguments_of, arity_of


@cache
def info_of(name: bytes) -> Value:
    """One command as COMMAND INFO describes it; None for one that is not here."""
    command = BY_NAME.get(name.upper())
    if command is None:
        return None
    first, last, step = command.keys
    categories = ("@read",) if "readonly" in command.flags else ("@write",) if "write" in command.flags else ()
    return [
        command.name.lower(),
        arity_of(command),
        Tags(command.flags),
        first,
        last,
        step,
        Tags((f"@{command.group}", *categories)),
        [],
        [],
        [],
    ]


@cache
def all_infos() -> Value:
    """COMMAND."""
    return [info_of(name) for name in BY_NAME]


@cache
def docs_of(name: bytes) -> dict[str, Value]:
    """One command as COMMAND DOCS describes it; nothing for one that is not here."""
    command = BY_NAME.get(name.upper())
    if command is None:
        return {}
    described: dict[str, Value] = {"summary": command.summary, "since": SINCE, "group": command.group}
    arguments = arguments_of(command.syntax)
    if arguments:
        described["arguments"] = [_argument(argument) for argument in arguments]
    return {command.name.lower(): described}


def docs(names: list[bytes]) -> dict[str, Value]:
    """COMMAND DOCS of some commands, or of all."""
    return {name: doc for wanted in names or list(BY_NAME) for name, doc in docs_of(wanted).items()}


def _argument(argument: Argument) -> Value:
    described: dict[str, Value] = {"name": argument.name, "type": argument.kind}
    if argument.kind == "key":
        described["key_spec_index"] = 0
    if argument.token:
        described["token"] = argument.token
    flags = ("optional",) * argument.optional + ("multiple",) * argument.multiple
    if flags:
        described["flags"] = Tags(flags)
    if argument.parts:
        described["arguments"] = [_argument(part) for part in argument.parts]
    return described


def keys_of(words: list[bytes]) -> list[bytes]:
    """COMMAND GETKEYS: the keys among the words of a command."""
    command = BY_NAME.get(words[0].upper())
    if command is None or command.keys[0] == 0:
        return []
    first, last, step = command.keys
    return words[first : len(words) if last < 0 else last + 1 : step]


def help_lines(names: list[bytes]) -> list[Value]:
    """HELP: a line for each command, as a person at a bare connection wants them."""
    chosen: list[Command] = [BY_NAME[name.upper()] for name in names if name.upper() in BY_NAME] if names else [*TABLE]
    return [Status(f"{f'{command.name} {command.syntax}'.strip()}  {command.summary}") for command in chosen]
