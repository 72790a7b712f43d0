"""A core of nodes that is left to itself: all others stay down, and it must go on without them (liveness mode).

After the chaos some seeds heal a random majority only. What it owns is to become equal among it, and each of its nodes
takes writes and reads, as long as the rest stays away. (TigerBeetle's simulator calls the idea by that name.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from node.sim.network import NetworkOptions

if TYPE_CHECKING:
    from node.sim.host import Host
    from node.sim.world import World

SHARE: Final = 0.15
"""Of the seeds; it makes a run longer."""

SEEN_S_MAX: Final = 30.0
SETTLED_S: Final = 3.0
EQUAL_S_MAX: Final = 120.0
LOOK_S: Final = 5.0
"""How long the nodes of a core may take to see each other; how long links of before may still break then; how long the
nodes may take to hold the same, and how often that is looked at."""


def leave_alone(world: World, ask: Callable[[list[Host]], None]) -> None:
    """Let a core go on without the rest, if this seed is one in which that happens. `ask` wants an answer of each."""
    options, rng = world.options, world.stream("core")
    least = max(options.nodes // 2 + 1, options.quorums.r, options.quorums.w)
    wanted = rng.random() < SHARE
    if not wanted or least >= options.nodes or options.formation != "ready":
        return
    core = rng.sample(world.hosts, rng.randint(least, options.nodes - 1))
    if any(host.forgetful for host in core):  # a store without proof waits for the rest, as it should
        return
    world.marks.hit("core left alone")
    world.healed = True  # no further fault strikes
    for host in world.hosts:
        if host not in core:
            host.crash(silently=rng.random() < 0.5)
            host.held_down = True
    world.network.change(NetworkOptions())
    world.deliver(world.network.heal_all(world.agenda.now))
    for host in core:
        host.mend()
    if not world.agenda.run(world.agenda.now + SEEN_S_MAX, lambda: _see_each_other(core)):
        world.history.unhealed.append(f"{SEEN_S_MAX} s after it was left alone a core does not see itself")
    world.agenda.run(world.agenda.now + SETTLED_S)
    ask(core)
    end = world.agenda.now + EQUAL_S_MAX
    while (differ := _differing(world, core)) and world.agenda.now < end:
        world.agenda.run(world.agenda.now + LOOK_S)
    if differ:
        names = ", ".join(host.name for host in core)
        world.history.unhealed.append(f"{EQUAL_S_MAX} s after {names} were left alone they differ in {differ}")
    for host in world.hosts:
        host.held_down = False


def _see_each_other(core: list[Host]) -> bool:
    return all(host.node is not None and host.node.cluster.is_up(peer.id) for host in core for peer in core)


def _differing(world: World, core: list[Host]) -> list[bytes]:
    """Keys of which the owners within the core hold different rows."""
    held = {host.id: host.storage.durable_rows() for host in core}
    node = core[0].node
    assert node is not None, "a core that is not up"
    differ = []
    for key in sorted({key for rows in held.values() for key in rows}):
        rows = [held[owner].get(key) for owner in node.cluster.owners(key) if owner in held]
        if any(row != rows[0] for row in rows):
            differ.append(key)
    return differ
