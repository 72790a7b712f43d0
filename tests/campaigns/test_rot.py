"""A sample of the damage that may befall a data file; with DYN_LONG=1 a larger one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.campaigns.rot import Wrong, befall, build, campaign, live
from tests.helpers.campaign import scale


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_damaged_file_never_tells_what_was_not_written() -> None:
    tallies = campaign(scale(97, 31), offset=3)
    assert [line for tally in tallies.values() for line in tally.wrong] == []
    assert all(sum(tally.outcomes.values()) for tally in tallies.values())
    assert tallies["bit"].unreadable > 0
    assert tallies["bit"].intact > 50 * tallies["bit"].unreadable


def test_it_sees_a_row_that_was_never_written(tmp_path: Path) -> None:
    rows = build(tmp_path / "data", killed=False)
    key = next(iter(rows))
    rows[key] = (b"another",)
    befall(tmp_path / "data", ("bit", "node.db", 0))
    with pytest.raises(Wrong):
        live(tmp_path / "data", {key: rows[key]}, scrubbed=False)
