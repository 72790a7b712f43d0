"""`dyn slo`: the paper's figures, each kept, missed or not known; and never more certain than its samples."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamo_cli.objectives import AVAILABILITY, BALANCE, DIVERGENCE, LATENCY, all_met, judged, verdict
from dynamo_cli.rates import since_start
from tests.cli.test_stat import counted
from tests.helpers.cli import Result, dyn
from tests.helpers.documents import EVIL, ring
from tests.helpers.fake_node import HANG_UP, fake_node

OBJECTIVES = (LATENCY, DIVERGENCE, AVAILABILITY)


def of(*documents: dict[str, Any]) -> dict[str, dict[str, Any]]:
    pieces = {f"n{i}": since_start(document) for i, document in enumerate(documents, 1)}
    return {each["name"]: each for each in judged({name: piece for name, piece in pieces.items() if piece})}


@given(st.sampled_from(OBJECTIVES), st.integers(0, 10**7), st.integers(0, 10**7))
def test_more_good_requests_never_make_a_kept_objective_missed(objective: Any, bad: int, good: int) -> None:
    now, later = verdict(objective, bad, bad + good), verdict(objective, bad, bad + good + objective.least)
    assert (now, later) not in [(True, False), (True, None)]
    if now is False:
        assert bad >= objective.allowed * (bad + good)
    if not bad:
        assert now is (True if good >= objective.least else None)


@given(st.sampled_from(OBJECTIVES), st.integers(1, 100))
def test_requests_that_all_failed_are_enough_to_tell(objective: Any, bad: int) -> None:
    assert verdict(objective, bad + int(objective.allowed * objective.least), bad) is False


def test_latency_is_the_share_of_requests_under_300_ms() -> None:
    quick = of(counted(0, 100_000, slow=100))["latency"]
    assert (quick["met"], quick["bad"], quick["samples"]) == (True, 100, 100_000)
    assert quick["value"] == pytest.approx(4.0, rel=0.02)
    slow = of(counted(0, 100_000, slow=101))["latency"]
    assert (slow["met"], slow["bad"]) == (False, 101)
    assert slow["value"] == pytest.approx(504, rel=0.02)


def test_divergence_counts_reads_that_found_something() -> None:
    found = of(counted(10, versions_per_read={"0": 10**6, "1": 99_940, "2": 58, "3": 2}))["divergence"]
    assert (found["met"], found["samples"], found["bad"], found["value"]) == (True, 100_000, 60, 0.9994)
    assert of(counted(versions_per_read={"1": 99_939, "2": 61}))["divergence"]["met"] is False


def test_balance_is_by_requests_a_second_and_names_the_worst() -> None:
    even = of(counted(1140), counted(1000), counted(860))["balance"]
    assert (even["met"], even["bad"]) == (True, 0)
    uneven = of(counted(1200), counted(1000), counted(700))["balance"]
    assert (uneven["met"], uneven["node"], uneven["bad"]) == (False, "n3", 2)
    younger = of(counted(1000), counted(500, uptime_s=50.0))["balance"]
    assert younger["met"] is True, "half as many in half the time"
    assert of(counted(12), counted(3))["balance"]["met"] is None, "chance"
    assert of(counted(10**6))["balance"]["met"] is None, "one node has no others"
    assert BALANCE.least <= 1000


def test_availability_counts_what_the_nodes_failed_to_serve() -> None:
    errors = {"get UNAVAILABLE": 5, "put TOOBIG": 10**6}
    assert of(counted(10**6, errors=errors))["availability"]["met"] is True
    missed = of(counted(10**6, errors=errors | {"put UNKNOWN": 1}))["availability"]
    assert (missed["met"], missed["bad"], missed["value"]) == (False, 6, 1 - 6e-6)
    assert of(counted(100))["availability"]["met"] is None
    assert of(counted(10, errors={"get UNAVAILABLE": 10}))["availability"]["met"] is False


def test_all_of_them() -> None:
    def told(*verdicts: bool | None) -> list[dict[str, Any]]:
        return [{"met": each} for each in verdicts]

    assert all_met(told(True, True)) is True
    assert all_met(told(True, None)) is None
    assert all_met(told(None, False, True)) is False


def slo(document: Any, *words: str, terminal: bool = False) -> Result:
    with fake_node(DYN_STATS=document) as node:
        node.replies["DYN.RING"] = ring(1, 8)
        node.replies["DYN.RING"]["members"][0] |= {"address": node.address, "name": EVIL}
        return dyn("slo", *words, "--timeout", "0.5", node=node, terminal=terminal)


def test_check_is_the_exit_code_and_the_screen_says_why() -> None:
    bad = counted(0, 10_000, slow=100)
    assert slo(bad).status == 0
    assert slo(bad, "--check").status == 8
    assert slo(counted(10), "--check").status == 0, "too few to tell is not missed"
    screen = slo(bad, "--color", "never", terminal=True).out
    (row,) = [line for line in screen.splitlines() if line.startswith("latency")]
    assert " ".join(row.split()) == "latency p99.9 under 300 ms 503.8 ms 10,000 ! missed 2.2"
    assert "  ! 100 of 10,000 requests took 300 ms or more: dyn node stats" in screen
    assert max(map(len, screen.splitlines())) <= 80
    silent = slo(HANG_UP, "--color", "never", terminal=True)
    assert silent.status == 0
    assert "tells nothing" in silent.out
    assert max(map(len, silent.out.splitlines())) <= 80


def test_it_measures_from_now_when_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dynamo_cli.watching.pause", lambda seconds: None)
    answers = iter([counted(0, 1000, slow=1000), counted(0, 3000, slow=1000)])
    told = json.loads(slo(lambda: next(answers), "--for", "5", "--json").out)
    assert told["since_start"] is False
    assert (told["objectives"][0]["samples"], told["objectives"][0]["met"]) == (2000, True)
    assert slo(counted(), "--for", "5", "--watch").status == 2
