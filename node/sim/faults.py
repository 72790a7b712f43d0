"""What one seed stands for: the options of its world, and the faults that will strike it, drawn before it starts.

Every seed draws its own mixture ("swarm"): one has a perfect network and dying disks, the next only one-way cuts. A
mixture of everything everywhere would drown the rare interleavings that a single fault makes likely.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from node.core.cluster import Quorums
from node.core.ids import Instant
from node.sim.network import NetworkOptions

FREEZE_S = 60.0
"""A process that stands still for so long is given up by everybody, and does not know."""


class Options(NamedTuple):
    """The options of one run. Times are seconds of virtual time; `…_every_s` is 0 for never.

    `early`: clients of a cluster that forms by seeds do not wait until it has formed; at first nearly all of them read,
    so that the ring is not sealed at once. `surge`: how many times what the disks take is asked for a while, once
    everything has healed; 0 for never.
    """

    seed: int
    ops: int
    nodes: int
    quorums: Quorums
    partitions: int
    zones: int
    formation: str  # "ready": a sealed ring; "join": seeds; "discover": announcements
    early: bool
    network: NetworkOptions
    codec: bool
    turn_s: float
    load_s_max: float
    sync_s_max: float
    told_s_max: float
    tcp_timeout_s: float
    clients: int
    keys: int
    think_s: float
    blind: float
    covering: float
    deleting: float
    strict: float
    odd_quorums: float
    crash_every_s: float
    down_s_max: float
    cut_every_s: float
    cut_s_max: float
    pause_every_s: float
    slow_disk_every_s: float
    full_disk_every_s: float
    rot_every_s: float
    restore_every_s: float
    wipe_every_s: float
    surge: float
    disk_error_every_s: float
    wrong_clock_every_s: float
    freeze_every_s: float
    seated: int
    change_every_s: float

    @property
    def chaos_s(self) -> float:
        """About how long the clients are busy, and so how long faults strike."""
        return self.ops * self.think_s / self.clients

    def describe(self) -> str:
        """One line: every option, in words that `Options` uses."""
        plain = {name: value for name, value in self._asdict().items() if name not in ("network", "quorums", "seed")}
        words = [f"nrw={'/'.join(map(str, self.quorums))}"]
        for name, value in (plain | self.network._asdict()).items():
            words.append(f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}")
        return " ".join(words)


class Fault(NamedTuple):
    """Something that goes wrong at `at`, and for how long, to `hosts`; a cut goes from the first to the second."""

    at: Instant
    kind: str
    hosts: tuple[int, ...]
    for_s: float

    def __str__(self) -> str:
        return f"{self.at:8.3f} {self.kind} {','.join(f'n{host + 1}' for host in self.hosts)} for {self.for_s:.3f} s"


def draw_options(seed: int, ops: int | None = None, *, elastic: bool = False) -> Options:
    """Return the options of `seed`: always the same. `elastic`: the ring changes while clients write."""
    options = _drawn(seed, ops)
    return _made_elastic(options) if elastic else options


def _drawn(seed: int, ops: int | None) -> Options:
    rng = Random(f"{seed}/options")
    nodes = rng.randint(3, 7)
    quorums = rng.choice(
        [Quorums(3, 2, 2)] * 6
        + [Quorums(3, 1, 1), Quorums(3, 1, 3), Quorums(3, 3, 1), Quorums(2, 1, 2), Quorums(5, 3, 3)]
    )

    def later(name: str, *choices: float) -> float:
        """What was thought of later changes nothing of before."""
        return 0.0 if calm else Random(f"{seed}/{name}").choice(choices)

    calm = rng.random() < 0.05
    drawn = rng.choice((100, 200, 300, 400))  # drawn in any case: how long a run is changes nothing else
    return Options(
        seed=seed,
        ops=ops if ops is not None else drawn,
        nodes=nodes,
        quorums=quorums,
        partitions=rng.choice((8, 16, 32, 64)),
        zones=rng.choice((1, 1, 2, 3)),
        formation=rng.choice(("ready",) * 5 + ("join", "join", "discover")),
        early=rng.random() < 0.5,
        network=NetworkOptions() if calm else _draw_network(rng)._replace(late=later("late", 0.0, 0.0, 0.05)),
        codec=rng.random() < 0.3,
        turn_s=rng.choice((0.0, 0.0, 0.0005, 0.002)),
        load_s_max=rng.choice((0.0, 0.0, 0.001, 0.02)),
        sync_s_max=rng.choice((0.001, 0.005, 0.05)),
        told_s_max=rng.choice((0.0, 0.001, 0.02)),
        tcp_timeout_s=rng.choice((1.0, 4.0, 10.0)),
        clients=rng.randint(2, 6),
        keys=rng.choice((1, 2, 3, 5, 10)),
        think_s=rng.choice((0.02, 0.1, 0.3)),
        blind=rng.choice((0.0, 0.1, 0.5)),
        covering=rng.choice((0.0, 0.2, 0.8)),
        deleting=rng.choice((0.0, 0.1, 0.3)),
        strict=rng.choice((0.0, 0.2, 1.0)),
        odd_quorums=rng.choice((0.0, 0.0, 0.3)),
        crash_every_s=0.0 if calm else rng.choice((0.0, 0.5, 2.0, 5.0)),
        down_s_max=rng.choice((0.5, 3.0, 10.0)),
        cut_every_s=0.0 if calm else rng.choice((0.0, 0.5, 2.0)),
        cut_s_max=rng.choice((0.3, 2.0, 10.0)),
        pause_every_s=0.0 if calm else rng.choice((0.0, 0.0, 2.0)),
        slow_disk_every_s=0.0 if calm else rng.choice((0.0, 0.0, 2.0)),
        full_disk_every_s=0.0 if calm else rng.choice((0.0, 0.0, 0.0, 3.0)),
        rot_every_s=0.0 if calm else rng.choice((0.0, 0.0, 0.0, 1.0)),
        restore_every_s=0.0 if calm else rng.choice((0.0, 0.0, 1.0, 4.0)),
        wipe_every_s=0.0 if calm else rng.choice((0.0, 0.0, 0.0, 5.0)),
        surge=Random(f"{seed}/surge options").choice((0.0,) * 19 + (5.0,)),
        disk_error_every_s=later("disk error", 0.0, 0.0, 3.0),
        wrong_clock_every_s=later("wrong clock", 0.0, 0.0, 2.0),
        freeze_every_s=later("freeze", *(0.0,) * 9, 10.0),
        seated=nodes,
        change_every_s=0.0,
    )


def _made_elastic(options: Options) -> Options:
    """Let the ring change: it begins small, more nodes come, and some go.

    Half of the runs have no faults of machines or links, so that changes follow upon each other, and what is looked at
    is the moment between two rings. No row rots: who leaves may hold the only good copy, and neither knows.
    """
    rng = Random(f"{options.seed}/elastic")
    seated, spares = rng.randint(1, 5), rng.randint(1, 3)
    quiet = rng.random() < 0.5
    return options._replace(
        nodes=seated + spares,
        seated=seated,
        formation="ready",
        change_every_s=rng.choice((1.0, 3.0, 8.0)),
        quorums=rng.choice(
            [Quorums(3, 2, 2)] * 4
            + [Quorums(3, 1, 3), Quorums(3, 3, 1), Quorums(2, 1, 2), Quorums(2, 2, 1), Quorums(5, 3, 3)]
        ),
        keys=rng.choice((3, 5, 10, 20)),
        think_s=max(options.think_s, 0.1),
        strict=rng.choice((0.2, 1.0, 1.0)),
        odd_quorums=0.0,
        crash_every_s=0.0 if quiet else options.crash_every_s,
        cut_every_s=0.0 if quiet else options.cut_every_s,
        surge=0.0,
        rot_every_s=0.0,
        wipe_every_s=options.wipe_every_s and 10.0,
        freeze_every_s=0.0,
    )


def _draw_network(rng: Random) -> NetworkOptions:
    return NetworkOptions(
        delay_s_min=rng.choice((0.0001, 0.001, 0.01)),
        delay_s_max=rng.choice((0.01, 0.02, 0.1)),
        slow=rng.choice((0.0, 0.01, 0.1)),
        slow_s_max=rng.choice((0.3, 1.0, 4.0)),
        loss=rng.choice((0.0, 0.0, rng.uniform(0, 0.05), rng.uniform(0, 0.3))),
        duplicate=rng.choice((0.0, 0.0, rng.uniform(0, 0.5))),
        ordered=rng.random() < 0.5,
        hold=rng.random() < 0.5,
    )


def draw_faults(options: Options) -> list[Fault]:
    """Return every fault of the run, in order of time. None begins after `chaos_s`."""
    rng = Random(f"{options.seed}/faults")
    faults: list[Fault] = []
    for kind, every_s in (
        ("crash", options.crash_every_s),
        ("cut", options.cut_every_s),
        ("pause", options.pause_every_s),
        ("slow disk", options.slow_disk_every_s),
        ("full disk", options.full_disk_every_s),
        ("rot", options.rot_every_s),
        ("restore", options.restore_every_s),
        ("wipe", options.wipe_every_s),
        ("disk error", options.disk_error_every_s),
        ("wrong clock", options.wrong_clock_every_s),
        ("freeze", options.freeze_every_s),
    ):
        at = rng.expovariate(1 / every_s) if every_s else options.chaos_s
        while at < options.chaos_s:
            faults += _draw_fault(kind, at, options, rng)
            at += rng.expovariate(1 / every_s)
    return sorted(faults)


def _draw_fault(kind: str, at: Instant, options: Options, rng: Random) -> list[Fault]:
    host = rng.randrange(options.nodes)
    if kind == "crash" and rng.random() < 0.2:
        return _draw_bounces(at, host, options, rng)
    if kind == "crash":
        kind = rng.choice(("kill", "kill", "power cut"))
        hosts = (host,) if rng.random() < 0.9 else tuple(range(options.nodes))
        return [Fault(at, kind, (each,), rng.uniform(0.01, options.down_s_max)) for each in hosts]
    if kind == "cut":
        return _draw_cut(at, host, options, rng)
    if kind == "restore":
        return [Fault(at, kind, (host,), rng.choice((0.5, 5.0, 15.0)) * rng.random())]
    if kind == "freeze":
        return [Fault(at, kind, (host,), FREEZE_S)]
    if kind == "pause":
        return [Fault(at, kind, (host,), rng.uniform(0.05, 4.0))]
    return [Fault(at, kind, (host,), rng.uniform(0.1, 2.0))]


def _draw_bounces(at: Instant, host: int, options: Options, rng: Random) -> list[Fault]:
    """One process dies young, again and again, while its peers are slow: their answers are for its former lives."""
    faults = [Fault(at, "slow disk", (other,), 3.0) for other in range(options.nodes) if other != host]
    for _ in range(rng.randint(2, 6)):
        faults.append(Fault(at, "kill", (host,), rng.uniform(0.001, 0.02)))
        at += rng.uniform(0.1, 0.5)
    return faults


def _draw_cut(at: Instant, host: int, options: Options, rng: Random) -> list[Fault]:
    """A cut as directed cuts: one way or both, one pair, one node from all, or a clean split."""
    for_s = rng.uniform(0.05, options.cut_s_max)
    others = [other for other in range(options.nodes) if other != host]
    shape = rng.choice(("pair", "one way", "isolate", "deaf", "split", "swizzle"))
    if shape in ("pair", "one way"):
        others = [rng.choice(others)]
    inside, outside = [host], others
    if shape == "split":
        everybody = rng.sample(range(options.nodes), options.nodes)
        middle = rng.randint(1, options.nodes - 1)
        inside, outside = everybody[:middle], everybody[middle:]
    cuts: list[Fault] = []
    for one in inside:
        for other in outside:
            begin, length = at, for_s
            if shape == "swizzle":
                begin, length = at + rng.uniform(0, 1), rng.uniform(0.05, for_s)
            cuts.append(Fault(begin, "cut", (other, one), length))
            if shape not in ("one way", "deaf"):
                cuts.append(Fault(begin, "cut", (one, other), length))
    return cuts


def draw_formation_faults(options: Options, for_s: float) -> list[Fault]:
    """Return faults for the time in which empty nodes look for each other. All end within `for_s`.

    Without seeds, nodes that are cut apart found several clusters, and only one of a single member can yield later.
    There, one node at most is cut off, until the others must have found each other.
    """
    rng = Random(f"{options.seed}/formation faults")
    faults = []
    for _ in range(rng.choice((0, 0, 1, 2, 4))):
        at, host = rng.uniform(0.1, for_s / 2), rng.randrange(options.nodes)
        if rng.random() < 0.4:
            faults.append(Fault(at, rng.choice(("kill", "power cut")), (host,), rng.uniform(0.05, for_s / 2)))
        elif options.formation == "join":
            cuts = _draw_cut(at, host, options, rng)
            faults += [cut._replace(for_s=min(cut.for_s, for_s - cut.at)) for cut in cuts if cut.at < for_s]
    if options.formation == "discover" and not faults and rng.random() < 0.5:
        loner = rng.randrange(options.nodes)
        others = [other for other in range(options.nodes) if other != loner]
        pairs = [(loner, other) for other in others] + [(other, loner) for other in others]
        faults = [Fault(0.0, "cut", pair, for_s) for pair in pairs]
    return sorted(faults)
