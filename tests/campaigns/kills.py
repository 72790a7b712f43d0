"""kill -9 of real nodes, one every two seconds and then all at the same time: what clients lose and what they feel.

    python -m tests.campaigns.kills --kills 300 --all-at-once 20 [--nodes 3]

Nodes as in `jepsen`, and clients that stay with one node: when it does not take a write they repeat it at the next
one, until it is acknowledged. A killed node is started again at once, on the same data. Measured is

* what was acknowledged and is gone, which must be nothing (exit 1 if not);
* for each kill and client, the longest that one write took between the kill and the victim's return, tries at other
  nodes included: the unavailability that clients see;
* from kill to service: how long until the victim itself acknowledges a write, and its CPU, which a busy machine does
  not make longer.

The next node is killed two seconds after the last one, and not before that one serves again.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tests.campaigns.jepsen import NODES, Campaign, Told, Writer, carry_out, client_options, counted, tell
from tests.campaigns.ledger import OK, Report, bound
from tests.campaigns.namespaces import HostedNode, Network, why_not
from tests.helpers.cluster import ReplyError, eventually
from tests.helpers.percentiles import percentile_ms

SETS = 10
SETS_LAST_S = 20.0
"""After so long clients turn to new sets: a set that grows for ever would be what takes time."""
ROUND_S = 0.02
"""Who found no node that takes the write waits for so long before it asks all of them again."""
SERVES_S = 30.0


class Span(NamedTuple):
    """A write that was repeated until it was acknowledged."""

    began: float
    ended: float
    tries: int


class Kill(NamedTuple):
    """When a node was killed, when it served again, and what CPU it had used until then."""

    at: float
    serves: float
    cpu_s: float = 0.0


class Fresh(Writer):
    """A client that turns to new sets every now and then, as all of them do at about the same time."""

    _born = 0.0

    def start(self) -> None:
        """Begin to write."""
        self._born = time.monotonic()
        super().start()

    def key(self) -> bytes:
        """A set of the present ones."""
        return b"set-%d-%d" % ((time.monotonic() - self._born) // SETS_LAST_S, self.rng.randrange(SETS))


class Mover(Fresh):
    """A client that stays with a node as long as it takes its writes."""

    spans: list[Span]

    def run(self) -> None:
        """Write until told to stop."""
        self.spans = []
        host = 1 + self.number % len(self.nodes)
        while not self.pauses():
            began, tries, key = time.monotonic(), 1, self.key()
            while self.write(host, key) != OK:
                host = host % len(self.nodes) + 1
                if tries % len(self.nodes) == 0:
                    self.stopping.wait(ROUND_S)
                if self.stopping.is_set():
                    break
                tries += 1
            else:
                self.spans.append(Span(began, time.monotonic(), tries))
        self.hang_up()


class Kills(Campaign):
    """One cluster, and who was killed in it when."""

    def __init__(self, options: argparse.Namespace, network: Network, folder: Path) -> None:
        super().__init__(options, network, folder)
        self.single: list[Kill] = []
        self.together: list[Kill] = []

    def client(self, number: int, pause_s: float) -> Writer:
        """Clients that move."""
        return Mover(number, self.nodes, self.options.seed, pause_s, sabotage=self.options.sabotage)

    def torment(self, say: Told) -> None:
        """First one by one, then all."""
        options = self.options
        self.wait(options.every, say)
        for number in range(options.kills):
            self.single += self._kill([self.rng.choice(self.nodes)])
            self._until(self.single[-1].at + options.every, f"kill {number + 1} of {options.kills}", say)
        self.wait(options.every, say)  # what is under way now shall not end after all were killed
        for number in range(options.all_at_once):
            self.together += self._kill(self.nodes)
            self._until(time.monotonic() + options.every, f"{number + 1} of {options.all_at_once}, all at once", say)

    def _until(self, at: float, what: str, say: Told) -> None:
        self.wait(max(0.0, at - time.monotonic()), lambda text: say(f"{what}: {text}"))

    def _kill(self, victims: Sequence[HostedNode]) -> list[Kill]:
        """Kill them, start them, and wait until each serves."""
        at = time.monotonic()
        for victim in victims:
            victim.signal(9)
        for victim in victims:
            victim.kill()
            victim.start()
        found = []
        for victim in victims:
            victim.ready()
            eventually(partial(serves, victim), f"{victim.name} to serve", seconds=SERVES_S)
            found.append(Kill(at, time.monotonic(), cpu_s(victim.pid)))
        return found

    def spans(self) -> list[list[Span]]:
        """What each client wrote."""
        return [writer.spans for writer in self.writers if isinstance(writer, Mover)]


def cpu_s(pid: int) -> float:
    """The seconds that a process has computed."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def serves(node: HostedNode) -> bool:
    """Whether a node acknowledges a write."""
    try:
        return bool(node.send("SET", f"probe of {node.name}", "there") == b"OK")
    except (OSError, ReplyError):
        return False


