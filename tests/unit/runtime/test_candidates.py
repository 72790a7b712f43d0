"""Who gets a place among the candidates, and how it goes to another."""

from __future__ import annotations

import pytest

from node.core.limits import CANDIDATES_MAX
from node.core.limits_discovery import NAMES_WAITING_MAX
from node.runtime import candidates
from node.runtime.candidates import Candidates


def full() -> Candidates:
    """All places taken: name "n1" at "h:1", and so on."""
    made = Candidates()
    for number in range(CANDIDATES_MAX):
        assert made.take(f"n{number}", f"h:{number}") == (True, ())
    return made


def test_the_newest_and_the_oldest_by_turns() -> None:
    """Neither a flood before nor one after hides a name for long."""
    made = Candidates()
    for name in "abcde":
        made.heard(name)
    assert [made.next() for _ in range(6)] == ["e", "a", "d", "b", "c", None]


def test_who_is_heard_again_is_the_newest() -> None:
    made = Candidates()
    for name in "abca":
        made.heard(name)
    assert [made.next() for _ in range(4)] == ["a", "b", "c", None]


def test_a_place_is_kept_while_nobody_waits_for_it() -> None:
    made = full()
    assert made.failed("h:0") == ()
    assert made.dialled["n0"] == "h:0"


def test_who_did_not_answer_goes_when_another_one_comes() -> None:
    made = full()
    made.heard("late")
    assert made.next() is None, "they may all answer yet"
    made.failed("h:9")
    assert made.next() == "late"
    assert made.take("late", "h:late") == (True, ())


def test_who_failed_while_nobody_waited_goes_first() -> None:
    made = full()
    for number in (7, 3):
        made.failed(f"h:{number}")
    made.heard("late")
    assert made.next() == "late"
    assert made.take("late", "h:late") == (True, ("h:7",))
    assert "n7" not in made.dialled
    assert len(made.dialled) == CANDIDATES_MAX


def test_an_address_has_one_place_whatever_names_it_has() -> None:
    made = Candidates()
    assert made.take("a", "h:1") == (True, ())
    assert made.take("b", "h:1") == (False, ())
    assert made.gone("b") == ()
    assert made.gone("a") == ("h:1",)


def test_who_says_goodbye_is_tried_no_more() -> None:
    made = Candidates()
    made.heard("a")
    made.gone("a")
    assert made.next() is None


def test_so_many_names_wait_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest goes; what zeroconf remembers of it brings it back when the others had their turn."""
    monkeypatch.setattr(candidates, "NAMES_WAITING_MAX", 2)
    assert NAMES_WAITING_MAX > 2
    made = Candidates()
    for name in "abc":
        made.heard(name)
    assert made.waiting == 2
    assert [made.next(), made.next()] == ["c", "b"]
    made.again("abc")
    assert made.waiting == 2
    assert [made.next(), made.next()] == ["b", "a"]
