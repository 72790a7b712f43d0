"""Colours of the line being typed: the command, its options, quoted text, what the system's shell gets.

Red is what no command begins like. Yellow is a command that may change something.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.formatted_text.utils import split_lines
from prompt_toolkit.lexers import Lexer

from dynamo_cli.catalog import catalog, find
from dynamo_cli.repl.parse import LEAVE, REDIS, TOKENS, commands_in, located, split_pipe

UNKNOWN, COMMAND, CHANGES, OPTION, QUOTED, PIPE = (
    "ansired",
    "bold",
    "bold ansiyellow",
    "ansicyan",
    "ansigreen",
    "ansimagenta",
)
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
    text, command = split_pipe(line)
    pieces: StyleAndTextTuples = []
    words: list[str] = []
    for match in TOKENS.finditer(text):
        token = match.group()
        if token.isspace():
            pieces.append(("", token))
            continue
        words.append(token)
        pieces.append((_style(words, known), token))
    return [*pieces, (PIPE, line[len(text) :])] if command is not None else pieces


def _style(words: Sequence[str], known: Collection[str]) -> str:
    """The style of the last of the words."""
    words = [REDIS.get(words[0], words[0]), *words[1:]]
    word = words[-1]
    path, end = located(words)
    spec = find(path)
    if end == len(words) and path:
        return CHANGES if spec is not None and spec.danger else COMMAND
    if word.startswith("-") and len(words) > 1:
        return OPTION
    if word[0] in "'\"":
        return QUOTED
    if len(words) == 1:
        return COMMAND if word in OURS or _begins(word, known) else UNKNOWN
    if path and spec is not None and not spec.runs and end == len(words) - 1:
        return COMMAND if any(name.startswith(word) for name in spec.subcommands) else UNKNOWN
    return ""


def _begins(word: str, known: Collection[str]) -> bool:
    if word.startswith("-") or any(name.startswith(word) for name in known):
        return True
    return any(spec.path and spec.path[0].startswith(word) for spec in catalog())
