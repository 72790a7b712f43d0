"""Taking in: a node that gains partitions is compared with enough old owners before it says that it holds them."""

from __future__ import annotations

from node.core import change
from node.core.cluster import Change
from node.core.ids import scan_position
from node.core.limits_change import TRANSFER_AGAIN_S
from node.engine.events import Digested, OwedHere, Persisted, ScannedHere
from node.engine.pull import DONE, STATE_PULLED, Cursors
from node.storage.port import Merge, Merged, Saved, SaveState
from node.wire.change_messages import Pull, Pulled
from node.wire.messages import REBUILDING, AskTrees, Gossip, TreesTold
from node.wire.rows import encode_row
from tests.helpers.engine import Engine, node_id, row_of
from tests.helpers.moving import MOVES, MOVING, SETTLED, moving_engine, tell


def asked(engine: Engine) -> tuple[str, AskTrees]:
    """Whom it compares trees with, and the question."""
    for name in ("n1", "n2", "n3"):
        for message in engine.sent(name):
            if isinstance(message, AskTrees) and message.whole:
                return name, message
    raise AssertionError("nobody is asked")


def pulls(engine: Engine) -> list[tuple[str, Pull]]:
    """Who was asked for a page."""
    return [(name, m) for name in ("n1", "n2", "n3") for m in engine.sent(name) if isinstance(m, Pull)]


def stored(engine: Engine) -> list[SaveState]:
    """Report all that wants to be stored as durable; return the cursors among it."""
    cursors = []
    for ticket, write in engine.out.persists:
        if isinstance(write, SaveState) and write.name == STATE_PULLED:
            cursors.append(write)
        if isinstance(write, Merge):
            engine.step(Persisted([(ticket, Merged(write.row, False))]))
        else:
            engine.step(Persisted([(ticket, Saved())]))
    engine.out.persists = []
    return cursors


def read_all(engine: Engine) -> None:
    """Let the old owners give all pages, empty ones."""
    engine.wait(TRANSFER_AGAIN_S)
    while asked_for := pulls(engine):
        engine.clear()
        for name, message in asked_for:
            engine.receive(name, Pulled(message.rid, (), False, 0, ""))
        stored(engine)
        engine.wait(0.01)


def agree(engine: Engine) -> str:
    """Let the old owner that is asked hold just what this node does; return its name."""
    name, question = asked(engine)
    engine.clear()
    same = tuple([b"d" * 16 for _ in question.prefixes])
    engine.step(Digested(question.rid, same))
    engine.receive(name, TreesTold(question.rid, same, ""))
    return name


def test_a_taker_says_that_it_holds_its_part_when_two_old_owners_were_compared_with() -> None:
    """N−W+1 of three, W being two: every acknowledged write is on one of them."""
    engine = moving_engine("n4")
    read_all(engine)
    names = [agree(engine)]
    assert engine.node.cluster.me.holds == 0
    while engine.node.transfers.missing():
        engine.wait(TRANSFER_AGAIN_S)
        names.append(agree(engine))
    engine.wait(TRANSFER_AGAIN_S)
    assert len(set(names)) >= 2
    assert engine.node.cluster.me.holds == MOVES
    told = [message for message in engine.out.sends[node_id("n1")] if isinstance(message, Gossip)]
    assert any(member.id == node_id("n4") and member.holds == MOVES for member in told[-1].members)


def test_pages_are_merged_and_the_cursor_is_stored_behind_them() -> None:
    engine = moving_engine("n4")
    engine.wait(TRANSFER_AGAIN_S)
    ((name, first),) = pulls(engine)
    assert first.after == b""
    engine.clear()
    row = encode_row(row_of(b"v"))
    engine.receive(name, Pulled(first.rid, ((b"a", row), (b"b", row)), True, 3, ""))
    writes = [write for _, write in engine.out.persists]
    assert [type(write) for write in writes] == [Merge, Merge, SaveState], "in this order"
    assert all(write.round == 3 for write in writes if isinstance(write, Merge))
    stored(engine)
    engine.wait(0.01)
    ((_, second),) = pulls(engine)
    assert (second.partition, second.after) == (first.partition, scan_position(b"b"))


def test_another_old_owner_goes_on_where_the_first_one_stopped() -> None:
    engine = moving_engine("n4")
    engine.wait(TRANSFER_AGAIN_S)
    ((name, first),) = pulls(engine)
    engine.receive(name, Pulled(first.rid, ((b"a", encode_row(row_of(b"v"))),), True, 0, ""))
    stored(engine)
    engine.clear()
    engine.wait(0.01)
    engine.down(name)
    engine.clear()
    engine.wait(TRANSFER_AGAIN_S)
    ((other, again),) = pulls(engine)
    assert other != name
    assert (again.partition, again.after) == (first.partition, scan_position(b"a"))


