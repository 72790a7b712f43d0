"""Nodes come and go while clients write: nothing acknowledged is lost, and no key that exists is ever "not found".

    python -m tests.campaigns.moves --rounds 20 --clients 40 --cold 10000

Five nodes on loopback, N=3 R=2 W=2. In each round two new, empty nodes join at once, and when their moves are settled
two of the seven leave. On its way one node is killed (kill -9) and started again: a giver or the taker, when so much
of the move is done (--kill-at, in turn). Meanwhile clients add elements to hot sets by read-modify-write, as in
`jepsen`, and others read cold keys that were written before the first round: STRICT, where "not found" is wrong, and
sloppily, where it is counted (paper, section 4.6: who stands in for somebody knows nothing of before).

At the end every set is read from all its owners. Exit 1 if an acknowledged element is gone, one that was refused is
there, or a STRICT read did not find a cold key.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from statistics import median
from typing import NamedTuple

import hiredis

from tests.campaigns.jepsen import CONNECT_S, N, Writer, counted, tell
from tests.campaigns.ledger import Report, bound, judge, union
from tests.helpers.cluster import Cluster, Connection, Node, ReplyError, eventually

NODES = 5
GROWS = 2
HOT = 10
COLD_PIPELINE = 100
KILL_AT = (0.1, 0.5, 0.9)
MOVED_S = 300.0
"""How long one change may take, on a busy machine."""
FOUND_S = 60.0
Told = Callable[[str], object]


class Moved(NamedTuple):
    """One change of the ring: what it was, how long it took, who was killed on its way ("" for nobody)."""

    what: str
    seconds: float
    killed: str


class Outcome(NamedTuple):
    """What came of a campaign. `strict` and `sloppy` count what reads of cold keys found: found, absent, or a code."""

    report: Report
    moves: list[Moved]
    strict: Counter[str]
    sloppy: Counter[str]

    @property
    def right(self) -> bool:
        """Whether nothing was lost, and no key that exists was not found by a STRICT read."""
        return self.report.right and not self.strict["absent"] and self.strict["found"] > 0


class Adder(Writer):
    """A client that adds elements to hot sets, through whichever nodes are in service."""

    def __init__(self, number: int, nodes: Sequence[Node], serving: set[int], seed: int, pause_s: float) -> None:
        super().__init__(number, nodes, seed, pause_s)  # type: ignore[arg-type]  # it only connects to them
        self.serving = serving

    def aim(self) -> Sequence[int]:
        """The nodes that are members now."""
        return sorted(self.serving)

    def key(self) -> bytes:
        """One of the hot sets."""
        return b"hot-%d" % self.rng.randrange(HOT)


class Reader(threading.Thread):
    """A client that reads cold keys, every other time STRICT."""

    def __init__(self, number: int, nodes: Sequence[Node], serving: set[int], cold: int, pause_s: float) -> None:
        super().__init__(name=f"reader {number}", daemon=True)
        self.nodes = nodes
        self.serving = serving
        self.cold = cold
        self.rng = Random(f"reader/{number}")
        self.strict: Counter[str] = Counter()
        self.sloppy: Counter[str] = Counter()
        self.stopping = threading.Event()
        self._pause_s = pause_s
        self._open: dict[int, Connection] = {}

    def run(self) -> None:
        """Read until told to stop."""
        while not self.stopping.wait(self.rng.uniform(0, 2 * self._pause_s)):
            strict = self.rng.random() < 0.5
            (self.strict if strict else self.sloppy)[self._read(strict=strict)] += 1
        for connection in self._open.values():
            connection.close()

    def _read(self, *, strict: bool) -> str:
        host, key = self.rng.choice(sorted(self.serving)), b"cold-%d" % self.rng.randrange(self.cold)
        try:
            if host not in self._open:
                self._open[host] = self.nodes[host - 1].connect(CONNECT_S)
                self._open[host].timeout(4.0)
            values = self._open[host]("DYN.GET", key, *(("STRICT",) if strict else ()))[1]
        except ReplyError as error:
            return str(error).split(" ", 1)[0]
        except (OSError, hiredis.HiredisError):
            if host in self._open:
                self._open.pop(host).close()
            return "no answer"
        return "found" if values == [b"value of " + key] else "absent"


class Campaign:
    """One cluster that grows and shrinks."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options = options
        self.rng = Random(options.seed)
        self.cluster = Cluster(NODES + GROWS * options.rounds, folder, start=False)
        self.nodes = self.cluster.nodes
        self.serving: set[int] = set()
        self.moves: list[Moved] = []
        self._kill_at = KILL_AT * (GROWS * options.rounds)
        pause_s = options.clients / options.rate
        writers, readers = options.clients - options.clients // 2, options.clients // 2
        self.writers = [
            Adder(number, self.nodes, self.serving, options.seed, pause_s) for number in range(1, writers + 1)
        ]
        self.readers = [
            Reader(number, self.nodes, self.serving, options.cold, pause_s) for number in range(1, readers + 1)
        ]

    def run(self, say: Told) -> Outcome:
        """Fill, let nodes come and go, and look."""
        with self.cluster:
            for host in range(1, NODES + 1):
                self.nodes[host - 1].start()
                self.nodes[host - 1].ready(MOVED_S)
                self.serving.add(host)
            self._fill()
            clients: list[threading.Thread] = [*self.writers, *self.readers]
            for client in clients:
                client.start()
            for number in range(self.options.rounds):
                first = NODES + GROWS * number + 1
                self._grow(range(first, first + GROWS), say)
                for _ in range(GROWS):
                    self._shrink(say)
            for writer in self.writers:
                writer.stopping.set()
            for reader in self.readers:
                reader.stopping.set()
            for thread in clients:
                thread.join(10.0)
            return self._look()

    def _fill(self) -> None:
        with self.nodes[0].connect() as connection:
            for number in range(self.options.cold):
                key = b"cold-%d" % number
                connection("SET", key, b"value of " + key)

    def _grow(self, hosts: Sequence[int], say: Told) -> None:
        """New nodes join at once; somebody is killed while they do."""
        began = time.monotonic()
        for host in hosts:
            self.nodes[host - 1].start()
        killed = self._kill_on_the_way(hosts[0], say)
        for host in hosts:
            self.nodes[host - 1].ready(MOVED_S)
            self.serving.add(host)
        self.moves.append(Moved(f"join {GROWS}", time.monotonic() - began, killed))
        say(f"{len(self.moves)} changes, {sum(writer.acknowledged for writer in self.writers)} acknowledged")

    def _kill_on_the_way(self, taker: int, say: Told) -> str:
        """Kill the taker, or a giver, once so much of what it gains was taken in; it is started again at once."""
        if not self.options.kill:
            return ""
        share = self._kill_at[len(self.moves) // (GROWS + 1)]
        name = self.nodes[taker - 1].name

        def far_enough() -> bool:
            return self._progress(name) >= share or self.nodes[taker - 1].ready_line != ""

        eventually(far_enough, f"{name} to take in {share:.0%}", seconds=MOVED_S)
        host = taker if self.rng.random() < 0.5 else self.rng.choice(sorted(self.serving))
        self.serving.discard(host)
        node = self.nodes[host - 1]
        node.kill()
        node.start().ready(MOVED_S)
        if host != taker:
            self.serving.add(host)
        return f"{'taker' if host == taker else 'giver'} at {share:.0%}"

    def _progress(self, name: str) -> float:
        """Which part of what it gains a node has taken in, as far as anybody says."""
        try:
            document = self.nodes[min(self.serving) - 1].document("TRANSFERS")
        except (OSError, ReplyError, hiredis.HiredisError):
            return 0.0
        for taker in document["takers"]:
            if taker["node"] == name and taker["total"]:
                return 1.0 - float(taker["todo"]) / float(taker["total"])
        return 0.0

    def _shrink(self, say: Told) -> None:
        """One of the nodes leaves, and its process ends by itself."""
        began = time.monotonic()
        host = self.rng.choice(sorted(self.serving - {1}))  # the first one is whom newcomers ask
        node = self.nodes[host - 1]

        def asked() -> bool:
            try:
                self.nodes[0].send("DYN.CLUSTER", "LEAVE", node.name)
            except ReplyError as error:
                return f"no member is called {node.name}" in str(error)  # decided, and the answer was lost
            return True

        eventually(asked, f"{node.name} to be let go", seconds=MOVED_S)
        node.wait(MOVED_S)
        self.serving.discard(host)
        self.moves.append(Moved("leave", time.monotonic() - began, ""))
        say(f"{len(self.moves)} changes, {sum(writer.acknowledged for writer in self.writers)} acknowledged")

    def _look(self) -> Outcome:
        ops = [op for writer in self.writers for op in writer.ops]
        keys = sorted({op.key for op in ops})
        until = time.monotonic() + FOUND_S
        while True:
            report = judge(ops, [], {key: self._find(key) for key in keys})
            if not report.lost or time.monotonic() > until:
                break
            time.sleep(0.5)
        strict = sum((reader.strict for reader in self.readers), Counter[str]())
        sloppy = sum((reader.sloppy for reader in self.readers), Counter[str]())
        return Outcome(report, self.moves, strict, sloppy)

    def _find(self, key: bytes) -> set[int]:
        try:
            return union(self.nodes[0].send("DYN.GET", key, "R", N, "STRICT")[1])
        except ReplyError:
            return set()


def campaign(options: argparse.Namespace, say: Told = lambda text: None) -> Outcome:
    """Run one on a cluster of its own."""
    with tempfile.TemporaryDirectory(prefix="dyn-moves-") as folder:
        return Campaign(options, Path(folder)).run(say)


HEAD = (
    "| rounds | killed on the way | writes sent | acknowledged | lost | 95 % bound | refused, yet there | unknown "
    "| refused | STRICT reads of cold keys | sloppy reads | join of two, median | leave, median |\n"
    "|---:|---|---:|---:|---:|---:|---:|---:|---|---|---|---:|---:|"
)


def line(options: argparse.Namespace, outcome: Outcome) -> str:
    """A campaign as a line of the table."""
    report = outcome.report
    took_s = {what: [moved.seconds for moved in outcome.moves if moved.what.startswith(what)] for what in ("j", "l")}
    cells = (
        options.rounds, counted(Counter(moved.killed for moved in outcome.moves if moved.killed)), report.sent,
        report.acknowledged, len(report.lost), bound(report), len(report.ghosts), report.unknown,
        counted(report.refused), counted(outcome.strict), counted(outcome.sloppy), f"{median(took_s['j']):.1f} s",
        f"{median(took_s['l']):.1f} s",
    )  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"


def parsed(argv: Sequence[str]) -> argparse.Namespace:
    """The options of a command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--clients", type=int, default=40, help="half of them write, half read")
    parser.add_argument("--cold", type=int, default=10_000, help="keys that were written before")
    parser.add_argument("--rate", type=float, default=250.0, help="requests a second that all clients try together")
    parser.add_argument("--no-kill", dest="kill", action="store_false", help="nobody dies on the way")
    parser.add_argument("--seed", type=int, default=1, help="of the clients' choices and of who suffers")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    """Run what the command line says; the exit status."""
    options = parsed(argv)
    outcome = campaign(options, tell)
    tell("")
    sys.stdout.write(f"{HEAD}\n{line(options, outcome)}\n")
    return int(not outcome.right)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
