"""The campaign of kills: what it computes, and a short run of it."""

from __future__ import annotations

import pytest

from tests.campaigns.kills import Kill, Span, calm, campaign, outages, parsed, table, whole
from tests.campaigns.namespaces import why_not
from tests.helpers.campaign import scale

pytestmark = pytest.mark.long

WHY_NOT = why_not()
hosted = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "it can be done here")


def spans(*pairs: tuple[float, float]) -> list[Span]:
    return [Span(began, ended, 1) for began, ended in pairs]


def test_an_outage_is_the_longest_write_between_kill_and_return() -> None:
    clients = [spans((0, 1), (9, 9.5), (9.5, 12), (12.5, 12.75), (14, 20)), spans((10, 10.25)), spans((1, 2))]
    assert outages(clients, [Kill(10, 13)]) == [2.5, 0.25]
    assert outages(clients, [Kill(10, 13), Kill(15, 16)]) == [2.5, 6, 0.25]


def test_a_write_that_no_kill_touched_is_calm() -> None:
    assert calm([spans((0, 1), (9, 10.5), (12, 12.5), (13.5, 14))], [Kill(10, 13)]) == [1, 0.5]


def test_nodes_killed_at_once_are_back_with_the_last() -> None:
    assert whole([Kill(1, 2), Kill(1, 4), Kill(1, 3), Kill(9, 10)]) == [Kill(1, 4), Kill(9, 10)]
    assert whole([]) == []


@pytest.mark.alone
@hosted
@pytest.mark.timeout(300)
def test_nodes_are_killed_and_nothing_is_lost() -> None:
    kills, all_at_once = scale((3, 1), (4, 1))
    found = campaign(parsed(["--kills", str(kills), "--all-at-once", str(all_at_once), "--every", "1.5"]))
    assert found.report.right, table(found)
    assert found.report.acknowledged > 20 * (kills + all_at_once)
    assert (len(found.back), len(found.back_together)) == (kills, 5 * all_at_once)
    assert max(found.back) < 10, "far above 3 s, which a loaded machine may exceed"
    assert sorted(found.outages)[len(found.outages) // 2] < 0.25, table(found)


@hosted
def test_the_campaign_sees_what_is_lost() -> None:
    found = campaign(parsed(["--kills", "1", "--all-at-once", "0", "--patience", "2", "--sabotage"]))
    assert found.report.lost
