"""What may come next on a line: commands, options, nodes, and keys that were seen or are asked for, a few at a time.

`suggest` is pure; `ShellCompleter` gives it to prompt_toolkit, in a thread. Keys come from `finder`: a Tab never scans,
and never waits long for a node that is down.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples

from dynamo_cli.catalog import CommandSpec, ParameterSpec, catalog, find
from dynamo_cli.commands.help import TOPICS
from dynamo_cli.render.plain import show
from dynamo_cli.repl.fuzzy import FUZZY_MIN, best
from dynamo_cli.repl.parse import ELSEWHERE, REDIS, located
from dynamo_cli.repl.words import split_pipe

if TYPE_CHECKING:
    from dynamo_cli.repl.session import Session

SHOWN_MAX = 50
"""More words than this help nobody to choose."""

ENTRIES_MAX = 10_000
"""Of a folder, as many are looked at."""

TYPABLE = re.compile(r"[^\s'\"\\#]+")
"""What can be typed without quotes."""


class Suggestion(NamedTuple):
    """A word that may come next, and what it is. `typed` is it as it must be typed, where that is another."""

    word: str
    meaning: str
    typed: str = ""
    at: tuple[int, ...] = ()


def fitting(found: Iterable[Suggestion], word: str) -> list[Suggestion]:
    """Those that fit what was typed, best first, with the places of the typed letters."""
    unique = list({suggestion.word: suggestion for suggestion in reversed(list(found))}.values())[::-1]
    fits = best(word, [suggestion.word for suggestion in unique])
    return [unique[index]._replace(at=fit.at) for index, fit in fits[:SHOWN_MAX]]


class Sources(NamedTuple):
    """Where words come from that no table knows."""

    keys: Callable[[str], Iterable[str]]
    nodes: Callable[[], Iterable[str]]
    names: Callable[[], Iterable[str]] = tuple
    shell: Session | None = None
    files: Callable[[str], Iterable[str]] = lambda word: ()
    about: Callable[[str], str] = lambda key: "key"
    aliases: Callable[[], Mapping[str, str]] = dict
    contexts: Callable[[], Iterable[str]] = tuple


def suggest(words: Sequence[str], word: str, sources: Sources) -> list[Suggestion]:
    """What may complete `word` after the complete `words` before it."""
    if (words or [word])[0].startswith("\\"):
        return fitting(_verbs(words, word, sources), word)
    if words:
        words = [REDIS.get(words[0], words[0]), *words[1:]][words[0] == "dyn" :]
    path, end = located(words)
    spec = find(path) if path else None
    if spec is None or (spec.subcommands and end == len(words)):
        found = _commands(path, word) if end == len(words) else iter(())
        if not words:
            found = chain(found, (Suggestion(name, meaning) for name, meaning in sources.aliases().items()))
    else:
        found = _arguments(spec, words[end:], word, sources)
    return fitting(found, word)


def _verbs(before: Sequence[str], word: str, sources: Sources) -> Iterator[Suggestion]:
    """The shell's own verbs, and what may follow one."""
    shell = sources.shell
    if shell is None:
        return
    if not before:
        yield from (Suggestion(f"\\{verb.name}", verb.summary) for verb in shell.verbs)
        return
    verb = next((verb for verb in shell.verbs if before[0][1:] in (verb.name, *verb.also)), None)
    if verb is None:
        return
    if callable(verb.completes):
        yield from (Suggestion(choice, verb.usage) for choice in verb.completes(shell, before[1:]))
    elif verb.completes == "commands":
        after = [w for w in before[1:] if not w.replace(".", "").isdigit()]  # the seconds of \\watch
        yield from suggest(after, word, sources)
    elif len(before) <= len(verb.usage.split()):
        yield from _values_of(verb.completes, verb.usage, word, sources)


def _commands(before: tuple[str, ...], word: str) -> Iterator[Suggestion]:
    """The words that may come next; at the beginning also what stands in a group: `stat` is `cluster status`."""
    below = [spec for spec in catalog() if spec.path[: len(before)] == before and spec.path not in ELSEWHERE]
    for spec in below:
        if len(spec.path) == len(before) + 1:
            yield Suggestion(spec.path[-1], spec.summary)
    if before:
        return
    yield Suggestion("exit", "Leave the shell.")
    for spec in below:
        if len(spec.path) > 1 and spec.runs and len(word) >= FUZZY_MIN and spec.path[-1].startswith(word):
            yield Suggestion(" ".join(spec.path), spec.summary)


