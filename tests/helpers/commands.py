"""The command table of dynamo_cli/COMMANDS.md, from the command tree: `tests.helpers.generated` writes it."""

from __future__ import annotations

from pathlib import Path

from dynamo_cli.catalog import CommandSpec, ParameterSpec, catalog
from dynamo_cli.options import PANELS

PAGE = Path(__file__).parents[2] / "dynamo_cli" / "COMMANDS.md"
BEGIN, END = "<!-- commands: generated, see tests/arch/test_docs.py -->\n", "<!-- /commands -->\n"


def commands_block(page: str) -> str:
    """Return what stands between the markers."""
    return page.split(BEGIN)[1].split(END, maxsplit=1)[0]


def generate() -> str:
    """Return the table of all commands with their arguments and options, and that of the options that all share."""
    lines = []
    for panel in PANELS:
        rows = [row(command) for command in catalog() if command.runs and command.panel == panel]
        if rows:
            lines += ["", f"| {panel} | | options |", "|---|---|---|", *rows]
    lines += ["", "| anywhere on the line | |", "|---|---|"]
    lines += [f"| {code(usage(option))} | {option.help} |" for option in catalog()[0].global_options]
    return "\n".join(lines[1:]) + "\n"


def row(command: CommandSpec) -> str:
    """Return the line of one command; options that every command takes are left out."""
    words = " ".join([command.name, *map(usage, command.arguments)])
    return f"| {code(words)} | {command.summary} | {' '.join(code(usage(option)) for option in command.own_options)} |"


def usage(parameter: ParameterSpec) -> str:
    """Return how a parameter is written: `KEY…`, `[VALUE|-]`, `--zone Z`, `-n/--node HOST:PORT…`."""
    shown = parameter.metavar.rstrip("…") + ("…" if parameter.repeats else "")
    if parameter.flags:
        return " ".join(["/".join(parameter.flags), shown]).rstrip()
    return shown if parameter.required or shown.startswith("[") else f"[{shown}]"


def code(text: str) -> str:
    """Return `text` as code inside a table cell."""
    return "`" + text.replace("|", r"\|") + "`"


def written() -> str:
    """Return the page as it would be if its table were written now."""
    page = PAGE.read_text()
    return page.replace(BEGIN + commands_block(page) + END, BEGIN + generate() + END)


if __name__ == "__main__":
    PAGE.write_text(written())
