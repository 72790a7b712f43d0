"""What befalls a cluster in a campaign: who no longer hears whom, who is killed or stopped, and who can still write.

A nemesis is values; `strike` and `relent` do to a field of real nodes what they say. Before each strike the hosts are
shuffled, so that over a campaign every node has been on every side.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

Pair = tuple[int, int]


class Nemesis(NamedTuple):
    """`dropped` and `victims` of the hosts in the order given; `loss` of all packets; `how` victims suffer."""

    what: str
    dropped: Callable[[Sequence[int]], list[Pair]] = lambda hosts: []
    loss: float = 0.0
    victims: Callable[[Sequence[int]], list[int]] = lambda hosts: []
    how: str = ""

    def able(self, hosts: Sequence[int], w: int) -> list[int]:
        """The hosts that run and reach W − 1 others that run, there and back: their writes can be acknowledged."""
        dropped, victims = self.dropped(hosts), self.victims(hosts)
        running = [host for host in hosts if host not in victims]

        def reached(host: int, other: int) -> bool:
            return (host, other) not in dropped and (other, host) not in dropped

        return [host for host in running if sum(reached(host, other) for other in running if other != host) >= w - 1]


def between(left: Sequence[int], right: Sequence[int]) -> list[Pair]:
    """Every way between two groups."""
    return [pair for a in left for b in right for pair in ((a, b), (b, a))]


def minority(hosts: Sequence[int]) -> list[int]:
    """As many as may fail at once: less than half."""
    return list(hosts[: (len(hosts) - 1) // 2])


def halves(hosts: Sequence[int]) -> list[Pair]:
    """A minority and the rest."""
    few = minority(hosts)
    return between(few, hosts[len(few) :])


def isolated(hosts: Sequence[int]) -> list[Pair]:
    """The first, and everybody else."""
    return between(hosts[:1], hosts[1:])


def ring(hosts: Sequence[int]) -> list[Pair]:
    """Each hears its neighbours only: a majority with itself, and no two see the same one (five hosts)."""
    count = len(hosts)
    reach = (count // 2 + 1) // 2
    return [
        (hosts[i], hosts[j])
        for i in range(count)
        for j in range(count)
        if i != j and min((i - j) % count, (j - i) % count) > reach
    ]


def one_way(hosts: Sequence[int]) -> list[Pair]:
    """What a minority says reaches nobody else; it hears all."""
    few = minority(hosts)
    return [(a, b) for a in few for b in hosts[len(few) :]]


NEMESES = {
    "halves": Nemesis("a minority and the rest, cut off from each other", halves),
    "isolated": Nemesis("one node, cut off from all", isolated),
    "ring": Nemesis("each node hears only its neighbours", ring),
    "one-way": Nemesis("what a minority says reaches nobody else", one_way),
    "loss": Nemesis("30 % of all packets between nodes are lost", loss=0.3),
    "kill": Nemesis("kill -9 of a minority", victims=minority, how="kill"),
    "stop": Nemesis("a minority stands still (SIGSTOP)", victims=minority, how="stop"),
}
"""By the name that the campaign's command takes."""


class Wires(Protocol):
    """The network of a field."""

    def drop(self, source: int, target: int) -> None: ...
    def lose(self, part: float) -> None: ...
    def heal(self) -> None: ...


class Process(Protocol):
    """A node of a field."""

    def kill(self) -> None: ...
    def signal(self, number: int) -> None: ...
    def start(self) -> object: ...
    def ready(self) -> object: ...


def strike(nemesis: Nemesis, hosts: Sequence[int], wires: Wires, nodes: Sequence[Process]) -> None:
    """Do it. `nodes[0]` runs on host 1."""
    for source, target in nemesis.dropped(hosts):
        wires.drop(source, target)
    if nemesis.loss:
        wires.lose(nemesis.loss)
    for victim in nemesis.victims(hosts):
        if nemesis.how == "kill":
            nodes[victim - 1].kill()
        else:
            nodes[victim - 1].signal(signal.SIGSTOP)


def relent(nemesis: Nemesis, hosts: Sequence[int], wires: Wires, nodes: Sequence[Process]) -> None:
    """Undo it: the network is whole, and everybody runs."""
    wires.heal()
    for victim in nemesis.victims(hosts):
        if nemesis.how == "kill":
            nodes[victim - 1].start()
        else:
            nodes[victim - 1].signal(signal.SIGCONT)
    if nemesis.how == "kill":
        for victim in nemesis.victims(hosts):
            nodes[victim - 1].ready()
