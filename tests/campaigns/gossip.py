"""How knowledge spreads where a third of all messages is lost: within 10·log2(n) rounds, and who is gone stays gone.

    python -m tests.campaigns.gossip --seeds 1-5000

Each seed is 3 to 50 engines of the simulator in a sealed ring. 30 % of their messages are lost, half of the others come
twice, some of them seconds later, and they overtake each other. A round is GOSSIP_INTERVAL_S. In each seed

* one node gets another address, and it is counted until every node knows it;
* one is removed: a single node is told the epoch without it, and it is counted until every other one has that. Who was
  removed is still there and says what it knows: as ever; or it hears nothing any more, so that it never learns it; or
  it was off and starts again, with a record that is newer than any. Somebody else is off meanwhile, and comes back with
  the table of before. As long as late messages come, no node with that epoch may have the one that is gone as a member;
* in some seeds, of few nodes, one stands still for 60 s and comes back: no row may be moved for that, no ring change.

Prints the table for tests/RESULTS.md; Ctrl-C, or the end of --minutes, prints it for the seeds so far. Exit 1 if
anything was not so.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from math import log2
from random import Random
from statistics import median
from typing import NamedTuple

from node.core.cluster import RingState, Seat
from node.core.ids import NodeId
from node.core.limits import GOSSIP_INTERVAL_S
from node.core.ring import join
from node.sim.history import Kind, Record
from node.sim.host import Host
from node.sim.network import LATE_S, NetworkOptions
from node.sim.run import collect_seldom
from node.wire.requests import Put
from tests.helpers.gossiping import (
    PAPER,
    GossipWorld,
    cluster_of,
    decide,
    link,
    move,
    removal,
    running,
    seated,
    spread,
    until,
)

NODES = (3, 50)
PARTITIONS = 64
CALM = NetworkOptions()
BAD = NetworkOptions(
    delay_s_min=0.001, delay_s_max=0.1, loss=0.3, duplicate=0.5, late=0.05, slow=0.02, slow_s_max=2.0, ordered=False
)
"""The network of S7: a message in three is lost, every other one comes twice, one in twenty once more after seconds."""

AFTER_S = LATE_S[1] + 1.0
"""How long it is watched after a removal: until the last late copy has come."""

FREEZE_S = 60.0
BACK_S = 20.0
"""How long a node stands still; and within what time all are to see it again."""

FREEZES = 0.02
FREEZE_NODES_MAX = 7
"""Seeds in which one does, of so few: a minute of many nodes is long."""

ROWS = 60
CARRIERS = ("Replicate", "Pulled", "Fetched")
"""Messages that carry rows."""

HOW = ("talks", "is deaf", "starts again")
"""What who was removed does."""

SIZES = ((3, 7), (8, 15), (16, 31), (32, 50))
"""Lines of the table."""


class Finding(NamedTuple):
    """What one seed came to. `address` and `epoch` are rounds until all knew, None for never; `wrong` is in words."""

    seed: int
    nodes: int
    how: str
    address: float | None
    epoch: float | None
    frozen: bool
    wrong: tuple[str, ...]


def rounds_max(nodes: int) -> float:
    """Within how many rounds all are to know something (reliability plan, S7)."""
    return 10 * log2(nodes)


_owners: list[tuple[int, ...]] = [(0,) * PARTITIONS]
"""By the number of nodes, as far as it was asked for: the same for all seeds."""


def owners_of(nodes: int) -> tuple[int, ...]:
    """Who owns what in a ring that so many equal nodes have joined one by one."""
    while len(_owners) < nodes:
        seats = [Seat(NodeId(f"{number:032x}"), "", 1) for number in range(len(_owners) + 1)]
        _owners.append(join(tuple(seats[:-1]), _owners[-1], seats[-1], PAPER.n)[1])
    return _owners[nodes - 1]


def run(
    seed: int, nodes: int | None = None, *, network: NetworkOptions = BAD, freeze: bool | None = None,
    amnesia: bool = False,
) -> Finding:  # fmt: skip
    """Run one seed. `amnesia`: nodes forget who is gone, as a safeguard that is switched off."""
    rng = Random(f"{seed}/gossip")
    many, few, how = rng.randint(*NODES), rng.randint(NODES[0], FREEZE_NODES_MAX), rng.choice(HOW)
    frozen = rng.random() < FREEZES if freeze is None else freeze
    count = nodes or (few if frozen else many)
    world = seated(count, seed, CALM, PARTITIONS, owners_of(count))
    link(world)
    wrong: list[str] = []
    if frozen:
        stand_still(world, rng.choice(world.hosts), wrong)
    world.network.change(network)
    limit_s = rounds_max(count) * GOSSIP_INTERVAL_S
    address = spread(world, running(world), move(rng.choice(world.hosts)), limit_s)
    epoch = remove(world, rng, how, limit_s, wrong, amnesia=amnesia)
    for what, took_s in ("a new address", address), ("a new epoch", epoch):
        if took_s is None:
            wrong.append(f"not all of {count} knew {what} after {rounds_max(count):.0f} rounds")
    return Finding(seed, count, how, rounds(address), rounds(epoch), frozen, tuple(wrong))


def rounds(took_s: float | None) -> float | None:
    """A time in rounds of gossip."""
    return None if took_s is None else took_s / GOSSIP_INTERVAL_S


def remove(
    world: GossipWorld, rng: Random, how: str, limit_s: float, wrong: list[str], *, amnesia: bool
) -> float | None:
    """One node is removed, and goes on talking: how long until all others know; then they are watched."""
    gone, told, away = rng.sample(world.hosts, 3)
    others = [host for host in world.hosts if host is not gone]
    state = removal(told, gone)
    if len(others) > 2:  # somebody must be there to be told
        away.crash(silently=rng.random() < 0.5)
    if how == "is deaf":
        for host in others:
            world.network.cut(host.index, gone.index)
        move(gone)
    elif how == "starts again":
        gone.crash(silently=rng.random() < 0.5)
    here = [host for host in others if host.up]
    took_s = spread(world, here, decide(told, here[0], state), limit_s, forgets=amnesia)
    gone.boot()
    away.boot()
    watch(world, gone, others, state, wrong, amnesia=amnesia)
    return took_s


def watch(
    world: GossipWorld, gone: Host, others: Sequence[Host], state: RingState, wrong: list[str], *, amnesia: bool
) -> None:
    """For as long as late messages come, nobody who has the epoch of the removal may have `gone` as a member."""
    back: dict[str, None] = {}

    def look() -> bool:
        for host in others:
            if host.node is not None and cluster_of(host).epoch >= state.epoch and gone.id in cluster_of(host).members:
                back[host.name] = None
        return False

    until(world, look, AFTER_S, forgets=amnesia)
    back |= dict.fromkeys(name for name, node in world.met if node == gone.name)
    if back:
        wrong.append(f"{gone.name}, who was removed, was a member again for {', '.join(back)}")
    behind = [host.name for host in others if host.node is None or cluster_of(host).epoch < state.epoch]
    if behind:
        wrong.append(f"{', '.join(behind)} never learned that {gone.name} is gone")


def stand_still(world: GossipWorld, host: Host, wrong: list[str]) -> None:
    """There are rows, and one node stands still for a minute: nothing moves for that, and all see it again."""
    records = [write(world, number) for number in range(ROWS)]
    until(world, lambda: all(record.ended is not None for record in records), BACK_S)
    world.agenda.run(world.agenda.now + BACK_S)
    epoch, rings = cluster_of(host).epoch, [cluster_of(other).state.owners for other in world.hosts]
    world.counting = True
    host.paused_until = world.agenda.now + FREEZE_S
    world.agenda.run(host.paused_until)
    unseen = sum(not cluster_of(other).is_up(host.id) for other in world.hosts if other is not host)
    seen_s = until(world, lambda: all(cluster_of(h).is_up(o.id) for h in world.hosts for o in world.hosts), BACK_S)
    world.agenda.run(world.agenda.now + BACK_S)
    world.counting = False
    moved = {kind: world.messages[kind] for kind in CARRIERS if world.messages[kind]}
    if any(record.result is None for record in records) or not host.storage.durable_rows():
        wrong.append("there were no rows to be moved")
    if unseen < len(world.hosts) - 1:
        wrong.append(f"{host.name} stood still, and only {unseen} noticed")
    if seen_s is None:
        wrong.append(f"{host.name} was not seen by all {BACK_S:.0f} s after it stood still")
    if moved:
        wrong.append(f"rows were moved for {host.name}, which had stood still: {moved}")
    if [cluster_of(other).state.owners for other in world.hosts] != rings or cluster_of(host).epoch != epoch:
        wrong.append(f"the ring changed, as {host.name} stood still")


def write(world: GossipWorld, number: int) -> Record:
    """A client writes a row."""
    now, key = world.agenda.now, b"row-%d" % number
    record = Record(f"c.{number}", Kind.PUT, world.hosts[0].name, key, b"v", begun=now, deadline=now + 3)
    world.ask(world.hosts[0], Put(key, b"v", writer=record.tag), lambda r: record.end(r, world.agenda.now), record)
    return record


HEAD = (
    "| nodes | seeds | new address, median | p99 | longest | new epoch, median | p99 | longest "
    "| longest by 10·log2(n) | removed and deaf | removed and started again | came back | stood still 60 s "
    "| not as wanted |\n"
    "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
)


def table(findings: Sequence[Finding]) -> Iterator[str]:
    """The lines of the table, by the number of nodes. Times in rounds."""
    yield HEAD
    for low, high in (*SIZES, NODES):
        some = [finding for finding in findings if low <= finding.nodes <= high]
        if not some:
            continue
        addresses = [finding.address for finding in some if finding.address is not None]
        epochs = [finding.epoch for finding in some if finding.epoch is not None]
        longest = [max(finding.address or 0, finding.epoch or 0) / rounds_max(finding.nodes) for finding in some]
        back = sum(any("a member again" in why for why in finding.wrong) for finding in some)
        removed = [sum(finding.how == how for finding in some) for how in HOW[1:]]
        frozen, wrong = sum(finding.frozen for finding in some), sum(bool(finding.wrong) for finding in some)
        cells = [*spans(addresses), *spans(epochs), f"{max(longest):.2f}", *removed, back, frozen, wrong]
        yield f"| {low}-{high} | {len(some):,} | {' | '.join(map(str, cells))} |"


def spans(times: Sequence[float]) -> tuple[str, str, str]:
    """Median, p99 and the longest."""
    if not times:
        return ("-", "-", "-")
    ordered = sorted(times)
    return f"{median(ordered):.1f}", f"{ordered[len(ordered) * 99 // 100]:.1f}", f"{ordered[-1]:.1f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line says; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--seeds", default="1-5000", metavar="FIRST-LAST")
    parser.add_argument("--nodes", type=int, help="instead of a number drawn from the seed")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no further seed after so long")
    options = parser.parse_args(arguments)
    first, _, last = options.seeds.partition("-")
    collect_seldom()
    findings: list[Finding] = []
    begun = time.monotonic()
    try:
        for seed in range(int(first), int(last or first) + 1):
            if time.monotonic() - begun > 60 * options.minutes:
                break
            findings.append(run(seed, options.nodes))
            for why in findings[-1].wrong:
                print(
                    f"seed {seed} ({findings[-1].nodes} nodes, who was removed {findings[-1].how}): {why}", flush=True
                )
            if sys.stderr.isatty():
                sys.stderr.write(f"\r{len(findings)} seeds, {time.monotonic() - begun:.0f} s")
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
    print("\n".join(table(findings)))
    return int(not findings or any(finding.wrong for finding in findings))


if __name__ == "__main__":
    sys.exit(main())
