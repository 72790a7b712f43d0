"""Reading all rows again: what is damaged is set aside, what is lost is missed, and what is whole is left alone."""

from __future__ import annotations

from node.core.merkle import CHUNK_LEAVES
from node.storage.port import Scrub, Scrubbed, Unreadable
from tests.helpers.scrubs import leaf, scrub, settle
from tests.helpers.stores import Scribe


def test_whole_rows_are_counted_and_left_alone(scribe: Scribe) -> None:
    for at in range(200):
        scribe.advance(b"k%d" % at, b"v")
    scribe.advance(b"k7", None, cover=True)
    before, totals = settle(scribe), scribe.handle.store.totals()
    assert scrub(scribe) == (200, 0, 0)
    assert settle(scribe) == before
    assert scribe.handle.store.totals() == totals


def test_an_empty_store_has_nothing_to_scrub(scribe: Scribe) -> None:
    assert scrub(scribe) == (0, 0, 0)


def test_a_slice_ends_with_a_leaf_when_it_has_its_rows(scribe: Scribe) -> None:
    one_chunk = [key for key in (b"k%d" % at for at in range(6000)) if leaf(key) < CHUNK_LEAVES][:20]
    for key in one_chunk:
        scribe.advance(key, b"v")
    leaves = sorted(leaf(key) for key in one_chunk)
    (outcome,) = scribe.apply(Scrub(0, 5))
    assert isinstance(outcome, Scrubbed)
    assert outcome.rows >= 5
    assert outcome.leaf == leaves[outcome.rows], "the next one begins where this one stopped"
    (rest,) = scribe.apply(Scrub(outcome.leaf, 1000))
    assert rest == Scrubbed(CHUNK_LEAVES, 20 - outcome.rows, 0, 0, "")


def test_what_is_damaged_is_set_aside_and_its_leaf_counted_again(scribe: Scribe) -> None:
    for at in range(50):
        scribe.advance(b"k%d" % at, b"v")
    before = settle(scribe)
    scribe.handle.corrupt(b"k3")
    scrub(scribe)
    assert settle(scribe) != before, "the other owners see that something is missing"
    assert scribe.handle.store.totals().quarantined == 1
    assert isinstance(scribe.handle.store.fetch(b"k3"), Unreadable)
    assert scrub(scribe) == (49, 0, 0)
