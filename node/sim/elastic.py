"""People who change the ring of a world while its clients write: nodes join, leave, die for good and are replaced.

An operator asks some node for a change, and asks again while the answer is not clear. Some ask for two at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from node.core.change import at_stake
from node.core.ids import partition_of
from node.core.ring import owner_lists
from node.core.row import EMPTY
from node.core.version import descends, merge
from node.sim.history import Kind, Record
from node.wire.requests import Document, Failed, Inspect, Result
from node.wire.rows import decode_row

if TYPE_CHECKING:
    from node.sim.host import Host
    from node.sim.world import World

AT_ONCE: Final = 0.25
"""How often somebody else wants something at the same moment."""

BOTH: Final = 0.7
"""How often, where one machine dies for good, another one does at the same moment, if the rest can do without both."""

ELSEWHERE: Final = 0.3
"""How often, where somebody wants another weight for a member, it is other zones for some."""

AGAIN_S: Final = 1.0
TRIES: Final = 8
"""How soon and how often an operator asks again."""

PATIENT: Final = 4
"""With so many tries left who wants two machines removed gives up what is under way."""

ASK_MS: Final = 3000


class Elastic:
    """The operators of one world. `dead` were switched off for good, and are to be removed or replaced."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rng = world.stream("changes")
        self.losses = world.stream("losses")
        self.zoning = world.stream("zoning")
        self.dead: dict[Host, str] = {}
        self._asked = 0

    def start(self, for_s: float) -> None:
        """Draw when somebody wants a change."""
        every_s = self.world.options.change_every_s
        at = self.rng.expovariate(1 / every_s) if every_s else for_s
        while at < for_s:
            for _ in range(2 if self.rng.random() < AT_ONCE else 1):
                self.world.agenda.after(at, self._want)
            at += self.rng.expovariate(1 / every_s)

    def _want(self) -> None:
        if self.world.healed:
            return
        kind = self.rng.choice(("join", "join", "leave", "remove", "replace", "weight", "abandon"))
        spares = [host for host in self.world.hosts if host.out and not host.life]
        members = [host for host in self.world.hosts if not host.out and host not in self.dead]
        if kind == "join" and spares:
            self._boot(spares[0], "")
        elif kind in ("leave", "weight") and len(members) > 1:
            host = self.rng.choice(members)
            words: tuple[str, ...] = (
                ("LEAVE", host.name) if kind == "leave" else ("WEIGHT", host.name, str(self.rng.randint(1, 3)))
            )
            if kind == "weight" and self.zoning.random() < ELSEWHERE:
                moved = self.zoning.sample(members, self.zoning.randint(1, len(members)))
                words = ("ZONE", *(word for each in moved for word in (each.name, f"z{self.zoning.randint(0, 2)}")))
            self._ask(words, TRIES)
        elif kind == "abandon" and self.rng.random() < 0.3:
            self._ask(("ABANDON",), 1)
        elif kind in ("remove", "replace") and len(members) > 1 and not self.dead:
            host, spare = self.rng.choice(members), spares[0] if spares and kind == "replace" else None
            if spare is not None or not self._lose_both(host):
                self._lose(host, spare)

    def _boot(self, host: Host, replaces: str) -> None:
        """Somebody starts a new, empty node."""
        host.config = host.config._replace(
            join=tuple(each.address for each in self.world.hosts if not each.out), discover=False, replace=replaces
        )
        host.out = False
        host.boot()

    def _lose(self, host: Host, spare: Host | None) -> None:
        """A machine dies for good, of whose rows the others hold all; and somebody says so."""
        world, rows = self.world, host.storage.durable_rows()
        if any(each.forgetful for each in world.hosts if not each.out):
            return
        if not all(descends(world.known(key, besides=host).clock, decode_row(row).clock) for key, row in rows.items()):
            return
        world.marks.hit("machine lost for good")
        host.crash(silently=self.rng.random() < 0.5)
        host.held_down = True
        self.dead[host] = "replace" if spare is not None else "remove"
        if spare is not None:
            self._boot(spare, host.name)
        else:
            self._ask(("REMOVE", host.name), TRIES)

    def _lose_both(self, host: Host) -> bool:
        """Two machines die for good at one moment, and somebody removes both. False: then the rest could not go on.

        A majority has to be left, and of each partition an owner, and these must hold all that is on the two disks:
        what is at stake with two of three owners is lost only if nobody had it yet.
        """
        world = self.world
        rings = [each.node.cluster.ring for each in world.members if each.node is not None]
        ring = rings[0] if rings else None
        if ring is None or not ring.sealed or ring.before is not None or any(each != ring for each in rings):
            return False
        seated = [world.by_id[seat.id] for seat in ring.seats if seat.id != host.id]
        if len(seated) < 4 or any(each.forgetful for each in world.members) or self.losses.random() >= BOTH:
            return False
        both = (host, self.losses.choice(seated))
        lists = owner_lists(ring.seats, ring.owners, ring.quorums.n)
        left = [[world.by_id[node] for node in owners if world.by_id[node] not in both] for owners in lists]
        if not all(left) or not all(
            _is_held(key, row, left[partition_of(key, ring.partitions)])
            for each in both
            for key, row in each.storage.durable_rows().items()
        ):
            return False
        world.marks.hit("two machines lost for good")
        for each in both:
            each.crash(silently=self.losses.random() < 0.5)
            each.held_down = True
            self.dead[each] = "remove"
        self._ask(("REMOVE", *(each.name for each in both)), TRIES)
        return True

    def _ask(self, words: tuple[str, ...], tries: int) -> None:
        """Type a command at some node."""
        world = self.world
        up = [host for host in world.hosts if host.up]
        if not up or not tries or world.healed:
            return
        if words[0] == "REMOVE" and len(words) > 2 and tries == PATIENT:  # what is under way may wait for them for ever
            self._ask(("ABANDON",), 1)
        host, now = self.rng.choice(up), world.agenda.now
        self._asked += 1
        record = Record(
            f"operator.{self._asked}", Kind.GET, host.name, b"", None, begun=now, deadline=now + ASK_MS / 1000
        )

        def answered(result: Result | None) -> None:
            record.end(result, world.agenda.now)
            world.marks.hit("change refused", isinstance(result, Failed) and result.code == "REFUSED")
            world.marks.hit("change taken on", isinstance(result, Document))
            if not isinstance(result, Document):
                world.agenda.after(AGAIN_S, self._ask, words, tries - 1)

        arguments = tuple(word.encode() for word in (*words, *self._accepting(words, host)))
        world.ask(host, Inspect("cluster", arguments=arguments, timeout_ms=ASK_MS), answered, record)

    def _accepting(self, words: tuple[str, ...], host: Host) -> tuple[str, ...]:
        """The words with which somebody who removes machines accepts what is at stake by the ring of the node asked."""
        ring = host.node.cluster.ring if host.node is not None else None
        if words[0] != "REMOVE" or ring is None:
            return ()
        stake = sum(at_stake(ring, tuple([each.id for each in self.world.hosts if each.name in words])))
        return ("ACCEPT", str(stake)) if stake else ()

    def let_go(self) -> None:
        """Who was removed before it had a seat waits for one for ever: nobody leaves such a machine running. And whom a
        newcomer was to replace may be back, or gone by another way: it joins as any other, then."""
        rings = [host.node.cluster.ring for host in self.world.members if host.node is not None]
        for host in self.world.members:
            seated = host.node is not None and host.node.view().seated
            if not seated and any(ring is not None and host.id in ring.gone for ring in rings):
                host.crash(silently=False)
                host.out = True
                self.world.history.gone[host.name] = None

        self._point_to_members()
        for host in self.world.members:
            ring = host.node.cluster.ring if host.node is not None else None
            seated = ring is None or ring.before is not None or any(seat.id == host.id for seat in ring.seats)
            if host.config.replace and not seated:
                host.config = host.config._replace(replace="")
                host.crash(silently=False)
                host.boot()

    def _point_to_members(self) -> None:
        """Whom a newcomer was told to ask may all have left by now: it is started again with others to ask."""
        running = [host for host in self.world.members if host.node is not None]
        seated = tuple(host.address for host in running if host.node is not None and host.node.view().seated)
        for host in running:
            if seated and host.address not in seated and not any(address in seated for address in host.config.join):
                host.seeds(seated)
                host.crash(silently=False)
                host.boot()

    def give_back(self) -> None:
        """A machine that nobody removed after all is switched on again."""
        rings = [host.node.cluster.ring for host in self.world.hosts if host.node is not None]
        gone = {node for ring in rings if ring is not None for node in ring.gone}
        for host in self.dead:
            host.held_down = False
            host.out = host.id in gone
            if host.out:
                self.world.history.gone[host.name] = None


def _is_held(key: bytes, row: bytes, hosts: list[Host]) -> bool:
    """Whether these hold, taken together, what a row on another disk says."""
    known = EMPTY
    for host in hosts:
        held = host.storage.durable_rows().get(key)
        if held is not None:
            known = merge(known, decode_row(held))
    return descends(known.clock, decode_row(row).clock)
