"""The command table of the README, generated from the command tree: `python -m tests.helpers.readme` writes it anew."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- commands: generated, see tests/arch/test_docs.py -->\n", "<!-- /commands -->\n"


def commands_block(page: str) -> str:
    """Return what stands between the markers."""
    return page.split(BEGIN)[1].split(END, maxsplit=1)[0]


def generate() -> str:
    """Return the table of all commands with their arguments and options, and that of the options that all share."""
    from dynamo_cli.app import tree
    from dynamo_cli.options import PANELS, REGISTRY

    root: Any = tree()
    lines = []
    for panel in PANELS:
        entries = [path for path, entry in REGISTRY.items() if entry.panel == panel]
        if entries:
            lines += ["", f"| {panel} | | options |", "|---|---|---|"]
            lines += [row(path, find(root, path)) for path in entries]
    shared = [option for option in options(root) if "--help" not in option.opts]
    lines += ["", "| anywhere on the line | |", "|---|---|"]
    lines += [f"| {code(usage(option))} | {option.help} |" for option in shared]
    return "\n".join(lines[1:]) + "\n"


def find(root: Any, path: tuple[str, ...]) -> Any:
    """Return the command that the words of `path` name."""
    for word in path:
        root = root.commands[word]
    return root


def options(command: Any) -> list[Any]:
    return [each for each in command.params if each.opts[0].startswith("-") and not each.hidden]


def row(path: tuple[str, ...], command: Any) -> str:
    """Return the line of one command; options that every command takes are left out."""
    arguments = [each for each in command.params if not each.opts[0].startswith("-")]
    own = [usage(option) for option in options(command) if not option.name.startswith("global_")]
    words = " ".join(["dyn", *path, *map(usage, arguments)])
    text = " ".join((command.help or "").split("\n\n")[0].split())
    return f"| {code(words)} | {text} | {' '.join(map(code, own))} |"


def usage(parameter: Any) -> str:
    """Return how a parameter is written: `KEY…`, `[VALUE|-]`, `--zone Z`, `-n/--node HOST:PORT…`."""
    shown = parameter.metavar or ("" if getattr(parameter, "is_flag", False) else str(parameter.name).upper())
    more = "…" if parameter.nargs == -1 or getattr(parameter, "multiple", False) else ""
    if not parameter.opts[0].startswith("-"):
        shown = shown.rstrip("…") + more
        return shown if parameter.required or shown.startswith("[") else f"[{shown}]"
    return " ".join(["/".join(parameter.opts), shown + more]).rstrip()


def code(text: str) -> str:
    """Return `text` as code inside a table cell."""
    return "`" + re.sub(r"\|", r"\\|", text) + "`"


if __name__ == "__main__":
    page = README.read_text()
    README.write_text(page.replace(BEGIN + commands_block(page) + END, BEGIN + generate() + END))
