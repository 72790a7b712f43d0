"""The fixed seeds, under chaos and after it: nothing is lost, nothing invented, everything works again.

A few by default; all 300 and a time-boxed batch from a random seed on with DYN_LONG=1.
"""

from __future__ import annotations

import time
from collections import Counter
from random import SystemRandom

import pytest

from node.sim.marks import REQUIRED
from node.sim.run import Outcome, run
from tests.helpers.campaign import LONG, scale

FIXED = 300
SHORT = 60
BLOCK = 10
RANDOM_S = scale(0, 30)


RARE = (1591, 1678)
"""Seeds that reach what none of the fixed ones does: a write refused because its ring is of another epoch."""


def words(outcome: Outcome) -> str:
    """What a failing seed says: the evidence, and how to see it again."""
    seed = outcome.options.seed
    lines = [f"seed {seed} ({outcome.options.describe()}), replay: python -m node.sim --seed {seed} --trace 400"]
    for verdict in outcome.verdicts:
        lines += [f"{verdict.checker} {verdict.answer.value}: {evidence}" for evidence in verdict.evidence]
    return "\n".join(lines)


@pytest.fixture(scope="module")
def reached() -> Counter[str]:
    """Marks of all seeds that ran."""
    return Counter()


@pytest.mark.parametrize("first", range(1, scale(SHORT, FIXED) + 1, BLOCK))
def test_fixed_seeds(first: int, reached: Counter[str]) -> None:
    for seed in range(first, first + BLOCK):
        outcome = run(seed, tail=0)
        reached.update(outcome.marks)
        assert not outcome.violated, words(outcome)


@pytest.mark.parametrize("seed", RARE)
def test_seeds_that_reach_the_rare(seed: int, reached: Counter[str]) -> None:
    outcome = run(seed, tail=0)
    reached.update(outcome.marks)
    assert not outcome.violated, words(outcome)


def test_the_campaign_reaches_every_mark(reached: Counter[str]) -> None:
    if not LONG:  # sixty seeds reach the common ones
        missing = [mark for mark in ("sibling created", "forward", "second commit", "restart") if not reached[mark]]
    else:
        missing = [mark for mark in REQUIRED if not reached[mark]]
    assert not missing, f"never reached: {', '.join(missing)}"


@pytest.mark.timeout(RANDOM_S + 120)
def test_random_seeds() -> None:
    end = time.monotonic() + RANDOM_S
    seed = SystemRandom().randrange(10**6, 10**9)
    while time.monotonic() < end:
        outcome = run(seed, tail=0)
        assert not outcome.violated, words(outcome)
        seed += 1
