"""`dyn cluster events`: what all nodes noted, in one list; what is left out; and how it goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.helpers.cli import Result, dyn
from tests.helpers.fake_node import HANG, HANG_UP, FakeNode, fake_node


def at(second: int) -> str:
    return f"2026-11-23T12:03:{second:02d}.402Z"


def noted(when: str, kind: str, **fields: object) -> dict[str, Any]:
    return {"at": when, "kind": kind, **fields}


UP = noted(at(3), "peer_up", node="n2", address="127.0.0.1:1")
DOWN = noted(at(1), "peer_down", node="n1", address="127.0.0.1:2")
REPAIRED = noted(at(2), "repaired", node="n1", differing=3, repaired=3, failed=0)


class Nodes:
    """Three nodes of one ring, each with what it noted."""

    def __init__(self, stack: ExitStack) -> None:
        self.made: dict[str, FakeNode] = {}
        for name in ("n1", "n2", "n3"):
            self.made[name] = stack.enter_context(fake_node(DYN_RING=lambda: self.ring))
            self.tells(name)

    @property
    def ring(self) -> dict[str, Any]:
        return {"members": [{"name": name, "address": node.address} for name, node in self.made.items()]}

    def tells(self, name: str, *events: dict[str, Any]) -> None:
        self.made[name].replies["DYN.EVENTS"] = {"schema": "dyn.events/v1", "events": list(events)}

    def events(self, *words: str, terminal: bool = False) -> Result:
        return dyn("cluster", "events", *words, node=self.made["n1"], terminal=terminal)


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    with ExitStack() as stack:
        made = Nodes(stack)
        made.tells("n1", UP)
        made.tells("n2", DOWN, REPAIRED)
        yield made


def test_what_all_nodes_noted_is_one_list_by_time(nodes: Nodes) -> None:
    told = json.loads(nodes.events("-o", "json").out)
    assert [(event["by"], event["kind"], event["level"]) for event in told["events"]] == [
        ("n2", "peer_down", "warn"), ("n2", "repaired", "info"), ("n1", "peer_up", "info"),
    ]  # fmt: skip
    assert told["events"][0]["node"] == "n1", "whom it concerns is another thing than who noted it"
    assert told["events"][2]["said"] == "n2 is up (127.0.0.1:1)"
    screen = nodes.events("--color", "never", terminal=True).out.splitlines()
    assert screen[1] == "2026-11-23 12:03:01  n2        n1 is down (127.0.0.1:2)"
    assert max(map(len, screen)) <= 80


@pytest.mark.parametrize(
    ("words", "kinds"),
    [
        (("--last", "1"), ["peer_up"]),
        (("--level", "warn"), ["peer_down"]),
        (("--level", "error"), []),
        (("--since", "1h"), ["recent"]),
        (("--since", "1h", "--last", "5"), ["recent"]),
        ((), ["peer_down", "repaired", "peer_up", "recent"]),
    ],
)
def test_what_is_left_out(nodes: Nodes, words: tuple[str, ...], kinds: list[str]) -> None:
    now = (datetime.now(UTC) - timedelta(minutes=1)).isoformat().replace("+00:00", "Z")
    if "--last" not in words or "--since" in words:
        nodes.tells("n3", noted(now, "recent"))
    told = json.loads(nodes.events("-o", "json", *words).out)
    assert [event["kind"] for event in told["events"]] == kinds


def test_what_another_release_leaves_out_is_unknown_and_no_crash(nodes: Nodes) -> None:
    nodes.tells(
        "n2", {"kind": "peer_down", "by": "x", "level": "y"}, {"at": at(5)}, {"at": 7, "kind": None}, {"at": "x"}
    )
    nodes.made["n3"].replies["DYN.EVENTS"] = {"events": [None, "x", 3]}
    for words in ((), ("--since", "1d"), ("--level", "warn")):
        for form in ("json", "plain", "table"):
            assert nodes.events(*words, "-o", form, terminal=True).status == 0
    told = json.loads(nodes.events("-o", "json").out)["events"]
    assert [(event["at"], event["by"], event["kind"], event["level"]) for event in told] == [
        (None, "n2", "peer_down", "warn"), (None, "n2", None, "info"), (at(3), "n1", "peer_up", "info"),
        (at(5), "n2", None, "info"), ("x", "n2", None, "info"),
    ]  # fmt: skip


@pytest.mark.parametrize("reply", [HANG, HANG_UP])
def test_a_node_that_tells_nothing_is_named_and_costs_its_own_time_only(nodes: Nodes, reply: object) -> None:
    nodes.made["n3"].replies["DYN.EVENTS"] = reply
    nodes.made["n2"].replies["DYN.EVENTS"] = reply
    told = nodes.events("-o", "json", "--timeout", "0.3")
    assert told.status == 0
    assert [each["node"] for each in json.loads(told.out)["silent"]] == ["n2", "n3"]
    plain = nodes.events("-o", "plain", "--timeout", "0.3")
    assert "n3 tells nothing: " in plain.err
    assert "  ! n3 tells nothing: " in nodes.events("-o", "table", "--timeout", "0.3").out


def test_it_goes_on_with_what_is_new_until_ctrl_c(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each event once; a node that was silent tells later what it noted meanwhile; the heading stands once."""
    nodes.made["n3"].replies["DYN.EVENTS"] = HANG_UP
    later = noted(at(9), "peer_heard", node="n2")
    late = noted(at(4), "peer_up")
    steps = iter([lambda: nodes.tells("n1", UP, later), lambda: None, lambda: nodes.tells("n3", late)])

    def sleep(seconds: float) -> None:
        step = next(steps, None)
        if step is None:
            raise KeyboardInterrupt
        step()

    monkeypatch.setattr("dynamo_cli.commands.events.time.sleep", sleep)
    told = nodes.events("-f", "-o", "plain", "--level", "info")
    assert told.status == 130
    lines = [line.split("\t")[:4:3] for line in told.out.splitlines()]
    assert lines == [["at", "kind"], [at(1), "peer_down"], [at(2), "repaired"], [at(3), "peer_up"],
                     [at(9), "peer_heard"], [at(4), "peer_up"]]  # fmt: skip


def test_what_goes_on_needs_a_format_without_an_end(nodes: Nodes) -> None:
    assert nodes.events("-f", "-o", "json").status == 2
    assert nodes.events("--since", "10 m").status == 2
    assert nodes.events("--since", "99999d").status == 2
