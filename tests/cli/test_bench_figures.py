"""What `dyn bench` computes: draws, due times, percentiles, claims, comparisons. Nothing here runs anything."""

from __future__ import annotations

import json
import math
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from dynamo_cli.bench import saved
from dynamo_cli.bench.asserting import claims, judge
from dynamo_cli.bench.faulting import schedule
from dynamo_cli.bench.latencies import Latencies, bounds_of, bucket_of
from dynamo_cli.bench.plan import Closed, Open, drawing
from dynamo_cli.errors import CliError

NOW = datetime(2026, 11, 23, 12, 3, 11, tzinfo=UTC)


# Draws and due times -------------------------------------------------------------------------------------


def shares(dist: str, keys: int, draws: int = 20_000) -> Counter[int]:
    draw = drawing(dist, keys, Random(1))
    found = Counter(draw() for _ in range(draws))
    assert min(found) >= 0
    assert max(found) < keys
    return found


def test_zipf_follows_its_law() -> None:
    """The first key as often as the law says, each next one less: rank to the power of -0.99."""
    found, draws = shares("zipf", 1000), 20_000
    zeta = sum(rank**-0.99 for rank in range(1, 1001))
    for rank in (1, 2, 5, 10, 50):
        expected = draws * rank**-0.99 / zeta
        assert abs(found[rank - 1] - expected) < 5 * math.sqrt(expected) + 0.12 * expected, rank


def test_hot_is_nine_in_ten_for_one_in_a_hundred() -> None:
    """And the rest evenly over all."""
    found = shares("hot", 1000)
    assert 0.89 < sum(found[key] for key in range(10)) / 20_000 < 0.92
    assert len(found) > 800


@pytest.mark.parametrize("dist", ["uniform", "zipf", "hot"])
@pytest.mark.parametrize("keys", [1, 2, 3])
def test_few_keys_can_be_drawn_from(dist: str, keys: int) -> None:
    """Each of them is drawn, and none that is not there."""
    assert set(shares(dist, keys, 2000)) == set(range(keys))


def test_an_open_loop_is_due_by_the_clock_alone() -> None:
    """What nobody could send in time keeps the moment at which it was due."""
    pace = Open(10.0, 100.0, None)
    assert pace.take(100.0, 4) == [100.0]
    assert pace.next_at(100.0) == 100.1
    assert pace.take(100.05, 4) == []
    assert pace.take(100.55, 2) == pytest.approx([100.1, 100.2])
    assert pace.left(100.55) == pytest.approx([100.3, 100.4, 100.5])


def test_what_is_due_can_be_taken_then() -> None:
    """To the last bit: a moment that is due and gives nothing would be waited for for ever."""
    random = Random(7)
    for _ in range(300):
        pace = Open(random.uniform(0.01, 200_000), random.uniform(0, 1e6), None)
        for _ in range(20):
            now = pace.next_at(0.0)
            assert pace.take(now, 1) == [now]


def test_a_count_ends_both_loops() -> None:
    """Exactly."""
    closed, opened = Closed(3), Open(10.0, 0.0, 3)
    assert [len(closed.take(0.0, 2)) for _ in range(3)] == [2, 1, 0]
    assert closed.next_at(0.0) == math.inf
    assert len(opened.take(9.0, 99)) == 3
    assert opened.next_at(9.0) == math.inf


# Percentiles ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("micros", [0, 1, 127, 128, 255, 256, 257, 999, 12_345, 3_600_000_000])
def test_a_bucket_holds_what_is_counted_in_it(micros: int) -> None:
    """And is narrower than a hundredth of it."""
    low, high = bounds_of(bucket_of(micros))
    assert low <= micros < high
    assert high - low <= max(1, micros / 100)


def test_buckets_follow_each_other() -> None:
    """No gap, no overlap."""
    edges = [bounds_of(bucket) for bucket in range(2000)]
    assert all(one[1] == other[0] for one, other in zip(edges, edges[1:], strict=False))


def test_percentiles_are_right_within_a_hundredth() -> None:
    """Of an even spread from 0.1 to 100 ms; the mean and the largest exactly."""
    latencies = Latencies()
    assert latencies.percentile_ms(0.5) is None
    assert latencies.mean_ms() is None
    for n in range(1, 1001):
        latencies.add(n / 10_000)
    for share in (0.001, 0.5, 0.95, 0.99, 0.999, 1.0):
        assert latencies.percentile_ms(share) == pytest.approx(share * 100, rel=0.01)
    assert latencies.mean_ms() == pytest.approx(50.05)
    assert latencies.max_s == 0.1
    assert latencies.within_ms([1.0, 50.0]) == [9, 490, 501]


# Claims --------------------------------------------------------------------------------------------------


