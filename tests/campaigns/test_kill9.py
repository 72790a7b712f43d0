"""A short kill -9 campaign; with DYN_LONG=1 the 50 rounds of CI."""

from __future__ import annotations

import pytest

from tests.campaigns.kill9 import campaign
from tests.helpers.campaign import scale


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("durability", "rounds"), [("full", scale(4, 50)), ("normal", scale(1, 8)), ("memory", 1)])
def test_a_killed_process_loses_nothing(durability: str, rounds: int) -> None:
    report = campaign(rounds, durability=durability)
    assert report.rounds == rounds
    assert report.acknowledged > 10 * rounds


def test_the_campaign_sees_what_is_lost() -> None:
    with pytest.raises(AssertionError, match=r"acknowledged|half of a batch|names"):
        campaign(40, sabotage=True)  # it ends with the first loss; on a busy machine six lives wrote too little for one
