"""Requests while a partition moves: each ring must have its quorum, and a ring that changes meanwhile harms none."""

from __future__ import annotations

import pytest

from node.core import change
from node.core.cluster import Change
from node.core.limits_change import EPOCH_AGAIN_S
from node.core.row import EMPTY
from node.engine.patience import Patience
from node.storage.port import Refusal
from node.wire.messages import Fetch, Fetched, Forward, Forwarded, Ping, Pong, Replicate, Replicated
from node.wire.requests import Failed, Found, Get, Put, Written
from node.wire.rows import encode_row
from tests.helpers.engine import EPOCH, Engine, node_id, row_of
from tests.helpers.moving import JOINED, MOVES, MOVING, SETTLED, moved_key, moving_engine, settled_engine, tell


def replicates(engine: Engine, name: str) -> list[Replicate]:
    return [message for message in engine.sent(name) if isinstance(message, Replicate)]


def fetches(engine: Engine, name: str) -> list[Fetch]:
    return [message for message in engine.sent(name) if isinstance(message, Fetch)]


def ack(engine: Engine, name: str) -> None:
    """Acknowledge the last row that was sent there."""
    engine.receive(name, Replicated(replicates(engine, name)[-1].rid, True, None, ""))


def test_a_write_needs_its_quorum_in_the_old_ring_and_in_the_new() -> None:
    engine = moving_engine()
    key = moved_key(engine.node.cluster, loses="n3")
    ticket = engine.ask(Put(key, b"v"))
    engine.store()
    ack(engine, "n3")
    assert ticket not in engine.replies, "n1 and n3 are two of the old ring, and one of the new"
    ack(engine, "n4")
    assert isinstance(engine.replies[ticket], Written)


def test_a_write_that_lacks_the_new_ring_is_unknown_and_says_in_which_ring_what_is_missing() -> None:
    engine = moving_engine()
    key = moved_key(engine.node.cluster, loses="n3")
    ticket = engine.ask(Put(key, b"v", timeout_ms=500))
    engine.store()
    ack(engine, "n3")
    engine.wait(0.6)
    failed = engine.replies[ticket]
    assert isinstance(failed, Failed)
    assert failed.code == "UNKNOWN"
    assert "2 of 2 in the old ring and 1 of 2 in the new" in failed.text


def test_a_read_needs_its_quorum_in_both_rings_and_finds_what_the_old_one_holds() -> None:
    engine = moving_engine()
    key = moved_key(engine.node.cluster, loses="n3")
    ticket = engine.ask(Get(key, context=False))
    assert all(fetches(engine, name) for name in ("n2", "n3", "n4")), "all owners of both rings are asked"
    engine.load(None)
    rid = fetches(engine, "n4")[0].rid
    engine.receive("n4", Fetched(rid, None, ""))
    assert ticket not in engine.replies, "n1 and n4 are two of the new ring, and one of the old"
    engine.receive("n3", Fetched(rid, encode_row(row_of(b"old")), ""))
    found = engine.replies[ticket]
    assert isinstance(found, Found)
    assert found.row.live[0].value == b"old"


def test_that_a_newcomer_holds_nothing_is_no_evidence() -> None:
    engine = moving_engine("n2")
    key = moved_key(engine.node.cluster, loses="n2")
    for name in ("n1", "n3"):
        engine.down(name)
    engine.clear()
    ticket = engine.ask(Get(key, r=1, context=False, timeout_ms=300))
    engine.load(None, readable=False)
    for message in fetches(engine, "n4"):
        engine.receive("n4", Fetched(message.rid, None, ""))
    engine.wait(0.4)
    failed = engine.replies[ticket]
    assert isinstance(failed, Failed), failed
    assert failed.code == "UNAVAILABLE"


def test_a_strict_read_repairs_enough_owners_of_both_rings_before_it_tells() -> None:
    engine = moving_engine()
    key = moved_key(engine.node.cluster, loses="n3")
    row = encode_row(row_of(b"v"))
    ticket = engine.ask(Get(key, strict=True, context=False))
    engine.load(row_of(b"v"))
    rid = fetches(engine, "n2")[0].rid
    engine.receive("n4", Fetched(rid, None, ""))
    engine.receive("n3", Fetched(rid, row, ""))
    assert ticket not in engine.replies, "of the new ring n1 alone holds it, and two of three must"
    (sent,) = replicates(engine, "n4")
    engine.receive("n4", Replicated(sent.rid, True, None, ""))
    assert isinstance(engine.replies[ticket], Found)


