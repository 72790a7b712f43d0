"""Work for clients who have given up is not done, and more than can be done is not begun."""

from __future__ import annotations

import pytest

from node.core.ids import NodeId
from node.core.limits import TIMEOUT_MS
from node.core.version import merge
from node.engine.events import Measured, Persisted
from node.engine.put import COMMIT_SHARE, PutOperation
from node.storage.port import FOREVER, Adopt, Adopted, Advance, Merge, Merged, Owe, Refusal, Refused, is_late
from node.wire.messages import BUSY, Fetch, Fetched, Forward, Forwarded, Replicate, Replicated, Scan
from node.wire.requests import Document, Failed, Get, Inspect, Keys, Put, Written
from node.wire.rows import encode_row
from tests.helpers.engine import EPOCH, KEY, Engine, node_id, row_of

LATE = Refused(Refusal.LATE, "too late")
ROW = encode_row(row_of(b"v"))


def replicates(engine: Engine, name: str) -> list[Replicate]:
    return [m for m in engine.sent(name) if isinstance(m, Replicate)]


def failed(engine: Engine, ticket: int) -> Failed:
    result = engine.replies[ticket]
    assert isinstance(result, Failed), result
    return result


# How long a client still waits travels with the work for it ----------------------------------------------


def test_what_a_peer_does_for_a_client_carries_the_time_that_is_left() -> None:
    engine = Engine()
    engine.ask(Put(KEY, b"v", cover=True, timeout_ms=1000))
    engine.now += 0.3
    engine.store()
    assert [m.left_ms for m in replicates(engine, "n2")] == [700]
    engine.ask(Get(KEY, r=3, timeout_ms=400))
    assert [m.left_ms for m in engine.sent("n2") if isinstance(m, Fetch)] == [400]
    engine.ask(Keys())
    asked = [m for name in ("n2", "n3") for m in engine.sent(name) if isinstance(m, Scan)]
    assert [m.left_ms for m in asked] == [TIMEOUT_MS]


def test_a_forward_and_a_stand_in_get_what_is_left_when_they_are_asked() -> None:
    engine = Engine(nodes=5)
    engine.ask(Put(engine.key_owned_by_others(), b"v", cover=True, timeout_ms=1000))
    (first,) = [m for name in ("n2", "n3", "n4", "n5") for m in engine.sent(name) if isinstance(m, Forward)]
    assert first.left_ms == 1000
    engine = Engine(nodes=4)
    key = next(k for k in (b"k%d" % i for i in range(1000)) if engine.owners(k)[0] == engine.node.config.id)
    engine.ask(Put(key, b"v", cover=True, timeout_ms=1000))
    engine.store()
    engine.now += 0.1
    engine.step_down(engine.owners(key)[1])
    stand_in = next(m for name in ("n2", "n3", "n4") for m in replicates(engine, name) if m.hint_for)
    assert stand_in.left_ms == 900


def test_data_that_nobody_waits_for_carries_no_deadline() -> None:
    """Read repair delivers a write that was acknowledged: however late it comes, it is stored. (So do hand-over and
    anti-entropy, whose messages say nothing about time either.)"""
    engine = Engine()
    engine.ask(Get(KEY, timeout_ms=50))
    asked = next(name for name in ("n2", "n3") if any(isinstance(m, Fetch) for m in engine.sent(name)))
    engine.load(row_of(b"mine"))
    fetch = next(m for m in engine.sent(asked) if isinstance(m, Fetch))
    engine.receive(asked, Fetched(fetch.rid, encode_row(row_of(b"theirs", epoch=2)), ""))
    (repair,) = replicates(engine, asked)
    assert repair.left_ms == 0
    merges = [write for _, write in engine.out.persists if isinstance(write, Merge)]
    assert [write.until for write in merges] == [FOREVER]


# The receiver ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("left_ms", "until"), [(250, 100.25), (0, FOREVER)])
def test_a_replica_counts_from_when_it_reads_the_message(left_ms: int, until: float) -> None:
    engine = Engine()
    engine.receive("n2", Replicate(5, EPOCH, KEY, ROW, (), 0, left_ms))
    _, write = engine.take_persist()
    assert isinstance(write, Merge)
    assert write.until == until
    assert not is_late(write, 100.2499)
    assert is_late(write, 100.25) == bool(left_ms)


