"""Reads under coordination: R owners, merged; silence is not waited for; absence needs evidence."""

from __future__ import annotations

from node.core.cluster import Quorums
from node.core.limits import PATIENCE_MS_FIRST, TIMEOUT_MS
from node.core.row import EMPTY, Actor
from node.core.version import advance, merge
from node.storage.port import Merge
from node.wire.messages import UNREADABLE, Fetch, Fetched, Replicate, Replicated
from node.wire.requests import Failed, Found, Get
from node.wire.rows import encode_row
from tests.helpers.engine import EPOCH, KEY, Engine, node_id, row_of


def fetches(engine: Engine, name: str) -> list[Fetch]:
    """The Fetches a peer got."""
    return [m for m in engine.sent(name) if isinstance(m, Fetch)]


def asked_first(engine: Engine) -> tuple[str, str]:
    """Which peer was asked at once, and which was spared."""
    return ("n2", "n3") if fetches(engine, "n2") else ("n3", "n2")


def found(engine: Engine, ticket: int) -> list[bytes | None]:
    """The values the client got."""
    result = engine.replies[ticket]
    assert isinstance(result, Found), result
    return [version.value for version in result.row.live]


def answer(engine: Engine, name: str, row: object = None, refused: str = "") -> None:
    """`name` answers its last Fetch with a row."""
    data = encode_row(row) if row is not None else None  # type: ignore[arg-type]  # tests pass rows
    engine.receive(name, Fetched(fetches(engine, name)[-1].rid, data, refused))


def test_r_owners_are_asked_and_merged() -> None:
    """Ourselves and one other, for R=2; their rows merge."""
    engine = Engine()
    ticket = engine.ask(Get(KEY))
    first, spared = asked_first(engine)
    assert not fetches(engine, spared)
    engine.load(row_of(b"a", epoch=1))
    assert ticket not in engine.replies
    answer(engine, first, row_of(b"b", epoch=2))
    assert sorted(found(engine, ticket)) == [b"a", b"b"]


def test_absent_needs_r_answers() -> None:
    """One "not found" of two needed proves nothing."""
    engine = Engine()
    ticket = engine.ask(Get(KEY))
    engine.load(None)
    assert ticket not in engine.replies
    answer(engine, asked_first(engine)[0])
    result = engine.replies[ticket]
    assert isinstance(result, Found)
    assert result == Found(EMPTY, b"")


def test_silence_is_hedged() -> None:
    """After PATIENCE_MS_FIRST the spared owner is asked too, and its answer counts."""
    engine = Engine()
    ticket = engine.ask(Get(KEY))
    engine.load(None)
    _, spared = asked_first(engine)
    engine.wait(PATIENCE_MS_FIRST / 1000 + 0.02)
    answer(engine, spared, row_of(b"v"))
    assert found(engine, ticket) == [b"v"]


def test_a_refusal_asks_the_next() -> None:
    """Who cannot say is no evidence; somebody else is."""
    engine = Engine()
    ticket = engine.ask(Get(KEY))
    engine.load(None)
    first, spared = asked_first(engine)
    answer(engine, first, refused="row unreadable")
    answer(engine, spared, row_of(b"v"))
    assert found(engine, ticket) == [b"v"]


def test_an_unreadable_row_is_neither_value_nor_absence() -> None:
    """Our own quarantined row does not count; two others do."""
    engine = Engine()
    ticket = engine.ask(Get(KEY))
    engine.load(None, readable=False)
    answer(engine, "n2", row_of(b"v"))
    assert ticket not in engine.replies
    answer(engine, "n3", row_of(b"v"))
    assert found(engine, ticket) == [b"v"]
    assert [w.row for _, w in engine.out.persists if isinstance(w, Merge)] == [encode_row(row_of(b"v"))], "healed"


def test_a_row_that_a_peer_cannot_read_is_healed() -> None:
    """By what the others hold, after the answer; where nothing is known there is nothing to heal with."""
    for row in (row_of(b"v"), None):
        engine = Engine()
        ticket = engine.ask(Get(KEY))
        engine.load(row)
        (first,) = [name for name in ("n2", "n3") if engine.sent(name)]
        answer(engine, first, refused=UNREADABLE)
        answer(engine, "n3" if first == "n2" else "n2", row)
        assert ticket in engine.replies
        sent = [m.row for m in engine.sent(first) if isinstance(m, Replicate)]
        assert sent == ([] if row is None else [encode_row(row)])


def test_too_few_owners_is_unavailable() -> None:
    """At once, with who is missing."""
    engine = Engine()
    engine.down("n2")
    engine.down("n3")
    ticket = engine.ask(Get(KEY))
    assert engine.replies[ticket] == Failed("UNAVAILABLE", "heard 0 of 2, n1 timed out, n2 down, n3 down")


