"""`dyn completion`: the completion script of a shell, printed, or put where that shell looks for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli.arguments import choice
from dynamo_cli.call import Call, Document, View
from dynamo_cli.contexts import write_private
from dynamo_cli.editing import read_text
from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.render.plain import show

if TYPE_CHECKING:
    from rich.console import RenderableType

OURS = "Generated from the command tree by `dyn completion"
"""How a file says that it may be written over."""


@command(
    "completion",
    panel="Configure",
    examples=[
        ("source <(dyn completion bash)", "for this bash; zsh alike"),
        ("dyn completion fish | source", "for this fish"),
        ("dyn completion --install", "for every later shell of your kind; --dry-run says where"),
    ],
    exits=[9],
    completes={"shell": "bash zsh fish"},
)
def completion(
    call: Call,
    shell: Annotated[
        str | None,
        typer.Argument(
            metavar="[bash|zsh|fish]", parser=choice("bash", "zsh", "fish"), help="Which shell; else by SHELL."
        ),
    ] = None,
    install: Annotated[
        bool, typer.Option("--install", help="Write it where the shell looks for it: one file, never an rc file.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With --install: only say what would be written.")] = False,
) -> ExitStatus:
    """Print the completion script of a shell, or install it for this account."""
    from dynamo_cli.completions import SHELLS, script

    chosen = shell or os.path.basename(call.env.environ.get("SHELL", ""))
    if chosen not in SHELLS:
        raise usage("which shell? SHELL names none that is known", "Name it: dyn completion bash|zsh|fish")
    if not install:
        if dry_run:
            raise usage("--dry-run is of --install", "Add --install")
        call.env.write(script(chosen))
        return ExitStatus.OK
    path = place(chosen, call.env.environ)
    before, text = read_text(path), script(chosen)
    if before and OURS not in before:
        raise CliError(ExitStatus.REFUSED, f"{path} is not ours", f"Move it away, or: dyn completion {chosen} > FILE")
    state = "current" if before == text else "older" if before else "absent"
    if state != "current" and not dry_run:
        write_private(path, text, mode=0o644)
    written = state != "current" and not dry_run
    document = {"schema": "dyn.completion/v1", "shell": chosen, "file": path, "was": state, "written": written}
    call.emit({**document, "then": _then(chosen, path)}, View(_screen, _rows))
    return ExitStatus.OK


def place(shell: str, environ: Mapping[str, str]) -> str:
    """Where a shell looks for completions of this account. (zsh looks nowhere by itself.)"""
    home = environ.get("HOME") or os.path.expanduser("~")

    def base(kind: str, default: str) -> str:
        named = environ.get(f"XDG_{kind}_HOME", "")
        return named if os.path.isabs(named) else os.path.join(home, default)

    if shell == "fish":
        return os.path.join(base("CONFIG", ".config"), "fish/completions/dyn.fish")
    data = base("DATA", ".local/share")
    return os.path.join(data, {"bash": "bash-completion/completions/dyn", "zsh": "zsh/site-functions/_dyn"}[shell])


def _then(shell: str, path: str) -> str:
    """What a person has yet to do."""
    if shell == "zsh":
        return f"in ~/.zshrc, before compinit:  fpath+=({os.path.dirname(path)})"
    if shell == "bash":
        return "open a new shell (the package bash-completion finds it)"
    return "open a new shell"


def _rows(document: Document) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    names = ("shell", "file", "was", "written", "then")
    return names, [tuple(show(str(document[name])) for name in names)]


def _screen(document: Document, wide: bool) -> RenderableType:
    from rich.text import Text

    does = "wrote" if document["written"] else "is current" if document["was"] == "current" else "would write"
    line = f"{does}  {show(document['file'])}"
    if document["written"] and document["was"] == "older":
        line += "  (an older one was there)"
    return Text(f"{line}\n{'then':<{len(does)}}  {show(document['then'])}")
