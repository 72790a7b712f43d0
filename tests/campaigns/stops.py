"""Real nodes that stand still for a while (SIGSTOP): what the others' clients feel, and whether the woken one lies.

    python -m tests.campaigns.stops --stops 1 1 1 5 5 35 60

Five nodes as in `jepsen`. Before each stop, all clients leave the node that will be stopped, and go on with the others;
their requests before and during the stop are compared. For some of them the stopped node is a *replica*, for some the
*coordinator* (the first owner, asked by a node that owns nothing), with some it has nothing to do. Wanted: p99 at most
twice that of before, and the time after which a node asks somebody else (`PATIENCE_MS_FIRST`).

Other clients write to the node itself, just before and while it is stopped, and wait for its answer however late. When
it was woken and has answered, it is killed (-9) and started again. What it acknowledged, even after the client's
deadline, must be there, as whatever else was acknowledged: exit 1 if not.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from node.core.ids import partition_of
from node.core.limits import PATIENCE_MS_FIRST
from tests.campaigns.jepsen import NODES, Campaign, Told, Writer, carry_out, client_options, tell
from tests.campaigns.kills import Fresh
from tests.campaigns.ledger import OK, Op, Report, bound
from tests.campaigns.namespaces import HostedNode, Network, why_not
from tests.helpers.percentiles import percentile_ms

PATIENTS = 20
PATIENTS_FROM = 1000
"""Numbers of the clients that wait for a stopped node: above those of the others."""
DEADLINE_MS = 800
"""What they give a write."""
EARLY_S = 0.02
"""From so long before the stop on they send: some writes are half done when it comes."""
ANSWERS_S = 30.0
ROLES = ("coordinator", "replica", "bystander")


class Stop(NamedTuple):
    """A node that stood still, the time before it that it is compared with, and how long it was meant to be."""

    host: int
    calm_from: float
    began: float
    ended: float
    seconds: float


class Aside(Fresh):
    """A client that keeps away from a node."""

    avoided = 0

    def aim(self) -> Sequence[int]:
        """All but that one."""
        return [host for host in range(1, len(self.nodes) + 1) if host != self.avoided]


class Patient(Writer):
    """A client with one write for the node that is stopped: it has read, writes when it is time, and waits."""

    def __init__(self, number: int, nodes: Sequence[HostedNode], host: int, answer_s: float) -> None:
        super().__init__(number, nodes, 0, 0)
        self.host = host
        self.answer_s = answer_s
        self.has_read = threading.Event()
        self.goes_at = threading.Event()
        self.at = 0.0

    def run(self) -> None:
        """Read, wait for the moment, write, wait for the answer."""
        key, began = b"of client %d" % self.number, time.monotonic()
        connection = self.connection(self.host)
        known, context, blind = self.read(connection, key)
        self.has_read.set()
        self.goes_at.wait()
        self.stopping.wait(max(0.0, self.at - time.monotonic()))
        words = (self.host, connection, key, known, context, "TIMEOUT", DEADLINE_MS)
        self.put(*words, blind=blind, began=began)
        self.hang_up()

    def go(self, at: float) -> None:
        """Write at this moment."""
        self.at = at
        self.goes_at.set()


class Stops(Campaign):
    """One cluster, who was stopped in it when, and what the stopped ones' own clients were told."""

    def __init__(self, options: argparse.Namespace, network: Network, folder: Path) -> None:
        super().__init__(options, network, folder)
        self.stops: list[Stop] = []
        self.patients: list[Patient] = []
        self.ring: Mapping[str, Any] = {}

    def client(self, number: int, pause_s: float) -> Writer:
        """Clients that keep away from who is stopped."""
        return Aside(number, self.nodes, self.options.seed, pause_s, sabotage=self.options.sabotage)

    def torment(self, say: Told) -> None:
        """One stop after the other, each of another node than the last."""
        self.wait(1.0, say)  # the first writes make the sets
        self.ring = self.nodes[0].document("RING")
        hosts = list(self.network.hosts)
        last = 0
        for number, seconds in enumerate(self.options.stops, 1):
            last = host = self.rng.choice([host for host in hosts if host != last])
            say(f"stop {number} of {len(self.options.stops)}")
            self._stop(host, seconds)
        self.writers += self.patients

    def _stop(self, host: int, seconds: float) -> None:
        node = self.nodes[host - 1]
        for writer in self.writers:
            assert isinstance(writer, Aside)
            writer.avoided = host
        self.wait(0.5)
        calm_from = time.monotonic()
        self.wait(self.options.calm)
        first = PATIENTS_FROM + len(self.patients)
        patients = [Patient(first + n, self.nodes, host, seconds + ANSWERS_S) for n in range(PATIENTS)]
        self.patients += patients
        for patient in patients:
            patient.start()
        for patient in patients:
            assert patient.has_read.wait(ANSWERS_S), f"{node.name} did not answer before it was stopped"
        began = time.monotonic() + EARLY_S
        for patient in patients:
            patient.go(began + self.rng.uniform(-EARLY_S, EARLY_S + (seconds / 2 if self.rng.random() < 0.5 else 0)))
        while time.monotonic() < began:
            time.sleep(0.001)
        node.pause()
        began = time.monotonic()
        self.wait(seconds)
        self.stops.append(Stop(host, calm_from, began, time.monotonic(), seconds))
        node.resume()
        for patient in patients:
            patient.join(seconds + ANSWERS_S)
            assert not patient.is_alive(), f"{node.name} did not answer after it was woken"
        node.kill()
        node.start().ready()
        self.settle()


