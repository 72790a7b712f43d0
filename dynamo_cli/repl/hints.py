"""What a command takes, below the line while it is typed: the part that comes next stands out, and is explained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from prompt_toolkit.formatted_text import StyleAndTextTuples

from dynamo_cli.catalog import CommandSpec, ParameterSpec, find
from dynamo_cli.repl.parse import REDIS, located
from dynamo_cli.repl.verbs import Verb
from dynamo_cli.repl.words import spans

NOW, QUIET, PLAIN = "bold underline", "class:quiet", ""
MORE = " …"

TEXT_MAX = 10_000
"""Of a longer line only the value is being typed, and nobody looks for a hint."""

Piece = tuple[str, str]


def hint(
    text: str, verbs: Iterable[Verb], columns: int, aliases: Mapping[str, str] = MappingProxyType({})
) -> StyleAndTextTuples:
    """One line about the line before the cursor; nothing where there is nothing to say."""
    words = [] if len(text) > TEXT_MAX else [part for kind, part in spans(text) if kind == "word"]
    if not words:
        return []
    if words[0].startswith("\\"):
        pieces = _of_verb(words, verbs, ends=text[-1:].isspace())
    elif words[0] in aliases and find((words[0],)) is None:
        pieces = [(PLAIN, f" {words[0]} stands for: "), (NOW, aliases[words[0]])]
    else:
        words = [REDIS.get(words[0], words[0]), *words[1:]][words[0] == "dyn" :]
        path, end = located(words)
        spec = find(path) if path else None
        given = words[end:]
        if spec is None or (not given and not text[-1:].isspace()):
            return []
        pieces = _of_group(spec) if spec.subcommands and not spec.arguments else _of_command(spec, given, text)
    return cut(pieces, columns)


def _of_verb(words: Sequence[str], verbs: Iterable[Verb], *, ends: bool) -> list[Piece]:
    verb = next((verb for verb in verbs if words[0][1:] in (verb.name, *verb.also)), None)
    if verb is None or (len(words) == 1 and not ends):
        return []
    slots = verb.usage.split()
    now = len(words) - 1 - (not ends)
    pieces = [(PLAIN, f" \\{verb.name}")]
    for at, slot in enumerate(slots):
        pieces += [(PLAIN, " "), (NOW if at == min(now, len(slots) - 1) else PLAIN, slot)]
    return [*pieces, (QUIET, f"  {verb.summary}")]


def _of_group(spec: CommandSpec) -> list[Piece]:
    return [(PLAIN, f" {' '.join(spec.path)}"), *((NOW, f" {name}") for name in spec.subcommands)]


def _of_command(spec: CommandSpec, given: Sequence[str], text: str) -> list[Piece]:
    now = _next(spec, given, ends=text[-1:].isspace())
    pieces = [(PLAIN, f" {' '.join(spec.path)}")]
    for argument in spec.arguments:
        pieces += [(PLAIN, " "), (NOW if argument is now else PLAIN, argument.metavar + "…" * argument.repeats)]
    for option in spec.own_options:
        pieces += [(PLAIN, "  "), (NOW if option is now else QUIET, f"{option.flags[0]} {option.metavar}".rstrip())]
    if now is not None and now.help:
        pieces.append((PLAIN, f"  {now.help}"))
    return pieces


def _next(spec: CommandSpec, given: Sequence[str], *, ends: bool) -> ParameterSpec | None:
    """The parameter that is being typed, or would be next."""
    before = list(given) if ends or not given else list(given[:-1])
    valued = {flag: option for option in spec.parameters if option.takes_value for flag in option.flags}
    if before and before[-1] in valued:
        return valued[before[-1]]
    if not ends and given and given[-1].startswith("-"):
        return next((option for option in spec.parameters if given[-1] in option.flags), None)
    plain = [
        word
        for at, word in enumerate(before)
        if not word.startswith("-") and not (at and before[at - 1] in valued) and not _is_option(word, valued)
    ]
    slots = spec.arguments
    if not slots or (len(plain) >= len(slots) and not slots[-1].repeats):
        return None
    return slots[min(len(plain), len(slots) - 1)]


def _is_option(word: str, valued: Iterable[str]) -> bool:
    """Whether a word is an option in the shell's own way: `r=3`."""
    name, equals, _ = word.partition("=")
    return bool(equals) and name in [flag.lstrip("-") for flag in valued]


def cut(pieces: Sequence[Piece], columns: int) -> StyleAndTextTuples:
    """The pieces, or as many as fit a line and what says that there are more."""
    if sum(len(text) for _, text in pieces) <= columns:
        return list(pieces)
    left, fitting = columns - len(MORE), [*pieces[:0]]
    for style, text in pieces:
        if len(text) > left:
            break
        fitting.append((style, text))
        left -= len(text)
    return [*fitting, (QUIET, MORE[: max(0, columns)])]
