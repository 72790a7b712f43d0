"""`dyn cluster status --wait` and `--views`: what is waited for, what of it is lacking, and who believes what."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dynamo_cli.settling import CONVERGED, HEALTHY, NO_TRANSFERS, lacking
from tests.helpers.cli import dyn
from tests.helpers.documents import EVIL, settled, status, transfers, views
from tests.helpers.fake_node import HANG_UP, fake_node


def fine(**more: Any) -> dict[str, Any]:
    """DYN.STATUS of three nodes of which everything is known, and nothing is lacking."""
    told = status(health="healthy", reasons=[], siblings=0, repair={"last_pass_s_ago": 2.0, "divergent": 0})
    up = {**told["nodes"][0], "tombstones": 0}
    told["nodes"] = [{**up, "name": f"n{i}"} for i in (1, 2, 3)]
    return {**told, **more}


def with_node(**facts: Any) -> dict[str, Any]:
    """The same, with other facts of the third node."""
    told = fine()
    told["nodes"][2] |= facts
    return told


@pytest.mark.parametrize(
    ("told", "moves", "word"),
    [
        (with_node(state="down"), settled(), "n3 is down"),
        (with_node(hints=None), settled(), "what it lacks is not known"),
        (fine(views_agree=False), settled(), "differ"),
        (fine(hints=12), settled(), "12 hints"),
        (fine(), transfers(), "the ring moves: leave n3"),
        (fine(transfers=4), settled(), "4 partitions"),
        (fine(repair={"last_pass_s_ago": None, "divergent": None}), settled(), "not compared"),
        (fine(repair={"last_pass_s_ago": 2.0, "divergent": 3}), settled(), "3 keys"),
    ],
)
def test_what_keeps_a_cluster_from_being_converged(told: dict[str, Any], moves: dict[str, Any], word: str) -> None:
    assert lacking(CONVERGED, fine(), settled()) == []
    [said] = lacking(CONVERGED, told, moves)
    assert word in said
    moving = moves["state"] == "moving" or told["transfers"]
    assert bool(lacking(NO_TRANSFERS, told, moves)) == bool(moving)
    assert lacking(HEALTHY, told, moves) == []


@pytest.mark.parametrize("held", [{"keys": 1}, {"tombstones": 1}, {"keys": None}, {}])
def test_nothing_differs_where_nothing_was_ever_written(held: dict[str, Any]) -> None:
    told = fine(repair={"last_pass_s_ago": None, "divergent": None})
    for node in told["nodes"]:
        node |= {"keys": 0, "tombstones": 0, **held}
    assert lacking(CONVERGED, told, settled()) == (["a node has not compared all it owns yet"] if held else [])


def test_it_waits_and_says_when_it_is_so() -> None:
    hints = iter([7, 3, 0])
    with fake_node(DYN_STATUS=lambda: fine(hints=next(hints)), DYN_TRANSFERS=settled()) as node:
        result = dyn("cluster", "status", "--wait", "converged", "--for", "30", "--json", node=node)
    wait = json.loads(result.out)["wait"]
    assert (result.status, result.err, wait["for"], wait["reached"], wait["lacking"]) == (0, "", "converged", True, [])


@pytest.mark.parametrize("terminal", [False, True])
def test_in_vain_it_says_what_is_lacking(terminal: bool) -> None:
    told = fine(hints=12, views_agree=False)
    with fake_node(DYN_STATUS=told, DYN_TRANSFERS=settled()) as node:
        result = dyn("cluster", "status", "--wait", "converged", "--for", "0.01", node=node, terminal=terminal)
    assert result.status == 8
    last = "the nodes differ on members or epoch; 12 hints wait for their owners\n"
    assert result.err.endswith(f"not converged after 0 s: {last}")
    assert ("\r\x1b[Kwaiting for converged: the nodes differ" in result.err) == terminal


def test_a_line_about_the_wait_never_wraps_and_never_commands_the_terminal() -> None:
    told = fine()
    told["nodes"][2] |= {"name": EVIL * 20, "state": "down"}
    with fake_node(DYN_STATUS=told, DYN_TRANSFERS=settled()) as node:
        err = dyn("cluster", "status", "--wait", "converged", "--for", "0.01", node=node, terminal=True).err
    [line] = [line for line in err.split("\r\x1b[K") if line.startswith("waiting")]
    assert len(line) < 80
    assert all(char.isprintable() for char in line)


def test_a_node_that_hangs_up_is_asked_again() -> None:
    answers = iter([HANG_UP, HANG_UP, HANG_UP, HANG_UP])
    with fake_node(DYN_STATUS=lambda: next(answers, fine()), DYN_TRANSFERS=settled()) as node:
        assert dyn("cluster", "status", "--wait", "converged", "--for", "30", node=node).status == 0
    assert dyn("cluster", "status", "--wait", "converged", "--for", "0.01").status == 5


def test_check_asks_for_health_beside_what_is_waited_for() -> None:
    with fake_node(DYN_STATUS=fine(health="degraded"), DYN_TRANSFERS=settled()) as node:
        words = ("cluster", "status", "--wait", "no-transfers")
        assert [dyn(*words, *more, node=node).status for more in ((), ("--check",))] == [0, 8]


def test_views_stand_below_the_status() -> None:
    with fake_node(DYN_STATUS=fine(), DYN_VIEWS=views()) as node:
        words = ("cluster", "status", "--views")
        lines = dyn(*words, "--color", "never", node=node, terminal=True).out.splitlines()
        plain = [line.split("\t") for line in dyn(*words, node=node).out.splitlines()]
        told = json.loads(dyn(*words, "--json", node=node).out)
    assert max(map(len, lines)) <= 80
    assert [line.split() for line in lines[-2:]] == [["n1", "7", "up", "up", "down"], ["n2", "7", "up", "up", "up"]]
    assert not any(line.startswith("views ") for line in lines)
    assert [row[-2:] for row in plain] == [
        ["epoch", "sees"], ["7", "n1=up,n2=up,n3=down"], ["7", "n1=up,n2=up,n3=up"], ["", ""],
    ]  # fmt: skip
    assert told["views"]["agree"] is False
