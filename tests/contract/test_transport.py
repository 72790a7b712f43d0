"""Peer transports over real sockets on loopback, under both event loops."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from typing import Any

import pytest

from node.core.limits import FRAME_BATCH_BYTES
from node.engine.events import PeerUp
from node.runtime import links, transport
from node.wire.framing import frame
from node.wire.messages import Ping, Replicate
from tests.helpers.peers import LOOPS, Host, hosts, until

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Run:
    def runner(main: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as loop:
            loop.run(main)

    return runner


def ping(host: Host, other: Host, *numbers: int) -> None:
    host.transport.send(other.id, [Ping(number) for number in numbers])


def one_link(host: Host, other: Host) -> bool:
    peer = host.transport._peers.get(other.id)
    return peer is not None and len(peer.links) == 1 and len(host.transport._all) == 1


async def exchange(a: Host, b: Host, number: int) -> None:
    """A message each way arrives."""
    ping(a, b, number)
    ping(b, a, number)
    await until(lambda: number in a.pings(b) and number in b.pings(a), f"ping {number}")


def test_two_find_each_other_and_talk(run: Run) -> None:
    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            a.transport.dial(b.address)
            await until(lambda: a.linked(b) and b.linked(a))
            assert a.events == [PeerUp(b.id, "n02", "", b.address)]
            assert b.events == [PeerUp(a.id, "n01", "", a.address)]
            ping(a, b, *range(1000))
            await until(lambda: len(b.pings(a)) == 1000)
            assert b.pings(a) == list(range(1000))
            assert b.batches[1:] == [1000], "a frame of many messages is one call"

    run(main())


def test_three_dial_everybody_and_settle_on_one_link_each(run: Run) -> None:
    async def main() -> None:
        async with hosts(Host(1), Host(2), Host(3)) as three:
            for a, b in itertools.permutations(three, 2):
                a.transport.dial(b.address)
            pairs = list(itertools.permutations(three, 2))
            await until(lambda: all(len(host.transport._all) == 2 for host in three), "one link a pair")
            for number, (a, b) in enumerate(pairs):
                await exchange(a, b, number)
            assert all(a.ups(b) == ["PeerUp"] for a, b in pairs)

    run(main())


@pytest.mark.parametrize("round_", range(5))
def test_mutual_dial_loses_no_message(run: Run, round_: int) -> None:
    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            numbers = itertools.count()
            sent: dict[Host, list[int]] = {a: [], b: []}
            a.transport.dial(b.address)
            if round_ > 1:
                await until(lambda: round_ == 2 or b.linked(a))
            b.transport.dial(a.address)
            b.transport.dial(f"localhost:{a.port}")
            for _ in range(300):
                for host, other in (a, b), (b, a):
                    if host.linked(other):
                        sent[host].append(next(numbers))
                        ping(host, other, sent[host][-1])
                await asyncio.sleep(0)
            await until(lambda: one_link(a, b) and one_link(b, a), "one link")
            await until(lambda: sorted(b.pings(a)) == sent[a] and sorted(a.pings(b)) == sent[b], "every message")
            assert a.ups(b) == b.ups(a) == ["PeerUp"]
            kept = a.transport._peers[b.id].links[0]
            assert kept.dialler == b.transport._peers[a.id].links[0].dialler

    run(main())


def test_a_restarted_peer_is_down_then_up_again(run: Run) -> None:
    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            a.transport.dial(b.address)
            await until(lambda: a.linked(b))
            await b.transport.close()
            await until(lambda: not a.linked(b))
            await until(lambda: a.fact("dial-failed"))
            async with hosts(Host(2, port=b.port)) as (again,):
                await until(lambda: a.linked(again))
                assert a.ups(b) == ["PeerUp", "PeerDown", "PeerUp"]
                await exchange(a, again, 1)
            assert len(a.fact("dial-failed")) == 1, "the same failure is reported once"

    run(main())


def test_a_new_life_replaces_links_that_tcp_believes_in(run: Run) -> None:
    async def main() -> None:
        async with hosts(Host(1), Host(2), Host(2)) as (a, before, after):
            a.transport.dial(before.address)
            await until(lambda: a.linked(before))
            after.transport.dial(a.address)
            await until(lambda: after.linked(a))
            await exchange(a, after, 1)
            assert a.ups(after) == ["PeerUp", "PeerDown", "PeerUp"]

    run(main())


def test_dropping_is_followed_by_peer_down_outside_the_call(run: Run) -> None:
    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            a.transport.dial(b.address)
            await until(lambda: a.linked(b) and b.linked(a))
            a.transport.drop(b.id)
            assert a.ups(b) == ["PeerUp"], "the driver is not called back inside its own call"
            await until(lambda: a.ups(b) == ["PeerUp", "PeerDown", "PeerUp"], "back after the drop")
            await until(lambda: b.ups(a) == ["PeerUp", "PeerDown", "PeerUp"])

    run(main())


def test_no_dial_to_itself(run: Run) -> None:
    async def main() -> None:
        async with hosts(Host(1)) as (a,):
            a.transport.dial(a.address)
            await until(lambda: a.fact("dial-failed"))
            await until(lambda: not a.transport._all)
            a.transport.dial(a.address)
            assert a.transport._dialer.addresses == () and not a.events
            assert "itself" in str(a.fact("dial-failed"))

    run(main())


def test_a_copy_with_the_same_id_is_no_peer(run: Run) -> None:
    async def main() -> None:
        async with hosts(Host(1), Host(1)) as (a, copy):
            a.transport.dial(copy.address)
            await until(lambda: a.fact("dial-failed"))
            assert "copied data directory" in str(a.fact("dial-failed")) and not a.events and not copy.events

    run(main())


@pytest.mark.parametrize(
    ("other", "why"),
    [({"key": b"another key of sixteen"}, "another cluster key"), ({"cluster": "d"}, "another cluster name")],
)
def test_another_key_or_name_is_never_a_peer(run: Run, other: dict[str, Any], why: str) -> None:
    async def main() -> None:
        async with hosts(Host(1), Host(2, **other), Host(3)) as (a, b, c):
            a.transport.dial(b.address)
            b.transport.dial(a.address)
            await until(lambda: a.fact("dial-failed") and b.fact("dial-failed"))
            a.transport.dial(c.address)
            await until(lambda: a.linked(c) and len(a.fact("peer-rejected")) > 1)
            assert not b.events and a.ups(b) == []
            assert why in str(a.fact("dial-failed")) and why in str(a.fact("peer-rejected"))
            assert len(a.fact("dial-failed")) == 1

    run(main())


def test_seated_in_two_clusters_they_are_strangers(run: Run) -> None:
    async def main() -> None:
        async with hosts(Host(1, cluster_id="x"), Host(2, cluster_id="y")) as (a, b):
            b.members, b.sealed = 7, True
            a.transport.dial(b.address)
            await until(lambda: a.strangers() and b.strangers())
            met = a.strangers()[0]
            assert (met.peer, met.cluster_id, met.members, met.sealed) == (b.id, "y", 7, True)
            assert met.address == b.address and b.strangers()[0].cluster_id == "x"
            assert not a.linked(b) and a.ups(b) == b.ups(a) == []
            a.move("")  # it yields: the dial that made them strangers makes them peers now, without a wait
            await until(lambda: a.linked(b) and b.linked(a))

    run(main())


def test_a_link_made_without_a_seat_survives_getting_one(run: Run) -> None:
    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            a.transport.dial(b.address)
            await until(lambda: a.linked(b) and b.linked(a))
            a.move("x")
            await exchange(a, b, 1)
            b.move("x")
            await exchange(a, b, 2)
            assert a.ups(b) == b.ups(a) == ["PeerUp"] and not a.strangers() + b.strangers()

    run(main())


def test_seats_in_different_clusters_part_before_a_word_of_them_is_read(run: Run) -> None:
    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            a.transport.dial(b.address)
            await until(lambda: a.linked(b) and b.linked(a))
            a.cluster_id, b.cluster_id = "x", "y"  # both at once; neither calls refresh: send does
            ping(a, b, 1)
            ping(b, a, 1)
            await until(lambda: a.strangers() and b.strangers() and not a.linked(b) and not b.linked(a))
            assert a.pings(b) == b.pings(a) == []
            assert a.ups(b) == b.ups(a) == ["PeerUp", "PeerDown"]

    run(main())


def test_a_reader_that_does_not_read_is_dropped(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "PEER_QUEUE_BYTES_MAX", 4 * FRAME_BATCH_BYTES)

    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            a.transport.dial(b.address)
            await until(lambda: a.linked(b) and b.linked(a))
            stuck = b.transport._peers[a.id].links[0]._transport
            assert stuck is not None
            stuck.pause_reading()
            most = 0
            while a.linked(b):
                a.transport.send(b.id, [Replicate(1, 1, b"k", bytes(FRAME_BATCH_BYTES // 2))])
                most = max(most, *a.transport.queued_bytes().values(), 0)
                await asyncio.sleep(0)
            assert FRAME_BATCH_BYTES < most <= 4 * FRAME_BATCH_BYTES
            assert a.fact("peer-queue-full")
            await until(lambda: a.ups(b)[:2] == ["PeerUp", "PeerDown"])

    run(main())


def test_one_giant_row_passes_and_small_talk_behind_it_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "PEER_QUEUE_BYTES_MAX", FRAME_BATCH_BYTES)

    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            a.transport.dial(b.address)
            await until(lambda: a.linked(b) and b.linked(a))
            a.transport.send(b.id, [Replicate(1, 1, b"k", bytes(20 * FRAME_BATCH_BYTES))])
            ping(a, b, 1)
            await until(lambda: b.pings(a) == [1])
            assert a.ups(b) == ["PeerUp"]

    run(main())


async def connected(host: Host) -> socket.socket:
    raw = socket.socket()
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", host.port))
    return raw


GARBAGE = {
    "http": b"GET / HTTP/1.1\r\n\r\n",
    "2^31": (2**31).to_bytes(4, "big"),
    "over the limit before proof": (5000).to_bytes(4, "big"),
    "empty frame": bytes(4),
    "a batch before proof": frame(b"\x01\x91\x92\x0f\x01"),
    "another version": frame(b"\x09\x90"),
    "noise": frame(b"\x01" + bytes(range(200))),
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_ends_its_own_connection_only(run: Run, garbage: bytes) -> None:
    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            a.transport.dial(b.address)
            await until(lambda: a.linked(b) and b.linked(a))
            with await connected(a) as raw:
                raw.send(garbage)
                loop = asyncio.get_running_loop()
                async with asyncio.timeout(5):
                    while await loop.sock_recv(raw, 1000):
                        pass
            assert a.fact("peer-rejected")
            await exchange(a, b, 1)
            assert a.ups(b) == ["PeerUp"]

    run(main())


def test_half_a_frame_and_silence_end_at_the_deadline(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "HANDSHAKE_S_MAX", 0.2)

    async def main() -> None:
        async with hosts(Host(1)) as (a,):
            with await connected(a) as raw:
                raw.send(b"\0\0")
                async with asyncio.timeout(5):
                    assert await asyncio.get_running_loop().sock_recv(raw, 10) == b""
            assert "nothing proven" in str(a.fact("peer-rejected"))

    run(main())


def test_a_dialled_port_that_says_nothing_is_left_at_the_deadline(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "HANDSHAKE_S_MAX", 0.2)

    async def main() -> None:
        async with hosts(Host(1)) as (a,):
            with socket.create_server(("127.0.0.1", 0)) as silent:
                a.transport.dial(f"127.0.0.1:{silent.getsockname()[1]}")
                await until(lambda: a.fact("dial-failed"))
            assert "nothing proven" in str(a.fact("dial-failed"))

    run(main())


def test_idle_connections_keep_nobody_out(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "HALF_OPEN_MAX", 8)

    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            with ExitStack() as idle:
                for _ in range(20):
                    idle.enter_context(await connected(a))
                await until(lambda: len(a.fact("peer-rejected")) == 12)
                assert len(a.transport._half_open) == 8
                b.transport.dial(a.address)
                await until(lambda: a.linked(b) and b.linked(a))
            await until(lambda: len(a.transport._all) == 1)

    run(main())


def test_bytes_that_mean_nothing_after_proof_end_the_link(run: Run) -> None:
    async def main() -> None:
        async with hosts(Host(1), Host(2), Host(3)) as (a, b, c):
            b.transport.dial(a.address)
            c.transport.dial(a.address)
            await until(lambda: a.linked(b, c) and b.linked(a))
            raw = b.transport._peers[a.id].links[0]._transport
            assert raw is not None
            raw.write(frame(b"\x01\x91\x92\x0f\xa1x"))
            await until(lambda: a.fact("peer-broke-protocol"))
            await until(lambda: a.ups(b) == ["PeerUp", "PeerDown", "PeerUp"], "it may try again")
            await exchange(a, c, 1)
            assert a.ups(c) == ["PeerUp"]

    run(main())


def test_stop_dialling(run: Run) -> None:
    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            a.transport.dial(b.address)
            await until(lambda: a.linked(b))
            a.transport.dial(b.address, keep=False)
            await exchange(a, b, 1)
            a.transport.drop(b.id)
            await until(lambda: a.ups(b) == ["PeerUp", "PeerDown"])
            assert a.transport._dialer.addresses == ()

    run(main())


@pytest.mark.parametrize("address", ["", "host", "host:", ":1", "host:0", "host:65536", "host:x", "host:²"])
def test_what_is_no_address_is_refused_with_a_fact(run: Run, address: str) -> None:
    async def main() -> None:
        async with hosts(Host(1)) as (a,):
            a.transport.dial(address)
            assert a.fact("dial-refused") and a.transport._dialer.addresses == ()

    run(main())
