"""Links under faults, over real sockets: silence where a link is cut, order where it is slow, and all well after."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from node.runtime import dialer, links
from node.runtime.transport import PeerTransport
from node.wire.faults import Way
from node.wire.link import Goodbye
from tests.helpers.peers import Host, Run, exchange, hosts, ping, until

CUT = Way(swallow_out=True, swallow_in=True)


@asynccontextmanager
async def pair(*, known: bool = True, linked: bool = True) -> AsyncIterator[tuple[Host, Host]]:
    """Two hosts that can be broken; a dials b, and each knows where the other listens unless `known` is False."""
    async with hosts(Host(1, faulty=True), Host(2, faulty=True)) as (a, b):
        if known:
            a.found[b.address], b.found[a.address] = b.id, a.id
        if linked:
            a.transport.dial(b.address)
            await until(lambda: a.linked(b) and b.linked(a))
        yield a, b


def cut(host: Host, other: Host, way: Way = CUT) -> None:
    host.network.change({other.id: way})


def heal(host: Host) -> None:
    host.network.change({})
    host.transport.retry_now()


async def quiet(a: Host, b: Host, *numbers: int) -> None:
    """Send pings both ways over a connection that is proven to have taken them: none arrives."""
    for number in numbers:
        ping(a, b, number)
        ping(b, a, number)
    for _ in range(20):
        await asyncio.sleep(0.005)
    assert not set(numbers) & {*a.pings(b), *b.pings(a)}


@pytest.mark.parametrize("end", [0, 1])
def test_a_cut_at_either_end_is_silence_both_ways_and_no_end(run: Run, end: int) -> None:
    async def main() -> None:
        async with pair() as both:
            a, b = both
            cut(both[end], both[1 - end])
            await quiet(a, b, 1, 2, 3)
            assert a.ups(b) == b.ups(a) == ["PeerUp"], "no socket tells of a cut"
            heal(both[end])
            await exchange(a, b, 4)
            assert a.ups(b) == b.ups(a) == ["PeerUp"], "the link that stood is used again"
            assert 1 not in {*a.pings(b), *b.pings(a)}, "what was swallowed is lost"

    run(main())


@pytest.mark.parametrize("teller", ["sender", "receiver"])
def test_one_way(run: Run, teller: str) -> None:
    async def main() -> None:
        async with pair() as (a, b):
            if teller == "sender":
                cut(a, b, Way(swallow_out=True))
            else:
                cut(b, a, Way(swallow_in=True))
            ping(b, a, 1)
            ping(a, b, 2)
            await until(lambda: 1 in a.pings(b), "the way back is whole")
            ping(b, a, 3)
            await until(lambda: 3 in a.pings(b))
            assert b.pings(a) == []

    run(main())


@pytest.mark.parametrize("known", [True, False], ids=["by address", "by what the opening says"])
@pytest.mark.parametrize("end", [0, 1])
def test_a_dial_through_a_cut_hangs_and_is_repeated_at_once_when_it_is_healed(
    run: Run, known: bool, end: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialer, "DIAL_BACKOFF_S_MIN", 60.0)  # only a dial that is urged is in time
    monkeypatch.setattr(dialer, "DIAL_BACKOFF_S_MAX", 60.0)

    async def main() -> None:
        async with pair(known=known, linked=False) as both:
            a, b = both
            cut(both[end], both[1 - end])
            a.transport.dial(b.address)
            await until(lambda: a.transport._all and b.transport._all, "the connection stands")
            for _ in range(40):
                await asyncio.sleep(0.005)
            assert not a.linked(b) and not b.linked(a) and not a.fact("dial-failed"), "it hangs"
            heal(both[end])
            both[1 - end].transport.retry_now() if end == 1 else None  # a's own switches were told, too
            await exchange(a, b, 1)

    run(main())


def test_an_end_is_not_heard_through_a_cut(run: Run) -> None:
    async def main() -> None:
        async with pair() as (a, b):
            a.transport.dial(b.address, keep=False)
            cut(a, b)
            await b.transport.close()
            await quiet(a, b, 1)
            assert a.ups(b) == ["PeerUp"], "a dead node behind a cut looks like a live one"
            heal(a)
            await until(lambda: a.ups(b) == ["PeerUp", "PeerDown"])

    run(main())


def test_our_own_end_is_ours_cut_or_not(run: Run) -> None:
    async def main() -> None:
        async with pair() as (a, b):
            a.transport.dial(b.address, keep=False)
            cut(a, b)
            a.transport.drop(b.id)
            await until(lambda: a.ups(b) == ["PeerUp", "PeerDown"] and not a.transport._all)

    run(main())


def test_closing_ends_a_link_whose_end_was_hidden(run: Run) -> None:
    async def main() -> None:
        async with pair() as (a, b):
            cut(a, b)
            await b.transport.close()
            await quiet(a, b, 1)
            await a.transport.close()
            assert not a.transport._all and not a.network.links

    run(main())


def test_a_link_that_lost_a_word_about_itself_is_made_anew(run: Run) -> None:
    """TCP does not lose the middle of a stream; a Goodbye or Moved that is gone would be missed for ever."""

    async def main() -> None:
        async with pair() as (a, b):
            cut(a, b)
            a.move("x")
            await quiet(a, b, 1)
            assert b.transport._peers[a.id].hello.cluster_id == ""
            heal(a)
            await until(lambda: b.ups(a) == ["PeerUp", "PeerDown", "PeerUp"])
            assert b.transport._peers[a.id].hello.cluster_id == "x"
            await exchange(a, b, 2)

    run(main())


def test_delay_keeps_the_order_whatever_becomes_of_it(run: Run) -> None:
    async def main() -> None:
        async with pair() as (a, b):
            loop = asyncio.get_running_loop()
            cut(a, b, Way(delay_s=0.15))
            began = loop.time()
            ping(a, b, 1)
            ping(a, b, 2, 3)
            assert a.transport.queued_bytes()[b.id] > 0, "what is under way counts against the queue"
            cut(a, b, Way(delay_s=0.05))
            ping(a, b, 4)
            await until(lambda: len(b.pings(a)) == 4)
            assert loop.time() - began >= 0.15
            ping(b, a, 9)
            await until(lambda: a.pings(b) == [9], "the other way is the other end's")
            cut(a, b, Way(delay_s=60))
            ping(a, b, 5)
            ping(a, b, 6)
            heal(a)
            ping(a, b, 7)
            await until(lambda: len(b.pings(a)) == 7)
            assert b.pings(a) == [1, 2, 3, 4, 5, 6, 7]
            assert a.transport.queued_bytes()[b.id] == 0

    run(main())


def test_jitter_scatters_and_keeps_the_order(run: Run) -> None:
    async def main() -> None:
        async with pair() as (a, b):
            loop = asyncio.get_running_loop()
            cut(a, b, Way(jitter_s=0.2))
            came: dict[int, float] = {}
            for number in range(8):
                began = loop.time()
                ping(a, b, number)
                await until(lambda number=number: number in b.pings(a))
                came[number] = loop.time() - began
            assert max(came.values()) - min(came.values()) > 0.02, "each has its own lot"
            for number in range(100, 200):
                ping(a, b, number)
            await until(lambda: 199 in b.pings(a))
            assert b.pings(a) == [*range(8), *range(100, 200)]
            cut(a, b, Way(jitter_s=60))
            ping(a, b, 500)
            heal(a)
            await until(lambda: 500 in b.pings(a), "nothing is held back on a link that is whole again")

    run(main())


def test_a_cut_swallows_what_is_under_way(run: Run) -> None:
    async def main() -> None:
        async with pair() as (a, b):
            cut(a, b, Way(delay_s=0.05))
            ping(a, b, 1)
            cut(a, b)
            await quiet(a, b, 2)
            heal(a)
            await exchange(a, b, 3)
            assert b.pings(a) == [3]

    run(main())


def test_a_close_waits_for_what_is_delayed_and_an_abort_does_not(run: Run) -> None:
    async def main() -> None:
        async with pair() as (a, b):
            a.transport.dial(b.address, keep=False)
            cut(a, b, Way(delay_s=0.05))
            ping(a, b, 1)
            link = a.transport._peers[b.id].links[0]
            link.close()
            await until(lambda: b.pings(a) == [1])
            await until(lambda: b.ups(a) == ["PeerUp", "PeerDown"])
        async with pair() as (a, b):
            a.transport.dial(b.address, keep=False)
            cut(a, b, Way(delay_s=0.05))
            ping(a, b, 1)
            a.transport.drop(b.id)
            await until(lambda: b.ups(a) == ["PeerUp", "PeerDown"])
            assert b.pings(a) == []

    run(main())


def test_loss_takes_messages_by_lot_and_nothing_else(run: Run) -> None:
    async def main() -> None:
        async with pair(linked=False) as (a, b):
            cut(a, b, Way(loss=1.0))
            a.transport.dial(b.address)
            await until(lambda: a.linked(b) and b.linked(a), "an opening is no message")
            ping(a, b, 1)
            a.transport._peers[b.id].links[0].say(Goodbye())
            await until(lambda: not b.linked(a) or b.ups(a)[1:] != [], "a word about the link is none")
            assert b.pings(a) == []
            await until(lambda: a.linked(b) and b.linked(a))
            cut(a, b, Way(loss=0.3))
            for number in range(1000):
                ping(a, b, number)
            heal(a)
            await exchange(a, b, 5000)
            arrived = b.pings(a)
            assert 600 < len(arrived) < 800
            assert arrived == sorted(arrived)

    run(main())


def test_a_node_without_the_flag_has_plain_links(run: Run) -> None:
    """Nothing on its way asks whether there are faults."""

    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            a.transport.dial(b.address)
            await until(lambda: a.linked(b) and b.linked(a))
            for host in (a, b):
                assert {type(link) for link in host.transport._all} == {links.Link}
        assert PeerTransport.__init__.__kwdefaults__["link"] is links.Link

    run(main())
