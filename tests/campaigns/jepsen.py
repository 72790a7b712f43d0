"""Real nodes under a nemesis: clients add elements to sets by read-modify-write, and no acknowledged element is lost.

    python -m tests.campaigns.jepsen --nemesis halves --writes 10000
    python -m tests.campaigns.jepsen --nemesis all

Five nodes in network namespaces (`namespaces`), N=3 R=2 W=2. Each client takes a random key and a random node, reads
the siblings and their context (DYN.GET), and writes their union with one new element over them (DYN.PUT); when the
read finds no owner it writes the element alone, blindly. Calm and nemesis take turns until enough writes were
acknowledged. Then all is healed, and every key is read from all its owners: what was acknowledged must be there, what
was refused must not. Exit 1 if not so, or if fewer than --ack-rate per cent of the writes were acknowledged that were
sent, while cut, to a node that runs and reaches W - 1 others; 2 where such a network cannot be made.

`--sabotage` lets the clients write what they read without its siblings, by SET: the campaign must find losses then.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random

import hiredis

from tests.campaigns.ledger import OK, UNKNOWN, Cut, Op, Report, bound, judge, packed, union
from tests.campaigns.namespaces import HostedNode, Network, why_not
from tests.campaigns.nemeses import NEMESES, Nemesis, relent, strike
from tests.helpers.cluster import Connection, ReplyError, eventually

NODES = 5
N, W = 3, 2
KEYS = [b"set-%d" % i for i in range(10)]
CONNECT_S = 0.5
"""A client that is not even told PONG within this goes on to another node: one that runs says so whatever it hears."""
ANSWER_S = 3.5
"""A request ends after 3 s by itself; who hears nothing for longer speaks to a node that stands still."""
SHUN_S = 2.0
"""A client leaves a node alone for so long that did not answer it at all."""
HEALED_S = 60.0
"""After all is healed, all nodes must see all up within this, and every acknowledged element be found (--patience)."""
ELEMENTS_OF_ONE = 10_000_000
Told = Callable[[str], object]


class Writer(threading.Thread):
    """One client. `ops` is what it was told. Other campaigns have clients that `aim` otherwise."""

    def __init__(
        self, number: int, nodes: Sequence[HostedNode], seed: int, pause_s: float, *, sabotage: bool = False
    ) -> None:
        super().__init__(name=f"client {number}", daemon=True)
        self.number = number
        self.nodes = nodes
        self.rng = Random(f"{seed}/{number}")
        self.ops: list[Op] = []
        self.acknowledged = 0
        self.unsent = 0
        self.stopping = threading.Event()
        self.answer_s = ANSWER_S
        self._next = number * ELEMENTS_OF_ONE
        self._pause_s = pause_s
        self._sabotage = sabotage
        self._open: dict[int, Connection] = {}
        self._shunned: dict[int, float] = {}

    def run(self) -> None:
        """Write until told to stop."""
        while not self.pauses():
            hosts = [host for host in self.aim() if not self.shuns(host)]
            if hosts:
                self.write(self.rng.choice(hosts), self.key())
        self.hang_up()

    def key(self) -> bytes:
        """The set that the next write is for."""
        return self.rng.choice(KEYS)

    def aim(self) -> Sequence[int]:
        """The hosts that it may speak to now."""
        return range(1, len(self.nodes) + 1)

    def pauses(self) -> bool:
        """Wait a little; whether it was told to stop."""
        return self.stopping.wait(self.rng.uniform(0, 2 * self._pause_s))

    def shuns(self, host: int) -> bool:
        """Whether a host did not answer just now."""
        return self._shunned.get(host, 0) > time.monotonic()

    def write(self, host: int, key: bytes) -> str:
        """One read and one write through one node; how it ended, "" if the write was not sent."""
        began = time.monotonic()
        try:
            connection = self.connection(host)
            known, context, blind = self.read(connection, key)
        except (OSError, hiredis.HiredisError):
            self.unsent += 1
            self._leave(host)
            return ""
        return self.put(host, connection, key, known, context, blind=blind, began=began)

    def put(
        self, host: int, connection: Connection, key: bytes, known: set[int], context: bytes, *more: str | int,
        blind: bool, began: float,
    ) -> str:  # fmt: skip
        """Write what was read with one more element over it; how it ended."""
        element, self._next = self._next, self._next + 1
        value = packed(known | {element})
        sent = time.monotonic()
        try:
            if self._sabotage:
                connection("SET", key, value)
            else:
                connection("DYN.PUT", key, context, value, *more)
            outcome = OK
        except ReplyError as error:
            outcome = str(error).split(" ", 1)[0]
        except (OSError, hiredis.HiredisError):
            outcome = UNKNOWN
            self._leave(host)
        self.ops.append(Op(key, element, host, began, time.monotonic(), outcome, blind, sent))
        self.acknowledged += outcome == OK
        return outcome

    def read(self, connection: Connection, key: bytes) -> tuple[set[int], bytes, bool]:
        """What is known of a set, the context to write over it, and whether nothing could be read."""
        try:
            context, values = connection("DYN.GET", key)
        except ReplyError:
            return set(), b"", True
        return union(values[:1] if self._sabotage else values), context, False

    def connection(self, host: int) -> Connection:
        """The connection to a node."""
        if host not in self._open:
            connection = self.nodes[host - 1].connect(CONNECT_S)
            self._open[host] = connection
        connection = self._open[host]
        connection.timeout(CONNECT_S)
        connection("PING")
        connection.timeout(self.answer_s)
        return connection

    def hang_up(self) -> None:
        """Leave every node."""
        for connection in self._open.values():
            connection.close()

    def _leave(self, host: int) -> None:
        """The node does not answer: try again later, over a new connection."""
        self._shunned[host] = time.monotonic() + SHUN_S
        connection = self._open.pop(host, None)
        if connection is not None:
            connection.close()


class Campaign:
    """One nemesis against one cluster. Other campaigns `torment` it otherwise, and have other clients."""

    def __init__(
        self, options: argparse.Namespace, network: Network, folder: Path, nemesis: Nemesis = NEMESES["kill"]
    ) -> None:
        self.nemesis = nemesis
        self.options = options
        self.network = network
        self.rng = Random(options.seed)
        self.cuts: list[Cut] = []
        self.nodes = [
            HostedNode(network, host, folder / f"n{host}", seeds=() if host == 1 else (1,)) for host in network.hosts
        ]
        pause_s = options.clients / options.rate
        self.writers = [self.client(number, pause_s) for number in range(1, options.clients + 1)]

    def client(self, number: int, pause_s: float) -> Writer:
        """A client of this campaign."""
        return Writer(number, self.nodes, self.options.seed, pause_s, sabotage=self.options.sabotage)

    def run(self, say: Told) -> Report:
        """Start, torment, heal, and look."""
        try:
            for node in self.nodes:
                node.start()
            for node in self.nodes:
                node.ready()
            self.settle()
            self.nodes[0].send("SET", "sealed", "yes")
            for writer in self.writers:
                writer.start()
            self.torment(say)
            for writer in self.writers:
                writer.stopping.set()
            for writer in self.writers:
                writer.join(2 * writer.answer_s + CONNECT_S)
            self.settle()
            return self.look(say)
        finally:
            self._end()

    def torment(self, say: Told) -> None:
        """Calm and nemesis in turn, until enough writes were acknowledged; two strikes at least."""
        options = self.options
        hosts = list(self.network.hosts)
        while len(self.cuts) < 2 or self.acknowledged() < options.writes:
            self.wait(options.calm, say)
            self.rng.shuffle(hosts)
            strike(self.nemesis, hosts, self.network, self.nodes)
            began = time.monotonic()
            self.wait(options.cut, say)
            self.cuts.append(Cut(began, time.monotonic(), self.nemesis.able(hosts, W)))
            relent(self.nemesis, hosts, self.network, self.nodes)
        self.wait(options.calm, say)

    def wait(self, seconds: float, say: Told = lambda text: None) -> None:
        """Let the clients write for so long."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(0.1)
            assert all(writer.is_alive() for writer in self.writers), "a client came to an end of its own"
            say(f"{self.acknowledged()} acknowledged, {len(self.cuts)} strikes")

    def acknowledged(self) -> int:
        """How many writes were acknowledged so far."""
        return sum(writer.acknowledged for writer in self.writers)

    def settle(self) -> None:
        """Wait until every node sees every other up, in one epoch."""

        def agreed() -> bool:
            try:
                statuses = [node.document("STATUS") for node in self.nodes]
            except (OSError, ReplyError):
                return False
            states = [{found["state"] for found in status["nodes"]} for status in statuses]
            counts = {(status["epoch"], len(status["nodes"])) for status in statuses}
            return states == [{"up"}] * len(self.nodes) and len(counts) == 1 and (counts.pop()[1] == len(self.nodes))

        eventually(agreed, "the nodes to agree", seconds=HEALED_S)

    def look(self, say: Told) -> Report:
        """Read every key from all its owners until everything is there, or time is up."""
        ops = [op for writer in self.writers for op in writer.ops]
        keys = sorted({op.key for op in ops})
        until = time.monotonic() + self.options.patience
        while True:
            report = judge(ops, self.cuts, {key: self._find(key) for key in keys})
            say(f"{len(report.lost)} not found yet")
            if not report.lost or time.monotonic() > until:
                return report
            time.sleep(0.5)

    def _find(self, key: bytes) -> set[int]:
        try:
            return union(self.rng.choice(self.nodes).send("DYN.GET", key, "R", N, "STRICT")[1])
        except ReplyError:
            return set()  # an owner does not answer: it is asked again until time is up

    def _end(self) -> None:
        self.network.heal()
        for writer in self.writers:
            writer.stopping.set()
        for node in self.nodes:
            if not node.ended:
                node.resume()
                node.kill()


