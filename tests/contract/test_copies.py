"""Links whose TCP is late, over real sockets: what it is told to be late about arrives as datagrams, once.

Loopback loses nothing, so the kernel's word is put in its place: `told` says what a Copier hears of its connection.
What real packets do is the set campaign's (`tests/campaigns`).
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable

import pytest

from node.core.limits import DOWN_AFTER_S
from node.runtime import copier
from node.runtime.copier import LATE_PART, Health, inquire
from node.runtime.datagrams import Datagrams
from tests.helpers.peers import Host, Run, exchange, hosts, ping, until

ON_TIME = Health(1000, 0, 0.0, 14_000, True)


class Told:
    """What the kernel says of every connection: each look finds so many segments more sent, and sent again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent, self.repeated, self.idle = 100, 0, True
        self._sent = self._repeated = 0
        monkeypatch.setattr(copier, "inquire", self)
        monkeypatch.setattr(copier, "LATE_S", 0.5)

    def __call__(self, sock: socket.socket) -> Health:
        self._sent += self.sent
        self._repeated += self.repeated
        return Health(self._sent, self._repeated, 0.0, 14_000, self.idle)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    return Told(monkeypatch)


def copier_of(host: Host, other: Host) -> copier.Copier:
    found = host.transport._peers[other.id].links[0]._copier
    assert found is not None
    return found


def deafen(host: Host, other: Host) -> None:
    """TCP brings nothing any more from `other` to `host`: its reading stops, and little room is left in between."""
    transport = host.transport._peers[other.id].links[0]._transport
    assert transport is not None
    transport.pause_reading()
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)


def hear_again(host: Host, other: Host) -> None:
    transport = host.transport._peers[other.id].links[0]._transport
    assert transport is not None
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    transport.resume_reading()


async def be_late(a: Host, b: Host, told: Told) -> None:
    told.repeated = told.sent
    ping(a, b, 0)
    ping(b, a, 0)
    await until(lambda: copier_of(a, b).late and copier_of(b, a).late, "TCP to be late")


def test_on_time_nothing_is_sent_but_tcp(run: Run, told: Told) -> None:
    """One segment in LATE_PART sent again is none to speak of."""

    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            a.transport.dial(b.address)
            await until(lambda: a.linked(b) and b.linked(a))
            told.repeated = told.sent // LATE_PART
            for number in range(5):
                await exchange(a, b, number)
                await asyncio.sleep(2 * copier.LOOK_S)
            assert (copier_of(a, b).posted, copier_of(b, a).posted) == (0, 0)
            assert not a.fact("peer-late")

    run(main())


def test_what_tcp_does_not_bring_arrives_as_datagrams_and_once(run: Run, told: Told) -> None:
    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            a.transport.dial(b.address)
            await until(lambda: a.linked(b) and b.linked(a))
            await be_late(a, b, told)
            deafen(b, a)
            for number in range(1, 200):
                ping(a, b, number)
            await until(lambda: len(b.pings(a)) == 200, "copies")
            hear_again(b, a)
            told.repeated = 0
            ping(a, b, 200)
            await until(lambda: 200 in b.pings(a))
            await until(lambda: not copier_of(a, b).late, "TCP to be on time")
            ping(a, b, 201)
            await until(lambda: 201 in b.pings(a))
            assert sorted(b.pings(a)) == list(range(202)), "each once"
            assert a.fact("peer-late") == [{"peer": b.id, "address": b.address}]
            assert a.ups(b) == ["PeerUp"]

    run(main())


def test_a_link_that_was_dialled_by_name_sends_datagrams_to_an_address(run: Run, told: Told) -> None:
    """uvloop raises for a name, in the middle of a flush, and that ended the node."""

    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            a.transport.dial(f"localhost:{b.port}")
            await until(lambda: a.linked(b) and b.linked(a))
            await be_late(a, b, told)
            deafen(b, a)
            for number in range(1, 20):
                ping(a, b, number)
            await until(lambda: len(b.pings(a)) == 20, "copies")
            hear_again(b, a)

    run(main())


