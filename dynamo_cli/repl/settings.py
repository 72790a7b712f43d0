"""What a session does in one way or another: switches, and the verbs that turn them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from dynamo_cli.errors import usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.repl.verbs import verb

if TYPE_CHECKING:
    from dynamo_cli.repl.session import Session


class Switch(NamedTuple):
    """One setting: how it begins, and what it does."""

    begins: bool
    meaning: str


SWITCHES = {
    "timing": Switch(False, "say after each command how long it took"),
    "expanded": Switch(False, "one column a line instead of one row a line"),
    "trace": Switch(False, "show the way of each get, put and del"),
    "pipes": Switch(True, "| COMMAND at the end of a line is the system's"),
    "events": Switch(True, "tell of nodes and conflicts while the prompt waits"),
    "pager": Switch(False, "results that are taller than the screen go through less"),
    "title": Switch(True, "the cluster's state in the title of the window"),
    "toolbar": Switch(True, "the cluster's state below the prompt"),
    "rprompt": Switch(True, "how long the last line took, at the right, from 100 columns"),
    "suggest": Switch(True, "the rest of a line like this, from the history"),
    "vi": Switch(False, "keys as in vi, not as in emacs"),
    "multiline": Switch(False, "Enter begins a line; Alt-Enter runs what was typed"),
}
"""Every setting, in the order in which they are listed."""


class Settings:
    """The switches of one session."""

    def __init__(self) -> None:
        self._on = {name: switch.begins for name, switch in SWITCHES.items()}

    def __getitem__(self, name: str) -> bool:
        return self._on[name]

    def __setitem__(self, name: str, on: bool) -> None:
        assert name in self._on, name
        self._on[name] = on


def turn(shell: Session, name: str, words: Sequence[str]) -> int:
    """Turn a switch to what the words say, or to the other side, and tell."""
    word = words[0].lower() if words else ("off" if shell.settings[name] else "on")
    if word not in ("on", "off"):
        raise usage(f"{name} is on or off, not {word!r}", f"Write: \\set {name} on")
    shell.settings[name] = word == "on"
    shell.note(f"{name} is {word}: {SWITCHES[name].meaning}")
    return ExitStatus.OK


def _choices(shell: Session, words: Sequence[str]) -> list[str]:
    return [list(SWITCHES), ["on", "off"], []][min(len(words), 2)]


@verb("set", usage="[NAME] [on|off]", summary="The settings; or turn one on or off.", completes=_choices)
def change(shell: Session, words: Sequence[str]) -> int:
    """Without a word: all of them."""
    if not words:
        for name, switch in SWITCHES.items():
            shell.env.write(f"  {name:<11}{'on' if shell.settings[name] else 'off':<5}{switch.meaning}\n")
        return ExitStatus.OK
    if words[0] not in SWITCHES:
        raise usage(f"no setting {words[0]!r}", f"There are {', '.join(SWITCHES)}")
    return turn(shell, words[0], words[1:])


@verb("timing", usage="[on|off]", summary="Say after each command how long it took.", completes="on off")
def timing(shell: Session, words: Sequence[str]) -> int:
    """`\\set timing`."""
    return turn(shell, "timing", words)


@verb("trace", usage="[on|off]", summary="Show the way of each get, put and del.", completes="on off")
def trace(shell: Session, words: Sequence[str]) -> int:
    """`\\set trace`."""
    return turn(shell, "trace", words)


@verb("x", usage="[on|off]", summary="One column a line instead of one row a line.", completes="on off")
def expanded(shell: Session, words: Sequence[str]) -> int:
    """`\\set expanded`."""
    return turn(shell, "expanded", words)


@verb("events", usage="[on|off]", summary="Tell of nodes and conflicts while the prompt waits.", completes="on off")
def events(shell: Session, words: Sequence[str]) -> int:
    """`\\set events`."""
    return turn(shell, "events", words)
