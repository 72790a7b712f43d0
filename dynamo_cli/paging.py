"""The pager: for what is taller than the screen, and for nothing else."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence

OFF = ("off", "cat", "")
LESS = "FIRX"
"""Quit if it fits, ignore case, colours, and no second screen that takes the page away at the end."""


def pager_of(chosen: str | None, environ: Mapping[str, str]) -> list[str]:
    """The words of the pager to start: the setting's, else PAGER's, else less, where there is one; empty for none."""
    named = environ.get("PAGER") if chosen is None else chosen
    text = "less" if named is None else named
    try:
        words = shlex.split(text)
    except ValueError:
        return []
    if text in OFF or not words or shutil.which(words[0], path=environ.get("PATH")) is None:
        return []
    return words


def page(text: str, words: Sequence[str], environ: Mapping[str, str]) -> bool:
    """Show a text by a pager, and wait until it ends; False if it could not be started. Ctrl-C is the pager's."""
    try:
        child = subprocess.Popen(words, stdin=subprocess.PIPE, env={"LESS": LESS, "LV": "-c", **environ})
    except OSError:
        return False
    assert child.stdin is not None
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt), child.stdin:
        child.stdin.write(text.encode("utf-8", "backslashreplace"))
    while True:
        try:
            child.wait()
            return True
        except KeyboardInterrupt:
            continue
