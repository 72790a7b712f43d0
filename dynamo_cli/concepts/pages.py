"""All concept pages, and the page that a word means."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from dynamo_cli.concepts import failure, placement, versions
from dynamo_cli.concepts.facts import Page

PAGES: Mapping[str, Page] = {**versions.PAGES, **placement.PAGES, **failure.PAGES}
"""By their terms, in the order in which they are listed."""

MEANT: Mapping[str, str] = {name: name for name in PAGES} | {
    other: name for name, page in PAGES.items() for other in page.also
}
"""Which page a word means: terms, and the other words for them."""


def meant(words: str) -> str | None:
    """The term of the page that these words mean, in any case, with spaces, dashes or underscores; None for no page."""
    plain = " ".join(words.lower().replace("_", " ").replace("-", " ").split())
    return _MEANT.get(plain) or _MEANT.get(plain.removesuffix("s"))


def close_to(words: str) -> list[str]:
    """Terms that look like these words, the likeliest first."""
    plain = " ".join(words.lower().replace("_", " ").replace("-", " ").split())
    return list(dict.fromkeys(_MEANT[found] for found in get_close_matches(plain, _MEANT, n=3)))


_MEANT = {name.replace("-", " "): term for name, term in MEANT.items()}
