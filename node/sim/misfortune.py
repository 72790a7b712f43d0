"""What faults do to the machines of a world. Which ones strike, and when, was drawn before (`sim.faults`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.core.ids import Instant
from node.core.version import descends
from node.engine.kept import TOOK_SEAT, forgetful
from node.sim.safeguards import Safeguard
from node.storage.port import SaveState
from node.wire.rows import decode_row

YEAR_S = 365.25 * 86400

if TYPE_CHECKING:
    from node.sim.faults import Fault
    from node.sim.host import Host
    from node.sim.world import World

CLOCK_ERRORS_S = (-10 * YEAR_S, -3600.0, -1.0, 1.0, 3600.0, 10 * YEAR_S)
"""By how much a clock is wrong, until it is set right: both are steps, one of which is back."""

REPLACED_S = 0.5
"""How long a machine is down while somebody puts another disk into it."""


class Misfortune:
    """The faults of one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._rot = world.stream("rot")
        self._disks = world.stream("disks")
        self._clocks = world.stream("clocks")

    def strike(self, fault: Fault) -> None:
        """Let a fault begin, and see to its end."""
        world = self.world
        if world.healed:
            return
        agenda, end = world.agenda, world.agenda.now + fault.for_s
        world.trace.add(agenda.now, "", f"fault {fault}".encode(), fault)
        host = world.hosts[fault.hosts[0]]
        if fault.kind in ("kill", "power cut"):
            self._crash(host, silently=fault.kind == "power cut")
            agenda.at(end, self._restart, host)
        elif fault.kind == "cut":
            self._cut(host, world.hosts[fault.hosts[1]])
            agenda.at(end, self._heal, *fault.hosts)
        elif fault.kind in ("pause", "freeze"):
            world.marks.hit("freeze", fault.kind == "freeze")
            self._pause(host, end)
        elif fault.kind == "slow disk":
            host.slow_until = end
        elif fault.kind == "full disk":
            host.full_until = end
        elif fault.kind == "disk error":
            at_once, survives = self._disks.random() < 0.25, self._disks.random() < 0.5
            (host.break_disk if at_once else host.fail_next_sync)(survives=survives)
            agenda.at(end, self._exchange_process, host)
        elif fault.kind == "wrong clock":
            self._turn_clock(host, end)
        elif fault.kind == "rot":
            self._lose_row(host)
        elif fault.kind == "restore":
            agenda.at(end, self._replace_disk, host, host.storage.copy())
        elif fault.kind == "wipe":
            self._replace_disk(host, None)

    def _pause(self, host: Host, end: Instant) -> None:
        self.world.marks.hit("pause")
        self.world.let_wait(host, end)
        host.paused_until = max(host.paused_until, end)

    def _crash(self, host: Host, *, silently: bool) -> None:
        marks = self.world.marks
        marks.hit("power cut", silently and host.up)
        host.crash(silently=silently)
        marks.hit("whole cluster down", not any(host.up for host in self.world.hosts))

    def _exchange_process(self, host: Host) -> None:
        """Somebody looks after a node whose disk failed: another process, on a disk that works."""
        host.fail_next_sync(survives=None)
        if host.broken:
            self._crash(host, silently=False)
            self.world.agenda.after(REPLACED_S, self._restart, host)

    def _turn_clock(self, host: Host, end: Instant) -> None:
        by_s = self._clocks.choice(CLOCK_ERRORS_S)
        self.world.marks.hit("wrong clock")
        host.turn_clock(by_s)
        self.world.agenda.at(end, host.turn_clock, -by_s)

    def _restart(self, host: Host) -> None:
        if host.held_down:
            return
        self.world.marks.hit("restart", not host.up)
        host.boot()

    def _cut(self, source: Host, target: Host) -> None:
        world = self.world
        world.network.cut(source.index, target.index)
        world.marks.hit("one-way cut", world.network.passes(target.index, source.index))
        world.links.cut(source, target)

    def _heal(self, source: int, target: int) -> None:
        self.world.deliver(self.world.network.heal(source, target, self.world.agenda.now))

    def _known_elsewhere(self, host: Host, key: bytes, row: bytes) -> bool:
        return descends(self.world.known(key, besides=host).clock, decode_row(row).clock)

    def _lose_row(self, host: Host) -> None:
        """Damage a row that the other stores together know as well: no knowledge is lost, but this store's."""
        rows = host.storage.durable_rows()
        if not rows or host.writing:  # what is being written may stand on the row
            return
        key = self._rot.choice(sorted(rows))
        if not self._known_elsewhere(host, key, rows[key]):
            return
        self.world.marks.hit("row lost")
        host.storage.corrupt(key)
        self.world.history.forgot(host.name, key)

    def _replace_disk(self, host: Host, copied: dict[str, object] | None) -> None:
        """Another disk, under the old seat: an empty one, or one with an earlier copy of the file.

        One at a time, in a sealed ring, of a member that all know, and only what the other stores together know as
        well: W copies do not outlive W lost disks.
        """
        world, rows = self.world, host.storage.durable_rows()
        clusters = [each.node.cluster for each in world.hosts if each.node is not None]
        if world.healed or not clusters or any(each.forgetful for each in world.hosts):
            return
        if not all(known.ring is not None and known.ring.sealed and host.id in known.members for known in clusters):
            return
        if not all(self._known_elsewhere(host, key, row) for key, row in rows.items()):
            return
        if host.out or any(known.state.voters == (host.id,) for known in clusters):  # all that there is of the cluster
            return
        self._crash(host, silently=True)
        if copied is None:
            world.marks.hit("store wiped")
            host.storage.wipe()
            host.seeds(tuple(each.address for each in world.hosts if each is not host))
        else:
            world.marks.hit("store put back")
            host.storage.put_back(copied)
        host.storage.apply(self._noted(TOOK_SEAT if copied is None else "put back from a copy"))
        world.history.replaced(host.name, host.storage.durable_rows(), world.agenda.now)
        world.agenda.after(REPLACED_S, self._restart, host)

    def _noted(self, why: str) -> list[SaveState]:
        """What is noted when such a store is opened."""
        rebuilding, behind = forgetful(why)
        off = self.world.off
        if off is Safeguard.REBUILT_FIRST and why != TOOK_SEAT:
            return [behind]
        return [rebuilding] if off is Safeguard.CATCH_UP_FIRST else [rebuilding, behind]