def test_after_a_restart_it_goes_on_at_the_cursor() -> None:
    cursors = Cursors({})
    cursors.begin(MOVES)
    kept = cursors.move(5, scan_position(b"a"))
    done = cursors.move(6, DONE)
    again = Cursors({kept.name: done.data})
    again.begin(MOVES)
    assert (again.of(5), again.is_done(5), again.is_done(6)) == (scan_position(b"a"), False, True)
    again.begin(MOVES + 2)
    assert (again.of(5), again.is_done(6)) == (b"", False), "of another epoch nothing was read"


def test_a_page_is_given_under_the_round_before_it_was_read_and_by_whole_stores_only() -> None:
    engine = moving_engine("n1")
    engine.receive("n4", Pull(9, MOVES, 1, b""))
    ticket = next(scan[0] for scan in engine.out.scans if scan[1] == 1)
    engine.node.shared.rounds = engine.node.shared.rounds.adopted(1, engine.node.cluster.partitions, 7)
    row = encode_row(row_of(b"v"))
    engine.step(ScannedHere(ticket, ((b"a", row),), True))
    assert engine.sent("n4")[-1] == Pulled(9, ((b"a", row),), True, 0, "")
    engine.node.cluster.rebuilding = True
    engine.receive("n4", Pull(10, MOVES, 1, b""))
    assert engine.sent("n4")[-1] == Pulled(10, (), False, 0, REBUILDING)


def test_what_an_old_owner_may_have_forgotten_it_does_not_give() -> None:
    engine = moving_engine("n4")
    read_all(engine)
    name, question = asked(engine)
    engine.receive(name, TreesTold(question.rid, (), REBUILDING))
    engine.clear()
    engine.wait(TRANSFER_AGAIN_S)
    other, _ = asked(engine)
    assert other != name
    (move, *_) = engine.node.transfers.figures(engine.now)["moves"]  # type: ignore[misc]  # a JSON document
    assert move["done"] == 0


def test_a_store_that_may_have_forgotten_refuses_to_be_a_source() -> None:
    engine = moving_engine("n1")
    engine.node.cluster.rebuilding = True
    engine.receive("n4", AskTrees(9, MOVES, 6, 0, (1,), True))
    (told,) = [message for message in engine.sent("n4") if isinstance(message, TreesTold)]
    assert told.refused == REBUILDING


def test_while_it_is_rebuilt_itself_it_does_not_say_that_it_holds_anything() -> None:
    engine = moving_engine("n4")
    engine.node.cluster.rebuilding = True
    read_all(engine)
    while engine.node.transfers.missing():
        agree(engine)
        engine.wait(TRANSFER_AGAIN_S)
    engine.wait(TRANSFER_AGAIN_S)
    assert engine.node.cluster.me.holds == 0


def test_old_owners_that_are_down_are_named_as_what_it_waits_for() -> None:
    engine = moving_engine("n4")
    for name in ("n1", "n2", "n3"):
        engine.down(name)
    engine.wait(TRANSFER_AGAIN_S)
    figures = engine.node.transfers.figures(engine.now)
    (move, *_) = figures["moves"]  # type: ignore[misc]  # a JSON document
    assert move["waits_because"] == "n1 does not answer n4; n2 does not answer n4; n3 does not answer n4" or all(
        f"{name} does not answer n4" in move["waits_because"] for name in ("n1", "n2", "n3")
    )
    assert figures["todo"] == len(figures["moves"])  # type: ignore[arg-type]  # a JSON document


def test_who_leaves_holds_nothing_back_for_others_before_it_says_that_it_may_go() -> None:
    """A hint that went with it would be a copy less of an acknowledged write."""
    engine = moving_engine("n3")
    leaving = change.begin(
        change.abandon(MOVING)._replace(seats=SETTLED.seats, owners=SETTLED.owners), Change(change.LEAVE, node_id("n3"))
    )
    tell(engine, leaving)
    assert node_id("n3") in engine.node.cluster.takers
    engine.clear()
    engine.wait(TRANSFER_AGAIN_S)
    looks = [(ticket, target) for ticket, target, _, limit in engine.out.owed if limit == 1]
    assert {target for _, target in looks} == {node_id(name) for name in ("n1", "n2", "n4")}
    engine.clear()
    for ticket, _ in looks:
        engine.step(OwedHere(ticket, ((b"k", b"row"),), None))
    engine.wait(TRANSFER_AGAIN_S)
    assert engine.node.cluster.me.holds == 0
    again = [ticket for ticket, _, _, limit in engine.out.owed if limit == 1]
    assert len(again) == 3, "it looks again"
    for ticket in again:
        engine.step(OwedHere(ticket, (), None))
    engine.wait(TRANSFER_AGAIN_S)
    assert engine.node.cluster.me.holds == leaving.epoch
