"""The campaign of wrong clocks: that clocks are really wrong, and a short run of it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.campaigns.clocks import Clock, campaign, parsed, table, wrong
from tests.campaigns.namespaces import why_not
from tests.helpers.tools import need

pytestmark = pytest.mark.long

WHY_NOT = why_not()
hosted = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "it can be done here")


def year(clock: Clock) -> int:
    """The year, for a process that goes by this clock."""
    environ = os.environ | clock.environ()
    return int(subprocess.run(["date", "+%Y"], env=environ, capture_output=True, text=True, check=True).stdout)


def test_a_clock_is_as_wrong_as_it_is_told(tmp_path: Path) -> None:
    need("faketime", package="faketime")
    clock = Clock(tmp_path / "clock")
    now = year(clock)
    with wrong([clock], "+10 y"):
        assert 9 <= year(clock) - now <= 10
    with wrong([clock], "-10 y"):
        assert 9 <= now - year(clock) <= 10
    with wrong([clock], "strobe"):
        assert len({year(clock) for _ in range(200)}) > 1
    assert year(clock) == now


@hosted
@pytest.mark.timeout(300)
def test_wrong_clocks_change_nothing() -> None:
    need("faketime", package="faketime")
    words = ["--rounds", "1", "--skew", "strobe"]
    found = campaign(parsed([*words, "--calm", "3", "--cut", "4"]))
    assert found.as_it_should_be, table(found)
    assert found.deleted >= 5, "nothing was deleted while somebody was away"
    assert found.report.cut_acknowledged > 50