@pytest.mark.long
def test_while_copies_are_heard_a_stuck_tcp_is_not_given_up(
    run: Run, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its connection a link has no copies either: it broke after six seconds in which no packet passed."""

    monkeypatch.setattr(copier, "DOWN_AFTER_S", 1.0)

    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            a.transport.dial(b.address)
            await until(lambda: a.linked(b) and b.linked(a))
            sock = copier_of(a, b)._sock

            def given_up_after_s() -> float:
                return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) / 1000

            assert given_up_after_s() == DOWN_AFTER_S
            await be_late(a, b, told)
            await until(lambda: given_up_after_s() == copier.STUCK_S, "it to be spared")
            await until(lambda: given_up_after_s() == 1.0, "nothing to be heard for long")
            ping(a, b, 1)
            await until(lambda: given_up_after_s() == copier.STUCK_S, "it to be spared again")
            told.repeated = 0
            await until(lambda: not copier_of(a, b).late)
            await until(lambda: given_up_after_s() == 1.0, "TCP on time to be as others")

    run(main())


def test_frames_under_way_when_tcp_turns_out_to_be_late_are_copied_too(run: Run, told: Told) -> None:
    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            a.transport.dial(b.address)
            await until(lambda: a.linked(b) and b.linked(a))
            deafen(b, a)
            ping(a, b, 1)
            told.repeated = told.sent
            await until(lambda: b.pings(a) == [1], "the copy")

    run(main())


def test_what_waited_for_a_stuck_connection_goes_as_copies_when_tcp_is_late(run: Run, told: Told) -> None:
    """What the connection did not take waits as messages (`backlog`); late, it does not wait for TCP."""

    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            a.transport.dial(b.address)
            await until(lambda: a.linked(b) and b.linked(a))
            link = a.transport._peers[b.id].links[0]
            deafen(b, a)
            told.idle = False
            number = 0
            while not link._stuck:
                number += 1
                ping(a, b, *range(1000 * number, 1000 * number + 1000))
                await asyncio.sleep(0)
            ping(a, b, 1, 2, 3)
            assert link._backlog
            assert b.pings(a)[-1:] != [3]
            told.repeated = told.sent
            await until(lambda: copier_of(a, b).late, "TCP to be late")
            ping(a, b, 4)
            await until(lambda: {1, 2, 3, 4} <= set(b.pings(a)), "copies")
            hear_again(b, a)
            await until(lambda: len(b.pings(a)) == 1000 * number + 4, "everything")
            assert len(set(b.pings(a))) == len(b.pings(a))

    run(main())


def test_datagrams_may_be_lost_repeated_and_overtake(run: Run, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(4)
    way_to = Datagrams.way_to

    def bad_way(self: Datagrams, host: str, port: int) -> Callable[[bytes], None]:
        post, loop = way_to(self, host, port), asyncio.get_running_loop()
        assert post is not None

        def lose(datagram: bytes) -> None:
            for _ in range(rng.choice((0, 1, 1, 2))):
                loop.call_later(rng.random() / 50, post, datagram)

        return lose

    monkeypatch.setattr(Datagrams, "way_to", bad_way)

    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            a.transport.dial(b.address)
            await until(lambda: a.linked(b) and b.linked(a))
            await be_late(a, b, told)
            deafen(b, a)
            deafen(a, b)
            for number in range(1, 500):
                ping(a, b, *range(1000 * number, 1000 * number + rng.choice((1, 900))))
                ping(b, a, number)
                await asyncio.sleep(0.001)
            hear_again(b, a)
            await until(lambda: len(a.pings(b)) == 500, "copies")
            hear_again(a, b)
            await until(lambda: 499_000 in b.pings(a), "everything")
            assert len(set(b.pings(a))) == len(b.pings(a))
            assert sorted(a.pings(b)) == list(range(500))

    run(main())


@pytest.mark.long
def test_a_late_tcp_is_not_given_what_was_heard_as_a_copy(run: Run, told: Told) -> None:
    """It would never catch up: a stream that carries five packets a second, and megabytes to say."""

    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            a.transport.dial(b.address)
            await until(lambda: a.linked(b) and b.linked(a))
            await be_late(a, b, told)
            deafen(b, a)
            numbers = list(range(1, 100_000))
            for at in range(0, len(numbers), 1000):
                ping(a, b, *numbers[at : at + 1000])
                await until(lambda done=at + 1000: len(b.pings(a)) >= min(done, len(numbers)), "copies")
            await until(lambda: not len(copier_of(a, b)._outgoing), "all to be heard")
            assert copier_of(a, b).held_bytes < 100 * 10
            hear_again(b, a)
            told.repeated = 0
            await until(lambda: not copier_of(a, b).late, "TCP to be on time")
            await exchange(a, b, 100_000)
            assert len(b.pings(a)) == 100_001

    run(main())


def test_where_no_datagram_passes_there_is_tcp(run: Run, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Datagrams, "way_to", lambda self, host, port: lambda datagram: None)

    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            a.transport.dial(b.address)
            await until(lambda: a.linked(b) and b.linked(a))
            await be_late(a, b, told)
            for number in range(1, 300):
                ping(a, b, *range(1000 * number, 1000 * number + 900))
            assert copier_of(a, b).held_bytes == 0, "TCP is not spared for nothing"
            await until(lambda: len(b.pings(a)) == 299 * 900 + 1, "TCP")

    run(main())


def test_a_node_whose_port_is_taken_goes_on_without_datagrams(run: Run, told: Told) -> None:
    async def main() -> None:
        with socket.socket() as free, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            free.bind(("127.0.0.1", 0))  # a port that TCP has, too: others' connections may be on any
            taken.bind(free.getsockname())
            free.close()
            async with hosts(Host(1, port=taken.getsockname()[1]), Host(2)) as (a, b):
                assert a.transport._datagrams.way_to("127.0.0.1", b.port) is None
                assert [fields["port"] for fields in a.fact("no-datagrams")] == [a.port]
                a.transport.dial(b.address)
                await exchange(a, b, 1)
                told.repeated = told.sent
                await exchange(a, b, 2)
                await exchange(a, b, 3)

    run(main())


def test_there_is_no_way_from_one_family_of_addresses_to_the_other(run: Run) -> None:
    async def main() -> None:
        datagrams = Datagrams()
        assert await datagrams.listen("127.0.0.1", 0) == ""
        try:
            assert datagrams.way_to("127.0.0.1", 1) is not None
            assert datagrams.way_to("::1", 1) is None
        finally:
            datagrams.close()
        assert datagrams.way_to("127.0.0.1", 1) is None

    run(main())


def test_the_datagrams_of_strangers_change_nothing(run: Run, told: Told) -> None:
    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            a.transport.dial(b.address)
            await until(lambda: a.linked(b) and b.linked(a))
            link = b.transport._peers[a.id].links[0]
            assert link.seal is not None
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                for datagram in (b"", b"x", bytes(1400), link.seal.link + bytes(30), link.seal.link + bytes(1300)):
                    stranger.sendto(datagram, ("127.0.0.1", b.port))
            await exchange(a, b, 1)
            assert (len(b.events), a.ups(b), b.ups(a)) == (2, ["PeerUp"], ["PeerUp"])

    run(main())


def test_a_faulty_link_has_no_second_way(run: Run, told: Told) -> None:
    async def main() -> None:
        async with hosts(Host(1, faulty=True), Host(2)) as (a, b):
            a.transport.dial(b.address)
            await exchange(a, b, 1)
            assert a.transport._peers[b.id].links[0]._copier is None
            told.repeated = told.sent
            await exchange(a, b, 2)

    run(main())


@pytest.mark.skipif(copier.TCP_INFO is None, reason="only Linux tells")
def test_the_kernel_tells_how_a_connection_fares() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as ours:
        theirs, _ = server.accept()
        with theirs:
            before = inquire(ours)
            assert before is not None
            ours.sendall(bytes(100_000))
            theirs.recv(100_000, socket.MSG_WAITALL)
            after = inquire(ours)
            assert after is not None
            assert after.sent > before.sent
            assert after.repeated == before.repeated == 0
            assert 0 < after.round_trip_s < 1 < after.window_bytes
            assert after.idle
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            ours.settimeout(0.1)
            with pytest.raises(TimeoutError):
                ours.sendall(bytes(50_000_000))
            full = inquire(ours)
            assert full is not None
            assert not full.idle
            assert copier.queued(ours) > 0
