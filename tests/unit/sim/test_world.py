"""The world does to processes, disks and links what the real one does, and no kinder."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from node.core.cluster import Quorums
from node.core.row import EMPTY
from node.engine.events import PeerDown, Received
from node.sim.faults import Fault, Options, draw_options
from node.sim.history import Ending, Kind, Record
from node.sim.network import NetworkOptions
from node.sim.run import is_founded_twice
from node.sim.world import World
from node.storage.port import Merge, Owed, Unreadable
from node.wire.requests import Found, Get, Put, Request, Result, Written
from node.wire.rows import decode_row


def options(**more: object) -> Options:
    """Three nodes in a sealed ring, a perfect network, a disk that takes 10 ms."""
    calm: dict[str, object] = {
        "nodes": 3, "seated": 3, "formation": "ready", "network": NetworkOptions(), "quorums": Quorums(3, 2, 2),
        "turn_s": 0.0, "sync_s_max": 0.01, "told_s_max": 0.0, "load_s_max": 0.0, "tcp_timeout_s": 2.0, "codec": True,
    }  # fmt: skip
    return draw_options(1)._replace(**(calm | more))  # type: ignore[arg-type]  # whatever the test wants


def formed(*, expected_links: int = 2, **more: object) -> World:
    world = World(options(**more))
    world.form()
    world.agenda.run(2.0)
    assert all(host.node is not None and len(host.node.cluster.links) == expected_links for host in world.hosts)
    return world


def ask(world: World, index: int, request: Request) -> Record:
    host, now = world.hosts[index], world.agenda.now
    kind = Kind.PUT if isinstance(request, Put) else Kind.GET
    tag = f"t.{world.agenda.steps}"
    record = Record(tag, kind, host.name, b"k", b"v" if kind is Kind.PUT else None, begun=now, deadline=now + 3)

    def answered(result: Result | None) -> None:
        record.end(result, world.agenda.now)

    world.ask(host, request, answered, record)
    return record


def put(world: World, index: int = 0) -> Record:
    return ask(world, index, Put(b"k", b"v", writer=f"t.{world.agenda.steps}"))


def run(world: World, seconds: float) -> None:
    world.agenda.run(world.agenda.now + seconds)


def heard(world: World, name: str) -> list[object]:
    """Events of one node, in order."""
    return [what for _, who, what in world.trace.tail if who == name]


def test_a_write_reaches_the_disks_and_a_read_finds_it() -> None:
    world = formed()
    record = put(world)
    run(world, 1.0)
    assert isinstance(record.result, Written)
    assert world.holders(b"k", world.history.dots_of(record)) == ["n1", "n2", "n3"]
    read = ask(world, 2, Get(b"k"))
    run(world, 1.0)
    assert isinstance(read.result, Found)
    assert [version.value for version in read.result.row.live] == [b"v"]


def test_a_crash_loses_what_was_not_synced_and_hangs_up() -> None:
    world = formed(sync_s_max=1e-9)
    world.hosts[0].slow_until = 100.0
    record = put(world)
    world.agenda.run(100.0, lambda: world.hosts[0].writing)
    world.hosts[0].crash(silently=False)
    assert record.ending is Ending.UNKNOWN
    world.hosts[0].boot()
    run(world, 5.0)
    assert world.holders(b"k", list(world.history.mints.values())) == []
    assert world.history.mints == {}


def test_a_crash_keeps_what_was_synced_though_nobody_heard_of_it() -> None:
    world = formed(told_s_max=5.0)
    record = put(world)
    world.agenda.run(100.0, lambda: bool(world.history.mints))
    world.hosts[0].crash(silently=False)
    assert record.ending is Ending.UNKNOWN
    assert world.holders(b"k", list(world.history.mints.values())) == ["n1"]


def test_peers_hear_of_a_kill_at_once_and_of_a_power_cut_late() -> None:
    world = formed()
    world.hosts[0].crash(silently=False)
    run(world, 0.1)
    assert PeerDown(world.hosts[0].id) in heard(world, "n2")
    world = formed()
    world.hosts[0].crash(silently=True)
    run(world, 0.5)
    assert PeerDown(world.hosts[0].id) not in heard(world, "n2")
    run(world, 3.0)
    assert PeerDown(world.hosts[0].id) in heard(world, "n2")


def test_nothing_sent_to_a_former_life_arrives() -> None:
    world = formed()
    world.network.change(NetworkOptions(delay_s_min=0.5, delay_s_max=0.5))
    put(world, 1)
    run(world, 0.1)  # n2's Replicate is on its way to n1
    world.hosts[0].crash(silently=True)
    world.hosts[0].boot()
    before = len(heard(world, "n1"))
    run(world, 0.45)
    assert not any(isinstance(event, Received) for event in heard(world, "n1")[before:])


def test_a_cut_is_silence_and_ends() -> None:
    world = formed(tcp_timeout_s=100.0)
    for pair in (0, 1), (0, 2):
        world.strike(Fault(world.agenda.now, "cut", pair, 5.0))
    record = put(world)
    run(world, 0.1)
    assert record.ending is Ending.PENDING
    run(world, 1.4)  # both are asked whether they are there; that they say nothing is a guess
    assert record.ending is Ending.PENDING
    run(world, record.deadline - world.agenda.now + 0.1)
    assert record.ending is Ending.UNKNOWN
    run(world, 5.0)
    again = put(world)
    run(world, 1.0)
    assert again.ending is Ending.OK


def test_a_cut_link_times_out_and_is_dialled_again() -> None:
    world = formed()
    world.strike(Fault(world.agenda.now, "cut", (0, 1), 8.0))
    run(world, 7.0)
    assert PeerDown(world.hosts[1].id) in heard(world, "n1")
    run(world, 4.0)
    assert world.links.from_host(world.hosts[0], world.hosts[1]) is not None


def test_a_pause_holds_everything_and_excuses_the_delay() -> None:
    world = formed()
    world.strike(Fault(world.agenda.now, "pause", (0,), 2.0))
    record = ask(world, 0, Get(b"k"))
    run(world, 1.9)
    assert record.ending is Ending.PENDING
    assert record.paused_s == pytest.approx(2.0)
    run(world, 0.5)
    assert record.ending is Ending.OK


def test_a_process_that_stands_still_goes_on_when_everything_is_healed() -> None:
    """Seed 18077: what it had in hand waited for the end of a freeze that there was none of any more."""
    world = formed()
    world.strike(Fault(world.agenda.now, "freeze", (0,), 60.0))
    record = ask(world, 0, Get(b"k"))
    run(world, 1.0)
    assert record.ending is Ending.PENDING
    world.heal_everything()
    run(world, 0.5)
    assert record.ending is Ending.OK


def test_a_row_is_lost_only_where_others_hold_it() -> None:
    world = formed()
    put(world)
    run(world, 1.0)
    for index, lost in (0, True), (1, True), (2, False):
        world.strike(Fault(world.agenda.now, "rot", (index,), 0.0))
        assert isinstance(world.hosts[index].storage.fetch(b"k"), Unreadable) is lost


def test_a_full_disk_refuses_and_recovers() -> None:
    world = formed()
    world.strike(Fault(world.agenda.now, "full disk", (0,), 1.0))
    record = put(world)
    run(world, 3.0)
    assert record.ending in (Ending.OK, Ending.UNKNOWN)  # another owner took it
    assert all(mint.node != "n1" for mint in world.history.dots_of(record))
    again = put(world)
    run(world, 1.0)
    assert [mint.node for mint in world.history.dots_of(again)] == ["n1"]


def test_healing_ends_everything() -> None:
    world = formed()
    world.strike(Fault(world.agenda.now, "cut", (0, 1), 100.0))
    world.strike(Fault(world.agenda.now, "kill", (2,), 100.0))
    world.heal_everything()
    run(world, 5.0)
    assert world.network.connected(0, 1)
    assert all(host.up for host in world.hosts)
    world.strike(Fault(world.agenda.now, "kill", (2,), 100.0))
    assert world.hosts[2].up, "no fault strikes after that"


def test_a_node_that_never_sleeps_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    world = formed()
    monkeypatch.setattr("node.engine.node.Node.next_deadline", lambda node: 1.0)
    with pytest.raises(AssertionError, match="again and again"):
        run(world, 10.0)


@pytest.mark.parametrize(
    ("clusters", "twice"),
    [("aabb", True), ("aabbcc", True), ("aaa", False), ("aaab", False), ("aabb-", False), ("aa-", False)],
)
def test_only_clusters_of_several_members_each_may_stay_apart(clusters: str, twice: bool) -> None:
    """One that is alone must yield, and one without a seat find it: else the founding did not end as it must."""
    views = [SimpleNamespace(cluster_id=each.strip("-")) for each in clusters]
    hosts = [SimpleNamespace(node=SimpleNamespace(view=lambda view=view: view)) for view in views]
    assert is_founded_twice(SimpleNamespace(hosts=hosts)) is twice  # type: ignore[arg-type]  # all that it looks at


def test_a_copy_that_is_kept_for_an_owner_is_none_that_others_may_lose_theirs_over() -> None:
    """Seed 40364: it went with an acknowledgement that was under way, just when the last owner lost its row, too."""
    world = formed(nodes=4, seated=4, quorums=Quorums(2, 1, 2), expected_links=3)
    put(world)
    run(world, 1.0)
    node = world.hosts[0].node
    assert node is not None
    owners = [world.by_id[owner] for owner in node.cluster.owners(b"k")]
    other = next(host for host in world.hosts if host not in owners)
    row = owners[0].storage.durable_rows()[b"k"]
    assert world.known(b"k", besides=owners[0]) == decode_row(row), "the other owner has it"
    owners[1].storage.corrupt(b"k")
    assert world.known(b"k", besides=owners[0]) == EMPTY
    epoch = node.cluster.epoch
    other.storage.apply([Merge(b"k", row, epoch, decode_row(row), Owed((owners[1].id,), 0))])
    assert world.known(b"k", besides=owners[0]) == EMPTY, "a copy that may have been handed over already"
