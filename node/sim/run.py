"""One run, in two phases: chaos, in which nothing may ever be wrong; then everything heals, and everything must work.

form ── chaos: clients and faults ── heal ── (surge) ── ask every node ── quiet ── judge
"""

from __future__ import annotations

import gc
from collections import Counter
from typing import Final, NamedTuple

from node.core import change
from node.core.ids import Instant, partition_of
from node.sim.checkers import Answer, Verdict, judge
from node.sim.core import leave_alone
from node.sim.faults import Fault, Options, draw_faults, draw_formation_faults, draw_options
from node.sim.history import Ending, Kind, Record
from node.sim.host import Host
from node.sim.safeguards import Safeguard
from node.sim.surge import Surge
from node.sim.workload import Workload
from node.sim.world import World
from node.wire.requests import Get, Put, Request, Result
from node.wire.rows import decode_row

FORMATION_CHAOS_S: Final = 12.0
FORMED_WITHIN_S: Final = 60.0
"""How long the nodes may take to become one cluster once the faults of the beginning are over."""

CHAOS_S_MAX: Final = 3600.0
SETTLE_S_MAX: Final = 30.0
"""How long after healing every node must see every other."""

SETTLED_S: Final = 3.0
"""… and then they get this long to tell each other what they missed."""

CHANGED_WITHIN_S: Final = 120.0
"""… and a change of the ring that was under way must be at its end, and whoever waits for a seat must have it."""

REBUILT_WITHIN_S: Final = 60.0
"""How long a store that lost its disk may then take until it was compared with all other owners."""

HANDED_WITHIN_S: Final = 30.0
"""How long after that no hint may be left: a hand-over that was cut off is begun again after its patience."""

REAPED_WITHIN_S: Final = 60.0
"""How long after that no tombstone may be left: a copy that is late takes its turn a few passes later."""

KEYS_TRIED: Final = 40
"""Until one is found that a node owns: of a ring of seven, each owns three in seven."""

COLLECT_EVERY: Final = 50_000
"""New objects between two looks for garbage, in a campaign; ordinarily it is 700."""

ANSWERED_WITHIN_S: Final = 5.0
QUIET_S: Final = 5.0

CONVERGED_WITHIN_S: Final = 60.0
"""How long the owners may take, after that, to compare everything with each other and to make it equal."""


class Outcome(NamedTuple):
    """What came of one seed."""

    options: Options
    faults: list[Fault]
    verdicts: list[Verdict]
    trace: str
    marks: Counter[str]
    steps: int
    virtual_s: Instant
    endings: Counter[str]
    tail: list[str]

    @property
    def violated(self) -> bool:
        """Whether any checker found something, or could not tell."""
        return any(verdict.answer is not Answer.OK for verdict in self.verdicts)


def run(
    seed: int, ops: int | None = None, off: Safeguard | None = None, *, elastic: bool = False, tail: int = 40
) -> Outcome:
    """Run one seed from beginning to end. `tail` is how many last steps the outcome tells in words."""
    options = draw_options(seed, ops, elastic=elastic)
    world, faults = World(options, off), draw_faults(options)
    try:
        _run(world, faults)
        verdicts = judge(world.history)
    except Exception as error:  # noqa: BLE001  # whatever a node raises is a finding, with the seed that repeats it
        verdicts = [
            Verdict("0 nothing raises", Answer.VIOLATED, (f"t={world.agenda.now:.3f}: {error!r}", _where(error)))
        ]
    marks = world.marks.counts
    for name, mark in (
        ("lost", "message lost"),
        ("duplicated", "message duplicated"),
        ("held", "message held"),
        ("late", "message late"),
    ):
        world.marks.hit(mark, world.network.counts[name])
    world.marks.hit("message overtaken", world.network.counts["overtook"])
    endings = Counter(f"{record.kind.value} {record.ending.value}" for record in world.history.requests)
    words = world.trace.words(tail)
    return Outcome(
        options, faults, verdicts, world.trace.digest(), marks, world.agenda.steps, world.agenda.now, endings, words
    )


def collect_seldom() -> None:
    """Have this process look seldom for garbage in cycles: in a campaign a tenth of the time went there."""
    gc.freeze()  # what was imported stays
    gc.set_threshold(COLLECT_EVERY)


def _where(error: Exception) -> str:
    """Say where in the code it was."""
    trail, step = [], error.__traceback__
    while step is not None:
        trail.append(f"{step.tb_frame.f_code.co_name}:{step.tb_lineno}")
        step = step.tb_next
    return " > ".join(trail[-6:])