def test_a_write_in_flight_goes_on_under_the_ring_that_comes() -> None:
    engine = settled_engine()
    other = moving_engine()
    key = moved_key(other.node.cluster, loses="n3")
    ticket = engine.ask(Put(key, b"v"))
    row = engine.store()
    tell(engine, MOVING)
    for name in ("n2", "n3", "n4"):
        last = replicates(engine, name)[-1]
        assert (last.epoch, last.row) == (MOVES, encode_row(row)), f"{name} gets the same row under the new ring"
    ack(engine, "n3")
    assert ticket not in engine.replies
    ack(engine, "n4")
    assert isinstance(engine.replies[ticket], Written)


def test_who_acknowledged_under_the_old_ring_counts_under_the_new() -> None:
    engine = settled_engine()
    key = moved_key(moving_engine().node.cluster, loses="n3")
    ticket = engine.ask(Put(key, b"v", w=3))
    engine.store()
    ack(engine, "n2")
    tell(engine, MOVING)
    assert [message.epoch for message in replicates(engine, "n2")] == [EPOCH], "it has the row"
    ack(engine, "n3")
    ack(engine, "n4")
    assert isinstance(engine.replies[ticket], Written)


def test_a_coordinator_that_owns_nothing_any_more_counts_itself_no_more() -> None:
    engine = moving_engine("n3")
    key = moved_key(engine.node.cluster, loses="n3")
    ticket = engine.ask(Put(key, b"v", strict=True))
    engine.store()
    tell(engine, JOINED)
    engine.clear()
    assert ticket not in engine.replies
    engine.receive("n1", Replicated(0, True, None, ""))
    assert ticket not in engine.replies


def test_a_stand_in_that_coordinates_counts_for_whom_it_stands_in_also_under_the_ring_that_comes() -> None:
    engine = Engine(nodes=5)
    key = next(
        k for k in (b"k%d" % i for i in range(1000))
        if engine.node.cluster.preference_list(k).index(node_id("n1")) == 3
    )  # fmt: skip
    names = {node_id(f"n{number}"): f"n{number}" for number in range(1, 6)}
    preference = [names[node] for node in engine.node.cluster.preference_list(key)]
    for owner in preference[:3]:
        engine.down(owner)
    ticket = engine.ask(Put(key, b"v", cover=True))
    engine.store()
    state = engine.node.cluster.state
    engine.settle_in(state._replace(epoch=state.epoch + 1))
    for operation in list(engine.node.shared.pending.values()):
        operation.ring_changed(engine.now, engine.out)
    assert ticket not in engine.replies
    ack(engine, preference[4])
    assert isinstance(engine.replies[ticket], Written)


def test_a_read_asks_all_owners_where_the_set_shrinks() -> None:
    """Those that stay are old owners, too: whom it asks must be enough of the new ones."""
    engine = settled_engine()
    tell(engine, change.begin(SETTLED, Change(change.LEAVE, node_id("n3"))))
    engine.clear()
    for key in (b"k%d" % number for number in range(8)):
        engine.clear()
        engine.ask(Get(key, context=False))
        assert all(fetches(engine, name) for name in ("n2", "n3"))


def test_a_row_refused_for_another_ring_is_sent_again_once_the_rings_were_compared() -> None:
    engine = settled_engine()
    key = moved_key(moving_engine().node.cluster, loses="n3")
    ticket = engine.ask(Put(key, b"v"))
    engine.store()
    first = replicates(engine, "n2")[-1]
    engine.receive("n2", Replicated(first.rid, False, None, Refusal.EPOCH.value))
    assert len(replicates(engine, "n2")) == 1
    engine.wait(EPOCH_AGAIN_S + 0.02)
    assert len(replicates(engine, "n2")) == 2
    ack(engine, "n2")
    assert isinstance(engine.replies[ticket], Written)


