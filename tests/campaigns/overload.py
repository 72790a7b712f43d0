"""What an overload does to three real nodes, and how soon it is over: half of what they take, five times that, half.

    python -m tests.campaigns.overload [--rounds 3] [--before 6] [--surge 12] [--after 15] [--pure]

Three nodes, N=3 R=2 W=2, durability full, 100-byte values. What they take (`capacity`) is measured first, in the same
round: SETs of 64 clients that each wait for their answer (kvload.c). Then requests come at their rate, however slow the
answers are (kvflood.c), over 128 connections, from clients that ask again 50 ms after a refusal, and three times.
Prints a table in Markdown for RESULTS.md, with ratios of figures of one round, since the machine is shared.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

from tests.helpers.cluster import ROOT, Cluster, Connection
from tests.helpers.wheel import compiled_tree

CONNECTIONS: Final = 64
KEYS: Final = 100_000
LOAD: Final = 0.5
SURGE: Final = 5.0
WARM_S: Final = 1.0
"""The beginning of the surge, which is not part of its goodput: the nodes must find out first."""

Bucket = dict[str, float]
WRONG: Final = ("busy", "unavailable", "unknown", "other", "timeout", "dropped", "failed")


class Report(NamedTuple):
    """One round. Rates a second, times in seconds, latencies in ms, CPU in seconds for each request.

    `recovered_s` is the end of the last half second after the surge in which any attempt was refused or given up;
    `back` the share of what came after that which was done. `refused_cpu` is an upper bound: all CPU of the surge, that
    of the requests that were served included.
    """

    capacity: float
    goodput: float
    offered: float
    attempts: float
    refused: float
    other_errors: float
    recovered_s: float
    back: float
    p99_before: float
    p99_after: float
    rss_before_mb: float
    rss_peak_mb: float
    requests_most: int
    disk_writes_most: int
    served_cpu: float
    refused_cpu: float


def build(folder: Path) -> tuple[Path, Path]:
    """Compile the two load generators into `folder`."""
    programs = []
    for name in ("kvload", "kvflood"):
        program = folder / name
        source = Path(__file__).with_name(f"{name}.c")
        subprocess.run(["cc", "-O2", "-w", "-o", str(program), str(source)], check=True)
        programs.append(program)
    return programs[0], programs[1]


def measure(
    cluster: Cluster, programs: tuple[Path, Path], before_s: float, surge_s: float, after_s: float, load: float = LOAD
) -> Report:
    """One round with nodes that run."""
    kvload, kvflood = programs
    endpoints = ",".join(f"127.0.0.1:{node.port}" for node in cluster.nodes)
    cluster.send(0, "SET", "warm", "up")
    begun_cpu_s = cpu_s(cluster)
    command = [str(kvload), "-t", "resp", "-e", endpoints, "-o", "set", "-c", str(CONNECTIONS), "-k", str(KEYS)]
    done = subprocess.run([*command, "-d", "100", "-s", str(before_s)], capture_output=True, check=True, timeout=600)
    closed = json.loads(done.stdout)
    capacity = closed["ops"]
    served_cpu = (cpu_s(cluster) - begun_cpu_s) / (closed["ops"] * (before_s + 1))  # a second to warm up
    plan = f"{load * capacity:.1f}:{before_s},{SURGE * capacity:.1f}:{surge_s},{load * capacity:.1f}:{after_s}"
    buckets, watch = flood([str(kvflood), "-e", endpoints, "-p", plan], cluster)
    return judge(buckets, watch, capacity, served_cpu, surge_s)


class Watch(NamedTuple):
    """What the nodes said of themselves while it went on, by the phases of the load; `cpu_s` at the end of each."""

    rss_mb: dict[int, float]
    cpu_s: dict[int, float]
    requests_most: int
    disk_writes_most: int


def flood(command: list[str], cluster: Cluster) -> tuple[list[Bucket], Watch]:
    """Run the load; look at the nodes every half second."""
    buckets: list[Bucket] = []
    rss: dict[int, float] = {}
    spent: dict[int, float] = {}
    requests = writes = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        connections = [node.connect(60.0) for node in cluster.nodes]
        for line in process.stdout:
            bucket = json.loads(line)
            buckets.append(bucket)
            phase = int(bucket["phase"])
            rss[phase] = max(rss.get(phase, 0.0), *(node.rss_bytes / 1e6 for node in cluster.nodes))
            spent[phase] = cpu_s(cluster)
            for queues in map(queues_of, connections):
                requests, writes = max(requests, queues["requests"]), max(writes, queues["disk_writes"])
        for connection in connections:
            connection.close()
    assert process.returncode == 0, f"the load ended with {process.returncode}"
    return buckets, Watch(rss, spent, requests, writes)


def queues_of(connection: Connection) -> dict[str, int]:
    """What waits in a node, as it tells."""
    queues: dict[str, int] = json.loads(connection("DYN.STATS"))["queues"]
    return queues


def judge(buckets: list[Bucket], watch: Watch, capacity: float, served_cpu: float, surge_s: float) -> Report:
    """Figures from half seconds."""
    before, surge, after = ([b for b in buckets if b["phase"] == phase] for phase in (0, 1, 2))
    drop = after[0]["t"]
    wrong = [b["t"] + 0.5 for b in after if any(b[name] for name in WRONG)]
    recovered = max(wrong, default=drop)
    settled = [b for b in after if b["t"] >= recovered]
    warm = [b for b in surge if b["t"] >= surge[0]["t"] + WARM_S]
    surge_cpu_s = watch.cpu_s[1] - watch.cpu_s[0]
    refused = total(surge, "busy")
    return Report(
        capacity=capacity,
        goodput=total(warm, "ok") / (0.5 * len(warm)),
        offered=total(surge, "came") / surge_s,
        attempts=total(surge, "sent") / surge_s,
        refused=refused,
        other_errors=sum(total(surge, name) for name in ("unavailable", "unknown", "other", "timeout", "dropped")),
        recovered_s=recovered - drop,
        back=total(settled, "ok") / max(total(settled, "came"), 1.0),
        p99_before=statistics.median(b["p99"] for b in before),
        p99_after=statistics.median([b["p99"] for b in settled] or [float("inf")]),
        rss_before_mb=watch.rss_mb[0],
        rss_peak_mb=max(watch.rss_mb.values()),
        requests_most=watch.requests_most,
        disk_writes_most=watch.disk_writes_most,
        served_cpu=served_cpu,
        refused_cpu=surge_cpu_s / max(refused, 1.0),
    )


def total(buckets: list[Bucket], name: str) -> float:
    """The sum of one figure."""
    return sum(bucket[name] for bucket in buckets)


def cpu_s(cluster: Cluster) -> float:
    """CPU that all nodes have used so far."""
    ticks = 0
    for node in cluster.nodes:
        fields = Path(f"/proc/{node.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def table(reports: list[Report]) -> str:
    """The table of RESULTS.md."""
    lines = [
        "| round | capacity SET/s | requests/s then | attempts/s | done/s | done / capacity | errors, not BUSY |"
        " none refused any more after | done after that | p99 ms before | p99 ms after | RSS MB before | at most |"
        " CPU refusal / served, less than |",
        "|---:|" + "---:|" * 13,
    ]
    for number, r in enumerate(reports, 1):
        lines.append(
            f"| {number} | {r.capacity:,.0f} | {r.offered:,.0f} | {r.attempts:,.0f} | {r.goodput:,.0f} |"
            f" {r.goodput / r.capacity:.2f} | {r.other_errors:,.0f} | {r.recovered_s:.1f} s | {100 * r.back:.1f} % |"
            f" {r.p99_before:.0f} | {r.p99_after:.0f} | {r.rss_before_mb:.0f} | {r.rss_peak_mb:.0f} |"
            f" {r.refused_cpu / r.served_cpu:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--before", type=float, default=6)
    parser.add_argument("--surge", type=float, default=12)
    parser.add_argument("--after", type=float, default=15)
    parser.add_argument("--pure", action="store_true", help="this checkout as it is, not what `pip install .` compiles")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dyn-overload-") as name:
        folder = Path(name)
        tree = ROOT if given.pure else compiled_tree(folder / "build")
        programs = build(folder)
        reports = []
        for number in range(given.rounds):
            with Cluster(3, folder / f"round-{number}", tree=tree) as cluster:
                reports.append(measure(cluster, programs, given.before, given.surge, given.after))
            sys.stderr.write(f"{reports[-1]}\n")
    print(table(reports))


if __name__ == "__main__":
    main()
