"""What a measurement must hold: `p99<10,errors=0`, each one judged by its figure in the report."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any, NamedTuple

FIELDS = {
    "mean": "mean_ms",
    "p50": "p50_ms",
    "p95": "p95_ms",
    "p99": "p99_ms",
    "p99.9": "p999_ms",
    "p999": "p999_ms",
    "max": "max_ms",
    "ops": "ops_per_s",
}
"""Figures of one operation; with none named, of all: the worst latency, the sum of the rates."""
TOTALS = {"errors": "errors", "unsent": "unsent", "slowest": "slowest_second"}
RELATIONS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt, "=": operator.eq,
}  # fmt: skip
_FORM = re.compile(r"(?:(get|put|merge)\.)?([a-z][a-z0-9.]*)\s*(<=|>=|<|>|=)\s*(\d+(?:\.\d+)?)")


class Claim(NamedTuple):
    """One claim: `text` as it was written, about an operation (None: all)."""

    text: str
    op: str | None
    name: str
    relation: str
    bound: float


class Claims(NamedTuple):
    """Several claims."""

    claims: tuple[Claim, ...]


class Judged(NamedTuple):
    """A claim, what was found, and whether it holds. Without a figure nothing holds."""

    claim: str
    found: float | None
    holds: bool


def claims(text: str) -> Claims:
    """Read `p99<10,get.p50<2,errors=0,ops>1000`. Raises ValueError."""
    found = []
    for part in (part.strip() for part in text.split(",")):
        match = _FORM.fullmatch(part)
        if match is None:
            raise ValueError(f"{part!r} is no claim; write one such as p99<10 or errors=0")
        op, name, relation, bound = match.groups()
        if name not in FIELDS and (op or name not in TOTALS):
            raise ValueError(f"{part!r}: there is no {name}, only {', '.join([*FIELDS, *([] if op else TOTALS)])}")
        found.append(Claim(part, op, name, relation, float(bound)))
    return Claims(tuple(found))


def judge(wanted: tuple[Claim, ...], document: dict[str, Any]) -> list[Judged]:
    """Each claim against a dyn.bench/v1 document."""
    judged = []
    for claim in wanted:
        found = _figure(claim, document)
        holds = found is not None and RELATIONS[claim.relation](found, claim.bound)
        judged.append(Judged(claim.text, found, holds))
    return judged


def _figure(claim: Claim, document: dict[str, Any]) -> float | None:
    if claim.name == "errors":
        return float(sum(document["errors"].values()))
    if claim.name in TOTALS:
        total = document[TOTALS[claim.name]]
        return None if total is None else float(total)
    field = FIELDS[claim.name]
    if claim.op is not None:
        figure = document["ops"].get(claim.op, {}).get(field)
        return None if figure is None else float(figure)
    if claim.name == "ops":
        return None if document["ops_per_s"] is None else float(document["ops_per_s"])
    figures = [each[field] for each in document["ops"].values() if each[field] is not None]
    return max(figures, default=None)