def _arguments(spec: CommandSpec, given: Sequence[str], word: str, sources: Sources) -> Iterator[Suggestion]:
    option = _waiting(spec, given)
    if option is not None:
        yield from _values(option, word, sources)
        return
    if word.startswith("-"):
        for parameter in spec.parameters:
            for flag in parameter.flags:
                yield Suggestion(flag, parameter.help)
        return
    name, equals, value = word.partition("=")
    named = next((p for p in spec.parameters if p.takes_value and name in [f.lstrip("-") for f in p.flags]), None)
    if equals and named is not None:
        yield from (
            Suggestion(f"{name}={found.word}", found.meaning, f"{name}={found.typed or found.word}")
            for found in _values(named, value, sources)
        )
        return
    if equals and name == "via":
        yield from (Suggestion(f"via={node}", "ask through this node") for node in sources.names())
        return
    plain = [w for w in given if not w.startswith("-")]
    slots = spec.arguments
    if slots:
        slot = slots[min(len(plain), len(slots) - 1)]
        if len(plain) < len(slots) or slot.repeats:
            yield from _values(slot, word, sources)


def _waiting(spec: CommandSpec, given: Sequence[str]) -> ParameterSpec | None:
    """The option whose value comes next, if the last word given is its flag."""
    last = given[-1] if given else ""
    return next((p for p in spec.parameters if last in p.flags and p.takes_value), None)


def _values(parameter: ParameterSpec, word: str, sources: Sources) -> Iterator[Suggestion]:
    return _values_of(parameter.completes, parameter.help, word, sources)


def _values_of(kind: str, meaning: str, word: str, sources: Sources) -> Iterator[Suggestion]:
    """What a value of this kind may be: see `Command.completes`."""
    if kind == "keys":
        yield from filter(None, (_key(key, sources) for key in sources.keys(word)))
    elif kind == "nodes":
        yield from (Suggestion(node, "node") for node in sources.nodes())
    elif kind == "names":
        before = word[: word.rfind(",") + 1]  # the names of a list, one after the other
        yield from (Suggestion(before + name, "node") for name in sources.names())
    elif kind == "contexts":
        yield from (Suggestion(name, "context") for name in sources.contexts())
    elif kind == "files":
        yield from (Suggestion(name, "file") for name in sources.files(word))
    elif kind == "topics":
        yield from _commands((), word)
        yield from (Suggestion(topic, "topic") for topic in TOPICS)
    elif kind != "values":  # a value is nobody's to guess
        yield from (Suggestion(choice, meaning) for choice in kind.split())


def _key(key: str, sources: Sources) -> Suggestion | None:
    """A key that can be typed, in quotes if need be."""
    if TYPABLE.fullmatch(key):
        return Suggestion(key, sources.about(key))
    return Suggestion(key, sources.about(key), shlex.quote(key)) if show(key) == key and key else None


def files_like(word: str) -> list[str]:
    """Files and folders whose path begins with `word`: of one folder, SHOWN_MAX at most."""
    folder, name = os.path.split(word)
    try:
        with os.scandir(os.path.expanduser(folder or ".")) as entries:
            found = [
                os.path.join(folder, entry.name) + "/" * entry.is_dir()
                for entry in islice(entries, ENTRIES_MAX)
                if entry.name.startswith(name) and (name.startswith(".") or not entry.name.startswith("."))
            ]
    except OSError:
        return []
    return sorted(path for path in found if TYPABLE.fullmatch(path))[:SHOWN_MAX]


class ShellCompleter(Completer):
    """`suggest` for prompt_toolkit. Quoted words are left alone: what is quoted is being written, not chosen."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        """The completions at the cursor."""
        line = document.current_line_before_cursor
        if any(quote in line.lstrip()[1:] for quote in "'\"\\") or split_pipe(line)[1] is not None:
            return
        *words, word = line.split(" ")
        given = [w for w in words if w]
        for found in suggest(given, word, self.sources):
            shown: StyleAndTextTuples = [
                ("class:fit" if at in found.at else "", letter) for at, letter in enumerate(found.word)
            ]
            yield Completion(found.typed or found.word, -len(word), display=shown, display_meta=found.meaning)
