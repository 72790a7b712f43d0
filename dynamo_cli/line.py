"""The options that every command takes, and one command line under way: what it says, and what the settings add."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from dynamo_cli.arguments import choice, seconds, some, text
from dynamo_cli.call import Call
from dynamo_cli.environment import Environment
from dynamo_cli.errors import CliError, usage
from dynamo_cli.options import COLORS, FORMATS, REGISTRY, TIMEOUT_S, Manner, Options
from dynamo_cli.settings import value as setting

GLOBALS: dict[str, tuple[Any, object]] = {
    "context": (
        Annotated[
            str | None,
            typer.Option("-c", "--context", metavar="NAME", parser=text, help="Saved context to use; none for none."),
        ],
        None,
    ),
    "nodes": (
        Annotated[
            list[str] | None,
            typer.Option("-n", "--node", metavar="HOST:PORT", parser=text, help="Node to ask; several: in order."),
        ],
        None,
    ),
    "output": (
        Annotated[
            str | None,
            typer.Option("-o", "--output", metavar="|".join(FORMATS), parser=choice(*FORMATS), help="Output format."),
        ],
        None,
    ),
    "json": (Annotated[bool, typer.Option("--json", help="Same as -o json.")], False),
    "field": (
        Annotated[
            str | None,
            typer.Option("--field", metavar="PATH", parser=some, help="Print one field of the JSON, as nodes.0.name."),
        ],
        None,
    ),
    "timeout_s": (
        Annotated[
            float | None,
            typer.Option("--timeout", metavar="S", parser=seconds, help=f"Deadline in seconds; default {TIMEOUT_S:g}."),
        ],
        None,
    ),
    "quiet": (Annotated[bool, typer.Option("-q", "--quiet", help="No remarks.")], False),
    "verbose": (Annotated[bool, typer.Option("-v", "--verbose", help="Tell what is asked of which node.")], False),
    "yes": (Annotated[bool, typer.Option("-y", "--yes", help="Confirm what would be asked.")], False),
    "confirmed": (
        Annotated[
            str | None,
            typer.Option("--confirm", metavar="NAME", parser=text, help="Confirm it in the protected context NAME."),
        ],
        None,
    ),
    "no_input": (Annotated[bool, typer.Option("--no-input", help="Ask nothing, even on a terminal.")], False),
    "color": (
        Annotated[
            str | None,
            typer.Option("--color", metavar="|".join(COLORS), parser=choice(*COLORS), help="Colour; default auto."),
        ],
        None,
    ),
    "ascii": (Annotated[bool, typer.Option("--ascii", help="Draw with ASCII alone.")], False),
    "no_pager": (Annotated[bool, typer.Option("--no-pager", help="No pager, however long it gets.")], False),
    "debug": (Annotated[bool, typer.Option("--debug", help="Show where an error came from.")], False),
    "tls_ca": (
        Annotated[
            str | None,
            typer.Option("--tls-ca", metavar="FILE", parser=text, help="Speak TLS; the CA that signs nodes."),
        ],
        None,
    ),
    "tls_cert": (
        Annotated[str | None, typer.Option("--tls-cert", metavar="FILE", parser=text, help="Certificate to show.")],
        None,
    ),
    "tls_key": (
        Annotated[str | None, typer.Option("--tls-key", metavar="FILE", parser=text, help="Key of that certificate.")],
        None,
    ),
    "no_header": (Annotated[bool, typer.Option("--no-header", help="No header line in plain and csv.")], False),
}
"""The global options: annotation and default by parameter name. Every command takes them, and so does every group."""

PREFIX = "global_"


TAKES_VALUE = {
    flag
    for annotation, default in GLOBALS.values()
    if default is not False
    for flag in (annotation.__metadata__[0].default, *annotation.__metadata__[0].param_decls)  # as typer reads them
}
"""The flags among them whose value is the next word."""
FLAGS = {flag for annotation, _ in GLOBALS.values() for flag in
         (annotation.__metadata__[0].default, *annotation.__metadata__[0].param_decls)}  # fmt: skip
PLACE = re.compile(r"\$(\$|@|[1-9][0-9]?)")
"""In an alias: where a word goes that follows it, or all of them; `$$` is a dollar."""


def first_word(argv: Sequence[str]) -> int:
    """Where the first word stands that is no global option; behind the end if there is none."""
    at = 0
    while at < len(argv) and argv[at].startswith("-") and argv[at] != "-":
        at += 2 if argv[at] in TAKES_VALUE else 1
    return at


def expanded(argv: Sequence[str], env: Environment, known: Callable[[str], bool]) -> list[str]:
    """The command line with the user's alias replaced by what it stands for. What is `known` is no alias."""
    at = first_word(argv)
    if at >= len(argv) or known(argv[at]):
        return list(argv)
    aliases = env.layers.config.get("alias")
    meaning = aliases.get(argv[at]) if isinstance(aliases, dict) else None
    if not isinstance(meaning, str):
        return list(argv)
    rest = argv[at + 1 :]
    begin = 0
    while begin < len(rest) and (flag := rest[begin].partition("=")[0]) in FLAGS:
        begin += 2 if flag in TAKES_VALUE and flag == rest[begin] else 1
    return [*argv[:at], *rest[:begin], *filled(argv[at], meaning, rest[begin:])]


