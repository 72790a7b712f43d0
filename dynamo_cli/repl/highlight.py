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
    """Styles for prompt_toolkit, line by line. `extra`: the shell's words beside the commands."""

    def __init__(self, extra: Collection[str] = ()) -> None:
        self._extra = extra

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        """Return what styles a line by its number."""
        lines = document.lines
        return lambda number: styled(lines[number], self._extra) if number == 0 else [("", lines[number])]


def styled(line: str, extra: Collection[str] = ()) -> StyleAndTextTuples:
    """The line in pieces of one style each; together they are the line."""
    words = line.split()
    path = path_of([REDIS.get(words[0], words[0]), *words[1:]]) if words else ()
    begins = not words or bool(path) or words[0] in (*LEAVE, "dyn", "clear", "?") or _begins(words[0], extra)
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


def _begins(word: str, extra: Collection[str]) -> bool:
    return any(spec.path and spec.path[0].startswith(word) for spec in catalog()) or any(
        name.startswith(word) for name in extra
    )
