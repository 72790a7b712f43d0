"""`dyn explain`: the concepts of the store, each on a page, with the numbers of the cluster at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli import store
from dynamo_cli.arguments import text
from dynamo_cli.asking import survey
from dynamo_cli.call import Call, Document, View
from dynamo_cli.concepts.facts import Facts, facts_of
from dynamo_cli.concepts.pages import PAGES, close_to, meant
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.render.explain import concept_rows, concepts_rows

if TYPE_CHECKING:
    from rich.console import RenderableType

WAIT_S = 1.0
"""A page does not wait long for a node that does not answer: it is there to be read."""


@command(
    "explain",
    panel="Start here",
    examples=[
        ("dyn explain", "all terms"),
        ("dyn explain quorum", "what it is, and what R and W of this cluster promise"),
        ("dyn explain hinted handoff", "other words for a term are known, too"),
    ],
    exits=[3],
    see=["help", "key explain", "doctor"],
    completes={"words": " ".join(name.replace(" ", "-") for name in PAGES)},
)
def explain(
    call: Call,
    words: Annotated[list[str] | None, typer.Argument(metavar="[TERM]", parser=text, help="A concept.")] = None,
) -> ExitStatus:
    """Explain a concept of the store, with the numbers of this cluster, and what to type to see it.

    It works without a cluster, too.
    """
    if not words:
        terms = [{"term": name, "title": page.title, "also": list(page.also)} for name, page in PAGES.items()]
        document: Document = {"schema": "dyn.terms/v1", "terms": terms}
        call.emit(document, View(_list_screen, concepts_rows, lambda d: list(d["terms"])))
        return ExitStatus.OK
    term = meant(" ".join(words))
    if term is None:
        raise _no_term(" ".join(words))
    facts, why = _facts(call)
    call.emit(page_document(term, facts, why), View(_screen, concept_rows))
    return ExitStatus.OK


def page_document(term: str, facts: Facts | None, why: str) -> Document:
    """The dyn.term/v1 document of a page; without facts, `why` there are none."""
    page = PAGES[term]
    return {
        "schema": "dyn.term/v1",
        "term": term,
        "title": page.title,
        "text": page.text.split("\n\n"),
        "here": None if facts is None else page.here(facts),
        "why_not_here": why or None,
        "try": list(page.steps),
        "see": list(page.see),
    }


def _facts(call: Call) -> tuple[Facts | None, str]:
    """The numbers of the cluster, or why there are none."""
    call.options = call.options._replace(timeout_s=min(call.options.timeout_s, WAIT_S))
    try:
        ring, status = store.document(call.client, "RING"), survey(call.client, "STATUS")
    except CliError as error:
        return None, error.message
    facts = facts_of(ring, status)
    return facts, "" if facts is not None else "its nodes do not tell N, R, W and members"


def _no_term(words: str) -> CliError:
    close = close_to(words)
    did = f". Did you mean {' or '.join(close[:2])}?" if close else ""
    return CliError(ExitStatus.NOT_FOUND, f"no page on {words!r}{did}", "All terms: dyn explain")


def _screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.explain import concept_screen

    return concept_screen(document)


def _list_screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.explain import concepts_screen

    return concepts_screen(document)