def role(op: Op, host: int, ring: Mapping[str, Any]) -> str:
    """What a host has to do with a write that another one was asked for."""
    partition = partition_of(op.key, ring["partitions"])
    owners = ring["preference"][partition][: ring["n"]]
    if f"n{host}" not in owners:
        return "bystander"
    return "coordinator" if f"n{op.node}" not in owners and owners[0] == f"n{host}" else "replica"


class Line(NamedTuple):
    """The requests of one length of stop and one role: seconds that they took before and meanwhile, and failures."""

    seconds: float
    role: str
    calm: list[float]
    stopped: list[float]
    failed: int


def lines(ops: Iterable[Op], stops: Sequence[Stop], ring: Mapping[str, Any]) -> list[Line]:
    """Reads and writes of others by length of the stop and role, "all" first."""
    found: dict[tuple[float, str], Line] = {}
    for length in sorted({stop.seconds for stop in stops}):
        for name in ("all", *ROLES):
            found[length, name] = Line(length, name, [], [], 0)
    for op in ops:
        for stop in stops:
            if op.node == stop.host or op.ended < stop.calm_from or op.began > stop.ended:
                continue
            for name in ("all", role(op, stop.host, ring)):
                line = found[stop.seconds, name]
                for sent, answered in ((op.began, op.sent), (op.sent, op.ended)):
                    if sent >= stop.calm_from and answered < stop.began:
                        line.calm.append(answered - sent)
                    elif answered >= stop.began and sent <= stop.ended:
                        line.stopped.append(answered - sent)
                if op.outcome != OK and op.ended >= stop.began:
                    found[stop.seconds, name] = line._replace(failed=line.failed + 1)
    return list(found.values())


class Found(NamedTuple):
    """What a campaign came to. `late`: writes that a woken node acknowledged after their deadline."""

    report: Report
    lines: list[Line]
    asked: int
    acknowledged: int
    late: tuple[int, ...]


def campaign(options: argparse.Namespace, say: Told = lambda text: None) -> Found:
    """Run it on a cluster of its own."""
    with tempfile.TemporaryDirectory(prefix="dyn-stops-") as folder, Network(NODES) as network:
        stops = Stops(options, network, Path(folder))
        report = stops.run(say)
    others = [op for writer in stops.writers if not isinstance(writer, Patient) for op in writer.ops]
    waited = [op for patient in stops.patients for op in patient.ops]
    acknowledged = [op for op in waited if op.outcome == OK]
    late = tuple(op.element for op in acknowledged if op.ended - op.sent > DEADLINE_MS / 1000)
    return Found(report, lines(others, stops.stops, stops.ring), len(waited), len(acknowledged), late)


def p99(seconds: Sequence[float]) -> float:
    """In ms; 0 without any."""
    return percentile_ms(sorted(seconds), 0.99) or 0.0


def table(found: Found) -> str:
    """What was found, in Markdown."""
    report = found.report
    untrue = set(found.late) & set(report.lost)
    words = [
        "| sent | acknowledged | lost | 95 % bound | refused, yet there | never written | unknown "
        "| sent to the stopped one | acknowledged by it | of these after the deadline | and not true |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
        f"| {report.sent} | {report.acknowledged} | {len(report.lost)} | {bound(report)} | {len(report.ghosts)} |"
        f" {len(report.phantoms)} | {report.unknown} | {found.asked} | {found.acknowledged} | {len(found.late)} |"
        f" {len(untrue)} |",
        "",
        "| stopped for | it is the | requests before | p99 ms | meanwhile | p50 ms | p99 ms | longest | ratio of p99 "
        f"| 2 × before + {PATIENCE_MS_FIRST} ms | not acknowledged |",
        "|---:|---|---:|---:|---:|---:|---:|---:|---:|---|---:|",
    ]
    for line in found.lines:
        before, meanwhile = p99(line.calm), p99(line.stopped)
        p50 = percentile_ms(sorted(line.stopped), 0.5) or 0.0
        held = "yes" if meanwhile <= 2 * before + PATIENCE_MS_FIRST else "no"
        words.append(
            f"| {line.seconds:g} s | {line.role} | {len(line.calm)} | {before:.0f} | {len(line.stopped)} | {p50:.0f} |"
            f" {meanwhile:.0f} | {max(line.stopped, default=0) * 1000:.0f} |"
            f" {f'{meanwhile / before:.1f}' if before else '-'} | {held} | {line.failed} |"
        )
    return "\n".join(words)


def parsed(argv: Sequence[str]) -> argparse.Namespace:
    """The options of a command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--stops", type=float, nargs="+", default=[1, 1, 1, 1, 1, 5, 5, 5, 35], help="seconds of each")
    parser.add_argument("--calm", type=float, default=8.0, help="seconds before each stop")
    client_options(parser, rate=150.0)
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    """Run what the command line says; the exit status."""

    def run() -> tuple[str, bool]:
        found = campaign(parsed(argv), tell)
        return table(found), found.report.right

    return carry_out(why_not(), run)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
