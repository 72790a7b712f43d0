"""The scrub of a real file: every way in which a line is lost in silence, and what is found of it."""

from __future__ import annotations

import pytest

from node.core.limits import MIB
from node.core.merkle import CHUNKS
from node.storage.port import Scrub, Scrubbed
from node.storage.tables import position_of
from tests.helpers.scrubs import scrub, settle
from tests.helpers.stores import Scribe, SqliteHandle


def test_it_finds_what_nobody_reads(scribe: Scribe, handle: SqliteHandle) -> None:
    scribe.advance(b"k", b"v")
    handle.corrupt(b"k")
    assert scrub(scribe) == (1, 1, 1)
    assert handle.store.totals().quarantined == 1


def test_a_row_that_is_gone_is_missed_by_its_leaf(scribe: Scribe, handle: SqliteHandle) -> None:
    """Its cell is lost: no read finds it, and the trees still claim it."""
    scribe.advance(b"k", b"v")
    before = settle(scribe)
    handle.execute("DELETE FROM rows WHERE key = ?", (b"k",))
    assert settle(scribe) == before
    assert scrub(scribe) == (0, 0, 1)
    assert settle(scribe) != before
    handle.reopen()
    assert settle(scribe) != before, "nor is what was saved believed"


@pytest.mark.parametrize("column", ["position", "key"])
def test_a_line_where_nobody_finds_it_is_dropped(scribe: Scribe, handle: SqliteHandle, column: str) -> None:
    scribe.advance(b"k", b"v")
    scribe.advance(b"other", b"v")
    before = settle(scribe)
    damaged: object = position_of(b"k") ^ 1 << 40 if column == "position" else b"j"
    handle.execute(f"UPDATE rows SET {column} = ? WHERE key = ?", (damaged, b"k"))
    assert handle.store.fetch(b"k") is None
    rows, found, untrue = scrub(scribe)
    assert (rows, found) == (2, 1)
    assert untrue >= 1
    assert settle(scribe) != before
    assert handle.store.totals().rows == 1
    assert handle.execute("SELECT key FROM rows") == [(b"other",)]
    assert scrub(scribe) == (1, 0, 0)


def test_a_row_that_memory_still_has_is_written_again(
    scribe: Scribe, handle: SqliteHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = scribe.advance(b"k", b"v")
    before = settle(scribe)
    with monkeypatch.context() as patch:
        patch.setattr(handle.store, "forget_recent", lambda: None)  # the damage is done behind its back
        handle.corrupt(b"k")
    assert scrub(scribe) == (1, 1, 1)
    handle.store.forget_recent()
    assert handle.store.fetch(b"k") == done.row
    assert handle.store.totals().quarantined == 0
    assert settle(scribe) == before


def test_a_page_that_cannot_be_read_is_passed_by_and_told(scribe: Scribe, handle: SqliteHandle) -> None:
    for at in range(300):
        scribe.advance(b"k%d" % at, b"v" * 100)
    handle.store.checkpoint()
    handle.abandon()
    path = handle.store.path
    data = bytearray(path.read_bytes())
    pages = [at for at in range(0, len(data), 2048) if b"v" * 90 in data[at : at + 2048]]
    data[pages[9] : pages[9] + 8] = bytes(8)
    path.write_bytes(data)
    handle.store = handle.open()
    at, why = 0, []
    while True:
        (outcome,) = handle.store.apply([Scrub(at, 1 * MIB)])
        assert isinstance(outcome, Scrubbed)
        why.append(outcome.why)
        at = outcome.leaf
        if at == 0:
            break
    assert len(why) == CHUNKS
    assert 1 <= len([line for line in why if line]) <= 30, "the chunks of that page"
    assert "malformed" in "".join(why)