def _run(world: World, faults: list[Fault]) -> None:
    if not _form(world):
        return
    begun, options = world.agenda.now, world.options
    workload = Workload(world)
    for fault in faults:
        world.agenda.at(begun + fault.at, world.strike, fault)
    workload.start()
    world.elastic.start(options.chaos_s)
    if not world.agenda.run(begun + CHAOS_S_MAX, lambda: workload.done):
        world.history.unhealed.append(f"the clients were not done after {CHAOS_S_MAX} s")
    if not options.change_every_s:
        leave_alone(world, lambda core: _ask_each(world, core, "core"))
    world.heal_everything()
    if options.change_every_s and not world.agenda.run(world.agenda.now + CHANGED_WITHIN_S, lambda: _is_settled(world)):
        world.history.unhealed.append(f"{CHANGED_WITHIN_S} s after everything healed: {_who_waits_for_a_ring(world)}")
    if not world.agenda.run(world.agenda.now + SETTLE_S_MAX, lambda: _all_see_all(world)):
        world.history.unhealed.append(f"{SETTLE_S_MAX} s after everything healed: {_who_misses_whom(world)}")
    world.agenda.run(world.agenda.now + SETTLED_S)
    world.agenda.run(world.agenda.now + REBUILT_WITHIN_S, lambda: not any(host.forgetful for host in world.members))
    world.history.unhealed += [f"{host.name} has not been rebuilt" for host in world.members if host.forgetful]
    if world.options.surge:
        Surge(world, workload).run()
        world.agenda.run(world.agenda.now + SETTLED_S)
    _ask_each(world, world.members, "live")
    world.agenda.run(world.agenda.now + HANDED_WITHIN_S, lambda: not any(map(_hints, world.members)))
    world.agenda.run(world.agenda.now + REAPED_WITHIN_S, lambda: not any(map(_tombstones, world.members)))
    world.agenda.run(world.agenda.now + QUIET_S)
    _let_converge(world)
    world.agenda.run(
        world.agenda.now + QUIET_S, lambda: not any(host.node and host.node.view().in_flight for host in world.hosts)
    )
    _collect(world)


def _let_converge(world: World) -> None:
    """Wait until every node has compared everything since now: by its own rounds, or because somebody asks for it."""
    since = world.agenda.now
    if world.stream("repair").random() < 0.5:
        for host in world.members:
            world.ask_for_repair(host)

    def compared() -> bool:
        passes = [host.node.antientropy.full for host in world.members if host.node is not None]
        return all(full is not None and full.began >= since for full in passes)

    if not world.agenda.run(since + CONVERGED_WITHIN_S, compared):
        world.history.unhealed.append(f"{CONVERGED_WITHIN_S} s after that owners have not compared their trees")
    world.agenda.run(world.agenda.now + QUIET_S, lambda: _at_rest(world))  # exchanges go on for ever


def _at_rest(world: World) -> bool:
    return all(host.node is None or host.node.view().in_flight == 0 for host in world.hosts)


def _form(world: World) -> bool:
    """Let empty nodes find their seats, through faults that end; `early` clients do not wait for it.

    Return whether the run may go on: in two clusters all that follows would be noise.
    """
    options = world.options
    world.form()
    if options.formation != "ready":
        if options.formation == "discover":
            # Two clusters of several members never become one: a Welcome that is lost, or seconds late, makes them.
            world.network.change(options.network._replace(loss=0.0, duplicate=0.0, slow=0.0))
        for fault in draw_formation_faults(options, FORMATION_CHAOS_S):
            world.agenda.at(fault.at, world.strike, fault)
        if options.formation == "join" and options.early:
            world.agenda.run(world.stream("early").uniform(0.0, FORMATION_CHAOS_S / 2))
            return True
        world.agenda.run(FORMATION_CHAOS_S)
        world.calm()
    formed = world.agenda.run(world.agenda.now + FORMED_WITHIN_S, lambda: _formed(world))
    if formed or not is_founded_twice(world):
        _look_for_leaks(world)
    if not formed and not is_founded_twice(world):
        words = f"no one cluster {FORMED_WITHIN_S} s after the faults of the beginning: {_who_misses_whom(world)}"
        world.history.note("clusters", words)
    world.rough()
    return formed


def is_founded_twice(world: World) -> bool:
    """Whether there are clusters of several members each, and no others: only one of one member yields (design, section
    7), so a partition in the very founding leaves them for ever. Then nothing else is to be seen, not even who counts
    whom: a node that asked in both may have a seat in either, and sits in the first."""
    clusters = Counter(host.node.view().cluster_id for host in world.hosts if host.node is not None)
    return len(clusters) > 1 and "" not in clusters and min(clusters.values()) > 1


def _look_for_leaks(world: World) -> None:
    """Two clusters never exchange a gossip entry."""
    for host in world.hosts:
        for peer in world.hosts:
            if host.node is None or peer.node is None or peer.id not in host.node.cluster.members:
                continue
            mine, theirs = host.node.view().cluster_id, peer.node.view().cluster_id
            if mine and theirs and mine != theirs:
                world.history.note("clusters", f"{host.name} counts {peer.name}, of another cluster, as a member")


def _formed(world: World) -> bool:
    """Whether all nodes know all members of one cluster."""
    views = [host.node.view() for host in world.members if host.node is not None]
    return len(views) == len(world.members) and all(
        view.seated and view.members == len(views) and view.cluster_id == views[0].cluster_id for view in views
    )


