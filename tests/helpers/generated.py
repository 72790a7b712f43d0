"""Write the scripts and the page anew that are made from the command tree: `python -m tests.helpers.generated`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dynamo_cli import manual
from dynamo_cli.completions import script
from tests.helpers import commands

ROOT = Path(__file__).parents[2]

MADE: dict[str, Callable[[], str]] = {
    "completions/dyn.bash": lambda: script("bash"),
    "completions/_dyn": lambda: script("zsh"),
    "completions/dyn.fish": lambda: script("fish"),
    "completions/dyn.1": manual.page,
    "dynamo_cli/COMMANDS.md": commands.written,
}
"""Each file, and what is to stand in it."""


def stale() -> list[str]:
    """Return the files that are not what they would be if they were written now."""
    return [path for path, make in MADE.items() if not (ROOT / path).exists() or (ROOT / path).read_text() != make()]


if __name__ == "__main__":
    for path in stale():
        (ROOT / path).parent.mkdir(exist_ok=True)
        (ROOT / path).write_text(MADE[path]())
        print(path)