def document(**more: Any) -> dict[str, Any]:
    figures = {"ops_per_s": 100.0, "mean_ms": 1.0, "p50_ms": 1.0, "p95_ms": 4.0, "p99_ms": 9.0, "p999_ms": 20.0,
               "max_ms": 30.0, "count": 100}  # fmt: skip
    plan = {"op": "mixed", "reads_percent": 50, "clients": 4, "pipeline": 1, "size_bytes": 100, "keys": 10,
            "rate": None, "dist": "uniform"}  # fmt: skip
    made = {"schema": "dyn.bench/v1", "plan": plan, "nodes": ["127.0.0.1:1"], "ops_per_s": 180.0, "unsent": 0,
            "slowest_second": None, "errors": {"LOST": 2}, "faults": [],
            "ops": {"get": figures, "put": {**figures, "p99_ms": 12.0, "ops_per_s": 80.0}}}  # fmt: skip
    return {**made, **more}


@pytest.mark.parametrize(
    ("claim", "holds"),
    [
        ("p99<12", False), ("p99<=12", True), ("get.p99<12", True), ("p99.9<21", True), ("p999<20", False),
        ("errors=0", False), ("errors=2", True), ("errors<3", True), ("ops>=180", True), ("put.ops>80", False),
        ("mean<1.5", True), ("max<30", False), ("unsent=0", True), ("slowest>0", False), (" p50 < 2 ", True),
    ],
)  # fmt: skip
def test_a_claim_is_judged_by_its_figure(claim: str, holds: bool) -> None:
    """Of the worst operation unless one is named; what is not known does not hold."""
    [judged] = judge(claims(claim).claims, document())
    assert judged.holds is holds


def test_an_operation_that_did_not_run_holds_nothing() -> None:
    """Not even that it was quick."""
    [judged] = judge(claims("get.p99<1000").claims, document(ops={}))
    assert (judged.found, judged.holds) == (None, False)


# Faults --------------------------------------------------------------------------------------------------


def test_a_schedule_is_in_the_order_of_time() -> None:
    """Seconds, milliseconds, and at once."""
    found = schedule("heal @7s; kill n2 @ 500ms;partition n1,n2 / n3 @3;slow n1 20 @0").faults
    assert [(fault.at_s, " ".join(fault.words)) for fault in found] == [
        (0.0, "slow n1 20"), (0.5, "kill n2"), (3.0, "partition n1,n2 / n3"), (7.0, "heal"),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", ";;", "kill n2", "@3s", "kill n2 @", "kill n2 @-1", ";".join(["heal @1"] * 101)])
def test_what_is_no_schedule(text: str) -> None:
    """It has a time for each fault, and few of them."""
    with pytest.raises(ValueError, match=r"no time|no duration|not between"):
        schedule(text)


# Kept runs -----------------------------------------------------------------------------------------------


def test_runs_are_kept_beside_each_other(tmp_path: Path) -> None:
    """Two of the same second, too; and only the latest many."""
    folder = tmp_path / "bench"
    paths = [saved.save(folder, document(), NOW) for _ in range(3)]
    assert [path.name for path in paths][:2] == ["2026-11-23T120311.json", "2026-11-23T120311-2.json"]
    assert saved.runs(folder) == paths
    assert saved.load(paths[0]) == document()
    (folder / "notes.txt").touch()
    assert saved.runs(folder) == paths


def test_old_runs_go_and_nothing_else_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest first."""
    monkeypatch.setattr(saved, "KEPT_MAX", 2)
    (tmp_path / "baseline.json").touch()
    paths = [saved.save(tmp_path, document(), NOW.replace(second=second)) for second in range(4)]
    assert [path.exists() for path in paths] == [False, False, True, True]
    assert (tmp_path / "baseline.json").exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema":"dyn.bench/v1"}', "[" * 100_000, '{"schema":1}',
    '{"schema":"dyn.bench/v1","plan":{},"ops":{"get":{"ops_per_s":"x"}},"ops_per_s":1}'])  # fmt: skip
def test_a_file_that_is_no_run_is_told(tmp_path: Path, text: str) -> None:
    """Whatever is in it."""
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(CliError, match="is no measurement"):
        saved.load(path)


def test_only_runs_of_the_same_plan_are_compared_unasked(tmp_path: Path) -> None:
    """And what differs is named when another one is."""
    saved.save(tmp_path, document(), NOW)
    plan = {**document()["plan"], "clients": 64}
    saved.save(tmp_path, document(plan=plan), NOW)
    found = saved.last_like(tmp_path, document())
    assert found is not None
    assert found[0].name == "2026-11-23T120311.json"
    compared = saved.compared(document(plan=plan, ops_per_s=150.0), document(), "x.json")
    assert compared["differing"] == ["clients"]
    assert compared["ops_percent"] == 20.0
    assert compared["ops"]["put"] == {"ops_percent": 0.0, "p99_ms": 0.0}
    assert json.dumps(compared)
