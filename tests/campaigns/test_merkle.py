"""One key that differs costs the same whatever two stores hold: little on the wire, and no scan."""

from __future__ import annotations

import pytest

from node.core.merkle import LEAVES
from tests.campaigns.merkle import ROWS_MAX, WIRE_BYTES_MAX, Cost, line, measure
from tests.helpers.campaign import scale

LITTLE = Cost(1000, WIRE_BYTES_MAX, 14, ROWS_MAX - 4, 4, 1 / LEAVES, 5000, True)


@pytest.mark.timeout(120)
def test_one_differing_key_costs_the_same_whatever_the_stores_hold() -> None:
    few, many = measure((1000, scale(20_000, 50_000)))
    assert few.little, line(few)
    assert many.little, line(many)
    assert many.wire_bytes < few.wire_bytes + 2 * few.in_step, "a pass of the other node's own may fall into it"


@pytest.mark.parametrize(
    "cost",
    [
        LITTLE._replace(wire_bytes=WIRE_BYTES_MAX + 1),
        LITTLE._replace(scanned=ROWS_MAX),
        LITTLE._replace(widest=1 / 256),
        LITTLE._replace(mended=False),
    ],
    ids=["bytes", "rows", "scan", "not mended"],
)
def test_what_is_too_much_is_seen(cost: Cost) -> None:
    assert LITTLE.little
    assert not cost.little
