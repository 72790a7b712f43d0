"""`dyn cluster plan` and what carries one out: nothing is done unasked, and only what was shown, in its epoch."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.helpers.cli import Result, dyn
from tests.helpers.documents import change, plan, ring, settled, transfers
from tests.helpers.fake_node import HANG, HANG_UP, Err, FakeNode, Reply, fake_node

PLAIN = ("--color", "never")


def answering(decided: Reply = None) -> Callable[..., Reply]:
    """What a node says to DYN.CLUSTER: the plan, and then what was decided."""

    def answer(verb: bytes, *rest: bytes) -> Reply:
        return plan() if verb == b"PLAN" else (decided or change())

    return answer


@pytest.fixture
def node() -> Iterator[FakeNode]:
    with fake_node(DYN_CLUSTER=answering(), DYN_RING=ring(3, 256), DYN_TRANSFERS=settled()) as made:
        yield made


def asked(node: FakeNode) -> list[str]:
    """What was asked of the ring."""
    return [b" ".join(words[1:]).decode() for words in node.asked if words[0] == b"DYN.CLUSTER"]


# The plan ---------------------------------------------------------------------------------------------


def test_a_plan_says_what_moves_between_whom_and_ends_with_the_command_that_does_it(node: FakeNode) -> None:
    lines = dyn("cluster", "plan", "leave", "n3", *PLAIN, node=node, terminal=True).out.splitlines()
    assert lines[0] == "plan  leave n3   ring epoch 8"
    assert "n2      n1         128  1,280  192.0 KiB" in lines
    assert "in all             256  2,560  384.0 KiB" in lines
    assert "n3      85 -> 0    256 -> 0" in lines
    assert "efficiency  1.00 -> 0.88: mean by greatest number of replicas" in lines
    assert "at risk     3 partitions have an owner that does not answer" in lines
    assert "takes       about 1m 15s" in lines
    assert lines[-1] == "dyn cluster commit LEAVE:n3:EPOCH:8"
    assert max(map(len, lines)) <= 80


def test_a_plan_for_programs(node: FakeNode) -> None:
    words = ("cluster", "plan", "leave", "n3")
    assert json.loads(dyn(*words, "--json", node=node).out) == plan()
    rows = dyn(*words, node=node).out.splitlines()
    assert rows[:2] == ["from\tto\tpartitions\tkeys\tbytes", "n2\tn1\t128\t1280\t196608"]
    assert list(csv.reader(io.StringIO(dyn(*words, "-o", "csv", node=node).out)))[1] == rows[1].split("\t")
    assert [json.loads(line) for line in dyn(*words, "-o", "jsonl", node=node).out.splitlines()] == plan()["moves"]
    assert dyn(*words, "-o", "value", node=node).status == 2


def test_what_nobody_knows_is_a_question_mark() -> None:
    moves = [{**move, "keys": None, "bytes": None} for move in plan()["moves"]]
    unknown = plan(moves=moves, keys=None, bytes=None, seconds=None, at_risk=0)
    with fake_node(DYN_CLUSTER=unknown) as node:
        out = dyn("cluster", "plan", "leave", "n3", *PLAIN, node=node, terminal=True).out
        assert dyn("cluster", "plan", "leave", "n3", node=node).out.splitlines()[1] == "n2\tn1\t128\t\t"
    assert "n2      n1         128     ?     ?" in out
    assert "nobody could say how long" in out
    assert "none: every partition has all its owners" in out


def test_a_plan_of_many_nodes_fits_and_says_what_is_left_out() -> None:
    names = [f"node-with-a-rather-long-name-{i}" for i in range(60)]
    moves = [{"from": a, "to": b, "partitions": i, "keys": 10**9, "bytes": 10**12}
             for i, (a, b) in enumerate(zip(names, names[1:], strict=False))]  # fmt: skip
    held = {"efficiency": 0.9, "partitions": dict.fromkeys(names, 4000), "replicas": dict.fromkeys(names, 12_000)}
    with fake_node(DYN_CLUSTER=plan("x" * 64, moves=moves, before=held, after=held)) as node:
        lines = dyn("cluster", "plan", "leave", "n1", *PLAIN, node=node, terminal=True).out.splitlines()
        wide = dyn("cluster", "plan", "leave", "n1", *PLAIN, "-o", "wide", node=node, terminal=True).out
    assert max(map(len, lines)) <= 80
    assert "… 35 more: -o wide" in lines
    assert "… 36 more: -o wide" in lines
    assert "more: -o wide" not in wide
    assert all(name in wide for name in names)


def steps(short: int = 0, one_left: int = 0, none_left: int = 0, no_quorum: int = 0) -> list[dict[str, Any]]:
    """As a plan has them: all is well when it is settled."""
    risks = {"short": short, "one_left": one_left, "none_left": none_left, "no_quorum": no_quorum}
    now, moving = {"step": "now", **risks}, {"step": "moving", **risks, "short": short * 2}
    return [now, moving, {"step": "settled", **dict.fromkeys(risks, 0)}]


def test_a_plan_says_what_is_at_risk_at_each_step_and_what_keeps_it_from_its_end() -> None:
    more = {
        "steps": steps(1230, 76, 0, 76), "votes": {"voters": 5, "needed": 3, "up": 2},
        "waits": {"partitions": 76, "nodes": ["n4", "n5"]}, "pace": {"node": "n2", "rows_s": 2000},
    }  # fmt: skip
    with fake_node(DYN_CLUSTER=plan(**more)) as node:
        lines = dyn("cluster", "plan", "leave", "n3", *PLAIN, node=node, terminal=True).out.splitlines()
    assert "takes       about 1m 15s: n2, the slowest, is granted 2,000 rows/s now" in lines
    assert "waits       for n4, n5: 76 partitions cannot be taken in without" in lines
    assert "votes       2 of 5 voters answer, 3 are needed" in lines
    assert [line.split() for line in lines if line.startswith(("now", "while it moves", "when it is"))] == [
        ["now", "1,230", "76", "0", "76"],
        ["while", "it", "moves", "2,460", "76", "0", "76"],
        ["when", "it", "is", "settled", "0", "0", "0", "0"],
    ]
    assert max(map(len, lines)) <= 80
    well = {"steps": steps(), "votes": {"voters": 5, "needed": 3, "up": 5}, "waits": None, "pace": None, "at_risk": 0}
    with fake_node(DYN_CLUSTER=plan(**well)) as node:
        out = dyn("cluster", "plan", "leave", "n3", *PLAIN, node=node, terminal=True).out
    assert "at risk     none: every partition has all its owners\n" in out
    assert not [word for word in ("waits", "votes", "PARTITIONS WITH", "NO STRICT") if word in out]


@pytest.mark.parametrize(
    ("words", "sent"),
    [
        (("leave", "n3"), "LEAVE n3"),
        (("remove", "n3"), "REMOVE n3"),
        (("replace", "n3", "n6"), "REPLACE n3 n6"),
        (("weight", "n3", "2"), "WEIGHT n3 2"),
    ],
)
def test_each_change_is_planned_and_then_done_by_the_plans_id(
    node: FakeNode, words: tuple[str, ...], sent: str
) -> None:
    assert dyn("cluster", "plan", *words, node=node).status == 0
    assert asked(node) == [f"PLAN {sent}"]
    result = dyn("cluster", *words, "-y", node=node)
    assert (result.status, result.out, result.err) == (0, "epoch 9 moves: leave n3\n", "")
    assert asked(node)[1:] == [f"PLAN {sent}", "COMMIT LEAVE:n3:EPOCH:8"]


@pytest.mark.parametrize(
    "words",
    [
        ("plan",),
        ("plan", "join", "n3"),
        ("plan", "leave"),
        ("plan", "leave", "n3", "n4"),
        ("plan", "replace", "n3"),
        ("plan", "weight", "n3"),
        ("plan", "weight", "n3", "0"),
        ("plan", "weight", "n3", "1001"),
        ("weight", "n3", "two"),
        ("weight", "n3"),
        ("replace", "n3"),
        ("commit", "foo"),
        ("commit", "LEAVE:n3"),
        ("commit", "ABANDON:EPOCH:8"),
        ("leave", "n3", "--for", "0"),
    ],
)
def test_what_makes_no_sense_asks_nobody(node: FakeNode, words: tuple[str, ...]) -> None:
    result = dyn("cluster", *words, node=node)
    assert (result.status, result.out, node.asked) == (2, "", [])
    assert result.err.count("\n") == 1


# Doing it ---------------------------------------------------------------------------------------------


def test_a_person_sees_the_plan_and_is_asked(node: FakeNode) -> None:
    refused = dyn("cluster", "leave", "n3", *PLAIN, node=node, terminal=True, stdin=b"n\n")
    assert (refused.status, refused.out) == (9, "")
    assert "plan  leave n3   ring epoch 8" in refused.err
    assert "leave n3: 256 partitions move, 384.0 KiB to copy. Do it? [y/N] " in refused.err
    assert "dyn cluster commit" not in refused.err
    assert asked(node) == ["PLAN LEAVE n3"]
    done = dyn("cluster", "leave", "n3", *PLAIN, node=node, terminal=True, stdin=b"y\n")
    assert (done.status, done.out) == (0, "epoch 9 moves: leave n3\n")
    assert done.err.endswith("Next:  dyn cluster transfers --watch\n")
    assert asked(node)[-1] == "COMMIT LEAVE:n3:EPOCH:8"


@pytest.mark.parametrize("output", ["plain", "json", "table"])
def test_without_a_terminal_nothing_is_done_unless_it_is_confirmed(node: FakeNode, output: str) -> None:
    for words in (("leave", "n3"), ("commit", "LEAVE:n3:EPOCH:8"), ("remove", "n3", "--force")):
        result = dyn("cluster", *words, "-o", output, node=node)
        assert (result.status, result.out, result.err.count("\n")) == (9, "", 1)
        assert "Pass --yes to confirm" in result.err
    assert not [words for words in asked(node) if not words.startswith("PLAN")]


def test_a_dry_run_ends_with_the_plan(node: FakeNode) -> None:
    for words in (("leave", "n3"), ("commit", "LEAVE:n3:EPOCH:8"), ("weight", "n3", "2"), ("remove", "n3", "--force")):
        result = dyn("cluster", *words, "--dry-run", "--json", node=node)
        assert (result.status, json.loads(result.out)) == (0, plan())
    assert not [words for words in asked(node) if not words.startswith("PLAN")]
    shown = dyn("cluster", "leave", "n3", "--dry-run", *PLAIN, node=node, terminal=True)
    assert shown.out.endswith("\ndyn cluster commit LEAVE:n3:EPOCH:8\n")


def test_commit_does_what_was_shown_in_its_epoch(node: FakeNode) -> None:
    result = dyn("cluster", "commit", "LEAVE:n3:EPOCH:8", "-y", "--json", node=node)
    assert json.loads(result.out) == change()
    assert asked(node) == ["PLAN LEAVE n3 EPOCH 8", "COMMIT LEAVE:n3:EPOCH:8"]
    assert dyn("cluster", "commit", "LEAVE:n3:EPOCH:8", "-y", "-o", "value", node=node).out == "9"


STALE = Err("REFUSED that was meant for epoch 8, and the ring is in 10: plan it anew")


def test_a_ring_that_has_changed_since_refuses() -> None:
    with fake_node(DYN_CLUSTER=answering(STALE)) as node:
        result = dyn("cluster", "leave", "n3", "-y", node=node)
    assert (result.status, result.out) == (9, "")
    assert result.err == ("dyn: that was meant for epoch 8, and the ring is in 10: plan it anew. "
                          "See how it is: dyn cluster status\n")  # fmt: skip
    with fake_node(DYN_CLUSTER=STALE) as node:
        assert dyn("cluster", "commit", "LEAVE:n3:EPOCH:8", "-y", node=node).status == 9
        assert len(node.asked) == 1


@pytest.mark.parametrize("reply", [HANG, HANG_UP, Err("UNKNOWN membership: 1 of 2 voters agree")])
def test_a_change_is_asked_for_once_and_says_where_to_look(reply: Reply) -> None:
    with fake_node(DYN_CLUSTER=answering(reply)) as first, fake_node(DYN_CLUSTER=answering()) as second:
        nodes = ("-n", first.address, "-n", second.address)
        result = dyn("cluster", "leave", "n3", "-y", "--timeout", "0.2", *nodes)
        assert not second.asked
    assert result.status == 7
    assert "dyn cluster transfers" in result.err
    assert "written" not in result.err


def test_a_node_that_is_gone_at_once_is_named_as_it_was() -> None:
    """Its name goes with it: the ring knows an id."""
    with fake_node(DYN_CLUSTER=answering(change("remove 0db75313", 10, "settled"))) as node:
        result = dyn("cluster", "leave", "n3", "-y", "--wait", node=node)
        assert [words[0] for words in node.asked] == [b"DYN.CLUSTER"] * 2
    assert result.out == "epoch 10 is settled: leave n3\n"


def test_force_says_what_it_risks(node: FakeNode) -> None:
    result = dyn("cluster", "remove", "n2", "--force", *PLAIN, node=node, terminal=True, stdin=b"yes\n")
    assert result.status == 0
    assert "If n2 is alive after all, it goes on with the old ring" in result.err
    assert "what it took alone is lost" in result.err
    assert "Is n2 gone for good? [y/N] " in result.err
    assert "plan  " not in result.err
    assert asked(node) == ["PLAN REMOVE n2 FORCE", "COMMIT LEAVE:n3:EPOCH:8"]
    by_id = dyn("cluster", "commit", "REMOVE:n2:FORCE:EPOCH:8", "-y", node=node)
    assert "what it took alone is lost" in by_id.err
    assert asked(node)[2:] == ["PLAN REMOVE n2 FORCE EPOCH 8", "COMMIT REMOVE:n2:FORCE:EPOCH:8"]


def test_abandon_gives_up_what_is_under_way_and_nothing_else() -> None:
    with fake_node(DYN_TRANSFERS=transfers(), DYN_CLUSTER=change("", 10, "settled")) as node:
        dry = dyn("cluster", "abandon", "--dry-run", "--json", node=node)
        assert json.loads(dry.out) == change("leave n3", 9)
        assert dyn("cluster", "abandon", node=node).status == 9
        assert asked(node) == []
        result = dyn("cluster", "abandon", *PLAIN, node=node, terminal=True, stdin=b"y\n")
        assert "epoch 9 moves: leave n3. Give it up? [y/N] " in result.err
        assert result.out == "epoch 10 is settled: the ring is what it was, and nothing moves\n"
        assert asked(node) == ["ABANDON EPOCH 9"]
    with fake_node(DYN_TRANSFERS=settled()) as node:
        result = dyn("cluster", "abandon", "-y", node=node)
        assert (result.status, asked(node)) == (9, [])
        assert "nothing moves: ring epoch 10 is settled" in result.err


def test_rotate_asks_before_it_has_a_new_secret_made() -> None:
    with fake_node(
        DYN_TRANSFERS=settled(), DYN_CLUSTER=change("all learn a new context secret", 11, "settled")
    ) as node:
        assert dyn("cluster", "rotate", node=node).status == 9
        assert asked(node) == []
        result = dyn("cluster", "rotate", *PLAIN, node=node, terminal=True, stdin=b"y\n")
        assert "Make a new context secret? [y/N] " in result.err
        assert result.out == "epoch 11 is settled: all learn a new context secret\n"
        assert asked(node) == ["ROTATE EPOCH 10"]


# Waiting ----------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dynamo_cli.following.LOOK_S", 0.01)


def waited(*looks: Any, more: tuple[str, ...] = (), terminal: bool = False) -> Result:
    """`leave n3 --wait`, while a node tells these documents one after the other, the last one over and over."""
    left = list(looks)
    with fake_node(DYN_CLUSTER=answering(), DYN_RING=ring(3, 8)) as node:
        node.replies["DYN.TRANSFERS"] = lambda: left.pop(0) if len(left) > 1 else left[0]
        return dyn("cluster", "leave", "n3", "-y", "--wait", *more, node=node, terminal=terminal)


def test_wait_ends_when_the_ring_is_settled() -> None:
    """The name of who has left is in no later document."""
    end = settled(10, "leave 154ab405")
    result = waited(settled(8, None), transfers(), end)
    assert (result.status, result.out, result.err) == (
        0,
        "epoch 9 moves: leave n3\nepoch 10 is settled: leave n3\n",
        "",
    )
    assert json.loads(waited(transfers(), end, more=("--json",)).out) == change("leave n3", 10, "settled")
    assert waited(transfers(), settled(12, "join n9")).status == 0


def test_wait_shows_progress_to_a_person_only() -> None:
    shown = waited(transfers(idle_s=5), transfers(), settled(), terminal=True, more=PLAIN).err
    progress = [line.rpartition("\r")[2] for line in shown.split("\x1b[K") if "hold their part" in line]
    assert progress[0] == "1 of 3 nodes hold their part, 3 partitions to go, 1,241 rows came"
    assert progress[1].startswith(f"{progress[0]}; waits b")
    assert max(map(len, progress)) < 80
    assert shown.endswith("\r\x1b[K")
    assert waited(transfers(), settled(), terminal=True, more=("-q",)).err == ""


def test_wait_is_no_longer_than_it_is_told() -> None:
    result = waited(transfers(), more=("--for", "30ms", "--json"))
    assert (result.status, result.out) == (7, "")
    assert json.loads(result.err)["error"]["message"] == "epoch 9 still moves after 0.03 s: leave n3"


def test_wait_tells_that_it_was_given_up() -> None:
    result = waited(transfers(), settled(10, None))
    assert (result.status, result.out) == (1, "epoch 9 moves: leave n3\n")
    assert result.err.startswith("dyn: given up: leave n3; the ring of epoch 10 is the one before. ")


def test_wait_goes_on_with_another_member_when_the_one_that_was_asked_is_gone() -> None:
    """Who leaves stops; and what a member says of its address may be anything."""
    with fake_node(DYN_TRANSFERS=settled()) as other:
        document = ring(3, 8)
        for member, address in zip(document["members"], ("a:b:c", "127.0.0.1:1", other.address), strict=True):
            member["address"] = address
        looks = iter([transfers(), HANG_UP])
        with fake_node(DYN_CLUSTER=answering(), DYN_RING=document, DYN_TRANSFERS=lambda: next(looks)) as leaver:
            result = dyn("cluster", "leave", "n3", "-y", "--wait", node=leaver)
        assert len(other.asked) == 1
    assert (result.status, result.out.splitlines()[-1]) == (0, "epoch 10 is settled: leave n3")
