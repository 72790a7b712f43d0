"""Colours of the line being typed: the command, its options, quoted text, what the system's shell gets.

Red is what no command begins like. Yellow is a command that may change something.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence

from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.formatted_text.utils import split_lines
from prompt_toolkit.lexers import Lexer

from dynamo_cli.catalog import catalog, find
from dynamo_cli.repl.parse import LEAVE, REDIS, located
from dynamo_cli.repl.words import commands_in, spans, split_pipe

UNKNOWN, COMMAND, CHANGES, OPTION, QUOTED, PIPE = (
    "ansired",
    "bold",
    "bold ansiyellow",
    "ansicyan",
    "ansigreen",
    "ansimagenta",
)
COMMENT = "class:quiet"
TEXT_MAX = 10_000
"""Of a longer command only the value is being typed, and colours would cost more than they tell."""
WORDS_MAX = 12
"""A command stands within so many words, with the options before and within it."""
OURS = (*LEAVE, "dyn", "clear", "?")
"""Words that are no commands, and mean something."""


class ShellLexer(Lexer):
    """Styles for prompt_toolkit. `known`: the words of the shell's own verbs, with their backslash, and aliases."""

    def __init__(self, known: Callable[[], Collection[str]] = tuple) -> None:
        self._known = known

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        """Return what styles a line by its number."""
        known = self._known()
        pieces = [piece for command in commands_in(document.text) for piece in styled(command, known)]
        lines = list(split_lines(pieces))
        return lambda number: list(lines[number]) if number < len(lines) else []


def styled(line: str, known: Collection[str] = ()) -> StyleAndTextTuples:
    """The line in pieces of one style each; together they are the line."""
    if len(line) > TEXT_MAX:
        return [("", line)]
    text, command = split_pipe(line)
    parts = list(spans(text))
    words = [part for kind, part in parts if kind == "word"]
    leading = _leading(words, known)
    styles = iter([*leading, *(_argument(word) for word in words[len(leading) :])])
    found: StyleAndTextTuples = []
    for kind, part in parts:
        style = next(styles) if kind == "word" else COMMENT if kind == "comment" else ""
        found += json_pieces(part) if style == QUOTED else [(style, part)]
    return [*found, (PIPE, line[len(text) :])] if command is not None else found


def _leading(words: Sequence[str], known: Collection[str]) -> list[str]:
    """The styles of the words that name the command."""
    if not words:
        return []
    words = [REDIS.get(words[0], words[0]), *words[1:WORDS_MAX]]
    path, end = located(words)
    if not path:
        first = words[0]
        return [COMMAND if first in OURS or _begins(first, known) else UNKNOWN]
    spec = find(path)
    assert spec is not None, "located finds what is there"
    styles = [_argument(word) if word.startswith("-") else CHANGES if spec.danger else COMMAND for word in words[:end]]
    if not spec.runs and end < len(words) and not words[end].startswith("-"):
        begins = any(name.startswith(words[end]) for name in spec.subcommands)
        styles.append(COMMAND if begins else UNKNOWN)
    return styles


def _argument(word: str) -> str:
    return OPTION if word.startswith("-") else QUOTED if word[0] in "'\"" else ""


def _begins(word: str, known: Collection[str]) -> bool:
    if word.startswith("-") or any(name.startswith(word) for name in known):
        return True
    return any(spec.path and spec.path[0].startswith(word) for spec in catalog())


# JSON within quotes -------------------------------------------------------------------------------------


def json_pieces(word: str) -> StyleAndTextTuples:
    """A quoted word in pieces of one style each, as JSON if it begins like an object or a list, finished or not."""
    quote = word[0]
    if word[1:].lstrip()[:1] not in ("{", "["):
        return [(QUOTED, word)]
    tokens = _JSON['\\"' if quote == '"' else '"']
    found: StyleAndTextTuples = [(QUOTED, quote)]
    at = 1
    while at < len(word):
        token = tokens.match(word, at)
        assert token is not None, "any character matches"
        found.append((JSON_STYLES.get(token.lastgroup or "", QUOTED), token[0]))
        at = token.end()
    return found


def _json_tokens(quote: str) -> re.Pattern[str]:
    """The tokens of JSON whose strings stand in such quotes; what is none is one character."""
    end = re.escape(quote)
    text = rf"{end}(?:(?!{end}).)*(?:{end}|$)" if quote != '"' else r'"(?:\\.|[^"\\])*(?:"|$)'
    return re.compile(
        rf"(?P<name>{text}(?=\s*:))|(?P<text>{text})"
        rf"|(?P<figure>-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|\b(?:true|false|null)\b)|(?P<mark>[][{{}},:])|(?P<blank>\s+)|(?P<other>.)",
        re.DOTALL,
    )


_JSON = {quote: _json_tokens(quote) for quote in ('"', '\\"')}
JSON_STYLES = {"name": "ansiblue", "text": QUOTED, "figure": "ansiyellow", "mark": "bold", "blank": "",
               "other": QUOTED}  # fmt: skip