def test_a_copy_that_was_dropped_has_no_answer() -> None:
    """Its coordinator has given up before: an answer would be one more message in the way. Nothing is left of it."""
    engine = Engine()
    engine.receive("n2", Replicate(5, EPOCH, KEY, ROW, (), 0, 250))
    engine.persisted(LATE)
    assert engine.sent("n2") == []
    assert not engine.node.shared.pending


def test_a_read_behind_a_round_is_dropped_when_the_round_comes_too_late() -> None:
    engine = Engine()
    for number, late in (3, False), (4, True):
        engine.clear()
        engine.receive("n2", Fetch(5, EPOCH, KEY, number, 250))
        ticket, adopt = next((t, w) for t, w in engine.out.persists if isinstance(w, Adopt))
        engine.now += 0.3 if late else 0.0
        engine.step(Persisted([(ticket, Adopted(True, adopt.partition, adopt.partitions, number, ()))]))
        assert bool(engine.out.loads) is not late


# The coordinator -------------------------------------------------------------------------------------------


def test_a_write_that_the_own_disk_does_not_come_to_is_not_done() -> None:
    """It was stored nowhere, so the client is told that. No other owner is asked: it would have no time left either."""
    engine = Engine()
    ticket = engine.ask(Put(KEY, b"v", cover=True, timeout_ms=1000))
    _, write = engine.out.persists[-1]
    assert isinstance(write, Advance)
    assert write.until == pytest.approx(engine.now + COMMIT_SHARE)
    engine.now = write.until
    engine.persisted(LATE)
    assert failed(engine, ticket).code == "BUSY"
    assert not engine.sent("n2")
    assert not engine.sent("n3")


def test_of_a_forward_too() -> None:
    engine = Engine()
    engine.receive("n2", Forward(9, EPOCH, 1, KEY, b"v", (), True, 2, False, 1000, ""))
    engine.persisted(LATE)
    (answer,) = engine.sent("n2")
    assert isinstance(answer, Forwarded)
    assert isinstance(answer.result, Failed)
    assert answer.result.code == "BUSY"


def test_a_commit_that_ends_after_the_deadline_is_not_fanned_out_and_leaves_hints() -> None:
    """Its client is gone. It may take effect, so each owner gets it later, by a hint."""
    engine = Engine()
    ticket = engine.ask(Put(KEY, b"v", cover=True, timeout_ms=1000))
    engine.now += 1.0
    engine.store()
    assert not replicates(engine, "n2")
    assert not replicates(engine, "n3")
    assert failed(engine, ticket).code == "UNKNOWN"
    (owe,) = [write for _, write in engine.out.persists if isinstance(write, Owe)]
    assert owe.owed.targets == (node_id("n2"), node_id("n3"))
    assert not engine.node.shared.pending


def owed_to(engine: Engine) -> list[tuple[NodeId, ...]]:
    """For whom hints are to be kept, beside those that come with a commit."""
    return [write.owed.targets for _, write in engine.out.persists if isinstance(write, Owe)]


def writing(engine: Engine) -> bool:
    """Whether a write is in flight."""
    return any(isinstance(operation, PutOperation) for operation in engine.node.shared.pending.values())


def test_a_commit_that_ends_after_the_client_was_told_leaves_hints() -> None:
    """The deadline comes while the disk is at it: UNKNOWN then, and when it is done nobody misses it in silence."""
    engine = Engine()
    ticket = engine.ask(Put(KEY, b"v", cover=True, timeout_ms=1000))
    engine.wait(0.5)
    engine.wait(0.51)
    assert failed(engine, ticket).code == "UNKNOWN"
    assert owed_to(engine) == []
    engine.wait(0.5)
    engine.store()
    assert owed_to(engine) == [(node_id("n2"), node_id("n3"))]
    assert not replicates(engine, "n2")
    assert not writing(engine)
    assert engine.node.shared.load.waiting == 0


