"""Switches on real transports: an order reaches the links that it is about, and a heal lets nobody wait."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from node.runtime import dialer
from node.runtime.faulty_disk import DiskSwitch
from node.runtime.switches import Switches
from node.wire.faults import parse
from node.wire.replies import ErrorReply
from tests.helpers.peers import Host, Run, exchange, hosts, until


class Broken:
    """A host and its switches, in a ring of some hosts."""

    def __init__(self, host: Host, ring: tuple[Host, ...]) -> None:
        members = {other.id: SimpleNamespace(name=name_of(other), id=other.id) for other in ring}
        self.node: Any = SimpleNamespace(
            config=SimpleNamespace(name=name_of(host)),
            cluster=SimpleNamespace(members=members),
            shared=SimpleNamespace(wall_offset_s=0.0),
        )
        self.store: Any = SimpleNamespace(switch=DiskSwitch(), submit=lambda writes: None)
        self.facts: list[dict[str, object]] = []
        self.switches = Switches(
            self.node, host.transport, host.network, self.store, asyncio.get_running_loop(),
            lambda kind, fields: self.facts.append(fields),
        )  # fmt: skip

    def give(self, line: str) -> Any:
        order = parse([b"DYN.FAULT", *line.encode().split()])
        assert not isinstance(order, ErrorReply), order
        answer = self.switches.obey(order)
        return msgspec.json.decode(answer) if isinstance(answer, bytes) else answer


def name_of(host: Host) -> str:
    return host.hello().name


def test_a_heal_dials_at_once_whoever_could_not_be_reached(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialer, "DIAL_BACKOFF_S_MIN", 60.0)
    monkeypatch.setattr(dialer, "DIAL_BACKOFF_S_MAX", 60.0)

    async def main() -> None:
        async with hosts(Host(1, faulty=True), Host(2)) as (a, b):
            a.found[b.address] = b.id
            broken = Broken(a, (a, b))
            assert broken.give("CUT n01 n02")["faults"] == [{"kind": "cut", "a": "n01", "b": "n02"}]
            a.transport.dial(b.address)
            await until(lambda: a.transport._all, "the connection stands, and hangs")
            assert broken.give("HEAL")["faults"] == []
            await exchange(a, b, 1)
            assert broken.facts == [{"order": "CUT n01 n02"}, {"order": "HEAL"}]

    run(main())


def test_an_order_breaks_the_links_of_its_two_nodes_and_no_other(run: Run) -> None:
    async def main() -> None:
        async with hosts(Host(1, faulty=True), Host(2), Host(3)) as (a, b, c):
            broken = Broken(a, (a, b, c))
            for other in (b, c):
                a.transport.dial(other.address)
                await exchange(a, other, 1)
            broken.give("CUT n02 n01")
            await exchange(a, c, 2)
            assert a.network.way(b.id).swallow_in
            for line in ("CUT n02 n03", "CUT1 n01 n04"):
                assert isinstance(broken.give(line), ErrorReply)
            assert len(broken.give("LIST")["faults"]) == 1

    run(main())


def test_a_pause_begins_after_its_answer_and_is_over_when_it_is_over(run: Run) -> None:
    async def main() -> None:
        async with hosts(Host(1, faulty=True)) as (a,):
            broken = Broken(a, (a,))
            loop = asyncio.get_running_loop()
            began = loop.time()
            assert broken.give("PAUSE 300")["faults"] == [{"kind": "pause", "ms": 300.0}]
            assert loop.time() - began < 0.3
            await until(lambda: broken.give("LIST")["faults"] == [])
            assert loop.time() - began >= 0.3

    run(main())


def test_a_skew_is_from_the_right_time_and_not_from_the_last_one(run: Run) -> None:
    async def main() -> None:
        async with hosts(Host(1, faulty=True)) as (a,):
            broken = Broken(a, (a,))
            broken.give("SKEW 0")
            right = broken.node.shared.wall_offset_s
            for _ in range(2):
                assert broken.give("SKEW 3600")["faults"] == [{"kind": "skew", "seconds": 3600.0}]
            assert broken.node.shared.wall_offset_s - right == pytest.approx(3600, abs=5)

    run(main())


def test_a_broken_disk_is_asked_for_a_write_so_that_it_is_noticed(run: Run) -> None:
    async def main() -> None:
        async with hosts(Host(1, faulty=True)) as (a,):
            broken = Broken(a, (a,))
            written: list[Any] = []
            broken.store.submit = written.extend
            for line in ("DISK full", "DISK ok"):
                broken.give(line)
            assert written == []
            assert broken.give("DISK error")["note"].startswith("the store has stopped for ever")
            assert len(written) == 1
            for line in ("DISK ok", "DISK full"):
                assert broken.give(line)["faults"] == [{"kind": "disk", "state": "error"}]

    run(main())
