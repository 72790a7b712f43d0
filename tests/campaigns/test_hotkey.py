"""A short round with a hot key: everything is done, and the others' latency is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.campaigns.hotkey import measure, table
from tests.campaigns.overload import build
from tests.helpers.cluster import Cluster

pytestmark = pytest.mark.long


@pytest.mark.alone
@pytest.mark.timeout(120)
def test_a_hot_key_takes_nothing_from_the_others(tmp_path: Path) -> None:
    with Cluster(3, tmp_path) as cluster:
        found = measure(cluster, build(tmp_path), 4.0)
        assert not any(node.ended for node in cluster), cluster.log
    assert found.errors <= 0.01 * found.rate * 4, found  # a stall of the machine may refuse a few
    assert found.p99_hot > 0
    assert found.p99_spread > 0
    assert f"| {found.ratio:.2f} |" in table([found])