def filled(name: str, meaning: str, given: Sequence[str]) -> list[str]:
    """The words of an alias with those that follow it where they belong: `$1` is the first, `$@` are all of them.

    What no place is for is added at the end. Raises a usage error if words are missing.
    """
    words, places = alias_words(meaning), [place for place in PLACE.findall(meaning) if place != "$"]
    needed = max((int(place) for place in places if place != "@"), default=0)
    if len(given) < needed:
        count = f"{needed} word{'s' if needed != 1 else ''}"
        raise usage(f"the alias {name} needs {count} after it, not {len(given)}", f"It stands for: {meaning}")

    def put(found: re.Match[str]) -> str:
        place = found[1]
        return "$" if place == "$" else " ".join(given) if place == "@" else given[int(place) - 1]

    made = [part for word in words for part in (given if word == "$@" else [PLACE.sub(put, word)])]
    return [*made, *([] if "@" in places else given[needed:])]


def alias_words(meaning: str) -> list[str]:
    """The words of an alias. Raises a usage error."""
    try:
        words = shlex.split(meaning)
    except ValueError as error:
        raise usage(f"an alias is {meaning!r}: {error}", "Set it anew: dyn alias set NAME COMMAND") from None
    return words[1:] if words[:1] == ["dyn"] else words


class Run:
    """One command line under way: the global options found so far, wherever they stood."""

    def __init__(self, env: Environment) -> None:
        self.env = env
        self.given: dict[str, Any] = {}
        self.call = Call(env)
        self.path: tuple[str, ...] = ()

    def take(self, values: dict[str, object]) -> None:
        """Move the global options out of `values`; what stands further right wins."""
        for name in GLOBALS:
            value = values.pop(PREFIX + name)
            if value:
                self.given[name] = value

    def begin(self, path: tuple[str, ...]) -> Call:
        """The call of the command of these words, with the options that are now known. Raises CliError."""
        given, call = self.given, self.call
        self.path = path
        as_json = given.get("json") or given.get("field") is not None
        output = given.get("output") if given.get("output") in ("json", "jsonl") or not as_json else "json"
        call.options = Options(
            nodes=tuple(given.get("nodes") or ()),
            output=output,
            quiet=bool(given.get("quiet")),
            yes=bool(given.get("yes")),
            header=not given.get("no_header"),
            tls_ca=given.get("tls_ca"),
            tls_cert=given.get("tls_cert"),
            tls_key=given.get("tls_key"),
            confirmed=given.get("confirmed"),
        )
        self.env.manner = self._manner(self.env.manner)
        try:
            self._settle()
        except CliError:  # a file that makes no sense stops no command that could mend it
            if path[:1] not in MENDING or given.get("context"):
                raise
            self.env.read_again(files=False)
            self._settle()
        self.env.tls = self.env.tls_of(call.options)
        if (entered := REGISTRY.get(path)) is not None and entered.guarded:
            call.guard(f"dyn {' '.join(path)}")
        return call

    def _manner(self, before: Manner) -> Manner:
        """How the line is run: as it says, else as what began the shell."""
        given = self.given
        return Manner(
            context=given.get("context") or before.context,
            field=given.get("field"),
            ascii=bool(given.get("ascii")) or before.ascii,
            asks=not given.get("no_input") and before.asks,
            pages=not given.get("no_pager") and before.pages,
            debug=bool(given.get("debug")) or before.debug,
            verbose=bool(given.get("verbose")) or before.verbose,
        )

    def _settle(self) -> None:
        """What the settings say where the line says nothing. Raises CliError."""
        given, call, layers = self.given, self.call, self.env.layers
        call.options = call.options._replace(
            output=call.options.output or setting(layers, "output"),
            color=given.get("color") or setting(layers, "color") or "auto",
            timeout_s=given.get("timeout_s") or setting(layers, "timeout") or TIMEOUT_S,
        )


MENDING = [("config",), ("context",), ("alias",), ("help",), ("version",), ("completion",)]
"""Commands that speak to no node, and are wanted when settings are wrong."""
