"""The shell's own verbs, which begin with a backslash: one table, as there is one for commands.

`@verb("kill", usage="NODE", summary="…")` enters a function; help, completion, colours, the history's care and the
"did you mean" of a typo all come from the table. A verb that `needs` a facility is there only in a session that was
given one: the demo's verbs in the demo's shell, those of a terminal on a terminal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar, NamedTuple, TypeVar

from dynamo_cli.errors import CliError, usage

if TYPE_CHECKING:
    from dynamo_cli.repl.session import Session


class Facility:
    """Something that a session may have, and that verbs may need. `where` says who has it, after "is for"."""

    where: ClassVar[str]

    def mark(self) -> str:
        """A word for the prompt: what its verbs have done that lasts. Asked at every keystroke: it must not wait."""
        return ""


Choices = Callable[["Session", Sequence[str]], Iterable[str]]
"""What may come next, after the words given."""


class Verb(NamedTuple):
    """One verb; `name` is without its backslash.

    `usage` names its arguments: `[A]` may be missing, the last may be repeated (`A…`), of `[--b C]` both may, or
    `--b`; with `takes_line` the function gets all that follows as it was typed, as one word. `completes` is `names`,
    `nodes`, `keys`, `files`, `commands`, the words to choose from, or a function. `writes`: a read-only shell refuses
    it. `danger`: never suggested from the history. `also` are other names.
    """

    name: str
    run: Callable[[Session, Sequence[str]], int]
    usage: str
    summary: str
    completes: str | Choices
    needs: type[Facility] | None
    takes_line: bool
    writes: bool
    danger: bool
    also: tuple[str, ...]

    @property
    def typed(self) -> str:
        """The verb as it is typed."""
        return f"\\{self.name} {self.usage}".rstrip()

    def check(self, words: Sequence[str]) -> None:
        """Raise a usage error for more or fewer words than it takes."""
        if self.takes_line:
            return
        least = len(re.sub(r"\[[^]]*]", "", self.usage).split())
        most = None if self.usage.endswith(("…", "…]")) else len(self.usage.split())
        if len(words) < least or (most is not None and len(words) > most):
            raise usage(f"\\{self.name} takes {self.usage or 'nothing'}", f"Write: {self.typed}")


VERBS: dict[str, Verb] = {}
"""Every verb by its name."""

ELSEWHERE = ("dynamo_cli.demo.verbs",)
"""Modules with verbs that not every session has: imported by who gives what they need, or to say where a verb is."""

Function = TypeVar("Function", bound=Callable[["Session", Sequence[str]], int])


def verb(
    name: str,
    *,
    usage: str = "",
    summary: str,
    completes: str | Choices = "",
    needs: type[Facility] | None = None,
    takes_line: bool = False,
    writes: bool = False,
    danger: bool = False,
    also: Iterable[str] = (),
) -> Callable[[Function], Function]:
    """Enter a function into the table; its arguments are the session and the words after the verb."""
    assert name not in VERBS, f"verb {name!r} is entered twice"

    def enter(function: Function) -> Function:
        VERBS[name] = Verb(
            name, function, usage, summary, completes, needs, takes_line, writes, danger or writes, tuple(also)
        )
        return function

    return enter


def parts_of(line: str) -> tuple[str, str]:
    """A line that begins with a backslash: the verb's name, and what follows it."""
    name, _, rest = line.strip().removeprefix("\\").partition(" ")
    return name.strip(), rest.strip()


def named(name: str, has: Callable[[type[Facility]], bool]) -> Verb:
    """The verb of this name, or other name; raises a usage error that says what was meant, or where it is."""
    found = _find(name)
    if found is None:
        for module in ELSEWHERE:
            import_module(module)
        found = _find(name)
    if found is not None and (found.needs is None or has(found.needs)):
        return found
    if found is not None and found.needs is not None:
        raise usage(f"\\{found.name} is for {found.needs.where}", "See what there is: \\help")
    close = get_close_matches(name, [known.name for known in available(has)], n=2)
    meant = ". Did you mean " + " or ".join(f"\\{word}" for word in close) if close else ""
    raise usage(f"no verb \\{name}{meant}{'?' * bool(close)}", "See what there is: \\help")


def _find(name: str) -> Verb | None:
    return VERBS.get(name) or next((found for found in VERBS.values() if name in found.also), None)


def available(has: Callable[[type[Facility]], bool]) -> list[Verb]:
    """The verbs of a session, by what it has."""
    return sorted((found for found in VERBS.values() if found.needs is None or has(found.needs)), key=by_name)


def by_name(found: Verb) -> str:
    """The order of `\\help`."""
    return found.name


def takes_line(name: str) -> bool:
    """Whether a verb takes the rest of its line as it was typed."""
    found = _find(name)
    return found is not None and found.takes_line


def is_dangerous(name: str) -> bool:
    """Whether a line of this verb must never be suggested; so, too, of one that is not known."""
    found = _find(name)
    return found is None or found.danger


def refused(found: Verb) -> CliError:
    """What a read-only shell says to a verb that writes."""
    from dynamo_cli.exit_status import ExitStatus

    return CliError(
        ExitStatus.REFUSED, f"this shell is read-only: \\{found.name} is refused", "Start it without --read-only"
    )