def _is_settled(world: World) -> bool:
    """Whether all nodes have the same settled ring, and all have a seat in it."""
    world.elastic.let_go()
    rings = [host.node.cluster.ring for host in world.members if host.node is not None]
    first = rings[0] if rings else None
    if first is None or len(rings) < len(world.members) or first.before is not None:
        return False
    seated = sorted(seat.id for seat in first.seats) == sorted(host.id for host in world.members)
    return seated and all(ring == first for ring in rings)


def _who_waits_for_a_ring(world: World) -> str:
    """In words: which ring each node has, and what it waits for."""
    words = []
    for host in world.members:
        ring = host.node.cluster.ring if host.node is not None else None
        if host.node is None or ring is None:
            words.append(f"{host.name} is not there")
            continue
        state = "settled" if ring.before is None else f"moving, lacking {len(host.node.cluster.lacking)}"
        seat = (
            "" if any(seat.id == host.id for seat in ring.seats) else f", no seat: {host.node.cluster.waiting_because}"
        )
        words.append(f"{host.name} is in {ring.epoch} ({change.words(ring)}, {state}{seat})")
    return "; ".join(words)


def _all_see_all(world: World) -> bool:
    return not _who_misses_whom(world) and _formed(world)


def _who_misses_whom(world: World) -> str:
    """In words: which node does not see which, and who has no seat."""
    words = []
    for host in world.members:
        if host.node is None:
            words.append(f"{host.name} is down")
            continue
        if not host.node.view().seated:
            words.append(f"{host.name} has no seat: {host.node.view().waiting_because}")
        unseen = [peer.name for peer in world.members if not host.node.cluster.is_up(peer.id)]
        if unseen:
            words.append(f"{host.name} misses {', '.join(unseen)}")
    return "; ".join(words)


def _hints(host: Host) -> int:
    """How many hints a disk keeps."""
    return sum(total.rows for total in host.storage.hint_totals())


def _tombstones(host: Host) -> int:
    """How many tombstones a disk keeps."""
    return host.storage.tombstone_count()


def _ask_each(world: World, hosts: list[Host], when: str) -> None:
    """Each of these nodes must now take a write and a read of its own, and be done with them."""
    records: list[Record] = []
    for host in hosts:
        tag, key = f"{when}.{host.name}", _key_of(host, when)
        value = b"%s|%s" % (key, tag.encode())
        _ask(world, host, Kind.SET, Put(key, value, cover=True, writer=tag), tag, records)
        read = b"live-none" if world.history.rotten else b"k0"  # a lost row may still wait for its repair
        read = key if when == "core" else read  # of others all owners may be away, and nothing is no evidence then
        _ask(world, host, Kind.GET, Get(read), f"{tag}.read", records)
    world.agenda.run(world.agenda.now + ANSWERED_WITHIN_S, lambda: all(record.ended is not None for record in records))
    for record in records:
        if record.ending is not Ending.OK:
            world.history.unhealed.append(f"after {'everything' if when == 'live' else 'a core'} healed: {record!r}")


def _key_of(host: Host, when: str) -> bytes:
    """A key of its own for this node; one that it owns, if it owns any."""
    keys = [f"{when}-{host.name}-{number}".encode() for number in range(KEYS_TRIED)]
    if host.node is None or not host.node.view().seated:
        return keys[0]
    return next((key for key in keys if host.id in host.node.cluster.owners(key)), keys[0])


def _ask(world: World, host: Host, kind: Kind, request: Put | Get, tag: str, records: list[Record]) -> None:
    now, value = world.agenda.now, request.value if isinstance(request, Put) else None
    record = Record(
        tag, kind, host.name, request.key, value, begun=now, deadline=now + request.timeout_ms / 1000, seen=None
    )
    records.append(record)
    world.history.asked(record)

    def answered(result: Result | None) -> None:
        record.end(result, world.agenda.now)

    asked: Request = request
    world.ask(host, asked, answered, record)


def _collect(world: World) -> None:
    """What is left on the disks, and in the nodes."""
    history = world.history
    for host in world.members:
        history.final[host.name] = {key: decode_row(row) for key, row in host.storage.durable_rows().items()}
        if host.node is not None:
            view = host.node.view()
            history.left_over[host.name] = view.in_flight
            history.hints[host.name] = _hints(host)
            history.tombstones[host.name] = _tombstones(host)
            host.check_trees()
            history.rings[host.name] = (view.cluster_id, host.node.cluster.epoch, view.sealed)
    _collect_owners(world)


def _collect_owners(world: World) -> None:
    """Who owns the keys that are on any disk, and what the trees of their owners say."""
    history = world.history
    cluster = next(host.node.cluster for host in world.hosts if host.node is not None)
    if cluster.ring is None or len({epoch for _, epoch, _ in history.rings.values()}) > 1:
        return
    bits = cluster.partitions.bit_length() - 1
    for key in sorted({key for rows in history.final.values() for key in rows}):
        owners = [world.by_id[owner] for owner in cluster.owners(key)]
        history.owners[key] = tuple(owner.name for owner in owners)
        partition = partition_of(key, cluster.partitions)
        history.roots[partition] = {owner.name: owner.storage.digests(bits, partition, 0) for owner in owners}
