"""`dyn stat`: differences of what nodes count, all nodes together; what is not known is never made up."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamo_cli.asking import Told
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.meter import Meter, failures
from dynamo_cli.rates import between, percentile_ms, share_below
from dynamo_cli.render.flow import header, ms_text, rate_text, stat_line
from tests.helpers.cli import Result, dyn
from tests.helpers.documents import EVIL, ring, stats
from tests.helpers.fake_node import HANG_UP, FakeNode, fake_node

AT = "2026-11-29T12:03:07.402Z"


def counted(gets: int = 0, puts: int = 0, *, slow: int = 0, **more: Any) -> dict[str, Any]:
    """What a node tells: so many reads of 1 ms, so many writes of 4 ms, `slow` of them of 500 ms instead."""
    histogram = {"get": [[992, 1008, gets]], "put": [[3968, 4032, puts - slow], [499_712, 507_904, slow]], "del": []}
    told = {"ops": {"get": gets, "put": puts, "del": 0}, "histogram": histogram, "errors": {}, "uptime_s": 100.0}
    return stats() | told | {"keys": 7, "siblings": 0, "hints": 0, "repairs": {"read": 0, "compared": 0}} | more


def told(*documents: dict[str, Any] | None) -> list[Told]:
    silent = CliError(ExitStatus.UNREACHABLE, "no answer")
    return [Told(f"n{i}", "", document, None if document else silent) for i, document in enumerate(documents, 1)]


def step(before: list[Told], after: list[Told], seconds: float = 2.0) -> dict[str, Any]:
    meter = Meter()
    meter.step(before, 10.0, AT)
    return meter.step(after, 10.0 + seconds, AT)


def test_rates_are_differences_over_time_of_all_nodes_together() -> None:
    more = {"siblings": 3, "hints": 5, "repairs": {"read": 2, "compared": 4}}
    more |= {"errors": {"get UNAVAILABLE": 8, "put TOOBIG": 9}, "versions_per_read": {"1": 10, "2": 4, "3": 2}}
    zero = counted(10, 10) | {"versions_per_read": {"1": 0}}
    total = step(told(zero, counted()), told(counted(30, 20, **more), counted(0, 50, siblings=1, hints=7)))["total"]
    assert (total["reads_s"], total["writes_s"]) == (10.0, 30.0)
    assert (total["failures_s"], total["repairs_s"], total["siblings_s"]) == (4.0, 3.0, 3.0), "TOOBIG is the client's"
    assert (total["siblings"], total["hints"]) == (3, 12)


def test_percentiles_are_of_the_interval_and_of_all_requests() -> None:
    """Two nodes at 4 ms and one at 500 ms make a p50 of 4: no mean of medians, and nothing of before counts."""
    before = told(counted(0, 1000, slow=1000), counted(), counted())
    total = step(before, told(counted(0, 1049, slow=1000), counted(0, 50), counted(0, 1, slow=1)))["total"]
    assert total["write_ms"]["p50"] == pytest.approx(4.0, rel=0.01)
    assert total["write_ms"]["p99"] == pytest.approx(4.0, rel=0.01)
    assert total["write_ms"]["p999"] == pytest.approx(504, rel=0.01)
    assert total["read_ms"] == {"p50": None, "p99": None, "p999": None}


def test_who_is_silent_or_was_started_anew_is_unknown_not_nothing() -> None:
    document = step(told(counted(5), counted(5), counted(5)), told(None, counted(9, uptime_s=3.0), counted(9)))
    silent, anew, served = document["nodes"]
    assert (silent["reads_s"], silent["keys"], silent["unknown_because"]) == (None, None, "no answer")
    assert (anew["reads_s"], anew["keys"], anew["unknown_because"]) == (None, 7, None)
    assert served["reads_s"] == 2.0
    assert (document["answered"], document["members"], document["total"]["reads_s"]) == (2, 3, 2.0)
    assert step(told(None), told(None))["total"]["reads_s"] is None
    assert step(told(counted(5)), told(counted(4)))["nodes"][0]["reads_s"] is None, "counters do not go back"


@pytest.mark.parametrize(
    "broken",
    [
        {"histogram": None}, {"histogram": {"get": 7}}, {"histogram": {"get": [[1, 2], "x", [1, 2, None]]}},
        {"ops": []}, {"ops": {"get": "many"}}, {"errors": 3}, {"repairs": EVIL}, {"versions_per_read": {"x": 1}},
        {"keys": EVIL, "hints": [], "siblings": {}},
    ],
)  # fmt: skip
def test_a_node_may_say_what_it_likes(broken: dict[str, Any]) -> None:
    document = step(told(counted(1)), told(counted(1) | broken))
    assert stat_line(document)
    json.dumps(document)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.99, 0.999, 1.0]))
def test_a_percentile_is_the_smallest_that_so_many_do_not_exceed(micros: list[int], share: float) -> None:
    found = percentile_ms(Counter((value, value + 1) for value in micros), share)
    rank = max(1, -int(-share * len(micros) // 1))
    assert found == sorted(micros)[rank - 1] / 1000


def test_shares_below_a_limit() -> None:
    samples = Counter({(0, 1000): 3, (299_000, 301_000): 1})
    assert share_below(samples, 300) == 0.75, "a bucket that reaches over the limit is not below it"
    assert share_below(Counter(), 300) is None
    assert between(None, counted(), 1.0) is None


def test_failures_are_what_the_nodes_failed_to_do() -> None:
    table = {
        "get UNAVAILABLE": 1,
        "put UNKNOWN": 2,
        "del BUSY": 4,
        "put DISKFULL": 8,
        "put TOOBIG": 16,
        "keys BUSY": 32,
    }
    assert failures(table) == 15


# The command ------------------------------------------------------------------------------------------


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[FakeNode]]:
    """Two nodes that serve ten reads more each time they are asked, and no time passes."""
    monkeypatch.setattr("dynamo_cli.watching.pause", lambda seconds: None)

    def growing() -> Callable[[], dict[str, Any]]:
        state = {"gets": 0}

        def answer() -> dict[str, Any]:
            state["gets"] += 10
            return counted(state["gets"])

        return answer

    with ExitStack() as stack:
        made = [stack.enter_context(fake_node(DYN_STATS=growing())) for _ in range(2)]
        document = ring(2, 8)
        for member, node in zip(document["members"], made, strict=True):
            member["address"] = node.address
        made[0].replies["DYN.RING"] = document
        yield made


def stat(nodes: list[FakeNode], *words: str, terminal: bool = False) -> Result:
    return dyn("stat", *words, node=nodes[0], terminal=terminal)


def test_a_line_an_interval_in_every_format(nodes: list[FakeNode]) -> None:
    documents = [json.loads(line) for line in stat(nodes, "--count", "3", "-o", "jsonl").out.splitlines()]
    assert [document["schema"] for document in documents] == ["dyn.stat/v1"] * 3
    assert all(document["total"]["reads_s"] > 0 for document in documents)
    plain = [line.split("\t") for line in stat(nodes, "--count", "2").out.splitlines()]
    assert [len(row) for row in plain] == [13] * 3
    table = list(csv.reader(io.StringIO(stat(nodes, "--count", "2", "-o", "csv").out)))
    assert [len(row) for row in table] == [13] * 3
    assert json.loads(stat(nodes, "--count", "1", "--json").out)["members"] == 2
    assert stat(nodes, "--json").status == 2
    assert stat(nodes, "-o", "value", "--count", "1").status == 2


def test_on_a_terminal_the_heading_comes_again(nodes: list[FakeNode]) -> None:
    lines = stat(nodes, "--count", "41", terminal=True).out.splitlines()
    above, below = header().splitlines()
    assert [at for at, line in enumerate(lines) if line == below] == [1, 23, 45]
    assert lines[0] == above
    assert max(map(len, lines)) <= 79
    assert {len(line.split()) for line in lines if line not in (above, below)} == {12}


def test_ctrl_c_is_how_it_ends(nodes: list[FakeNode], monkeypatch: pytest.MonkeyPatch) -> None:
    left = [None, None]

    def pause(seconds: float) -> None:
        if not left:
            raise KeyboardInterrupt
        left.pop()

    monkeypatch.setattr("dynamo_cli.watching.pause", pause)
    result = stat(nodes, "-o", "jsonl")
    assert (result.status, len(result.out.splitlines())) == (130, 2)


def test_members_that_cannot_be_asked_are_left_out(nodes: list[FakeNode]) -> None:
    """A node of another release, or one that says of itself what it likes."""
    nodes[0].replies["DYN.RING"]["members"] += [
        {"name": "x", "address": EVIL},
        {"name": "y", "address": "a:b"},
        {"name": 7},
        3,
    ]
    document = json.loads(stat(nodes, "--count", "1", "--json").out)
    assert [node["node"] for node in document["nodes"]] == ["n1", "n2", "x"]
    assert document["answered"] == 2


def test_it_goes_on_without_a_node(nodes: list[FakeNode]) -> None:
    nodes[1].replies["DYN.STATS"] = HANG_UP
    document = json.loads(stat(nodes, "--count", "1", "--json", "--timeout", "0.3").out)
    assert (document["answered"], document["members"]) == (1, 2)
    assert dyn("stat", "--count", "1").status == 5


@pytest.mark.parametrize(
    ("value", "rate", "ms"),
    [(None, "?", "-"), (0, "0", "0.0"), (0.25, "0.2", "0.2"), (12.4, "12", "12.4"), (123_456, "123,456", "123.5s"),
     (12_345_678, "12.3M", "12345.7s")],
)  # fmt: skip
def test_figures_fit_their_columns(value: float | None, rate: str, ms: str) -> None:
    assert (rate_text(value), ms_text(value)) == (rate, ms)
