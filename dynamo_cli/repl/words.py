"""A line as a POSIX shell would read it: its words, its comments, its pipe, and where one command ends.

One scan, linear in the text, so that a value of many lines can be pasted and typed on. (`shlex` takes a # within a word
for a comment, and would read `del user#1` as a delete of `user`.)
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import NamedTuple

_PIECE = re.compile(
    r"""(?P<blank>\s+)
    |'(?P<single>[^']*)'
    |"(?P<double>(?:\\.|[^"\\])*)"
    |\\(?P<escaped>.)
    |(?P<plain>[^\s'"\\]+)""",
    re.DOTALL | re.VERBOSE,
)
_ESCAPE_IN_DOUBLE = re.compile(r'\\(["\\])')
_LINE = re.compile(r"[^\n]*")


class Piece(NamedTuple):
    """A part of a text: `kind` is a group of _PIECE, `comment`, or `open` for a quote that is never closed."""

    kind: str
    start: int
    end: int


def pieces(text: str) -> Iterator[Piece]:
    """The pieces of a text, in their order; together they are the text. After an `open` one nothing comes."""
    at, begins = 0, True
    while at < len(text):
        if begins and text[at] == "#":
            found = _LINE.match(text, at)
            assert found is not None, "any line matches"
            yield Piece("comment", at, found.end())
        else:
            found = _PIECE.match(text, at)
            if found is None:
                yield Piece("open", at, len(text))
                return
            assert found.lastgroup is not None, "each alternative has a name"
            yield Piece(found.lastgroup, at, found.end())
        begins = found.lastgroup == "blank"
        at = found.end()


def spans(text: str) -> Iterator[tuple[str, str]]:
    """The text in blanks, comments and words as they stand there: `blank`, `comment` or `word`, and the part."""
    begun = end = 0
    for kind, start, end in pieces(text):
        if kind not in ("blank", "comment"):
            continue
        if start > begun:
            yield "word", text[begun:start]
        yield kind, text[start:end]
        begun = end
    if begun < len(text):
        yield "word", text[begun:]


def split(text: str) -> list[str]:
    """The words. Raises ValueError for what is open."""
    words: list[str] = []
    within = False
    for kind, start, end in pieces(text):
        if kind == "open":
            raise ValueError("no escaped character" if text[start] == "\\" else "no closing quotation")
        if kind in ("blank", "comment"):
            within = False
            continue
        part = text[start:end]
        if kind in ("single", "double"):
            part = part[1:-1]
            part = _ESCAPE_IN_DOUBLE.sub(r"\1", part) if kind == "double" else part
        elif kind == "escaped":
            part = part[1:].replace("\n", "")  # a line that goes on
            if not part:
                continue
        if within:
            words[-1] += part
        else:
            words.append(part)
        within = True
    return words


@functools.lru_cache(maxsize=8)
def is_open(text: str) -> bool:
    """Whether a text ends within quotes or after a backslash, so that the next line belongs to it."""
    if text.strip() == "\\":  # the beginning of a verb
        return False
    return any(piece.kind == "open" for piece in pieces(text))


def commands_in(text: str) -> list[str]:
    """The commands in a text of several lines, each with its line end; together they are the text."""
    commands, begun = [], 0
    for kind, start, end in pieces(text):
        if kind != "blank":
            continue
        at = text.find("\n", start, end)
        while at >= 0:
            commands.append(text[begun : at + 1])
            begun = at + 1
            at = text.find("\n", begun, end)
    return [*commands, text[begun:]] if begun < len(text) else commands


def split_pipe(text: str) -> tuple[str, str | None]:
    """A text, and the command of the system's shell that it is piped into: what follows ` | ` outside quotes."""
    before = ""
    for kind, start, end in pieces(text):
        alone = kind == "plain" and end - start == 1 and text[start] == "|" and before == "blank"
        if alone and not text[end : end + 1].strip():
            return text[:start].rstrip(), text[end:].strip()
        before = kind
    return text, None
