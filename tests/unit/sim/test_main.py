"""The command: what it prints, and when it fails."""

from __future__ import annotations

import re

import pytest

from node.sim.__main__ import main


def test_one_seed_tells_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "7", "--ops", "20"]) == 0
    out = capsys.readouterr().out
    for word in ("seed 7\n", "options: nrw=", "1 no loss                ok", "10 liveness", "marks: ", "trace: "):
        assert word in out
    assert "replay: python -m node.sim --seed 7 --ops 20 --trace 400\n" in out


def test_one_seed_with_its_last_steps(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--seed", "7", "--ops", "5", "--trace", "10"])
    assert len(capsys.readouterr().out.splitlines()[-10:]) == 10


def test_a_campaign_sums_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "1-3", "--ops", "10"]) == 0
    assert "3 seeds, 0 failed" in capsys.readouterr().out.splitlines()[-1]


def test_a_violation_names_the_seed_and_the_way_back(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "1-5", "--ops", "100", "--off", "CONTEXT_LIMITS"]) == 1
    out = capsys.readouterr().out
    assert "VIOLATED" in out
    failed = re.findall(r"^seed (\d+)$", out, re.MULTILINE)
    assert failed
    for seed in failed:
        assert f"replay: python -m node.sim --seed {seed} --ops 100 --off CONTEXT_LIMITS --trace 400" in out


def test_a_batch_ends_by_the_clock(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--minutes", "0.001", "--ops", "5"]) == 0
    assert "seeds, 0 failed" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--seeds", "x"], ["--seeds", "1-"], ["--seed", "1", "--seeds", "1-2"]])
def test_bad_arguments(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "usage" in capsys.readouterr().err
