"""A short power-cut campaign, and that it sees what it looks for; with DYN_LONG=1 the images of CI."""

from __future__ import annotations

import pytest

from tests.campaigns.powercut import HEADER, Report, campaign
from tests.helpers.platter import Names

pytestmark = pytest.mark.long

IMAGES = 2000


@pytest.mark.timeout(300)
def test_a_power_cut_takes_nothing_that_was_acknowledged() -> None:
    reports = campaign(IMAGES)
    assert [report.wrong for report in reports if not report.right] == []
    assert sum(report.opened for report in reports) == IMAGES
    assert sum(report.checked for report in reports) > 10 * IMAGES
    assert sum(report.redrawn for report in reports) == 0, "a store that lost nothing took itself for a copy"


@pytest.mark.timeout(300)
def test_under_normal_it_sees_acknowledged_rows_go_and_the_file_stay_in_order() -> None:
    """The campaign's teeth: the same cuts, where a commit waits for no fsync."""
    for report in campaign(200, "normal"):
        assert report.lost > 0, report.names
        assert (report.corrupt, report.torn) == (0, 0), report.wrong


@pytest.mark.timeout(300)
def test_without_fsyncs_of_the_directory_acknowledged_rows_go() -> None:
    """The data directory's own name may go, and all that is in it."""
    found = {report.names: report for report in campaign(300, careless=True)}
    assert found[Names.SYNCED].lost > 0
    assert found[Names.AT_ONCE].right


def test_a_report_is_a_line_of_the_table() -> None:
    line = Report("full", Names.SYNCED).line(1)
    assert line == "| full | after fsync | 1 | 0 | 0 | 0 | 0 | 0 | 0 | 0 |"
    assert line.count("|") == HEADER.splitlines()[0].count("|")
