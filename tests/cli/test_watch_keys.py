"""`dyn watch`: what counts as a change, how it is told, and what is said when some may be missing."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dynamo_cli.changed import Known, change_line
from dynamo_cli.commands import watch as watching_keys
from dynamo_cli.commands.watch import literal
from dynamo_cli.store import Reading, Version
from node.wire.glob import matcher
from tests.helpers.cli import Result, dyn
from tests.helpers.documents import EVIL
from tests.helpers.fake_node import Err, FakeNode, fake_node, reading, version

Reply = Callable[..., Any]

MILK = reading(version(b"milk", {"n1": 1}))
TWO = reading(version(b"milk", {"n1": 2}), version(b"beer", {"n1": 1, "n2": 1}))
GONE = reading(version(None, {"n1": 3}))


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A pause lasts no time, and each sixth one is Ctrl-C."""
    paused: list[float] = []

    def pause(seconds: float) -> None:
        paused.append(seconds)
        if len(paused) % 6 == 0:
            raise KeyboardInterrupt

    monkeypatch.setattr("dynamo_cli.watching.pause", pause)
    return paused


def story(*replies: Any) -> Reply:
    """One reply after the other, the last one again and again."""
    left = list(replies)

    def answer(key: bytes, *words: bytes) -> Any:
        reply = left.pop(0) if len(left) > 1 else left[0]
        return reply(*words) if callable(reply) else reply

    return answer


@contextmanager
def cluster(get: Any, *heard: dict[str, Any], keys: tuple[bytes, ...] = ()) -> Iterator[FakeNode]:
    """One node, which tells these documents to DYN.MONITOR, one a question, and then that there was nothing."""
    left = list(heard)

    def monitor(*words: bytes) -> Any:
        return left.pop(0) if left else told()

    with fake_node(DYN_GET=get, DYN_MONITOR=monitor, DYN_KEYS=[b"0", list(keys)]) as node:
        node.replies["DYN.RING"] = {"members": [{"name": "n1", "address": node.address}]}
        yield node


def told(*keys: str, listener: int = 7, dropped: int = 0, outcome: str = "ok") -> dict[str, Any]:
    """What a node tells of writes."""
    rows = [{"at": "2026-11-29T12:03:07.402Z", "op": "put", "key": key, "enc": "utf8", "outcome": outcome}
            for key in keys]  # fmt: skip
    return {"schema": "dyn.monitor/v1", "listener": listener, "dropped": dropped, "requests": rows}


def changes(result: Result) -> list[tuple[str, str]]:
    """Key and kind of each change."""
    found = [json.loads(line) for line in result.out.splitlines()]
    return [(document["key"], document["change"]) for document in found]


# One key ----------------------------------------------------------------------------------------------------


def test_each_change_is_told_once_and_ctrl_c_ends_it_well() -> None:
    with cluster(story(MILK, MILK, TWO, TWO, GONE)) as node:
        result = dyn("watch", "k", node=node)
    assert (result.status, result.err) == (130, "")
    assert changes(result) == [("k", "siblings"), ("k", "deleted")]
    first = json.loads(result.out.splitlines()[0])
    assert [value["value"] for value in first["values"]] == ["milk", "beer"]
    assert first["context"] == "c0ntext"


def test_what_is_there_first_is_told_if_wanted() -> None:
    with cluster(MILK) as node:
        assert changes(dyn("watch", "k", "--first", node=node)) == [("k", "value")]


def test_a_new_token_or_the_end_of_a_tombstone_is_no_change() -> None:
    again = reading(version(b"milk", {"n1": 1}), context=b"0ther")
    with cluster(story(MILK, again, GONE, reading())) as node:
        assert changes(dyn("watch", "k", node=node)) == [("k", "deleted")]


def test_the_same_value_written_again_is_a_change() -> None:
    later = reading(version(b"milk", {"n1": 1}, written_at="2027-01-01T00:00:00.000Z"))
    with cluster(story(MILK, later)) as node:
        assert changes(dyn("watch", "k", node=node)) == [("k", "value")]


def test_it_ends_after_so_many_changes(pauses: list[float]) -> None:
    with cluster(story(reading(), MILK, TWO, GONE)) as node:
        result = dyn("watch", "k", "--count", "2", "--interval", "0.2", node=node)
    assert changes(result) == [("k", "value"), ("k", "siblings")]
    assert pauses == [0.2, 0.2]


