"""Listings of deleted keys, of keys whose owners differ, of one partition, and of one node alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from node.core.ids import partition_of
from node.core.limits import TIMEOUT_MS
from node.core.row import Actor, Row
from node.core.version import advance, merge
from node.engine import listing
from node.engine.events import ScannedHere
from node.engine.listed import kept
from node.engine.replica import without_values
from node.wire.messages import REBUILDING, Scan, Scanned
from node.wire.requests import Failed, KeyPage, Keys, Result, ToldKeys
from node.wire.rows import encode_row
from tests.helpers.engine import KEY, Engine, row_of

PARTITION = partition_of(KEY, 64)
HERE = Keys(partition=PARTITION)
OLD = row_of(b"old")
NEW, _ = advance(OLD, OLD.clock, Actor(2, 1), b"new", written_at_ms=0, writer="")
DELETED, _ = advance(OLD, OLD.clock, Actor(2, 1), None, written_at_ms=40_000, writer="ada")


def items(row: Row | None) -> tuple[tuple[bytes, bytes], ...]:
    """A page with this row of KEY."""
    return () if row is None else ((KEY, encode_row(row)),)


def here(engine: Engine, row: Row | None = None, *, readable: bool = True) -> None:
    """Our own disk answers."""
    engine.step(ScannedHere(engine.out.scans.pop()[0], items(row), False, readable=readable))


def there(engine: Engine, name: str, row: Row | None = None, refused: str = "") -> None:
    """A peer answers the last question for a page."""
    rid = [m for m in engine.sent(name) if isinstance(m, Scan)][-1].rid
    page = tuple([(key, without_values(data)) for key, data in items(row)])
    engine.receive(name, Scanned(rid, page, False, refused))


def stale(engine: Engine, n2: Row | None, n3: Row | None, own: Row | None) -> Result:
    """What STALE says of one partition of which the three owners hold these rows."""
    ticket = engine.ask(Keys(stale=True, partition=PARTITION))
    here(engine, own)
    there(engine, "n2", n2)
    there(engine, "n3", n3)
    return engine.replies[ticket]


def told(result: Result) -> dict[bytes, Any]:
    """What is told of each key."""
    assert isinstance(result, ToldKeys), result
    return {key: json.loads(about) for key, about in zip(result.keys, result.told, strict=True)}


def test_stale_names_who_is_behind_and_who_has_nothing() -> None:
    assert told(stale(Engine(), OLD, None, NEW)) == {
        KEY: {"lacking": ["n3"], "behind": ["n2"], "versions": 1, "deleted": False}
    }


def test_siblings_of_which_each_has_one_leave_all_behind() -> None:
    other = row_of(b"other", epoch=3)
    about = told(stale(Engine(), other, OLD, merge(OLD, other)))[KEY]
    assert (about["behind"], about["versions"]) == (["n2", "n3"], 2)


def test_what_all_hold_is_not_stale() -> None:
    """Our own page comes with values, theirs without: that is no difference."""
    for row in (OLD, NEW, DELETED, None):
        assert told(stale(Engine(), row, row, row)) == {}


def test_a_delete_that_one_has_missed_is_stale() -> None:
    assert told(stale(Engine(), DELETED, OLD, DELETED))[KEY]["deleted"] is True


def test_stale_goes_on_without_who_is_down_and_names_it() -> None:
    engine = Engine()
    engine.down("n3")
    ticket = engine.ask(Keys(stale=True, partition=PARTITION))
    here(engine, NEW)
    there(engine, "n2", OLD)
    result = engine.replies[ticket]
    assert isinstance(result, ToldKeys)
    assert result.unheard == ("n3",)
    assert told(result)[KEY]["behind"] == ["n2"]


@pytest.mark.parametrize("how", ["refuses", "goes down"])
def test_stale_names_who_turns_out_not_to_tell(how: str) -> None:
    engine = Engine()
    ticket = engine.ask(Keys(stale=True, partition=PARTITION))
    if how == "refuses":
        here(engine, NEW)
        there(engine, "n3", refused=REBUILDING)
    else:
        engine.down("n3")
        here(engine, NEW)
    there(engine, "n2", OLD)
    result = engine.replies[ticket]
    assert isinstance(result, ToldKeys)
    assert result.unheard == ("n3",)
    assert KEY in result.keys


def test_stale_of_a_disk_that_failed_names_ourselves() -> None:
    engine = Engine()
    ticket = engine.ask(Keys(stale=True, partition=PARTITION))
    here(engine, readable=False)
    there(engine, "n2", OLD)
    there(engine, "n3", OLD)
    result = engine.replies[ticket]
    assert isinstance(result, ToldKeys)
    assert (result.keys, result.unheard) == ((), ("n1",))


def test_tombstones_are_of_deleted_keys_with_their_age() -> None:
    """Who else holds a value of it is overruled, as in a read."""
    for row, found in ((DELETED, True), (OLD, False), (None, False)):
        engine = Engine()
        engine.now = 100.0
        ticket = engine.ask(Keys(tombstones=True, partition=PARTITION))
        here(engine, row)
        there(engine, "n2", None if row is None else OLD)
        about = told(engine.replies[ticket])
        assert (KEY in about) is found
        if found:
            assert about[KEY] == {"deleted_at": "1970-01-01T00:00:40.000Z", "age_s": 60.0, "writer": "ada"}


def test_one_partition_begins_and_ends_there() -> None:
    engine = Engine()
    ticket = engine.ask(HERE)
    assert engine.out.scans[-1][1] == PARTITION
    here(engine, OLD)
    there(engine, "n2", OLD)
    assert engine.replies[ticket] == KeyPage(b"0", (KEY,))


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Keys(partition=64), "PARTITION must be 0 to 63"),
        (Keys(cursor=str(2**63).encode(), partition=5), "the cursor is of partition 32, not 5"),
    ],
)
def test_a_partition_that_is_none_or_another(request_: Keys, words: str) -> None:
    engine = Engine()
    ticket = engine.ask(request_)
    result = engine.replies[ticket]
    assert isinstance(result, Failed)
    assert words in result.text


def test_local_asks_nobody_and_needs_no_quorum() -> None:
    """Also of partitions that it does not own, and with all others down."""
    engine = Engine(5)
    for name in ("n2", "n3", "n4", "n5"):
        engine.down(name)
    key = engine.key_owned_by_others()
    ticket = engine.ask(Keys(local=True, partition=partition_of(key, 64)))
    engine.step(ScannedHere(engine.out.scans.pop()[0], ((key, encode_row(OLD)),), False))
    assert engine.replies[ticket] == KeyPage(b"0", (key,))
    assert not [m for name in ("n2", "n3") for m in engine.sent(name) if isinstance(m, Scan)]


def test_a_call_looks_at_so_many_pages_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """However little it finds: the cursor says where the next one goes on."""
    monkeypatch.setattr(listing, "SCAN_PARTITIONS_MAX", 5)
    engine = Engine()
    ticket = engine.ask(Keys(local=True))
    for _ in range(5):
        assert ticket not in engine.replies
        here(engine)
    assert engine.replies[ticket] == KeyPage(str(5 * 2**64 // 64).encode(), ())


def test_what_was_looked_at_by_the_deadline_is_a_page() -> None:
    """A large cluster in which nothing is found must still get on, call by call."""
    engine = Engine()
    ticket = engine.ask(Keys(local=True))
    for _ in range(7):
        here(engine)
    engine.wait(TIMEOUT_MS / 1000 + 0.1)
    assert engine.replies[ticket] == KeyPage(str(7 * 2**64 // 64).encode(), ())


def test_which_keys_are_kept() -> None:
    """Those with a value; with two; or, asked for the deleted ones, those that have none any more."""
    two = row_of(b"one", b"other")
    for request, wanted in ((Keys(), [True, True, False]), (Keys(siblings=True), [False, True, False]),
                            (Keys(tombstones=True), [False, False, True])):  # fmt: skip
        assert [kept(request, row) for row in (OLD, two, DELETED)] == wanted
    assert not kept(Keys(tombstones=True), Row(OLD.clock, ())), "nothing is left of it, not even a tombstone"
