"""One simulated machine: a process that lives and dies, and a disk that outlives it.

The driver of `node.runtime`, in virtual time: events wait in an inbox, a turn steps the node through all of them and
performs what it wants done; writes go to the disk in groups, and what a group says is told after its sync.

    turn ── persist ──► queue ── stage ──► on its way ── sync ──► durable ── told ──► turn
                                 a crash here drops it ┘       └ a crash here keeps it, and nobody knows
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, Final

import msgspec

from node.core.ids import Instant, NodeId
from node.engine.config import NodeConfig
from node.engine.events import (
    Event,
    Measured,
    Persisted,
    Reached,
    Received,
)
from node.engine.kept import STATE_REBUILDING
from node.engine.node import Node
from node.engine.operation import NO_TICKET
from node.engine.outbox import Outbox
from node.sim.reads import Reads
from node.sim.safeguards import Safeguard, skip, told_at_once, weaken
from node.storage.port import (
    FOREVER,
    Advance,
    Merge,
    Outcome,
    Refusal,
    Refused,
    SaveState,
    Write,
    is_late,
)
from node.wire.messages import Message

if TYPE_CHECKING:
    from node.sim.disk import SimStorage
    from node.sim.world import World

GROUP_MAX = 64
"""Writes of one group commit."""

SAVES = 0.1
"""How often the trees are saved after a group: the runtime waits for a quiet moment, which may be any."""

SLICE_S_MAX = 0.5
"""How long a slice of the scan after a crash may take to come."""

RETIRE_EVERY_S = 1.0
"""How often a node looks for rows of others while the ring changes: else most runs end before a second time."""

SPINS_MAX = 1000
"""Times a node may want to be woken at one and the same moment."""

STOPPED: Final = Refused(Refusal.STOPPED, "the disk failed")
UNCLEAR: Final = Refused(Refusal.UNCLEAR, "the disk failed while this was stored")
"""What writes are told by a disk that failed (`runtime.disk`)."""

_encode = msgspec.msgpack.Encoder().encode

Group = list[tuple[int, Write, Outcome]]


class Host:
    """A machine with one node. `life` counts its processes; what belongs to an earlier one is void."""

    def __init__(self, world: World, index: int, config: NodeConfig, storage: SimStorage, rng: Random) -> None:
        self.world = world
        self.index = index
        self.config = config
        self.id: NodeId = config.id
        self.name = config.name
        self.address = f"{config.host}:{config.peer_port}"
        self.storage = storage
        self.rng = rng
        self.wall_offset_s = 1.7e9 + rng.uniform(-1e7, 1e7)
        self.node: Node | None = None
        self.life = 0
        self.held_down = False
        self.out = False
        self.paused_until: Instant = 0.0
        self.slow_until: Instant = 0.0
        self.full_until: Instant = 0.0
        self.broken = False
        self._doomed: bool | None = None
        self._reads = Reads(self)
        self.wishes: dict[str, None] = {}
        self.took_s: list[float] = []
        self._look_at: Instant = 0.0
        self._inbox: list[Event] = []
        self._awake = False
        self._wake_at: Instant | None = None
        self._woken_at: Instant = -1.0
        self._spins = 0
        self._told_at: Instant = 0.0
        self._queue: list[tuple[int, Write]] = []
        self._group: Group = []
        self.writing = False

    @property
    def up(self) -> bool:
        """Whether a process runs."""
        return self.node is not None

    @property
    def forgetful(self) -> bool:
        """Whether its store may have forgotten something, and was not rebuilt yet."""
        return bool(self.storage.load_state().get(STATE_REBUILDING))

    def seeds(self, addresses: tuple[str, ...]) -> None:
        """From its next start on the process looks for its cluster there."""
        self.config = self.config._replace(join=addresses, discover=False)

    @property
    def paused(self) -> bool:
        """Whether the process stands still (SIGSTOP)."""
        return self.world.agenda.now < self.paused_until

    # The process ---------------------------------------------------------------------------------------------

    def boot(self) -> None:
        """Start a process from what is durable; not of a machine that is none of the cluster's (`out`)."""
        if self.node is not None or self.out:
            return
        world, streams = self.world, f"{self.world.options.seed}/{self.name}/{self.life}"
        self.storage.opened(streams)
        self.node = Node(
            self.config,
            self.storage.identity,
            self.storage.load_state(),
            rng=Random(f"{streams}/gossip"),
            entropy=Random(f"{streams}/entropy").randbytes,
            wall_offset_s=self.wall_offset_s,
        )
        if world.options.change_every_s:
            self.node.retirement.every_s = RETIRE_EVERY_S
        world.trace.add(world.agenda.now, self.name, b"boot", "boot")
        out = Outbox()
        self.node.start(world.agenda.now, out)
        self._perform(out)
        self._arm()
        self.check_trees()
        world.marks.hit("partition rescanned", self.storage.work_due)
        self._work_later()

    def mend(self) -> None:
        """End what is wrong with the machine. A node whose disk failed goes on only as another process."""
        if self.paused and self._awake:  # its turn was put off to the end of that
            self.world.agenda.after(0.0, self._turn, self.life)
        self.paused_until = self.slow_until = self.full_until = self.world.agenda.now
        self._doomed = None
        if self.broken:
            self.crash(silently=False)
        self.boot()

    def turn_clock(self, by_s: float) -> None:
        """Set the wall clock; the monotonic one goes on as ever."""
        self.wall_offset_s += by_s
        if self.node is not None:
            self.node.shared.wall_offset_s = self.wall_offset_s

    def crash(self, *, silently: bool) -> None:
        """Kill the process (or, silently, the machine). Only what was synced stays; clients lose their connections."""
        if self.node is None:
            return
        world = self.world
        world.trace.add(world.agenda.now, self.name, b"crash", "crash")
        self.node = None
        self.life += 1
        self._inbox.clear()
        self._queue.clear()
        self.wishes.clear()
        self._awake = self.writing = self.broken = False
        self._doomed = None
        self._wake_at = None
        self.paused_until = world.agenda.now
        if self._group:
            world.marks.hit("crash before sync")
            self._group = []
        self.storage.crash()
        world.history.crashed(self.name, self.storage.durable_rows())
        world.links.died(self, silently=silently)
        world.hang_up(self)

    def give(self, event: Event) -> None:
        """Let an event happen to the process, at its next turn."""
        if self.node is None:
            return
        self._inbox.append(event)
        if not self._awake:
            self._awake = True
            at = max(self.world.agenda.now + self.world.options.turn_s, self.paused_until)
            self.world.agenda.at(at, self._turn, self.life)

    def _turn(self, life: int) -> None:
        """Step through the inbox and perform the effects."""
        node = self.node
        if self.life != life or node is None:
            return
        now = self.world.agenda.now
        if now < self.paused_until:
            self.world.agenda.at(self.paused_until, self._turn, life)
            return
        self._awake = False
        events, self._inbox = self._inbox, []
        out = Outbox()
        trace = self.world.trace
        for event in events:
            trace.add(now, self.name, type(event).__name__.encode() + _encode(event), event)
            node.step(event, now, out)
        self._perform(out)
        self._arm()

    def _arm(self) -> None:
        """Ask to be woken when the node's next deadline comes."""
        assert self.node is not None, "no process to wake"
        at = self.node.next_deadline()
        if self._wake_at is None or at < self._wake_at:
            self._wake_at = at
            self.world.agenda.at(at, self._wake, self.life, at)

    def _wake(self, life: int, at: Instant) -> None:
        if self.life != life or self.node is None or self._wake_at != at:
            return
        self._wake_at = None
        now = self.world.agenda.now
        if self.node.next_deadline() > now:
            self._arm()
            return
        self._spins = self._spins + 1 if self._woken_at == now else 0
        self._woken_at = now
        assert self._spins < SPINS_MAX, f"{self.name} wants to be woken at {at} again and again"
        self.give(self._looked(now))

    def _looked(self, now: Instant) -> Reached:
        """The event; once a second, while the world wants it, with what clients see, as the runtime's driver does."""
        if not self.world.looks or now < self._look_at:
            return Reached(changes=self.storage.totals().changes)
        self._look_at = now + 1.0
        took_s, self.took_s = sorted(self.took_s), []
        p99_ms = took_s[len(took_s) * 99 // 100] * 1000 if took_s else None
        return Reached(True, p99_ms, self.storage.totals().changes)

    # Effects -------------------------------------------------------------------------------------------------

    def _perform(self, out: Outbox) -> None:
        world = self.world
        for fact in out.facts:
            world.noted(self, fact)
        for address, keep in out.dials:
            world.links.dial(self, address, keep=keep)
        if out.persists:
            self._persist(out.persists)
        self._reads.ask(out)
        for ticket in out.measures:
            self.give(Measured(ticket, {}))
        for peer, messages in out.sends.items():
            world.send(self, peer, messages)
        for ticket, result in out.replies:
            world.replied(self, ticket, result)

    def received(self, peer: NodeId, message: Message) -> None:
        """A message arrived on an open link."""
        self.give(Received(peer, message))

    # The disk ------------------------------------------------------------------------------------------------

    def _persist(self, writes: Sequence[tuple[int, Write]]) -> None:
        if self.broken:
            self._tell_later([(ticket, write, STOPPED) for ticket, write in writes])
            return
        early = told_at_once(writes, self.world.off)
        if early:
            told = {ticket for ticket, _ in early}
            writes = [(NO_TICKET if ticket in told else ticket, write) for ticket, write in writes]
            self.give(Persisted(early))
        self._queue += writes
        if not self.writing:
            self._stage()

    def fail_next_sync(self, *, survives: bool | None) -> None:
        """Let the disk break in the middle of a commit, the one under way or the next one; None takes that back."""
        self._doomed = survives if self.node is not None else None

    def break_disk(self, *, survives: bool) -> None:
        """An error of the disk, after which nothing that it says is believed until the process has gone.

        `survives` decides what becomes of a commit under way: whether the log brings it back at the next start.
        """
        if self.node is None or self.broken:
            return
        world = self.world
        world.trace.add(world.agenda.now, self.name, b"disk", "the disk fails")
        world.marks.hit("disk failed")
        world.marks.hit("disk failed in a commit", bool(self._group))
        queue, self._queue = self._queue, []
        group, self._group = self._group, []
        self.broken, self.writing = True, False
        if survives and group:
            self.storage.sync()
            self._record(group)
        else:
            self.storage.crash()
        why = STOPPED if world.off is Safeguard.UNCLEAR_IS_SAID else UNCLEAR
        told: Group = [(ticket, write, why) for ticket, write, _ in group]
        self._tell_later(told + [(ticket, write, STOPPED) for ticket, write in queue])

    def _stage(self) -> None:
        """Begin a group commit with what waits."""
        self.writing = True
        waiting, self._queue = self._queue[:GROUP_MAX], self._queue[GROUP_MAX:]
        off, dear = self.world.off, 0
        self._group = []
        for ticket, write in waiting:
            awaited = isinstance(write, Advance | Merge) and write.until < FOREVER
            write = weaken(write, off)
            outcome = self._refusal(write) or skip(write, off)
            dear += awaited and outcome is None
            if outcome is None:
                outcome = self.storage.stage([write])[0]
            self._group.append((ticket, write, outcome))
            self.world.decided(self, write, outcome)
        options = self.world.options
        sync_s = self.rng.uniform(0, options.sync_s_max) + dear * self.world.write_s
        if self.world.agenda.now < self.slow_until:
            sync_s += self.rng.uniform(0, 0.5)
        if off is Safeguard.ACK_AFTER_SYNC:
            self._record(self._group)
            self._told(self.life, self._group)
        self.world.agenda.after(sync_s, self._synced, self.life)

    def _refusal(self, write: Write) -> Outcome | None:
        if self.world.agenda.now < self.full_until and isinstance(write, Advance | Merge | SaveState):
            return Refused(Refusal.DISK_FULL, f"disk full on {self.name}")
        if is_late(write, self.world.agenda.now):
            return Refused(Refusal.LATE, "too late")
        return None

    def _synced(self, life: int) -> None:
        """The group is durable; the news of it takes a moment."""
        if self.life != life or self.broken:
            return
        if self._doomed is not None:
            self.break_disk(survives=self._doomed)
            return
        self.storage.sync()
        group, self._group = self._group, []
        self._record(group)
        if self.world.off is not Safeguard.ACK_AFTER_SYNC:
            self._tell_later(group)
        self.writing = False
        if self.rng.random() < SAVES:
            self.storage.save()
        if self._queue:
            self._stage()

    def _tell_later(self, group: Group) -> None:
        told_at = self.world.agenda.now + self.rng.uniform(0, self.world.options.told_s_max)
        self._told_at = max(self._told_at, told_at)
        self.world.agenda.at(self._told_at, self._told, self.life, group)

    def _work_later(self) -> None:
        """After a crash the rows are scanned for the trees, slice by slice, between the groups."""
        if self.storage.work_due:
            self.world.agenda.after(self.rng.uniform(0, SLICE_S_MAX), self._work, self.life)

    def _work(self, life: int) -> None:
        if self.life == life and not self.broken:
            self.storage.work()
            self._work_later()

    def check_trees(self) -> None:
        """What the trees claim to know is what the durable rows say."""
        for leaf in self.storage.untrue_leaves():
            self.world.history.note("trees", f"t={self.world.agenda.now:.3f}: {self.name} is wrong about leaf {leaf}")

    def _record(self, group: Group) -> None:
        for _, write, outcome in group:
            self.world.history.stored(self.name, write, outcome, self.world.agenda.now)

    def _told(self, life: int, group: Group) -> None:
        if self.life == life:
            self.give(Persisted([(ticket, outcome) for ticket, _, outcome in group]))
        else:
            self.world.marks.hit("crash after sync")
