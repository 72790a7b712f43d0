"""Each checker fires on a history that is wrong in its way, and on no other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from node.core.row import EMPTY, Clock, Dot, Row, Version
from node.core.version import add, advance, merge
from node.sim.checkers import CHECKERS, Answer, judge
from node.sim.history import History, Kind, Mint, Record
from node.storage.port import Advance, Advanced, Merge, Merged
from node.wire.requests import Failed, Found, Written
from node.wire.rows import encode_row
from tests.helpers.engine import sealed_ring
from tests.helpers.story import ACTOR, KEY, OK, Story, dot


def without(row: Row, *gone: Dot) -> Row:
    return Row(row.clock, tuple(version for version in row.versions if version.dot not in gone))


def test_an_honest_story_pleases_everybody() -> None:
    story = Story()
    story.write()
    story.write(result=Failed("UNKNOWN", "wrote 1 of 2"))
    story.read()
    story.write(seen=story.row.clock)
    story.write(Kind.SET, seen=None, covers=story.row.clock)
    story.read(strict=True)
    story.write(Kind.DELETE, seen=story.row.clock)
    story.request(Kind.PUT, Failed("UNAVAILABLE", "n2 down, n3 down"))
    story.request(Kind.PUT, None)
    story.request(Kind.DEL, Written(b"", (), 0, replaced=False, siblings=0), seen=None)
    assert story.end() == []


def test_no_loss_an_acknowledged_write_is_gone() -> None:
    story = Story()
    story.write()
    story.write()
    assert "1 no loss" in story.end(n1=without(story.row, dot(1)))


@pytest.mark.parametrize(("result", "fires"), [(OK, True), (Failed("UNKNOWN", "wrote 1 of 2"), False)])
def test_no_loss_what_a_node_that_is_gone_had_alone_was_promised_only_if_it_was_acknowledged(
    result: object, fires: bool
) -> None:
    story = Story()
    story.write()
    first = story.row
    story.write(result=result, seen=first.clock)
    story.history.gone["n1"] = None
    assert bool(story.end(n2=first)) is fires


def test_one_cluster_two_rings_of_one_epoch() -> None:
    story = Story()
    ring = sealed_ring(["n1", "n2"])
    story.history.decided("n1", ring)
    story.history.decided("n2", ring)
    story.history.decided("n2", ring._replace(epoch=ring.epoch + 1))
    assert story.end() == []
    story.history.decided("n3", ring._replace(owners=ring.owners[::-1]))
    assert story.end() == ["6 one cluster"]


def test_no_loss_an_acknowledged_write_was_never_stored() -> None:
    story = Story()
    story.request(Kind.PUT, OK)
    assert story.end() == ["1 no loss"]


def test_no_loss_is_content_if_one_disk_knows() -> None:
    story = Story()
    story.write()
    first = story.row
    story.write(seen=first.clock)
    assert story.end(n1=first, n2=story.row, n3=EMPTY) == []


def test_no_phantom_a_value_nobody_wrote() -> None:
    story = Story()
    story.write()
    story.read(Row((dot(9),), (Version(dot(9), (), b"who?", 0, "c9.9"),)))
    assert "2 no phantom" in story.end()


def test_no_phantom_a_dot_with_another_value() -> None:
    story = Story()
    story.write()
    story.read(Row(story.row.clock, (story.row.versions[0]._replace(value=b"torn"),)))
    assert story.end() == ["2 no phantom"]


def test_no_phantom_a_value_before_its_time() -> None:
    story = Story()
    story.write()
    story.read(begun=-5.0)
    assert story.end() == ["2 no phantom"]


def test_no_false_sibling_a_covered_version_is_left() -> None:
    story = Story()
    story.write()
    old = story.row
    story.write(seen=old.clock)
    both = Row(story.row.clock, (*old.versions, *story.row.versions))
    assert "3 no false sibling" in story.end(n1=both)


def test_no_false_sibling_read_beside_what_covers_it() -> None:
    story = Story()
    story.write()
    old = story.row
    story.write(seen=old.clock)
    story.read(Row(story.row.clock, (*old.versions, *story.row.versions)))
    assert story.end() == ["3 no false sibling"]


def twice(story: Story, record: Record, past: Clock) -> None:
    """Commit the write of `record` once more, over `past`."""
    story.row, minted = advance(story.row, past, ACTOR, record.value, written_at_ms=0, writer=record.tag)
    outcome = Advanced(encode_row(story.row), story.row.clock, minted, 0, 1)
    story.history.stored("n1", Advance(KEY, record.value, past, False, 1, 0, record.tag), outcome, story.now)


def test_no_false_sibling_one_write_stands_beside_itself() -> None:
    story = Story()
    twice(story, story.write(), ())
    assert story.end() == ["3 no false sibling", "3 contexts"]


def test_a_set_may_be_committed_again_over_itself() -> None:
    story = Story()
    record = story.write(Kind.SET, seen=None, covers=())
    twice(story, record, story.row.clock)
    assert story.end() == []


def test_contexts_a_write_covers_more_than_it_had_seen() -> None:
    story = Story()
    story.write()
    story.write(covers=story.row.clock)
    assert story.end() == ["3 contexts"]


def test_contexts_a_write_covers_less() -> None:
    story = Story()
    story.write()
    story.write(seen=story.row.clock, covers=(), result=None)
    assert story.end() == ["3 contexts"]


def test_settled_a_set_beside_what_was_acknowledged_before() -> None:
    story = Story()
    story.write()
    story.write(Kind.SET, seen=None, covers=())
    assert story.end() == ["3 settled by SET"]


@pytest.mark.parametrize(("late", "fires"), [(0.0, []), (-0.5, ["3 settled by SET"])])
def test_settled_what_had_replaced_a_set_by_its_end_covers_for_it(late: float, fires: list[str]) -> None:
    """Seed 174415212: another SET had seen both; nobody was left with a conflict."""
    story = Story()
    story.write()
    story.write(Kind.SET, seen=None, covers=(), late=late)
    story.write(Kind.SET, seen=None, covers=story.row.clock)
    assert story.end() == fires


@pytest.mark.parametrize(("begun", "fires"), [(3.0, []), (2.4, ["3 settled by SET"])])
def test_settled_a_set_that_another_replaced_races_with_it_while_that_one_goes_on(
    begun: float, fires: list[str]
) -> None:
    """Elastic seed 12729: two SETs through a newcomer that holds nothing yet; the second replaced the first one's
    version, and had yet to commit again, over what the old owner told, when the first was acknowledged."""
    story, unknown = Story(), Failed("UNKNOWN", "wrote 1 of 2")
    story.write()
    story.write(Kind.SET, seen=None, covers=(), late=0.0)  # from 2 to 3
    story.write(Kind.SET, seen=None, covers=add((), dot(2)), result=unknown, begun=begun)
    assert story.end() == fires


def test_settled_says_nothing_of_races_and_of_small_quorums() -> None:
    story = Story()
    story.write()
    story.write(Kind.SET, seen=None, covers=(), begun=0.5)
    story.write(Kind.SET, seen=None, covers=add(add((), dot(1)), dot(2)), begun=0.5, w=1)
    assert story.end() == []


def test_dots_one_name_for_two_values() -> None:
    story = Story()
    story.write()
    story.row = EMPTY
    story.history.forgot("n1", KEY)
    story.write()
    assert "4 dots" in story.end()


def test_no_resurrection_a_deleted_value_is_back() -> None:
    story = Story()
    story.write()
    old = story.row
    story.write(Kind.DELETE, seen=old.clock)
    assert "5 no resurrection" in story.end(n1=Row(story.row.clock, (*old.versions, *story.row.versions)))


def test_no_resurrection_in_one_store() -> None:
    story = Story()
    story.write()
    old = story.row
    story.write(seen=old.clock)
    back = Row(story.row.clock, (*old.versions, *story.row.versions))
    story.history.stored("n1", Merge(KEY, b"", 1), Merged(encode_row(back), more=False), 9.0)
    assert story.end() == ["5 no resurrection"]


def test_durable_a_store_forgets() -> None:
    story = Story()
    story.write()
    old = story.row
    story.write()
    story.history.stored("n1", Merge(KEY, b"", 1), Merged(encode_row(old), more=False), 9.0)
    assert story.end() == ["8 durable"]


def test_a_crash_takes_back_what_was_not_durable() -> None:
    story = Story()
    story.write()
    old = story.row
    story.write()
    story.history.crashed("n1", {KEY: encode_row(old)})
    story.history.stored("n1", Merge(KEY, b"", 1), Merged(encode_row(old), more=False), 9.0)
    assert story.end() == []


def test_durable_on_too_few_disks() -> None:
    story = Story()
    story.history.note("durable", "acknowledged by one disk of two")
    assert story.end() == ["8 durable"]


def test_one_cluster() -> None:
    story = Story()
    story.history.rings = {"n1": ("a", 3, True), "n2": ("a", 4, True)}
    assert story.end() == ["6 one cluster"]


def test_strict_sessions_a_read_misses_a_write() -> None:
    story = Story()
    story.write(strict=True)
    story.read(EMPTY, strict=True)
    assert story.end() == ["7 strict sessions"]


def test_strict_sessions_a_read_goes_back() -> None:
    story = Story()
    story.write(result=None)
    story.read(strict=True)
    story.read(EMPTY, strict=True)
    assert story.end() == ["7 strict sessions"]


def test_strict_sessions_promise_nothing_to_others() -> None:
    story = Story()
    story.write(strict=True)
    story.read(EMPTY)
    story.read(EMPTY, strict=True, r=1)
    story.read(EMPTY, strict=True, begun=1.2)
    assert story.end() == []


def dishonest() -> Iterator[Story]:
    story = Story()
    story.request(Kind.PUT, "nothing")
    yield story
    story = Story()
    story.write(result=Failed("UNAVAILABLE", "nothing was stored anywhere"))
    yield story
    story = Story()
    story.request(Kind.GET, Failed("UNAVAILABLE", ""), late=0.2)
    yield story
    story = Story()
    story.request(Kind.GET, Failed("UNKNOWN", ""))
    yield story
    story = Story()
    story.request(Kind.GET, Found(EMPTY)).end(Found(EMPTY), 9.0)
    yield story
    story = Story()
    story.write().forged = True
    yield story


def test_honesty() -> None:
    for story in dishonest():
        assert story.end() == ["9 honesty"], story.history.requests


def test_honesty_forgives_a_pause() -> None:
    story = Story()
    story.request(Kind.GET, Failed("UNAVAILABLE", ""), late=0.2).paused_s = 0.15
    assert story.end() == []


def test_liveness() -> None:
    story = Story()
    story.history.unhealed.append("n2 still misses n3")
    assert story.end() == ["10 liveness"]
    story = Story()
    story.history.left_over = {"n1": 0, "n2": 1}
    assert story.end() == ["10 liveness"]


def test_a_checker_that_crashes_is_unknown() -> None:
    def crash(history: History) -> list[str]:
        raise KeyError("no such thing")

    (verdict,) = judge(Story().history, {"crash": crash})
    assert verdict.answer is Answer.UNKNOWN
    assert "KeyError" in verdict.evidence[0]


def test_owners_that_differ_at_the_end_have_not_converged() -> None:
    story = Story()
    story.write()
    story.history.owners = {KEY: ("n1", "n2")}
    assert story.end(n1=story.row, n2=story.row, n3=EMPTY) == [], "who does not own it may hold what it likes"
    assert story.end(n1=story.row, n2=EMPTY) == ["6 converged"]
    story.history.roots = {3: {"n1": b"1", "n2": b"2"}}
    assert story.end(n1=story.row, n2=story.row) == ["6 converged"]


def test_a_tree_that_says_other_than_its_rows_is_caught() -> None:
    story = Story()
    story.write()
    story.history.note("trees", "n1 is wrong about leaf 7")
    assert story.end(n1=story.row) == ["6 trees"]


def test_much_evidence_is_cut() -> None:
    def talkative(history: History) -> Iterator[str]:
        yield from (str(number) for number in range(100))

    (verdict,) = judge(Story().history, {"talkative": talkative})
    assert verdict.answer is Answer.VIOLATED
    assert verdict.evidence[-1] == "… and 95 more"


def test_every_checker_has_a_name_and_a_number() -> None:
    assert all(name.split()[0].isdigit() for name in CHECKERS)
    assert {int(name.split()[0]) for name in CHECKERS} == set(range(1, 11))


def test_mints_remember_what_a_write_had_seen() -> None:
    story = Story()
    story.write()
    past = story.row.clock
    record = story.write(seen=past)
    (mint,) = story.history.dots_of(record)
    assert mint == Mint("n1", KEY, dot(2), record.value, record.tag, past, mint.at)
    assert merge(story.row, EMPTY) == story.row