@pytest.mark.parametrize("why", [Refusal.LATE, Refusal.DISK_FULL])
def test_a_commit_that_is_refused_after_the_client_was_told_ends_in_silence(why: Refusal) -> None:
    """No second answer, and no other coordinator."""
    engine = Engine()
    ticket = engine.ask(Put(KEY, b"v", cover=True, timeout_ms=1000))
    engine.wait(1.01)
    assert failed(engine, ticket).code == "UNKNOWN"
    engine.persisted(Refused(why, "the reason"))
    assert list(engine.replies) == [ticket]
    assert owed_to(engine) == []
    assert not engine.sent("n2")
    assert not writing(engine)


@pytest.mark.parametrize("late_s", [0.0, 1.0])
def test_an_owner_that_is_lost_while_the_disk_is_at_it_gets_a_hint(late_s: float) -> None:
    """It is sent nothing, and nobody stands in for it: only a hint tells it of a write that the others answer for."""
    engine = Engine()
    ticket = engine.ask(Put(KEY, b"v", cover=True, timeout_ms=1000))
    engine.down("n2")
    engine.now += late_s
    engine.store()
    assert not replicates(engine, "n2")
    if late_s:
        assert owed_to(engine) == [(node_id("n2"),), (node_id("n3"),)]
    else:
        (sent,) = replicates(engine, "n3")
        engine.receive("n3", Replicated(sent.rid, True, None, ""))
        assert isinstance(engine.replies[ticket], Written)
        assert owed_to(engine) == [(node_id("n2"),)]
    assert not writing(engine)


def test_a_second_commit_has_hints_for_who_was_lost_before() -> None:
    """Those of the first may be delivered before it is stored, and who was lost is not asked again."""
    engine = Engine()
    engine.ask(Put(KEY, b"v", cover=True))
    first = engine.store()
    engine.down("n3")
    assert owed_to(engine) == [(node_id("n3"),)]
    (sent,) = replicates(engine, "n2")
    engine.receive("n2", Replicated(sent.rid, True, encode_row(merge(first, row_of(b"other", epoch=2))), ""))
    (again,) = [write for _, write in engine.out.persists if isinstance(write, Advance)]
    assert again.owed is not None
    assert again.owed.targets == (node_id("n3"),)


def test_a_commit_that_is_enough_is_an_ok_however_late() -> None:
    engine = Engine()
    ticket = engine.ask(Put(KEY, b"v", cover=True, w=1, timeout_ms=1000))
    engine.now += 1.0
    engine.store()
    assert isinstance(engine.replies[ticket], Written)
    assert [write.owed.targets for _, write in engine.out.persists if isinstance(write, Owe)] == [
        (node_id("n2"), node_id("n3"))
    ]


def test_a_copy_that_nobody_acknowledged_in_time_gets_a_hint() -> None:
    """What was dropped at the replica is, to the coordinator, a lost message: at the deadline it keeps a hint."""
    engine = Engine()
    ticket = engine.ask(Put(KEY, b"v", cover=True, timeout_ms=1000))
    engine.store()
    (sent,) = replicates(engine, "n2")
    engine.receive("n2", Replicated(sent.rid, True, None, ""))
    assert isinstance(engine.replies[ticket], Written)
    engine.wait(1.01)
    (owe,) = [write for _, write in engine.out.persists if isinstance(write, Owe)]
    assert owe.owed.targets == (node_id("n3"),)


def test_a_second_commit_that_comes_too_late_leaves_the_first() -> None:
    """The SET stands as it was stored first, which is unknown to be over everything; the others get it by hints."""
    engine = Engine()
    ticket = engine.ask(Put(KEY, b"v", cover=True, timeout_ms=1000))
    first = engine.store()
    (sent,) = replicates(engine, "n2")
    other = encode_row(merge(first, row_of(b"other", epoch=2)))
    engine.receive("n2", Replicated(sent.rid, True, other, ""))
    engine.persisted(LATE)
    assert failed(engine, ticket).code == "UNKNOWN"
    owed = [write.owed.targets for _, write in engine.out.persists if isinstance(write, Owe)]
    assert owed == [(node_id("n2"), node_id("n3"))]


