"""The README's figures: durable writes and reads, side by side with etcd and Redis, in one run on one machine.

    python -m tests.campaigns.figures [--rounds 3] [--seconds 5] [--keys 100000] [--memory 1000000]

Three dyn nodes (N=3 R=2 W=2, durability full), a three-node etcd with its default fsync, and one redis-server that
syncs every write; 100-byte values, 64 connections, no pipelining. The systems take turns, so that a machine whose
speed drifts treats them alike; each figure is the median of the rounds, and what is quoted are the ratios of one run.
What is measured of dyn is the compiled build, which is what `pip install .` installs: the installed one or, beside an
editable install, one that is built first. (`--pure`: this checkout as it is.)

The load comes from kvload.c beside this file, the same program for all three. It needs a C compiler and Debian's
etcd-server, etcd-client and redis-server; what is missing is left out and named.

With `--memory N` the resident memory of an idle node, and of one that holds N keys, is measured too. `--startup`
compares `dyn --version` and `dyn get` with a bare interpreter.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tests.helpers.cluster import ROOT, Cluster, Connection, dying_with_us, eventually, free_ports, is_free
from tests.helpers.wheel import compiled_tree

Endpoints = str
CONNECTIONS = 64
VALUE_BYTES = 100
IMPORT_TYPER = "python -c 'import typer'"
ETCD_CLIENT_PORT, ETCD_PEER_PORT = 24700, 24800


@contextmanager
def dyn(folder: Path, tree: Path) -> Iterator[tuple[str, Endpoints]]:
    """Three dyn nodes, with the code in `tree`."""
    with Cluster(3, folder, tree=tree) as cluster:
        cluster.send(0, "SET", "warm", "up")
        yield "resp", ",".join(f"127.0.0.1:{node.port}" for node in cluster.nodes)


@contextmanager
def redis(folder: Path) -> Iterator[tuple[str, Endpoints]]:
    """One redis-server that syncs every write: no replication, the ceiling of one durable disk."""
    folder.mkdir(parents=True)
    (port,) = free_ports(1, range(28000, 28090))
    command = ["redis-server", "--port", str(port), "--dir", str(folder), "--save", "", "--appendonly", "yes"]
    with running([*command, "--appendfsync", "always"]):
        eventually(lambda: answers(port), "redis-server")
        yield "resp", f"127.0.0.1:{port}"


@contextmanager
def etcd(folder: Path) -> Iterator[tuple[str, Endpoints]]:
    """A three-node etcd; the leader's endpoint first."""
    peers = [f"http://127.0.0.1:{ETCD_PEER_PORT + i}" for i in range(3)]
    clients = [f"127.0.0.1:{ETCD_CLIENT_PORT + i}" for i in range(3)]
    everybody = ",".join(f"e{i}={peer}" for i, peer in enumerate(peers))
    with ExitStack() as stack:
        for i in range(3):
            stack.enter_context(
                running([
                    "etcd", "--name", f"e{i}", "--data-dir", str(folder / f"e{i}"), "--log-level", "error",
                    "--listen-client-urls", f"http://{clients[i]}", "--advertise-client-urls", f"http://{clients[i]}",
                    "--listen-peer-urls", peers[i], "--initial-advertise-peer-urls", peers[i],
                    "--initial-cluster", everybody, "--initial-cluster-state", "new",
                ])
            )  # fmt: skip
        yield "etcd", ",".join(eventually(lambda: leader_first(clients), "etcd's leader", seconds=30))


def leader_first(clients: list[str]) -> list[str] | None:
    """The endpoints with the leader in front; None while there is none."""
    command = ["etcdctl", "--endpoints", ",".join(clients), "endpoint", "status", "-w", "json"]
    found = subprocess.run(command, env={**os.environ, "ETCDCTL_API": "3"}, capture_output=True, check=False)
    try:
        statuses = json.loads(found.stdout)
        leads = {s["Endpoint"]: s["Status"]["leader"] == s["Status"]["header"]["member_id"] for s in statuses}
    except (ValueError, KeyError, TypeError):
        return None
    return sorted(clients, key=lambda client: not leads.get(client)) if any(leads.values()) else None


@contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process for as long as the context lasts."""
    command = [*dying_with_us(), *command]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def answers(port: int) -> bool:
    """Whether a Redis server answers."""
    try:
        with Connection(port) as connection:
            return bool(connection("PING"))
    except OSError:
        return False


Systems = dict[str, tuple[str, Callable[[Path], Any]]]


def systems(tree: Path) -> Systems:
    """What is compared: the program it needs, and how it is started."""
    return {
        "dyn, 3 nodes": ("true", partial(dyn, tree=tree)),
        "etcd, 3 nodes": ("etcd", etcd),
        "redis-server, 1 node": ("redis-server", redis),
    }


def load(kvload: Path, kind: str, endpoints: Endpoints, op: str, keys: int, seconds: float) -> dict[str, float]:
    """Run the load generator once. Errors are part of the result."""
    command = [
        str(kvload), "-t", kind, "-e", endpoints, "-o", op, "-c", str(CONNECTIONS), "-k", str(keys),
        "-d", str(VALUE_BYTES), "-s", str(seconds), "-w", "1",
    ]  # fmt: skip
    found = subprocess.run(command, capture_output=True, check=False, timeout=600)
    result: dict[str, float] = json.loads(found.stdout)
    if result["errors"]:
        tell(f"{op}: {result['errors']:.0f} errors; {found.stderr.decode(errors='replace').strip()}")
    return result


def compare(
    compared: Systems, kvload: Path, folder: Path, rounds: int, seconds: float, keys: int
) -> dict[str, dict[str, list[float]]]:
    """Every system in turn, `rounds` times: its figures by name."""
    figures: dict[str, dict[str, list[float]]] = {}
    for turn in range(rounds):
        for name, (program, start) in compared.items():
            if shutil.which(program) is None:
                continue
            with start(folder / f"{name.split(',')[0]}-{turn}") as (kind, endpoints):
                load(kvload, kind, endpoints, "load", keys, seconds)
                for op in ("set", "get"):
                    found = load(kvload, kind, endpoints, op, keys, seconds)
                    for field in ("ops", "p50", "p99", "p999", "errors"):
                        figures.setdefault(name, {}).setdefault(f"{op} {field}", []).append(found[field])
            tell(f"round {turn + 1} of {rounds}: {name} done")
    return figures


def table(figures: dict[str, dict[str, list[float]]]) -> str:
    """The README's table, in Markdown: medians, and the ratio to etcd of each round's median."""
    lines = ["| | durable SET/s | p99 ms | GET/s | p99 ms |", "|---|---:|---:|---:|---:|"]
    middle = {
        name: {field: statistics.median(all_) for field, all_ in found.items()} for name, found in figures.items()
    }
    for name, found in middle.items():
        lines.append(
            f"| {name} | {found['set ops']:,.0f} | {found['set p99']:.1f} | {found['get ops']:,.0f} |"
            f" {found['get p99']:.1f} |"
        )
    ours = middle["dyn, 3 nodes"]
    for name, found in middle.items():
        if found is not ours:
            ratios = [ours[field] / found[field] for field in ("set ops", "set p99", "get ops", "get p99")]
            lines.append(f"| dyn / {name} | " + " | ".join(f"{ratio:.2f}" for ratio in ratios) + " |")
    wrong = sum(sum(found[f"{op} errors"]) for found in figures.values() for op in ("set", "get"))
    return "\n".join([*lines, "", f"{wrong:.0f} requests were answered with an error."])


def memory(tree: Path, folder: Path, kvload: Path, keys: int) -> str:
    """Resident memory of a node of three, idle and holding `keys` keys."""
    with Cluster(3, folder, tree=tree) as cluster:
        cluster.send(0, "SET", "warm", "up")
        idle = settled_mb(cluster)
        endpoints = ",".join(f"127.0.0.1:{node.port}" for node in cluster.nodes)
        load(kvload, "resp", endpoints, "load", keys, 0)
        full = settled_mb(cluster)
    return f"RSS of a node: {idle:.1f} MB idle, {full:.1f} MB with {keys:,} keys ({full - idle:+.1f})"


def settled_mb(cluster: Cluster) -> float:
    """Resident memory of the largest node, once none has grown for five seconds; a minute at most."""
    seen: list[float] = []
    while len(seen) < 60 and (len(seen) < 6 or seen[-1] > seen[-6] + 0.1):
        time.sleep(1)
        seen.append(max(resident_mb(node.process) for node in cluster.nodes))
    return seen[-1]


def resident_mb(process: subprocess.Popen[bytes] | None) -> float:
    """A process' resident memory in MB (10^6 bytes)."""
    assert process is not None, "no process"
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def startup(tree: Path, folder: Path) -> str:
    """Wall time of short commands: medians of 15 runs each, in turn."""
    with Cluster(1, folder, tree=tree) as cluster:
        cluster.send(0, "SET", "k", "v")
        python = [sys.executable]
        commands = {
            "python -c pass": [*python, "-c", "pass"],
            "dyn --version": [*python, "-m", "dynamo_cli", "--version"],
            IMPORT_TYPER: [*python, "-c", "import typer"],
            "dyn get k": [*python, "-m", "dynamo_cli", "get", "k", "-n", f"127.0.0.1:{cluster.nodes[0].port}"],
        }
        environ = os.environ | {"PYTHONPATH": str(tree)}
        took: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(15):
            for name, command in commands.items():
                begun = time.perf_counter()
                subprocess.run(command, cwd=folder, env=environ, check=True, capture_output=True)
                took[name].append((time.perf_counter() - begun) * 1000)
    middle = {name: statistics.median(times) for name, times in took.items()}
    lines = [f"{name:26} {ms:6.1f} ms" for name, ms in middle.items()]
    lines.append(f"dyn --version - pass       {middle['dyn --version'] - middle['python -c pass']:6.1f} ms")
    lines.append(f"dyn get / import typer     {middle['dyn get k'] / middle[IMPORT_TYPER]:6.2f}")
    return "\n".join(lines)


def tell(text: str) -> None:
    """A line for whoever waits."""
    sys.stderr.write(text + "\n")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--memory", type=int, metavar="KEYS")
    parser.add_argument("--startup", action="store_true")
    parser.add_argument("--pure", action="store_true")
    given = parser.parse_args()
    assert all(is_free(port) for port in (ETCD_CLIENT_PORT, ETCD_PEER_PORT)), "etcd's ports are taken"
    with tempfile.TemporaryDirectory(prefix="dyn-figures-") as name:
        folder = Path(name)
        tree = ROOT if given.pure else compiled_tree(folder / "build")
        kvload = folder / "kvload"
        source = Path(__file__).with_name("kvload.c")
        subprocess.run(["cc", "-O2", "-w", "-o", str(kvload), str(source)], check=True)
        if given.rounds:
            compared = systems(tree)
            missing = [system for system, (program, _) in compared.items() if shutil.which(program) is None]
            for system in missing:
                tell(f"{system} is not installed: left out")
            print(table(compare(compared, kvload, folder, given.rounds, given.seconds, given.keys)))
        if given.memory:
            print(memory(tree, folder / "memory", kvload, given.memory))
        if given.startup:
            print(startup(tree, folder / "startup"))


if __name__ == "__main__":
    main()
