"""More than the disks can take, for a while, and then what they can: does everything work again soon (scenario S8)?

    everything healed ── SURGE_S of `surge` times what the disks take ── RECOVERED_WITHIN_S of a part of it ── judge

The clients are naive: whoever is refused, or hears nothing in time, asks again after a moment, whatever that does to
the nodes. That is what keeps an overload going when its cause has gone: each request takes the place of one that could
have been done, until it is given up itself. Each write that a client waits for has a price meanwhile, so that the disks
are what is short. (Hints and repair have none: a batch is one sync to a disk, and would be seconds at this price.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from node.core.ids import Instant
from node.sim.history import Ending, Kind, Record
from node.wire.requests import Failed, Get, Put, Request, Result

if TYPE_CHECKING:
    from node.sim.workload import Workload
    from node.sim.world import World

CAPACITY: Final = 80.0
"""Writes a second that all disks together take: few requests are too many then, and a run stays short."""

SURGE_S: Final = 1.5
RECOVERED_WITHIN_S: Final = 10.0
AGAIN_S: Final = 0.7
"""After what a client asks again."""

ATTEMPTS: Final = 6
AFTERWARDS: Final = 0.3
"""Of what the disks take: the load from then on. Copies that were missed come beside it."""

LAST_S: Final = 2.0
GRACE_S: Final = 1.0
"""Who comes in the last part of that time is served, and soon: when so long has passed after it …"""

BACK: Final = 0.95
"""… so many are."""

FULL_S: Final = 0.5
"""More requests than are done in this time, waiting, are a queue."""

KEYS: Final = 200
READS: Final = 0.2


class Surge:
    """One surge. `came` counts the clients of the last seconds, `done` those of them that were served."""

    def __init__(self, world: World, workload: Workload) -> None:
        self.world = world
        self.workload = workload
        self.rng = world.stream("surge")
        self.drops_at: Instant = world.agenda.now + SURGE_S
        self.ends_at: Instant = self.drops_at + RECOVERED_WITHIN_S
        self.asked = self.came = self.done = 0

    def run(self) -> None:
        """Let it come, and go, and look."""
        agenda = self.world.agenda
        options = self.world.options
        self.world.write_s = options.nodes / min(options.quorums.n, options.nodes) / CAPACITY
        self.world.looks = True
        self._arrive()
        agenda.run(self.ends_at + GRACE_S)
        self._look()
        self.world.write_s = 0.0

    def _arrive(self) -> None:
        """A client comes; the next one after a while."""
        now = self.world.agenda.now
        if now < self.ends_at:
            late = now >= self.ends_at - LAST_S
            self.came += late
            self._ask(ATTEMPTS, late)
            rate = CAPACITY * (self.world.options.surge if now < self.drops_at else AFTERWARDS)
            self.world.agenda.after(self.rng.expovariate(rate), self._arrive)

    def _ask(self, attempts: int, late: bool) -> None:
        world, rng, now = self.world, self.rng, self.world.agenda.now
        self.asked += 1
        tag, key = f"surge.{self.asked}", b"s%d" % rng.randrange(KEYS)
        host, timeout_ms = rng.choice(world.hosts), rng.choice((1000, 3000))
        reads = rng.random() < READS
        value = None if reads else b"%s|%s" % (key, tag.encode())
        request: Request
        if reads:
            request = Get(key, timeout_ms=timeout_ms)
        else:
            request = Put(key, value, cover=True, timeout_ms=timeout_ms, writer=tag)
        record = Record(
            tag, Kind.GET if reads else Kind.SET, host.name, key, value, begun=now, deadline=now + timeout_ms / 1000,
            seen=() if reads else None,
        )  # fmt: skip
        world.history.asked(record)

        def answered(result: Result | None) -> None:
            record.end(result, world.agenda.now)
            self.workload.look_at_the_disks(record)
            world.marks.hit("refused as one too many", isinstance(result, Failed) and result.code == "BUSY")
            if record.ending is Ending.OK:
                self.done += late
            elif attempts > 1:
                world.agenda.after(AGAIN_S, self._ask, attempts - 1, late)

        world.ask(host, request, answered, record)

    def _look(self) -> None:
        """Whoever comes is served, and nobody stands in a queue."""
        history = self.world.history
        when = f"{RECOVERED_WITHIN_S:g} s after a surge"
        if self.done < BACK * self.came:
            history.note("recovers", f"{when} {self.done} clients of {self.came} are served")
        waiting = {host.name: host.node.shared.load.waiting for host in self.world.hosts if host.node is not None}
        if sum(waiting.values()) > CAPACITY * FULL_S:
            history.note("recovers", f"{when} requests wait: {waiting}")