def test_a_read_refused_for_another_ring_is_asked_again() -> None:
    engine = settled_engine()
    engine.node.shared.read_patience = Patience()
    ticket = engine.ask(Get(b"k", context=False))
    engine.load(None)
    asked = next(name for name in ("n2", "n3") if fetches(engine, name))
    rid = fetches(engine, asked)[0].rid
    engine.receive(asked, Fetched(rid, None, Refusal.EPOCH.value))
    assert ticket not in engine.replies
    engine.wait(EPOCH_AGAIN_S + 0.02)
    assert len(fetches(engine, asked)) == 2
    engine.receive(asked, Fetched(rid, None, ""))
    found = engine.replies[ticket]
    assert isinstance(found, Found)
    assert found.row == EMPTY


def test_a_read_in_flight_begins_again_under_the_ring_that_comes() -> None:
    engine = settled_engine()
    key = moved_key(moving_engine().node.cluster, loses="n3")
    ticket = engine.ask(Get(key, context=False))
    old = next(message for name in ("n2", "n3") for message in fetches(engine, name))
    tell(engine, MOVING)
    engine.clear()
    engine.receive("n2", Fetched(old.rid, None, ""))
    assert ticket not in engine.replies, "what was said under the old ring does not count"


def test_a_forward_refused_for_another_ring_by_all_is_handed_over_again() -> None:
    engine = settled_engine("n4")
    for name in ("n1", "n2", "n3"):
        engine.down(name)
        engine.up(name)
    engine.clear()
    ticket = engine.ask(Put(b"k", b"v"))
    for _ in range(3):
        refuse_forward(engine)
    assert ticket not in engine.replies, "there is time to compare rings"
    engine.wait(EPOCH_AGAIN_S + 0.02)
    assert refuse_forward(engine), "from the beginning"


def test_a_refusal_that_is_said_twice_does_not_make_a_forward_be_handed_over_twice() -> None:
    """Seed 1236: the second one met the same node with the write in its hands, and the write was committed twice."""
    engine = settled_engine("n4")
    for name in ("n1", "n2", "n3"):
        engine.down(name)
        engine.up(name)
    engine.clear()
    engine.ask(Put(b"k", b"v"))
    rids = [refuse_forward(engine) for _ in range(3)]
    engine.wait(EPOCH_AGAIN_S + 0.02)
    for name in ("n1", "n2", "n3"):
        for message in engine.out.sends.pop(node_id(name), []):
            if isinstance(message, Ping):
                engine.receive(name, Pong(message.rid))
    handed = [(name, m) for name in ("n1", "n2", "n3") for m in engine.sent(name) if isinstance(m, Forward)]
    assert len(handed) == 1
    assert handed[0][1].rid not in rids
    engine.receive(handed[0][0], Forwarded(rids[0], Refusal.EPOCH.value, None))
    engine.wait(EPOCH_AGAIN_S + 0.02)
    again = [m for name in ("n1", "n2", "n3") for m in engine.sent(name) if isinstance(m, Forward)]
    assert len(again) == 1, "it has the write"


def refuse_forward(engine: Engine) -> int:
    """Let whoever was handed the write refuse it, after it said that it is there; return under which number, or 0."""
    for name in ("n1", "n2", "n3"):
        said = engine.out.sends.pop(node_id(name), [])
        for message in said:
            if isinstance(message, Ping):
                engine.receive(name, Pong(message.rid))
                said += engine.out.sends.pop(node_id(name), [])
        for message in said:
            if isinstance(message, Forward):
                engine.receive(name, Forwarded(message.rid, Refusal.EPOCH.value, None))
                return message.rid
    return 0


def test_all_preference_lists_at_once_are_the_single_ones() -> None:
    """Documents want all of them; requests one at a time, of which a node keeps so many."""
    for cluster in (settled_engine().node.cluster, moving_engine().node.cluster):
        single = tuple(cluster.preference_of(partition) for partition in range(cluster.partitions))
        assert cluster.preferences() == single


def test_a_node_keeps_so_many_preference_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.engine.cluster.PREFERENCES_MAX", 10)
    cluster = settled_engine().node.cluster
    for partition in (*range(25), *range(25)):
        assert cluster.preference_of(partition) == cluster.preferences()[partition]
        assert len(cluster._preference) <= 10
