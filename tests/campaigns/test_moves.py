"""The campaign of coming and going nodes, as short as it can be; the long form is a command (`moves`)."""

from __future__ import annotations

import pytest

from tests.campaigns.moves import campaign, parsed

pytestmark = pytest.mark.long


@pytest.mark.timeout(600)
def test_nothing_is_lost_while_nodes_come_go_and_die() -> None:
    rounds = 1
    outcome = campaign(parsed(["--rounds", f"{rounds}", "--clients", "8", "--cold", "500", "--rate", "100"]))
    assert outcome.right, (outcome.report.lost, outcome.report.ghosts, outcome.strict)
    assert [moved.what for moved in outcome.moves] == ["join 2", "leave", "leave"] * rounds
    assert outcome.report.acknowledged > 0
