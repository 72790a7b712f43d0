"""The serving side: an ack says whether the row is durable, and what is held here beyond it."""

from __future__ import annotations

import pytest

from node.core.limits import SCAN_LIMIT_MAX
from node.core.version import merge
from node.engine import replica
from node.engine.events import ScannedHere
from node.storage.port import Merged, Refusal, Refused
from node.wire.messages import BUSY, UNREADABLE, Fetch, Fetched, Replicate, Replicated, Scan, Scanned
from node.wire.requests import Failed, Keys
from node.wire.rows import decode_row, encode_row
from tests.helpers.engine import EPOCH, KEY, Engine, row_of


def test_an_ack_tells_what_is_held_beyond_the_row() -> None:
    """The coordinator of a SET covers it before it answers: kept back, SETs one after another would conflict."""
    engine = Engine()
    sent, held = row_of(b"new", epoch=1), row_of(b"old", epoch=2)
    both = encode_row(merge(sent, held))
    engine.receive("n2", Replicate(5, EPOCH, KEY, encode_row(sent)))
    engine.persisted(Merged(both, True))
    assert engine.sent("n2") == [Replicated(5, True, both, "")]


@pytest.mark.parametrize("durable", [True, False])
def test_an_ack_says_durable_only_where_it_is(durable: bool) -> None:
    """Below `full` durability the receipt must not promise an fsync."""
    engine = Engine()
    engine.node.shared.durable = durable
    row = encode_row(row_of(b"v"))
    engine.receive("n2", Replicate(5, EPOCH, KEY, row))
    engine.persisted(Merged(row, False))
    assert engine.sent("n2") == [Replicated(5, durable, None, "")]


def test_a_refusal_of_the_store_is_told() -> None:
    """Nothing was stored, and why."""
    engine = Engine()
    engine.receive("n2", Replicate(5, EPOCH, KEY, encode_row(row_of(b"v"))))
    engine.persisted(Refused(Refusal.DISK_FULL, "full"))
    assert engine.sent("n2") == [Replicated(5, False, None, Refusal.DISK_FULL.value)]


def test_an_unreadable_row_is_refused_and_an_absent_one_is_not() -> None:
    """Absence is evidence; a row that cannot be read is none."""
    engine = Engine()
    engine.receive("n2", Fetch(5, EPOCH, KEY))
    engine.load(None)
    engine.receive("n2", Fetch(6, EPOCH, KEY))
    engine.load(None, readable=False)
    assert engine.sent("n2") == [Fetched(5, None, ""), Fetched(6, None, "row unreadable")]


def test_a_page_is_bounded_and_carries_no_values() -> None:
    """However much is asked for; a partition that is none is refused."""
    engine = Engine()
    engine.receive("n2", Scan(5, EPOCH, 0, b"", 10**9))
    ticket, _, _, _, limit = engine.out.scans.pop()
    assert limit == SCAN_LIMIT_MAX
    engine.step(ScannedHere(ticket, ((KEY, encode_row(row_of(b"secret"))),), False))
    engine.receive("n2", Scan(6, EPOCH, 10**6, b"", 10))
    page, refused = engine.sent("n2")
    assert isinstance(page, Scanned)
    assert [version.value for version in decode_row(page.items[0][1]).live] == [b""]
    assert isinstance(refused, Scanned)
    assert refused.refused == "no such partition"


def test_a_page_of_a_disk_that_failed_is_none() -> None:
    """It is empty, and says nothing: neither to a peer nor to our own client is it the end of the keys."""
    engine = Engine()
    engine.receive("n2", Scan(5, EPOCH, 0, b"", 10))
    ticket = engine.out.scans.pop()[0]
    engine.step(ScannedHere(ticket, (), False, readable=False))
    assert engine.sent("n2") == [Scanned(5, (), False, UNREADABLE)]
    asked = engine.ask(Keys())
    ticket = engine.out.scans.pop()[0]
    engine.step(ScannedHere(ticket, (), False, readable=False))
    result = engine.replies[asked]
    assert isinstance(result, Failed)
    assert result.code == "UNAVAILABLE"


def test_a_disk_that_hangs_keeps_no_more_than_so_many_rows_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica, "OPERATIONS_MAX", 3)
    engine = Engine()
    for rid in range(5):
        engine.receive("n2", Replicate(rid, EPOCH, KEY, encode_row(row_of(b"v"))))
    assert engine.sent("n2") == [Replicated(3, False, None, BUSY), Replicated(4, False, None, BUSY)]
