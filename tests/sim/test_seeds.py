"""The fixed seeds, under chaos and after it: nothing is lost, nothing invented, everything works again.

A few by default, in this process. With DYN_LONG=1 all 2,000, on all cores and by the package as it is installed, and
then a time-boxed batch from a random seed on. A longer campaign is one command: `tests/campaigns/seeds.py`.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from pathlib import Path
from random import SystemRandom

import pytest

from node.sim.marks import ELASTIC, REQUIRED
from node.sim.run import Outcome, run
from tests.campaigns import seeds
from tests.helpers.campaign import LONG, scale

FIXED = 2000
FIXED_S_MAX = 1200
"""Longer is a hang. On two cores with nothing else to do they take four to five minutes."""

SHORT = 20
BLOCK = 10
RANDOM_S = scale(0, 15)


def words(outcome: Outcome) -> str:
    """What a failing seed says: the evidence, and how to see it again."""
    seed = outcome.options.seed
    more = " --elastic" if outcome.options.change_every_s else ""
    lines = [f"seed {seed} ({outcome.options.describe()}), replay: python -m node.sim --seed {seed}{more} --trace 400"]
    for verdict in outcome.verdicts:
        lines += [f"{verdict.checker} {verdict.answer.value}: {evidence}" for evidence in verdict.evidence]
    return "\n".join(lines)


@pytest.fixture(scope="module")
def reached() -> Counter[str]:
    """Marks of all seeds that ran."""
    return Counter()


@pytest.fixture(scope="module")
def changed() -> Counter[str]:
    """Marks of all seeds in which the ring changed."""
    return Counter()


@pytest.mark.parametrize("first", range(1, scale(SHORT, BLOCK) + 1, BLOCK))
def test_the_first_seeds(first: int, reached: Counter[str]) -> None:
    """Here they run as the checkout is, and what fails says why."""
    for seed in range(first, first + BLOCK):
        outcome = run(seed, tail=0)
        reached.update(outcome.marks)
        assert not outcome.violated, words(outcome)


@pytest.mark.timeout(FIXED_S_MAX)
def test_all_fixed_seeds(reached: Counter[str]) -> None:
    """In the short run none but two, so that the way there is tested."""
    report = seeds.run_seeds(1, scale(2, FIXED), os.cpu_count() or 1)
    reached.update(report["marks"])
    assert not report["failed"], f"replay: python -m node.sim --seed {report['failed'][0]} --trace 400"


@pytest.mark.parametrize("first", range(1, scale(SHORT, BLOCK) + 1, BLOCK))
def test_the_first_seeds_of_changing_rings(first: int, changed: Counter[str]) -> None:
    """Nodes join, leave, die for good and are replaced while clients write, through cuts and crashes."""
    for seed in range(first, first + BLOCK):
        outcome = run(seed, elastic=True, tail=0)
        changed.update(outcome.marks)
        assert not outcome.violated, words(outcome)


@pytest.mark.timeout(FIXED_S_MAX)
def test_all_fixed_seeds_of_changing_rings(changed: Counter[str]) -> None:
    report = seeds.run_seeds(1, scale(2, FIXED), os.cpu_count() or 1, elastic=True)
    changed.update(report["marks"])
    assert not report["failed"], f"replay: python -m node.sim --elastic --seed {report['failed'][0]} --trace 400"


def test_the_campaign_of_changing_rings_reaches_every_mark(changed: Counter[str]) -> None:
    wanted = ELASTIC if LONG else ("ring moves", "ring settled", "change taken on", "rows taken in")
    missing = [mark for mark in wanted if not changed[mark]]
    assert not missing, f"never reached: {', '.join(missing)}"


def test_the_campaign_reaches_every_mark(reached: Counter[str]) -> None:
    if not LONG:  # a few seeds reach the common ones
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


def test_a_campaign_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever stopped it; and seeds of another code are another row."""
    ran: list[tuple[int, int]] = []

    def run_seeds(first: int, last: int, jobs: int, *, elastic: bool) -> dict[str, object]:
        if len(ran) == 2:
            raise KeyboardInterrupt
        ran.append((first, last))
        marks = dict.fromkeys(REQUIRED, 1)
        return {"seeds": last + 1 - first, "failed": [], "seconds": 1.0, "requests": {"put ok": 2}, "marks": marks}

    monkeypatch.setattr(seeds, "run_seeds", run_seeds)
    record = tmp_path / "seeds.json"
    line = ["--seeds", "1-700", "--record", str(record)]
    assert seeds.main(line) == 130
    assert ran == [(1, 250), (251, 500)]
    ran.clear()
    assert seeds.main(line) == 0
    assert ran == [(501, 700)]
    (row,) = json.loads(record.read_text())
    assert (row["first"], row["last"], row["requests"]) == (1, 700, {"put ok": 6})
    monkeypatch.setattr(seeds, "code", lambda: "another")
    ran.clear()
    seeds.main(line)
    assert ran[0] == (1, 250)
    assert [row["last"] for row in json.loads(record.read_text())] == [700, 500]
    assert "| another | stable | 1-500 | 0 | 0.6000 % |" in "\n".join(seeds.table(json.loads(record.read_text())))
