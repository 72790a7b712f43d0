"""The paper's own figures as objectives, and whether a cluster keeps them. Pure: what nodes counted in, verdicts out.

Each objective allows a share of bad requests. It is missed if there were more bad ones than that share of all; kept if
not, and if there were enough to tell; and else it is not known. A few requests that all failed are enough to tell: an
objective is missed, too, when it would be if all that lack to the least number were good.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dynamo_cli.meter import failures
from dynamo_cli.rates import OPERATIONS, Between, merged, percentile_ms, share_below
from dynamo_cli.render.ring_rows import REQUESTS_MIN, UNEVEN

Document = dict[str, Any]

SLOW_MS = 300.0
"""The service level of the paper's example: so fast, for 99.9 % of the requests (section 2.2)."""


class Objective(NamedTuple):
    """`allowed` is the share of bad ones; `least` how many there must be before it can be kept."""

    name: str
    target: str
    allowed: float
    least: int
    source: str


LATENCY = Objective("latency", "p99.9 under 300 ms", 0.001, 1_000, "2.2")
DIVERGENCE = Objective("divergence", "99.94% of reads find one version", 0.0006, 1_667, "6.3")
BALANCE = Objective("balance", "each node within 15% of the mean", 0.0, REQUESTS_MIN, "6.2")
AVAILABILITY = Objective("availability", "99.9995% of requests served", 0.000005, 200_000, "6.6")


def verdict(objective: Objective, bad: int, total: int) -> bool | None:
    """Whether it is kept; None: not known yet."""
    if bad > round(objective.allowed * max(total, objective.least), 6):  # 0.0006 * 100,000 is a little less than 60
        return False
    return True if total >= objective.least else None


def judged(nodes: Mapping[str, Between]) -> list[Document]:
    """Every objective with its value over what these nodes did."""
    pieces = list(nodes.values())
    samples = merged([piece.histogram for piece in pieces], OPERATIONS)
    fast = share_below(samples, SLOW_MS)
    slow = samples.total() - round((1.0 if fast is None else fast) * samples.total())
    p999 = percentile_ms(samples, 0.999)
    reads = sum(count for piece in pieces for versions, count in piece.versions.items() if versions > 0)
    several = sum(count for piece in pieces for versions, count in piece.versions.items() if versions > 1)
    asked = sum(piece.ops[name] for piece in pieces for name in OPERATIONS)
    failed = sum(failures(piece.errors) for piece in pieces)
    return [
        _judged(LATENCY, slow, samples.total(), p999, "ms"),
        _judged(DIVERGENCE, several, reads, _good(several, reads), "share"),
        _balance(nodes),
        _judged(AVAILABILITY, failed, asked, _good(failed, asked), "share"),
    ]


def _good(bad: int, total: int) -> float | None:
    return 1 - bad / total if total else None


def _judged(objective: Objective, bad: int, total: int, value: float | None, unit: str) -> Document:
    return {
        "name": objective.name,
        "target": objective.target,
        "value": value,
        "unit": unit,
        "met": verdict(objective, bad, total),
        "bad": bad,
        "samples": total,
        "least": objective.least,
        "paper": f"section {objective.source}",
        "node": None,
    }


def _balance(nodes: Mapping[str, Between]) -> Document:
    """The node whose requests a second differ most from the mean, by how much of it; `bad` are all that differ much."""
    total = sum(piece.total for piece in nodes.values())
    told = _judged(BALANCE, 0, total, None, "share")
    loads = {name: piece.total / piece.seconds for name, piece in nodes.items()}
    mean = sum(loads.values()) / len(loads) if loads else 0.0
    if len(loads) < 2 or not mean:
        return told | {"met": None}
    off = {name: load / mean - 1 for name, load in loads.items()}
    worst = max(off, key=lambda name: abs(off[name]))
    bad = sum(abs(share) > UNEVEN for share in off.values())
    known = total >= REQUESTS_MIN
    return told | {"value": off[worst], "node": worst, "bad": bad, "met": not bad if known else None}


def all_met(objectives: Sequence[Document]) -> bool | None:
    """Whether all are kept; None if none is missed and some are not known."""
    verdicts = [objective["met"] for objective in objectives]
    return False if False in verdicts else None if None in verdicts else True
