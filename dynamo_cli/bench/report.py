"""A measurement as the document that every screen, every file and every comparison is made of."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from dynamo_cli.bench.faulting import Happened
from dynamo_cli.bench.latencies import Latencies
from dynamo_cli.bench.load import Outcome
from dynamo_cli.bench.plan import Plan

Document = dict[str, Any]

PERCENTILES = (("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99), ("p999_ms", 0.999))
EDGES_MS = tuple(2.0**power for power in range(-2, 14))
"""Borders of the picture's bars: from a quarter of a millisecond, doubled up to eight seconds."""


def report(
    plan: Plan,
    nodes: Sequence[str],
    outcome: Outcome,
    *,
    names: Mapping[str, str],
    happened: Sequence[Happened] = (),
    begun_at: str | None = None,
) -> Document:
    """The dyn.bench/v1 document: rates per second, latencies in milliseconds. `names`: of nodes by address."""
    elapsed_s = outcome.elapsed_s
    answered = sum(each.count for each in outcome.latencies.values()) - outcome.unsent
    ops = {}
    for op, latencies in outcome.latencies.items():
        if latencies.count:
            sent = outcome.service[op] if outcome.service is not None else None
            ops[op] = _figures(latencies, sent.count if sent is not None else latencies.count, elapsed_s)
            ops[op]["service"] = None if sent is None or not sent.count else _figures(sent, sent.count, elapsed_s)
    rates = [second.ops for second in outcome.seconds]
    merging = outcome.merging
    return {
        "schema": "dyn.bench/v1",
        "begun_at": begun_at,
        "plan": plan._asdict(),
        "nodes": list(nodes),
        "elapsed_s": round(elapsed_s, 3),
        "requests": answered,
        "ops_per_s": round(answered / elapsed_s, 1) if elapsed_s else None,
        "slowest_second": min(rates, default=None),
        "stdev_per_second": round(statistics.stdev(rates), 1) if len(rates) > 1 else None,
        "generator_cpu": round(outcome.cpu_s / elapsed_s, 3) if elapsed_s else None,
        "unsent": outcome.unsent,
        "errors": dict(sorted(outcome.errors.items())),
        "ops": ops,
        "merges": None if merging is None else {
            "settled": merging.settled, "values": merging.values, "found_one": merging.found_one,
        },
        "histogram": _histogram(list(outcome.latencies.values())),
        "by_node": [
            {"node": names.get(address), "address": address, "requests": count,
             "ops_per_s": round(count / elapsed_s, 1)}
            for address, count in sorted(outcome.by_address.items())
        ],
        "seconds": [
            {"ops": second.ops, "errors": second.errors, "p99_ms": _rounded(second.p99_ms)}
            for second in outcome.seconds
        ],
        "faults": [
            {"at_s": round(one.at_s, 2), "fault": one.what, "error": one.error or None} for one in happened
        ],
    }  # fmt: skip


def _figures(latencies: Latencies, answered: int, elapsed_s: float) -> Document:
    figures: Document = {"count": answered, "ops_per_s": round(answered / elapsed_s, 1)}
    figures["mean_ms"] = _rounded(latencies.mean_ms())
    for name, share in PERCENTILES:
        figures[name] = _rounded(latencies.percentile_ms(share))
    return figures | {"max_ms": _rounded(latencies.max_s * 1000)}


def _histogram(latencies: Sequence[Latencies]) -> list[Document]:
    """How many requests took how long, from the first bar that has one to the last: `below_ms` None is the rest."""
    counts = [sum(several) for several in zip(*(each.within_ms(EDGES_MS) for each in latencies), strict=True)]
    bars = [{"below_ms": edge, "count": count} for edge, count in zip((*EDGES_MS, None), counts, strict=True)]
    filled = [index for index, bar in enumerate(bars) if bar["count"]]
    return bars[filled[0] : filled[-1] + 1] if filled else []


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 3)
