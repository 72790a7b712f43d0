"""Colours of the line being typed: the command, its options, quoted text; red while no command begins like this."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.lexers import Lexer

from dynamo_cli.catalog import catalog
from dynamo_cli.repl.parse import LEAVE, REDIS, path_of

_TOKENS = re.compile(r"\s+|'[^']*'?|\"(?:\\.|[^\"\\])*\"?|[^\s'\"]+")


class ShellLexer(Lexer):
    """Styles for prompt_toolkit, line by line. `verbs`: the names of the shell's own, as they are now."""

    def __init__(self, verbs: Callable[[], Collection[str]] = tuple) -> None:
        self._verbs = verbs

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        """Return what styles a line by its number."""
        lines, verbs = document.lines, self._verbs()
        return lambda number: styled(lines[number], verbs) if number == 0 else [("", lines[number])]


def styled(line: str, verbs: Collection[str] = ()) -> StyleAndTextTuples:
    """The line in pieces of one style each; together they are the line."""
    words = line.split()
    path = path_of([REDIS.get(words[0], words[0]), *words[1:]]) if words else ()
    begins = not words or bool(path) or words[0] in (*LEAVE, "dyn", "clear", "?") or _begins(words[0], verbs)
    pieces: StyleAndTextTuples = []
    seen = 0
    for match in _TOKENS.finditer(line):
        token = match.group()
        if token.isspace():
            pieces.append(("", token))
            continue
        seen += 1
        if seen == 1 and not begins:
            style = "ansired"
        elif seen <= max(1, len(path)):
            style = "bold"
        elif token.startswith("-"):
            style = "ansicyan"
        elif token[0] in "'\"":
            style = "ansigreen"
        else:
            style = ""
        pieces.append((style, token))
    return pieces


def _begins(word: str, verbs: Collection[str]) -> bool:
    if word.startswith("\\"):
        return any(name.startswith(word[1:]) for name in verbs)
    return any(spec.path and spec.path[0].startswith(word) for spec in catalog())