def outages(clients: Iterable[Sequence[Span]], kills: Sequence[Kill]) -> list[float]:
    """For each client and kill: the seconds that the client's longest write took, of those under way until the return.

    A client that wrote nothing meanwhile saw nothing.
    """
    found = []
    for spans in clients:
        for kill in kills:
            during = [s.ended - s.began for s in spans if s.ended >= kill.at and s.began <= kill.serves]
            found += [max(during)] if during else []
    return found


def whole(kills: Iterable[Kill]) -> list[Kill]:
    """Nodes that were killed at the same time, as one that serves when the last of them does."""
    latest: dict[float, float] = {}
    for kill in kills:
        latest[kill.at] = max(kill.serves, latest.get(kill.at, 0.0))
    return [Kill(at, serves) for at, serves in latest.items()]


def calm(clients: Iterable[Sequence[Span]], kills: Sequence[Kill]) -> list[float]:
    """The seconds that writes took while nobody was away."""
    return [
        span.ended - span.began
        for spans in clients
        for span in spans
        if not any(span.ended >= kill.at and span.began <= kill.serves for kill in kills)
    ]


class Found(NamedTuple):
    """What a campaign came to. Times in seconds."""

    report: Report
    calm: list[float]
    outages: list[float]
    outages_together: list[float]
    back: list[float]
    back_cpu: list[float]
    back_together: list[float]


def campaign(options: argparse.Namespace, say: Told = lambda text: None) -> Found:
    """Run it on a cluster of its own."""
    with tempfile.TemporaryDirectory(prefix="dyn-kills-") as folder, Network(options.nodes) as network:
        kills = Kills(options, network, Path(folder))
        report = kills.run(say)
    single, together = kills.single, kills.together
    return Found(
        report,
        calm(kills.spans(), [*single, *together]),
        outages(kills.spans(), single),
        outages(kills.spans(), whole(together)),
        [kill.serves - kill.at for kill in single],
        [kill.cpu_s for kill in single],
        [kill.serves - kill.at for kill in together],
    )


def percentiles(seconds: Sequence[float]) -> str:
    """p50, p99 and the largest, in ms: cells of a table."""
    ordered = sorted(seconds)
    return " | ".join(
        "-" if (found := percentile_ms(ordered, part)) is None else f"{found:,.0f}" for part in (0.5, 0.99, 1.0)
    )


def table(found: Found) -> str:
    """What was found, in Markdown."""
    report = found.report
    return "\n".join([
        "| sent | acknowledged | lost | 95 % bound | refused, yet there | never written | unknown | refused |",
        "|---:|---:|---:|---:|---:|---:|---:|---|",
        f"| {report.sent} | {report.acknowledged} | {len(report.lost)} | {bound(report)} | {len(report.ghosts)} |"
        f" {len(report.phantoms)} | {report.unknown} | {counted(report.refused)} |",
        "",
        "| ms | samples | p50 | p99 | longest | wanted |",
        "|---|---:|---:|---:|---:|---|",
        f"| a read and a write, all nodes up | {len(found.calm)} | {percentiles(found.calm)} | - |",
        f"| the same, longest per client and single kill | {len(found.outages)} | {percentiles(found.outages)} |"
        " p99 250 |",
        f"| the same, longest per client and kill of all | {len(found.outages_together)} |"
        f" {percentiles(found.outages_together)} | - |",
        f"| from kill to service | {len(found.back)} | {percentiles(found.back)} | 3,000 |",
        f"| CPU that the node used meanwhile | {len(found.back_cpu)} | {percentiles(found.back_cpu)} | - |",
        f"| from kill to service, all killed at once | {len(found.back_together)} |"
        f" {percentiles(found.back_together)} | - |",
    ])  # fmt: skip


def parsed(argv: Sequence[str]) -> argparse.Namespace:
    """The options of a command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--nodes", type=int, default=NODES)
    parser.add_argument("--kills", type=int, default=300, help="of one node")
    parser.add_argument("--all-at-once", type=int, default=20, help="rounds in which all are killed")
    parser.add_argument("--every", type=float, default=2.0, help="seconds between kills")
    client_options(parser, rate=200.0)
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    """Run what the command line says; the exit status."""

    def run() -> tuple[str, bool]:
        found = campaign(parsed(argv), tell)
        return table(found), found.report.right

    return carry_out(why_not(), run)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
