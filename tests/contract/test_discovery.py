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

import pytest

from node.core.ids import NodeId
from node.core.limits import CANDIDATES_MAX, FOUND_AFTER_S
from node.engine.events import Candidate, Event
from node.runtime import discovery
from node.runtime.discovery import Announcement, Discovery, outward_address, usable_address
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
        self.facts: list[tuple[str, dict[str, object]]] = []
        self.discovery = Discovery(lambda: self.own, self.heard, lambda kind, fields: self.facts.append((kind, fields)))

    def heard(self, events: list[Event]) -> None:
        self.found += [event.address for event in events if isinstance(event, Candidate)]

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
            await until(lambda: not a.discovery._candidates, "the goodbye")
            async with Seeker(2, cluster):
                await until(lambda: len(a.found) == 2)

    asyncio.run(main())


def test_at_most_so_many_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "CANDIDATES_MAX", 1)
    assert CANDIDATES_MAX > 1

    async def main() -> None:
        cluster = next(CLUSTERS)
        async with Seeker(1, cluster) as a, Seeker(2, cluster) as b, Seeker(3, cluster) as c:
            await until(lambda: a.found and b.found and c.found)
            await until(lambda: len(cached(c)) == 3, "records of all three")
            assert len(a.found) == len(b.found) == len(c.found) == 1

    asyncio.run(main())


def cached(seeker: Seeker) -> list[object]:
    """Pointers to nodes of the seeker's test in its cache."""
    assert seeker.discovery._zeroconf is not None
    records = seeker.discovery._zeroconf.zeroconf.cache.async_all_by_details(discovery.SERVICE, 12, 1)
    return [record for record in records if int(record.alias[:32], 16) < 4]


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
