"""Discovery over real multicast on loopback; a machine without it skips, and says so."""

from __future__ import annotations

import asyncio
import gc
import select
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from itertools import count
from os import getpid
from typing import Any

import pytest
from zeroconf.asyncio import AsyncServiceInfo

from node.core.ids import NodeId
from node.core.limits import CANDIDATES_MAX, FOUND_AFTER_S
from node.core.limits_discovery import RESOLVES_MAX
from node.engine.events import Candidate, Event, Withdrawn
from node.runtime import candidates, discovery
from node.runtime.discovery import Announcement, Discovery, outward_address, usable_address
from tests.helpers.forger import Forger, packet, pointer
from tests.helpers.peers import LOOPS, until

CLUSTERS = (f"test-{getpid()}-{number}" for number in count())


def multicast_on_loopback() -> bool:
    """Whether a datagram to the group comes back over lo."""
    group = socket.inet_aton("224.0.0.251") + socket.inet_aton("127.0.0.1")
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth,
    ):
        try:
            ear.bind(("", 0))
            ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
            mouth.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
            mouth.sendto(b"?", ("224.0.0.251", ear.getsockname()[1]))
        except OSError:
            return False
        return bool(select.select([ear], [], [], 1.0)[0])


pytestmark = pytest.mark.skipif(not multicast_on_loopback(), reason="no multicast on the loopback interface")


class Seeker:
    """A discovery and what it found."""

    def __init__(self, number: int, cluster: str, host: str = "127.0.0.1") -> None:
        self.own = Announcement(cluster, "", NodeId(f"{number:032x}"), host, 20000 + number)
        self.found: list[str] = []
        self.withdrawn: list[str] = []
        self.facts: list[tuple[str, dict[str, object]]] = []
        self.discovery = Discovery(lambda: self.own, self.heard, lambda kind, fields: self.facts.append((kind, fields)))

    def heard(self, events: list[Event]) -> None:
        self.found += [event.address for event in events if isinstance(event, Candidate)]
        self.withdrawn += [event.address for event in events if isinstance(event, Withdrawn)]

    @property
    def address(self) -> str:
        return f"{self.own.host}:{self.own.peer_port}"

    async def __aenter__(self) -> Seeker:
        self.discovery.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.discovery.close()


@pytest.mark.parametrize("loop", LOOPS)
def test_three_started_together_find_each_other_in_time_to_found_one_cluster(loop: str) -> None:
    async def main() -> None:
        cluster = next(CLUSTERS)
        async with AsyncExitStack() as stack:
            three = [await stack.enter_async_context(Seeker(number, cluster)) for number in (1, 2, 3)]
            stranger = await stack.enter_async_context(Seeker(4, next(CLUSTERS)))
            await until(lambda: all(len(seeker.found) == 2 for seeker in three), "all pairs", FOUND_AFTER_S)
            assert sorted(three[0].found) == ["127.0.0.1:20002", "127.0.0.1:20003"]
            assert stranger.found == [] and not any(seeker.facts for seeker in three)

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(main())


def test_a_seat_changes_the_announcement_and_offers_nobody_twice() -> None:
    async def main() -> None:
        cluster = next(CLUSTERS)
        async with Seeker(1, cluster) as a, Seeker(2, cluster) as b:
            await until(lambda: a.found and b.found)
            a.own = a.own._replace(cluster_id="x")
            a.discovery.refresh()
            assert b.discovery._zeroconf is not None
            cache = b.discovery._zeroconf.zeroconf.cache
            name = f"{a.own.node_id}.{discovery.SERVICE}"
            await until(lambda: any(b"id=2d711642b726b044" in r.text for r in cache.async_all_by_details(name, 16, 1)))
            assert b.found == ["127.0.0.1:20001"]

    asyncio.run(main())


def test_who_went_and_came_back_is_offered_again() -> None:
    async def main() -> None:
        cluster = next(CLUSTERS)
        async with Seeker(1, cluster) as a:
            async with Seeker(2, cluster):
                await until(lambda: a.found)
            await until(lambda: not a.discovery._candidates.dialled, "the goodbye")
            async with Seeker(2, cluster):
                await until(lambda: len(a.found) == 2)

    asyncio.run(main())