def test_an_owner_that_goes_down_is_replaced() -> None:
    """A broken link is an answer: ask the next one."""
    engine = Engine()
    ticket = engine.ask(Get(KEY))
    engine.load(None)
    first, spared = asked_first(engine)
    engine.down(first)
    answer(engine, spared, row_of(b"v"))
    assert found(engine, ticket) == [b"v"]


def test_the_deadline_ends_it() -> None:
    """In time, with the numbers."""
    engine = Engine()
    ticket = engine.ask(Get(KEY, timeout_ms=500))
    engine.load(None)
    engine.wait(0.52)
    assert engine.replies[ticket] == Failed("UNAVAILABLE", "heard 1 of 2 (n1), n2 timed out, n3 timed out")


def test_a_malformed_row_is_no_evidence() -> None:
    """It neither counts nor breaks the read."""
    engine = Engine()
    ticket = engine.ask(Get(KEY))
    engine.load(row_of(b"v"))
    first, spared = asked_first(engine)
    engine.receive(first, Fetched(fetches(engine, first)[-1].rid, b"\x93\x01", ""))
    assert ticket not in engine.replies
    answer(engine, spared, row_of(b"v"))
    assert found(engine, ticket) == [b"v"]


def test_only_owners_count() -> None:
    """A row from a node that is no owner is no evidence."""
    engine = Engine(nodes=5)
    key = next(k for k in (b"key%d" % i for i in range(1000)) if engine.owners(k)[0] == node_id("n1"))
    stranger = next(name for name in ("n2", "n3", "n4", "n5") if node_id(name) not in engine.owners(key))
    ticket = engine.ask(Get(key))
    rid = engine.out.loads[-1][0]
    engine.load(row_of(b"v"))
    engine.receive(stranger, Fetched(rid, None, ""))
    assert ticket not in engine.replies


def test_r_out_of_range() -> None:
    """R counts against the configured N."""
    engine = Engine()
    for r in (0, 4):
        ticket = engine.ask(Get(KEY, r=r))
        assert engine.replies[ticket] == Failed("ERR", "R must be 1 to 3, the cluster's N")


def test_a_node_that_is_no_owner_reads_for_others() -> None:
    """Any node takes any request."""
    engine = Engine(nodes=5)
    key = engine.key_owned_by_others()
    ticket = engine.ask(Get(key))
    assert not engine.out.loads
    asked = [name for name in ("n2", "n3", "n4", "n5") if fetches(engine, name)]
    assert len(asked) == 2
    for name in asked:
        answer(engine, name, row_of(b"v"))
    assert found(engine, ticket) == [b"v"]


def test_strict_read_answers_once_the_merge_is_durable() -> None:
    """Owners differ: N−R+1 of them hold the merged row before the client hears of it (monotonic reads)."""
    engine = Engine()
    ticket = engine.ask(Get(KEY, strict=True))
    first, _ = asked_first(engine)
    old = row_of(b"old")
    new, _dot = advance(old, old.clock, Actor(2, 1), b"new", written_at_ms=0, writer="")
    engine.load(old)
    answer(engine, first, new)
    assert ticket not in engine.replies, "told before it was durable on two owners"
    persist = engine.take_persist()
    assert persist[1] == Merge(KEY, encode_row(new), EPOCH, until=engine.now + TIMEOUT_MS / 1000)
    replicate = [m for m in engine.sent("n3" if first == "n2" else "n2") if isinstance(m, Replicate)]
    assert [m.row for m in replicate] == [encode_row(merge(old, new))]
    engine.receive("n3" if first == "n2" else "n2", Replicated(replicate[0].rid, True, None, ""))
    assert found(engine, ticket) == [b"new"]


def test_strict_read_of_equal_rows_writes_nothing() -> None:
    """Nothing to repair, nothing to wait for."""
    engine = Engine()
    ticket = engine.ask(Get(KEY, strict=True))
    engine.load(row_of(b"v"))
    answer(engine, asked_first(engine)[0], row_of(b"v"))
    assert found(engine, ticket) == [b"v"]
    assert not engine.out.persists


def test_strict_read_that_cannot_repair_is_unavailable() -> None:
    """It must not tell what a later STRICT read might miss."""
    engine = Engine(quorums=Quorums(3, 2, 2))
    ticket = engine.ask(Get(KEY, strict=True))
    first, spared = asked_first(engine)
    old = row_of(b"old")
    new, _dot = advance(old, old.clock, Actor(2, 1), b"new", written_at_ms=0, writer="")
    engine.load(new)
    answer(engine, first, old)
    replicate = [m for m in engine.sent(first) if isinstance(m, Replicate)][-1]
    engine.receive(first, Replicated(replicate.rid, False, None, "disk full"))
    engine.down(spared)
    result = engine.replies[ticket]
    assert isinstance(result, Failed)
    assert result.code == "UNAVAILABLE"
    assert "owners differ, and repaired 1 of 2 (n1)" in result.text