def test_a_strict_read_does_not_write_back_for_who_has_given_up() -> None:
    engine = Engine()
    engine.ask(Get(KEY, strict=True, timeout_ms=500))
    asked = next(name for name in ("n2", "n3") if any(isinstance(m, Fetch) for m in engine.sent(name)))
    fetch = next(m for m in engine.sent(asked) if isinstance(m, Fetch))
    engine.load(row_of(b"mine"))
    engine.receive(asked, Fetched(fetch.rid, encode_row(row_of(b"theirs", epoch=2)), ""))
    assert [m.left_ms for m in replicates(engine, asked)] == [500]
    _, write = engine.take_persist()
    assert isinstance(write, Merge)
    assert write.until == engine.now + 0.5


# The door ----------------------------------------------------------------------------------------------------


def full(engine: Engine) -> list[int]:
    """Fill the node's hands; the tickets of who got in."""
    tickets = [engine.ask(Put(KEY, b"0", cover=True))]
    engine.node.shared.load.bound = 3
    tickets += [engine.ask(Put(KEY, b"%d" % i, cover=True)) for i in (1, 2)]
    assert not engine.replies
    return tickets


def test_one_request_too_many_is_refused_at_once_and_costs_nothing() -> None:
    engine = Engine()
    full(engine)
    persists, pending = len(engine.out.persists), len(engine.node.shared.pending)
    for request in (Put(KEY, b"v", cover=True), Get(KEY), Keys()):
        assert failed(engine, engine.ask(request)).code == "BUSY"
    assert (len(engine.out.persists), len(engine.node.shared.pending)) == (persists, pending)
    assert engine.node.shared.load.refused == 3
    engine.receive("n2", Forward(9, EPOCH, 1, KEY, b"v", (), True, 2, False, 1000, ""))
    assert engine.sent("n2") == [Forwarded(9, BUSY, None)]


def test_how_a_node_is_may_be_asked_while_it_is_busy() -> None:
    """Just then somebody looks."""
    engine = Engine()
    full(engine)
    ticket = engine.ask(Inspect("stats"))
    engine.step(Measured(engine.out.measures[-1], {}))
    assert isinstance(engine.replies[ticket], Document)


def test_whoever_is_answered_makes_room() -> None:
    engine = Engine()
    tickets = full(engine)
    for _ in tickets:
        engine.store()
    for sent in replicates(engine, "n2"):
        engine.receive("n2", Replicated(sent.rid, True, None, ""))
    assert all(isinstance(engine.replies[ticket], Written) for ticket in tickets)
    assert engine.node.shared.load.waiting == 0
    engine.ask(Put(KEY, b"v", cover=True))
    assert engine.node.shared.load.waiting == 1


def test_peers_are_served_while_clients_are_refused() -> None:
    """What another node has begun comes before what is new: else two busy nodes stop each other."""
    engine = Engine()
    full(engine)
    engine.clear()
    engine.receive("n2", Replicate(5, EPOCH, KEY, ROW, (), 0, 500))
    engine.persisted(Merged(ROW, False))
    assert engine.sent("n2") == [Replicated(5, True, None, "")]


def test_a_delete_of_what_is_there_counts_once() -> None:
    """It is a read and a write, for one client."""
    engine = Engine()
    engine.ask(Put(KEY, None, cover=True))
    assert engine.node.shared.load.waiting == 1


def test_a_delete_may_take_the_last_place() -> None:
    """Its own read is not one request too many."""
    engine = Engine()
    engine.ask(Put(KEY, b"v", cover=True))
    engine.node.shared.load.bound = 2
    ticket = engine.ask(Put(KEY, None, cover=True))
    assert engine.node.shared.load.refused == 0
    engine.load(row_of(b"v"))
    asked = next(name for name in ("n2", "n3") if any(isinstance(m, Fetch) for m in engine.sent(name)))
    fetch = next(m for m in engine.sent(asked) if isinstance(m, Fetch))
    engine.receive(asked, Fetched(fetch.rid, encode_row(row_of(b"v")), ""))
    deletes = [write for _, write in engine.out.persists if isinstance(write, Advance) and write.value is None]
    assert (len(deletes), ticket in engine.replies) == (1, False)