def test_at_most_so_many_candidates_at_a_bounded_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many are announced; and those that answer, or may yet answer, keep their places."""
    monkeypatch.setattr(discovery, "CANDIDATES_PER_S", 200)

    async def main() -> None:
        cluster = next(CLUSTERS)
        loop = asyncio.get_running_loop()
        async with Seeker(1, cluster) as a:
            await until(a.discovery._heard.is_set)
            begun = loop.time()
            with Forger("127.0.0.1") as forger:
                forger.flood(range(1000, 1300), cluster, lambda number: ("127.0.0.1", number))
            await until(lambda: len(a.found) == CANDIDATES_MAX, "as many as there may be")
            assert loop.time() - begun > 0.9 * CANDIDATES_MAX / 200
            await until(lambda: a.discovery._candidates.waiting >= 300 - CANDIDATES_MAX, "the others to wait")
            assert len(a.found) == CANDIDATES_MAX and not a.withdrawn

    asyncio.run(main())


def test_a_node_that_is_there_is_tried_among_hundreds_that_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """It announced itself before all others; a later one is tried at once."""
    monkeypatch.setattr(discovery, "CANDIDATES_PER_S", 200)

    async def main() -> None:
        cluster = next(CLUSTERS)
        with Forger("127.0.0.1") as forger:
            async with Seeker(1, cluster) as a, Seeker(2, cluster) as there:
                await until(there.discovery._heard.is_set)
                forger.flood(range(1000, 1300), cluster, lambda number: ("127.0.0.1", number))
                async with Seeker(3, cluster) as late:
                    for waits in a, late:
                        tried = 0
                        while there.address not in waits.found:
                            await until(lambda: len(waits.found) > tried, "one more")  # noqa: B023  # called at once
                            waits.discovery.failed(waits.found[tried])
                            tried += 1
                    await until(lambda: a.address in late.found and late.address in a.found)
                    assert len(a.discovery._candidates.dialled) <= CANDIDATES_MAX

    asyncio.run(main())


def test_all_that_are_announced_are_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who did not answer may do so later, without announcing itself again."""
    monkeypatch.setattr(discovery, "CANDIDATES_AGAIN_S", 0.1)
    monkeypatch.setattr(candidates, "CANDIDATES_MAX", 1)

    async def main() -> None:
        cluster = next(CLUSTERS)
        async with Seeker(1, cluster) as a, Seeker(2, cluster), Seeker(3, cluster):
            while len(a.found) < 6:
                found = len(a.found)
                await until(lambda: len(a.found) > found)  # noqa: B023  # called at once
                a.discovery.failed(a.found[-1])
            assert set(a.found) == {"127.0.0.1:20002", "127.0.0.1:20003"}

    asyncio.run(main())


GARBAGE: list[dict[str, str | bytes]] = [
    {},
    {"cluster": b"\xff\xfe", "node": b"\x00"},
    {"cluster": "=", "": "x", "node": "x" * 200},
    {"node": "no cluster"},
]


def test_garbage_is_not_offered_and_stops_nothing() -> None:
    """Neither what is no packet, nor a name without particulars, nor particulars of nonsense, nor our own address."""

    async def main() -> None:
        cluster = next(CLUSTERS)
        async with Seeker(1, cluster) as a:
            await until(a.discovery._heard.is_set)
            with Forger("127.0.0.1") as forger:
                for size in range(0, 200, 7):
                    forger.send(bytes(size))
                    forger.send(packet(pointer(f"{size:032x}.{discovery.SERVICE}"))[: size + 20])
                forger.send(packet(pointer("no-service.local.")))
                forger.send(packet(pointer(f"{'y' * 63}.{discovery.SERVICE}")))
                for number, words in enumerate(GARBAGE):
                    forger.announce(f"garbage{number}", "127.0.0.1", 1, words)
                forger.claim(5, "0.0.0.0", 5, cluster)
                forger.claim(6, "127.0.0.1", 0, cluster)
                forger.claim(7, "192.0.2.1", 7, cluster)
                forger.claim(8, "127.0.0.1", a.own.peer_port, cluster)
                forger.claim(9, "127.0.0.1", 9, cluster, node=a.own.node_id)
                forger.claim(10, "127.0.0.1", 10, cluster + "x")
            async with Seeker(2, cluster) as b:
                await until(lambda: a.found and b.found)
                assert a.found == [b.address] and b.found == [a.address]
                assert not a.facts and not b.facts

    asyncio.run(main())


