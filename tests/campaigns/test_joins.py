"""What a join costs, in its short form; the long form is a command (`joins`)."""

from __future__ import annotations

import pytest

from tests.campaigns.joins import WIRE_MAX, campaign, parsed
from tests.campaigns.namespaces import why_not
from tests.helpers.campaign import scale

pytestmark = pytest.mark.long

WHY_NOT = why_not()


ASKED = ["--keys", str(scale(4_000, 6_000)), "--quiet", "2"]
MORE_BYTES = 200_000
"""Gossip and trees cost the same for few keys as for many."""


@pytest.mark.alone
@pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "it can be done here")
@pytest.mark.timeout(300)
def test_a_join_moves_little_more_than_what_moves_and_no_request_fails() -> None:
    """How long clients wait meanwhile is not judged here: that takes more keys, and a quieter machine.

    A machine that stands still for a moment is taken for lost messages, and what was on its way is sent again; of so
    few keys that is a large part. So a join that moved more is repeated,
    twice at the most; in none may a request fail.
    """
    joins: list[bool] = []
    told = []
    while not joins or (len(joins) < 3 and not any(joins)):
        wire, waits = campaign(parsed(ASKED))
        assert waits.wrong == []
        assert len(waits.during) > 0
        told.append(wire)
        joins.append(wire.received <= WIRE_MAX * wire.held + MORE_BYTES)
    assert any(joins), told
