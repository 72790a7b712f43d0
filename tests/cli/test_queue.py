"""Changes of the ring that meet another one: they wait for their turn; and several nodes at once."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.helpers.cli import Result, dyn
from tests.helpers.documents import change, plan, ring, settled, transfers
from tests.helpers.fake_node import Err, FakeNode, Reply, fake_node

PLAIN = ("--color", "never")
MOVING = Err("REFUSED leave n3: epoch 9 is still moving (join n9): one change at a time")
STALE = Err("REFUSED that was meant for epoch 8, and the ring is in 10: plan it anew")
DECIDING = Err("BUSY another change is being decided here: ask again in a moment")


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dynamo_cli.following.LOOK_S", 0.01)
    monkeypatch.setattr("dynamo_cli.changing.BALLOT_S", 0.05)


def one_after_the_other(*replies: Reply) -> Callable[..., Reply]:
    """Each reply once, the last one over and over."""
    left = list(replies)
    return lambda *words: left.pop(0) if len(left) > 1 else left[0]


def cluster_of(plans: Callable[..., Reply], decisions: Callable[..., Reply]) -> Callable[..., Reply]:
    """What a node says to DYN.CLUSTER PLAN, and to anything else."""
    return lambda verb, *rest: plans() if verb == b"PLAN" else decisions()


def later(epoch: int = 10) -> dict[str, Any]:
    """A plan of a later epoch."""
    return plan(epoch=epoch, id=f"LEAVE:n3:EPOCH:{epoch}")


def asked(node: FakeNode) -> list[str]:
    """What was asked of the ring."""
    return [b" ".join(words[1:]).decode() for words in node.asked if words[0] == b"DYN.CLUSTER"]


@pytest.fixture
def busy() -> Iterator[FakeNode]:
    """A ring that moves when it is asked for a plan, and is settled at the third look."""
    with fake_node(
        DYN_CLUSTER=cluster_of(one_after_the_other(MOVING, later()), one_after_the_other(change("", 11))),
        DYN_RING=ring(3, 8),
        DYN_TRANSFERS=one_after_the_other(transfers(), transfers(), settled()),
    ) as node:
        yield node


def test_a_change_waits_for_the_one_under_way_and_is_planned_anew(busy: FakeNode) -> None:
    result = dyn("cluster", "leave", "n3", "-y", node=busy)
    assert (result.status, result.out) == (0, "epoch 11 moves: leave n3\n")
    assert result.err == (
        "waits for its turn: epoch 9 moves: leave n3; 1 of 3 nodes hold their part, 3 partitions to go, "
        "1,241 rows came; waits because n1: n3\n"
    )
    assert asked(busy) == ["PLAN LEAVE n3", "PLAN LEAVE n3", "COMMIT LEAVE:n3:EPOCH:10"]


def test_a_person_sees_what_it_waits_for_and_is_shown_the_new_plan_only(busy: FakeNode) -> None:
    result = dyn("cluster", "leave", "n3", *PLAIN, node=busy, terminal=True, stdin=b"y\n")
    assert (result.status, result.out) == (0, "epoch 11 moves: leave n3\n")
    lines = result.err.splitlines()
    assert lines[:2] == ["waits for its turn: epoch 9 moves: leave n3", "Ctrl-C ends that, and nothing is done"]
    assert "1 of 3 nodes hold their part" in result.err
    assert result.err.count("plan  leave n3   ring epoch") == 1
    assert "ring epoch 10" in result.err
    waiting = result.err.partition("plan  ")[0].replace("\x1b[K", "").splitlines()
    assert max(map(len, waiting)) <= 80


def test_programs_get_the_result_alone(busy: FakeNode) -> None:
    result = dyn("cluster", "leave", "n3", "-y", "-q", "--json", node=busy)
    assert (json.loads(result.out), result.err) == (change("leave n3", 11), "")


@pytest.mark.parametrize("more", [("--no-wait",), ("--dry-run",)], ids=" ".join)
def test_who_does_not_want_to_wait_is_refused_at_once(busy: FakeNode, more: tuple[str, ...]) -> None:
    result = dyn("cluster", "leave", "n3", "-y", *more, node=busy)
    assert (result.status, result.out, result.err.count("\n")) == (9, "", 1)
    assert "epoch 9 is still moving (join n9): one change at a time" in result.err
    assert asked(busy) == ["PLAN LEAVE n3"]


def test_who_is_refused_as_the_change_before_settles_has_its_turn() -> None:
    """It moved when the plan was wanted, and does not any more when that is looked at."""
    plans, done = one_after_the_other(MOVING, later()), one_after_the_other(change("", 11))
    with fake_node(DYN_CLUSTER=cluster_of(plans, done), DYN_RING=ring(3, 8), DYN_TRANSFERS=settled()) as node:
        assert dyn("cluster", "leave", "n3", "-y", node=node).status == 0
    with fake_node(DYN_CLUSTER=MOVING, DYN_RING=ring(3, 8), DYN_TRANSFERS=settled()) as node:
        assert dyn("cluster", "leave", "n3", "-y", node=node).status == 9
    assert len(asked(node)) == 2, "refused in one epoch twice: that is another reason"


def test_the_wait_has_a_bound_and_then_nothing_was_done() -> None:
    with fake_node(DYN_CLUSTER=MOVING, DYN_RING=ring(3, 8), DYN_TRANSFERS=transfers()) as node:
        result = dyn("cluster", "leave", "n3", "-y", "--for", "30ms", "-q", node=node)
    assert (result.status, result.out) == (9, "")
    assert result.err == (
        "dyn: epoch 9 still moves after 0.03 s: leave n3; nothing was done. "
        "See why: dyn cluster transfers; give it up: dyn cluster abandon\n"
    )
    assert set(asked(node)) == {"PLAN LEAVE n3"}


def test_ctrl_c_ends_the_wait_and_says_that_nothing_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dynamo_cli.following.time.sleep", interrupted)
    with fake_node(DYN_CLUSTER=MOVING, DYN_RING=ring(3, 8), DYN_TRANSFERS=transfers()) as node:
        result = dyn("cluster", "leave", "n3", "-y", node=node)
    assert (result.status, result.out) == (130, "")
    assert result.err.endswith("\nnot waited for any longer: nothing was done\n")
    assert asked(node) == ["PLAN LEAVE n3"]


@pytest.mark.parametrize(
    "refusal",
    [
        STALE,
        Err("REFUSED another change was decided first: epoch 9, join n9"),
        Err("UNAVAILABLE membership cannot change here: promised to a later ballot"),
    ],
)
def test_who_is_overtaken_between_plan_and_commit_plans_anew(refusal: Err) -> None:
    """The plan that was shown is void, so it is shown and asked about once more."""
    with fake_node(
        DYN_CLUSTER=cluster_of(one_after_the_other(plan(), later()), one_after_the_other(refusal, change("", 11))),
        DYN_TRANSFERS=settled(10),
    ) as node:
        result = dyn("cluster", "leave", "n3", *PLAIN, node=node, terminal=True, stdin=b"y\ny\n")
    assert (result.status, result.out) == (0, "epoch 11 moves: leave n3\n")
    assert result.err.count("Do it? [y/N] ") == 2
    assert ": planned anew\n" in result.err
    assert asked(node) == ["PLAN LEAVE n3", "COMMIT LEAVE:n3:EPOCH:8", "PLAN LEAVE n3", "COMMIT LEAVE:n3:EPOCH:10"]


def test_of_two_ballots_that_stopped_each_other_it_shows_soon_whether_the_other_one_won() -> None:
    outbid = Err("UNAVAILABLE membership cannot change here: promised to a later ballot")
    with fake_node(
        DYN_CLUSTER=cluster_of(one_after_the_other(plan(), later()), one_after_the_other(outbid, change("", 11))),
        DYN_TRANSFERS=one_after_the_other(settled(8), settled(8), settled(10)),
    ) as node:
        assert dyn("cluster", "leave", "n3", "-y", node=node).status == 0
        assert asked(node)[-1] == "COMMIT LEAVE:n3:EPOCH:10"


def test_a_node_that_plans_for_a_stale_epoch_over_and_over_is_believed_twice() -> None:
    with fake_node(
        DYN_CLUSTER=cluster_of(one_after_the_other(plan()), one_after_the_other(STALE)), DYN_TRANSFERS=settled(10)
    ) as node:
        assert dyn("cluster", "leave", "n3", "-y", node=node).status == 9
        assert len(asked(node)) == 4


def test_a_refusal_for_another_reason_ends_it() -> None:
    """No ring has changed: n3 is not dead, or there is no majority."""
    for refusal, status in (Err("REFUSED n3 answers n2"), 9), (Err("UNAVAILABLE 1 of the 2 voters needed agree"), 6):
        with fake_node(
            DYN_CLUSTER=cluster_of(one_after_the_other(plan()), one_after_the_other(refusal)), DYN_TRANSFERS=settled(8)
        ) as node:
            assert dyn("cluster", "leave", "n3", "-y", node=node).status == status
            assert len(asked(node)) == 2


def test_a_node_that_is_at_a_decision_is_asked_again() -> None:
    """For a commit, too: nothing was done."""
    for words in ("leave", "n3"), ("commit", "LEAVE:n3:EPOCH:8"):
        with fake_node(
            DYN_CLUSTER=cluster_of(one_after_the_other(plan()), one_after_the_other(DECIDING, DECIDING, change()))
        ) as node:
            result = dyn("cluster", *words, "-y", node=node)
            assert (result.status, asked(node).count("COMMIT LEAVE:n3:EPOCH:8")) == (0, 3), result.err
    with fake_node(DYN_CLUSTER=cluster_of(one_after_the_other(plan()), one_after_the_other(DECIDING))) as node:
        result = dyn("cluster", "leave", "n3", "-y", "--no-wait", node=node)
    assert (result.status, len(asked(node))) == (9, 2)
    assert "another change is being decided here" in result.err


class OneRing:
    """A ring for several operators: a change moves for three looks, a plan is good for its epoch."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.epoch, self.looks = 8, 0
        self.done: list[str] = []

    def cluster(self, verb: bytes, *words: bytes) -> Reply:
        with self.lock:
            if verb == b"PLAN":
                name = words[1].decode()
                if self.looks:
                    return MOVING
                return plan(name, epoch=self.epoch, id=f"LEAVE:{name}:EPOCH:{self.epoch}")
            _, name, _, epoch = words[0].decode().split(":")
            if self.looks or int(epoch) != self.epoch:
                return STALE
            self.epoch, self.looks = self.epoch + 1, 3
            self.done.append(name)
            return change(f"leave {name}", self.epoch)

    def transfers(self) -> Reply:
        with self.lock:
            if not self.looks:
                return settled(self.epoch)
            self.looks -= 1
            if self.looks:
                return transfers(epoch=self.epoch)
            self.epoch += 1
            return settled(self.epoch)


