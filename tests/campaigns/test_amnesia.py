"""A short round of lost data: refused under the old name, replaced, fenced."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.campaigns.amnesia import campaign, table
from tests.helpers.campaign import scale

pytestmark = pytest.mark.long


def test_who_lost_everything_is_replaced_and_never_comes_back(tmp_path: Path) -> None:
    found = campaign(scale(1, 4), scale(100, 500), 1, tmp_path, lambda text: None)
    assert all(each.good for each in found), found
    assert table(found).splitlines()[-1].startswith(f"| {len(found)} | ")