def campaign(nemesis: str, options: argparse.Namespace, say: Told = lambda text: None) -> Report:
    """Run one nemesis on a cluster of its own."""
    with tempfile.TemporaryDirectory(prefix="dyn-jepsen-") as folder, Network(NODES) as network:
        return Campaign(options, network, Path(folder), NEMESES[nemesis]).run(say)


def counted(codes: Mapping[str, int]) -> str:
    """Codes and how often, or a dash."""
    return " ".join(f"{code}:{count}" for code, count in sorted(codes.items())) or "-"


HEAD = (
    "| nemesis | sent | acknowledged | lost | 95 % bound | refused, yet there | never written | unknown | refused "
    "| blind | while cut, to able nodes | acknowledged | rate | not acknowledged |\n"
    "|---|---:|---:|---:|---:|---:|---:|---:|---|---:|---:|---:|---:|---|"
)


def line(nemesis: str, report: Report) -> str:
    """A report as a line of the table."""
    cells = (
        nemesis, report.sent, report.acknowledged, len(report.lost), bound(report), len(report.ghosts),
        len(report.phantoms), report.unknown, counted(report.refused), report.blind, report.cut_sent,
        report.cut_acknowledged, f"{report.ack_rate:.2%}", counted(report.cut_refused),
    )  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"


