"""What a node costs does not grow with its cluster, beyond a size; here that is a small one, to be quick."""

from __future__ import annotations

import pytest

from node.engine import handoff, peers, tidings
from tests.campaigns.scale import HEAD, Growth, line, measure

BOUND = 12
PARTITIONS = 256
SMALL, LARGE = 16, 40


def bound(monkeypatch: pytest.MonkeyPatch, members: int) -> None:
    """The bounds of large clusters, for clusters of more than so many."""
    monkeypatch.setattr(tidings, "GOSSIP_MEMBERS_MAX", members)
    monkeypatch.setattr(peers, "PROBES_MAX", members)
    monkeypatch.setattr(handoff, "HANDOFF_LOOKS_S_MAX", members)


@pytest.mark.timeout(120)
def test_what_a_node_says_does_not_grow_with_the_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    bound(monkeypatch, BOUND)
    small, large = measure(SMALL, PARTITIONS), measure(LARGE, PARTITIONS)
    assert small.right, line(small)
    assert large.right, line(large)
    assert large.gossip < 1.3 * small.gossip
    assert large.probes < 1.3 * small.probes
    assert large.start < 3 * small.start, "each link is greeted"
    assert large.placed < 1.2 * small.placed


@pytest.mark.timeout(120)
def test_without_the_bounds_it_would(monkeypatch: pytest.MonkeyPatch) -> None:
    bound(monkeypatch, 64)
    small, large = measure(SMALL, PARTITIONS), measure(LARGE, PARTITIONS)
    assert large.gossip > 2 * small.gossip
    assert large.probes > 2 * small.probes
    assert large.start > 4 * small.start


def test_what_spread_too_late_or_never_is_seen() -> None:
    fine = Growth(10, 1.0, 1.0, 1.0, 1.0, 3.0, 3.0, 0.1, 0.1, 0.1, 0.1, 1, 1, 1, 1.0)
    assert fine.right
    assert not fine._replace(record_s=34.0).right
    assert not fine._replace(epoch_s=None).right
    assert "NEVER" in line(fine._replace(epoch_s=None))
    assert line(fine).count("|") == HEAD.partition("\n")[0].count("|")
