"""Options and faults are functions of the seed, and varied."""

from __future__ import annotations

from node.sim.faults import draw_faults, draw_formation_faults, draw_options


def test_a_seed_draws_the_same_again() -> None:
    for seed in range(50):
        options = draw_options(seed)
        assert options == draw_options(seed)
        assert draw_faults(options) == draw_faults(options)


def test_faults_begin_in_the_chaos_and_are_in_order() -> None:
    for seed in range(50):
        options = draw_options(seed)
        faults = draw_faults(options)
        assert faults == sorted(faults)
        assert all(0 <= fault.at <= options.chaos_s + 5 for fault in faults)
        assert all(0 <= host < options.nodes for fault in faults for host in fault.hosts)


def test_seeds_differ_in_every_option() -> None:
    drawn = [draw_options(seed, elastic=seed % 2 == 0) for seed in range(300)]
    for name in drawn[0]._fields:
        assert len({getattr(options, name) for options in drawn}) > 1, name
    for name in drawn[0].network._fields:
        assert len({getattr(options.network, name) for options in drawn}) > 1, name
    assert {options.formation for options in drawn} == {"ready", "join", "discover"}


def test_every_kind_of_fault_is_drawn() -> None:
    kinds = {fault.kind for seed in range(100) for fault in draw_faults(draw_options(seed))}
    assert kinds == {
        "kill", "power cut", "cut", "pause", "slow disk", "full disk", "rot", "restore", "wipe", "disk error",
        "wrong clock", "freeze",
    }  # fmt: skip


def test_faults_of_the_beginning_end_with_it() -> None:
    for seed in range(300):
        options = draw_options(seed)
        assert all(fault.at + fault.for_s <= 12.0 + 1e-9 for fault in draw_formation_faults(options, 12.0))


def test_the_number_of_requests_can_be_given() -> None:
    assert draw_options(7, 2000).ops == 2000
    assert draw_options(7, 2000)._replace(ops=0) == draw_options(7)._replace(ops=0)


def test_options_are_told_in_one_line() -> None:
    text = draw_options(7).describe()
    assert "\n" not in text
    assert "nrw=" in text
    assert "loss=" in text
