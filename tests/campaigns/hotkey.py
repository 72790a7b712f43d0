"""What one hot key does to all the others: the same load beside it, on one key and spread over many, in turn.

    python -m tests.campaigns.hotkey [--rounds 3] [--seconds 8] [--pure]

Three nodes, N=3 R=2 W=2, durability full, 100-byte values. Writes to KEYS keys come at OTHERS of what the nodes take
(measured first, as in `overload`), and beside them as many again: for `spread` to the same keys, for `hot` to one of
them. What is told is the latency of the former, and the ratio of the two within one round. Wanted: at most 2.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

from tests.campaigns.overload import WRONG, build, total
from tests.helpers.cluster import ROOT, Cluster
from tests.helpers.wheel import compiled_tree

KEYS: Final = 10_000
OTHERS: Final = 0.25
"""Of what the nodes take; the hot key gets as much, KEYS times what any other gets."""

WARM_S: Final = 1.0
RATIO_WANTED: Final = 2.0


class Round(NamedTuple):
    """Latencies in ms of writes to all the other keys, and how many attempts of either kind failed."""

    capacity: float
    rate: float
    p50_spread: float
    p99_spread: float
    p50_hot: float
    p99_hot: float
    errors: int

    @property
    def ratio(self) -> float:
        """By how much the hot key lengthens the others' p99."""
        return self.p99_hot / self.p99_spread


def measure(cluster: Cluster, programs: tuple[Path, Path], seconds: float) -> Round:
    """One round with nodes that run."""
    kvload, kvflood = map(str, programs)
    endpoints = ",".join(f"127.0.0.1:{node.port}" for node in cluster.nodes)
    cluster.send(0, "SET", "warm", "up")
    command = [kvload, "-t", "resp", "-e", endpoints, "-o", "set", "-c", "64", "-k", str(KEYS), "-d", "100"]
    done = subprocess.run([*command, "-s", str(seconds / 2)], capture_output=True, check=True, timeout=600)
    capacity = float(json.loads(done.stdout)["ops"])
    rate = OTHERS * capacity
    load = [kvflood, "-e", endpoints, "-p", f"{rate:.1f}:{seconds}", "-k"]
    found = []
    for beside in (KEYS, 1):
        with subprocess.Popen([*load, str(beside)], stdout=subprocess.PIPE, text=True) as other:
            told = subprocess.run([*load, str(KEYS)], capture_output=True, text=True, check=True, timeout=600).stdout
            noise, _ = other.communicate(timeout=60)
        buckets = [json.loads(line) for line in told.splitlines()]
        settled = [bucket for bucket in buckets if WARM_S <= bucket["t"] - buckets[0]["t"] < seconds - WARM_S]
        everything = buckets + [json.loads(line) for line in noise.splitlines()]
        errors = sum(total(everything, name) for name in WRONG)
        found.append(
            (statistics.median(b["p50"] for b in settled), statistics.median(b["p99"] for b in settled), errors)
        )
    (p50, p99, errors), (hot_p50, hot_p99, hot_errors) = found
    return Round(capacity, rate, p50, p99, hot_p50, hot_p99, round(errors + hot_errors))


def table(rounds: list[Round]) -> str:
    """The table of RESULTS.md."""
    lines = [
        "| round | capacity SET/s | others, and beside them | p50 ms, spread | p99 ms, spread | p50 ms, one hot key |"
        " p99 ms, one hot key | ratio of p99 | errors |",
        "|---:|" + "---:|" * 8,
    ]
    for number, r in enumerate(rounds, 1):
        lines.append(
            f"| {number} | {r.capacity:,.0f} | {r.rate:,.0f}/s | {r.p50_spread:.1f} | {r.p99_spread:.1f} |"
            f" {r.p50_hot:.1f} | {r.p99_hot:.1f} | {r.ratio:.2f} | {r.errors} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Measure and print; 1 if the hot key is felt by the others."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--pure", action="store_true", help="this checkout as it is, not what `pip install .` compiles")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dyn-hotkey-") as name:
        folder = Path(name)
        tree = ROOT if given.pure else compiled_tree(folder / "build")
        programs = build(folder)
        rounds = []
        for number in range(given.rounds):
            with Cluster(3, folder / f"round-{number}", tree=tree) as cluster:
                rounds.append(measure(cluster, programs, given.seconds))
            sys.stderr.write(f"{rounds[-1]}\n")
    print(table(rounds))
    return int(statistics.median(r.ratio for r in rounds) > RATIO_WANTED)


if __name__ == "__main__":
    sys.exit(main())
