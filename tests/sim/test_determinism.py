"""One seed is one run: the same trace in every process, whatever the hash seed; other seeds are other runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SEEDS = (1, 5, 7, 17)
CODE = f"from node.sim.run import run\nprint(*(run(seed, 100).trace for seed in {SEEDS}))"


def traces(hash_seed: str) -> list[str]:
    """Run the seeds in a process of their own."""
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_seed_gives_one_trace_under_three_hash_seeds() -> None:
    first, second, third = (traces(hash_seed) for hash_seed in ("0", "1", "4242"))
    assert first == second == third
    assert len(set(first)) == len(SEEDS), "different seeds, different runs"