def parsed(argv: Sequence[str]) -> argparse.Namespace:
    """The options of a command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--nemesis", choices=[*NEMESES, "all"], default="all")
    parser.add_argument("--writes", type=int, default=10_000, help="how many must be acknowledged")
    parser.add_argument("--cut", type=float, default=10.0, help="seconds that the nemesis is at work at a time")
    parser.add_argument("--calm", type=float, default=4.0, help="seconds of peace before and after")
    parser.add_argument("--ack-rate", type=float, default=0.0, help="per cent that must be acknowledged while cut")
    client_options(parser)
    return parser.parse_args(argv)


def client_options(parser: argparse.ArgumentParser, *, rate: float = 250.0) -> None:
    """The options that every campaign of these clients has."""
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--rate", type=float, default=rate, help="writes a second that all clients try together")
    parser.add_argument("--patience", type=float, default=HEALED_S, help="seconds until all must be found again")
    parser.add_argument("--seed", type=int, default=1, help="of the clients' choices and of who suffers")
    parser.add_argument("--sabotage", action="store_true", help="clients that lose siblings: losses must be found")


def tell(text: str) -> None:
    """How far it is, on a terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")


def carry_out(why_not: str, run: Callable[[], tuple[str, bool]]) -> int:
    """Run a campaign that gives a table, and whether all is as it should be; the exit status of its command."""
    if why_not:
        sys.stderr.write(f"{why_not}\n")
        return 2
    words, right = run()
    tell("")
    sys.stdout.write(f"{words}\n")
    return int(not right)


def main(argv: Sequence[str]) -> int:
    """Run what the command line says; the exit status."""
    options = parsed(argv)
    why = why_not()
    if why:
        sys.stderr.write(f"{why}\n")
        return 2
    sys.stdout.write(f"{HEAD}\n")
    wrong = False
    for name in NEMESES if options.nemesis == "all" else [options.nemesis]:
        report = campaign(name, options, tell)
        tell("")
        sys.stdout.write(f"{line(name, report)}\n")
        sys.stdout.flush()
        wrong = wrong or not report.right or report.ack_rate * 100 < options.ack_rate
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