def test_it_ends_after_so_long() -> None:
    with cluster(MILK) as node:
        assert dyn("watch", "k", "--for", "0.001", node=node).status == 0


def test_what_cannot_be_read_for_a_while_is_said_once_and_gone_on_with() -> None:
    with cluster(story(MILK, Err("UNAVAILABLE no"), Err("UNAVAILABLE no"), TWO)) as node:
        result = dyn("watch", "k", node=node)
    assert changes(result) == [("k", "siblings")]
    assert result.err.count("cannot be read for now") == 1


def test_what_is_wrong_at_once_is_an_error() -> None:
    with cluster(Err("UNAVAILABLE no")) as node:
        assert dyn("watch", "k", node=node).status == 6
    for words in (("watch", ""), ("watch", "k", "--json"), ("watch", "k", "--interval", "60"), ("watch",)):
        assert dyn(*words).status == 2


# A prefix ---------------------------------------------------------------------------------------------------


def test_of_a_prefix_what_clients_wrote_is_read() -> None:
    with cluster(story(MILK, TWO), told(), told("cart:1", "cart:1"), told("cart:2"), told("other")) as node:
        result = dyn("watch", "cart:*", node=node)
    assert changes(result) == [("cart:1", "value"), ("cart:2", "siblings")]
    listening = [words[1:] for words in node.asked if words[0] == b"DYN.MONITOR"]
    assert listening[0] == (
        b"LISTENER", b"0", b"KEY", b"cart:*", b"OP", b"put,del", b"RATE", b"1000",
    )  # fmt: skip
    assert listening[1][1] == b"7"


def test_each_of_several_nodes_is_listened_to_in_full() -> None:
    """All writes of a load may go through one of them."""
    with cluster(MILK, told(), told("a")) as node, cluster(MILK, told(), told("b")) as other:
        addresses = {"n1": node.address, "n2": other.address}
        node.replies["DYN.RING"] = {"members": [{"name": n, "address": a} for n, a in addresses.items()]}
        assert sorted(changes(dyn("watch", "*", node=node))) == [("a", "value"), ("b", "value")]
    for each in (node, other):
        listening = [words for words in each.asked if words[0] == b"DYN.MONITOR"]
        assert listening[0][-2:] == (b"RATE", b"1000")


def test_what_was_written_in_vain_or_read_already_is_no_change() -> None:
    with cluster(MILK, told(), told("a", outcome="UNAVAILABLE"), told("b", outcome="UNKNOWN"), told("b")) as node:
        assert changes(dyn("watch", "*", node=node)) == [("b", "value")]


def test_of_a_prefix_what_is_there_first() -> None:
    with cluster(MILK, told("a"), keys=(b"a", b"b")) as node:
        assert changes(dyn("watch", "*", "--first", node=node)) == [("a", "value"), ("b", "value")]


def test_a_key_that_cannot_be_read_is_tried_again() -> None:
    with cluster(story(Err("UNAVAILABLE no"), MILK), told(), told("a")) as node:
        assert changes(dyn("watch", "*", node=node)) == [("a", "value")]


def test_what_may_be_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching_keys, "PENDING_MAX", 2)
    heard = told(), told("a", dropped=5), told(listener=8), told("b", "c", "d")
    with cluster(MILK, *heard) as node:
        result = dyn("watch", "*", node=node)
    assert "5 more writes, too many" in result.err
    assert "n1 was not listened to for a while" in result.err
    assert "… 1 more write, too many" in result.err
    assert changes(result) == [("a", "value"), ("b", "value"), ("c", "value")]


def test_a_node_that_is_heard_only_later_is_named() -> None:
    with cluster(MILK, told(), told("a")) as node, cluster(MILK) as other:
        replies = [Err("BUSY 4 listen already"), Err("BUSY 4 listen already"), told(listener=3)]
        other.replies["DYN.MONITOR"] = lambda *words: replies.pop(0) if replies else told(listener=3)
        addresses = {"n1": node.address, "n2": other.address}
        node.replies["DYN.RING"] = {"members": [{"name": n, "address": a} for n, a in addresses.items()]}
        result = dyn("watch", "*", node=node)
    assert result.err.count("n2 tells nothing") == 1
    assert result.err.count("n2 was not listened to for a while") == 1
    assert "n1 was" not in result.err