def test_few_names_at_a_time_are_asked_for_what_they_did_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who announces names alone has us ask for the rest: not for all of them at once."""
    most = 0

    async def main() -> None:
        async with Seeker(1, next(CLUSTERS)) as a:
            resolve = a.discovery._resolve

            async def counted(info: AsyncServiceInfo) -> None:
                nonlocal most
                most = max(most, a.discovery._resolving)
                await resolve(info)

            monkeypatch.setattr(a.discovery, "_resolve", counted)
            await until(a.discovery._heard.is_set)
            with Forger("127.0.0.1") as forger:
                forger.send(packet(*(pointer(f"{number:032x}.{discovery.SERVICE}") for number in range(4000, 4050))))
            await until(lambda: most and not a.discovery._resolving and not a.discovery._candidates.waiting)

    asyncio.run(main())
    assert most == RESOLVES_MAX


def test_a_name_that_zeroconf_stumbles_over_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes what we made up so far; who knows what else there is."""
    load = AsyncServiceInfo.load_from_cache
    met = []

    def stumbling(info: AsyncServiceInfo, *words: Any) -> bool:
        if info.name.startswith("bad"):
            met.append(info.name)
            raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
        return load(info, *words)

    monkeypatch.setattr(AsyncServiceInfo, "load_from_cache", stumbling)

    async def main() -> None:
        cluster = next(CLUSTERS)
        async with Seeker(1, cluster) as a:
            await until(a.discovery._heard.is_set)
            with Forger("127.0.0.1") as forger:
                forger.announce("bad", "127.0.0.1", 1, {"cluster": cluster, "node": "x"})
            await until(lambda: met)
            async with Seeker(2, cluster) as b:
                await until(lambda: a.found == [b.address])
                assert not a.facts

    asyncio.run(main())


def test_who_does_not_hear_itself_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the network drops multicast: no call fails there."""
    monkeypatch.setattr(discovery, "HEARD_S", 0.05)
    monkeypatch.setattr(Discovery, "_changed", lambda *args, **named: None)

    async def main() -> None:
        async with Seeker(1, next(CLUSTERS)) as a:
            await until(lambda: a.facts)
            assert a.facts == [("discovery-failed", {"why": "multicast from 127.0.0.1 does not come back to it"})]

    asyncio.run(main())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # zeroconf forgets its socket here
@pytest.mark.parametrize("host", ["203.0.113.7", "no-such-host.invalid", "::1%none"])
def test_a_host_that_cannot_multicast_is_one_fact(host: str) -> None:
    async def main() -> None:
        async with Seeker(1, next(CLUSTERS), host) as a:
            await until(lambda: a.facts)
        assert [kind for kind, _ in a.facts] == ["discovery-failed"]

    asyncio.run(main())
    gc.collect()


def test_closing_at_once_is_quick_and_silent() -> None:
    async def main() -> None:
        begun = asyncio.get_running_loop().time()
        async with Seeker(1, next(CLUSTERS)) as a:
            pass
        assert asyncio.get_running_loop().time() - begun < 2 and not a.facts

    asyncio.run(main())


@pytest.mark.parametrize(
    ("addresses", "port", "loopback", "expected"),
    [
        (["127.0.0.1"], 7, True, "127.0.0.1:7"),
        (["10.0.0.1"], 7, True, None),
        (["127.0.0.1"], 7, False, None),
        (["fe80::1", "10.0.0.1"], 7, False, "10.0.0.1:7"),
        (["2001:db8::1"], 7, False, "[2001:db8::1]:7"),
        (["0.0.0.0"], 7, False, None),
        (["10.0.0.1"], 0, False, None),
        (["10.0.0.1"], 65536, False, None),
        ([], 7, False, None),
    ],
)
def test_which_announced_address_is_tried(
    addresses: list[str], port: int, loopback: bool, expected: str | None
) -> None:
    assert usable_address(addresses, port, loopback=loopback) == expected


def test_the_outward_address_is_an_address() -> None:
    check: Callable[[str], bytes] = socket.inet_aton
    assert len(check(outward_address())) == 4
