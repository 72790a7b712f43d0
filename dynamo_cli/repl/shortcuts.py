"""What only a session with a keyboard has: the list of its keys, and a line in the editor."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from dynamo_cli import editor
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.repl.verbs import Facility, verb

if TYPE_CHECKING:
    from dynamo_cli.repl.session import Session

SHORTCUTS = (
    ("Tab, Shift-Tab", "choose among what may come next"),
    ("Right, Ctrl-E", "take the grey rest of the line"),
    ("Up, Down", "earlier lines that begin like this one"),
    ("Ctrl-R", "search in all earlier lines"),
    ("Ctrl-Left, -Right", "a word back, a word on"),
    ("Ctrl-W, Ctrl-U", "cut the word, the line; Ctrl-Y puts it back"),
    ("Ctrl-X Ctrl-E", "the line in $EDITOR (also \\e; in vi mode: v)"),
    ("Alt-Enter", "run at once, also within quotes"),
    ("F2", "results one column a line (\\x)"),
    ("F3", "Enter begins a line, Alt-Enter runs (\\set multiline)"),
    ("F4", "keys as in vi, or as in emacs (\\set vi)"),
    ("Ctrl-C", "drop the line; while a command runs: end it, not the shell"),
    ("Ctrl-Z", "suspend the shell; fg brings it back"),
    ("Ctrl-L", "clear the screen"),
    ("Ctrl-D", "leave"),
)
"""Keys, and what they do."""


class Keyboard(Facility):
    """A terminal that lines are typed at. `next_line` is what the next prompt begins with."""

    where = "a terminal"

    def __init__(self) -> None:
        self.next_line = ""
        self.typed: list[str] = []


@verb("keys", summary="The keys of this shell.", needs=Keyboard)
def show_keys(shell: Session, words: Sequence[str]) -> int:
    """What is worth knowing, not all there is."""
    shell.env.write("".join(f"  {keys:<19}{meaning}\n" for keys, meaning in SHORTCUTS))
    return ExitStatus.OK


@verb("e", usage="[LINE]", summary="A line, or the last one, in $EDITOR; what is saved waits at the prompt.",
      needs=Keyboard, takes_line=True, also=["edit"])  # fmt: skip
def edit(shell: Session, words: Sequence[str]) -> int:
    """Nothing runs before Enter."""
    keyboard = shell.facility(Keyboard)
    before = words[0] or (keyboard.typed[-1] if keyboard.typed else "")
    keyboard.next_line = edited(before, shell.env.environ).strip()
    return ExitStatus.OK


def edited(text: str, environ: Mapping[str, str], *, suffix: str = ".dyn") -> str:
    """A text as the user's editor leaves it. Raises CliError when there is none, or it fails: then nothing is lost."""
    with tempfile.NamedTemporaryFile("w+", suffix=suffix, encoding="utf-8", errors="surrogateescape") as file:
        file.write(text + "\n" * (not text.endswith("\n")))
        file.flush()
        status = editor.edit(file.name, environ)
        if status:
            name = os.path.basename(editor.editor_of(environ))
            raise CliError(ExitStatus.FAILURE, f"{name} ended with {status}", "Nothing ran")
        with open(file.name, encoding="utf-8", errors="surrogateescape") as again:  # an editor may write another file
            return again.read()
