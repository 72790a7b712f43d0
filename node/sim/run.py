"""One run, in two phases: chaos, in which nothing may ever be wrong; then everything heals, and everything must work.

    form ── chaos: clients and faults ── heal ── ask every node ── quiet ── judge
"""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

from node.core.ids import Instant
from node.sim.checkers import Answer, Verdict, judge
from node.sim.faults import Fault, Options, draw_faults, draw_formation_faults, draw_options
from node.sim.history import Ending, Kind, Record
from node.sim.host import Host
from node.sim.safeguards import Safeguard
from node.sim.workload import Workload
from node.sim.world import World
from node.wire.requests import Get, Put, Request, Result
from node.wire.rows import decode_row

FORMATION_CHAOS_S: Final = 6.0
FORMED_WITHIN_S: Final = 60.0
"""How long the nodes may take to become one cluster once the faults of the beginning are over."""

CHAOS_S_MAX: Final = 3600.0
SETTLE_S_MAX: Final = 30.0
"""How long after healing every node must see every other."""

ANSWERED_WITHIN_S: Final = 5.0
QUIET_S: Final = 5.0


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


def run(seed: int, ops: int | None = None, off: Safeguard | None = None, *, tail: int = 40) -> Outcome:
    """Run one seed from beginning to end. `tail` is how many last steps the outcome tells in words."""
    options = draw_options(seed, ops)
    world, faults = World(options, off), draw_faults(options)
    try:
        _run(world, faults)
    except AssertionError as error:
        world.history.unhealed.append(f"assertion failed at t={world.agenda.now:.3f}: {error}")
        if off is None:
            _add_where(world, error)
    verdicts = judge(world.history)
    marks = world.marks.counts
    for name, mark in ("lost", "message lost"), ("duplicated", "message duplicated"), ("held", "message held"):
        world.marks.hit(mark, world.network.counts[name])
    world.marks.hit("message overtaken", world.network.counts["overtook"])
    endings = Counter(f"{record.kind.value} {record.ending.value}" for record in world.history.requests)
    words = world.trace.words(tail)
    return Outcome(
        options, faults, verdicts, world.trace.digest(), marks, world.agenda.steps, world.agenda.now, endings, words
    )


def _add_where(world: World, error: AssertionError) -> None:
    """Say where in the code it was."""
    trail, step = [], error.__traceback__
    while step is not None:
        trail.append(f"{step.tb_frame.f_code.co_name}:{step.tb_lineno}")
        step = step.tb_next
    world.history.unhealed.append(" > ".join(trail[-6:]))


def _run(world: World, faults: list[Fault]) -> None:
    _form(world)
    begun = world.agenda.now
    workload = Workload(world)
    for fault in faults:
        world.agenda.at(begun + fault.at, world.strike, fault)
    workload.start()
    if not world.agenda.run(begun + CHAOS_S_MAX, lambda: workload.done):
        world.history.unhealed.append(f"the clients were not done after {CHAOS_S_MAX} s")
    world.heal_everything()
    if not world.agenda.run(world.agenda.now + SETTLE_S_MAX, lambda: _all_see_all(world)):
        world.history.unhealed.append(f"{SETTLE_S_MAX} s after everything healed: {_who_misses_whom(world)}")
    _ask_everybody(world)
    world.agenda.run(world.agenda.now + QUIET_S)
    _collect(world)


def _form(world: World) -> None:
    """Let the nodes find their seats, if they have none, through faults that end."""
    options = world.options
    world.form()
    if options.formation != "ready":
        for fault in draw_formation_faults(options, FORMATION_CHAOS_S):
            world.agenda.at(fault.at, world.strike, fault)
        world.agenda.run(FORMATION_CHAOS_S)
        world.calm()
    formed = world.agenda.run(world.agenda.now + FORMED_WITHIN_S, lambda: _formed(world))
    assert formed, f"no one cluster within {FORMED_WITHIN_S} s: {_who_misses_whom(world)}"
    world.rough()


def _formed(world: World) -> bool:
    """Whether all nodes know all members of one cluster."""
    views = [host.node.view() for host in world.hosts if host.node is not None]
    return len(views) == len(world.hosts) and all(
        view.seated and view.members == len(views) and view.cluster_id == views[0].cluster_id for view in views
    )


def _all_see_all(world: World) -> bool:
    return not _who_misses_whom(world) and _formed(world)


def _who_misses_whom(world: World) -> str:
    """In words: which node does not see which, and who has no seat."""
    words = []
    for host in world.hosts:
        if host.node is None:
            words.append(f"{host.name} is down")
            continue
        if not host.node.view().seated:
            words.append(f"{host.name} has no seat: {host.node.view().waiting_because}")
        unseen = [peer.name for peer in world.hosts if not host.node.cluster.is_up(peer.id)]
        if unseen:
            words.append(f"{host.name} misses {', '.join(unseen)}")
    return "; ".join(words)


def _ask_everybody(world: World) -> None:
    """Every node must now take a write and a read of its own, and be done with them."""
    records: list[Record] = []
    for host in world.hosts:
        tag, key = f"live.{host.name}", b"live-" + host.name.encode()
        value = b"%s|%s" % (key, tag.encode())
        _ask(world, host, Kind.SET, Put(key, value, cover=True, writer=tag), tag, records)
        _ask(world, host, Kind.GET, Get(b"k0"), f"{tag}.read", records)
    world.agenda.run(world.agenda.now + ANSWERED_WITHIN_S, lambda: all(record.ended is not None for record in records))
    for record in records:
        if record.ending is not Ending.OK:
            world.history.unhealed.append(f"after everything healed: {record!r}")


def _ask(world: World, host: Host, kind: Kind, request: Put | Get, tag: str, records: list[Record]) -> None:
    now, value = world.agenda.now, request.value if isinstance(request, Put) else None
    record = Record(
        tag, kind, host.name, request.key, value, begun=now, deadline=now + request.timeout_ms / 1000, seen=None
    )
    records.append(record)
    world.history.requests.append(record)

    def answered(result: Result | None) -> None:
        record.end(result, world.agenda.now)

    asked: Request = request
    world.ask(host, asked, answered, record)


def _collect(world: World) -> None:
    """What is left on the disks, and in the nodes."""
    history = world.history
    for host in world.hosts:
        history.final[host.name] = {key: decode_row(row) for key, row in host.storage.durable_rows().items()}
        if host.node is not None:
            view = host.node.view()
            history.left_over[host.name] = view.in_flight
            history.rings[host.name] = (view.cluster_id, host.node.cluster.epoch, view.sealed)
