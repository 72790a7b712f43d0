"""The campaign of stops: what it computes, and a short run of it."""

from __future__ import annotations

import pytest

from node.core.ids import partition_of
from tests.campaigns.ledger import OK, UNKNOWN, Op
from tests.campaigns.namespaces import why_not
from tests.campaigns.stops import PATIENTS, Stop, campaign, lines, p99, parsed, role, table
from tests.helpers.campaign import scale

pytestmark = pytest.mark.long

WHY_NOT = why_not()
hosted = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "it can be done here")
LIST = ["n3", "n1", "n5", "n2", "n4"]
RING = {"partitions": 1, "n": 3, "preference": [LIST]}
"""n3, n1 and n5 own everything."""


def op(node: int, began: float, sent: float, ended: float, outcome: str = OK) -> Op:
    return Op(b"k", 1, node, began, ended, outcome, False, sent)


def test_what_a_node_has_to_do_with_a_write() -> None:
    assert partition_of(b"k", 1) == 0
    assert role(op(2, 0, 1, 2), 3, RING) == "coordinator"
    assert role(op(5, 0, 1, 2), 3, RING) == "replica", "n5 coordinates what it is asked itself"
    assert role(op(2, 0, 1, 2), 1, RING) == "replica", "n3 is asked first"
    assert role(op(2, 0, 1, 2), 4, RING) == "bystander"


def test_requests_before_and_while_a_node_is_stopped() -> None:
    """Each by itself; what was sent before and answered meanwhile counts as meanwhile, what came later not at all."""
    stops = [Stop(3, 10, 20, 30, 10)]
    ops = [
        op(5, 9, 9.5, 9.75), op(5, 9.5, 10.5, 11), op(2, 12, 12.25, 12.5),  # before: the first two begin too early
        op(5, 19.5, 19.75, 21), op(2, 29, 30.5, 31, UNKNOWN), op(5, 31, 32, 33),
        op(3, 21, 22, 23), op(3, 11, 12, 13),  # asked of the one that is stopped
    ]  # fmt: skip
    everything, coordinator, replica, bystander = lines(ops, stops, RING)
    assert (everything.role, everything.calm, everything.stopped) == ("all", [0.5, 0.25, 0.25, 0.25], [1.25, 1.5])
    assert (coordinator.calm, coordinator.stopped, coordinator.failed) == ([0.25, 0.25], [1.5], 1)
    assert (replica.calm, replica.stopped, replica.failed) == ([0.5, 0.25], [1.25], 0)
    assert bystander.calm == bystander.stopped == []


@pytest.mark.alone
@hosted
@pytest.mark.timeout(300)
def test_who_stood_still_tells_the_truth_and_holds_up_nobody() -> None:
    found = campaign(parsed(["--stops", *scale(["1", "3"], ["1", "5"]), "--calm", "3"]))
    assert found.report.right, table(found)
    assert found.asked == 2 * PATIENTS
    assert found.late, "no answer came after its deadline"
    longest = found.lines[-4]
    assert longest.role == "all"
    assert len(longest.stopped) > 100
    assert p99(longest.stopped) < 1000, "a client waited until the node was there again"
