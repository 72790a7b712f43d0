"""The screens and the rows of `dyn explain`: the list of terms, and a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamo_cli.render.plain import show
from dynamo_cli.render.rows import Rows

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

Document = Mapping[str, Any]

COLUMNS = 80
"""A page is read, so its lines are no longer than this, however wide the terminal is."""


def concepts_rows(document: Document) -> Rows:
    """A dyn.terms/v1 document: a row a term."""
    names = ("term", "title", "also")
    return names, [(each["term"], each["title"], ",".join(each["also"])) for each in document["terms"]]


def concept_rows(document: Document) -> Rows:
    """A dyn.term/v1 document: a row a paragraph, and then a row a command to try."""
    rows: list[tuple[str, ...]] = [("text", show(paragraph)) for paragraph in document["text"]]
    if document["here"]:
        rows.append(("here", show(document["here"])))
    return ("part", "text"), [*rows, *(("try", line) for line in document["try"]), ("see", ",".join(document["see"]))]


def concepts_screen(document: Document) -> RenderableType:
    """A dyn.terms/v1 document."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for each in document["terms"]:
        table.add_row(Text(each["term"], style="label"), Text(each["title"]))
    return Group(table, Text(), Text("A page: dyn explain TERM"))


def concept_screen(document: Document) -> RenderableType:
    """A dyn.term/v1 document, made for 80 columns."""
    from rich.console import Group
    from rich.text import Text

    lines: list[RenderableType] = [
        Text.assemble((document["term"].upper(), "label"), ("   ", ""), (document["title"], "quiet"))
    ]
    for paragraph in document["text"]:
        lines += [Text(), *_wrapped(paragraph)]
    lines += [Text(), Text("HERE", style="heading")]
    if document["here"]:
        lines += _wrapped(show(document["here"]))
    else:
        lines += _wrapped(
            f"No numbers: {show(document['why_not_here'] or '')}. With a cluster at hand this tells of it."
        )
    lines += [Text(), Text("TRY", style="heading"), *(Text(f"  {line}", style="command") for line in document["try"])]
    see = _wrapped(f"See also  dyn explain {' | '.join(term.replace(' ', '-') for term in document['see'])}")
    return Group(*lines, Text(), *see)


def _wrapped(words: str) -> list[Text]:
    from textwrap import wrap

    from rich.text import Text

    return [Text(line) for line in wrap(words, COLUMNS, break_long_words=True, break_on_hyphens=False)]
