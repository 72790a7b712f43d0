"""Tombstones go, and nothing comes back: the cases in which others resurrect, each played by real engines.

Five nodes, three owners. Times are long enough for several looks of every node (REAP_INTERVAL_S).
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from node.core.cluster import Quorums
from node.core.limits import REAP_INTERVAL_S, REAP_TURNS
from node.core.rounds import Rounds
from node.engine.rounds import adopt_for
from node.sim.faults import draw_options
from node.sim.history import Kind, Record
from node.sim.host import Host
from node.sim.network import NetworkOptions
from node.sim.world import World
from node.storage.port import Merge, SaveState
from node.wire.messages import Buried, Bury, Confirm, Confirmed, Replicate
from node.wire.requests import Found, Get, Put, Request, Result, Written
from node.wire.rows import decode_row, encode_row
from tests.helpers.engine import row_of

KEY = b"k"
A_PASS_S = 3 * REAP_INTERVAL_S + 1
"""A look, the round, the look at what came of it."""

ALL_TURNS_S = (REAP_TURNS + 3) * REAP_INTERVAL_S


class Story:
    """A cluster without faults but those of the story. `owners` and `others` in the order of the preference list."""

    def __init__(self, nodes: int = 5) -> None:
        calm = draw_options(1)._replace(
            nodes=nodes, formation="ready", network=NetworkOptions(hold=True), quorums=Quorums(3, 2, 2), turn_s=0.0,
            sync_s_max=0.01, told_s_max=0.0, load_s_max=0.0, tcp_timeout_s=1000.0, codec=True,
        )  # fmt: skip
        self.world = world = World(calm)
        world.form()
        world.agenda.run(2.0)
        node = world.hosts[0].node
        assert node is not None
        hosts = [world.by_id[peer] for peer in node.cluster.preference_list(KEY)]
        self.owners, self.others = hosts[:3], hosts[3:]
        self._asked = 0

    def wait(self, seconds: float) -> None:
        self.world.agenda.run(self.world.agenda.now + seconds)

    def until(self, done: Callable[[], bool], seconds: float = 60.0) -> None:
        assert self.world.agenda.run(self.world.agenda.now + seconds, done), "waited in vain"

    def ask(self, host: Host, request: Request, wait_s: float = 4.0) -> Result | None:
        """What a client of `host` is told."""
        self._asked += 1
        now, kind = self.world.agenda.now, Kind.GET if isinstance(request, Get) else Kind.SET
        record = Record(f"t.{self._asked}", kind, host.name, KEY, None, begun=now, deadline=now + 3)
        self.world.ask(host, request, lambda result: record.end(result, self.world.agenda.now), record)
        self.wait(wait_s)
        return record.result

    def set(self, host: Host, value: bytes | None, wait_s: float = 4.0) -> None:
        result = self.ask(host, Put(KEY, value, cover=True), wait_s)
        assert isinstance(result, Written), result

    def values(self, host: Host) -> list[bytes | None]:
        found = self.ask(host, Get(KEY), 1.0)
        assert isinstance(found, Found), found
        return [version.value for version in found.row.live]

    def held(self) -> dict[str, list[bytes | None]]:
        """What the disks hold, by node."""
        rows = {host.name: host.storage.durable_rows().get(KEY) for host in self.world.hosts}
        return {name: [v.value for v in decode_row(row).versions] for name, row in rows.items() if row is not None}

    def cut(self, source: Host, target: Host) -> None:
        self.world.network.cut(source.index, target.index)

    def heal(self, source: Host, target: Host) -> None:
        self.world.deliver(self.world.network.heal(source.index, target.index, self.world.agenda.now))

    def all_gone(self) -> bool:
        return not self.held()


@pytest.fixture
def story() -> Story:
    return Story()


def test_a_deleted_key_leaves_nothing(story: Story) -> None:
    story.set(story.owners[0], b"v")
    story.set(story.owners[1], None, wait_s=0.1)
    assert story.held() == {host.name: [None] for host in story.owners}
    story.wait(A_PASS_S)
    assert story.held() == {}
    assert story.world.marks.counts["reaped"] == 3
    assert story.values(story.others[0]) == []
    assert "no resurrection" not in story.world.history.evidence


def test_an_old_replicate_that_arrives_after_the_reap(story: Story) -> None:
    """It lay in a socket of an owner while all others went on, and the owner with them."""
    first, second, third = story.owners
    story.cut(second, third)
    story.set(second, b"old", wait_s=0.3)
    story.set(first, None, wait_s=0.3)
    story.until(story.all_gone)
    story.heal(second, third)
    story.wait(A_PASS_S)
    assert story.world.marks.counts["older round refused"] > 0
    assert story.held() == {}
    assert story.values(third) == []


def test_an_old_replicate_that_arrives_beside_a_new_row(story: Story) -> None:
    """What was written after the reap does not know what was deleted before it, and still nothing comes back."""
    first, second, third = story.owners
    story.cut(second, third)
    story.set(second, b"old", wait_s=0.3)
    story.set(first, None, wait_s=0.3)
    story.until(story.all_gone)
    assert isinstance(story.ask(first, Put(KEY, b"new"), 0.3), Written)
    assert story.held()[third.name] == [b"new"]
    story.heal(second, third)
    story.wait(A_PASS_S)
    assert story.held() == {host.name: [b"new"] for host in story.owners}


def test_a_paused_owner_holds_up_the_reap(story: Story) -> None:
    """The old row lies in its socket; it is applied before anything else is asked of it."""
    first, second, third = story.owners
    third.paused_until = story.world.agenda.now + 40.0
    story.set(first, b"old", wait_s=0.3)
    story.set(second, None)
    story.wait(20.0)
    assert [None] in story.held().values()
    assert story.world.marks.counts["reaped"] == 0
    story.wait(40.0)
    story.until(story.all_gone)
    assert story.values(third) == []


def test_a_stand_in_away_with_a_hint_and_an_old_row(story: Story) -> None:
    first, second, third = story.owners
    stand_in = story.others[0]
    third.crash(silently=False)
    story.set(first, b"old", wait_s=1.0)
    assert story.held()[stand_in.name] == [b"old"]
    stand_in.crash(silently=False)
    third.boot()
    story.wait(3.0)
    story.set(second, None)
    story.wait(30.0)
    held = story.held()
    assert held.pop(stand_in.name) == [b"old"]
    assert held == {host.name: [None] for host in story.owners}, "nothing is reaped while a member is away"
    stand_in.boot()
    story.until(story.all_gone)
    story.wait(5.0)
    assert story.held() == {}
    assert story.values(stand_in) == []


def test_a_former_owner_that_returns_with_the_row(story: Story) -> None:
    """It owns nothing of the key, and nobody keeps a hint; only reaping asks it, and gives it the tombstone."""
    former = story.others[1]
    story.set(story.owners[0], b"old")
    row = story.owners[0].storage.durable_rows()[KEY]
    epoch = former.node.cluster.epoch if former.node is not None else 0
    former.storage.apply([Merge(KEY, row, epoch)])
    former.crash(silently=True)
    story.wait(3.0)
    story.set(story.owners[1], None)
    story.wait(20.0)
    assert story.held()[former.name] == [b"old"]
    former.boot()
    story.until(story.all_gone)
    assert story.values(former) == []


@pytest.mark.parametrize("until", [Confirm, Confirmed, Buried])
def test_a_crash_between_any_two_steps(until: type, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver dies when this message goes out for the first time: what was half done is done again."""
    story, seen = Story(), list[object]()
    send = World.send

    def watch(world: World, host: Host, peer: object, messages: object) -> None:
        assert isinstance(messages, list)
        seen.extend(message for message in messages if isinstance(message, until))
        send(world, host, peer, messages)  # type: ignore[arg-type]  # as it came

    monkeypatch.setattr(World, "send", watch)
    driver = story.owners[0]
    story.set(driver, b"old")
    story.set(driver, None, wait_s=0.1)
    story.until(lambda: bool(seen))
    driver.crash(silently=False)
    story.wait(5.0)
    assert [None] in story.held().values()
    driver.boot()
    story.until(story.all_gone)
    assert story.world.history.evidence == {}


