"""A short overload of three real nodes: they do what they can, refuse the rest cheaply, and are over it at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.core.limits import OPERATIONS_MAX
from tests.campaigns.overload import build, measure
from tests.helpers.campaign import scale
from tests.helpers.cluster import Cluster

pytestmark = pytest.mark.long

LOAD = 0.3
"""Of the capacity, before and after: other tests may take half of the machine meanwhile."""


@pytest.mark.alone
@pytest.mark.timeout(300)
def test_an_overload_is_over_when_the_load_is(tmp_path: Path) -> None:
    """Clients that all ask again, four times five times what the nodes take. Without the bound that follows the time
    (`engine.load`) nothing at all is done in the surge, and nothing for twenty seconds after it."""
    with Cluster(3, tmp_path) as cluster:
        report = measure(cluster, build(tmp_path), scale(2.0, 5.0), scale(5.0, 15.0), 12.0, LOAD)
        assert not any(node.ended for node in cluster), cluster.log
    assert report.offered > 3 * report.capacity, f"no overload: {report}"
    assert report.recovered_s <= 10.0, report
    assert report.back >= 0.95, report
    assert report.goodput >= 0.3 * report.capacity, report
    assert report.refused > 10 * report.other_errors, report
    assert report.refused_cpu < 0.5 * report.served_cpu, report
    assert report.requests_most <= OPERATIONS_MAX, report
    assert report.disk_writes_most <= OPERATIONS_MAX, report
    assert report.rss_peak_mb < report.rss_before_mb + 150, report
