"""Wall clocks are for display: whatever they say, the nodes do the same (scenario S6)."""

from __future__ import annotations

import pytest

from node.sim import misfortune
from node.sim.faults import draw_options
from node.sim.run import Outcome, run
from tests.helpers.campaign import scale

pytestmark = pytest.mark.long

SEEDS = [seed for seed in range(1, scale(20, 60)) if draw_options(seed).wrong_clock_every_s]


def doings(outcome: Outcome) -> tuple[object, ...]:
    """All that a run did, but for the times of day in it."""
    return outcome.steps, outcome.virtual_s, outcome.endings, outcome.marks


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cluster_does_the_same_under_wrong_clocks(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hours and years off, forth and back, in the middle of everything else that goes wrong."""
    wrong = run(seed, tail=0)
    assert not wrong.violated
    monkeypatch.setattr(misfortune, "CLOCK_ERRORS_S", (0.0,))
    right = run(seed, tail=0)
    assert doings(right) == doings(wrong)


def test_the_clocks_were_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """What they said is in rows, and so in traces; not in every one: a clock may be set right before anybody looks."""
    wrong = [run(seed, tail=0).trace for seed in SEEDS[:4]]
    monkeypatch.setattr(misfortune, "CLOCK_ERRORS_S", (0.0,))
    right = [run(seed, tail=0).trace for seed in SEEDS[:4]]
    assert right != wrong