def test_of_operators_at_once_each_gets_done_one_after_the_other() -> None:
    state, results = OneRing(), dict[str, Result]()
    with fake_node(DYN_CLUSTER=state.cluster, DYN_TRANSFERS=state.transfers, DYN_RING=ring(3, 8)) as node:

        def operate(name: str) -> None:
            results[name] = dyn("cluster", "leave", name, "-y", "--for", "20", node=node)

        threads = [threading.Thread(target=operate, args=(name,)) for name in ("n1", "n2", "n3")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {name: result.status for name, result in results.items()} == dict.fromkeys(("n1", "n2", "n3"), 0)
    assert sorted(state.done) == ["n1", "n2", "n3"]


def test_rotate_waits_for_its_turn_too() -> None:
    done = change("all learn a new context secret", 11, "settled")
    looks = one_after_the_other(transfers(), transfers(), settled())
    replies = one_after_the_other(MOVING, STALE, done)
    with fake_node(DYN_CLUSTER=replies, DYN_RING=ring(3, 8), DYN_TRANSFERS=looks) as node:
        assert dyn("cluster", "rotate", "-y", "--no-wait", node=node).status == 9
        assert asked(node) == ["ROTATE EPOCH 9"]
    looks = one_after_the_other(transfers(), transfers(), settled(), settled(), settled(12))
    replies = one_after_the_other(MOVING, STALE, done)
    with fake_node(DYN_CLUSTER=replies, DYN_RING=ring(3, 8), DYN_TRANSFERS=looks) as node:
        assert dyn("cluster", "rotate", "-y", node=node).status == 0
        assert asked(node) == ["ROTATE EPOCH 9", "ROTATE EPOCH 10", "ROTATE EPOCH 12"]


# Several at once --------------------------------------------------------------------------------------


def removal(**more: Any) -> dict[str, Any]:
    """The plan of a removal of two."""
    return plan(change="remove n3 n4", id="REMOVE:n3:n4:EPOCH:8", **more)


def removing(document: dict[str, Any]) -> Callable[..., Reply]:
    return cluster_of(one_after_the_other(document), one_after_the_other(change("remove n3 n4")))


def test_several_dead_are_removed_at_once() -> None:
    with fake_node(DYN_CLUSTER=removing(removal(lost=0, doubtful=0))) as node:
        result = dyn("cluster", "remove", "n3", "n4", "-y", node=node)
    assert (result.status, result.out) == (0, "epoch 9 moves: remove n3 n4\n")
    assert asked(node) == ["PLAN REMOVE n3 n4", "COMMIT REMOVE:n3:n4:EPOCH:8"]


def test_what_may_be_lost_is_shown_and_must_be_accepted_by_its_number() -> None:
    document = removal(lost=5, doubtful=72)
    with fake_node(DYN_CLUSTER=removing(document)) as node:
        shown = dyn("cluster", "plan", "remove", "n3", "n4", *PLAIN, node=node, terminal=True).out.splitlines()
        assert "lost        5 partitions: no owner of them is left" in shown
        assert "in doubt    72 partitions: what only these nodes have acknowledged is lost" in shown
        assert shown[-1] == "dyn cluster commit REMOVE:n3:n4:EPOCH:8 --accept-loss 77"
        for more, tried in ((), "remove n3 n4"), (("--accept-loss", "76"), "remove n3 n4"):
            result = dyn("cluster", "remove", "n3", "n4", "-y", *more, node=node)
            assert (result.status, result.out) == (9, "")
            assert result.err == (
                f"dyn: {tried}: 5 partitions keep no owner and in 72 partitions these nodes may have acknowledged "
                "writes alone. If that is accepted: dyn cluster remove n3 n4 --accept-loss 77\n"
            )
        assert {words.split()[0] for words in asked(node)} == {"PLAN"}


def test_accepted_it_is_told_to_the_node_that_does_it() -> None:
    accepted = {**removal(lost=5, doubtful=72), "id": "REMOVE:n3:n4:ACCEPT:77:EPOCH:8"}
    with fake_node(DYN_CLUSTER=removing(accepted)) as node:
        assert dyn("cluster", "remove", "n3", "n4", "--accept-loss", "77", "-y", node=node).status == 0
        assert asked(node) == ["PLAN REMOVE n3 n4 ACCEPT 77", "COMMIT REMOVE:n3:n4:ACCEPT:77:EPOCH:8"]
    for plan_id, more in ("REMOVE:n3:n4:EPOCH:8", ("--accept-loss", "77")), ("REMOVE:n3:n4:ACCEPT:77:EPOCH:8", ()):
        with fake_node(DYN_CLUSTER=removing(accepted)) as node:
            assert dyn("cluster", "commit", plan_id, *more, "-y", node=node).status == 0
            assert asked(node)[-1] == "COMMIT REMOVE:n3:n4:ACCEPT:77:EPOCH:8"
    with fake_node(DYN_CLUSTER=removing(accepted)) as node:
        result = dyn("cluster", "commit", "REMOVE:n3:n4:EPOCH:8", "-y", node=node)
        assert result.status == 9
        assert "If that is accepted: dyn cluster commit REMOVE:n3:n4:EPOCH:8 --accept-loss 77" in result.err


def test_of_a_ring_where_nothing_is_at_stake_nothing_is_accepted() -> None:
    with fake_node(DYN_CLUSTER=removing(removal(lost=0, doubtful=0))) as node:
        result = dyn("cluster", "remove", "n3", "n4", "--accept-loss", "3", "-y", node=node)
    assert (result.status, len(asked(node))) == (9, 1)
    assert result.err == "dyn: remove n3 n4: nothing is at stake. As it is: dyn cluster remove n3 n4\n"


def test_zones_are_given_to_several_nodes_in_one_change() -> None:
    with fake_node(DYN_CLUSTER=removing(plan())) as node:
        assert dyn("cluster", "zone", "n1", "east", "n2", "west", "-y", node=node).status == 0
        assert dyn("cluster", "plan", "zone", "n1", "east", node=node).status == 0
        assert asked(node)[::2] == ["PLAN ZONE n1 east n2 west", "PLAN ZONE n1 east"]


@pytest.mark.parametrize(
    "words",
    [
        ("zone", "n1"),
        ("zone", "n1", "east", "n2"),
        ("plan", "zone", "n1"),
        ("plan", "zone", "n1", "east", "n2"),
        ("plan", "replace", "n1", "n2", "n3"),
        ("plan", "weight", "n1", "2", "3"),
        ("remove",),
        ("remove", "n1", "n2", "--force"),
        ("remove", "n1", "--force", "--accept-loss", "3"),
        ("remove", "n1", "--accept-loss", "0"),
        ("remove", "n1", "--accept-loss", "x"),
        ("commit", "REMOVE:n1:EPOCH:8", "--accept-loss", "9999999"),
    ],
    ids=" ".join,
)
def test_what_makes_no_sense_asks_nobody(words: tuple[str, ...]) -> None:
    with fake_node() as node:
        result = dyn("cluster", *words, "-y", node=node)
        assert (result.status, result.out, node.asked) == (2, "", [])
    assert result.err.count("\n") == 1
