"""A few seeds of the campaign of gossip (S7), and that it sees what it looks for."""

from __future__ import annotations

import pytest

from node.engine import tidings
from tests.campaigns import gossip
from tests.campaigns.gossip import BACK_S, BAD, HOW, ROWS, rounds_max, run, table
from tests.helpers.campaign import scale
from tests.helpers.gossiping import GossipWorld, cluster_of, decide, link

pytestmark = pytest.mark.long

SEEDS = scale(6, 8)


@pytest.mark.timeout(scale(120, 1200))
def test_all_know_within_ten_times_log2_rounds_and_who_is_gone_stays_gone() -> None:
    findings = [run(seed) for seed in range(1, SEEDS + 1)]
    findings.append(run(0, 50, freeze=False))
    assert not [finding for finding in findings if finding.wrong]
    assert {finding.how for finding in findings} == set(HOW)
    for finding in findings:
        assert finding.address is not None
        assert finding.epoch is not None
        assert 0 < max(finding.address, finding.epoch) <= rounds_max(finding.nodes)


@pytest.mark.parametrize("seed", range(1, scale(4, 5)))
def test_a_cluster_whose_messages_have_parts_of_the_table_does_as_well(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tidings, "GOSSIP_MEMBERS_MAX", 8)
    finding = run(seed, 20, freeze=False)
    assert not finding.wrong


def test_who_stood_still_for_a_minute_moves_no_row() -> None:
    for seed in range(1, scale(3, 4)):
        finding = run(seed, 3 + seed, freeze=True)
        assert finding.frozen
        assert not finding.wrong


def test_one_seed_is_one_run() -> None:
    assert run(3, 9) == run(3, 9)


@pytest.mark.parametrize("seed", [1, 2, 4])
def test_nodes_that_forget_who_is_gone_are_seen(seed: int) -> None:
    assert not run(seed, 6).wrong
    finding = run(seed, 6, amnesia=True)
    assert any("was a member again" in why for why in finding.wrong), finding


def test_what_nobody_hears_is_seen() -> None:
    finding = run(1, 4, network=BAD._replace(loss=1.0))
    assert finding.address is finding.epoch is None
    assert any("not all of 4 knew a new address after 20 rounds" in why for why in finding.wrong)
    assert any("never learned" in why for why in finding.wrong)
    *_, line = table([finding])
    assert line.endswith("| 1 |")


def test_what_is_moved_for_who_stood_still_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here somebody writes meanwhile, and the ring changes."""

    def disturbed(world: GossipWorld) -> None:
        link(world)
        state = cluster_of(world.hosts[0]).state

        def write() -> None:
            gossip.write(world, ROWS)

        def change() -> None:
            decide(world.hosts[0], world.hosts[1], state._replace(epoch=state.epoch + 1))

        world.agenda.after(BACK_S + 30.0, write)
        world.agenda.after(BACK_S + 40.0, change)

    monkeypatch.setattr(gossip, "link", disturbed)
    finding = run(1, 5, freeze=True)
    assert any("rows were moved" in why and "'Replicate'" in why for why in finding.wrong), finding
    assert any("the ring changed" in why for why in finding.wrong), finding