def test_a_node_that_takes_no_listener_is_an_error() -> None:
    with cluster(MILK) as node:
        node.replies["DYN.MONITOR"] = Err("BUSY 4 listen already, which is as many as may")
        assert "4 listen already" in dyn("watch", "*", node=node).err


def test_a_key_that_ends_with_a_star() -> None:
    with cluster(story(reading(), MILK)) as node:
        assert changes(dyn("watch", "a*", "--exact", node=node)) == [("a*", "value")]


@pytest.mark.parametrize("prefix", [b"cart:", b"a*b?[c]\\", b"", bytes(range(256))])
def test_a_prefix_is_no_pattern(prefix: bytes) -> None:
    matches = matcher(literal(prefix) + b"*")
    assert matches(prefix)
    assert matches(prefix + b"x*")
    assert not prefix or not matches(prefix[:-1] + b"\xfe")


# How it is told -----------------------------------------------------------------------------------------------


def test_lines_for_people_and_rows_for_pipes() -> None:
    with cluster(story(reading(), MILK, TWO, GONE)) as node:
        screen = dyn("watch", "k", node=node, terminal=True)
    with cluster(story(reading(), MILK, TWO, GONE)) as node:
        rows = list(csv.reader(io.StringIO(dyn("watch", "k", "-o", "csv", node=node).out)))
    assert screen.out.splitlines() == [
        "12:03:11.402  k  milk  {n1:1}  by ada@host",
        "12:03:11.402  k  ! 2 siblings: milk | beer",
        "12:03:11.402  k  deleted",
    ]
    assert "k has no value; changes from now on, Ctrl-C ends" in screen.err
    assert rows[0] == ["written_at", "change", "key", "value", "clock", "writer"]
    assert [row[1:4] for row in rows[1:]] == [
        ["value", "k", "milk"], ["siblings", "k", "milk"], ["siblings", "k", "beer"], ["deleted", "k", ""],
    ]  # fmt: skip


def test_no_value_commands_the_terminal() -> None:
    evil = Reading(EVIL.encode(), b"", (Version(EVIL.encode() * 50, {EVIL: 1}, None, None, EVIL, EVIL),))
    for columns in (None, 80):
        assert change_line(evil, columns)[:-1].isprintable()
    assert len(change_line(evil, 80)) <= 81


def test_so_many_keys_are_remembered_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dynamo_cli.changed.KNOWN_MAX", 2)
    known = Known()
    readings = [Reading(key, b"", (Version(b"v"),)) for key in (b"a", b"b", b"c")]
    assert [known.changed(each) for each in (*readings, readings[2], readings[0])] == [True, True, True, False, True]


# A command for each change ------------------------------------------------------------------------------------


def test_a_command_has_key_kind_and_value(tmp_path: Path) -> None:
    file = tmp_path / "said"
    line = f'(echo "$DYN_WATCH_KEY $DYN_WATCH_ENC $DYN_WATCH_CHANGE"; cat; echo) >> {file}'
    with cluster(story(MILK, TWO, GONE)) as node:
        result = dyn("watch", "$(touch x)`;", "--first", "--exec", line, node=node)
    assert (result.status, result.out) == (130, "")
    said = file.read_text().splitlines()
    assert said[:2] == ["$(touch x)`; utf8 value", "milk"]
    assert said[2] == "$(touch x)`; utf8 siblings"
    assert [value["value"] for value in json.loads(said[3])["values"]] == ["milk", "beer"]
    assert said[5:] == ["$(touch x)`; utf8 deleted", ""]


def test_a_key_that_no_environment_can_hold_comes_in_base64(tmp_path: Path) -> None:
    with cluster(MILK) as node:
        result = dyn("watch", "a\x01", "--first", "--exec", 'printf "$DYN_WATCH_KEY $DYN_WATCH_ENC"', node=node)
    assert result.out == "YQE= base64"


def test_a_command_that_fails_ends_nothing_and_is_said() -> None:
    with cluster(story(MILK, TWO, GONE)) as node:
        result = dyn("watch", "k", "--exec", "exit 3", node=node)
    assert result.status == 1
    assert result.err.count("k: the command ended with 3") == 2


def test_a_dyn_within_the_command_asks_the_same_cluster() -> None:
    with cluster(MILK) as node:
        result = dyn("watch", "k", "-n", node.address, "--first", "--exec", 'printf "$DYN_NODES"')
    assert result.out == node.address
