"""`dyn alias`: words of the user's own for whole commands, kept in config.toml."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli import contexts
from dynamo_cli.arguments import text
from dynamo_cli.call import Call, Document, View
from dynamo_cli.editing import set_in_file
from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.line import alias_words
from dynamo_cli.options import command
from dynamo_cli.render.plain import exact, show

if TYPE_CHECKING:
    from rich.console import RenderableType

SECTION = "alias"
Name = Annotated[str, typer.Argument(metavar="NAME", parser=text, help="The new word.")]
Meaning = Annotated[
    str, typer.Argument(metavar="COMMAND", parser=text, help="What it stands for, as one word: 'cluster status'.")
]


def aliases(call: Call) -> dict[str, str]:
    """The aliases of config.toml."""
    table = (contexts.read_table(contexts.config_path(call.env.environ)) or {}).get(SECTION)
    return {name: str(meaning) for name, meaning in table.items()} if isinstance(table, dict) else {}


@command(
    "alias ls",
    panel="Configure",
    examples=[
        ("dyn alias ls", "your words, and what they stand for"),
        ("dyn alias", "the same"),
        ("dyn alias ls --json", "for scripts"),
    ],
    see=["alias set", "alias rm"],
)
def list_aliases(call: Call) -> ExitStatus:
    """List your aliases."""
    listed = [{"name": name, "command": meaning} for name, meaning in sorted(aliases(call).items())]
    call.emit({"schema": "dyn.aliases/v1", "aliases": listed}, View(_screen, _rows, lambda d: list(d["aliases"])))
    return ExitStatus.OK


def _rows(document: Document) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    return ("alias", "command"), [(exact(a["name"]), exact(a["command"])) for a in document["aliases"]]


def _screen(document: Document, wide: bool) -> RenderableType:
    from rich.text import Text

    from dynamo_cli.render.table import table_of

    if not document["aliases"]:
        return Text("no aliases\n\nMake one:  dyn alias set st 'cluster status --check'")
    table = table_of(("ALIAS", False), ("STANDS FOR", False))
    for alias in document["aliases"]:
        table.add_row(Text(show(alias["name"])), Text(f"dyn {show(alias['command'])}"))
    return table


@command(
    "alias set",
    panel="Configure",
    danger="mild",
    examples=[
        ("dyn alias set st 'cluster status --check'", "then: dyn st"),
        ("dyn alias set prod -- '-c prod'", "then: dyn prod ring show"),
        ("dyn alias set cart 'get cart:$1'", "then: dyn cart 1042, also within dyn shell"),
    ],
    exits=[9],
    see=["alias ls", "alias rm"],
)
def change(call: Call, name: Name, meaning: Meaning) -> ExitStatus:
    """Let a word of yours stand for a command. What follows it is added, or goes to its places.

    In the command $1 and $2 are the first and the second word that follow, $@ are all of them, $$ is a dollar.
    """
    from dynamo_cli.catalog import catalog

    if not (name.isascii() and name.replace("-", "").replace("_", "").isalnum()) or name.startswith("-"):
        raise usage(f"{name!r} can be no alias", "Take letters, digits, - and _")
    words = alias_words(meaning)
    commands = {spec.path[0] for spec in catalog() if spec.path}
    if name in commands:
        raise CliError(ExitStatus.REFUSED, f"{name} is a command", "Take another word")
    first = next((word for word in words if not word.startswith("-")), None)
    if not words or (first == words[0] and first not in commands):
        raise usage(f"{meaning!r} begins with no command", "See what there is: dyn help")
    set_in_file(contexts.config_path(call.env.environ), name, meaning, SECTION)
    call.say(f"dyn {name} is dyn {show(' '.join(words))}")
    return ExitStatus.OK


@command(
    "alias rm",
    panel="Configure",
    danger="mild",
    examples=[
        ("dyn alias rm st", "forget it"),
        ("dyn alias rm st -q", "say nothing"),
        ("dyn alias ls", "which there are"),
    ],
    exits=[3, 9],
    see=["alias ls", "alias set"],
)
def remove(call: Call, name: Name) -> ExitStatus:
    """Forget an alias."""
    there = aliases(call)
    if name not in there:
        hint = f"There are {', '.join(sorted(there))}" if there else "Make one: dyn alias set NAME COMMAND"
        raise CliError(ExitStatus.NOT_FOUND, f"no alias {name!r}", hint)
    set_in_file(contexts.config_path(call.env.environ), name, None, SECTION)
    call.say(f"forgot alias {name}")
    return ExitStatus.OK