def test_a_disk_replaced_between_confirmation_and_reap(monkeypatch: pytest.MonkeyPatch) -> None:
    """An old row that came to it since, before the last one confirmed, does not outlive the tombstone."""
    story, told = Story(), list[object]()
    first, _, third = story.owners
    story.set(first, b"old")
    row = first.storage.durable_rows()[KEY]
    story.set(first, None, wait_s=0.1)
    send = World.send

    def replace(world: World, host: Host, peer: object, messages: object) -> None:
        assert isinstance(messages, list)
        if not told and any(isinstance(message, Bury) for message in messages):
            told.append(host)
            node = third.node
            assert node is not None
            state = third.storage.load_state()
            third.storage.wipe()
            third.storage.apply([SaveState(name, state[name], node.cluster.epoch) for name in ("ring", "members")])
            third.storage.apply([Merge(KEY, row, node.cluster.epoch)])
            node.shared.rounds = Rounds()
        send(world, host, peer, messages)  # type: ignore[arg-type]  # as it came

    monkeypatch.setattr(World, "send", replace)
    story.until(lambda: bool(told))
    story.until(story.all_gone)
    assert story.values(third) == []


def test_a_row_written_again_between_confirmation_and_reap(monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story()
    first, second, _ = story.owners
    story.set(first, b"old")
    story.set(first, None, wait_s=0.1)
    confirmed: list[Host] = []
    send = World.send

    def write_again(world: World, host: Host, peer: object, messages: object) -> None:
        assert isinstance(messages, list)
        if not confirmed and host is second and any(isinstance(message, Confirmed) for message in messages):
            confirmed.append(host)
            story.world.ask(second, Put(KEY, b"again", cover=True), lambda _: None, record)
        send(world, host, peer, messages)  # type: ignore[arg-type]  # as it came

    record = Record("t.again", Kind.SET, second.name, KEY, b"again", begun=0.0, deadline=99.0)
    monkeypatch.setattr(World, "send", write_again)
    story.until(lambda: bool(confirmed))
    story.wait(2 * A_PASS_S)
    assert story.held() == {host.name: [b"again"] for host in story.owners}


def test_a_late_copy_of_a_tombstone_is_reaped_by_whoever_holds_it(story: Story) -> None:
    """The first owner, who drives as a rule, knows nothing of it."""
    third = story.owners[2]
    story.set(story.owners[0], b"v")
    story.set(story.owners[0], None, wait_s=0.1)
    row = third.storage.durable_rows()[KEY]
    story.until(story.all_gone)
    node = third.node
    assert node is not None
    third.storage.apply([Merge(KEY, row, node.cluster.epoch, round=node.shared.rounds.of(KEY))])
    assert story.held() == {third.name: [None]}
    story.wait(ALL_TURNS_S)
    assert story.held() == {}


def test_who_is_behind_in_rounds_catches_up_and_loses_nothing(story: Story) -> None:
    """Its writes are refused as too old, read again, and sent again: the client does not notice."""
    first, second, third = story.owners
    for host in first, third:
        adopt(host, 5)
    story.set(second, b"v")
    assert story.world.marks.counts["older round refused"] == 2
    assert second.node is not None
    assert second.node.shared.rounds.of(KEY) == 5
    assert story.held() == {host.name: [b"v"] for host in story.owners}


def test_a_strict_read_goes_on_when_one_owner_is_behind(story: Story) -> None:
    """What it merged is older than the rounds of the others: it reads again, and the one behind catches up."""
    first, second, third = story.owners
    story.set(first, b"v")
    node = second.node
    assert node is not None
    row = row_of(b"w", epoch=99)
    second.storage.apply([Merge(KEY, encode_row(row), node.cluster.epoch)])
    for host in first, third:
        assert host.node is not None
        adopt(host, 5)
    found = story.ask(second, Get(KEY, r=3, strict=True), 3.0)
    assert isinstance(found, Found), found
    assert sorted(version.value or b"" for version in found.row.versions) == [b"v", b"w"]
    assert {name: sorted(v or b"" for v in values) for name, values in story.held().items()} == {
        host.name: [b"v", b"w"] for host in story.owners
    }


@pytest.mark.parametrize("behind", [0, 1])
def test_owners_in_different_rounds_are_made_equal(story: Story, behind: int) -> None:
    """By comparing their trees: the first repair may be refused as too old, and brings the one behind along."""
    first, second, third = story.owners
    story.set(first, b"v")
    node = second.node
    assert node is not None
    second.storage.apply([Merge(KEY, encode_row(row_of(b"w", epoch=99)), node.cluster.epoch)])
    for host in [first, third] if behind else [second, third]:
        adopt(host, 5)
    for _ in range(3):
        for host in story.owners:
            story.world.ask_for_repair(host)
            story.wait(3.0)
    held = {name: sorted(value or b"" for value in values) for name, values in story.held().items()}
    assert held == {host.name: [b"v", b"w"] for host in story.owners}


def adopt(host: Host, number: int) -> None:
    """Bring a node and its disk to a later round of the key's partition."""
    node = host.node
    assert node is not None
    write = adopt_for(node.shared, KEY, number)
    host.storage.apply([write])
    node.shared.rounds = node.shared.rounds.adopted(write.partition, write.partitions, number)


def test_replicates_carry_the_round_of_their_row(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: list[int] = []
    send = World.send

    def watch(world: World, host: Host, peer: object, messages: object) -> None:
        assert isinstance(messages, list)
        rounds.extend(message.round for message in messages if isinstance(message, Replicate))
        send(world, host, peer, messages)  # type: ignore[arg-type]  # as it came

    first = story.owners[0]
    adopt(first, 4)
    monkeypatch.setattr(World, "send", watch)
    story.set(first, b"v")
    assert rounds == [4, 4]
