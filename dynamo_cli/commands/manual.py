"""`dyn man` and `dyn cheat`: the manual page, and examples to copy, both made from the catalog."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli.arguments import text
from dynamo_cli.call import Call, Document, View
from dynamo_cli.errors import usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import PANELS, command
from dynamo_cli.render.plain import exact, json_text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from dynamo_cli.catalog import CommandSpec

Words = Annotated[list[str] | None, typer.Argument(metavar="[COMMAND]", parser=text, help="Of this command alone.")]


@command(
    "man",
    panel="Help",
    examples=[
        ("dyn man", "the manual page, by man"),
        ("dyn man cluster leave", "the page of one command"),
        ("dyn man --roff > dyn.1", "its source"),
    ],
    see=["help", "cheat"],
    completes={"words": "topics"},
)
def man(
    call: Call,
    words: Words = None,
    roff: Annotated[bool, typer.Option("--roff", help="Print the source, for man or groff.")] = False,
) -> ExitStatus:
    """Show the manual page by man; without it, and on a pipe, as plain text."""
    from dynamo_cli.catalog import catalog
    from dynamo_cli.commands.help import help_page
    from dynamo_cli.manual import page

    path = tuple(words or ())
    chosen = [spec for spec in catalog() if spec.runs and spec.path == path]
    if path and not chosen:
        raise usage(f"no manual of {' '.join(path)!r}", "See what there is: dyn help")
    source = page(tuple(chosen) if path else None)
    if call.format in ("json", "jsonl"):
        call.env.write(json_text({"schema": "dyn.man/v1", "command": " ".join(path) or None, "roff": source}))
    elif roff:
        call.env.write(source)
    elif not (call.env.stdout_is_terminal and call.env.stdin.isatty() and _shown(call, source)):
        pages = chosen if path else [spec for spec in catalog() if spec.runs and spec.path]
        call.env.page("\n".join(help_page(spec.path) for spec in pages))
    return ExitStatus.OK


def _shown(call: Call, source: str) -> bool:
    """Show a page by man, and wait for its end; False if there is none that can."""
    environ = dict(call.env.environ)
    program = shutil.which("man", path=environ.get("PATH"))
    if program is None:
        return False
    if not call.env.manner.pages:
        environ["MANPAGER"] = "cat"
    with tempfile.TemporaryDirectory(prefix="dyn-man-") as folder:
        file = Path(folder) / "dyn.1"
        file.write_text(source, "ascii")
        return subprocess.run([program, "-l", str(file)], env=environ, check=False).returncode == 0


# Examples ---------------------------------------------------------------------------------------------


@command(
    "cheat",
    panel="Help",
    examples=[
        ("dyn cheat", "examples of everything"),
        ("dyn cheat cluster", "of one group, command or heading"),
        ("dyn cheat | grep siblings", "by what they are for"),
    ],
    see=["help", "man"],
    completes={"section": "topics"},
)
def cheat(
    call: Call,
    section: Annotated[
        str | None,
        typer.Argument(metavar="[SECTION]", parser=text, help="A command, or a heading of help."),
    ] = None,
) -> ExitStatus:
    """Print examples to copy."""
    from dynamo_cli.catalog import catalog

    chosen = [spec for spec in catalog() if spec.examples and _is_of(spec, section)]
    if not chosen:
        raise usage(f"no examples of {section!r}", f"Name a command, or one of {', '.join(PANELS)}")
    order = sorted(chosen, key=lambda spec: PANELS.index(spec.panel))
    examples = [
        {"section": spec.panel, "command": line, "what": what} for spec in order for line, what in spec.examples
    ]
    document: Document = {"schema": "dyn.cheat/v1", "examples": examples}
    if call.for_people:
        call.env.page(_sheet(document))
    elif call.format == "plain":
        call.env.write(_sheet(document))
    else:
        call.emit(document, View(_screen, _rows, lambda d: list(d["examples"])))
    return ExitStatus.OK


def _is_of(spec: CommandSpec, section: str | None) -> bool:
    return section is None or section.lower() in (spec.panel.lower(), *spec.path)


def _sheet(document: Document) -> str:
    """Lines that a shell would take: what each does stands above it, as a comment."""
    lines: list[str] = []
    last = None
    for example in document["examples"]:
        if example["section"] != last:
            last = example["section"]
            lines += [""] * bool(lines) + [f"## {last}"]
        lines += ["", f"# {example['what']}", example["command"]]
    return "\n".join(lines) + "\n"


def _rows(document: Document) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    names = ("section", "command", "what")
    return names, [tuple(exact(example[name]) for name in names) for example in document["examples"]]


def _screen(document: Document, wide: bool) -> RenderableType:
    from rich.text import Text

    return Text(_sheet(document).rstrip("\n"))
