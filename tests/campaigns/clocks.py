"""Real nodes with wrong clocks (libfaketime): nothing is lost, nobody is thought dead, nothing deleted comes back.

    python -m tests.campaigns.clocks --rounds 15

Five nodes as in `jepsen`; the wall clock of each obeys a file. In each round one or two nodes' clocks jump by an hour
or ten years, back or forth, or *strobe*: jump every 2 ms between all of these. Meanwhile clients write, and then nodes
are cut off or killed (and started with the wrong clock) as well; some keys are deleted while a node is away. Checked is

* that every acknowledged write is there (exit 1 if not, as for all of the following);
* that no write is refused while nothing but clocks is wrong, and that none ever stays without an answer;
* that no deleted key comes back, no other one goes, and all tombstones go in the end;
* that members and epoch stay what they were;
* that the views stay: how often somebody saw another node that was not up, while nothing but clocks was wrong. The
  same is counted while clocks are right: a loaded machine may be slow. Exit 1 if it is more by two or more.

FAKETIME_FORCE_MONOTONIC_FIX=0 is for CPython: libfaketime's workaround for some libcs makes waits for the interpreter's
lock, which are by the monotonic clock, end at once; the threads of a node then spin, and it answers nobody for seconds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

from tests.campaigns.jepsen import (
    HEALED_S,
    NODES,
    Campaign,
    N,
    Told,
    W,
    Writer,
    carry_out,
    client_options,
    counted,
    tell,
)
from tests.campaigns.kills import Fresh
from tests.campaigns.ledger import OK, Cut, Report, bound
from tests.campaigns.namespaces import HostedNode, Network, why_not
from tests.campaigns.nemeses import NEMESES, relent, strike
from tests.helpers.cluster import ReplyError, eventually

LIBRARIES = "*/faketime/libfaketimeMT.so.1"
SKEWS = {"+1 h": "+3600", "-1 h": "-3600", "+10 y": "+10y", "-10 y": "-10y", "strobe": ""}
"""What is done to a clock, and how libfaketime is told."""
RIGHT = "+0"
STROBE_S = 0.002
STRIKES = ("halves", "kill", "isolated")
DOOMED = 10
"""Keys of a round that are deleted, and as many that are not."""
LOOK_S = 0.2
OVERDUE_S = 4.0
"""Every request ends within three seconds, by itself."""
REAPED_S = 60.0


def library() -> Path | None:
    """Where libfaketime is."""
    return next(iter(sorted(Path("/usr/lib").glob(LIBRARIES))), None)


def why_no_clocks() -> str:
    """Why this cannot be done here, in one sentence; "" if it can."""
    return "needs faketime (apt-get install faketime)" if library() is None else why_not()


class Clock:
    """The wall clock of a node, as its file says: replaced as a whole, since it is read at any moment."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(RIGHT)

    def set(self, offset: str) -> None:
        """Let it be so far off."""
        new = self._file.with_suffix(".new")
        new.write_text(offset)
        new.rename(self._file)

    def environ(self) -> dict[str, str]:
        """The environment of a process that goes by it."""
        return {
            "LD_PRELOAD": str(library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        }


@contextmanager
def wrong(clocks: Sequence[Clock], skew: str) -> Iterator[None]:
    """These clocks are wrong for a while."""
    ended = threading.Event()

    def strobe() -> None:
        for offset in cycle(offset for offset in SKEWS.values() if offset):
            for clock in clocks:
                clock.set(offset)
            if ended.wait(STROBE_S):
                return

    strober = threading.Thread(target=strobe) if skew == "strobe" else None
    if strober is not None:
        strober.start()
    else:
        for clock in clocks:
            clock.set(SKEWS[skew])
    try:
        yield
    finally:
        ended.set()
        if strober is not None:
            strober.join()
        for clock in clocks:
            clock.set(RIGHT)


class Looks(NamedTuple):
    """How often the views of all nodes were looked at, and how often somebody saw a node that was not up."""

    taken: int
    not_up: int


class Clocks(Campaign):
    """One cluster, its clocks, and what was deleted in it."""

    def __init__(self, options: argparse.Namespace, network: Network, folder: Path) -> None:
        super().__init__(options, network, folder)
        self.clocks = [Clock(folder / f"clock{host}") for host in network.hosts]
        for node, clock in zip(self.nodes, self.clocks, strict=True):
            node.environ = clock.environ()
        self.right, self.wrong = Looks(0, 0), Looks(0, 0)
        self.doomed: list[bytes] = []
        self.deleted: list[bytes] = []
        self.kept: list[bytes] = []
        self.quiet: list[tuple[float, float]] = []
        self.tombstones_left = 0
        self.same_ring = False
        self.risen: list[bytes] = []
        self.gone: list[bytes] = []

    def client(self, number: int, pause_s: float) -> Writer:
        """Clients of sets that are not too large."""
        return Fresh(number, self.nodes, self.options.seed, pause_s, sabotage=self.options.sabotage)

    def torment(self, say: Told) -> None:
        """One round after the other, each with a wrong clock of its own kind."""
        ring = self._ring()
        hosts = list(self.network.hosts)
        for number in range(self.options.rounds):
            skew = self.options.skew[number % len(self.options.skew)]
            nemesis = NEMESES[STRIKES[number % len(STRIKES)]]
            say(f"round {number + 1} of {self.options.rounds}: {skew}")
            self.rng.shuffle(hosts)
            self._plant(number)
            self.right = self._look(self.right, self.options.calm)
            with wrong([self.clocks[host - 1] for host in self._victims(number, hosts)], skew):
                began = time.monotonic()
                self.wrong = self._look(self.wrong, self.options.calm)
                self.quiet.append((began, time.monotonic()))
                strike(nemesis, hosts, self.network, self.nodes)
                began = time.monotonic()
                able = nemesis.able(hosts, W)
                self.wait(self.options.cut / 2)
                self._reap(self.nodes[able[-1] - 1])
                self.wait(self.options.cut / 2)
                self.cuts.append(Cut(began, time.monotonic(), able))
                relent(nemesis, hosts, self.network, self.nodes)
                self.settle()
        self.same_ring = self._ring() == ring
        self._wait_for_reaping()

    def _victims(self, number: int, hosts: Sequence[int]) -> Sequence[int]:
        """Whose clocks are wrong in a round: one or two, of those that go on or of those that are cut off or killed."""
        count = 1 + number // 2 % 2
        return hosts[:count] if number % 2 else hosts[-count:]

    def _ring(self) -> tuple[int, list[str]]:
        ring = self.nodes[0].document("RING")
        return ring["epoch"], [member["id"] for member in ring["members"]]

    def _look(self, looks: Looks, seconds: float) -> Looks:
        """Look at all views over and over for so long."""
        until = time.monotonic() + seconds
        taken, not_up = looks
        while time.monotonic() < until:
            self.wait(LOOK_S)
            views = self.rng.choice(self.nodes).document("VIEWS")["views"]
            taken += 1
            not_up += any(state != "up" for view in views for state in view["sees"].values())
        return Looks(taken, not_up)

    # Keys that are deleted -----------------------------------------------------------------------------------

    def _plant(self, number: int) -> None:
        """Keys of this round: everybody has them before anybody is away."""
        for at in range(DOOMED):
            for name in (b"doomed", b"kept"):
                key = b"%s-%d-%d" % (name, number, at)
                self.rng.choice(self.nodes).send("DYN.PUT", key, b"", b"there", "W", N, "STRICT")
                (self.doomed if name == b"doomed" else self.kept).append(key)

    def _reap(self, node: HostedNode) -> None:
        """Delete this round's doomed keys while somebody is away."""
        for key in self.doomed[-DOOMED:]:
            try:
                context, _ = node.send("DYN.GET", key)
                node.send("DYN.DEL", key, context)
            except (OSError, ReplyError):
                continue  # whether it was deleted is not known: it proves nothing
            self.deleted.append(key)

    def _wait_for_reaping(self) -> None:
        """Tombstones go when all members confirm, whatever their clocks say."""
        until = time.monotonic() + REAPED_S
        while True:
            self.tombstones_left = max(node.document("STATUS")["tombstones"] for node in self.nodes)
            if not self.tombstones_left or time.monotonic() > until:
                return
            self.wait(LOOK_S)

    def _values(self, key: bytes) -> list[bytes]:
        def read() -> list[list[bytes]]:
            try:
                return [self.rng.choice(self.nodes).send("DYN.GET", key, "R", N, "STRICT")[1]]
            except ReplyError:
                return []

        found: list[list[bytes]] = eventually(read, f"all owners of {key!r}", seconds=HEALED_S)
        return found[0]

    def look(self, say: Told) -> Report:
        """What is there of sets, and of the other keys."""
        report = super().look(say)
        self.risen = [key for key in self.deleted if self._values(key)]
        self.gone = [key for key in self.kept if self._values(key) != [b"there"]]
        return report


class Found(NamedTuple):
    """What a campaign came to."""

    report: Report
    right: Looks
    wrong: Looks
    deleted: int
    risen: list[bytes]
    kept: int
    gone: list[bytes]
    tombstones_left: int
    same_ring: bool
    refused: int
    overdue: int

    @property
    def as_it_should_be(self) -> bool:
        """Whether everything is as with right clocks."""
        views = self.wrong.not_up * self.right.taken <= (self.right.not_up + 1) * self.wrong.taken
        nothing = not (self.risen or self.gone or self.tombstones_left or self.refused or self.overdue)
        return self.report.right and views and nothing and self.same_ring


def campaign(options: argparse.Namespace, say: Told = lambda text: None) -> Found:
    """Run it on a cluster of its own."""
    with tempfile.TemporaryDirectory(prefix="dyn-clocks-") as folder, Network(NODES) as network:
        clocks = Clocks(options, network, Path(folder))
        report = clocks.run(say)
        log = "".join(node.log for node in clocks.nodes)
    ops = [op for writer in clocks.writers for op in writer.ops]
    overdue = [op for op in ops if op.ended - op.sent > OVERDUE_S]
    refused = [op for op in ops if op.outcome != OK and any(a <= op.began and op.ended <= b for a, b in clocks.quiet)]
    hours = {line[:13] for line in log.splitlines() if line[:2] == "20"}
    assert len(hours) > 2, f"the clocks were never wrong: {hours}"
    return Found(
        report, clocks.right, clocks.wrong, len(clocks.deleted), clocks.risen, len(clocks.kept),
        clocks.gone, clocks.tombstones_left, clocks.same_ring, len(refused), len(overdue),
    )  # fmt: skip


def table(found: Found) -> str:
    """What was found, in Markdown."""
    report = found.report
    return "\n".join([
        "| sent | acknowledged | lost | 95 % bound | refused, yet there | never written | unknown | refused "
        "| while only clocks were wrong | without an answer | while cut, to able nodes | acknowledged |",
        "|---:|---:|---:|---:|---:|---:|---:|---|---:|---:|---:|---:|",
        f"| {report.sent} | {report.acknowledged} | {len(report.lost)} | {bound(report)} | {len(report.ghosts)} |"
        f" {len(report.phantoms)} | {report.unknown} | {counted(report.refused)} | {found.refused} |"
        f" {found.overdue} | {report.cut_sent} |"
        f" {report.ack_rate:.2%} |",
        "",
        "| deleted | came back | not deleted | went | tombstones left | members and epoch | looks, clocks right "
        "| somebody not up | looks, clocks wrong | somebody not up |",
        "|---:|---:|---:|---:|---:|---|---:|---:|---:|---:|",
        f"| {found.deleted} | {len(found.risen)} | {found.kept} | {len(found.gone)} | {found.tombstones_left} |"
        f" {'the same' if found.same_ring else 'CHANGED'} | {found.right.taken} | {found.right.not_up} |"
        f" {found.wrong.taken} | {found.wrong.not_up} |",
    ])  # fmt: skip


def parsed(argv: Sequence[str]) -> argparse.Namespace:
    """The options of a command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=15, help="every skew with every strike: 15")
    parser.add_argument("--skew", choices=[*SKEWS], nargs="+", default=[*SKEWS], help="of the rounds, in turn")
    parser.add_argument("--calm", type=float, default=4.0, help="seconds in which views are looked at, twice a round")
    parser.add_argument("--cut", type=float, default=6.0, help="seconds that nodes are cut off or dead")
    client_options(parser, rate=100.0)
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    """Run what the command line says; the exit status."""

    def run() -> tuple[str, bool]:
        found = campaign(parsed(argv), tell)
        return table(found), found.as_it_should_be

    return carry_out(why_no_clocks(), run)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
